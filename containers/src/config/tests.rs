use alloc::string::{String, ToString};
use alloc::vec;
use core::num::NonZeroU32;

use super::*;
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
        namespaces: Namespaces { new: NAMESPACES, ..Namespaces::default() },
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
fn every_error_names_its_line_its_key_and_its_reason() {
    for (document, expected) in [
        ("", "process_arg: at least one is required"),
        ("hello", "line 1: no `=`: a line is key=value, or begins with # as a comment"),
        ("\n=x", "line 2: no key before the `=`"),
        ("colour=red", "line 1: colour: unknown key"),
        ("memory_limt=64M", "line 1: memory_limt: unknown key; did you mean memory_limit?"),
        ("Hostname=a", "line 1: Hostname: unknown key; did you mean hostname?"),
        ("hostname=a\n\nhostname=a", "line 3: hostname: is given twice; first on line 1"),
        (
            "hostname=",
            "line 1: hostname: \"\" is not a host name: labels of letters, digits and inner hyphens, separated by dots (RFC 1123)",
        ),
        (
            "memory_limit=64Q",
            "line 1: memory_limit: \"64Q\" is not a size: a decimal number of bytes, or one with K, M or G",
        ),
        ("memory_limit=", "line 1: memory_limit: \"\" is not a size: a decimal number of bytes, or one with K, M or G"),
        ("memory_limit=99999999999999G", "line 1: memory_limit: \"99999999999999G\" is too large a size"),
        ("pids_limit=-1", "line 1: pids_limit: \"-1\" is not a limit on tasks: a number from 1 to 4194304, or max"),
        ("process_uid=alice", "line 1: process_uid: \"alice\" is not an id: a decimal number below 4294967295"),
        ("root_readonly=True", "line 1: root_readonly: \"True\" is neither true nor false"),
        ("process_cwd=srv", "line 1: process_cwd: \"srv\" is not an absolute path"),
        ("oci_version=2.0.0", "line 1: oci_version: \"2.0.0\" is not an OCI version this kernel reads: 1.x"),
        ("root_path=", "line 1: root_path: \"\" is an empty path"),
        ("process_env=HOME", "line 1: process_env: \"HOME\" has no `=`: an environment entry is NAME=value"),
        ("process_arg=", "line 1: process_arg: the first, which names the program, is empty"),
        (
            "process_args=sh",
            "line 1: process_args: \"sh\" is not a JSON array of strings, such as [\"sh\",\"-c\",\"echo hi\"]",
        ),
        ("process_args=[]", "line 1: process_args: at least one argument is required"),
        ("process_args=[\"a\\u0000\"]", "line 1: process_args: \"a\\0\" contains a NUL"),
        (
            "namespace=Pid",
            "line 1: namespace: \"Pid\" is not a namespace: pid, network, mount, ipc, uts, user, cgroup, time",
        ),
        ("namespace=pid\nnamespace=pid", "line 2: namespace: pid is given twice"),
        ("mount=/a:tmpfs", "line 1: mount: \"/a:tmpfs\" is not a mount: destination:type:source[:option,option]"),
        ("mount=a:tmpfs:t", "line 1: mount: \"a\" is not an absolute path"),
        ("root_path=${ROOT}", "line 1: root_path: the variable ${ROOT} is not defined"),
        ("root_path=${BUNDLE", "line 1: root_path: \"${BUNDLE\" has a `${` without its `}`"),
        ("root_path=${}", "line 1: root_path: \"\" is not the name of a variable: letters, digits and `_`"),
    ] {
        assert_eq!(message(document), expected);
    }
    assert_eq!(Config::parse(b"a=\xff", &[]).unwrap_err().to_string(), "line 1: not UTF-8");
    assert_eq!(Config::parse(b"\nhostname=\0", &[]).unwrap_err().to_string(), "line 2: a NUL byte");
}

#[test]
fn what_needs_a_namespace_says_which() {
    for (line, expected) in [
        ("hostname=web", "line 2: hostname: needs namespace=uts, or it would be set for the caller too"),
        ("root_path=rootfs", "line 2: root_path: any root but / needs namespace=mount"),
        ("root_readonly=true", "line 2: root_readonly: needs namespace=mount, or the caller's root would change"),
        ("mount=/a:tmpfs:t", "line 2: mount: needs namespace=mount, or it would be mounted for the caller too"),
    ] {
        assert_eq!(message(&std::format!("process_arg=/bin/true\n{line}\nnamespace=pid")), expected);
    }
}

#[test]
fn what_is_known_but_not_enforced_is_refused_in_other_words_than_the_unknown() {
    for key in KEYS {
        let refusal = std::format!("line 1: {}: is known, but this kernel does not enforce it yet", key.name);
        let refused = message(&std::format!("{}=${{", key.name)) == refusal;
        assert_eq!(refused, key.support == Support::NotYet, "{}", key.name);
    }
    for (line, what) in [
        ("process_terminal=true", "process_terminal: true is"),
        ("namespace=network", "namespace: network is"),
        ("namespace=time", "namespace: time is"),
        ("namespace=pid:/proc/1/ns/pid", "namespace: joining one (`pid:path`) is"),
        ("mount=/proc:proc:proc", "mount: the file system \"proc\" is"),
        ("mount=/a:tmpfs:t:noatime", "mount: the option \"noatime\" is"),
    ] {
        let expected = std::format!("line 1: {what} known, but this kernel does not enforce it yet");
        assert_eq!(message(line), expected);
    }
}

