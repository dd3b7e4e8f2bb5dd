//! Plain: clocks, sleeping, random bytes, what the kernel tells of itself; and that processes take turns.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::ffi::CStr;
use linux_raw_sys::general::{__NR_clock_nanosleep, __NR_nanosleep, CLONE_NEWTIME, O_RDONLY, SIGKILL};
use linux_raw_sys::general::{CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_REALTIME, GRND_NONBLOCK, TIMER_ABSTIME};
use veridian_containers::abi::{Errno, WaitStatus};
use veridian_userland::check::{Checks, enter_scratch, in_child, read_text, wait_for, write_text};
use veridian_userland::sys::{self, RawArg, Region, Start};
use veridian_userland::{program, text};

program!(main);

/// Nanoseconds in a millisecond.
const MILLISECOND: u64 = 1_000_000;

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    time(&mut checks);
    refusals(&mut checks);
    turns(&mut checks);
    let (mut first, mut second) = ([0; 64], [0; 64]);
    checks.equal("getrandom", sys::getrandom(&mut first, 0), Ok(64));
    checks.equal("again", sys::getrandom(&mut second, GRND_NONBLOCK), Ok(64));
    checks.holds("gives other bytes", first != second && first != [0; 64]);
    checks.equal("unknown flags are EINVAL", sys::getrandom(&mut first, 0x100), Err(Errno::EINVAL));
    information(&mut checks);
    namespaces(&mut checks);
    checks.finish()
}

fn time(checks: &mut Checks) {
    for (name, clock) in
        [("CLOCK_MONOTONIC", CLOCK_MONOTONIC), ("CLOCK_REALTIME", CLOCK_REALTIME), ("CLOCK_BOOTTIME", CLOCK_BOOTTIME)]
    {
        let mut last = 0;
        let forward = (0..1000).all(|_| {
            let now = sys::clock(clock).unwrap_or(0);
            let forward = now > 0 && now >= last;
            last = now;
            forward
        });
        checks.holds(format_args!("{name} does not go back"), forward);
    }
    let begin = sys::now();
    checks.equal("sleep", sys::sleep(30 * MILLISECOND), Ok(()));
    let slept = sys::now() - begin;
    checks.holds(
        format_args!("takes 30 ms, and not seconds: {slept} ns"),
        (30 * MILLISECOND..5000 * MILLISECOND).contains(&slept),
    );
    let until = sys::now() + 20 * MILLISECOND;
    checks.equal("sleep until", sys::clock_sleep(CLOCK_MONOTONIC, TIMER_ABSTIME, until), Ok(()));
    checks.holds("is until then", sys::now() >= until);
    checks.equal("what is past is not waited for", sys::clock_sleep(CLOCK_MONOTONIC, TIMER_ABSTIME, 1), Ok(()));
    // Sleepers sleep at the same time; now and then the machine itself has pauses.
    let mut slept = 0;
    let together = (0..5).any(|_| {
        let begin = sys::now();
        let sleepers = [(); 8].map(|()| sys::spawn(|| i32::from(sys::sleep(100 * MILLISECOND).is_err())));
        for sleeper in sleepers {
            checks.equal("a sleeper wakes", sleeper.and_then(wait_for), Ok(WaitStatus::Exited(0)));
        }
        slept = sys::now() - begin;
        (100 * MILLISECOND..790 * MILLISECOND).contains(&slept)
    });
    checks.holds(format_args!("eight sleep 100 ms together: {slept} ns"), together);
}

