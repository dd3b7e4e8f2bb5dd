//! Plain: overlay file systems and extended attributes, in a mount namespace of the probe's own.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::ffi::CStr;

use linux_raw_sys::general::{
    CLONE_NEWNS, MAP_SHARED, O_APPEND, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR, O_TMPFILE, O_TRUNC, O_WRONLY, PROT_READ,
    PROT_WRITE, RENAME_EXCHANGE, S_IFCHR, S_IFIFO, S_IFMT, XATTR_CREATE,
};
use veridian_containers::abi::{CreateFlags, Errno};
use veridian_userland::check::{Checks, copy_file, enter_scratch, in_child, make_file};
use veridian_userland::sys::{self, AT_FDCWD, Region, Start};
use veridian_userland::{driver, program};

program!(main);

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    checks.equal("a mount namespace of its own", sys::unshare(CLONE_NEWNS), Ok(()));
    enter_scratch();
    attributes(&mut checks);
    layers();
    merged(&mut checks);
    copied(&mut checks);
    nameless(&mut checks);
    removed(&mut checks);
    renamed(&mut checks);
    apart(&mut checks);
    refused(&mut checks);
    containers(&mut checks);
    checks.finish()
}

const OPTIONS: &CStr = c"lowerdir=l1:l2:l3,upperdir=rw/upper,workdir=rw/work";

fn overlay(target: &CStr, options: &CStr) -> sys::Result {
    sys::mount(c"overlay", target, c"overlay", 0, Some(options))
}

fn exists(path: &CStr) -> bool {
    sys::fstatat(AT_FDCWD, path, 0).is_ok()
}

/// Whether the file holds just these bytes.
fn holds(path: &CStr, bytes: &[u8]) -> bool {
    let mut found = [0; 64];
    let Ok(file) = sys::open(path, O_RDONLY) else { return false };
    let read = sys::read(file, &mut found);
    let _ = sys::close(file);
    read.is_ok_and(|length| &found[..length] == bytes)
}

fn is_whiteout(path: &CStr) -> bool {
    sys::fstatat(AT_FDCWD, path, 0).is_ok_and(|found| found.st_mode & S_IFMT == S_IFCHR && found.st_rdev == 0)
}

/// How many names a directory tells, `.` and `..` among them.
fn count(path: &CStr) -> usize {
    let directory = sys::open(path, O_RDONLY | O_DIRECTORY).expect("a directory");
    let (mut names, mut buffer) = (0, [0; 512]);
    loop {
        let length = sys::getdents(directory, &mut buffer).expect("readable");
        if length == 0 {
            break;
        }
        let mut at = 0;
        while at < length {
            names += 1;
            at += usize::from(u16::from_ne_bytes([buffer[at + 16], buffer[at + 17]]));
        }
    }
    sys::close(directory).expect("close");
    names
}

fn attributes(checks: &mut Checks) {
    make_file(c"file", 0o644, b"x").expect("a file");
    let mut value = [0; 8];
    checks.equal("an attribute is set", sys::setxattr(c"file", c"user.a", b"one", 0), Ok(()));
    checks.equal("and read", sys::getxattr(c"file", c"user.a", &mut value), Ok(3));
    checks.equal("as it is", &value[..3], b"one");
    checks.equal("it is there once", sys::setxattr(c"file", c"user.a", b"", XATTR_CREATE), Err(Errno::EEXIST));
    checks.equal("another is not there", sys::getxattr(c"file", c"user.b", &mut value), Err(Errno::ENODATA));
    checks.equal("a small buffer is ERANGE", sys::getxattr(c"file", c"user.a", &mut value[..2]), Err(Errno::ERANGE));
    checks.equal("names are listed", sys::listxattr(c"file", &mut value), Ok(7));
    checks.equal("trusted ones are root's", sys::setxattr(c"file", c"trusted.t", b"", 0), Ok(()));
    checks.succeeds("and nobody else's", || {
        sys::setresuid(1000, 1000, 1000).expect("root may");
        let mut value = [0; 8];
        let refused = sys::setxattr(c"file", c"trusted.u", b"", 0) == Err(Errno::EPERM)
            && sys::getxattr(c"file", c"trusted.t", &mut value) == Err(Errno::ENODATA)
            && sys::listxattr(c"file", &mut value) == Ok(7)
            && sys::setxattr(c"file", c"user.c", b"", 0) == Err(Errno::EACCES);
        i32::from(!refused)
    });
    for name in [c"security.capability", c"system.posix_acl_access", c"other.x"] {
        checks.equal(
            format_args!("{name:?} is not accepted"),
            sys::setxattr(c"file", name, b"x", 0),
            Err(Errno::EOPNOTSUPP),
        );
    }
    let large = [1; 4096];
    let mut stored = 0;
    let full = (0..64_u8).find_map(|index| {
        let name = [b'u', b's', b'e', b'r', b'.', b'A' + index, 0];
        let set = sys::setxattr(c"file", CStr::from_bytes_until_nul(&name).expect("a name"), &large, 0);
        stored += u32::from(set.is_ok());
        set.err()
    });
    checks.equal("they are bounded", (full, stored < 17), (Some(Errno::ENOSPC), true));
    checks.equal("one goes", sys::removexattr(c"file", c"user.a"), Ok(()));
    checks.equal("once", sys::removexattr(c"file", c"user.a"), Err(Errno::ENODATA));
}

