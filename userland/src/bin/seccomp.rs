//! Hostile: filters of system calls judge every call, go on in children and programs, and cannot be shaken off.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{
    __NR_bpf, __NR_clone, __NR_execve, __NR_getpid, __NR_getppid, __NR_io_uring_setup, __NR_keyctl, __NR_kill,
    __NR_seccomp, __NR_userfaultfd, CLONE_NEWUSER,
};
use linux_raw_sys::ptrace::{AUDIT_ARCH_AARCH64, AUDIT_ARCH_RISCV64, AUDIT_ARCH_X86_64};
use veridian_containers::Signal;
use veridian_containers::abi::{Call, CreateFlags, Errno, WaitStatus};
use veridian_containers::seccomp::bpf::{
    self, ARCHITECTURE, INSTRUCTIONS_MAX, Instruction, JUMP, JUMP_EQUAL, LOAD, NUMBER, RETURN, argument, verdict,
};
use veridian_userland::check::{Checks, in_child};
use veridian_userland::sys::{self, CloneArgs, RawArg, Start, Wild};
use veridian_userland::{driver, program};

program!(main);

const SIGSYS: WaitStatus = match Signal::new(31) {
    Some(signal) => WaitStatus::Signaled(signal),
    None => unreachable!(),
};
const REFUSED: u32 = verdict::ERRNO | Errno::EXDEV.get() as u32;
const ALLOW_ALL: [Instruction; 1] = [ret(verdict::ALLOW)];
const THIS: u32 = if cfg!(target_arch = "x86_64") {
    AUDIT_ARCH_X86_64
} else if cfg!(target_arch = "aarch64") {
    AUDIT_ARCH_AARCH64
} else {
    AUDIT_ARCH_RISCV64
};

fn main(start: &Start) -> i32 {
    if start.arg(1) == Some("inside") {
        return i32::from(call(__NR_getppid) != Err(Errno::EXDEV) || sys::seccomp_mode() != Ok(2));
    }
    match start.arg(1) {
        Some("default") => return by_default(),
        Some("unconfined") => {
            return i32::from(sys::seccomp_mode() != Ok(0) || call(__NR_keyctl) != Err(Errno::ENOSYS));
        }
        Some("rules") => return by_rules(),
        _ => {}
    }
    let mut checks = Checks::new();
    malformed(&mut checks);
    actions(&mut checks);
    precedence(&mut checks);
    architectures(&mut checks);
    arguments(&mut checks);
    inheritance(&mut checks);
    strict(&mut checks);
    bounds(&mut checks);
    containers(&mut checks);
    checks.finish()
}

const fn statement(code: u16, operand: u32) -> Instruction {
    Instruction { code, jump_true: 0, jump_false: 0, operand }
}

const fn ret(value: u32) -> Instruction {
    statement(RETURN, value)
}

const fn unless(operand: u32, skipped: u8) -> Instruction {
    Instruction { code: JUMP_EQUAL, jump_true: 0, jump_false: skipped, operand }
}

/// Returns `value` for a call, and allows all others.
fn on(number: u32, value: u32) -> [Instruction; 4] {
    [statement(LOAD, NUMBER), unless(number, 1), ret(value), ret(verdict::ALLOW)]
}

fn call(number: u32) -> sys::Result<usize> {
    sys::raw_call(number, &[])
}

