//! Plain: what this kernel does not do is refused, not accepted and ignored.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general as linux;
use veridian_containers::abi::Errno;
use veridian_userland::check::Checks;
use veridian_userland::program;
use veridian_userland::sys::{self, RawArg, Start};

program!(main);

/// Calls of Linux that are not there yet, and numbers that no one has.
const ABSENT: &[(&str, u32)] = &[
    ("ptrace", linux::__NR_ptrace),
    ("bpf", linux::__NR_bpf),
    ("userfaultfd", linux::__NR_userfaultfd),
    ("io_uring_setup", linux::__NR_io_uring_setup),
    ("keyctl", linux::__NR_keyctl),
    ("init_module", linux::__NR_init_module),
    ("kexec_load", linux::__NR_kexec_load),
    ("number 999", 999),
    ("number 0x7ff", 0x7ff),
    ("number 0x80e", 0x80e),
    ("number 0xffffffff", u32::MAX),
];

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    for &(name, number) in ABSENT {
        let answer =
            sys::raw_call(number, &[RawArg::Number(0), RawArg::Number(0), RawArg::Number(0), RawArg::Number(0)]);
        checks.equal(format_args!("{name} is ENOSYS"), answer, Err(Errno::ENOSYS));
    }
    for kind in [c"cgroup", c"ext4", c"no-such-file-system"] {
        let answer = sys::mount(c"none", c"/tmp", kind, 0, None);
        checks.equal(format_args!("a mount of {kind:?} is ENODEV"), answer, Err(Errno::ENODEV));
    }
    checks.holds(
        "a mount flag that is not there is refused",
        sys::mount(c"none", c"/tmp", c"tmpfs", 1 << 30, None).is_err(),
    );
    let data = sys::mount(c"none", c"/tmp", c"tmpfs", 0, Some(c"colour=blue"));
    checks.equal("an option of tmpfs that is none is EINVAL", data, Err(Errno::EINVAL));
    checks.finish()
}
