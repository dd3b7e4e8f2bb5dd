//! Tests of the tree of run queues: machines of some CPUs are played through, with time made up.

use super::{
    bandwidth::Quota,
    stat::Times,
    tree::{ALL_CPUS, GroupId, ROOT, TaskId, Tree},
    weight,
};
use alloc::{vec, vec::Vec};

const MS: u64 = 1_000_000;

/// A machine whose tasks all want to run for ever.
struct Machine {
    tree: Tree<TaskId>,
    cpus: usize,
    now: u64,
    /// What each CPU runs, until when, since when.
    running: Vec<Option<(TaskId, u64, u64)>>,
}

impl Machine {
    fn new(cpus: usize) -> Self {
        Self { tree: Tree::new(), cpus, now: 0, running: vec![None; cpus] }
    }

    fn group(&mut self, parent: GroupId, cpu_weight: u32) -> GroupId {
        let group = self.tree.add_group(parent);
        self.tree.set_weight(group, cpu_weight);
        group
    }

    fn task(&mut self, group: GroupId) -> TaskId {
        let task = self.tree.add_task(group, weight::of_nice(0), ALL_CPUS);
        self.tree.enqueue(task, task, self.now);
        task
    }

    /// Plays on until `end`, in steps of a quarter of a millisecond.
    fn run_until(&mut self, end: u64) {
        while self.now < end {
            self.tree.refill(self.now);
            for cpu in 0..self.cpus {
                if let Some((task, slice_end, since)) = self.running[cpu]
                    && (self.now >= slice_end || self.is_frozen(task))
                {
                    let ran = Times { user_ns: self.now - since, system_ns: 0 };
                    self.tree.settle(task, ran, self.now);
                    self.tree.put(cpu, task);
                    self.tree.enqueue(task, task, self.now);
                    self.running[cpu] = None;
                }
                if self.running[cpu].is_none()
                    && let Some(pick) = self.tree.pick(cpu, self.now)
                {
                    assert_eq!(pick.task, pick.payload);
                    self.running[cpu] = Some((pick.task, self.now + pick.slice_ns, self.now));
                }
            }
            self.now += MS / 4;
        }
    }

    /// Freezing ends a slice; a quota that is used up has been given out.
    fn is_frozen(&self, task: TaskId) -> bool {
        self.tree.to_root(self.tree.tasks[task].group).any(|above| self.tree.groups[above].frozen)
    }

    fn ran_ms(&self, group: GroupId) -> u64 {
        self.tree.stat(group).times.total_ns() / MS
    }
}

fn near(value: u64, expected: u64, tolerance: u64) -> bool {
    value.abs_diff(expected) <= tolerance
}

#[test]
fn a_cpu_is_shared_by_weight_however_many_tasks_a_group_has() {
    let mut machine = Machine::new(1);
    let (a, b) = (machine.group(ROOT, 100), machine.group(ROOT, 300));
    for _ in 0..7 {
        machine.task(a);
    }
    machine.task(b);
    machine.run_until(2000 * MS);
    assert!(near(machine.ran_ms(a), 500, 8), "{}", machine.ran_ms(a));
    assert!(near(machine.ran_ms(b), 1500, 8));
}

#[test]
fn nested_groups_share_their_parents_part() {
    let mut machine = Machine::new(1);
    let (a, b) = (machine.group(ROOT, 100), machine.group(ROOT, 100));
    let (inner, other) = (machine.group(a, 10_000), machine.group(a, 1));
    for group in [inner, other, b] {
        machine.task(group);
        machine.task(group);
    }
    machine.run_until(4000 * MS);
    assert!(near(machine.ran_ms(a), 2000, 12), "{}", machine.ran_ms(a));
    assert!(near(machine.ran_ms(b), 2000, 12));
    assert!(machine.ran_ms(other) <= 12);
}

