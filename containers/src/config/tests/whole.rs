//! All of the language, enforced or not: what is read prints as it was, and always in the same way.

use super::*;

/// Every key of the language, in canonical form.
pub(super) const WHOLE: &str = r#"oci_version=1.3.0
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

pub(super) fn whole(document: &str) -> Result<Config, ConfigError> {
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
