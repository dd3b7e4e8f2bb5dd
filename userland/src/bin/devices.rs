//! Plain, or in a container with a `/dev`: null, zero, full, random, urandom and the console.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::ffi::CStr;

use linux_raw_sys::general::{O_RDONLY, O_RDWR, O_WRONLY, S_IFCHR, S_IFMT};
use veridian_containers::abi::Errno;
use veridian_userland::check::Checks;
use veridian_userland::program;
use veridian_userland::sys::{self, AT_FDCWD, Fd, Start};

program!(main);

/// Devices with their numbers, as Linux's devices.txt has them.
const DEVICES: &[(&CStr, u64, u64)] = &[
    (c"/dev/null", 1, 3),
    (c"/dev/zero", 1, 5),
    (c"/dev/full", 1, 7),
    (c"/dev/random", 1, 8),
    (c"/dev/urandom", 1, 9),
    (c"/dev/console", 5, 1),
];

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    for &(path, major, minor) in DEVICES {
        let found = sys::fstatat(AT_FDCWD, path, 0).map(|found| (found.st_mode & S_IFMT, found.st_rdev));
        checks.equal(format_args!("{path:?} is a device {major}:{minor}"), found, Ok((S_IFCHR, major << 8 | minor)));
    }
    let open = |path, flags| sys::open(path, flags).unwrap_or(-1);
    let [null, zero, full] = [c"/dev/null", c"/dev/zero", c"/dev/full"].map(|path| open(path, O_RDWR));
    let mut buffer = [0xff; 5000];
    checks.equal("null is empty", sys::read(null, &mut buffer), Ok(0));
    checks.equal("and takes everything", sys::write(null, &buffer), Ok(5000));
    for (name, device) in [("zero", zero), ("full", full)] {
        buffer.fill(0xff);
        checks.equal(format_args!("{name} fills a buffer"), sys::read(device, &mut buffer), Ok(5000));
        checks.holds("with zeros", buffer.iter().all(|&byte| byte == 0));
    }
    checks.equal("zero takes everything", sys::write(zero, &buffer), Ok(5000));
    checks.equal("full takes nothing", sys::write(full, &buffer), Err(Errno::ENOSPC));
    for path in [c"/dev/random", c"/dev/urandom"] {
        random(&mut checks, path, open(path, O_RDONLY));
    }
    let console = open(c"/dev/console", O_WRONLY);
    checks.equal("the console can be written to", sys::write(console, b"ok: this is the console\n"), Ok(24));
    checks.equal("what is open can be closed", [null, zero, full, console].map(sys::close), [Ok(()); 4]);
    checks.equal("a device that is not there is ENOENT", sys::open(c"/dev/missing", O_RDONLY), Err(Errno::ENOENT));
    checks.finish()
}

/// Two pieces differ, and each has about as many ones as zeros.
fn random(checks: &mut Checks, path: &CStr, device: Fd) {
    let (mut first, mut second) = ([0; 1024], [0; 1024]);
    checks.equal(format_args!("{path:?} fills a buffer"), sys::read(device, &mut first), Ok(1024));
    checks.equal("and another", sys::read(device, &mut second), Ok(1024));
    checks.holds("with other bytes", first != second);
    for piece in [first, second] {
        // Ten standard deviations (of 45 bits) about the half of 8192.
        let ones = piece.iter().map(|byte| byte.count_ones()).sum::<u32>();
        checks.holds("about half of whose bits are ones", (3646..=4546).contains(&ones));
    }
    checks.equal("close", sys::close(device), Ok(()));
}
