//! Plain: clocks, sleeping, random bytes, what the kernel tells of itself; and that processes take turns.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{__NR_clock_nanosleep, __NR_nanosleep, SIGKILL};
use linux_raw_sys::general::{CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_REALTIME, GRND_NONBLOCK, TIMER_ABSTIME};
use veridian_containers::abi::{Errno, WaitStatus};
use veridian_userland::check::{Checks, in_child, wait_for};
use veridian_userland::program;
use veridian_userland::sys::{self, RawArg, Region, Start};

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
    // Sleepers sleep at the same time.
    let begin = sys::now();
    let sleepers = [(); 8].map(|()| sys::spawn(|| i32::from(sys::sleep(100 * MILLISECOND).is_err())));
    for sleeper in sleepers {
        checks.equal("a sleeper wakes", sleeper.and_then(wait_for), Ok(WaitStatus::Exited(0)));
    }
    let slept = sys::now() - begin;
    checks.holds(
        format_args!("eight sleep 100 ms together: {slept} ns"),
        (100 * MILLISECOND..790 * MILLISECOND).contains(&slept),
    );
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
