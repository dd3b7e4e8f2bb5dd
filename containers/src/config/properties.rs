use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::num::{NonZeroU32, NonZeroU64};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::{option, sample};

use super::syntax::options::FLAGS;
use super::*;
use crate::NamespaceSet;
use crate::keys::KEYS;

use crate::text::Bytes;

/// A config.json with everything in it.
const FULL: &str = include_str!("json/full.json");

/// Texts with the characters that mean something somewhere.
fn tricky() -> impl Strategy<Value = String> {
    "([a-c/ :=,#$\\{}\"'\\\\\t\u{1}\u{a0}ä😀]|\\$\\{|\\$\\$\\{){0,12}"
}

/// Mounts that are valid.
fn mounts() -> impl Strategy<Value = Mount> {
    let tmpfs = (option::of(1..=u64::MAX), option::of(1..=u64::MAX), 0..=0o7777_u16, 0..3_u32, any::<bool>());
    let devpts = (0..=0o7777_u16, 0..=0o7777_u16, option::of(0..3_u32), option::of(any::<u32>()));
    let path = || tricky().prop_map(|text| format!("p{text}."));
    let overlay = (vec(path(), 1..3), option::of((path(), path())));
    let filesystem = prop_oneof![
        any::<bool>().prop_map(|recursive| Filesystem::Bind { recursive }),
        any::<bool>().prop_map(|bind| Filesystem::Remount { bind }),
        tmpfs.prop_map(|(size, inodes, mode, id, copy_up)| {
            Filesystem::Tmpfs(TmpfsOptions { size: size.map(Bytes), inodes, mode, uid: id, gid: id / 2, copy_up })
        }),
        devpts.prop_map(|(ptmx_mode, mode, id, max)| {
            Filesystem::Devpts(DevptsOptions { ptmx_mode, mode, uid: id, gid: id, max })
        }),
        overlay.prop_map(|(lower, upper)| {
            let upper = upper.map(|(directory, work)| OverlayUpper { directory, work });
            Filesystem::Overlay(OverlayOptions { lower, upper })
        }),
        sample::select(
            [Filesystem::Dev, Filesystem::Proc, Filesystem::Sysfs, Filesystem::Mqueue, Filesystem::Cgroup2].to_vec()
        ),
    ];
    let flags = || any::<u32>().prop_map(MountFlags::from_bits_truncate);
    let propagation = option::of(propagations());
    (tricky(), filesystem, tricky(), [flags(), flags(), flags(), flags()], propagation).prop_map(
        |(destination, filesystem, source, [set, cleared, tree_set, tree_cleared], propagation)| {
            let is_remount = matches!(filesystem, Filesystem::Remount { .. });
            let had_flags = is_remount || matches!(filesystem, Filesystem::Bind { .. });
            // Neither has a word that clears it, or sets it for a tree.
            let cleared = cleared - MountFlags::SYNCHRONOUS_DIRECTORIES;
            let (tree_set, tree_cleared) = (tree_set & tree_flags(), tree_cleared & tree_flags());
            Mount {
                destination: format!("/m{destination}.").replace("..", "."),
                filesystem,
                source: format!("s{source}."),
                set,
                cleared: if had_flags { cleared - set } else { MountFlags::empty() },
                recursive_set: tree_set,
                recursive_cleared: tree_cleared - tree_set,
                propagation: propagation.filter(|_| !is_remount),
            }
        },
    )
}

fn tree_flags() -> MountFlags {
    FLAGS.iter().filter(|option| option.recursive.is_some()).map(|option| option.flag).collect()
}

fn propagations() -> impl Strategy<Value = MountPropagation> {
    let kinds = [Propagation::Private, Propagation::Shared, Propagation::Slave, Propagation::Unbindable];
    (sample::select(kinds.to_vec()), any::<bool>()).prop_map(|(kind, recursive)| MountPropagation { kind, recursive })
}

fn strings(prefix: &'static str) -> impl Strategy<Value = Vec<String>> {
    vec(tricky().prop_map(move |text| format!("{prefix}{text}")), 1..4)
}

