//! Plain: mounts, their flags, and mount namespaces. Everything happens in a mount namespace of the probe's own.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::ffi::CStr;

use linux_raw_sys::general::{CLONE_NEWNS, MNT_DETACH, MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_REC};
use linux_raw_sys::general::{
    MAP_PRIVATE, O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, O_WRONLY, PROT_EXEC, PROT_READ, S_IFCHR,
};
use veridian_containers::abi::{Errno, WaitStatus};
use veridian_userland::check::{Checks, copy_file, enter_scratch, in_child, make_file};
use veridian_userland::program;
use veridian_userland::sys::{self, AT_FDCWD, Region, Start};

program!(main);

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    checks.equal("a mount namespace of its own", sys::unshare(CLONE_NEWNS), Ok(()));
    enter_scratch();
    for directory in [c"a", c"b", c"ro", c"quiet", c"small", c"bound", c"new"] {
        sys::mkdir(directory, 0o755).expect("a directory");
    }
    mounting(&mut checks);
    read_only(&mut checks);
    flags(&mut checks);
    bind(&mut checks);
    size_limit(&mut checks);
    namespaces(&mut checks);
    rights(&mut checks);
    pivot_root(&mut checks);
    checks.finish()
}

fn tmpfs(target: &CStr, flags: u32, data: Option<&CStr>) -> sys::Result {
    sys::mount(c"none", target, c"tmpfs", flags, data)
}

fn exists(path: &CStr) -> bool {
    sys::fstatat(AT_FDCWD, path, 0).is_ok()
}

fn mounting(checks: &mut Checks) {
    make_file(c"a/below", 0o644, b"").expect("a file");
    checks.equal("a tmpfs is mounted", tmpfs(c"a", 0, None), Ok(()));
    checks.equal("it hides what is below", exists(c"a/below"), false);
    let devices = [c"a", c"."].map(|path| sys::fstatat(AT_FDCWD, path, 0).map(|found| found.st_dev));
    checks.holds("it is another device", devices[0] != devices[1]);
    checks.equal("its root is 1777", sys::fstatat(AT_FDCWD, c"a", 0).map(|found| found.st_mode & 0o7777), Ok(0o1777));
    make_file(c"a/on-it", 0o644, b"").expect("a file");
    checks.equal("its mount point cannot be removed", sys::rmdir(c"a"), Err(Errno::EBUSY));
    let file = sys::open(c"a/on-it", O_RDONLY).expect("open");
    checks.equal("with an open file it is EBUSY", sys::umount(c"a", 0), Err(Errno::EBUSY));
    checks.equal("MNT_DETACH takes it away", sys::umount(c"a", MNT_DETACH), Ok(()));
    checks.equal("what was below is back", exists(c"a/below"), true);
    checks.equal("the open file still is one", sys::read(file, &mut [0; 8]), Ok(0));
    checks.equal("close", sys::close(file), Ok(()));
    checks.equal("no mount point is EINVAL", sys::umount(c"a", 0), Err(Errno::EINVAL));
    checks.equal("a missing one ENOENT", sys::umount(c"missing", 0), Err(Errno::ENOENT));
    checks.equal("unknown flags EINVAL", sys::umount(c"a", 0x100), Err(Errno::EINVAL));
    checks.equal("mount on nothing is ENOENT", tmpfs(c"missing", 0, None), Err(Errno::ENOENT));
    checks.equal("on a file ENOTDIR", tmpfs(c"a/below", 0, None), Err(Errno::ENOTDIR));
    checks.equal("an unknown file system ENODEV", sys::mount(c"x", c"a", c"floppyfs", 0, None), Err(Errno::ENODEV));
    let stacked = tmpfs(c"a", 0, None).and(make_file(c"a/one", 0o644, b"")).and(tmpfs(c"a", 0, None));
    checks.equal("two mounts in one place", stacked, Ok(()));
    checks.equal("the last is seen", exists(c"a/one"), false);
    checks.equal("until it goes", sys::umount(c"a", 0).map(|()| exists(c"a/one")), Ok(true));
    checks.equal("then the first goes", sys::umount(c"a", 0), Ok(()));
}

