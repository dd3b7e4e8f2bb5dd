//! What a configuration means, and what holds of what others have read.

mod refused;
mod whole;

use alloc::string::{String, ToString};
use alloc::vec;
use core::num::NonZeroU32;

use self::whole::{WHOLE, whole};
use super::syntax::options::flag_word;
use super::*;
use crate::NamespaceSet;
use crate::keys::{KEYS, KeyId, Support};
use crate::line::DOCUMENT_LEN_MAX;
use crate::text::Bytes;

fn parse(document: &str) -> Result<Config, ConfigError> {
    Config::parse(document.as_bytes(), &[("CONTAINER_ID", "web"), ("BUNDLE", "/srv/a:b")])
}

/// A mount of which nothing is said yet.
const PLAIN: Mount = Mount {
    destination: String::new(),
    filesystem: Filesystem::Dev,
    source: String::new(),
    set: MountFlags::empty(),
    cleared: MountFlags::empty(),
    recursive_set: MountFlags::empty(),
    recursive_cleared: MountFlags::empty(),
    propagation: None,
};

fn tmpfs(size: Option<Bytes>, mode: u16) -> Filesystem {
    Filesystem::Tmpfs(TmpfsOptions { size, mode, ..TmpfsOptions::default() })
}

fn message(document: &str) -> String {
    parse(document).expect_err(document).to_string()
}

#[test]
fn every_enforced_key_means_what_it_says() {
    let config = parse(
        "# A web server.\n\
         oci_version = 1.3.0\r\n\
         root_path=rootfs\n\
         root_readonly=true\n\
         hostname=${CONTAINER_ID}.example\n\
         process_cwd=/srv\n\
         process_uid=33\n\
         process_gid=34\n\
         process_terminal=false\n\
         process_arg=/bin/httpd\n\
         process_arg=\n\
         process_arg = a = b\n\
         process_env=PATH=/bin\n\
         process_env=EMPTY=\n\
         mount=/srv/www:rbind:${BUNDLE}:ro,nosuid\n\
         mount=/tmp:tmpfs:tmpfs:size=64M,mode=700,noexec\n\
         mount=/dev:dev:dev\n\
         namespace=uts\n\
         namespace=mount\n\
         namespace=pid\n\
         memory_limit=64M\n\
         pids_limit=32",
    )
    .unwrap();
    let expected = Settings {
        oci_version: "1.3.0".into(),
        root: Root { path: "rootfs".into(), readonly: true, propagation: MountPropagation::default() },
        hostname: Some("web.example".into()),
        process: Process {
            cwd: "/srv".into(),
            user: User { uid: 33, gid: 34, ..User::default() },
            args: vec!["/bin/httpd".into(), String::new(), "a = b".into()],
            env: vec!["PATH=/bin".into(), "EMPTY=".into()],
            ..Process::default()
        },
        mounts: vec![
            Mount {
                destination: "/srv/www".into(),
                filesystem: Filesystem::Bind { recursive: true },
                source: "/srv/a:b".into(),
                set: MountFlags::READ_ONLY | MountFlags::NO_SUID,
                ..PLAIN
            },
            Mount {
                destination: "/tmp".into(),
                filesystem: tmpfs(Some(Bytes(64 << 20)), 0o700),
                source: "tmpfs".into(),
                set: MountFlags::NO_EXEC,
                ..PLAIN
            },
            Mount { destination: "/dev".into(), filesystem: Filesystem::Dev, source: "dev".into(), ..PLAIN },
        ],
        namespaces: Namespaces {
            new: NamespaceSet::PID | NamespaceSet::MOUNT | NamespaceSet::UTS,
            ..Namespaces::default()
        },
        resources: Resources {
            memory: MemoryResources { limit: Some(Limit::At(Bytes(64 << 20))), ..MemoryResources::default() },
            pids: Some(Limit::At(NonZeroU32::new(32).unwrap())),
            ..Settings::default().resources
        },
        ..Settings::with_own_root(true)
    };
    assert_eq!(*config, expected);
    assert_eq!(config.program(), "/bin/httpd");
}

#[test]
fn what_is_not_given_has_its_default() {
    let config = parse("process_arg=/bin/true").unwrap();
    let process = Process { args: vec!["/bin/true".into()], ..Settings::default().process };
    assert_eq!(*config, Settings { process, ..Settings::default() });
    for unlimited in ["memory_limit=0", "memory_limit=max", "pids_limit=max"] {
        assert_eq!(parse(&std::format!("process_arg=/bin/true\n{unlimited}")).unwrap(), config);
    }
}

