//! Plain: who is all powerful in a user namespace is nobody outside of it.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{
    CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS, MNT_DETACH, MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID,
    MS_PRIVATE, MS_RDONLY, MS_REC, MS_REMOUNT, O_CREAT, O_RDONLY, O_WRONLY, SIGCHLD, SIGKILL,
};
use veridian_containers::abi::Errno;
use veridian_userland::check::{Checks, copy_file, enter_scratch, make_file, wait_for};
use veridian_userland::program;
use veridian_userland::sys::{self, AT_FDCWD, CloneArgs, Start};

program!(main);

const ALL: u64 = (1 << 41) - 1;
const USER: u32 = 1000;
const NOBODY: i32 = 65534;
const CHARACTER_DEVICE: u32 = 0o020666;

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    enter_scratch();
    sys::chmod(c"/tmp", 0o1777).expect("chmod");
    make_file(c"secret", 0o600, b"root's").expect("a file");
    make_file(c"public", 0o644, b"root's").expect("a file");
    copy_file(c"/bin/worker", c"setuid", 0o755).expect("a copy");
    sys::chmod(c"setuid", 0o4755).expect("chmod");
    for directory in [c"mount", c"hidden", c"plain"] {
        sys::mkdir(directory, 0o777).expect("a directory");
        sys::chmod(directory, 0o777).expect("chmod");
    }
    make_file(c"hidden/treasure", 0o644, b"").expect("a file");
    let covered = sys::mount(c"cover", c"hidden", c"tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, None);
    checks.equal("something is hidden by a mount", covered, Ok(()));
    checks.succeeds("a user in a namespace of his own", alone);
    checks.succeeds("with mounts of his own", mounts);
    checks.succeeds("with all kinds at once", all_at_once);
    checks.succeeds("root in a namespace of its own", || inside_is_powerless(&mut Checks::new(), 0));
    checks.succeeds("who changed his root directory makes none", || {
        i32::from(sys::chroot(c"/tmp").is_err() || sys::unshare(CLONE_NEWUSER) != Err(Errno::EPERM))
    });
    checks.equal("the file is as it was", sys::fstatat(AT_FDCWD, c"secret", 0).map(|found| found.st_uid), Ok(0));
    checks.equal("what was hidden is hidden", exists(c"hidden/treasure"), false);
    checks.finish()
}

fn exists(path: &core::ffi::CStr) -> bool {
    sys::fstatat(AT_FDCWD, path, 0).is_ok()
}

fn drop_rights() -> bool {
    sys::setgroups(&[]).and(sys::setresgid(USER, USER, USER)).and(sys::setresuid(USER, USER, USER)).is_ok()
}

fn alone() -> i32 {
    let mut checks = Checks::new();
    checks.equal("he is no root", drop_rights(), true);
    checks.equal("and makes no other namespace", sys::unshare(CLONE_NEWUTS), Err(Errno::EPERM));
    inside_is_powerless(&mut checks, USER)
}

/// Makes a user namespace and tries what its capabilities must not do outside of it.
fn inside_is_powerless(checks: &mut Checks, user: u32) -> i32 {
    let perm = Err(Errno::EPERM);
    let victim = sys::getppid();
    checks.equal("a user namespace needs no right", sys::unshare(CLONE_NEWUSER), Ok(()));
    let sets = sys::capget(0).map(|sets| (sets.effective, sets.permitted, sets.inheritable));
    checks.equal("in it he has all capabilities", sets, Ok((ALL, ALL, 0)));
    checks.equal("without a map he is nobody", [sys::getuid(), sys::geteuid(), sys::getgid()], [NOBODY; 3]);
    let owner = sys::fstatat(AT_FDCWD, c"public", 0).map(|found| (found.st_uid, found.st_gid));
    checks.equal("so is every owner", owner, Ok((NOBODY as u32, NOBODY as u32)));
    checks.equal("there is no user 0 to become", sys::setresuid(0, 0, 0), Err(Errno::EINVAL));
    checks.equal("nor a group", sys::setresgid(0, 0, 0), Err(Errno::EINVAL));
    checks.equal("groups cannot be shed", sys::setgroups(&[]), perm);
    checks.equal("nothing can be given to who is not there", sys::chown(c"public", 0, 0), Err(Errno::EINVAL));
    checks.equal("a further one needs an id here", sys::unshare(CLONE_NEWUSER), perm);
    checks.equal("the host name is not his", sys::sethostname(b"mine"), perm);
    checks.equal("nor are the mounts", sys::mount(c"x", c"mount", c"tmpfs", 0, None), perm);
    checks.equal("nor what is mounted", sys::umount(c"hidden", MNT_DETACH), perm);
    checks.equal("nor devices", sys::mknod(c"mount/null", CHARACTER_DEVICE, 0x103), perm);
    checks.equal(
        "nor containers",
        sys::container_create(b"", b"x", AT_FDCWD, Default::default(), &mut []).map(drop).map_err(|e| e.0),
        perm,
    );
    if user != 0 {
        let open = |path, flags| sys::openat(AT_FDCWD, path, flags, 0o600).and_then(sys::close);
        checks.equal("root's secrets stay secret", open(c"secret", O_RDONLY), Err(Errno::EACCES));
        checks.equal("root's files stay root's", open(c"public", O_WRONLY), Err(Errno::EACCES));
        checks.equal("their modes too", sys::chmod(c"public", 0o666), perm);
        checks.equal("and their names", sys::unlink(c"public"), perm);
        checks.equal("root's processes are not signalled", sys::kill(victim, 0), perm);
        checks.succeeds("a set-user-id program of root makes nobody", || {
            sys::execve(c"setuid", &[c"setuid", c"effective", c"65534"], &[]);
            9
        });
        // What he made before and owns is his.
        checks.equal("his own files are his", open(c"mount/mine", O_CREAT | O_WRONLY), Ok(()));
        checks.equal("with their set-user-id bits", sys::chmod(c"mount/mine", 0o4777), Ok(()));
    }
    core::mem::take(checks).finish()
}

