//! Plain: capabilities, what exec makes of them, and what a process gives away for ever.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::ffi::CStr;

use linux_raw_sys::auxvec::AT_SECURE;
use linux_raw_sys::general::{MS_NOSUID, SIGCHLD, SIGTERM, SIGUSR1};
use veridian_containers::abi::{Errno, WaitStatus};
use veridian_userland::check::{Checks, copy_file, enter_scratch, wait_for};
use veridian_userland::sys::{self, CapabilitySets, CloneArgs, Start};
use veridian_userland::{println, program, text};

program!(main);

const ALL: u64 = (1 << 41) - 1;
const CHOWN: usize = 0;
const KILL: usize = 5;
const SETPCAP: usize = 8;
const SYS_ADMIN: usize = 21;
const USER: u32 = 1000;

const NOROOT: usize = 1;
const KEEP_CAPS: usize = 1 << 4;
const NO_CAP_AMBIENT_RAISE: usize = 1 << 6;

fn main(start: &Start) -> i32 {
    if start.arg(1) == Some("show") {
        return show(start);
    }
    let mut checks = Checks::new();
    enter_scratch();
    copy_file(c"/bin/privileges", c"plain", 0o755).expect("a copy");
    copy_file(c"/bin/privileges", c"setuid", 0o755).expect("a copy");
    sys::chmod(c"setuid", 0o4755).expect("chmod");
    copy_file(c"/bin/privileges", c"other", 0o755).expect("a copy");
    sys::chown(c"other", 2000, 2000).expect("chown");
    sys::chmod(c"other", 0o4755).expect("chmod");
    copy_file(c"/bin/privileges", c"closed", 0o711).expect("a copy");
    sys::mkdir(c"nosuid", 0o755).expect("a directory");
    calls(&mut checks);
    executions(&mut checks);
    users(&mut checks);
    guards(&mut checks);
    children(&mut checks);
    checks.finish()
}

fn sets(effective: u64, permitted: u64, inheritable: u64) -> CapabilitySets {
    CapabilitySets { effective, permitted, inheritable }
}

const fn bit(capability: usize) -> u64 {
    1 << capability
}

/// Becomes a user for good, with nothing.
fn drop_rights() -> bool {
    sys::setgroups(&[]).and(sys::setresgid(USER, USER, USER)).and(sys::setresuid(USER, USER, USER)).is_ok()
}

/// What an executed program finds: user ids, capability sets, what is ambient and what is bounding of three, whether it
/// may not trust its environment, whether it is dumpable. It says so if that is not what it was told to find.
fn show(start: &Start) -> i32 {
    let [real, effective, saved] = sys::getresuid().unwrap_or([9; 3]);
    let sets = sys::capget(0).unwrap_or_default();
    let three = |ask: fn(usize) -> sys::Result<bool>| {
        [CHOWN, KILL, SYS_ADMIN].iter().fold(0, |bits, &which| bits << 1 | u32::from(ask(which) == Ok(true)))
    };
    let found = text!(
        160,
        "{real}/{effective}/{saved} {:x}/{:x}/{:x} {:03b} {:03b} {} {}",
        sets.effective,
        sets.permitted,
        sets.inheritable,
        three(sys::ambient),
        three(sys::bounding),
        start.aux(AT_SECURE).unwrap_or(9),
        u32::from(sys::dumpable() == Ok(true))
    );
    if start.arg(2) == Some(&found) {
        return 0;
    }
    println!("found {found}, expected {}", start.arg(2).unwrap_or("nothing"));
    1
}

/// Whether what `before` leads to executes `path` and finds what is expected.
fn executes(checks: &mut Checks, sentence: &str, path: &CStr, expected: &CStr, before: impl FnOnce() -> bool) {
    checks.succeeds(sentence, || {
        if !before() {
            return 2;
        }
        println!("{sentence}: {}", sys::execve(path, &[path, c"show", expected], &[]));
        3
    });
}

