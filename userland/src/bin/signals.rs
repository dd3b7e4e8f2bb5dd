//! Plain: exit statuses, the signals that end a process, and what the calls that wait for children say.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general as linux;
use linux_raw_sys::general::{SIG_BLOCK, SIG_UNBLOCK, SIGKILL, SIGTERM, SIGUSR1, WEXITED, WNOHANG, WNOWAIT};
use veridian_containers::Signal;
use veridian_containers::abi::{Errno, WaitStatus};
use veridian_userland::check::{Checks, wait_for};
use veridian_userland::program;
use veridian_userland::sys::{self, Pid, Start, Wild};

program!(main);

/// Signals whose default is to end the process.
const FATAL: &[u32] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 24, 25, 26, 27, 29, 30, 31, 34, 64];
/// Signals whose default is to do nothing.
const HARMLESS: &[u32] = &[17, 18, 23, 28];

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    for (given, expected) in [(0, 0), (1, 1), (42, 42), (127, 127), (255, 255), (256, 0), (-1, 255)] {
        checks.ends(format_args!("exit({given}) is status {expected}"), WaitStatus::Exited(expected), || given);
    }
    for &number in FATAL {
        let Some(signal) = Signal::new(number) else { continue };
        checks.ends(format_args!("{signal} ends a process"), WaitStatus::Signaled(signal), || signal_itself(number));
    }
    for &number in HARMLESS {
        checks.succeeds(format_args!("signal {number} does nothing"), || signal_itself(number));
    }
    faults(&mut checks);
    dispositions(&mut checks);
    kill(&mut checks);
    wait(&mut checks);
    orphan(&mut checks);
    checks.finish()
}

fn signal_itself(signal: u32) -> i32 {
    i32::from(sys::kill(sys::getpid(), signal).is_err())
}

/// What the processor refuses becomes a signal.
fn faults(checks: &mut Checks) {
    checks.ends("an illegal instruction is SIGILL", WaitStatus::Signaled(Signal::SIGILL), || {
        sys::illegal_instruction();
        0
    });
    for wild in Wild::ALL {
        checks.segfaults(format_args!("a read at {wild:?} is SIGSEGV"), || {
            core::hint::black_box(wild.read());
        });
        checks.segfaults(format_args!("a write at {wild:?} is SIGSEGV"), || wild.write());
        // Some machines fault on a misaligned jump first.
        if wild.address() % 4 == 0 {
            checks.segfaults(format_args!("a jump to {wild:?} is SIGSEGV"), || wild.execute());
        }
    }
    checks.segfaults("a write to the program's code is SIGSEGV", sys::write_own_text);
    checks.segfaults("a write to its constants is SIGSEGV", sys::write_own_constant);
    checks.segfaults("a stack without end is SIGSEGV", || {
        core::hint::black_box(sys::overflow_stack(0));
    });
}

fn dispositions(checks: &mut Checks) {
    checks.succeeds("an ignored SIGTERM does nothing", || {
        i32::from(sys::ignore_signal(SIGTERM, true).is_err() || signal_itself(SIGTERM) != 0)
    });
    checks.ends("SIG_DFL brings it back", WaitStatus::Signaled(Signal::SIGTERM), || {
        i32::from(sys::ignore_signal(SIGTERM, true).is_err() || sys::ignore_signal(SIGTERM, false).is_err())
            + signal_itself(SIGTERM)
    });
    checks.equal("SIGKILL cannot be ignored", sys::ignore_signal(SIGKILL, true), Err(Errno::EINVAL));
    checks.equal("there is no signal 65", sys::ignore_signal(65, true), Err(Errno::EINVAL));
    checks.succeeds("an ignored signal is ignored after exec", || {
        i32::from(sys::ignore_signal(SIGTERM, true).is_err())
            + i32::from(sys::execve(c"/bin/worker", &[c"worker", c"signal", c"15"], &[]).get())
    });
    let bit = |signal: u32| 1_u64 << (signal - 1);
    checks.succeeds("a blocked signal waits", || {
        i32::from(sys::sigprocmask(SIG_BLOCK, bit(SIGUSR1)).is_err() || signal_itself(SIGUSR1) != 0)
    });
    checks.ends("and comes when it is unblocked", WaitStatus::Signaled(Signal::SIGUSR1), || {
        let _ = sys::sigprocmask(SIG_BLOCK, bit(SIGUSR1));
        signal_itself(SIGUSR1);
        let _ = sys::sigprocmask(SIG_UNBLOCK, bit(SIGUSR1));
        0
    });
    checks.succeeds("the mask can be read back, without SIGKILL", || {
        let _ = sys::sigprocmask(SIG_BLOCK, bit(SIGUSR1) | bit(SIGKILL));
        i32::from(sys::sigprocmask(SIG_BLOCK, 0) != Ok(bit(SIGUSR1)))
    });
}

/// A child that does nothing until it is killed.
fn sleeper() -> Pid {
    let child = sys::spawn(|| {
        loop {
            // Nothing ends this but a signal.
            let _ = sys::sleep(1_000_000_000);
        }
    });
    child.expect("a child")
}

