//! Inside a container: it is pid 1 under its own name, and nothing outside can be signalled, seen or commanded.
//!
//! Arguments: the host name to expect, then a pid outside that must not be reached.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{SIGKILL, SIGTERM, WNOHANG};
use veridian_containers::Signal;
use veridian_containers::abi::{Call, CreateFlags, Errno, WaitStatus};
use veridian_userland::check::{Checks, wait_for};
use veridian_userland::program;
use veridian_userland::sys::{self, RawArg, Start, text_of};

program!(main);

fn main(start: &Start) -> i32 {
    let mut checks = Checks::new();
    let expected = start.arg(1).unwrap_or("inside");
    checks.equal("this is pid 1", sys::getpid(), 1);
    checks.equal("without a parent", sys::getppid(), 0);
    checks.equal("in a session of its own", sys::getsid(0).is_ok(), true);
    names(&mut checks, expected);
    descriptors(&mut checks);
    signals(&mut checks);
    container_calls(&mut checks);
    checks.finish()
}

fn names(checks: &mut Checks, expected: &str) {
    let Some(found) = checks.value("uname", sys::uname()) else { return };
    checks.equal("the host name is the container's", text_of(&found.nodename), expected);
    checks.equal("without CAP_SYS_ADMIN it stays", sys::sethostname(b"changed-inside"), Err(Errno::EPERM));
}

/// The first process has descriptors 0, 1 and 2 and no other.
fn descriptors(checks: &mut Checks) {
    let open = (0..1024).filter(|&fd| sys::fcntl(fd, linux_raw_sys::general::F_GETFD, 0).is_ok());
    checks.equal("the descriptors are 0, 1 and 2", open.sum::<i32>(), 3);
}

/// Every pid there can be, and the wild cards.
fn signals(checks: &mut Checks) {
    let child = sys::spawn(|| {
        loop {
            sys::sched_yield();
        }
    });
    let Some(child) = checks.value("a child", child) else { return };
    let reached = (1..=65535).filter(|&pid| sys::kill(pid, 0).is_ok());
    checks.equal("of all pids only its own two exist", reached.sum::<i32>(), 1 + child);
    let killed = (1..=65535).filter(|&pid| sys::kill(pid, SIGKILL).is_ok());
    checks.equal("SIGKILL to every number reaches those two", killed.sum::<i32>(), 1 + child);
    checks.equal("the child dies of it", wait_for(child), Ok(WaitStatus::Signaled(Signal::SIGKILL)));
    checks.equal("pid 1 does not: no one inside can kill it", sys::getpid(), 1);
    checks.equal("kill(-1) finds no one else", sys::kill(-1, SIGKILL), Err(Errno::ESRCH));
    checks.equal("SIGTERM to itself does nothing either", sys::kill(1, SIGTERM), Ok(()));
    checks.equal("there is no child left", sys::wait4(-1, WNOHANG), Err(Errno::ECHILD));
}

/// A container may not make or command containers.
fn container_calls(checks: &mut Checks) {
    let config = b"process_arg=/bin/hello\n";
    let made = sys::container_create(config, b"inner", sys::AT_FDCWD, CreateFlags::empty(), &mut [0; 64]);
    checks.equal("container_create is EPERM", made.map_err(|(errno, _)| errno), Err(Errno::EPERM));
    checks.equal("container_list is EPERM", sys::container_list(0).map(|_| ()), Err(Errno::EPERM));
    for call in [Call::Start, Call::Kill, Call::Delete] {
        for fd in 0..16 {
            let answer = sys::raw_container_call(call, &[RawArg::Number(fd), RawArg::Number(0), RawArg::Number(0)]);
            let refused = matches!(answer, Err(Errno::EPERM | Errno::EBADF | Errno::EINVAL));
            checks.holds(format_args!("{} of descriptor {fd} is refused: {answer:?}", call.name()), refused);
        }
    }
}
