//! The probes of userland/: programs that try, from user mode, what must and must not be possible. Each says
//! `ok: …` or `FAIL: …` for what it tried and exits with 0 only if all was as it should be.

use crate::{Test, guest::Guest, guest::TIME_LIMIT};
use std::{collections::BTreeSet, time::Duration};
use veridian_tests_qemu::Images;

/// A probe, and what it proves.
pub struct Probe {
    pub sentence: &'static str,
    program: &'static str,
    arguments: &'static str,
    limit: Duration,
}

const fn probe(program: &'static str, sentence: &'static str) -> Probe {
    Probe { sentence, program, arguments: "", limit: TIME_LIMIT }
}

/// Run on machines with one CPU and with four.
pub const ALL: &[Probe] = &[
    probe("lifecycle", "what_a_containers_state_does_not_allow_is_refused_and_changes_nothing"),
    probe("hogs", "a_memory_hog_is_killed_at_its_limit_and_its_neighbour_is_unharmed"),
    probe("forkbomb", "a_fork_bomb_is_held_and_others_can_still_fork"),
];

/// Programs that are no probes, but what probes and tests run.
const OTHERS: [&str; 3] = ["hello", "init", "worker"];

/// Run once.
pub const ONCE: &[Test] = &[("each_probe_is_run_by_a_test", each_probe_is_run)];

impl Probe {
    /// Boots and runs it.
    pub fn run(&self, guest: &Guest) {
        let run = guest.run_probe(self.program, self.arguments, self.limit);
        run.exits(0).never_tells("FAIL").tells(&["PASS: ", " checks"]);
    }
}

fn each_probe_is_run(guest: &Guest) {
    let programs = Images::of(guest.arch).programs().unwrap_or_else(|error| panic!("{error}"));
    let mut missed: BTreeSet<_> = programs.iter().map(|(name, _)| name.as_str()).collect();
    for known in ALL.iter().map(|probe| probe.program).chain(OTHERS) {
        assert!(missed.remove(known), "there is no program {known}");
    }
    assert!(missed.is_empty(), "no test runs {missed:?}");
}