fn processes() -> impl Strategy<Value = Process> {
    let user = (0..u32::MAX, 0..u32::MAX, 0..=0o777_u16, vec(0..9_u32, 0..3))
        .prop_map(|(uid, gid, umask, additional_gids)| User { uid, gid, umask, additional_gids });
    let set = || {
        let known = [CapabilitySet::empty(), CapabilitySet::DEFAULT, CapabilitySet::all()];
        prop_oneof![any::<u64>().prop_map(CapabilitySet::from_bits_truncate), sample::select(known.to_vec())]
    };
    let capabilities =
        [set(), set(), set(), set(), set()].prop_map(|[bounding, effective, permitted, inheritable, ambient]| {
            let same = bounding.bits() & 1 == 0;
            Capabilities {
                bounding: if same { permitted } else { bounding },
                effective: if same { permitted } else { effective & permitted },
                permitted,
                inheritable,
                ambient: ambient & inheritable & permitted,
            }
        });
    let limit = || prop_oneof![any::<u64>(), Just(Rlimit::INFINITY)];
    let rlimits = btree_map(sample::select(RlimitKind::ALL.to_vec()), (limit(), limit()), 0..3).prop_map(|limits| {
        let limit = |(a, b): (u64, u64)| Rlimit { soft: a.min(b), hard: a.max(b) };
        limits.into_iter().map(|(kind, both)| (kind, limit(both))).collect()
    });
    let size = option::of((any::<u16>(), any::<u16>()));
    let rest = (size, capabilities, rlimits, any::<bool>(), option::of(-1000..=1000_i16));
    (tricky(), user, strings(""), strings("N="), rest).prop_map(|(cwd, user, args, env, rest)| {
        let (size, capabilities, rlimits, no_new_privileges, oom_score_adj) = rest;
        Process {
            cwd: format!("/{cwd}."),
            user,
            args: args.into_iter().enumerate().map(|(n, arg)| if n == 0 { arg + "x" } else { arg }).collect(),
            env,
            terminal: size.is_some(),
            console_size: size.map(|(height, width)| ConsoleSize { height, width }),
            capabilities,
            rlimits,
            no_new_privileges,
            oom_score_adj,
        }
    })
}

fn resources() -> impl Strategy<Value = Resources> {
    let bytes = || option::of((1..=u64::MAX).prop_map(|bytes| Limit::At(Bytes(bytes))));
    let memory = [bytes(), bytes(), bytes(), bytes()].prop_map(|[limit, reservation, high, swap]| {
        let value = |limit: Option<Limit<Bytes>>| limit.and_then(Limit::value);
        let swap = swap.filter(|_| limit.is_some()).map(|_| Limit::At(value(swap).max(value(limit)).unwrap()));
        MemoryResources { limit, reservation, high, swap }
    });
    let time = |range| option::of(range).prop_map(|number: Option<u64>| number.and_then(NonZeroU64::new));
    let cpu = (
        time(2..=262_144),
        time(1000..=1_000_000),
        time(1000..=1_000_000),
        0..1001_u64,
        option::of(any::<bool>()),
        time(1..=u64::MAX),
    );
    let cpu = cpu.prop_map(|(shares, quota, period, burst, idle, cpus)| CpuResources {
        shares,
        quota: quota.map(Limit::At),
        period,
        burst: quota.map(|_| burst),
        idle,
        cpus: cpus.map(CpuSet),
    });
    let pids = option::of(1..=crate::text::PIDS_MAX).prop_map(|pids| pids.and_then(NonZeroU32::new).map(Limit::At));
    let kinds = [DeviceRuleKind::All, DeviceRuleKind::Character, DeviceRuleKind::Block];
    let rule = (any::<bool>(), sample::select(kinds.to_vec()), option::of(0..4096_u32), option::of(0..9_u32), 1..8_u8);
    let rule = rule.prop_map(|(allow, kind, major, minor, access)| DeviceRule {
        allow,
        kind,
        major,
        minor,
        access: DeviceAccess::from_bits_truncate(access),
    });
    let rules = prop_oneof![Just(DeviceRule::defaults()), vec(rule, 0..3)];
    let unified = btree_map("[a-z]{1,5}\\.[a-z]{1,5}", tricky(), 0..2);
    (memory, cpu, pids, rules, unified).prop_map(|(memory, cpu, pids, devices, unified)| Resources {
        memory,
        cpu,
        pids,
        devices,
        unified,
    })
}