fn calls(checks: &mut Checks) {
    checks.equal("root has all capabilities", sys::capget(0), Ok(sets(ALL, ALL, 0)));
    checks.equal("those of others can be asked for", sys::capget(1).map(|sets| sets.permitted), Ok(ALL));
    checks.equal("but not of who is not there", sys::capget(0x3fff_fff0), Err(Errno::ESRCH));
    checks.equal("nor set", sys::capset(1, sets(0, 0, 0)), Err(Errno::EPERM));
    checks.equal("an unknown version is told the newest", sys::capability_version(1), Ok(0x2008_0522));
    checks.succeeds("capset takes and does not give", || {
        let less = sets(bit(KILL), bit(KILL) | bit(CHOWN), 0);
        let set = sys::capset(0, less) == Ok(()) && sys::capget(0) == Ok(less);
        let more = sys::capset(0, sets(0, ALL, 0)) == Err(Errno::EPERM);
        let beyond = sys::capset(0, sets(bit(CHOWN) | bit(KILL), bit(KILL), 0)) == Err(Errno::EPERM);
        let inherited = sys::capset(0, sets(0, bit(KILL), bit(SYS_ADMIN))) == Err(Errno::EPERM);
        i32::from(!(set && more && beyond && inherited && sys::capget(0) == Ok(less)))
    });
    checks.succeeds("what is not effective does not count", || {
        let without = sys::capset(0, sets(ALL & !bit(SYS_ADMIN), ALL, 0));
        let refused = sys::sethostname(b"x");
        let with = sys::capset(0, sets(ALL, ALL, 0));
        i32::from((without, refused, with) != (Ok(()), Err(Errno::EPERM), Ok(())) || sys::sethostname(b"x").is_err())
    });
    checks.succeeds("what the bounding set lost is lost", || {
        let dropped = sys::drop_bounding(SYS_ADMIN) == Ok(()) && sys::bounding(SYS_ADMIN) == Ok(false);
        let inherited = sys::capset(0, sets(ALL, ALL, bit(SYS_ADMIN))) == Err(Errno::EPERM);
        i32::from(!dropped || !inherited || sys::capget(0).map(|sets| sets.effective) != Ok(ALL))
    });
    checks.equal("capability 41 is none", sys::bounding(41), Err(Errno::EINVAL));
    checks.equal("nor is 64", sys::drop_bounding(64), Err(Errno::EINVAL));
    checks.succeeds("without CAP_SETPCAP the bounding set stays", || {
        let without = sys::capset(0, sets(ALL & !bit(SETPCAP), ALL, 0));
        i32::from(without.is_err() || sys::drop_bounding(KILL) != Err(Errno::EPERM))
            | i32::from(sys::set_securebits(NOROOT) != Err(Errno::EPERM)) << 1
    });
    checks.succeeds("the ambient set is within permitted and inheritable", || {
        let early = sys::raise_ambient(KILL) == Err(Errno::EPERM);
        let raised = sys::capset(0, sets(ALL, ALL, bit(KILL))).and_then(|()| sys::raise_ambient(KILL));
        let there = sys::ambient(KILL) == Ok(true);
        let lowered = sys::capset(0, sets(ALL, ALL, 0)).and_then(|()| sys::ambient(KILL)) == Ok(false);
        i32::from(!early || raised.is_err() || !there || !lowered)
    });
    checks.succeeds("securebits forbid to raise it, and stay when they are locked", || {
        let locked = NO_CAP_AMBIENT_RAISE | NO_CAP_AMBIENT_RAISE << 1;
        let set = sys::set_securebits(locked).and_then(|()| sys::capset(0, sets(ALL, ALL, bit(KILL))));
        let refused = sys::raise_ambient(KILL) == Err(Errno::EPERM);
        i32::from(set.is_err() || !refused || sys::set_securebits(0) != Err(Errno::EPERM))
            | i32::from(sys::securebits() != Ok(locked)) << 1
    });
}

