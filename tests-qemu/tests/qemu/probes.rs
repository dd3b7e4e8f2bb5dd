//! The probes of userland/: programs that try, from user mode, what must and must not be possible. Each says
//! `ok: …` or `FAIL: …` for what it tried and exits with 0 only if all was as it should be.

use crate::{Test, boot, configuration, guest::Guest, guest::TIME_LIMIT, lifecycle, shell, vctl};
use std::{collections::BTreeSet, time::Duration};
use veridian_containers::features::FEATURES;
use veridian_tests_qemu::{Images, Vm};

/// A probe, and what it proves.
pub struct Probe {
    pub sentence: &'static str,
    program: &'static str,
    /// Further words of the kernel command line, for the probe's environment.
    words: &'static str,
    /// It measures time, to the percent: the machine's clock counts instructions, and no busy host disturbs it.
    measures: bool,
    limit: Duration,
}

const fn probe(program: &'static str, sentence: &'static str) -> Probe {
    Probe { sentence, program, words: "", measures: false, limit: TIME_LIMIT }
}

const fn measuring(program: &'static str, sentence: &'static str) -> Probe {
    Probe { measures: true, ..probe(program, sentence) }
}

/// Run on machines with one CPU and with four.
pub const ALL: &[Probe] = &[
    probe("attack-exhaustion", "whoever_takes_all_there_is_ends_at_his_limit_and_his_neighbour_keeps_its_pace"),
    probe("attack-memory", "what_is_read_only_is_written_by_no_race_and_memory_of_the_dead_is_read_by_nobody"),
    probe("attack-paths", "no_link_descriptor_or_race_leads_the_kernel_or_a_container_out_of_its_root"),
    probe("attack-rights", "no_right_given_to_a_container_reaches_a_process_or_a_setting_outside"),
    probe("cgroups", "cgroups_limit_freeze_and_kill_and_only_who_may_changes_them"),
    probe("clocks", "clocks_run_sleeps_last_and_processes_take_turns"),
    probe("configs", "every_kind_of_wrong_configuration_is_refused_with_its_line_and_leaves_nothing"),
    probe("container-faults", "wild_pointers_and_descriptors_to_each_container_call_are_refused"),
    probe("creds", "users_and_groups_may_do_what_is_theirs"),
    probe("devices", "devices_read_and_write_as_on_linux"),
    probe("eventfds", "counters_timers_and_files_in_memory_have_descriptors_as_on_linux"),
    probe("execs", "exec_refuses_what_is_no_program_with_the_reason"),
    probe("files", "files_directories_and_links_work_in_a_tmpfs"),
    probe("forkbomb", "a_fork_bomb_is_held_and_others_can_still_fork"),
    probe("granted", "a_containers_processes_may_what_its_configuration_grants_and_nothing_more"),
    probe("guests", "containers_are_entered_paused_limited_measured_and_nested"),
    probe("hogs", "a_memory_hog_is_killed_at_its_limit_and_its_neighbour_is_unharmed"),
    probe("hooks", "hooks_run_in_order_and_in_their_namespaces_and_what_fails_is_undone"),
    probe("inotify", "what_happens_to_files_is_told_to_who_watches_them"),
    probe("ipc", "shared_memory_semaphores_and_queues_work_and_are_the_ipc_namespaces_own"),
    probe("isolation", "what_is_in_a_container_stays_inside_and_no_way_leads_out"),
    probe("joins", "namespaces_are_joined_by_path_and_by_container_by_who_may"),
    probe("lifecycle", "what_a_containers_state_does_not_allow_is_refused_and_changes_nothing"),
    probe("limits", "resource_limits_bind_and_are_raised_by_nobody_who_may_not"),
    probe("locks", "locks_of_files_bind_and_go_with_their_owners_and_what_is_cut_off_is_gone"),
    probe("memory", "mappings_are_protected_and_forks_share_memory_until_one_writes"),
    probe("mounts", "mount_flags_are_enforced_and_mount_namespaces_are_apart"),
    probe("names", "host_names_and_pids_are_those_of_the_namespace"),
    probe("netlink", "the_kernel_tells_of_the_network_by_netlink"),
    probe("network", "sockets_reach_each_other_in_their_network_namespace_and_nothing_beyond"),
    probe("overlay", "layers_are_merged_as_one_and_only_the_uppermost_changes"),
    probe("pipes", "pipes_descriptors_and_poll_work_as_on_linux"),
    probe("propagation", "mounts_spread_to_peers_and_slaves_of_other_namespaces_and_bombs_are_bounded"),
    probe("privileges", "capabilities_are_those_of_capabilities_7_through_exec_and_what_is_given_away_is_gone"),
    probe("procfs", "proc_shows_processes_and_the_machine_as_linux_does_and_leads_nowhere_else"),
    probe("refused", "what_this_kernel_does_not_do_is_refused_to_user_programs"),
    probe("rootless", "root_of_a_containers_users_makes_containers_within_it_and_none_that_reaches_beyond"),
    probe("seccomp", "filters_judge_every_call_and_cannot_be_shaken_off"),
    measuring("shares", "shares_and_quotas_of_cpu_time_hold_to_the_percent_at_each_level"),
    probe("signals", "exit_statuses_and_signals_of_processes_are_as_on_linux"),
    probe("transfers", "transfers_ways_and_rooms_of_files_are_as_on_linux"),
    probe("userns", "who_is_all_powerful_in_a_user_namespace_is_nobody_outside"),
    probe("terminals", "terminals_edit_lines_send_signals_and_stop_who_is_in_the_background"),
    probe("vectors", "vector_registers_are_each_processes_own"),
    probe("wild", "a_wild_pointer_to_any_call_is_efault_and_changes_nothing"),
    Probe {
        words: "seed=1 calls=20000",
        limit: Duration::from_secs(300),
        ..probe("random-calls", "random_calls_stop_nothing_and_leave_nothing_behind")
    },
    Probe {
        sentence: "ten_thousand_containers_leave_the_machine_as_it_was",
        program: "cycles",
        words: "count=10000",
        measures: false,
        limit: Duration::from_secs(900),
    },
];