fn seccomps() -> impl Strategy<Value = Seccomp> {
    let action = || {
        prop_oneof![
            (0..=4095_u16).prop_map(SeccompAction::Errno),
            any::<u16>().prop_map(SeccompAction::Trace),
            sample::select(
                [
                    SeccompAction::Allow,
                    SeccompAction::Log,
                    SeccompAction::Trap,
                    SeccompAction::Notify,
                    SeccompAction::KillThread,
                    SeccompAction::KillProcess
                ]
                .to_vec()
            ),
        ]
    };
    let operator = (0..7_u8, any::<u64>()).prop_map(|(number, mask)| match number {
        0 => SeccompOperator::NotEqual,
        1 => SeccompOperator::Less,
        2 => SeccompOperator::LessOrEqual,
        3 => SeccompOperator::Equal,
        4 => SeccompOperator::GreaterOrEqual,
        5 => SeccompOperator::Greater,
        _ => SeccompOperator::MaskedEqual { mask },
    });
    let condition = (0..6_u8, operator, any::<u64>()).prop_map(|(index, operator, value)| SeccompCondition {
        index,
        operator,
        value,
    });
    let rule = (vec("[a-z_0-9]{1,9}", 1..3), action(), vec(condition, 0..3))
        .prop_map(|(names, action, conditions)| SeccompRule { names, action, conditions });
    let architectures = sample::subsequence(SeccompArch::ALL.to_vec(), 0..3);
    let flags = any::<u32>().prop_map(SeccompFlags::from_bits_truncate);
    let profile =
        (action(), architectures, flags, vec(rule, 0..3)).prop_map(|(default_action, architectures, flags, rules)| {
            Seccomp::Profile(SeccompProfile { default_action, architectures, flags, rules })
        });
    prop_oneof![2 => profile, 1 => Just(Seccomp::Default), 1 => Just(Seccomp::Unconfined)]
}

fn all_hooks() -> impl Strategy<Value = Hooks> {
    let path = || tricky().prop_map(|text| format!("/h{text}."));
    let args = prop_oneof![Just(Vec::new()), strings("")];
    let hook = (path(), args, prop_oneof![Just(Vec::new()), strings("E=")], any::<u32>(), any::<bool>()).prop_map(
        |(path, mut args, env, timeout, own_name)| {
            if !own_name || args.is_empty() {
                args.insert(0, path.clone());
            }
            Hook { path, args, env, timeout: NonZeroU32::new(timeout) }
        },
    );
    vec((sample::select(HookKind::ALL.to_vec()), hook), 0..3).prop_map(|list| {
        let mut hooks = Hooks::default();
        list.into_iter().for_each(|(kind, hook)| hooks.of_mut(kind).push(hook));
        hooks
    })
}

fn any_namespaces() -> impl Strategy<Value = Namespaces> {
    (any::<u32>(), btree_map(sample::select(NamespaceKind::ALL.to_vec()), tricky(), 0..3)).prop_map(|(bits, joined)| {
        let all = NamespaceSet::all().bits();
        let new = NamespaceSet::from_bits_truncate(bits & all) | NamespaceSet::MOUNT;
        let joined = joined.into_iter().filter(|(kind, _)| !new.contains(kind.flag()));
        Namespaces { new, joined: joined.map(|(kind, path)| (kind, format!("/n{path}."))).collect() }
    })
}

