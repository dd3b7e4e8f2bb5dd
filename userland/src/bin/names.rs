//! Plain: host names and pid namespaces by unshare(2).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{CLONE_NEWPID, CLONE_NEWUTS, SIGKILL, SIGTERM};
use veridian_containers::Signal;
use veridian_containers::abi::{Errno, WaitStatus};
use veridian_userland::check::{Checks, in_child, wait_for};
use veridian_userland::program;
use veridian_userland::sys::{self, Start, text_of};

program!(main);

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    checks.succeeds("host names", host_names);
    checks.succeeds("pid namespaces", pids);
    checks.succeeds("SIGKILL from outside ends a pid 1", || {
        let first = sys::unshare(CLONE_NEWPID).and_then(|()| {
            sys::spawn(|| {
                loop {
                    // Nothing ends this but a signal.
                    let _ = sys::sleep(1_000_000_000);
                }
            })
        });
        let end = first.and_then(|first| sys::kill(first, SIGKILL).and_then(|()| wait_for(first)));
        i32::from(end != Ok(WaitStatus::Signaled(Signal::SIGKILL)))
    });
    checks.equal("unknown kinds are EINVAL", sys::unshare(1), Err(Errno::EINVAL));
    checks.finish()
}

fn is_called(name: &str) -> bool {
    sys::uname().is_ok_and(|names| text_of(&names.nodename) == name)
}

fn host_names() -> i32 {
    let mut checks = Checks::new();
    checks.equal("a host name of its own", sys::unshare(CLONE_NEWUTS), Ok(()));
    checks.equal("can be set", sys::sethostname(b"first").map(|()| is_called("first")), Ok(true));
    checks.succeeds("a child shares it", || i32::from(!is_called("first") || sys::sethostname(b"second").is_err()));
    checks.equal("and can set it for its parent", is_called("second"), true);
    checks.succeeds("a child with its own", || {
        let set = sys::unshare(CLONE_NEWUTS).map(|()| is_called("second")).and_then(|_| sys::sethostname(b"third"));
        i32::from(set.is_err() || !is_called("third"))
    });
    checks.equal("sets it for itself alone", is_called("second"), true);
    checks.equal("64 bytes are a name", sys::sethostname(&[b'n'; 64]), Ok(()));
    checks.equal("65 are EINVAL", sys::sethostname(&[b'n'; 65]), Err(Errno::EINVAL));
    checks.equal("it may be empty", sys::sethostname(b"").map(|()| is_called("")), Ok(true));
    checks.succeeds("who is not root may not set it", || {
        i32::from(sys::setresuid(9, 9, 9).is_err() || sys::sethostname(b"x") != Err(Errno::EPERM))
    });
    let names = sys::uname().map(|names| (text_of(&names.sysname) == "Linux", text_of(&names.machine) == sys::MACHINE));
    checks.equal("sysname and machine are what programs expect", names, Ok((true, true)));
    checks.finish()
}

fn pids() -> i32 {
    let mut checks = Checks::new();
    let outside = sys::getpid();
    checks.equal("the next children have pids of their own", sys::unshare(CLONE_NEWPID), Ok(()));
    checks.equal("this process keeps its own", sys::getpid(), outside);
    checks.succeeds("the first of them", || {
        let mut checks = Checks::new();
        checks.equal("is pid 1", sys::getpid(), 1);
        checks.equal("has no parent there", sys::getppid(), 0);
        checks.equal("cannot reach who made it", sys::kill(outside.max(1000), 0), Err(Errno::ESRCH));
        let child = sys::spawn(|| i32::from(sys::getpid() != 2 || sys::getppid() != 1));
        checks.equal("has a child 2", child, Ok(2));
        checks.equal("which knows", sys::wait4(2, 0), Ok((2, 0)));
        checks.equal("is not ended by its own SIGTERM", sys::kill(1, SIGTERM), Ok(()));
        checks.equal("nor by its own SIGKILL", sys::kill(1, SIGKILL), Ok(()));
        checks.succeeds("nor by its child's", || i32::from(sys::kill(1, SIGKILL).is_err()));
        // It ends, and takes this one with it: else the probe would wait for ever.
        let left = sys::spawn(|| {
            loop {
                let _ = sys::sleep(1_000_000_000);
            }
        });
        checks.equal("leaves a child behind", left.is_ok(), true);
        checks.finish()
    });
    checks.equal("after its end no one can be made there: ENOMEM", in_child(|| 0), Err(Errno::ENOMEM));
    checks.finish()
}