/// Time namespaces: made, set, entered by children, joined.
fn namespaces(checks: &mut Checks) {
    enter_scratch();
    let procfs = sys::mkdir(c"/tmp/p", 0o755).and(sys::mount(c"proc", c"/tmp/p", c"proc", 0, None));
    checks.equal("procfs is mounted", procfs, Ok(()));
    const OFFSETS: &CStr = c"/tmp/p/self/timens_offsets";
    const HOUR: u64 = 3600 * 1000 * MILLISECOND;
    let ahead = |clock: u32, by: u64| sys::clock(clock).is_ok_and(|now| (by..by + HOUR).contains(&now));
    checks.succeeds("a time namespace is its maker's children's", || {
        let made = sys::unshare(CLONE_NEWTIME);
        let set = write_text(OFFSETS, "monotonic 36000 0\nboottime 72000 5\n");
        let told = read_text::<128>(OFFSETS);
        let told = told
            .is_ok_and(|told| told.split_ascii_whitespace().eq(["monotonic", "36000", "0", "boottime", "72000", "5"]));
        if made.is_err() || set.is_err() || !told || !ahead(CLOCK_MONOTONIC, 0) {
            return 1;
        }
        let child = in_child(|| {
            let shown = ahead(CLOCK_MONOTONIC, 10 * HOUR) && ahead(CLOCK_BOOTTIME, 20 * HOUR);
            // What is awaited is what the clock shows in here.
            let until = sys::now() + 20 * MILLISECOND;
            let slept = sys::clock_sleep(CLOCK_MONOTONIC, TIMER_ABSTIME, until);
            let on_time = (until..until + HOUR).contains(&sys::now());
            let uptime = read_text::<32>(c"/tmp/p/uptime");
            let uptime = uptime
                .is_ok_and(|told| told.split('.').next().is_some_and(|s| s.parse().is_ok_and(|s: u64| s >= 72_000)));
            i32::from(!shown || slept.is_err() || !on_time || !uptime)
        });
        // Somebody has been in it: it is set for good.
        let late = write_text(OFFSETS, "monotonic 1 0\n");
        i32::from(child != Ok(WaitStatus::Exited(0)) || late != Err(Errno::EACCES)) * 2
    });
    checks.holds("clocks outside go on", ahead(CLOCK_MONOTONIC, 0));
    checks.succeeds("one that is joined is the children's too", || {
        let (from, to) = sys::pipe(0).expect("a pipe");
        let holder = sys::spawn(|| {
            let made = sys::unshare(CLONE_NEWTIME).and_then(|()| write_text(OFFSETS, "monotonic 36000 0\n"));
            let inner = sys::spawn(|| {
                let _ = sys::write(to, b"x");
                let _ = sys::sleep(60_000 * MILLISECOND);
                0
            });
            i32::from(made.and(inner).and_then(wait_for).is_err())
        });
        let Ok(holder) = holder else { return 1 };
        let _ = sys::read(from, &mut [0]);
        let path = text!(64, "/tmp/p/{holder}/ns/time_for_children\0");
        let path = CStr::from_bytes_until_nul(path.as_bytes()).expect("a NUL at its end");
        let joined = sys::open(path, O_RDONLY).and_then(|file| sys::setns(file, CLONE_NEWTIME));
        let shown = in_child(|| i32::from(!ahead(CLOCK_MONOTONIC, 10 * HOUR)));
        let _ = sys::kill(holder, SIGKILL);
        i32::from(joined.is_err() || shown != Ok(WaitStatus::Exited(0))) * 2
    });
    checks.succeeds("a clock is not set before its beginning", || {
        let made = sys::unshare(CLONE_NEWTIME);
        i32::from(made.is_err() || write_text(OFFSETS, "monotonic -999999999 0\n") != Err(Errno::ERANGE))
    });
    checks.succeeds("who has no rights makes none", || {
        let other = sys::setresuid(7, 7, 7);
        i32::from(other.is_err() || sys::unshare(CLONE_NEWTIME) != Err(Errno::EPERM))
    });
}

fn refusals(checks: &mut Checks) {
    checks.equal("an unknown clock is EINVAL", sys::clock(99), Err(Errno::EINVAL));
    let memory = Region::anonymous(4096).expect("memory");
    for (seconds, nanoseconds) in [(-1_i64, 0_i64), (0, -1), (0, 1_000_000_000)] {
        memory.fill(0, &seconds.to_le_bytes());
        memory.fill(8, &nanoseconds.to_le_bytes());
        let time = RawArg::Region(&memory, 0);
        let zero = RawArg::Number(0);
        let what = format_args!("{seconds} s and {nanoseconds} ns are EINVAL");
        checks.equal(what, sys::raw_call(__NR_nanosleep, &[time, zero]), Err(Errno::EINVAL));
        checks.equal(
            "for both calls",
            sys::raw_call(__NR_clock_nanosleep, &[RawArg::Number(1), zero, time, zero]),
            Err(Errno::EINVAL),
        );
    }
}

/// Processes that never give way do not keep others from running.
fn turns(checks: &mut Checks) {
    let spinners = [(); 8].map(|()| {
        sys::spawn(|| {
            loop {
                core::hint::spin_loop();
            }
        })
    });
    let begin = sys::now();
    checks.equal("with eight that spin, a new process runs", in_child(|| 5), Ok(WaitStatus::Exited(5)));
    checks.equal(
        "and one that sleeps wakes",
        in_child(|| i32::from(sys::sleep(MILLISECOND).is_err())),
        Ok(WaitStatus::Exited(0)),
    );
    let waited = sys::now() - begin;
    checks.holds(format_args!("within seconds: {waited} ns"), waited < 5000 * MILLISECOND);
    for spinner in spinners {
        let ended = spinner.and_then(|pid| sys::kill(pid, SIGKILL).and_then(|()| wait_for(pid)));
        checks.equal("one that spins can be ended", ended.map(|end| end.shell_status()), Ok(137));
    }
}

fn information(checks: &mut Checks) {
    let Some(info) = checks.value("sysinfo", sys::sysinfo()) else { return };
    checks.holds("there is memory", info.mem_unit > 0 && info.totalram > 0);
    checks.holds("some of it is free", info.freeram > 0 && info.freeram < info.totalram);
    checks.holds("and there are processes", info.procs > 0);
    let child = sys::spawn(|| {
        loop {
            let _ = sys::sleep(1000 * MILLISECOND);
        }
    });
    let count = sys::sysinfo().map_or(0, |info| info.procs);
    checks.equal("a child counts as a process", count, info.procs + 1);
    let ended = child.and_then(|pid| sys::kill(pid, SIGKILL).and_then(|()| wait_for(pid)));
    checks.equal("until it ends", ended.map(|_| sys::sysinfo().map_or(0, |info| info.procs)), Ok(info.procs));
    checks.holds("no one but this process: getpid and gettid agree", sys::getpid() == sys::gettid());
}