fn executions(checks: &mut Checks) {
    let plain = c"plain";
    executes(checks, "root keeps all", plain, c"0/0/0 1ffffffffff/1ffffffffff/0 000 111 0 1", || true);
    executes(
        checks,
        "a smaller bounding set binds root",
        plain,
        c"0/0/0 1ffffdfffdf/1ffffdfffdf/0 000 100 0 1",
        || sys::drop_bounding(SYS_ADMIN).and(sys::drop_bounding(KILL)).is_ok(),
    );
    executes(checks, "a user has none", plain, c"1000/1000/1000 0/0/0 000 111 0 1", drop_rights);
    executes(
        checks,
        "set-user-id makes root",
        c"setuid",
        c"1000/0/0 1ffffffffff/1ffffffffff/0 000 111 1 0",
        drop_rights,
    );
    executes(checks, "within the bounding set", c"setuid", c"1000/0/0 1ffffdfffff/1ffffdfffff/0 000 110 1 0", || {
        sys::drop_bounding(SYS_ADMIN).is_ok() && drop_rights()
    });
    executes(checks, "no_new_privs: set-user-id makes nothing", c"setuid", c"1000/1000/1000 0/0/0 000 111 0 1", || {
        drop_rights() && sys::set_no_new_privs().is_ok()
    });
    executes(checks, "no_new_privs: root regains nothing", plain, c"0/0/0 20/20/0 000 111 0 1", || {
        sys::set_no_new_privs().is_ok() && sys::capset(0, sets(0, bit(KILL), 0)).is_ok()
    });
    checks.succeeds("no_new_privs is for ever", || {
        let set = sys::set_no_new_privs().is_ok() && sys::unset_no_new_privs() == Err(Errno::EINVAL);
        i32::from(!set || sys::no_new_privs() != Ok(true))
            | sys::spawn(|| i32::from(sys::no_new_privs() != Ok(true))).map_or(2, |_| 0)
    });
    checks.equal("on a nosuid mount", sys::mount(c"x", c"nosuid", c"tmpfs", MS_NOSUID, None), Ok(()));
    copy_file(c"/bin/privileges", c"nosuid/setuid", 0o755).expect("a copy");
    sys::chmod(c"nosuid/setuid", 0o4755).expect("chmod");
    executes(checks, "set-user-id means nothing", c"nosuid/setuid", c"1000/1000/1000 0/0/0 000 111 0 1", drop_rights);
    executes(checks, "ambient capabilities stay", plain, c"1000/1000/1000 20/20/20 010 111 0 1", keep_kill);
    executes(checks, "until ids are set", c"other", c"1000/2000/2000 0/0/20 000 111 1 0", keep_kill);
    executes(checks, "inheritable ones alone give nothing", plain, c"1000/1000/1000 0/0/20 000 111 0 1", || {
        keep_kill() && sys::clear_ambient().is_ok()
    });
    executes(checks, "NOROOT: root is a user like others", plain, c"0/0/0 0/0/0 000 111 0 1", || {
        sys::set_securebits(NOROOT).is_ok()
    });
    executes(
        checks,
        "a program that cannot be read is not dumpable",
        c"closed",
        c"1000/1000/1000 0/0/0 000 111 0 0",
        drop_rights,
    );
}

/// Becomes a user who has CAP_KILL in all sets.
fn keep_kill() -> bool {
    let kill = bit(KILL);
    sys::set_securebits(KEEP_CAPS).is_ok()
        && drop_rights()
        && sys::capset(0, sets(kill, kill, kill)).is_ok()
        && sys::raise_ambient(KILL).is_ok()
}

fn users(checks: &mut Checks) {
    checks.succeeds("leaving root for good clears permitted and effective", || {
        i32::from(!drop_rights() || sys::capget(0) != Ok(sets(0, 0, 0)))
    });
    checks.succeeds("PR_SET_KEEPCAPS keeps what is permitted", || {
        let kept = sys::set_keep_capabilities(1).is_ok() && drop_rights();
        let permitted = sys::capget(0) == Ok(sets(0, ALL, 0));
        i32::from(!kept || !permitted || sys::sethostname(b"x") != Err(Errno::EPERM))
    });
    checks.equal("it takes 0 or 1", sys::set_keep_capabilities(2), Err(Errno::EINVAL));
    checks.succeeds("setfsuid tells the id before, and takes the rights over files along", || {
        let before = sys::setfsuid(USER);
        let now = sys::setfsuid(u32::MAX);
        let chown = sys::capget(0).map(|sets| sets.effective & bit(CHOWN));
        let back = (sys::setfsuid(0), sys::capget(0).map(|sets| sets.effective));
        i32::from((before, now, chown, back) != (0, USER, Ok(0), (USER, Ok(ALL))))
    });
}

