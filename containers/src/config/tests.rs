use alloc::string::{String, ToString};
use alloc::vec;
use core::num::NonZeroU32;

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
    for key in &KEYS {
        let refusal = std::format!("line 1: {}: is known, but this kernel does not enforce it yet", key.name);
        let refused = message(&std::format!("{}=${{", key.name)) == refusal;
        assert_eq!(refused, key.support == Support::NotYet, "{}", key.name);
    }
    for value in VALUES {
        let name = value.word.trim_end_matches(':');
        let kind = NamespaceKind::from_name(name);
        let (key, line, shown) = match (value.key, kind) {
            (KeyId::ProcessTerminal, _) => ("process_terminal", std::format!("process_terminal={name}"), name.into()),
            (KeyId::Namespace, _) if name == value.word => ("namespace", std::format!("namespace={name}"), name.into()),
            (KeyId::Namespace, _) if !is_enforced(KeyId::Namespace, name) => continue,
            (KeyId::Namespace, _) => {
                ("namespace", std::format!("namespace={name}:/x"), std::format!("joining one (`{name}:path`)"))
            }
            (KeyId::Mount, _)
                if ["bind", "rbind", "tmpfs", "dev", "proc", "sysfs", "mqueue", "cgroup2"].contains(&name) =>
            {
                ("mount", std::format!("mount=/a:{name}:t"), std::format!("the file system \"{name}\""))
            }
            (KeyId::Mount, _) if flag_word(name).is_some() || MountPropagation::from_name(name).is_some() => {
                ("mount", std::format!("mount=/a:bind:t:{name}"), std::format!("the option \"{name}\""))
            }
            _ => continue,
        };
        let expected = std::format!("line 1: {key}: {shown} is known, but this kernel does not enforce it yet");
        assert_eq!(message(&line) == expected, value.support == Support::NotYet, "{line}: {}", message(&line));
    }
    for line in ["mount=/a:ext4:t", "mount=/a:tmpfs:t:huge=always", "mount=/a:tmpfs:t:size=50%"] {
        assert!(message(line).contains("is known, but this kernel does not enforce"), "{line}");
    }
}

/// Every key of the language, in canonical form.
const WHOLE: &str = r#"oci_version=1.3.0
root_path=rootfs
root_readonly=true
rootfs_propagation=rslave
hostname=web
domainname=example.org
process_cwd=/srv
process_uid=33
process_gid=34
additional_gid=5
additional_gid=6
umask=077
process_terminal=true
process_console_size=80x24
process_args=["/bin/sh","-c","echo $${PATH}"]
process_env=PATH=/bin
process_env=["KEY=line\nline "]
capability_bounding=all
capability_effective=CAP_KILL
capability_permitted=CAP_CHOWN
capability_permitted=CAP_KILL
capability_inheritable=CAP_KILL
capability_ambient=CAP_KILL
rlimit=core:0:max
rlimit=nofile:1024:4096
no_new_privileges=false
oom_score_adj=-500
mount=/proc:proc:proc:nodev,noexec,nosuid
mount=/dev/pts:devpts:devpts:noexec,nosuid,gid=5,mode=620,ptmxmode=666
namespace=pid
namespace=network:/proc/1/ns/net
namespace=mount
namespace=ipc
namespace=uts
namespace=user
namespace=time
uid_mapping=0:1000:32000
gid_mapping=0:1000:1
gid_mapping=1:5000:10
time_offset=monotonic:-3:500
time_offset=boottime:86400
cgroups_path=/my/container
memory_limit=1048576
memory_reservation=524288
memory_high=786432
memory_swap=2097152
cpu_shares=512
cpu_quota=50000
cpu_period=200000
cpu_burst=1000
cpu_idle=true
cpuset_cpus=0-2,5,63
pids_limit=32
unified=memory.oom.group=1
device=/dev/fuse:c:10:229
device=/dev/sda:b:8:0:660:0:6
device=/run/pipe:p:600
device_rule=deny:a:*:*:rwm
device_rule=allow:c:10:229:rw
seccomp_default=errno=38
seccomp_arch=X86_64
seccomp_arch=X86
seccomp_flag=log
seccomp=allow:read,write
seccomp=trace=7:ptrace:0!=4294967295
seccomp=kill_process:clone:0&0x7e020000==0,1<=5
sysctl=kernel.msgmax=4096
sysctl=kernel.shmmax=65536
masked_path=/proc/kcore
readonly_path=none
annotation=org.example.key=a = b
annotation=["org.example.text"," two\nlines"]
hook_prestart=["/bin/setup","now"]:5
hook_env=A=1
hook_env=["B=\n"]
hook_create_runtime=/bin/link
hook_create_container=/bin/mount:["mount","--all"]
hook_start_container=/bin/ldconfig:1
hook_poststart=/bin/tell
hook_poststop=/bin/clean\:up
"#;