/// Settings that are valid.
fn any_settings() -> impl Strategy<Value = Settings> {
    let root = (tricky(), any::<bool>(), propagations()).prop_map(|(path, readonly, propagation)| Root {
        path: format!("r{path}."),
        readonly,
        propagation,
    });
    let hostname = || option::of("[a-z0-9]{1,8}(\\.[A-Z]{1,3})?");
    let paths = || vec(tricky().prop_map(|text| format!("/p{text}.")), 0..3);
    let node = prop_oneof![
        (0..4096_u32, 0..9_u32).prop_map(|(major, minor)| DeviceNode::Character { major, minor }),
        (0..4096_u32, 0..9_u32).prop_map(|(major, minor)| DeviceNode::Block { major, minor }),
        Just(DeviceNode::Fifo),
    ];
    let device = (tricky(), node, 0..=0o7777_u16, 0..2_u32).prop_map(|(path, node, mode, id)| Device {
        path: format!("/d{path}.").replace("..", "."),
        node,
        mode,
        uid: id,
        gid: id,
    });
    let offset = || (any::<i64>(), 0..2_u32).prop_map(|(secs, nanosecs)| TimeOffset { secs, nanosecs });
    let annotations = btree_map(tricky().prop_map(|text| text + "."), tricky(), 0..3);
    let places = (root, hostname(), hostname(), vec(mounts(), 0..4), vec(device, 0..2), paths(), paths());
    let kernel = (any_namespaces(), resources(), seccomps(), all_hooks(), offset(), offset(), any::<u32>());
    (places, processes(), kernel, annotations).prop_map(|(places, process, kernel, annotations)| {
        let (root, hostname, domainname, mounts, devices, masked_paths, readonly_paths) = places;
        let (namespaces, resources, seccomp, hooks, monotonic, boottime, first) = kernel;
        let uts = namespaces.is_new(NamespaceKind::Uts);
        let time = namespaces.is_new(NamespaceKind::Time);
        let user = namespaces.is_new(NamespaceKind::User);
        let mapping = IdMapping { container: 0, host: first / 2, size: NonZeroU32::new(1 + first / 3).unwrap() };
        let mut sysctl = BTreeMap::new();
        if namespaces.is_new(NamespaceKind::Ipc) {
            sysctl.insert("kernel.msgmax".into(), process.cwd.clone());
        }
        Settings {
            oci_version: "1.2.3-rc.1+x".into(),
            root,
            hostname: hostname.filter(|_| uts),
            domainname: domainname.filter(|_| uts),
            process,
            mounts,
            namespaces,
            uid_mappings: user.then_some(mapping).into_iter().collect(),
            gid_mappings: user.then_some(mapping).into_iter().collect(),
            time_offsets: if time { TimeOffsets { monotonic, boottime } } else { TimeOffsets::default() },
            devices,
            cgroups_path: (first % 2 == 0).then(|| format!("/c{first}")),
            resources,
            hooks,
            seccomp,
            sysctl,
            masked_paths,
            readonly_paths,
            annotations,
        }
    })
}

/// Settings of which one or two values are perhaps not what they should be.
fn doubtful_settings() -> impl Strategy<Value = Settings> {
    let text = prop_oneof![
        tricky(),
        Just(String::new()),
        Just(String::from("a\nb")),
        Just(String::from("/a\0")),
        Just(String::from("/a/..")),
        tricky().prop_map(|text| format!("/{text}")),
    ];
    let number = prop_oneof![any::<u32>(), Just(u32::MAX), 0..4_u32, 4095..4097_u32, 990..1002_u32];
    let change = (0..CHANGES.len(), text, number);
    (any_settings(), vec(change, 1..3)).prop_map(|(mut settings, changes)| {
        for (change, text, number) in changes {
            CHANGES[change](&mut settings, text, number);
        }
        settings
    })
}