#[test]
fn groups_share_several_cpus_by_weight_when_they_have_tasks_enough() {
    for cpus in 2..=8 {
        let mut machine = Machine::new(cpus);
        let (a, b) = (machine.group(ROOT, 100), machine.group(ROOT, 300));
        for _ in 0..cpus * 2 {
            machine.task(a);
            machine.task(b);
        }
        machine.run_until(2000 * MS);
        let total = 2000 * cpus as u64;
        assert!(near(machine.ran_ms(a), total / 4, total / 50), "{cpus} CPUs: {}", machine.ran_ms(a));
        assert!(near(machine.ran_ms(a) + machine.ran_ms(b), total, 4 * cpus as u64), "no CPU was idle");
    }
}

#[test]
fn a_group_of_one_task_gets_one_cpu_and_saves_up_nothing() {
    let mut machine = Machine::new(2);
    let (heavy, light) = (machine.group(ROOT, 300), machine.group(ROOT, 100));
    machine.task(heavy);
    for _ in 0..4 {
        machine.task(light);
    }
    machine.run_until(1000 * MS);
    assert!(near(machine.ran_ms(heavy), 1000, 10), "{}", machine.ran_ms(heavy));
    // Now it could use more: it gets its three quarters, not what it did not use before.
    for _ in 0..3 {
        machine.task(heavy);
    }
    machine.run_until(2000 * MS);
    assert!(near(machine.ran_ms(light), 1500, 30), "{}", machine.ran_ms(light));
}

#[test]
fn a_quota_holds_over_its_periods_on_any_number_of_cpus() {
    for cpus in [1, 4] {
        let mut machine = Machine::new(cpus);
        let group = machine.group(ROOT, 100);
        let quota = Quota { quota_ns: 10 * MS, period_ns: 100 * MS, burst_ns: 0 };
        machine.tree.set_quota(group, Some(quota), 0);
        for _ in 0..cpus {
            machine.task(group);
        }
        machine.run_until(2000 * MS);
        assert!(near(machine.ran_ms(group), 200, 2), "{cpus} CPUs: {}", machine.ran_ms(group));
        let stat = machine.tree.stat(group);
        assert!((18..=20).contains(&stat.periods) && (19..=21).contains(&stat.throttled), "{stat:?}");
        // Slices on three of four CPUs are the whole quota, and the fourth task waits from the first moment on.
        let given_out_ms = if cpus == 1 { 10 } else { 0 };
        assert!(near(stat.throttled_ns / MS, 19 * (100 - given_out_ms), 10), "{stat:?}");
    }
}

#[test]
fn of_nested_quotas_the_tighter_one_holds() {
    let mut machine = Machine::new(1);
    let outer = machine.group(ROOT, 100);
    let (tight, loose) = (machine.group(outer, 100), machine.group(outer, 100));
    let quota = |ms: u64| Some(Quota { quota_ns: ms * MS, period_ns: 100 * MS, burst_ns: 0 });
    machine.tree.set_quota(outer, quota(40), 0);
    machine.tree.set_quota(tight, quota(10), 0);
    machine.task(tight);
    machine.task(loose);
    machine.run_until(2000 * MS);
    assert!(near(machine.ran_ms(outer), 800, 4), "{}", machine.ran_ms(outer));
    assert!(near(machine.ran_ms(tight), 200, 3), "{}", machine.ran_ms(tight));
}

#[test]
fn a_frozen_group_gets_nothing_and_others_go_on() {
    let mut machine = Machine::new(2);
    let (a, b) = (machine.group(ROOT, 100), machine.group(ROOT, 100));
    let inner = machine.group(a, 100);
    machine.task(inner);
    machine.task(b);
    machine.run_until(100 * MS);
    machine.tree.set_frozen(a, true, machine.now);
    machine.run_until(101 * MS);
    assert!(machine.tree.is_at_rest(a) && machine.tree.take_rest());
    let before = machine.ran_ms(a);
    let doomed = machine.task(inner);
    machine.run_until(200 * MS);
    assert_eq!(machine.ran_ms(a), before);
    machine.tree.expedite(doomed, machine.now);
    machine.run_until(300 * MS);
    assert_eq!(machine.ran_ms(a), before);
    assert!(machine.tree.times(doomed).total_ns() > 0, "a dying task runs nevertheless");
    machine.tree.set_frozen(a, false, machine.now);
    machine.run_until(400 * MS);
    assert!(machine.ran_ms(a) > before);
}