#[test]
fn arguments_are_an_array_or_lines_and_not_both() {
    let lines = parse("process_arg=sh\nprocess_arg=-c\nprocess_arg=echo web").unwrap();
    assert_eq!(parse(r#"process_args=["sh", "-c", "echo ${CONTAINER_ID}"]"#).unwrap(), lines);
    assert_eq!(
        message("process_arg=sh\nprocess_args=[\"sh\"]"),
        "line 2: process_args: cannot be given together with process_arg (line 1)"
    );
    assert_eq!(
        message("\nprocess_args=[\"sh\"]\nprocess_arg=sh"),
        "line 3: process_arg: cannot be given together with process_args (line 2)"
    );
}

#[test]
fn settings_of_another_front_end_are_held_to_the_same_rules() {
    let valid = || {
        let mut settings = parse("process_arg=/bin/true\nnamespace=mount\nmount=/a:tmpfs:t").unwrap().into_settings();
        settings.process.env.push("A=b".into());
        settings
    };
    assert!(Config::new(valid()).is_ok());
    let changes: &[fn(&mut Settings)] = &[
        |settings| settings.oci_version = "2.0.0".into(),
        |settings| settings.root.path = String::new(),
        |settings| settings.root.path = " /".into(),
        |settings| settings.hostname = Some("web".into()),
        |settings| settings.hostname = Some("_".into()),
        |settings| settings.process.cwd = "a".into(),
        |settings| settings.process.user.uid = u32::MAX,
        |settings| settings.process.user.gid = u32::MAX,
        |settings| settings.process.args.clear(),
        |settings| settings.process.args = vec![String::new()],
        |settings| settings.process.args.push("\0".into()),
        |settings| settings.process.args = vec!["a".into(); ARGS_MAX + 1],
        |settings| settings.process.env.push("A=\0".into()),
        |settings| settings.process.env = vec!["A=b".into(); ENV_MAX + 1],
        |settings| settings.mounts[0].destination = "/".into(),
        |settings| settings.mounts[0].source = "a\nb".into(),
        |settings| settings.mounts[0].cleared = MountFlags::NO_DEV,
        |settings| settings.mounts[0].filesystem = tmpfs(None, 0o10000),
        |settings| settings.mounts[0].filesystem = tmpfs(Some(Bytes(0)), 0),
        |settings| settings.mounts = vec![settings.mounts[0].clone(); MOUNTS_MAX + 1],
        |settings| settings.namespaces.new = NamespaceSet::empty(),
        |settings| settings.namespaces.new |= NamespaceSet::USER,
        |settings| settings.resources.memory.limit = Some(Limit::At(Bytes(0))),
        |settings| settings.resources.pids = Some(Limit::At(NonZeroU32::MAX)),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut settings = valid();
        change(&mut settings);
        let error = Config::new(settings).expect_err(&std::format!("change {index}"));
        assert_eq!(error.line(), None);
    }
}

#[test]
fn limits_alone_are_what_an_update_changes() {
    let limits: String = WHOLE
        .lines()
        .filter(|line| ["memory", "cpu", "pids", "unified"].iter().any(|name| line.starts_with(name)))
        .flat_map(|line| [line, "\n"])
        .collect();
    let resources = Resources::parse_accepting(limits.as_bytes(), &[], Accept::All).unwrap();
    assert_eq!(resources.to_string(), limits);
    let change = Resources::parse(b"memory_limit=max\npids_limit=5", &[]).unwrap();
    assert_eq!(change.memory.limit, Some(Limit::Max));
    assert_eq!(change, Resources { memory: change.memory, pids: change.pids, ..Resources::default() });
    for (document, expected) in [
        ("hostname=a", "line 1: hostname: is not a limit, and cannot be changed"),
        ("device_rule=none", "line 1: device_rule: is not a limit, and cannot be changed"),
        ("\npids_limit=0", "line 2: pids_limit: \"0\" is not a limit on tasks: a number from 1 to 4194304, or max"),
    ] {
        assert_eq!(Resources::parse(document.as_bytes(), &[]).unwrap_err().to_string(), expected);
    }
    let burst = Resources::parse_accepting(b"cpu_burst=5\ncpu_quota=2000\ncpu_burst=7", &[], Accept::All);
    assert_eq!(burst.unwrap_err().key(), "cpu_burst");
}