fn kill(checks: &mut Checks) {
    let child = sleeper();
    checks.equal("signal 0 finds a child", sys::kill(child, 0), Ok(()));
    checks.equal("signal 65 is EINVAL", sys::kill(child, 65), Err(Errno::EINVAL));
    checks.equal("no child has ended: wait4 gives 0", sys::wait4(-1, WNOHANG).map(|(pid, _)| pid), Ok(0));
    checks.equal("SIGTERM reaches a sleeper", sys::kill(child, SIGTERM), Ok(()));
    checks.equal("and ends it", wait_for(child), Ok(WaitStatus::Signaled(Signal::SIGTERM)));
    checks.equal("then its pid is gone: ESRCH", sys::kill(child, 0), Err(Errno::ESRCH));
    checks.equal("a pid that no one has is ESRCH", sys::kill(0x3fff_fff0, SIGKILL), Err(Errno::ESRCH));
    let child = sleeper();
    checks.equal("tgkill with another group is ESRCH", sys::tgkill(sys::getpid(), child, 0), Err(Errno::ESRCH));
    checks.equal("tgkill of no one is EINVAL", sys::tgkill(0, 0, 0), Err(Errno::EINVAL));
    checks.equal("tgkill reaches a child", sys::tgkill(child, child, SIGKILL), Ok(()));
    checks.equal("and ends it", wait_for(child), Ok(WaitStatus::Signaled(Signal::SIGKILL)));
    // A group of two, killed at once, without this process.
    let leader = sleeper();
    let member = sleeper();
    let grouped = sys::setpgid(leader, 0).and(sys::setpgid(member, leader));
    checks.equal("children can be put in a group", grouped, Ok(()));
    checks.equal("which getpgid knows", sys::getpgid(member), Ok(leader));
    checks.equal("a negative pid signals the group", sys::kill(-leader, SIGKILL), Ok(()));
    for child in [leader, member] {
        checks.equal("all of it", wait_for(child), Ok(WaitStatus::Signaled(Signal::SIGKILL)));
    }
    checks.ends("a child that spins is killed too", WaitStatus::Exited(0), || {
        let child = sys::spawn(|| {
            loop {
                core::hint::spin_loop();
            }
        });
        let child = child.expect("a child");
        i32::from(sys::kill(child, SIGKILL).is_err() || wait_for(child) != Ok(WaitStatus::Signaled(Signal::SIGKILL)))
    });
}

fn wait(checks: &mut Checks) {
    checks.equal("without a child wait4 is ECHILD", sys::wait4(-1, 0).map(|_| ()), Err(Errno::ECHILD));
    checks.equal("so is waitid", sys::waitid(linux::P_ALL, 0, WEXITED).map(|_| ()), Err(Errno::ECHILD));
    checks.equal("unknown options are EINVAL", sys::wait4(-1, 0x40).map(|_| ()), Err(Errno::EINVAL));
    let child = sys::spawn(|| 6).expect("a child");
    checks.equal("wait4 of someone else's pid is ECHILD", sys::wait4(1, 0).map(|_| ()), Err(Errno::ECHILD));
    // signo, code, pid and status of a `siginfo_t`.
    let fields = |info: [i32; 32]| [info[0], info[2], info[4], info[6]];
    let expected = [linux::SIGCHLD as i32, linux::CLD_EXITED as i32, child, 6];
    let seen = sys::waitid(linux::P_PID, child, WEXITED | WNOWAIT).map(fields);
    checks.equal("waitid tells who exited and how", seen, Ok(expected));
    checks.equal("a child that has ended still has its pid", sys::kill(child, 0), Ok(()));
    let seen = sys::waitid(linux::P_PID, child, WEXITED).map(fields);
    checks.equal("after WNOWAIT it can be waited for again", seen, Ok(expected));
    checks.equal("once", sys::waitid(linux::P_PID, child, WEXITED).map(fields), Err(Errno::ECHILD));
    let child = sys::spawn(|| signal_itself(SIGKILL)).expect("a child");
    let seen = sys::waitid(linux::P_PID, child, WEXITED).map(fields);
    let expected = [linux::SIGCHLD as i32, linux::CLD_KILLED as i32, child, SIGKILL as i32];
    checks.equal("waitid tells who was killed and by what", seen, Ok(expected));
    let mut children = [0; 8];
    for (status, child) in children.iter_mut().enumerate() {
        *child = sys::spawn(|| status as i32).expect("a child");
    }
    for _ in children {
        let ended = sys::wait4(-1, 0);
        let holds = ended
            .is_ok_and(|(pid, status)| children.iter().position(|&child| child == pid) == Some(status as usize >> 8));
        checks.equal("wait4 of any child gives its pid and its status", holds, true);
    }
    checks.succeeds("with SIGCHLD ignored children leave nothing to wait for", || {
        let _ = sys::ignore_signal(linux::SIGCHLD, true);
        let _ = sys::spawn(|| 1);
        i32::from(sys::wait4(-1, 0) != Err(Errno::ECHILD))
    });
}

/// Whose parent ends before it goes to the first process.
fn orphan(checks: &mut Checks) {
    let (told, tell) = sys::pipe(0).expect("a pipe");
    let middle = sys::spawn(|| {
        let parent = sys::getpid();
        let _ = sys::spawn(|| {
            while sys::getppid() == parent {
                sys::sched_yield();
            }
            let _ = sys::write(tell, &[sys::getppid() as u8]);
            0
        });
        0
    });
    checks.equal("the one between ends", wait_for(middle.expect("a child")), Ok(WaitStatus::Exited(0)));
    let mut parent = [0];
    checks.equal("its child tells its new parent", sys::read(told, &mut parent), Ok(1));
    checks.equal("which is pid 1", parent[0], 1);
    checks.equal("and is not this process's child", sys::wait4(-1, WNOHANG).map(|_| ()), Err(Errno::ECHILD));
    checks.equal("the pipe closes", sys::close(told).and(sys::close(tell)), Ok(()));
}
