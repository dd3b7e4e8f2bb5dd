//! What is enforced, each with the test that proves it: one table, from which `container_features` answers and the
//! README's table is made.

use alloc::format;
use alloc::string::String;

use crate::NamespaceKind;
use crate::config::{CapabilitySet, HookKind, VALUES, is_enforced};
use crate::json::Object;
use crate::keys::KeyId;

/// Something that is enforced.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// A short name, for programs.
    pub name: &'static str,
    /// What of the configuration or the calls it is.
    pub what: &'static str,
    /// How it is enforced.
    pub how: &'static str,
    /// The test that proves it: a name that `make test TEST=` takes.
    pub test: &'static str,
}

macro_rules! features {
    ($($name:literal: $what:literal, $how:literal, $test:literal;)*) => {
        /// All of it.
        pub const FEATURES: &[Feature] =
            &[$(Feature { name: $name, what: $what, how: $how, test: $test },)*];
    };
}

features! {
    "configuration": "every line, key and value; `oci_version`, `annotation`",
        "strict parser; the first error with its line; nothing remains of a refused container",
        "every_kind_of_wrong_configuration_is_refused_with_its_line_and_leaves_nothing";
    "root": "`root_path`, `root_readonly`",
        "a mount tree of the container's own whose root is that directory; no `..`, descriptor or link leads out",
        "what_is_in_a_container_stays_inside_and_no_way_leads_out";
    "mounts": "`mount` (bind, rbind, tmpfs, dev; every option of runtime-spec but idmap and tmpcopyup)",
        "checked in the VFS at each operation", "mount_flags_are_enforced_and_mount_namespaces_are_apart";
    "overlay": "`mount` type overlay",
        "several lower layers, copy-up, whiteouts and opaque directories as Linux stores them",
        "layers_are_merged_as_one_and_only_the_uppermost_changes";
    "propagation": "`rootfs_propagation`, mount options private, shared, slave, unbindable",
        "peer groups and slaves across mount namespaces; nothing spreads while a container is built",
        "mounts_spread_to_peers_and_slaves_of_other_namespaces_and_bombs_are_bounded";
    "proc": "`mount` types proc and sysfs; `masked_path`, `readonly_path`",
        "made from the kernel's own objects, for one pid namespace; what is masked is covered by mounts that nobody \
         inside can take away",
        "proc_shows_processes_and_the_machine_as_linux_does_and_leads_nowhere_else";
    "devpts": "`process_terminal`, `process_console_size`; `mount` type devpts", "pseudo-terminals of the mount's own; sessions and job control as in POSIX",
        "terminals_edit_lines_send_signals_and_stop_who_is_in_the_background";
    "namespaces": "`namespace` pid, mount, uts; `hostname`, `domainname`", "each with its own tables",
        "host_names_and_pids_are_those_of_the_namespace";
    "joins": "`namespace` with a path; setns(2) with a path, a process or a container",
        "each namespace is asked whether the caller has rights over it",
        "namespaces_are_joined_by_path_and_by_container_by_who_may";
    "ipc": "`namespace` ipc; `mount` type mqueue; `sysctl` of System V objects and POSIX queues",
        "System V and POSIX objects of the namespace's own, charged and gone with it, within its own limits",
        "shared_memory_semaphores_and_queues_work_and_are_the_ipc_namespaces_own";
    "network": "`namespace` network; `sysctl` of ports, backlogs and echo requests",
        "ports, abstract names and a loopback interface of its own; nothing else is reachable",
        "sockets_reach_each_other_in_their_network_namespace_and_nothing_beyond";
    "userns": "`namespace` user; `uid_mapping`, `gid_mapping`",
        "what a capability allows is asked of the namespace that owns the object",
        "who_is_all_powerful_in_a_user_namespace_is_nobody_outside";
    "time": "`namespace` time; `time_offset`", "offsets of the monotonic and boot clocks, set once",
        "a_containers_processes_may_what_its_configuration_grants_and_nothing_more";
    "capabilities": "`capability`, `capability_bounding`, `capability_effective`, `capability_permitted`, \
                     `capability_inheritable`, `capability_ambient`, `no_new_privileges`",
        "five sets by Linux's rules, through exec and user changes, bounded by the creator's",
        "capabilities_are_those_of_capabilities_7_through_exec_and_what_is_given_away_is_gone";
    "rights": "`additional_gid`, and what a configuration does not say",
        "as the configuration grants, Docker's sets where it says nothing",
        "a_containers_processes_may_what_its_configuration_grants_and_nothing_more";
    "seccomp": "`seccomp`, `seccomp_default`, `seccomp_arch`, `seccomp_flag`",
        "classic BPF before each system call; the strictest filter wins; another architecture is never let through",
        "filters_judge_every_call_and_cannot_be_shaken_off";
    "rlimits": "`rlimit`, `umask`", "where the resource is given out",
        "resource_limits_bind_and_are_raised_by_nobody_who_may_not";
    "devices": "`device`, `device_rule`", "asked whenever a device is opened or made; the rules of every group above bind too",
        "resource_limits_bind_and_are_raised_by_nobody_who_may_not";
    "user": "`process_uid`, `process_gid`", "credentials, permission checks, capabilities of user 0",
        "users_and_groups_may_do_what_is_theirs";
    "process": "`process_arg`, `process_args`, `process_env`, `process_cwd`",
        "the process begins with these and with descriptors 0, 1, 2 only", "arguments_arrive_as_they_were_given";
    "memory": "`memory_limit`",
        "each frame is charged when it is given out, page tables and pipes included; past the limit the container is \
         killed and says so",
        "a_memory_hog_is_killed_at_its_limit_and_its_neighbour_is_unharmed";
    "cgroups": "`namespace` cgroup; `cgroups_path`, `memory_reservation`, `memory_high`, `memory_swap`, \
                `oom_score_adj`, `unified`; `mount` type cgroup2",
        "a tree of groups that charges, limits, freezes and kills; Linux's files for it, no wider than the namespace",
        "cgroups_limit_freeze_and_kill_and_only_who_may_changes_them";
    "cpu": "`cpu_shares`, `cpu_quota`, `cpu_period`, `cpu_burst`, `cpu_idle`, `cpuset_cpus`",
        "hierarchical weights and quotas in the scheduler; debts are carried over periods",
        "shares_and_quotas_of_cpu_time_hold_to_the_percent_at_each_level";
    "pids": "`pids_limit`", "each task is charged when it is made",
        "a_fork_bomb_is_held_and_others_can_still_fork";
    "hooks": "`hook_prestart`, `hook_create_runtime`, `hook_create_container`, `hook_start_container`, \
              `hook_poststart`, `hook_poststop`, `hook_env`",
        "processes in the namespaces that runtime-spec 1.3 gives each, with the state on their standard input; what \
         fails or takes too long is killed and undone",
        "hooks_run_in_order_and_in_their_namespaces_and_what_fails_is_undone";
    "calls": "exec, pause, resume, update, stats, open; containers in containers",
        "on objects of the kernel, each within its caller's view and bounds",
        "containers_are_entered_paused_limited_measured_and_nested";
    "lifecycle": "the life of a container", "states change by events; a refused operation changes nothing",
        "what_a_containers_state_does_not_allow_is_refused_and_changes_nothing";
    "release": "giving everything back", "10,000 lives leave frames, heap and ids as before the first",
        "ten_thousand_containers_leave_the_machine_as_it_was";
    "boundary": "the system-call boundary", "copies caught by an exception table",
        "a_wild_pointer_to_any_call_is_efault_and_changes_nothing";
    "attacks by path": "no escape by paths (`docs/security.md`)",
        "the kernel acts on objects that it holds, and no process of a runtime is ever in the container",
        "no_link_descriptor_or_race_leads_the_kernel_or_a_container_out_of_its_root";
    "attacks by right": "no escape by rights (`docs/security.md`)",
        "numbers and names mean what is in the caller's namespaces; what is below has its maker's bounds",
        "no_right_given_to_a_container_reaches_a_process_or_a_setting_outside";
    "attacks on memory": "no write to what is read-only, no read of what others left",
        "a copy is made before the right to write is given; pipes own their pages; frames are given out empty",
        "what_is_read_only_is_written_by_no_race_and_memory_of_the_dead_is_read_by_nobody";
    "exhaustion": "limits hold whatever is taken",
        "what programs make the kernel keep is charged and counted; deep trees are taken down level by level",
        "whoever_takes_all_there_is_ends_at_his_limit_and_his_neighbour_keeps_its_pace";
}

