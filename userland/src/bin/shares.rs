//! Driver: how CPU time is divided among groups: by weight at each level, by quota, with bursts, and what is idle. To be
//! run where the clock counts instructions: a host that is busy with other things takes no time from anybody then.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::cell::Cell;

use heapless::Vec;
use linux_raw_sys::general::{CLOCK_PROCESS_CPUTIME_ID, MAP_ANONYMOUS, MAP_SHARED, PROT_READ, PROT_WRITE, RLIMIT_CPU};
use veridian_containers::Signal;
use veridian_containers::abi::{Errno, WaitStatus};
use veridian_userland::check::{Checks, in_child};
use veridian_userland::groups::{
    self, KILLED, burner, cpu_stat, end, field, get, is, make, number, put, remove, set, usage, worker,
};
use veridian_userland::sys::{self, Pid, Region, Start};
use veridian_userland::{program, text};

program!(main);

const MILLISECOND: u64 = 1_000_000;

type Children = Vec<Pid, 16>;

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    checks.equal("cgroup2 is mounted", groups::mount(), Ok(()));
    checks.equal("groups have controllers", put("cgroup.subtree_control", "+cpuset +cpu"), Ok(()));
    weights(&mut checks);
    levels(&mut checks);
    if cpus() == 1 {
        quota(&mut checks);
    }
    debt(&mut checks);
    burst(&mut checks);
    idle(&mut checks);
    clocks(&mut checks);
    cpu_limit(&mut checks);
    checks.finish()
}

/// Whether `value` is `expected` within so many parts of a thousand of it.
fn near(value: u64, expected: u64, per_mille: u64) -> bool {
    value.abs_diff(expected) * 1000 <= expected * per_mille
}

fn pause(milliseconds: u64) {
    sys::sleep(milliseconds * MILLISECOND).expect("time passes");
}

/// Waits until each group has run for a while: what comes first is not measured.
fn settle(groups: &[&str]) {
    while groups.iter().any(|group| usage(group) < 20_000) {
        pause(5);
    }
}

fn leave(checks: &mut Checks, children: Children, groups: &[&str]) {
    let killed = children.into_iter().all(|child| end(child) == KILLED);
    let removed = groups.iter().all(|group| remove(group) == Ok(()));
    checks.equal("all end and their groups are removed", (killed, removed), (true, true));
}

/// A number that a child wrote into shared memory.
fn number_at(shared: &Region, slot: usize) -> u64 {
    u64::from_ne_bytes(core::array::from_fn(|byte| shared.get(8 * slot + byte)))
}

/// One CPU, two groups, weights 1:3; the heavier group has two processes.
fn weights(checks: &mut Checks) {
    make("s").expect("a group");
    put("s/cpuset.cpus", "0").expect("one CPU");
    checks.holds("a group has one CPU", is("s/cpuset.cpus.effective", "0"));
    put("s/cgroup.subtree_control", "+cpu").expect("handed on");
    for (name, weight) in [("s/one", "100"), ("s/three", "300")] {
        make(name).expect("a group");
        set(name, "cpu.weight", weight).expect("a weight");
    }
    let counters = Region::map(4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, None).expect("memory");
    let working = |group, slot: usize| worker(group, |pieces| counters.fill(8 * slot, &pieces.to_ne_bytes()));
    let done = |slot| number_at(&counters, slot);
    let children: Children = [working("s/one", 0), working("s/three", 1), working("s/three", 2)].into_iter().collect();
    settle(&["s/one", "s/three"]);
    let look = || (usage("s/one"), usage("s/three"), done(0), done(1) + done(2));
    let before = look();
    pause(2000);
    let after = look();
    let (one, three) = (after.0 - before.0, after.1 - before.1);
    checks.holds(format_args!("shares of 1:3 hold within 2 %: {one}:{three} us"), near(three, 3 * one, 20));
    checks.holds("and nothing is lost", near(one + three, 2_000_000, 20));
    let (one, three) = (after.2 - before.2, after.3 - before.3);
    checks.holds(format_args!("in work done, too: {one}:{three}"), near(three, 3 * one, 20));
    put("s/one/cpu.weight", "900").expect("another weight");
    let before = look();
    pause(2000);
    let after = look();
    let (one, three) = (after.0 - before.0, after.1 - before.1);
    checks.holds(format_args!("a new weight counts at once, 3:1: {one}:{three} us"), near(one, 3 * three, 20));
    leave(checks, children, &["s/one", "s/three", "s"]);
}

/// How far from its part a group may be, in thousandths, where it has several CPUs: the emulator gives each of them turns of
/// a tenth of a second, and its clock goes on for all of them meanwhile. One CPU is held to the percent.
const TURNS: u64 = 300;

