//! Plain: users and groups, and what they may do.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{O_CREAT, O_RDONLY, O_WRONLY, R_OK, SIGKILL, SIGTERM, W_OK};
use veridian_containers::Signal;
use veridian_containers::abi::{Errno, WaitStatus};
use veridian_userland::check::{Checks, enter_scratch, make_file, wait_for};
use veridian_userland::program;
use veridian_userland::sys::{self, AT_FDCWD, Start};

program!(main);

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    enter_scratch();
    checks.equal("the probe is root", [sys::getuid(), sys::geteuid(), sys::getgid(), sys::getegid()], [0; 4]);
    ids(&mut checks);
    files(&mut checks);
    signals(&mut checks);
    sessions(&mut checks);
    checks.finish()
}

/// Becomes user and group 1000 for good.
fn drop_rights() -> bool {
    sys::setgroups(&[]).and(sys::setresgid(1000, 1000, 1000)).and(sys::setresuid(1000, 1000, 1000)).is_ok()
}

fn ids(checks: &mut Checks) {
    const SAME: u32 = u32::MAX;
    checks.succeeds("three user ids can be set apart", || {
        let set = sys::setresuid(1, 2, 3).is_ok() && (sys::getuid(), sys::geteuid()) == (1, 2);
        // Without privilege only among the three.
        let swapped = sys::setresuid(3, 1, SAME).is_ok() && (sys::getuid(), sys::geteuid()) == (3, 1);
        i32::from(!set || !swapped || sys::setresuid(SAME, 0, SAME) != Err(Errno::EPERM))
    });
    checks.succeeds("and group ids", || {
        let set = sys::setresgid(4, 5, 6).is_ok() && (sys::getgid(), sys::getegid()) == (4, 5);
        i32::from(!set)
    });
    checks.succeeds("a saved id leads back", || {
        let lowered = sys::setresuid(SAME, 1000, 0).is_ok() && sys::geteuid() == 1000;
        i32::from(!lowered || sys::setresuid(SAME, 0, SAME).is_err() || sys::geteuid() != 0)
    });
    checks.succeeds("after all three there is no way back", || {
        let gone = drop_rights() && sys::setresuid(0, 0, 0) == Err(Errno::EPERM);
        i32::from(!gone || sys::setresgid(0, 0, 0) != Err(Errno::EPERM) || sys::setgroups(&[0]) != Err(Errno::EPERM))
    });
    checks.succeeds("groups", || {
        let mut groups = [0; 4];
        let set = sys::setgroups(&[7, 8]).is_ok() && sys::getgroups(&mut groups) == Ok(2);
        let small = sys::getgroups(&mut [0; 1]) != Err(Errno::EINVAL);
        i32::from(!set || groups[..2] != [7, 8] || small || sys::getgroups(&mut []) != Ok(2))
    });
}

