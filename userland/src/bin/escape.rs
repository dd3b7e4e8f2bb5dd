//! Inside a container: every known way out of its root is tried, and none leads to the machine's files.
//!
//! Outside there are `/boot` and `/init`; a container's root has neither. Each attempt runs in a child of its own.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::ffi::CStr;

use linux_raw_sys::general::{CLONE_NEWNS, MNT_DETACH, MS_BIND, MS_REC, O_CREAT, O_DIRECTORY, O_RDONLY, O_WRONLY};
use veridian_userland::check::{Checks, in_child};
use veridian_userland::program;
use veridian_userland::sys::{self, AT_FDCWD, Start};

program!(main);

/// Exit status of a child that found the machine's files.
const OUT: i32 = 99;

/// An attempt: what it is, and its steps. Refusals on the way are as good as arriving inside.
const ATTEMPTS: &[(&str, fn())] = &[
    ("`..` from the root", || climb()),
    ("`..` through a working directory below", || {
        let _ = sys::chdir(c"/bin");
        climb();
    }),
    ("chroot below, then `..`", || {
        let _ = sys::mkdir(c"/tmp/jail", 0o755);
        let _ = sys::chroot(c"/tmp/jail");
        climb();
    }),
    ("the classic: chroot twice with an open directory", || {
        let root = sys::open(c"/", O_RDONLY | O_DIRECTORY);
        for jail in [c"/tmp/jail", c"/deeper"] {
            let _ = sys::mkdir(jail, 0o755);
            let _ = sys::chroot(jail);
        }
        if let Ok(root) = root {
            let _ = sys::fchdir(root);
        }
        climb();
        let _ = sys::chroot(c".");
        climb();
    }),
    ("pivot_root to a new mount, then `..` through the old root", || {
        let _ = sys::unshare(CLONE_NEWNS);
        let old = sys::open(c"/", O_RDONLY | O_DIRECTORY);
        let _ = sys::mkdir(c"/tmp/new", 0o755);
        let _ = sys::mount(c"tmpfs", c"/tmp/new", c"tmpfs", 0, None);
        let _ = sys::mkdir(c"/tmp/new/old", 0o755);
        let _ = sys::pivot_root(c"/tmp/new", c"/tmp/new/old");
        let _ = sys::chdir(c"/old");
        climb();
        look(c"/old");
        look(c"/old/..");
        if let Ok(old) = old {
            let _ = sys::fchdir(old);
        }
        climb();
    }),
    ("unmounting the root", || {
        let _ = sys::unshare(CLONE_NEWNS);
        let _ = sys::umount(c"/", MNT_DETACH);
        climb();
        let _ = sys::chdir(c"/");
        climb();
    }),
    ("a bind mount of `..`", || {
        let _ = sys::mkdir(c"/tmp/up", 0o755);
        let _ = sys::mount(c"/..", c"/tmp/up", c"", MS_BIND | MS_REC, None);
        look(c"/tmp/up");
        look(c"/tmp/up/..");
        look(c"/tmp/up/../..");
    }),
    ("symbolic links to `..` and to the root", || {
        let _ = sys::symlink(c"../../../../../..", c"/tmp/up-link");
        let _ = sys::symlink(c"/", c"/tmp/root-link");
        look(c"/tmp/up-link");
        look(c"/tmp/root-link");
        look(c"/tmp/root-link/../..");
    }),
    ("descriptors that might have been left open", || {
        for fd in 0..1024 {
            if sys::fchdir(fd).is_ok() {
                climb();
            }
        }
    }),
    ("the machine's file systems mounted anew", || {
        for kind in [c"rootfs", c"ramfs", c"initrd", c"proc", c"sysfs", c"devtmpfs", c"dev", c"cgroup", c"cgroup2"] {
            let _ = sys::mkdir(c"/tmp/fs", 0o755);
            let _ = sys::mount(c"none", c"/tmp/fs", kind, 0, None);
            look(c"/tmp/fs");
            look(c"/tmp/fs/1/root");
            look(c"/tmp/fs/1/cwd");
        }
    }),
];

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    checks.equal("the root has no /init", sys::fstatat(AT_FDCWD, c"/init", 0).is_err(), true);
    for (what, attempt) in ATTEMPTS {
        let end = in_child(|| {
            attempt();
            0
        });
        let inside = end.is_ok_and(|end| end.shell_status() == 0);
        checks.holds(format_args!("{what} does not lead out"), inside);
    }
    let root = (sys::fstatat(AT_FDCWD, c"/", 0), sys::fstatat(AT_FDCWD, c"/..", 0));
    let same = matches!(root, (Ok(root), Ok(above)) if (root.st_dev, root.st_ino) == (above.st_dev, above.st_ino));
    checks.equal("`/..` is `/`", same, true);
    // Outside, the driver looks whether this shows up there.
    let file = sys::openat(AT_FDCWD, c"/tmp/made-inside", O_CREAT | O_WRONLY, 0o644);
    checks.equal("a file can be made in /tmp", file.is_ok(), true);
    checks.equal("a mount can be made", sys::mount(c"tmpfs", c"/tmp", c"tmpfs", 0, None), Ok(()));
    checks.finish()
}

/// Looks at the working directory and at everything above it.
fn climb() {
    for _ in 0..64 {
        look(c".");
        if sys::chdir(c"..").is_err() {
            break;
        }
    }
}

/// Ends the attempt if `directory` shows the machine's `/boot` or its bundle.
fn look(directory: &CStr) {
    let Ok(directory) = sys::open(directory, O_RDONLY | O_DIRECTORY) else { return };
    for outside in [c"boot", c"bundle"] {
        if sys::fstatat(directory, outside, 0).is_ok() {
            sys::exit(OUT);
        }
    }
    // Nothing depends on it: the child ends soon.
    let _ = sys::close(directory);
}