fn whole(document: &str) -> Result<Config, ConfigError> {
    Config::parse_whole_language(document.as_bytes(), &[("COLONS", "a:b:c"), ("ONE", "1")])
}

#[test]
fn every_key_is_read_and_prints_as_it_was() {
    let config = whole(WHOLE).unwrap();
    assert_eq!(config.to_string(), WHOLE);
    let again = Config::checked(config.clone().into_settings(), Accept::All, |key, _| key.name().into());
    assert_eq!(again.unwrap(), config);
    for key in &KEYS {
        let given = WHOLE.lines().any(|line| line.split_once('=').is_some_and(|(name, _)| name == key.name));
        let other = ["process_arg", "capability"].contains(&key.name);
        assert!(given != other, "{}", key.name);
    }
    assert_eq!(config.resources.cpu.cpus.unwrap().0.get(), 0x8000_0000_0000_0027);
    assert_eq!(config.hooks.start_container[0].env, config.process.env);
    assert_eq!(config.hooks.create_container[0].args, ["mount", "--all"]);
    assert_eq!(config.hooks.poststop[0].path, "/bin/clean:up");
    assert_eq!(config.time_offsets.monotonic, TimeOffset { secs: -3, nanosecs: 500 });
    assert_eq!(config.process.capabilities.bounding, CapabilitySet::all());
    assert_eq!(config.process.rlimits[&RlimitKind::Core], Rlimit { soft: 0, hard: Rlimit::INFINITY });
    let Seccomp::Profile(profile) = &config.seccomp else { panic!() };
    let condition =
        SeccompCondition { index: 0, operator: SeccompOperator::MaskedEqual { mask: 0x7e02_0000 }, value: 0 };
    assert_eq!(profile.rules[2].conditions[0], condition);
}

#[test]
fn other_ways_of_saying_the_same() {
    let base = "process_arg=/x\nnamespace=mount\nnamespace=uts\nnamespace=user\nuid_mapping=0:0:1\ngid_mapping=0:0:1\n";
    let read = |lines: &str| whole(&std::format!("{base}{lines}")).unwrap_or_else(|error| panic!("{lines}: {error}"));
    for (one, other) in [
        ("", "capability=default\nno_new_privileges=true\numask=022\nmasked_path=default\nseccomp=default"),
        ("", "device_rule=default\nreadonly_path=default\nrootfs_propagation=private\nmemory_high=0\ncpu_quota=max"),
        ("capability=CAP_KILL", "capability=KILL"),
        ("capability=CAP_KILL", "capability_bounding=KILL\ncapability_effective=KILL\ncapability_permitted=KILL"),
        ("capability=default\ncapability=CAP_SYS_TIME", "capability=SYS_TIME\ncapability=default"),
        ("rlimit=nofile:10", "rlimit=nofile:10:10"),
        ("device=/dev/a:c:${ONE}:3:666", "device=/dev/a:u:1:3"),
        ("device_rule=allow:c:1:3:mwr", "device_rule=allow:c:1:3:rwm"),
        ("cpuset_cpus=3,0-1, 2", "cpuset_cpus=0-3"),
        ("seccomp_default=allow", "seccomp=unconfined"),
        ("seccomp_default=errno\nseccomp=allow:a", "seccomp_default=errno=1\nseccomp=allow: a"),
        ("seccomp_default=kill\nseccomp=log:a:0==0x10", "seccomp_default=kill_thread\nseccomp=log:a:0==16"),
        ("hook_prestart=/a", "hook_prestart=[\"/a\"]"),
        ("hook_prestart=/a:3", "hook_prestart=/a:[\"/a\"]:3"),
        (
            "process_env=A=1\nhook_start_container=/a",
            "process_env=[\"A=1\"]\nhook_start_container=/a\nhook_env=A=${ONE}",
        ),
        ("annotation=a=b", "annotation = [\"a\", \"b\"]"),
    ] {
        assert_eq!(read(one), read(other), "{one} | {other}");
    }
    assert_eq!(read("hook_prestart=/a${COLONS}").hooks.prestart[0].path, "/aa:b:c");
}