fn files(checks: &mut Checks) {
    sys::chmod(c"/tmp", 0o755).expect("chmod");
    make_file(c"secret", 0o600, b"").expect("a file");
    make_file(c"public", 0o644, b"").expect("a file");
    make_file(c"grouped", 0o640, b"").expect("a file");
    sys::chown(c"grouped", 0, 1000).expect("chown");
    make_file(c"extra", 0o640, b"").expect("a file");
    sys::chown(c"extra", 0, 77).expect("chown");
    make_file(c"own", 0o044, b"").expect("a file");
    sys::chmod(c"own", 0o044).expect("chmod");
    sys::chown(c"own", 1000, 1000).expect("chown");
    sys::mkdir(c"closed", 0o700).expect("a directory");
    sys::mkdir(c"shared", 0o777).expect("a directory");
    sys::chmod(c"shared", 0o1777).expect("chmod");
    make_file(c"shared/roots", 0o644, b"").expect("a file");
    checks.succeeds("a user", || {
        let mut checks = Checks::new();
        checks.equal("sheds root", drop_rights(), true);
        let open = |path, flags| sys::openat(AT_FDCWD, path, flags, 0o644).and_then(sys::close);
        let refused = Err(Errno::EACCES);
        checks.equal("does not read a secret", open(c"secret", O_RDONLY), refused);
        checks.equal("reads what is public", open(c"public", O_RDONLY), Ok(()));
        checks.equal("does not write it", open(c"public", O_WRONLY), refused);
        checks.equal("reads what is its group's", open(c"grouped", O_RDONLY), Ok(()));
        checks.equal("not another group's", open(c"extra", O_RDONLY), refused);
        checks.equal("nor its own, if the owner may not", open(c"own", O_RDONLY), refused);
        checks.equal(
            "access says the same",
            [sys::access(c"public", R_OK), sys::access(c"public", W_OK)],
            [Ok(()), refused],
        );
        checks.equal("does not enter a closed directory", sys::chdir(c"closed"), refused);
        checks.equal("nor look into it", sys::fstatat(AT_FDCWD, c"closed/x", 0).map(|_| ()), refused);
        checks.equal("makes no file where it may not write", open(c"mine", O_CREAT | O_WRONLY), refused);
        checks.equal("nor removes one", sys::unlink(c"public"), refused);
        checks.equal("makes one where it may", open(c"shared/mine", O_CREAT | O_WRONLY), Ok(()));
        let owner = sys::fstatat(AT_FDCWD, c"shared/mine", 0).map(|found| (found.st_uid, found.st_gid));
        checks.equal("which is its own", owner, Ok((1000, 1000)));
        checks.equal(
            "in a sticky directory does not remove another's",
            sys::unlink(c"shared/roots"),
            Err(Errno::EPERM),
        );
        checks.equal("nor rename it", sys::rename(c"shared/roots", c"shared/x", 0), Err(Errno::EPERM));
        checks.equal("changes no mode of another's", sys::chmod(c"public", 0o777), Err(Errno::EPERM));
        checks.equal("gives nothing away", sys::chown(c"shared/mine", 0, 0), Err(Errno::EPERM));
        checks.equal("changes the mode of its own", sys::chmod(c"shared/mine", 0o600), Ok(()));
        checks.equal("removes its own", sys::unlink(c"shared/mine"), Ok(()));
        checks.finish()
    });
    checks.succeeds("a further group counts", || {
        let joined = sys::setgroups(&[77]).and(sys::setresgid(1000, 1000, 1000)).and(sys::setresuid(1000, 1000, 1000));
        i32::from(joined.is_err() || sys::openat(AT_FDCWD, c"extra", O_RDONLY, 0).is_err())
    });
}

fn signals(checks: &mut Checks) {
    let victim = sys::spawn(|| {
        loop {
            let _ = sys::sleep(1_000_000_000);
        }
    });
    let victim = victim.expect("a child");
    checks.succeeds("a user does not signal root's processes", || {
        let perm = Err(Errno::EPERM);
        i32::from(
            !drop_rights() || [sys::kill(victim, SIGTERM), sys::kill(victim, 0), sys::kill(1, SIGKILL)] != [perm; 3],
        )
    });
    checks.equal("which live", sys::kill(victim, 0), Ok(()));
    checks.equal("root does", sys::kill(victim, SIGKILL), Ok(()));
    checks.equal("and ends them", wait_for(victim), Ok(WaitStatus::Signaled(Signal::SIGKILL)));
    checks.succeeds("a user signals its own", || {
        if !drop_rights() {
            return 1;
        }
        let Ok(own) = sys::spawn(|| {
            loop {
                let _ = sys::sleep(1_000_000_000);
            }
        }) else {
            return 2;
        };
        i32::from(sys::kill(own, SIGTERM).is_err() || wait_for(own) != Ok(WaitStatus::Signaled(Signal::SIGTERM)))
    });
}

fn sessions(checks: &mut Checks) {
    checks.succeeds("a child begins a session of its own", || {
        let pid = sys::getpid();
        i32::from(sys::setsid() != Ok(pid) || sys::getsid(0) != Ok(pid) || sys::getpgid(0) != Ok(pid))
            | i32::from(sys::setsid() != Err(Errno::EPERM)) << 1
            | i32::from(sys::setpgid(0, 0) != Err(Errno::EPERM)) << 2
    });
    checks.succeeds("a child begins a group of its own", || {
        let session = sys::getsid(0);
        i32::from(sys::setpgid(0, 0).is_err() || sys::getpgid(0) != Ok(sys::getpid()) || sys::getsid(0) != session)
    });
    checks.equal("a group that is not there is EPERM", sys::setpgid(0, 0x3fff_fff0), Err(Errno::EPERM));
    checks.equal("a process that is not there ESRCH", sys::getpgid(0x3fff_fff0), Err(Errno::ESRCH));
}