fn malformed(checks: &mut Checks) {
    let install = |code: &[Instruction]| sys::seccomp_filter(0, code);
    let end = ret(verdict::ALLOW);
    for (what, code) in [
        ("no program", &[][..]),
        ("one without a return at its end", &[statement(LOAD, NUMBER)]),
        ("a jump past the end", &[statement(JUMP, 1), end]),
        ("a jump that wraps around", &[statement(JUMP, u32::MAX), end]),
        ("a branch past the end", &[unless(0, 9), end]),
        ("a load past the data", &[statement(LOAD, 64), end]),
        ("a load between words", &[statement(LOAD, 2), end]),
        ("a load of a packet's bytes", &[statement(0x30, 0), end]),
        ("memory that was never written", &[statement(0x60, 3), end]),
        ("memory past its end", &[statement(0x02, 16), end]),
        ("a division by zero", &[statement(0x34, 0), end]),
        ("a shift by 32", &[statement(0x64, 32), end]),
        ("a remainder, which Linux has not here", &[statement(0x94, 2), end]),
        ("an instruction that does not exist", &[statement(0xffff, 0), end]),
    ] {
        checks.equal(format_args!("{what} is EINVAL"), install(code), Err(Errno::EINVAL));
    }
    checks.equal("4097 instructions are EINVAL", install(&[end; INSTRUCTIONS_MAX + 1]), Err(Errno::EINVAL));
    let raw = |words: [i64; 3]| sys::raw_call(__NR_seccomp, &words.map(RawArg::Number));
    checks.equal("an operation that does not exist is EINVAL", raw([7, 0, 0]), Err(Errno::EINVAL));
    for flag in [8, 16, 32, 1 << 31] {
        let answer = sys::seccomp_filter(flag, &ALLOW_ALL);
        checks.equal(format_args!("flag {flag:#x} is EINVAL"), answer, Err(Errno::EINVAL));
    }
    checks.equal("strict mode with a flag is EINVAL", raw([0, 1, 0]), Err(Errno::EINVAL));
    for wild in Wild::ALL {
        let answer = sys::raw_call(__NR_seccomp, &[RawArg::Number(1), RawArg::Number(0), RawArg::Wild(wild)]);
        checks.equal(format_args!("a program at {wild:?} is EFAULT"), answer, Err(Errno::EFAULT));
    }
    checks.equal("no filter was left of all that", sys::seccomp_mode(), Ok(0));
    checks.succeeds("without CAP_SYS_ADMIN a filter is EACCES", || {
        let dropped = sys::setresuid(1000, 1000, 1000);
        i32::from(dropped.is_err() || install(&ALLOW_ALL) != Err(Errno::EACCES))
    });
    checks.succeeds("unless no program can gain rights any more", || {
        let dropped = sys::setresuid(1000, 1000, 1000).and(sys::set_no_new_privs());
        i32::from(
            dropped.is_err() || install(&on(__NR_getppid, REFUSED)).is_err() || call(__NR_getppid) != Err(Errno::EXDEV),
        )
    });
    for (action, answer) in [
        (verdict::KILL_PROCESS, Ok(())),
        (verdict::KILL_THREAD, Ok(())),
        (verdict::TRAP, Ok(())),
        (verdict::ERRNO, Ok(())),
        (verdict::TRACE, Ok(())),
        (verdict::LOG, Ok(())),
        (verdict::ALLOW, Ok(())),
        (verdict::USER_NOTIF, Err(Errno::EOPNOTSUPP)),
        (0x1234_0000, Err(Errno::EOPNOTSUPP)),
        (verdict::ERRNO | 1, Err(Errno::EOPNOTSUPP)),
    ] {
        checks.equal(format_args!("action {action:#x}"), sys::seccomp_action_available(action), answer);
    }
}

/// How a child ends that calls getppid under these filters: with 0 if the call gave `answer`.
fn under(filters: &[[Instruction; 4]], answer: sys::Result<usize>) -> sys::Result<WaitStatus> {
    in_child(|| {
        for filter in filters {
            if sys::seccomp_filter(0, filter).is_err() {
                return 2;
            }
        }
        i32::from(call(__NR_getppid) != answer)
    })
}

fn actions(checks: &mut Checks) {
    const DONE: sys::Result<WaitStatus> = Ok(WaitStatus::Exited(0));
    let parent = Ok(sys::getpid() as usize);
    for (what, action, answer, end) in [
        ("allow", verdict::ALLOW, parent, DONE),
        ("log allows", verdict::LOG, parent, DONE),
        ("an error is that error", REFUSED, Err(Errno::EXDEV), DONE),
        ("error 0 is success", verdict::ERRNO, Ok(0), DONE),
        ("an error past the last is the last", verdict::ERRNO | 0xffff, Err(Errno::new(4095).expect("")), DONE),
        ("trace without a tracer is ENOSYS", verdict::TRACE | 7, Err(Errno::ENOSYS), DONE),
        ("notify without a supervisor is ENOSYS", verdict::USER_NOTIF, Err(Errno::ENOSYS), DONE),
        ("trap is SIGSYS", verdict::TRAP, parent, Ok(SIGSYS)),
        ("kill is SIGSYS", verdict::KILL_THREAD, parent, Ok(SIGSYS)),
        ("kill of the process too", verdict::KILL_PROCESS, parent, Ok(SIGSYS)),
        ("an action that does not exist kills", 0x1234_0000, parent, Ok(SIGSYS)),
    ] {
        checks.equal(what, under(&[on(__NR_getppid, action)], answer), end);
    }
    checks.succeeds("a trap cannot be ignored or blocked", || {
        let deaf = sys::ignore_signal(31, true).and_then(|()| sys::sigprocmask(0, 1 << 30).map(drop));
        let end = in_child(|| {
            let _ = sys::seccomp_filter(0, &on(__NR_getppid, verdict::TRAP));
            let _ = call(__NR_getppid);
            0
        });
        i32::from(deaf.is_err() || end != Ok(SIGSYS))
    });
}