/// Ways of putting a text or a number where settings have one.
const CHANGES: &[fn(&mut Settings, String, u32)] = &[
    |settings, text, _| settings.oci_version = text,
    |settings, text, _| settings.root.path = text,
    |settings, text, _| settings.hostname = Some(text),
    |settings, text, _| settings.domainname = Some(text),
    |settings, text, _| settings.process.cwd = text,
    |settings, _, number| settings.process.user.uid = number,
    |settings, _, number| settings.process.user.gid = number,
    |settings, _, number| settings.process.user.additional_gids.push(number),
    |settings, _, number| settings.process.user.umask = number as u16,
    |settings, text, _| settings.process.args.push(text),
    |settings, text, number| settings.process.args.resize(number as usize % 2000, text),
    |settings, text, _| settings.process.env.push(text),
    |settings, text, number| settings.process.env.resize(number as usize % 2000, text),
    |settings, _, number| settings.process.oom_score_adj = Some(number as i16),
    |settings, _, number| settings.process.capabilities.bounding = CapabilitySet::from_bits_retain(number.into()),
    |settings, _, number| {
        settings.process.capabilities.permitted |= CapabilitySet::from_bits_retain(1 << (number % 64));
    },
    |settings, text, _| in_mount(settings, |mount| mount.destination = text),
    |settings, text, _| in_mount(settings, |mount| mount.source = text),
    |settings, _, number| in_mount(settings, |mount| mount.set = MountFlags::from_bits_retain(number)),
    |settings, _, number| in_mount(settings, |mount| mount.cleared = MountFlags::from_bits_retain(number)),
    |settings, _, number| {
        in_mount(settings, |mount| mount.cleared = MountFlags::from_bits_truncate(1 << (number % 27)))
    },
    |settings, _, number| {
        in_mount(settings, |mount| mount.recursive_set = MountFlags::from_bits_truncate(1 << (number % 27)));
    },
    |settings, _, number| in_mount(settings, |mount| mount.recursive_cleared = MountFlags::from_bits_retain(number)),
    |settings, text, number| {
        in_mount(settings, |mount| {
            let tmpfs = TmpfsOptions { mode: number as u16, ..TmpfsOptions::default() };
            mount.filesystem = match number % 7 {
                0 => Filesystem::Tmpfs(TmpfsOptions { size: Some(Bytes(0)), ..tmpfs }),
                1 => Filesystem::Tmpfs(TmpfsOptions { inodes: Some(0), ..tmpfs }),
                2 => Filesystem::Tmpfs(TmpfsOptions { uid: number, mode: 0, ..tmpfs }),
                3 => Filesystem::Tmpfs(tmpfs),
                4 => Filesystem::Devpts(DevptsOptions { gid: Some(number), ..DevptsOptions::default() }),
                5 => Filesystem::Devpts(DevptsOptions { ptmx_mode: number as u16, ..DevptsOptions::default() }),
                _ => {
                    let lower = std::vec![text.clone(); number as usize % 150];
                    let upper = OverlayUpper { directory: text, work: "w".into() };
                    Filesystem::Overlay(OverlayOptions { lower, upper: Some(upper).filter(|_| number % 2 == 0) })
                }
            };
        });
    },
    |settings, _, number| settings.namespaces.new = NamespaceSet::from_bits_retain(number),
    |settings, text, number| {
        settings.namespaces.joined.insert(NamespaceKind::ALL[number as usize % 8], text);
    },
    |settings, _, number| {
        if let (Some(first), Some(size)) = (settings.uid_mappings.first_mut(), NonZeroU32::new(number)) {
            *first = IdMapping { container: number / 2, host: number, size };
        }
    },
    |settings, _, number| settings.time_offsets.boottime.nanosecs = number,
    |settings, text, _| settings.cgroups_path = Some(text),
    |settings, _, number| settings.resources.memory.high = Some(Limit::At(Bytes((number / 2).into()))),
    |settings, _, number| settings.resources.cpu.shares = NonZeroU64::new(number.into()),
    |settings, _, number| settings.resources.cpu.quota = NonZeroU64::new(number.into()).map(Limit::At),
    |settings, _, number| settings.resources.cpu.period = NonZeroU64::new(number.into()),
    |settings, _, number| settings.resources.cpu.burst = Some(u64::from(number) << 8),
    |settings, _, number| settings.resources.pids = NonZeroU32::new(number).map(Limit::At),
    |settings, text, _| drop(settings.resources.unified.insert(text, "1".into())),
    |settings, text, _| drop(settings.resources.unified.insert("a.b".into(), text)),
    |settings, text, number| {
        let node = match number % 3 {
            0 => DeviceNode::Character { major: number, minor: 0 },
            1 => DeviceNode::Block { major: 1, minor: number },
            _ => DeviceNode::Fifo,
        };
        settings.devices.push(Device { path: text, node, mode: number as u16, uid: number, gid: 0 });
    },
    |settings, _, number| {
        let rule = DeviceRule { major: Some(number), ..DeviceRule::defaults()[0] };
        settings.resources.devices.push(DeviceRule { access: DeviceAccess::from_bits_retain(number as u8), ..rule });
    },
    |settings, text, number| {
        if let Seccomp::Profile(profile) = &mut settings.seccomp {
            let action = SeccompAction::Errno(number as u16);
            let condition = SeccompCondition { index: number as u8, operator: SeccompOperator::Less, value: 1 };
            match number % 6 {
                0 => profile.default_action = action,
                1 => profile.rules.push(SeccompRule { names: [text].into(), action, conditions: Vec::new() }),
                2 => profile.architectures.extend([SeccompArch::ARM, SeccompArch::ARM]),
                3 => profile.flags = SeccompFlags::from_bits_retain(number),
                4 => profile.rules.iter_mut().for_each(|rule| rule.conditions.push(condition)),
                _ => profile.rules.iter_mut().for_each(|rule| rule.names.clear()),
            }
        }
    },
    |settings, text, _| drop(settings.sysctl.insert(text, "1".into())),
    |settings, text, _| settings.masked_paths.push(text),
    |settings, text, number| settings.readonly_paths.resize(number as usize % 300, text),
    |settings, text, _| drop(settings.annotations.insert(text, "\0".into())),
    |settings, text, _| drop(settings.annotations.insert(text, "".into())),
    |settings, text, number| {
        let kind = HookKind::ALL[number as usize % 6];
        let path = if number % 5 == 0 { text.clone() } else { "/h".into() };
        let hook = Hook { path, args: std::vec![text.clone(); number as usize % 7], env: [text].into(), timeout: None };
        settings.hooks.of_mut(kind).resize(number as usize % 70, hook);
    },
];