#[test]
fn what_is_malformed_is_refused_whatever_its_key() {
    for (lines, reason) in [
        ("rootfs_propagation=rprivat", "is not a propagation"),
        ("domainname=_", "is not a host name"),
        ("additional_gid=-1", "is not an id"),
        ("umask=1000", "is not a umask"),
        ("umask=8", "is not a umask"),
        ("process_console_size=80", "is not a size of a terminal"),
        ("process_console_size=80x", "is not a size of a terminal"),
        ("process_console_size=80x65536", "is not a size of a terminal"),
        ("process_console_size=80x24", "needs process_terminal=true"),
        ("process_env=[\"A\"]", "has no `=`"),
        ("process_env=[1]", "is not a JSON array"),
        ("capability=CAP_FLY", "is not a capability"),
        ("capability=cap_kill", "is not a capability"),
        ("capability=none\ncapability=KILL", "cannot be given together"),
        ("capability=KILL\ncapability=none", "cannot be given together"),
        ("capability=KILL\ncapability=KILL", "says again"),
        ("capability_effective=SYS_ADMIN", "not in the permitted set"),
        ("capability_ambient=KILL", "not both in the permitted"),
        ("rlimit=nofile", "is not a resource limit"),
        ("rlimit=files:1", "is not a resource limit"),
        ("rlimit=nofile:-1", "is not a limit"),
        ("rlimit=nofile:1:2:3", "more than three fields"),
        ("rlimit=nofile:2:1", "soft limit is above"),
        ("rlimit=core:1\nrlimit=core:1", "core is given twice"),
        ("no_new_privileges=yes", "neither true nor false"),
        ("oom_score_adj=1001", "is not a score"),
        ("oom_score_adj=-", "is not a score"),
        ("oom_score_adj=+5", "is not a score"),
        ("namespace=ipc:x", "is not an absolute path"),
        ("namespace=ipc:", "is not an absolute path"),
        ("namespace=ipc:/x\nnamespace=ipc", "ipc is given twice"),
        ("uid_mapping=0:1000", "is not a mapping"),
        ("uid_mapping=0:1000:1:1", "is not a mapping"),
        ("uid_mapping=0:1000:0", "at least 1"),
        ("uid_mapping=1:0:4294967295", "goes beyond"),
        ("uid_mapping=0:0:1", "needs namespace=user"),
        ("namespace=user", "at least one is required"),
        ("namespace=user\nuid_mapping=0:0:5\nuid_mapping=4:9:1\ngid_mapping=0:0:1", "4:9:1 overlaps"),
        ("namespace=user\nuid_mapping=0:9:5\nuid_mapping=8:5:5\ngid_mapping=0:0:1", "8:5:5 overlaps"),
        ("namespace=user:/x\nuid_mapping=0:0:1", "needs namespace=user"),
        ("time_offset=realtime:1", "is not a clock"),
        ("time_offset=boottime:x", "is not a number of seconds"),
        ("time_offset=boottime:1:1000000000", "is not from 0"),
        ("time_offset=boottime:1:1:1", "more than three fields"),
        ("time_offset=boottime:1", "needs namespace=time"),
        ("namespace=time\ntime_offset=boottime:0\ntime_offset=boottime:1", "boottime is given twice"),
        ("cgroups_path=/", "is not the path of a cgroup"),
        ("cgroups_path=a/../b", "is not the path of a cgroup"),
        ("memory_swap=1M", "needs memory_limit"),
        ("memory_limit=2M\nmemory_swap=1M", "cannot be less"),
        ("memory_reservation=-1", "is not a size"),
        ("cpu_shares=1", "is not a share"),
        ("cpu_shares=262145", "is not a share"),
        ("cpu_quota=-1", "is not a quota"),
        ("cpu_quota=999", "is not a quota"),
        ("cpu_period=1000001", "is not a period"),
        ("cpu_burst=1", "needs cpu_quota"),
        ("cpu_quota=5000\ncpu_burst=5001", "more than the quota"),
        ("cpuset_cpus=", "is not a list of CPUs"),
        ("cpuset_cpus=64", "is not a list of CPUs"),
        ("cpuset_cpus=3-1", "is not a list of CPUs"),
        ("cpuset_cpus=0,", "is not a list of CPUs"),
        ("unified=memory=1", "is not the name of a cgroup file"),
        ("unified=../x.y=1", "is not the name of a cgroup file"),
        ("unified=memory.max", "has no `=`"),
        ("unified=a.b=1\nunified=a.b=2", "is given twice"),
        ("device=/dev/a", "is not a device"),
        ("device=/dev/a:x:1:1", "is not a device"),
        ("device=/dev/a:c:1", "is not a device"),
        ("device=/dev/a:c:4096:1", "is not a major number"),
        ("device=/dev/a:c:1:1:666:0", "is not a device"),
        ("device=dev/a:c:1:1", "is not an absolute path"),
        ("namespace=mount\ndevice=/a:p\ndevice=/a:p", "made already"),
        ("device=/a:p", "needs namespace=mount"),
        ("device_rule=allow:c:1:1", "is not a device rule"),
        ("device_rule=allow:c:1:1:", "is not some of rwm"),
        ("device_rule=allow:c:1:1:rr", "is not some of rwm"),
        ("device_rule=allow:c:1:1:r:", "is not a device rule"),
        ("device_rule=permit:c:1:1:r", "is neither allow nor deny"),
        ("device_rule=none\ndevice_rule=default", "cannot be given together"),
        ("seccomp_default=ignore", "is not what becomes of a call"),
        ("seccomp_default=allow=1", "which only errno and trace take"),
        ("seccomp_default=errno=4096", "above 4095"),
        ("seccomp_default=errno=", "a number that is none"),
        ("seccomp=allow:read", "needs seccomp_default"),
        ("seccomp_arch=X86", "needs seccomp_default"),
        ("seccomp=unconfined\nseccomp_default=errno", "stand alone"),
        ("seccomp=default\nseccomp=default", "stand alone"),
        ("seccomp=allow:read\nseccomp=default", "stand alone"),
        ("seccomp=allow", "is not a rule"),
        ("seccomp=allow:", "is not the name of a system call"),
        ("seccomp=allow:a,,b", "is not the name of a system call"),
        ("seccomp=allow:a:6==1", "is not a condition"),
        ("seccomp=allow:a:0=1", "is not a condition"),
        ("seccomp=allow:a:0==", "is not a condition"),
        ("seccomp=allow:a:0&5", "is not a condition"),
        ("seccomp=allow:a:ä==1", "is not a condition"),
        ("seccomp=allow:a:0==1:", "more than three fields"),
        ("seccomp_arch=Z80", "is not an architecture"),
        ("seccomp_arch=X86\nseccomp_arch=X86", "X86 is given twice"),
        ("seccomp_flag=fast", "is not a flag"),
        ("sysctl=kernel=1", "is not the name of a sysctl"),
        ("sysctl=kernel.panic=1", "belongs to no namespace"),
        ("sysctl=kernel.hostname=a", "is what hostname sets"),
        ("sysctl=net.ipv4.ip_forward=1", "needs namespace=network"),
        ("sysctl=fs.mqueue.msg_max=1", "needs namespace=ipc"),
        ("sysctl=user.max_user_namespaces=1", "needs namespace=user"),
        ("sysctl=kernel.domainname=1", "needs namespace=uts"),
        ("masked_path=proc", "is not an absolute path"),
        ("masked_path=/proc", "needs namespace=mount"),
        ("masked_path=none\nmasked_path=/a", "cannot be given together"),
        ("annotation=a", "has no `=`"),
        ("annotation==a", "has an empty name"),
        ("annotation=[\"a\"]", "is not an array of two strings"),
        ("annotation=[\"a\",\"b\",\"c\"]", "is not an array of two strings"),
        ("annotation=a=1\nannotation=a=1", "is given twice"),
        ("hook_prestart=bin", "is not an absolute path"),
        ("hook_prestart=[]", "lacks the path"),
        ("hook_prestart=[\"bin\"]", "is not an absolute path"),
        ("hook_prestart=/a:[]", "has an empty array"),
        ("hook_prestart=/a:0", "is not a timeout"),
        ("hook_prestart=/a:1:2", "is not a timeout"),
        ("hook_prestart=/a:", "is not a timeout"),
        ("hook_prestart=[\"/a\"]5", "has text after its JSON array"),
        ("hook_env=A=1", "none is declared before it"),
        ("hook_prestart=/a\nhook_env=A", "has no `=`"),
    ] {
        let error = whole(&std::format!("process_arg=/x\n{lines}")).expect_err(lines);
        assert!(error.to_string().contains(reason), "{lines}: {error}");
        let last = lines.lines().count() as u32 + 1;
        assert!(
            error.line().is_some_and(|line| (2..=last).contains(&line.get())) || lines == "namespace=user",
            "{lines}"
        );
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