/// The OCI features document (runtime-spec, features.md and features-linux.md), on one line. Its annotations name the
/// test of each feature. `enforces` is what [`Platform::enforces`](crate::engine::Platform::enforces) answers; `proved`
/// what the kernel has tests for.
#[must_use]
pub fn json(enforces: impl Fn(KeyId, &str) -> bool, proved: &[Feature]) -> String {
    let enforces = &|key: KeyId, word: &str| is_enforced(key, word) && enforces(key, word);
    let mut text = String::new();
    let mut features = Object::new(&mut text);
    features.string("ociVersionMin", "1.0.0");
    features.string("ociVersionMax", "1.3.0");
    let keys = [
        KeyId::HookPrestart,
        KeyId::HookCreateRuntime,
        KeyId::HookCreateContainer,
        KeyId::HookStartContainer,
        KeyId::HookPoststart,
        KeyId::HookPoststop,
    ];
    let hooks = HookKind::ALL.into_iter().zip(keys).filter(|(_, key)| enforces(*key, ""));
    features.strings("hooks", hooks.map(|(kind, _)| kind.name()));
    features.strings("mountOptions", mount_options(enforces));
    features.object("linux", |features| linux(features, enforces));
    features.object("annotations", |annotations| {
        for feature in proved {
            annotations.string(&format!("veridian.test.{}", feature.name), feature.test);
        }
    });
    features.end();
    text
}