fn in_mount(settings: &mut Settings, change: impl FnOnce(&mut Mount)) {
    if let Some(mount) = settings.mounts.first_mut() {
        change(mount);
    }
}

/// What any front end may make of the whole language.
fn known(settings: Settings) -> Result<Config, ConfigError> {
    Config::checked(settings, Accept::All, |key, _| key.name().into())
}

/// Documents of lines that have something to do with the language.
fn any_document() -> impl Strategy<Value = String> {
    let key = proptest::sample::select(KEYS.iter().map(|key| key.name).collect::<Vec<_>>());
    let line = prop_oneof![
        4 => (key, tricky()).prop_map(|(key, value)| std::format!("{key}={value}")),
        1 => tricky(),
        1 => Just("mount=/a:tmpfs:t:size=1K,ro".to_string()),
        1 => Just("process_args=[\"a\",\"\\u00e4\"]".to_string()),
        1 => Just("namespace=mount".to_string()),
    ];
    proptest::collection::vec(line, 0..6).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn printing_then_parsing_is_identity(settings in any_settings()) {
        let config = known(settings);
        prop_assert!(config.is_ok(), "{}", config.unwrap_err());
        let config = config.unwrap();
        let printed = config.to_string();
        let again = Config::parse_whole_language(printed.as_bytes(), &[]);
        prop_assert_eq!(again.as_ref(), Ok(&config), "{}", printed);
        prop_assert_eq!(again.unwrap().to_string(), printed);
    }

    /// Settings pass the checks if, and only if, they can be written on lines and are the same when these are read.
    #[test]
    fn what_is_checked_is_what_lines_can_say(settings in doubtful_settings()) {
        let checked = known(settings.clone());
        let mut settings = settings;
        check::normalize(&mut settings);
        let mut printed = String::new();
        canonical(&settings, &mut printed).unwrap();
        let read = Config::parse_whole_language(printed.as_bytes(), &[]);
        let same = read.as_ref().is_ok_and(|read| read.settings == settings);
        prop_assert_eq!(checked.is_ok(), same, "{:?}\n{:?}\n{}", checked, read, printed);
    }

    /// What the tables say of lines and what they say of demands is one thing.
    #[test]
    fn what_is_accepted_asks_only_for_what_is_enforced(settings in any_settings()) {
        if let Ok(config) = Config::new(settings) {
            for demand in config.demands() {
                prop_assert!(is_enforced(demand.key, &demand.word), "{demand:?}");
            }
        }
    }

    #[test]
    fn no_bytes_panic_it(bytes in any::<Vec<u8>>()) {
        let _ = Config::parse(&bytes, &[]);
    }

    /// config.json with a stretch of it replaced: what is still read prints and reads back.
    #[test]
    fn a_damaged_config_json_is_read_or_refused(at in 0..FULL.len(), len in 0..12_usize, text in "[\\]{}\\[\",:0-9a-z\\\\ -]{0,6}") {
        let mut document = FULL.as_bytes().to_vec();
        document.splice(at..(at + len).min(FULL.len()), text.bytes());
        if let Ok(config) = Config::parse_whole_language(&document, &[]) {
            prop_assert_eq!(Config::parse_whole_language(config.to_string().as_bytes(), &[]), Ok(config));
        }
    }

    #[test]
    fn what_parses_passes_the_checks_and_prints_back(document in any_document()) {
        if let Ok(config) = Config::parse_whole_language(document.as_bytes(), &[("a", "x:y"), ("b", "${a}")]) {
            prop_assert_eq!(known(config.clone().into_settings()), Ok(config.clone()));
            prop_assert_eq!(Config::parse_whole_language(config.to_string().as_bytes(), &[]), Ok(config));
        }
    }
}