/// Run with the kernel that has no container engine.
const NO_CONTAINERS: Probe = probe("no-containers", "");

/// Programs that are no probes of their own: what init, probes and tests run.
const OTHERS: [&str; 9] = ["escape", "hello", "hook", "idle", "init", "reach", "sh", "vctl", "worker"];

/// Run once.
pub const ONCE: &[Test] = &[
    ("devices_in_a_container_read_and_write_as_on_linux", devices_in_a_container),
    ("each_probe_is_run_by_a_test", each_probe_is_run),
    ("each_feature_names_a_test_that_there_is", each_feature_has_its_test),
];

/// Run once on one architecture: what is left out of the kernel names none, and is built once.
pub const WITHOUT_THE_ENGINE: &[Test] = &[
    ("a_kernel_without_the_engine_answers_each_container_call_with_enosys", without_the_engine),
    ("init_on_a_kernel_without_the_engine_is_refused_with_enosys", boot::init_without_the_engine),
];

impl Probe {
    /// Boots and runs it.
    pub fn run(&self, guest: &Guest) {
        let vm = guest.vm();
        // Each instruction lasts eight nanoseconds: seconds of the guest are soon over.
        self.run_on(guest, if self.measures { vm.slow_instructions(3) } else { vm });
    }

    fn run_on(&self, guest: &Guest, vm: Vm) {
        let run = guest.run_probe(vm.time_limit(Some(self.limit)), self.program, self.words);
        run.exits(0).never_tells("FAIL").tells(&["PASS: ", " checks"]);
    }
}

fn devices_in_a_container(guest: &Guest) {
    let run = guest.run_container(&["/bin/devices"], "mount=/dev:dev:dev:nosuid,noexec");
    run.exits(0).never_tells("FAIL").tells(&["PASS: ", " checks"]);
}

fn without_the_engine(guest: &Guest) {
    NO_CONTAINERS.run_on(guest, guest.vm().kernel(Images::of(guest.arch).kernel_without_containers()));
}

fn each_feature_has_its_test(_: &Guest) {
    let lists = [lifecycle::TESTS, boot::ONCE, configuration::TESTS, vctl::TESTS, shell::TESTS].concat();
    let tests: BTreeSet<_> =
        lists.iter().map(|(name, _)| *name).chain(ALL.iter().map(|probe| probe.sentence)).collect();
    let missing: Vec<_> = FEATURES.iter().map(|feature| feature.test).filter(|test| !tests.contains(test)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

fn each_probe_is_run(guest: &Guest) {
    let programs = Images::of(guest.arch).programs().unwrap_or_else(|error| panic!("{error}"));
    let programs: BTreeSet<_> = programs.iter().map(|(name, _)| name.as_str()).collect();
    let probes = ALL.iter().chain([&NO_CONTAINERS]).map(|probe| probe.program);
    let known: BTreeSet<_> = probes.chain(OTHERS).collect();
    assert_eq!(programs, known, "the programs in the image, and those that tests run");
}