/// The enforced words among the values of a key.
fn enforced(key: KeyId, enforces: &impl Fn(KeyId, &str) -> bool) -> impl Iterator<Item = &'static str> {
    VALUES.iter().filter(move |value| value.key == key && enforces(key, value.word)).map(|value| value.word)
}

fn mount_options(enforces: &impl Fn(KeyId, &str) -> bool) -> impl Iterator<Item = &'static str> {
    let types = enforced(KeyId::Mount, enforces).filter_map(|word| word.strip_prefix("type "));
    let binds = types.filter(|kind| matches!(*kind, "bind" | "rbind"));
    binds.chain(enforced(KeyId::Mount, enforces).filter(|word| !word.contains(' ')))
}

fn linux(linux: &mut Object<'_>, enforces: &impl Fn(KeyId, &str) -> bool) {
    let kinds = NamespaceKind::ALL.into_iter().map(NamespaceKind::name);
    linux.strings("namespaces", kinds.filter(|kind| enforces(KeyId::Namespace, kind)));
    if enforces(KeyId::Capability, "") {
        linux.strings("capabilities", CapabilitySet::all().iter_names().map(|(name, _)| format!("CAP_{name}")));
    }
    linux.object("cgroup", |cgroup| {
        cgroup.boolean("v1", false);
        cgroup.boolean("v2", enforces(KeyId::Unified, ""));
        cgroup.boolean("systemd", false);
        cgroup.boolean("systemdUser", false);
        cgroup.boolean("rdma", false);
    });
    linux.object("seccomp", |seccomp| {
        let is_enforced = enforces(KeyId::SeccompDefault, "");
        seccomp.boolean("enabled", is_enforced);
        if is_enforced {
            let actions =
                enforced(KeyId::Seccomp, enforces).map(|word| format!("SCMP_ACT_{}", word.to_ascii_uppercase()));
            seccomp.strings("actions", actions);
            let operators = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
            seccomp.strings("operators", operators.map(|operator| format!("SCMP_CMP_{operator}")));
            seccomp.strings("archs", ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64", "SCMP_ARCH_RISCV64"]);
        }
    });
    for absent in ["apparmor", "selinux", "intelRdt", "netDevices"] {
        linux.object(absent, |feature| feature.boolean("enabled", false));
    }
    linux.object("mountExtensions", |extensions| {
        extensions.object("idmap", |idmap| idmap.boolean("enabled", false));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{KEYS, Support};
    use std::{env, fs};

    const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    const BEGIN: &str = "<!-- features -->\n";
    const END: &str = "<!-- end of features -->\n";

    /// Rewrite the README with `VERIDIAN_WRITE_DOCS=1 cargo test -p veridian-containers features`.
    #[test]
    fn the_readme_has_the_table() {
        let mut table = String::from("| of the configuration | enforced by | test |\n| --- | --- | --- |\n");
        for feature in FEATURES {
            table += &format!("| {} | {} | `{}` |\n", feature.what, feature.how, feature.test);
        }
        let page = fs::read_to_string(README).unwrap();
        let (before, rest) = page.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        let made = format!("{before}{BEGIN}\n{table}\n{END}{after}");
        if env::var_os("VERIDIAN_WRITE_DOCS").is_some() {
            fs::write(README, made).unwrap();
        } else {
            assert!(page == made, "README.md is not up to date; run with VERIDIAN_WRITE_DOCS=1 to make it so");
        }
    }

    #[test]
    fn the_document_says_what_the_tables_say() {
        let json = super::json(|_, _| true, FEATURES);
        assert!(json.starts_with("{\"ociVersionMin\":\"1.0.0\",\"ociVersionMax\":\"1.3.0\",\"hooks\":[\"prestart\""));
        assert!(json.contains("\"mountOptions\":[\"bind\",\"rbind\""));
        assert!(json.contains("\"namespaces\":[\"pid\""));
        let less = super::json(|key, word| key == KeyId::Namespace && word == "pid", &[]);
        assert!(less.contains("\"hooks\":[],\"mountOptions\":[],\"linux\":{\"namespaces\":[\"pid\"],"), "{less}");
        assert!(less.contains("\"v2\":false") && less.contains("\"annotations\":{}"), "{less}");
        for key in KEYS.iter().filter(|key| key.support == Support::Enforced) {
            let named = |feature: &Feature| feature.what.contains(&format!("`{}`", key.name));
            assert!(FEATURES.iter().any(named), "no row names {}", key.name);
        }
        for value in VALUES.iter().filter(|value| value.key == KeyId::Namespace && value.support == Support::Enforced) {
            let named = |feature: &Feature| match value.word.strip_suffix(':') {
                Some(_) => feature.what.contains("`namespace` with a path"),
                None => feature.what.split([' ', ',', ';']).any(|word| word == value.word),
            };
            assert!(FEATURES.iter().any(named), "no row names the namespace {}", value.word);
        }
        let names: alloc::collections::BTreeSet<_> = FEATURES.iter().map(|feature| feature.name).collect();
        assert_eq!(names.len(), FEATURES.len(), "no name is there twice");
    }
}