fn layers() {
    for directory in [c"l1", c"l2", c"l3", c"rw", c"rw/upper", c"rw/work", c"rw/upper2", c"rw/work2", c"m", c"m2"] {
        sys::mkdir(directory, 0o755).expect("a directory");
    }
    for (directory, file, text) in
        [(c"l1/d", c"l1/d/f", b"1"), (c"l2/d", c"l2/d/g", b"2"), (c"l3/d", c"l3/d/h", b"3"), (c"l3/e", c"l3/e/f", b"3")]
    {
        sys::mkdir(directory, 0o755).expect("a directory");
        make_file(file, 0o644, text).expect("a file");
    }
    make_file(c"l3/d/f", 0o644, b"3").expect("a file");
    make_file(c"l3/d/gone", 0o644, b"3").expect("a file");
    sys::mknod(c"l2/d/gone", S_IFCHR, 0).expect("a whiteout");
    sys::mkdir(c"l2/e", 0o755).expect("a directory");
    sys::setxattr(c"l2/e", c"trusted.overlay.opaque", b"y", 0).expect("opaque");
    sys::mknod(c"l1/fifo", S_IFIFO | 0o666, 0).expect("a fifo");
    for name in [c"l2/write", c"l2/mode", c"l2/owner", c"l2/cut", c"l2/link", c"l2/map", c"l2/old", c"l2/a", c"l2/b"] {
        make_file(name, 0o644, b"lower").expect("a file");
    }
    copy_file(c"/bin/worker", c"l3/worker", 0o755).expect("a copy");
}

fn merged(checks: &mut Checks) {
    checks.equal("an overlay of four layers is mounted", overlay(c"m", OPTIONS), Ok(()));
    checks.equal("its directories are merged", count(c"m/d"), 5);
    checks.equal("the uppermost file is seen", holds(c"m/d/f", b"1"), true);
    checks.equal("those below by their own names", (holds(c"m/d/g", b"2"), holds(c"m/d/h", b"3")), (true, true));
    checks.equal("a whiteout in the middle hides", exists(c"m/d/gone"), false);
    checks.equal("an opaque directory hides", (count(c"m/e"), exists(c"m/e/f")), (2, false));
    let run = in_child(|| i32::from(sys::execve(c"m/worker", &[c"worker", c"exit", c"7"], &[]).get()));
    checks.equal("a program of a lower layer runs", run, Ok(veridian_containers::abi::WaitStatus::Exited(7)));
    checks.equal("and nothing was copied by looking", count(c"rw/upper"), 2);
}