fn read_only(checks: &mut Checks) {
    tmpfs(c"b", 0, None).expect("a mount");
    make_file(c"b/file", 0o644, b"kept").expect("a file");
    sys::mkdir(c"b/dir", 0o755).expect("a directory");
    checks.equal("a tmpfs can be read-only", tmpfs(c"ro", MS_RDONLY, None), Ok(()));
    let rofs = Err(Errno::EROFS);
    let create = |path: &CStr| sys::openat(AT_FDCWD, path, O_CREAT | O_WRONLY, 0o644).map(|_| ());
    checks.equal("then no file can be made on it", create(c"ro/file"), rofs);
    checks.equal("no directory", sys::mkdir(c"ro/dir", 0o755), rofs);
    checks.equal("no link", sys::symlink(c"x", c"ro/link"), rofs);
    checks.equal("no device", sys::mknod(c"ro/null", S_IFCHR | 0o666, 0x103), rofs);
    checks.equal("its mode stays", sys::chmod(c"ro", 0o700), rofs);
    checks.equal("and its owner", sys::chown(c"ro", 1, 1), rofs);
    checks.equal("access to write is refused", sys::access(c"ro", linux_raw_sys::general::W_OK), rofs);
    checks.equal("it can be listed", sys::open(c"ro", O_RDONLY | O_DIRECTORY).and_then(sys::close), Ok(()));
    checks.equal("and taken away", sys::umount(c"ro", 0), Ok(()));
    checks.equal("a file on it is no file below", exists(c"b/file"), true);
}

/// What the `worker` says of its effective user when it is started through a file that has the set-user-id bit.
fn set_user_id(path: &CStr) -> sys::Result<WaitStatus> {
    in_child(|| {
        let dropped = sys::setresgid(1000, 1000, 1000).and(sys::setresuid(1000, 1000, 1000));
        match dropped {
            Ok(()) => i32::from(sys::execve(path, &[c"worker", c"effective", c"0"], &[]).get()),
            Err(_) => 100,
        }
    })
}

fn flags(checks: &mut Checks) {
    checks.equal("a quiet tmpfs", tmpfs(c"quiet", MS_NOSUID | MS_NODEV | MS_NOEXEC, None), Ok(()));
    for (place, quiet) in [(c"quiet", true), (c"b", false)] {
        sys::chdir(place).expect("chdir");
        copy_file(c"/bin/worker", c"worker", 0o755).expect("a copy");
        copy_file(c"/bin/worker", c"suid", 0o755).expect("a copy");
        sys::chmod(c"suid", 0o4755).expect("chmod");
        sys::mknod(c"null", S_IFCHR | 0o666, 0x103).expect("a device");
        let run = in_child(|| i32::from(sys::execve(c"worker", &[c"worker", c"exit", c"0"], &[]).get()));
        let expected = if quiet { Errno::EACCES.get() as u8 } else { 0 };
        checks.equal(format_args!("noexec {quiet}: a program"), run, Ok(WaitStatus::Exited(expected)));
        let file = sys::open(c"worker", O_RDONLY).expect("open");
        let mapped = Region::map(4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, Some(file)).map(|_| ());
        checks.equal(
            format_args!("noexec {quiet}: mapped code"),
            mapped,
            if quiet { Err(Errno::EPERM) } else { Ok(()) },
        );
        let plain = Region::map(4096, PROT_READ, MAP_PRIVATE, Some(file)).expect("a mapping");
        let made = plain.protect(0, 4096, PROT_READ | PROT_EXEC);
        checks.equal(format_args!("noexec {quiet}: made code"), made, if quiet { Err(Errno::EACCES) } else { Ok(()) });
        plain.unmap(0, 4096).and_then(|()| sys::close(file)).expect("close");
        let device = sys::open(c"null", O_RDWR).and_then(sys::close);
        checks.equal(format_args!("nodev {quiet}: a device"), device, if quiet { Err(Errno::EACCES) } else { Ok(()) });
        if !quiet {
            checks.equal("suid: a program becomes its owner", set_user_id(c"suid"), Ok(WaitStatus::Exited(0)));
        }
        sys::chdir(c"/tmp").expect("chdir");
    }
    // Only nosuid: noexec would hide it.
    sys::umount(c"quiet", 0).expect("umount");
    tmpfs(c"quiet", MS_NOSUID, None).expect("a mount");
    copy_file(c"/bin/worker", c"quiet/suid", 0o755).expect("a copy");
    sys::chmod(c"quiet/suid", 0o4755).expect("chmod");
    checks.equal("nosuid: it does not", set_user_id(c"quiet/suid"), Ok(WaitStatus::Exited(1)));
    sys::umount(c"quiet", 0).expect("umount");
}

