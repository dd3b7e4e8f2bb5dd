//! Plain: what execve(2) refuses and why, and what a program is started with.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::ffi::CStr;

use linux_raw_sys::general::{F_SETFD, FD_CLOEXEC, O_CLOEXEC, O_RDONLY};
use veridian_containers::abi::{Errno, WaitStatus};
use veridian_userland::check::{Checks, copy_file, enter_scratch, in_child, make_file};
use veridian_userland::program;
use veridian_userland::sys::{self, FOREIGN_MACHINE, Start};

program!(main);

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    enter_scratch();
    let mut header = [0; 64];
    let program = sys::open(c"/bin/worker", O_RDONLY).expect("/bin/worker");
    checks.equal("the header of a program can be read", sys::pread(program, &mut header, 0), Ok(64));
    checks.equal("it is an ELF file", &header[..4], b"\x7fELF");
    let mut foreign = header;
    foreign[18..20].copy_from_slice(&FOREIGN_MACHINE.to_le_bytes());
    let mut narrow = header;
    narrow[4] = 1;
    let mut relocatable = header;
    relocatable[16] = 1;
    for (name, mode, bytes) in [
        (c"text", 0o755, b"no program at all\n".as_slice()),
        (c"empty", 0o755, b""),
        (c"short", 0o755, &header[..32]),
        (c"headless", 0o755, &header),
        (c"foreign", 0o755, &foreign),
        (c"narrow", 0o755, &narrow),
        (c"object", 0o755, &relocatable),
    ] {
        make_file(name, mode, bytes).expect("a file");
    }
    copy_file(c"/bin/worker", c"plain", 0o644).expect("a copy");
    sys::mkdir(c"directory", 0o755).expect("a directory");
    sys::symlink(c"loop", c"loop").expect("a link");
    sys::symlink(c"/bin/worker", c"link").expect("a link");

    let long = [b'x'; 300];
    let mut name = [0; 301];
    name[..300].copy_from_slice(&long);
    let long_name = CStr::from_bytes_until_nul(&name).expect("a string");
    for (what, path, errno) in [
        ("a text file", c"text", Errno::ENOEXEC),
        ("an empty file", c"empty", Errno::ENOEXEC),
        ("half an ELF header", c"short", Errno::ENOEXEC),
        ("an ELF header without its segments", c"headless", Errno::ENOEXEC),
        ("a program of another architecture", c"foreign", Errno::ENOEXEC),
        ("a program of 32 bits", c"narrow", Errno::ENOEXEC),
        ("an object file", c"object", Errno::ENOEXEC),
        ("a file that may not be executed", c"plain", Errno::EACCES),
        ("a directory", c"directory", Errno::EACCES),
        ("a file that is not there", c"missing", Errno::ENOENT),
        ("a file in no directory", c"missing/program", Errno::ENOENT),
        ("a file in a file", c"text/program", Errno::ENOTDIR),
        ("a link to itself", c"loop", Errno::ELOOP),
        ("an empty path", c"", Errno::ENOENT),
        ("a name of 300 bytes", long_name, Errno::ENAMETOOLONG),
    ] {
        let refused = sys::execve(path, &[path], &[]);
        checks.equal(format_args!("{what} is {}", errno.name()), refused, errno);
    }
    let huge = sys::buffer(200 * 1024).expect("memory");
    huge.fill(b'x');
    huge[200 * 1024 - 1] = 0;
    let huge = CStr::from_bytes_until_nul(huge).expect("a string");
    checks.equal("an argument of 200 KiB is E2BIG", sys::execve(c"/bin/worker", &[c"worker", huge], &[]), Errno::E2BIG);

    // And this process is still here, unchanged.
    checks.equal("the descriptor is open still", sys::pread(program, &mut header, 0), Ok(64));
    let status =
        |path: &CStr, args: &[&CStr], env: &[&CStr]| in_child(|| i32::from(sys::execve(path, args, env).get()));
    let exits = |status| Ok(WaitStatus::Exited(status));
    checks.equal("a program runs", status(c"/bin/worker", &[c"worker", c"exit", c"42"], &[]), exits(42));
    checks.equal("by a link too", status(c"link", &[c"worker", c"exit", c"43"], &[]), exits(43));
    let args = [c"worker", c"check-start", c"", c"a long one = : ü"];
    let started = status(c"/bin/worker", &args, &[c"A=1", c"EMPTY="]);
    checks.equal("it gets its arguments, its environment and the auxiliary vector", started, exits(0));
    let is_open = |fd: &CStr| status(c"/bin/worker", &[c"worker", c"open", fd], &[]);
    sys::dup3(program, 100, 0).expect("a descriptor");
    sys::dup3(program, 101, O_CLOEXEC).expect("a descriptor");
    sys::dup3(program, 102, 0).expect("a descriptor");
    sys::fcntl(102, F_SETFD, FD_CLOEXEC).expect("fcntl");
    checks.equal("descriptors stay open", is_open(c"100"), exits(0));
    checks.equal("but for O_CLOEXEC", is_open(c"101"), exits(1));
    checks.equal("and FD_CLOEXEC", is_open(c"102"), exits(1));
    checks.finish()
}