fn copied(checks: &mut Checks) {
    let old = sys::open(c"m/old", O_RDONLY).expect("open");
    let before = sys::fstatat(AT_FDCWD, c"m/old", 0).expect("there");
    let file = sys::open(c"m/old", O_WRONLY | O_APPEND).expect("open");
    checks.equal("a write copies", sys::write(file, b" more"), Ok(5));
    sys::close(file).expect("close");
    checks.equal("the upper has all of it", holds(c"rw/upper/old", b"lower more"), true);
    checks.equal("the overlay shows it", holds(c"m/old", b"lower more"), true);
    checks.equal("the lower is as before", holds(c"l2/old", b"lower"), true);
    let after = sys::fstatat(AT_FDCWD, c"m/old", 0).expect("there");
    let identity = |of: &linux_raw_sys::general::stat| (of.st_dev, of.st_ino);
    checks.equal("it stays the same file", identity(&after), identity(&before));
    let mut bytes = [0; 16];
    checks.equal("who had it open reads what was", sys::read(old, &mut bytes), Ok(5));
    sys::close(old).expect("close");
    checks.equal("chmod copies", sys::chmod(c"m/mode", 0o600).map(|()| holds(c"rw/upper/mode", b"lower")), Ok(true));
    checks.equal("chown copies", sys::chown(c"m/owner", 5, 6).map(|()| holds(c"rw/upper/owner", b"lower")), Ok(true));
    let cut = sys::open(c"m/cut", O_WRONLY | O_TRUNC).and_then(sys::close);
    checks.equal("cutting copies nothing of it", cut.map(|()| holds(c"rw/upper/cut", b"")), Ok(true));
    checks.equal(
        "a link copies",
        sys::link(c"m/link", c"m/other").map(|()| holds(c"rw/upper/other", b"lower")),
        Ok(true),
    );
    let links = sys::fstatat(AT_FDCWD, c"m/link", 0).map(|found| found.st_nlink);
    checks.equal("and both are one file", links, Ok(2));
    let file = sys::open(c"m/map", O_RDWR).expect("open");
    let map = Region::map(4096, PROT_READ | PROT_WRITE, MAP_SHARED, Some(file)).expect("a mapping");
    map.set(0, b'L');
    checks.equal(
        "a shared mapping writes the copy",
        (holds(c"m/map", b"Lower"), holds(c"l2/map", b"lower")),
        (true, true),
    );
    map.unmap(0, 4096).and_then(|()| sys::close(file)).expect("close");
    let lower = sys::fstatat(AT_FDCWD, c"l2/owner", 0).map(|found| (found.st_uid, found.st_mode & 0o7777));
    checks.equal("no lower file has changed", lower, Ok((0, 0o644)));
    checks.equal(
        "a directory above is copied",
        make_file(c"m/d/new", 0o644, b"").map(|()| exists(c"rw/upper/d/new")),
        Ok(true),
    );
    checks.equal("and still merged", count(c"m/d"), 6);
}

/// Files without names.
fn nameless(checks: &mut Checks) {
    let make = |flags| sys::openat(AT_FDCWD, c"m", O_TMPFILE | O_RDWR | flags, 0o640).expect("a file");
    let before = (count(c"m"), count(c"rw/upper"));
    let (file, never) = (make(0), make(O_EXCL));
    checks.equal("a file without a name takes bytes", sys::write(file, b"kept"), Ok(4));
    checks.equal("and is in no directory", (count(c"m"), count(c"rw/upper")), before);
    checks.equal("it is given one", sys::link_file(file, c"m/kept"), Ok(()));
    checks.equal("by which it is found", (holds(c"m/kept", b"kept"), holds(c"rw/upper/kept", b"kept")), (true, true));
    checks.equal("one alone", sys::fstatat(AT_FDCWD, c"m/kept", 0).map(|found| found.st_nlink), Ok(1));
    checks.equal("a taken name is refused", sys::link_file(file, c"m/link"), Err(Errno::EEXIST));
    let again = sys::unlink(c"m/kept").and_then(|()| sys::link_file(file, c"m/kept"));
    checks.equal("none is given to what had one", again, Err(Errno::ENOENT));
    checks.equal("nor to what is to have none", sys::link_file(never, c"m/kept"), Err(Errno::ENOENT));
    sys::close(file).and_then(|()| sys::close(never)).expect("open before");
}

fn removed(checks: &mut Checks) {
    checks.equal("a directory with lower files is not empty", sys::rmdir(c"m/d"), Err(Errno::ENOTEMPTY));
    checks.equal("a file goes", sys::unlink(c"m/d/f").map(|()| exists(c"m/d/f")), Ok(false));
    checks.equal("by a whiteout", is_whiteout(c"rw/upper/d/f"), true);
    checks.equal("a new one goes without", sys::unlink(c"m/d/new").map(|()| exists(c"rw/upper/d/new")), Ok(false));
    let emptied = sys::unlink(c"m/d/g").and(sys::unlink(c"m/d/h")).and_then(|()| sys::rmdir(c"m/d"));
    checks.equal("emptied, the directory goes", emptied.map(|()| is_whiteout(c"rw/upper/d")), Ok(true));
    checks.equal("made anew", sys::mkdir(c"m/d", 0o755), Ok(()));
    checks.equal("it is opaque", (count(c"m/d"), exists(c"m/d/h")), (2, false));
    checks.equal("and no lower file is gone", (exists(c"l1/d/f"), exists(c"l3/d/h")), (true, true));
}

fn renamed(checks: &mut Checks) {
    checks.equal("a lower file moves", sys::rename(c"m/a", c"m/d/a", 0).map(|()| exists(c"m/a")), Ok(false));
    checks.equal("and leaves a whiteout", is_whiteout(c"rw/upper/a"), true);
    checks.equal("a lower directory stays: EXDEV", sys::rename(c"m/e", c"m/f", 0), Err(Errno::EXDEV));
    let exchanged = sys::rename(c"m/d/a", c"m/b", RENAME_EXCHANGE);
    checks.equal("files change places", exchanged.map(|()| (exists(c"m/d/a"), exists(c"m/b"))), Ok((true, true)));
    checks.equal("a new directory moves", sys::mkdir(c"m/n", 0o755).and(sys::rename(c"m/n", c"m/a", 0)), Ok(()));
}