fn mounts() -> i32 {
    let mut checks = Checks::new();
    let perm = Err(Errno::EPERM);
    checks.equal("he is no root", drop_rights(), true);
    checks.equal("both namespaces come at once", sys::unshare(CLONE_NEWUSER | CLONE_NEWNS), Ok(()));
    checks.equal("what hides something is not taken away", sys::umount(c"hidden", MNT_DETACH), Err(Errno::EINVAL));
    checks.equal(
        "nor moved",
        sys::mount(c"hidden", c"plain", c"", linux_raw_sys::general::MS_MOVE, None),
        Err(Errno::EINVAL),
    );
    let remount = |flags| sys::mount(c"", c"hidden", c"", MS_REMOUNT | MS_BIND | flags, None);
    checks.equal("nor made writable", remount(MS_NOSUID | MS_NODEV | MS_NOEXEC), perm);
    checks.equal("nor does it let devices be opened", remount(MS_RDONLY | MS_NOSUID | MS_NOEXEC), perm);
    checks.equal("nor set-ids count", remount(MS_RDONLY | MS_NODEV | MS_NOEXEC), perm);
    checks.equal("nor programs run", remount(MS_RDONLY | MS_NODEV | MS_NOSUID), perm);
    checks.equal("it stays as it is", remount(MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC), Ok(()));
    let whole = sys::mount(c"", c"hidden", c"", MS_REMOUNT | MS_NOSUID | MS_NODEV | MS_NOEXEC, None);
    checks.equal("its file system is not his to change", whole, perm);
    checks.equal(
        "a bind that shows what is beneath is refused",
        sys::mount(c"/tmp", c"plain", c"", MS_BIND, None),
        Err(Errno::EINVAL),
    );
    checks.equal("one with all that hides is not", sys::mount(c"/tmp", c"plain", c"", MS_BIND | MS_REC, None), Ok(()));
    checks.equal("and hides", exists(c"plain/hidden/treasure"), false);
    checks.equal("and is as locked beneath", sys::umount(c"plain/hidden", MNT_DETACH), Err(Errno::EINVAL));
    checks.equal("but goes away as it came", sys::umount(c"plain", MNT_DETACH), Ok(()));
    checks.equal("a file system of devices is not his", sys::mount(c"x", c"mount", c"dev", 0, None), perm);
    checks.equal("a tmpfs of his own is", sys::mount(c"x", c"mount", c"tmpfs", 0, None), Ok(()));
    checks.equal("whose ids are none here yet", sys::mkdir(c"mount/x", 0o777), Err(Errno::EOVERFLOW));
    checks.equal("propagation is his", sys::mount(c"", c"/", c"", MS_PRIVATE | MS_REC, None), Ok(()));
    checks.finish()
}

fn all_at_once() -> i32 {
    let mut checks = Checks::new();
    checks.equal("he is no root", drop_rights(), true);
    let outside = sys::getppid();
    let flags = u64::from(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWPID);
    let child = match sys::clone3(CloneArgs { flags, exit_signal: u64::from(SIGCHLD), ..CloneArgs::default() }) {
        Ok(0) => {
            let mut checks = Checks::new();
            checks.equal("it is the first process", sys::getpid(), 1);
            checks.equal("its host name is its own", sys::sethostname(b"own"), Ok(()));
            checks.equal("its mounts are", sys::mount(c"x", c"mount", c"tmpfs", 0, None), Ok(()));
            checks.equal("others are not seen", sys::kill(outside, SIGKILL), Err(Errno::ESRCH));
            sys::exit(checks.finish());
        }
        child => child,
    };
    let status = child.and_then(wait_for).map(|end| end.shell_status());
    checks.equal("a child in four namespaces of its own", status, Ok(0));
    checks.finish()
}