fn precedence(checks: &mut Checks) {
    let actions = [verdict::KILL_PROCESS, verdict::TRAP, REFUSED, verdict::TRACE, verdict::LOG, verdict::ALLOW];
    let alone = |action| match action {
        verdict::KILL_PROCESS | verdict::TRAP => (Ok(0), Ok(SIGSYS)),
        REFUSED => (Err(Errno::EXDEV), Ok(WaitStatus::Exited(0))),
        verdict::TRACE => (Err(Errno::ENOSYS), Ok(WaitStatus::Exited(0))),
        _ => (Ok(sys::getpid() as usize), Ok(WaitStatus::Exited(0))),
    };
    for pair in actions.windows(2) {
        let (answer, end) = alone(pair[0]);
        let both = [on(__NR_getppid, pair[0]), on(__NR_getppid, pair[1])];
        let turned = [both[1], both[0]];
        let found = [under(&both, answer), under(&turned, answer)];
        checks.equal(format_args!("{:#x} outranks {:#x}", pair[0], pair[1]), found, [end; 2]);
    }
    let newest = [on(__NR_getppid, REFUSED), on(__NR_getppid, verdict::ERRNO | 1)];
    checks.equal("of two errors the newer filter's", under(&newest, Err(Errno::EPERM)), Ok(WaitStatus::Exited(0)));
}

fn architectures(checks: &mut Checks) {
    let only = |architecture| [statement(LOAD, ARCHITECTURE), unless(architecture, 1), ret(verdict::ALLOW), ret(0)];
    for architecture in [AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64, AUDIT_ARCH_RISCV64, 0x4000_0003] {
        let end = if architecture == THIS { WaitStatus::Exited(0) } else { SIGSYS };
        checks.ends(format_args!("only {architecture:#x} may call"), end, || {
            let _ = sys::seccomp_filter(0, &only(architecture));
            0
        });
    }
    // A number of x32, and one that is getppid in its lower half, are not getppid.
    checks.succeeds("a filter sees the number that is called", || {
        let kill = [statement(LOAD, NUMBER), unless(0x4000_0000 | __NR_getppid, 1), ret(REFUSED), ret(verdict::ALLOW)];
        i32::from(
            sys::seccomp_filter(0, &kill).is_err()
                || call(0x4000_0000 | __NR_getppid) != Err(Errno::EXDEV)
                || call(__NR_getppid).is_err(),
        )
    });
}

fn arguments(checks: &mut Checks) {
    checks.succeeds("a filter sees both halves of an argument", || {
        let high = [
            statement(LOAD, NUMBER),
            unless(__NR_kill, 3),
            statement(LOAD, argument(1) + 4),
            unless(7, 1),
            ret(REFUSED),
            ret(verdict::ALLOW),
        ];
        let kill = |second: i64| sys::raw_call(__NR_kill, &[RawArg::Number(0x3fff_fff0), RawArg::Number(second)]);
        i32::from(
            sys::seccomp_filter(0, &high).is_err()
                || kill(7 << 32) != Err(Errno::EXDEV)
                || kill(0) != Err(Errno::ESRCH),
        )
    });
    checks.succeeds("a container call is filtered too", || {
        let list = Call::List.number() as u32;
        i32::from(
            sys::container_list(0).is_err()
                || sys::seccomp_filter(0, &on(list, REFUSED)).is_err()
                || sys::container_list(0).map(drop) != Err(Errno::EXDEV),
        )
    });
    checks.succeeds("fork and exec are filtered too", || {
        let set =
            sys::seccomp_filter(0, &on(__NR_clone, REFUSED)).and(sys::seccomp_filter(0, &on(__NR_execve, REFUSED)));
        i32::from(
            set.is_err()
                || sys::fork() != Err(Errno::EXDEV)
                || sys::execve(c"/bin/hello", &[c"hello"], &[]) != Errno::EXDEV,
        )
    });
}

fn inheritance(checks: &mut Checks) {
    checks.succeeds("a filter goes on in a child and in its program", || {
        let set = sys::prctl_seccomp_filter(&on(__NR_getppid, REFUSED));
        let child = in_child(|| {
            let error = sys::execve(c"/bin/seccomp", &[c"seccomp", c"inside"], &[]);
            100 + i32::from(error.get())
        });
        i32::from(set.is_err() || child != Ok(WaitStatus::Exited(0)))
    });
    checks.succeeds("and cannot be shaken off", || {
        let set = sys::seccomp_filter(1 | 2 | 4, &on(__NR_getppid, REFUSED));
        let allowed = sys::seccomp_filter(0, &ALLOW_ALL);
        let off = sys::set_seccomp_mode(0) == Err(Errno::EINVAL) && sys::set_seccomp_mode(3) == Err(Errno::EINVAL);
        let strict = sys::seccomp_strict() == Err(Errno::EINVAL);
        let refused = call(__NR_getppid) == Err(Errno::EXDEV) && sys::seccomp_mode() == Ok(2);
        i32::from(set.is_err() || allowed.is_err() || !off || !strict || !refused)
    });
    checks.equal("the parent has none of it", sys::seccomp_mode(), Ok(0));
    checks.succeeds("a filter on seccomp itself stops further ones", || {
        let set = sys::seccomp_filter(0, &on(__NR_seccomp, REFUSED));
        i32::from(set.is_err() || sys::seccomp_filter(0, &ALLOW_ALL) != Err(Errno::EXDEV))
    });
}

