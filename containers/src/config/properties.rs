use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::num::NonZeroU32;
use proptest::prelude::*;

use super::*;
use crate::NamespaceSet;
use crate::keys::KEYS;
use crate::text::Bytes;

/// Texts with the characters that mean something somewhere.
fn tricky() -> impl Strategy<Value = String> {
    "([a-c/ :=,#$\\{}\"'\\\\\t\u{1}\u{a0}ä😀]|\\$\\{|\\$\\$\\{){0,12}"
}

/// Mounts that are mostly valid.
fn mounts() -> impl Strategy<Value = Mount> {
    let filesystem = prop_oneof![
        any::<bool>().prop_map(|recursive| Filesystem::Bind { recursive }),
        (proptest::option::of(1..=u64::MAX), 0..=0o7777_u16).prop_map(|(size, mode)| {
            Filesystem::Tmpfs(TmpfsOptions { size: size.map(Bytes), mode, ..TmpfsOptions::default() })
        }),
        Just(Filesystem::Dev),
    ];
    let flags = || (0..16_u32).prop_map(MountFlags::from_bits_truncate);
    (tricky(), filesystem, tricky(), flags(), flags()).prop_map(|(destination, filesystem, source, set, cleared)| {
        let is_bind = matches!(filesystem, Filesystem::Bind { .. });
        Mount {
            destination: std::format!("/m{destination}.").replace("..", "."),
            filesystem,
            source: std::format!("s{source}."),
            set,
            cleared: if is_bind { cleared - set } else { MountFlags::empty() },
            recursive_set: MountFlags::empty(),
            recursive_cleared: MountFlags::empty(),
            propagation: None,
        }
    })
}

/// Settings that are mostly valid.
fn any_settings() -> impl Strategy<Value = Settings> {
    let root = (tricky(), any::<bool>()).prop_map(|(path, readonly)| Root {
        path: path + ".",
        readonly,
        propagation: MountPropagation::default(),
    });
    let strings = |prefix: &'static str| {
        proptest::collection::vec(tricky().prop_map(move |text| std::format!("{prefix}{text}")), 1..4)
    };
    let process =
        (tricky(), 0..u32::MAX, 0..u32::MAX, strings(""), strings("N=")).prop_map(|(cwd, uid, gid, args, env)| {
            Process {
                cwd: std::format!("/{cwd}"),
                user: User { uid, gid, ..User::default() },
                args,
                env,
                ..Process::default()
            }
        });
    let limits = (proptest::option::of(1..=u64::MAX), proptest::option::of(1..=crate::text::PIDS_MAX)).prop_map(
        |(memory, pids)| {
            let mut resources = Settings::default().resources;
            resources.memory.limit = memory.map(|bytes| Limit::At(Bytes(bytes)));
            resources.pids = pids.and_then(NonZeroU32::new).map(Limit::At);
            resources
        },
    );
    let hostname = proptest::option::of("[a-z0-9]{1,8}(\\.[A-Z]{1,3})?");
    let namespaces = (0..2_u32, 0..2_u32).prop_map(|(pid, uts)| {
        let mut set = NamespaceSet::MOUNT;
        set.set(NamespaceSet::PID, pid == 1);
        set.set(NamespaceSet::UTS, uts == 1);
        set
    });
    (root, hostname, process, proptest::collection::vec(mounts(), 0..4), namespaces, limits).prop_map(
        |(root, hostname, process, mounts, namespaces, limits)| Settings {
            oci_version: "1.2.3-rc.1+x".into(),
            root,
            hostname: hostname.filter(|_| namespaces.contains(NamespaceSet::UTS)),
            process,
            mounts,
            namespaces: Namespaces { new: namespaces, ..Namespaces::default() },
            resources: limits,
            ..Settings::with_own_root(true)
        },
    )
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
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn printing_then_parsing_is_identity(settings in any_settings()) {
        if let Ok(config) = Config::new(settings) {
            let printed = config.to_string();
            let again = Config::parse(printed.as_bytes(), &[]);
            prop_assert_eq!(again.as_ref(), Ok(&config), "{}", printed);
            prop_assert_eq!(again.unwrap().to_string(), printed);
        }
    }

    #[test]
    fn no_bytes_panic_it(bytes in any::<Vec<u8>>()) {
        let _ = Config::parse(&bytes, &[]);
    }

    #[test]
    fn what_parses_passes_the_checks_and_prints_back(document in any_document()) {
        if let Ok(config) = Config::parse(document.as_bytes(), &[("a", "x:y"), ("b", "${a}")]) {
            prop_assert_eq!(Config::new(config.clone().into_settings()), Ok(config.clone()));
            prop_assert_eq!(Config::parse(config.to_string().as_bytes(), &[]), Ok(config));
        }
    }
}

#[test]
fn the_strategies_of_the_properties_make_valid_settings_often_enough() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let valid = (0..256).filter(|_| {
        let tree = any_settings().new_tree(&mut runner).unwrap();
        Config::new(proptest::strategy::ValueTree::current(&tree)).is_ok()
    });
    assert!(valid.count() > 64);
}