/// All CPUs, weights at two levels.
fn levels(checks: &mut Checks) {
    let cpus = cpus();
    make("l").expect("a group");
    put("l/cgroup.subtree_control", "+cpu").expect("handed on");
    for name in ["l/a", "l/b"] {
        make(name).expect("a group");
    }
    put("l/a/cgroup.subtree_control", "+cpu").expect("handed on");
    for (name, weight) in [("l/a/x", "100"), ("l/a/y", "300")] {
        make(name).expect("a group");
        set(name, "cpu.weight", weight).expect("a weight");
    }
    let leaves = ["l/a/x", "l/a/y", "l/b"];
    let children: Children = leaves.iter().flat_map(|leaf| (0..cpus).map(|_| burner(leaf))).collect();
    settle(&leaves);
    // All of them rest while they are looked at, one after the other.
    rest("l");
    let look = || ["l/a", "l/a/x", "l/a/y", "l/b"].map(usage);
    let (begin, before) = (sys::now(), look());
    put("l/cgroup.freeze", "0").expect("on");
    // So many turns that one more or less matters little.
    pause(if cpus == 1 { 3000 } else { 12_000 });
    rest("l");
    let (us, after) = ((sys::now() - begin) / 1000, look());
    let [a, x, y, b] = core::array::from_fn(|index| after[index] - before[index]);
    put("l/cgroup.freeze", "0").expect("on");
    let exact = if cpus == 1 { 20 } else { TURNS };
    checks.holds(format_args!("two groups have the same: {a}:{b} us"), near(a, b, exact));
    checks.holds(format_args!("groups in one of them have 1:3 of its part: {x}:{y} us"), near(y, 3 * x, exact));
    checks.holds("and no CPU rests", near(a + b, us * cpus as u64, exact));
    leave(checks, children, &["l/a/x", "l/a/y", "l/a", "l/b", "l"]);
}

/// Freezes a group, and waits until nothing of it runs.
fn rest(group: &str) {
    set(group, "cgroup.freeze", "1").expect("frozen");
    while field(&text!(32, "{group}/cgroup.events"), "frozen") != 1 {
        pause(1);
    }
}

/// How many CPUs the machine has.
fn cpus() -> usize {
    let list = get("cpuset.cpus.effective").expect("the root's CPUs");
    list.trim().rsplit('-').next().and_then(|last| last.parse().ok()).map_or(1, |last: usize| last + 1)
}

/// A tenth of one CPU, with more processes than there are CPUs, over a second. Where there are more, a turn of another CPU
/// may fall into that second: see [`debt`].
fn quota(checks: &mut Checks) {
    make("q").expect("a group");
    put("q/cpu.max", "10000 100000").expect("a quota");
    let children: Children = (0..2).map(|_| burner("q")).collect();
    pause(250);
    let look = || (sys::now(), usage("q"), cpu_stat("q", "nr_periods"), cpu_stat("q", "nr_throttled"));
    let before = look();
    pause(1000);
    let after = look();
    let (us, used) = ((after.0 - before.0) / 1000, after.1 - before.1);
    checks.holds(format_args!("a quota of 10 % holds within 1 %: {used} us in {us}"), near(used, us / 10, 10));
    let (periods, waits) = (after.2 - before.2, after.3 - before.3);
    checks.holds(format_args!("its periods are counted: {periods}"), periods.abs_diff(10) <= 1);
    checks.holds(format_args!("in each it waits: {waits}"), waits.abs_diff(10) <= 1);
    leave(checks, children, &["q"]);
}

/// The same on all CPUs. The emulator gives each of them turns, so that some notice only later that the quota is used up: a
/// debt, which has to be paid before the group runs again.
fn debt(checks: &mut Checks) {
    make("q").expect("a group");
    put("q/cpu.max", "10000 100000").expect("a quota");
    let begin = sys::now();
    // Each notes when it ran again after a rest: who looks on has turns, too, and may see it later.
    let noted = Region::map(4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, None).expect("memory");
    let resting = |slot: usize| {
        let last = Cell::new(begin);
        let noted = &noted;
        worker("q", move |_| {
            let now = sys::now();
            if now - last.replace(now) > 20 * MILLISECOND {
                noted.fill(8 * slot, &now.to_ne_bytes());
            }
        })
    };
    let count = cpus() + 1;
    let children: Children = (0..count).map(resting).collect();
    let resumed = |slot| number_at(&noted, slot);
    pause(250);
    for round in 1..=2 {
        let spent = still("q");
        let rest = sys::now();
        let again = loop {
            if let Some(first) = (0..count).map(resumed).filter(|time| *time > rest).min() {
                break first;
            }
            pause(2);
        };
        let us = (again - begin) / 1000;
        // It was given a tenth of the time so far, up to the period that has just begun; and does not wait for longer than
        // it owes.
        let paid = spent <= us / 10 + 11_000 && (round > 1 || spent + 11_000 >= us / 10);
        checks.holds(format_args!("debts are paid, {round}: {spent} us were used when it ran again after {us}"), paid);
    }
    leave(checks, children, &["q"]);
}