fn guards(checks: &mut Checks) {
    checks.equal("a program that may be read is dumpable", sys::dumpable(), Ok(true));
    checks.succeeds("it can close itself", || {
        i32::from(
            sys::set_dumpable(0).is_err() || sys::dumpable() != Ok(false) || sys::set_dumpable(2) != Err(Errno::EINVAL),
        )
    });
    checks.succeeds("who changes his effective user is closed", || {
        i32::from(sys::setresuid(u32::MAX, USER, u32::MAX).is_err() || sys::dumpable() != Ok(false))
    });
    checks.succeeds("a process is sent the signal it asked for when its parent ends", || {
        let (ready, told) = sys::pipe(0).expect("a pipe");
        let parent = sys::spawn(|| {
            let child = sys::spawn(|| {
                let asked = sys::set_death_signal(SIGUSR1).is_ok() && sys::death_signal() == Ok(SIGUSR1);
                let _ = sys::write(told, &[u8::from(asked)]);
                loop {
                    // Nothing ends this but a signal; nobody else holds the pipe then.
                    let _ = sys::sleep(1_000_000_000);
                }
            });
            let mut byte = [0];
            i32::from(child.is_err() || sys::read(ready, &mut byte) != Ok(1) || byte != [1])
        });
        let ended = parent.and_then(wait_for);
        let _ = sys::close(told);
        i32::from(ended != Ok(WaitStatus::Exited(0)) || sys::read(ready, &mut [0]) != Ok(0))
    });
    checks.equal("signal 65 is none", sys::set_death_signal(65), Err(Errno::EINVAL));
}

fn children(checks: &mut Checks) {
    let clone = |args: CloneArgs| match sys::clone3(args)? {
        0 => sys::exit(0),
        pid => Ok(pid),
    };
    let plain = CloneArgs { exit_signal: u64::from(SIGCHLD), ..CloneArgs::default() };
    let made = clone(plain);
    checks.equal("clone3 makes a child", made.and_then(wait_for), Ok(WaitStatus::Exited(0)));
    checks.equal(
        "an older, shorter structure too",
        clone(CloneArgs { size: 64, ..plain }).and_then(wait_for),
        Ok(WaitStatus::Exited(0)),
    );
    checks.equal(
        "a longer one with nothing in it",
        clone(CloneArgs { size: 96, ..plain }).and_then(wait_for),
        Ok(WaitStatus::Exited(0)),
    );
    let refused = |args| clone(args).map(|_| ());
    checks.equal("with something in it E2BIG", refused(CloneArgs { size: 96, beyond: 1, ..plain }), Err(Errno::E2BIG));
    checks.equal("one that is too short EINVAL", refused(CloneArgs { size: 56, ..plain }), Err(Errno::EINVAL));
    checks.equal("a flag without an effect EINVAL", refused(CloneArgs { flags: 1 << 40, ..plain }), Err(Errno::EINVAL));
    checks.equal(
        "a signal in the flags EINVAL",
        refused(CloneArgs { flags: u64::from(SIGTERM), ..plain }),
        Err(Errno::EINVAL),
    );
    checks.equal("signal 65 EINVAL", refused(CloneArgs { exit_signal: 65, ..plain }), Err(Errno::EINVAL));
    let numbered = |number| CloneArgs { numbers: [number, 0], numbers_count: 1, ..plain };
    let chosen = clone(numbered(4242));
    checks.equal("root chooses a pid", chosen, Ok(4242));
    checks.equal("and waits for it", chosen.and_then(wait_for), Ok(WaitStatus::Exited(0)));
    checks.equal("a pid that is taken is EEXIST", refused(numbered(1)), Err(Errno::EEXIST));
    checks.equal("one that is none EINVAL", refused(numbered(0)), Err(Errno::EINVAL));
    let two = CloneArgs { numbers_count: 2, ..numbered(4242) };
    checks.equal("more than there are namespaces EINVAL", refused(two), Err(Errno::EINVAL));
    checks
        .succeeds("others do not choose", || i32::from(!drop_rights() || refused(numbered(4242)) != Err(Errno::EPERM)));
    const CLONE_PARENT: u64 = 0x8000;
    checks.succeeds("CLONE_PARENT makes a sibling", || {
        let Ok(middle) = sys::spawn(|| {
            let sibling = clone(CloneArgs { flags: CLONE_PARENT, ..CloneArgs::default() });
            let mine = sibling.and_then(wait_for);
            i32::from(sibling.is_err() || mine != Err(Errno::ECHILD))
        }) else {
            return 9;
        };
        let first = sys::wait4(-1, 0);
        let second = sys::wait4(-1, 0);
        let ended = first == Ok((middle, 0)) || second == Ok((middle, 0));
        i32::from(!ended || second.map(|(_, status)| status) != Ok(0) || sys::wait4(-1, 0) != Err(Errno::ECHILD))
    });
    let own_signal = CloneArgs { flags: CLONE_PARENT, ..plain };
    checks.equal("which has no signal of its own", refused(own_signal), Err(Errno::EINVAL));
}