#[test]
fn the_first_error_wins() {
    assert_eq!(parse("process_uid=x\nnonsense\nhostname=_").unwrap_err().line().unwrap().get(), 1);
    assert_eq!(parse("hostname=web\nprocess_uid=x").unwrap_err().key(), "process_uid");
}

#[test]
fn documents_and_lists_have_bounds() {
    let many = |line: &str, count: usize| std::format!("process_arg=a\n{}", std::format!("{line}\n").repeat(count));
    assert!(parse(&many("process_env=A=b", ENV_MAX)).is_ok());
    assert_eq!(message(&many("process_env=A=b", ENV_MAX + 1)), "line 1026: process_env: more than 1024 of them");
    assert!(parse(&many("process_arg=b", ARGS_MAX - 1)).is_ok());
    assert_eq!(message(&many("process_arg=b", ARGS_MAX)), "line 1025: process_arg: more than 1024 of them");
    let mounts = std::format!("namespace=mount\n{}", many("mount=/a:dev:dev", MOUNTS_MAX));
    assert!(parse(&mounts).is_ok());
    assert!(message(&std::format!("{mounts}mount=/a:dev:dev")).ends_with("mount: more than 256 of them"));
    let array = std::format!("process_args=[{}\"a\"]", "\"a\",".repeat(ARGS_MAX));
    assert_eq!(message(&array), "line 1: process_args: more than 1024 of them");
    let long = std::format!("process_arg=a\n#{}", "x".repeat(DOCUMENT_LEN_MAX));
    assert_eq!(message(&long), "line 2: the configuration is too long: more than 65536 bytes");
}

#[test]
fn a_message_does_not_repeat_a_whole_document() {
    let long = "x".repeat(60_000);
    for document in [
        std::format!("{long}=1"),
        std::format!("process_uid={long}"),
        std::format!("mount={long}"),
        std::format!("namespace={long}"),
        std::format!("mount=/a:{long}:b"),
        std::format!("mount=/a:tmpfs:b:{long}"),
        std::format!("root_path=${{{long}}}"),
        std::format!("process_args={long}"),
    ] {
        assert!(message(&document).len() < 300, "{}", message(&document));
    }
}

#[test]
fn what_grows_past_a_document_when_printed_is_refused() {
    let argument = "\u{1}".repeat(20_000);
    assert_eq!(message(&std::format!("process_arg={argument}x")), "the canonical text is longer than 65536 bytes");
}

#[test]
fn the_canonical_text_and_its_hash_are_these() {
    let config = parse(
        "namespace=uts\nnamespace=mount\nprocess_arg=/bin/a b\nprocess_arg=\"$${X}\"\nhostname=web\nmemory_limit=1M\n\
         mount=/t:tmpfs:t:size=4K,ro,mode=0700,nodev\nmount=/b\\:c:bind:/s:rw,noexec\nprocess_env=A=$${B}\npids_limit=5",
    )
    .unwrap();
    assert_eq!(
        config.to_string(),
        "oci_version=1.0.2\nroot_path=/\nroot_readonly=false\nhostname=web\nprocess_cwd=/\nprocess_uid=0\n\
         process_gid=0\nprocess_args=[\"/bin/a b\",\"\\\"$${X}\\\"\"]\nprocess_env=A=$${B}\n\
         mount=/t:tmpfs:t:nodev,ro,mode=700,size=4096\nmount=/b\\:c:bind:/s:noexec,rw\n\
         namespace=mount\nnamespace=uts\nmemory_limit=1048576\npids_limit=5\n"
    );
    assert_eq!(config.identity().to_string(), IDENTITY);
}

/// The SHA-256 of that text, by sha256sum(1).
const IDENTITY: &str = "b40681208857ada21ac73c8058b2da6ea4b874ff5f8e3da9eeff5a8a0f52a7ca";

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
        |settings| settings.process.env.push("A=line\nbreak".into()),
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
fn the_documentation_has_the_keys_of_the_table() {
    let documentation = include_str!("../../../docs/config.md");
    for key in KEYS {
        let row = match key.support {
            Support::Enforced(_) => {
                let times = if key.repeats { " (repeats)" } else { "" };
                let default = if key.default.is_empty() { "" } else { key.default };
                std::format!("| `{}`{times} | {} | {default} |\n", key.name, key.value)
            }
            Support::NotYet => std::format!("`{}`", key.name),
        };
        assert!(documentation.contains(&row), "docs/config.md lacks: {row}");
    }
    assert_eq!(KeyId::COUNT, KEYS.iter().filter(|key| key.support != Support::NotYet).count());
}