/// What a group has used when it runs no more.
fn still(group: &str) -> u64 {
    let mut used = usage(group);
    loop {
        pause(20);
        let now = usage(group);
        if now == used {
            return used;
        }
        used = now;
    }
}

/// What a quota may save up.
fn burst(checks: &mut Checks) {
    make("u").expect("a group");
    put("u/cpu.max", "20000 100000").expect("a quota");
    checks.equal("no more than the quota is saved up", put("u/cpu.max.burst", "20001"), Err(Errno::EINVAL));
    checks.equal("as much is", put("u/cpu.max.burst", "20000"), Ok(()));
    checks.holds("which is told", number("u/cpu.max.burst") == 20_000);
    pause(500);
    let children: Children = core::iter::once(burner("u")).collect();
    // One period may begin meanwhile.
    pause(95);
    let first = usage("u");
    checks.holds(format_args!("what was saved up is spent at once: {first} us"), (39_000..=61_000).contains(&first));
    pause(300);
    let bursts = (cpu_stat("u", "nr_bursts"), cpu_stat("u", "burst_usec"));
    checks.holds(format_args!("as a burst: {bursts:?}"), (1..=2).contains(&bursts.0) && near(bursts.1, 20_000, 100));
    let (begin, before) = (sys::now(), usage("u"));
    pause(1000);
    let (used, us) = (usage("u") - before, (sys::now() - begin) / 1000);
    checks.holds(format_args!("then the quota holds: {used} us in {us}"), near(used, us / 5, 10));
    leave(checks, children, &["u"]);
}

/// A group that runs only where nobody else wants to.
fn idle(checks: &mut Checks) {
    make("i").expect("a group");
    put("i/cpuset.cpus", "0").expect("one CPU");
    put("i/cgroup.subtree_control", "+cpu").expect("handed on");
    for name in ["i/idle", "i/busy"] {
        make(name).expect("a group");
    }
    checks.equal("a group is idle", put("i/idle/cpu.idle", "1"), Ok(()));
    checks.holds("it has no weight", is("i/idle/cpu.weight", "0") && is("i/idle/cpu.idle", "1"));
    checks.equal("and is given none", put("i/idle/cpu.weight", "100"), Err(Errno::EINVAL));
    let mut children = Children::from_iter([burner("i/idle")]);
    settle(&["i/idle"]);
    children.push(burner("i/busy")).expect("room");
    settle(&["i/busy"]);
    let before = (usage("i/idle"), usage("i/busy"));
    pause(1000);
    let (idle, busy) = (usage("i/idle") - before.0, usage("i/busy") - before.1);
    checks.holds(format_args!("it has next to nothing: {idle} of {busy} us"), idle * 100 <= busy && busy >= 900_000);
    leave(checks, children, &["i/idle", "i/busy", "i"]);
}

fn clocks(checks: &mut Checks) {
    let clock = || sys::clock(CLOCK_PROCESS_CPUTIME_ID).expect("the clock of CPU time");
    let begin = clock();
    pause(50);
    let slept = clock();
    let mut x = 1u64;
    (0..100_000u32).for_each(|_| x = core::hint::black_box(x * 3 % 1_000_003));
    checks.holds("the clock of CPU time goes with work", clock() > slept);
    checks.holds("and not with sleep", slept - begin < 5 * MILLISECOND);
}

/// RLIMIT_CPU.
fn cpu_limit(checks: &mut Checks) {
    const SIGNAL: u32 = Signal::SIGXCPU.number();
    let spend = |soft, hard, ignored: bool| {
        let begin = sys::now();
        let ended = in_child(|| {
            if sys::ignore_signal(SIGNAL, ignored).and_then(|()| sys::setrlimit(RLIMIT_CPU, soft, hard)).is_err() {
                return 1;
            }
            loop {
                core::hint::black_box(0);
            }
        });
        (ended, (sys::now() - begin) / (100 * MILLISECOND))
    };
    let warned = spend(1, 3, false);
    checks.equal("a second of CPU time, and SIGXCPU", warned, (Ok(WaitStatus::Signaled(Signal::SIGXCPU)), 10));
    checks.equal("who ignores it is killed at the hard limit", spend(1, 2, true), (KILLED, 20));
}