fn strict(checks: &mut Checks) {
    checks.ends("strict mode leaves read, write and exit", WaitStatus::Exited(7), || {
        if sys::seccomp_strict().is_ok() && sys::write(1, b"").is_ok() {
            sys::exit_thread(7);
        }
        1
    });
    checks.ends("and kills for all else", WaitStatus::Signaled(Signal::SIGKILL), || {
        let _ = sys::seccomp_strict();
        call(__NR_getpid).map_or(2, |_| 0)
    });
}

fn bounds(checks: &mut Checks) {
    checks.succeeds("filters on top of each other are bounded, and judge all the same", || {
        let mut code = [statement(bpf::AND, 0xff); INSTRUCTIONS_MAX];
        code[INSTRUCTIONS_MAX - 1] = ret(verdict::ALLOW);
        let mut count = 0;
        let refusal = loop {
            match sys::seccomp_filter(0, &code) {
                Ok(()) => count += 1,
                Err(errno) => break errno,
            }
        };
        let small = sys::seccomp_filter(0, &on(__NR_getppid, REFUSED));
        let judged = call(__NR_getppid);
        i32::from(refusal != Errno::ENOMEM || count != 7 || small.is_err() || judged != Err(Errno::EXDEV))
    });
}

fn containers(checks: &mut Checks) {
    let end = |more: &str, task: &str| {
        driver::run("filtered", &driver::config(more, &["/bin/seccomp", task])).map(|end| end.status)
    };
    let done = Ok(WaitStatus::Exited(0));
    checks.equal("a configuration that says nothing gets the default profile", end("", "default"), done);
    checks.equal("and one that names it", end("seccomp=default\n", "default"), done);
    checks.equal("none for one that says so", end("seccomp=unconfined\n", "unconfined"), done);
    let rules = "seccomp_default=allow\nseccomp=errno=18:getppid,no_such_call\nseccomp=kill_process:kill:1==9\n";
    checks.equal("rules of a configuration bind", end(rules, "rules"), done);
    let refused =
        driver::create("filtered", &driver::config("seccomp=notify:getppid\n", &["/bin/hello"]), CreateFlags::empty());
    checks.holds("a supervisor is not there to be notified", refused.is_err_and(|(errno, _)| errno == Errno::EINVAL));
    checks.succeeds("a container is held to its creator's filter too", || {
        let set = sys::seccomp_filter(0, &on(__NR_getppid, REFUSED));
        i32::from(set.is_err() || end("seccomp=unconfined\n", "inside") != done)
    });
}

/// In a container with the default profile.
fn by_default() -> i32 {
    let mut checks = Checks::new();
    checks.equal("there is a filter", sys::seccomp_mode(), Ok(2));
    checks.holds("what programs need goes through", call(__NR_getpid).is_ok());
    for (name, number) in [
        ("keyctl", __NR_keyctl),
        ("bpf", __NR_bpf),
        ("userfaultfd", __NR_userfaultfd),
        ("io_uring", __NR_io_uring_setup),
    ] {
        checks.equal(format_args!("{name} is EPERM"), call(number), Err(Errno::EPERM));
    }
    checks.equal("clone3 is ENOSYS", sys::clone3(CloneArgs::default()), Err(Errno::ENOSYS));
    checks.equal("a new user namespace is EPERM", sys::unshare(CLONE_NEWUSER), Err(Errno::EPERM));
    checks.equal("a container call is EPERM", sys::container_list(0).map(drop), Err(Errno::EPERM));
    for number in [0x3ff, 0x7ff, 0x80e, 0x4000_0000 | __NR_getpid] {
        checks.equal(
            format_args!("a call that the profile cannot know is ENOSYS: {number:#x}"),
            call(number),
            Err(Errno::ENOSYS),
        );
    }
    checks.finish()
}

/// In a container where getppid is EXDEV and kill with SIGKILL kills the caller.
fn by_rules() -> i32 {
    let mut checks = Checks::new();
    checks.equal("a call fails as its rule says", call(__NR_getppid), Err(Errno::EXDEV));
    let kill = |signal: i64| sys::raw_call(__NR_kill, &[RawArg::Number(0x3fff_fff0), RawArg::Number(signal)]);
    checks.equal("a condition that does not hold", kill(0), Err(Errno::ESRCH));
    checks.ends("and one that does", SIGSYS, || kill(9).map_or(1, |_| 0));
    checks.finish()
}