#[test]
fn tasks_stay_on_the_cpus_that_they_and_their_group_allow() {
    let mut machine = Machine::new(4);
    let group = machine.group(ROOT, 100);
    let tasks: Vec<_> = (0..4).map(|_| machine.task(group)).collect();
    machine.tree.set_group_cpus(group, 0b0011, 0);
    machine.tree.set_task_cpus(tasks[0], 0b0010, 0);
    assert_eq!(machine.tree.cpus_of(tasks[0]), 0b0010);
    machine.tree.set_task_cpus(tasks[1], 0b1100, 0);
    assert_eq!(machine.tree.cpus_of(tasks[1]), 0b0011, "none in common: the group's");
    machine.run_until(400 * MS);
    assert!(near(machine.ran_ms(group), 800, 8), "{}", machine.ran_ms(group));
    assert!(machine.running[2].is_none() && machine.running[3].is_none());
}

#[test]
fn a_task_that_moves_takes_its_running_and_waiting_along() {
    let mut machine = Machine::new(1);
    let (a, b) = (machine.group(ROOT, 100), machine.group(ROOT, 100));
    let (first, second) = (machine.task(a), machine.task(a));
    machine.run_until(10 * MS);
    for task in [first, second] {
        machine.tree.move_task(task, b, machine.now);
    }
    machine.run_until(100 * MS);
    assert!(machine.ran_ms(b) >= 88, "{}", machine.ran_ms(b));
    machine.tree.set_frozen(a, true, machine.now);
    assert!(machine.tree.is_at_rest(a) && !machine.tree.is_at_rest(b));
}

#[test]
fn a_sleeper_runs_soon_but_gets_no_more_than_its_share() {
    let mut machine = Machine::new(1);
    let (a, b) = (machine.group(ROOT, 100), machine.group(ROOT, 100));
    let sleeper = machine.tree.add_task(a, weight::of_nice(0), ALL_CPUS);
    machine.task(b);
    machine.run_until(1000 * MS);
    machine.tree.enqueue(sleeper, sleeper, machine.now);
    machine.run_until(1005 * MS);
    assert!(machine.ran_ms(a) > 0 || machine.running[0].is_some_and(|(task, ..)| task == sleeper));
    machine.run_until(2000 * MS);
    assert!(near(machine.ran_ms(a), 500, 8), "{}", machine.ran_ms(a));
}

#[test]
fn a_new_weight_counts_at_once_whatever_the_old_one_was() {
    let mut machine = Machine::new(1);
    let (light, other) = (machine.group(ROOT, 1), machine.group(ROOT, 100));
    machine.task(light);
    machine.task(other);
    machine.run_until(100 * MS);
    // By its old weight it has had enough for longer than this.
    machine.tree.set_weight(light, 10_000);
    let before = machine.ran_ms(light);
    machine.run_until(200 * MS);
    assert!(machine.ran_ms(light) - before >= 92, "{}", machine.ran_ms(light) - before);
}

#[test]
fn nice_divides_what_the_group_gets() {
    let mut machine = Machine::new(1);
    let group = machine.group(ROOT, 100);
    let (nice, other) = (machine.task(group), machine.task(group));
    machine.tree.set_task_weight(nice, weight::of_nice(5), machine.now);
    machine.run_until(2000 * MS);
    let (nice, other) = (machine.tree.times(nice).total_ns(), machine.tree.times(other).total_ns());
    assert!(near(other * 100 / nice, 305, 10), "{other} : {nice}");
}