fn apart(checks: &mut Checks) {
    let second = c"lowerdir=l1:l2:l3,upperdir=rw/upper2,workdir=rw/work2";
    checks.equal("a second overlay of the same layers", overlay(c"m2", second), Ok(()));
    checks.equal(
        "has none of the changes",
        (holds(c"m2/old", b"lower"), exists(c"m2/a"), count(c"m2/d")),
        (true, true, 5),
    );
    checks.equal("and tells none", sys::unlink(c"m2/old").map(|()| holds(c"m/old", b"lower more")), Ok(true));
    let (one, other) =
        (sys::open(c"m/fifo", O_RDWR), sys::open(c"m2/fifo", O_RDWR | linux_raw_sys::general::O_NONBLOCK));
    let (one, other) = (one.expect("open"), other.expect("open"));
    sys::write(one, b"x").expect("written");
    checks.equal("a lower fifo joins nobody", sys::read(other, &mut [0; 1]), Err(Errno::EAGAIN));
    sys::close(one).and(sys::close(other)).expect("close");
}

fn refused(checks: &mut Checks) {
    sys::mkdir(c"m3", 0o755).expect("a directory");
    checks.equal("a used upper directory is EBUSY", overlay(c"m3", OPTIONS), Err(Errno::EBUSY));
    checks.equal("an unknown option EINVAL", overlay(c"m3", c"lowerdir=l1,x=y"), Err(Errno::EINVAL));
    checks.equal("a missing layer ENOENT", overlay(c"m3", c"lowerdir=l1:none"), Err(Errno::ENOENT));
    checks.equal("without upper it is mounted", overlay(c"m3", c"lowerdir=l1:l2"), Ok(()));
    checks.equal("and read-only", make_file(c"m3/x", 0o644, b""), Err(Errno::EROFS));
    checks.equal("both go", sys::umount(c"m", 0).and(sys::umount(c"m2", 0)), Ok(()));
    checks.equal(
        "the first is back as it was",
        overlay(c"m", OPTIONS).map(|()| holds(c"m/old", b"lower more")),
        Ok(true),
    );
    checks.equal("with its whiteouts", (exists(c"m/d/f"), count(c"m/d")), (false, 3));
}

/// Overlays of configurations.
fn containers(checks: &mut Checks) {
    for directory in [c"low", c"rw/c1", c"rw/w1", c"rw/c2", c"rw/w2"] {
        sys::mkdir(directory, 0o755).expect("a directory");
    }
    make_file(c"low/kept", 0o644, b"lower").expect("a file");
    let status = |id: &str, mount: &str, path: &str| {
        driver::run(id, &driver::config(mount, &["/bin/worker", "write", path])).map(|end| end.status.shell_status())
    };
    let first = "mount=/mnt:overlay:o:lowerdir=/tmp/low,upperdir=/tmp/rw/c1,workdir=/tmp/rw/w1\n";
    let second = "mount=/mnt:overlay:o:lowerdir=/tmp/low,upperdir=/tmp/rw/c2,workdir=/tmp/rw/w2\n";
    let written = |path| sys::fstatat(AT_FDCWD, path, 0).is_ok();
    checks.equal("a container writes to its overlay", status("first", first, "/mnt/new"), Ok(0));
    checks.equal("which goes to its own layer", (written(c"rw/c1/new"), written(c"rw/c2/new")), (true, false));
    checks.equal("a second over the same layer does too", status("second", second, "/mnt/new"), Ok(0));
    checks.equal("to its own", written(c"rw/c2/new"), true);
    checks.equal("the lower layer is as it was", (count(c"low"), holds(c"low/kept", b"lower")), (3, true));
    let read_only = "mount=/mnt:overlay:o:lowerdir=/tmp/low\\:/tmp/l1\n";
    checks.equal("without an upper layer it is EROFS", status("third", read_only, "/mnt/new"), Ok(30));
    let nothing = driver::create(
        "fourth",
        &driver::config("mount=/mnt:overlay:o:lowerdir=/tmp/none\n", &["x"]),
        CreateFlags::empty(),
    );
    checks.equal("a missing layer is ENOENT", nothing.map_err(|(errno, _)| errno), Err(Errno::ENOENT));
    checks.equal("nothing is left", driver::count(), Ok(0));
}