fn bind(checks: &mut Checks) {
    checks.equal("a bind mount", sys::mount(c"b", c"bound", c"", MS_BIND, None), Ok(()));
    checks.equal("shows the same files", exists(c"bound/file"), true);
    make_file(c"bound/new", 0o644, b"").expect("a file");
    checks.equal("both ways", exists(c"b/new"), true);
    tmpfs(c"b/dir", 0, None).expect("a mount");
    make_file(c"b/dir/deep", 0o644, b"").expect("a file");
    checks.equal("a later mount is not in it", exists(c"bound/dir/deep"), false);
    checks.equal("umount", sys::umount(c"bound", 0), Ok(()));
    checks.equal(
        "MS_REC takes the mounts below along",
        sys::mount(c"b", c"bound", c"", MS_BIND | MS_REC, None),
        Ok(()),
    );
    checks.equal("with their files", exists(c"bound/dir/deep"), true);
    checks.equal("one with a mount below is EBUSY", sys::umount(c"bound", 0), Err(Errno::EBUSY));
    checks.equal("MNT_DETACH takes all", sys::umount(c"bound", MNT_DETACH), Ok(()));
    checks.equal("and leaves the source", exists(c"b/dir/deep"), true);
    checks.equal(
        "a file can be bound",
        make_file(c"point", 0o644, b"").and_then(|()| sys::mount(c"b/file", c"point", c"", MS_BIND, None)),
        Ok(()),
    );
    checks.equal("onto a file", sys::fstatat(AT_FDCWD, c"point", 0).map(|found| found.st_size), Ok(4));
    checks.equal("not a directory onto one", sys::mount(c"b", c"point", c"", MS_BIND, None), Err(Errno::ENOTDIR));
    checks.equal("umount", sys::umount(c"point", 0).and(sys::umount(c"b/dir", 0)), Ok(()));
    checks.equal("nothing is ENOENT", sys::mount(c"missing", c"bound", c"", MS_BIND, None), Err(Errno::ENOENT));
}

fn size_limit(checks: &mut Checks) {
    checks.equal("a tmpfs of 64 KiB", tmpfs(c"small", 0, Some(c"size=64k,mode=700")), Ok(()));
    checks.equal("of that mode", sys::fstatat(AT_FDCWD, c"small", 0).map(|found| found.st_mode & 0o7777), Ok(0o700));
    let file = sys::openat(AT_FDCWD, c"small/file", O_CREAT | O_RDWR, 0o644).expect("a file");
    let mut written = 0;
    let full = loop {
        match sys::write(file, &[1; 4096]) {
            Ok(len) if written < 1 << 20 => written += len,
            other => break other.map(|_| ()),
        }
    };
    checks.equal("takes 64 KiB", written, 64 << 10);
    checks.equal("and then is full", full, Err(Errno::ENOSPC));
    checks.equal("what is cut off", sys::ftruncate(file, 4096), Ok(()));
    checks.equal("can be used again", sys::pwrite(file, &[1; 4096], 8192), Ok(4096));
    checks.equal("umount", sys::close(file).and_then(|()| sys::umount(c"small", 0)), Ok(()));
    checks.equal("a size that is none is EINVAL", tmpfs(c"small", 0, Some(c"size=large")), Err(Errno::EINVAL));
}

