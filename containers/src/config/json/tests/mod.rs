//! What config.json means.

mod refused;
mod schema;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::lines::Accept;
use super::super::model::*;
use super::super::{Config, JSON_LEN_MAX};
use crate::NamespaceSet;
use crate::text::Bytes;

fn whole(document: &str) -> Result<Config, String> {
    Config::parse_whole_language(document.as_bytes(), &[]).map_err(|error| error.to_string())
}

/// A document with what is required, and more.
fn with(more: &str) -> String {
    format!(
        r#"{{"ociVersion":"1.3.0","root":{{"path":"rootfs"}},"process":{{"cwd":"/","args":["sh"]}},
            "linux":{{"namespaces":[{{"type":"mount"}}]}}{more}}}"#
    )
}

/// The same with more in `linux`, `process`, or `linux.resources`.
fn with_in(section: &str, more: &str) -> String {
    let document = with("");
    match section {
        "process" => document.replace(r#""args":["sh"]"#, &format!(r#""args":["sh"],{more}"#)),
        "resources" => {
            document.replace(r#"{"type":"mount"}]"#, &format!(r#"{{"type":"mount"}}],"resources":{{{more}}}"#))
        }
        _ => document.replace(r#"{"type":"mount"}]"#, &format!(r#"{{"type":"mount"}}],{more}"#)),
    }
}

/// All that the specification has and this model too, with every list and object in use.
const FULL: &str = include_str!("../full.json");

#[test]
fn the_whole_document_becomes_the_same_as_its_lines() {
    let config = whole(FULL).unwrap();
    let lines = "oci_version=1.3.0\nroot_path=rootfs\nroot_readonly=true\nrootfs_propagation=slave\nhostname=web\n\
        domainname=example.org\nprocess_cwd=/srv\nprocess_uid=1\nprocess_gid=2\nadditional_gid=5\numask=077\n\
        process_terminal=true\nprocess_console_size=80x25\nprocess_args=[\"sh\",\"-c\",\"echo $${HOME}\"]\n\
        process_env=PATH=/bin\nprocess_env=[\"TEXT=two\\nlines\"]\ncapability_bounding=CAP_KILL\n\
        capability_bounding=CAP_AUDIT_WRITE\ncapability_effective=CAP_KILL\ncapability_permitted=CAP_KILL\n\
        capability_permitted=CAP_AUDIT_WRITE\ncapability_inheritable=CAP_KILL\ncapability_ambient=CAP_KILL\n\
        rlimit=core:0:max\nrlimit=nofile:1024:4096\nno_new_privileges=false\noom_score_adj=100\n\
        mount=/proc:proc:proc\nmount=/dev:tmpfs:tmpfs:nosuid,strictatime,mode=755,size=65536k\n\
        mount=/dev/pts:devpts:devpts:nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5\n\
        mount=/sys/fs/cgroup:cgroup:cgroup:ro\nmount=/data:rbind:/srv/data:rprivate,rro\n\
        mount=/o:overlay:overlay:lowerdir=/a\\:/b,upperdir=/u,workdir=/w\nnamespace=pid\n\
        namespace=network:/proc/1/ns/net\nnamespace=mount\nnamespace=ipc\nnamespace=uts\nnamespace=user\n\
        namespace=cgroup\nnamespace=time\nuid_mapping=0:1000:32000\ngid_mapping=0:1000:32000\n\
        time_offset=monotonic:172800:5\ntime_offset=boottime:-1\ncgroups_path=/runtime/web\nmemory_limit=512M\n\
        memory_reservation=256M\nmemory_high=384M\nmemory_swap=1G\ncpu_shares=2048\ncpu_quota=1000000\n\
        cpu_period=500000\ncpu_burst=10000\ncpu_idle=false\ncpuset_cpus=2-3\npids_limit=32771\n\
        unified=memory.oom.group=1\ndevice=/dev/fuse:c:10:229:666\ndevice=/dev/sda:b:8:0:660:1:2\n\
        device=/run/pipe:p\ndevice_rule=allow:c:10:229:rw\ndevice_rule=deny:b:8:*:rwm\ndevice_rule=default\n\
        seccomp_default=errno=38\nseccomp_arch=X86_64\nseccomp_arch=X86\nseccomp_flag=log\nseccomp=allow:read,write\n\
        seccomp=errno=1:clone:0&0x10000000==0x10000000\nseccomp=kill_process:personality:0!=0\n\
        seccomp=kill_process:personality:0!=8\nsysctl=kernel.msgmax=8192\nmasked_path=/proc/kcore\n\
        readonly_path=/proc/sys\nannotation=org.example.key=value\nannotation=[\"org.example.lines\",\"a\\nb\\n\"]\n\
        hook_prestart=/bin/setup:[\"setup\",\"x\"]\nhook_env=KEY=value\nhook_create_runtime=/bin/a\n\
        hook_create_container=/bin/b\nhook_start_container=/bin/c\nhook_poststart=/bin/d:5\n\
        hook_poststop=[\"/bin/e\",\"-f\"]\n";
    let expected = whole(lines).unwrap();
    assert_eq!(config.to_string(), expected.to_string());
    assert_eq!(config, expected);
    assert_eq!(config.identity(), expected.identity());
    assert_eq!(config.warnings(), ["the capability \"CAP_OF_TOMORROW\" is not known, and not granted"]);
}

#[test]
fn what_is_not_said_has_its_default() {
    let config = whole(&with("")).unwrap();
    let mut expected = Settings::with_own_root(true);
    expected.oci_version = "1.3.0".into();
    expected.root.path = "rootfs".into();
    expected.process.args = Vec::from(["sh".into()]);
    assert_eq!(*config, expected);
    let bare = whole(r#"  {"ociVersion":"1.0.0","root":{"path":"/"},"process":{"cwd":"/","args":["a"]}}"#).unwrap();
    assert_eq!(bare.namespaces.new, NamespaceSet::empty());
    assert!(bare.masked_paths.is_empty() && bare.readonly_paths.is_empty());
    assert!(Config::parse(with("").as_bytes(), &[]).is_ok());
}

#[test]
fn unknown_properties_are_ignored_whatever_they_hold() {
    let same = whole(&with("")).unwrap();
    for more in
        [r#","x":1.5e300,"y":{"deep":[[[{}]]]},"z":null"#, r#","annotations":{},"hooks":{"later":[1]},"mounts":[]"#]
    {
        assert_eq!(whole(&with(more)).unwrap(), same, "{more}");
    }
    assert_eq!(whole(&with_in("process", r#""x":{"args":[]},"user":{"name":"x"}"#)).unwrap(), same);
    assert_eq!(
        whole(&with_in("resources", r#""oomScoreAdj":100,"memory":{"x":1},"cpu":{},"blockIO":{"weight":0}"#)).unwrap(),
        same
    );
}

#[test]
fn properties_that_ask_for_nothing_are_not_refused() {
    let same = whole(&with("")).unwrap();
    for (section, more) in [
        ("process", r#""apparmorProfile":"unconfined","selinuxLabel":"","scheduler":{},"oomScoreAdjust":1"#),
        (
            "process",
            r#""consoleSize":{"height":1,"width":2},"capabilities":{
            "bounding":["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FSETID","CAP_FOWNER","CAP_MKNOD","CAP_NET_RAW","CAP_SETGID",
            "CAP_SETUID","CAP_SETFCAP","CAP_SETPCAP","CAP_NET_BIND_SERVICE","CAP_SYS_CHROOT","CAP_KILL","CAP_AUDIT_WRITE"],
            "effective":["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FSETID","CAP_FOWNER","CAP_MKNOD","CAP_NET_RAW","CAP_SETGID",
            "CAP_SETUID","CAP_SETFCAP","CAP_SETPCAP","CAP_NET_BIND_SERVICE","CAP_SYS_CHROOT","CAP_KILL","CAP_AUDIT_WRITE"],
            "permitted":["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FSETID","CAP_FOWNER","CAP_MKNOD","CAP_NET_RAW","CAP_SETGID",
            "CAP_SETUID","CAP_SETFCAP","CAP_SETPCAP","CAP_NET_BIND_SERVICE","CAP_SYS_CHROOT","CAP_KILL","CAP_AUDIT_WRITE"]}"#,
        ),
        ("linux", r#""mountLabel":"","netDevices":{},"personality":{"domain":"LINUX"},"rootfsPropagation":"""#),
        (
            "resources",
            r#""hugepageLimits":[],"rdma":{},"memory":{"swappiness":0,"kernel":-1,"limit":0,"useHierarchy":true}"#,
        ),
        ("resources", r#""cpu":{"shares":0,"quota":-1,"mems":"0","cpus":"","realtimeRuntime":0},"pids":{"limit":-1}"#),
        ("resources", r#""devices":[{"allow":false,"access":"rwm"}]"#),
        (
            "resources",
            r#""devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":136,"minor":-1,"access":"rwm"}]"#,
        ),
    ] {
        assert_eq!(whole(&with_in(section, more)), Ok(same.clone()), "{more}");
    }
}

#[test]
fn a_process_and_limits_are_documents_of_their_own() {
    let process = br#"{"cwd":"/srv","args":["id"],"user":{"uid":7},"env":["A=1"]}"#;
    let expected = Process::parse(b"process_cwd=/srv\nprocess_arg=id\nprocess_uid=7\nprocess_env=A=1", &[]).unwrap();
    assert_eq!(Process::parse(process, &[]), Ok(expected));
    for (document, expected) in [
        ("{\"cwd\":\"/\"}", "process.args: is required"),
        ("{\"cwd\":\"/\",\"args\":[\"a\"],\"env\":[\"x\"]}", "process.env[0]: \"x\" has no `=`"),
        ("process_arg=a\nhostname=x", "line 2: hostname: is of the container, not of a process in it"),
        ("process_uid=1", "process_arg: at least one is required"),
    ] {
        let error = Process::parse(document.as_bytes(), &[]).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let limits = br#"{"memory":{"limit":-1},"pids":{"limit":7},"cpu":{"shares":1,"quota":-1}}"#;
    let limits = Resources::parse_accepting(limits, &[], Accept::All).unwrap();
    assert_eq!(limits.memory.limit, Some(Limit::Max));
    let lines = b"memory_limit=max\npids_limit=7\ncpu_shares=2\ncpu_quota=0";
    assert_eq!(Resources::parse_accepting(lines, &[], Accept::All), Ok(limits));
    let limit = Resources::parse(br#"{"memory":{"limit":4096}}"#, &[]).unwrap().memory.limit;
    assert_eq!(limit, Some(Limit::At(Bytes(4096))));
    for (document, expected) in [
        (r#"{"devices":[{"allow":true}]}"#, "linux.resources.devices: cannot be changed"),
        (r#"{"memory":{"limit":true}}"#, "linux.resources.memory.limit: is a boolean, not a whole number"),
        (r#"{"memory":{"limit":5,"swap":4}}"#, "memory_swap: is memory and swap together"),
    ] {
        let error = Resources::parse_accepting(document.as_bytes(), &[], Accept::All).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