fn namespaces(checks: &mut Checks) {
    checks.succeeds("a child in a new namespace mounts", || {
        let mounted = sys::unshare(CLONE_NEWNS).and_then(|()| tmpfs(c"new", 0, None));
        i32::from(mounted.and_then(|()| make_file(c"new/inner", 0o644, b"")).is_err() || !exists(c"new/inner"))
    });
    checks.equal("which is not seen here", exists(c"new/inner"), false);
    checks.succeeds("a child without one", || {
        i32::from(tmpfs(c"new", 0, None).and_then(|()| make_file(c"new/inner", 0o644, b"")).is_err())
    });
    checks.equal("mounts for its parent too", exists(c"new/inner"), true);
    checks.succeeds("a child in a new namespace unmounts", || {
        i32::from(sys::unshare(CLONE_NEWNS).and_then(|()| sys::umount(c"new", 0)).is_err() || exists(c"new/inner"))
    });
    checks.equal("for itself alone", exists(c"new/inner"), true);
    checks.equal("umount", sys::umount(c"new", 0), Ok(()));
}

fn rights(checks: &mut Checks) {
    checks.succeeds("who is not root may not", || {
        let dropped = sys::setresuid(1000, 1000, 1000).is_err();
        let perm = Err(Errno::EPERM);
        let refused = [
            tmpfs(c"a", 0, None),
            sys::mount(c"b", c"a", c"", MS_BIND, None),
            sys::umount(c"b", 0),
            sys::pivot_root(c"b", c"b"),
            sys::chroot(c"b"),
            sys::unshare(CLONE_NEWNS),
            sys::mknod(c"/tmp/b/device", S_IFCHR | 0o666, 0x103),
        ];
        i32::from(dropped || refused != [perm; 7])
    });
}

fn pivot_root(checks: &mut Checks) {
    checks.equal("no mount point is EINVAL", sys::pivot_root(c"new", c"new"), Err(Errno::EINVAL));
    tmpfs(c"new", 0, None).expect("a mount");
    sys::mkdir(c"new/old", 0o755).expect("a directory");
    sys::mkdir(c"new/bin", 0o755).expect("a directory");
    copy_file(c"/bin/worker", c"new/bin/worker", 0o755).expect("a copy");
    checks.equal("put_old outside new_root is EINVAL", sys::pivot_root(c"new", c"a"), Err(Errno::EINVAL));
    checks.equal("a missing directory is ENOENT", sys::pivot_root(c"missing", c"new/old"), Err(Errno::ENOENT));
    checks.equal("a file is ENOTDIR", sys::pivot_root(c"b/file", c"b/file"), Err(Errno::ENOTDIR));
    checks.equal("the root itself is EBUSY", sys::pivot_root(c"/", c"/tmp/new/old"), Err(Errno::EBUSY));
    let before = sys::open(c"/", O_RDONLY | O_DIRECTORY).expect("the root");
    checks.equal("pivot_root", sys::pivot_root(c"new", c"new/old"), Ok(()));
    checks.equal("the new root is the root", sys::chdir(c"/").map(|()| exists(c"/bin/worker")), Ok(true));
    checks.equal("the old one is below it", exists(c"/old/tmp/b/file"), true);
    checks.equal("`..` from there leads to the new one", exists(c"/old/../old/tmp"), true);
    checks.equal("it can be taken away", sys::umount(c"/old", MNT_DETACH), Ok(()));
    checks.equal("and is gone", exists(c"/old/tmp"), false);
    let run = in_child(|| i32::from(sys::execve(c"/bin/worker", &[c"worker", c"exit", c"4"], &[]).get()));
    checks.equal("programs run in the new one", run, Ok(WaitStatus::Exited(4)));
    checks.equal("a descriptor of the old root", sys::fchdir(before), Ok(()));
    checks.equal("still shows it: only a container's first process has none", exists(c"bin/worker"), true);
}
