//! What is refused of config.json, and by which path.

use super::*;

#[test]
fn what_is_known_and_not_enforced_is_refused_with_its_path() {
    for (section, more, path) in [
        ("resources", r#""hugepageLimits":[{"pageSize":"2MB","limit":9}]"#, "linux.resources.hugepageLimits[0]"),
        ("resources", r#""rdma":{"mlx5_1":{"hcaHandles":3}}"#, "linux.resources.rdma.mlx5_1.hcaHandles"),
        ("resources", r#""blockIO":{"weight":10}"#, "linux.resources.blockIO.weight"),
        ("resources", r#""network":{"classID":1}"#, "linux.resources.network.classID"),
        ("resources", r#""memory":{"swappiness":60}"#, "linux.resources.memory.swappiness"),
        ("resources", r#""memory":{"disableOOMKiller":true}"#, "linux.resources.memory.disableOOMKiller"),
        ("resources", r#""memory":{"kernelTCP":5}"#, "linux.resources.memory.kernelTCP"),
        ("resources", r#""cpu":{"realtimePeriod":5}"#, "linux.resources.cpu.realtimePeriod"),
        ("resources", r#""cpu":{"mems":"0-7"}"#, "linux.resources.cpu.mems"),
        ("process", r#""apparmorProfile":"acme""#, "process.apparmorProfile"),
        ("process", r#""selinuxLabel":"a:b:c""#, "process.selinuxLabel"),
        ("process", r#""scheduler":{"policy":"SCHED_FIFO"}"#, "process.scheduler.policy"),
        ("process", r#""ioPriority":{"class":"IOPRIO_CLASS_IDLE"}"#, "process.ioPriority.class"),
        ("process", r#""execCPUAffinity":{"initial":"0"}"#, "process.execCPUAffinity.initial"),
        ("process", r#""user":{"username":"me"}"#, "process.user.username"),
        ("linux", r#""intelRdt":{"closID":"a"}"#, "linux.intelRdt"),
        ("linux", r#""memoryPolicy":{"mode":"MPOL_BIND"}"#, "linux.memoryPolicy.mode"),
        ("linux", r#""netDevices":{"eth0":{"name":"e"}}"#, "linux.netDevices.eth0"),
        ("linux", r#""mountLabel":"a:b""#, "linux.mountLabel"),
        ("linux", r#""personality":{"domain":"LINUX32"}"#, "linux.personality.domain"),
        ("linux", r#""seccomp":{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/x"}"#, "linux.seccomp.listenerPath"),
    ] {
        let expected = format!("{path}: is known, but this kernel does not enforce it yet");
        assert_eq!(whole(&with_in(section, more)), Err(expected), "{more}");
    }
    for platform in ["windows", "vm", "solaris", "zos", "freebsd"] {
        let expected = format!("{platform}: is for a platform that this kernel is not");
        assert_eq!(whole(&with(&format!(r#","{platform}":{{}}"#))), Err(expected));
    }
    let mounts =
        r#","mounts":[{"destination":"/a","type":"tmpfs"},{"destination":"/b","type":"ext4","source":"/dev/sda"}]"#;
    let expected = "mounts[1]: the file system \"ext4\" is known, but this kernel does not enforce it yet";
    assert_eq!(whole(&with(mounts)), Err(expected.into()));
    let mapped =
        r#","mounts":[{"destination":"/a","type":"tmpfs","uidMappings":[{"containerID":0,"hostID":0,"size":1}]}]"#;
    let expected = "mounts[0].uidMappings[0]: is known, but this kernel does not enforce it yet";
    assert_eq!(whole(&with(mapped)), Err(expected.into()));
}

#[test]
fn wrong_types_and_values_are_refused_with_their_path() {
    for (section, more, expected) in [
        ("", r#","hostname":5"#, "hostname: is a number, not a string"),
        ("", r#","hostname":null"#, "hostname: is null, not a string"),
        ("", r#","hostname":"_""#, "hostname: \"_\" is not a host name"),
        ("", r#","hostname":"web""#, "hostname: needs namespace=uts"),
        ("", r#","annotations":{"a":1}"#, "annotations.a: is a number, not a string"),
        ("", r#","annotations":{"":"x"}"#, "annotations."),
        ("", r#","annotations":["a"]"#, "annotations: is an array, not an object"),
        ("", r#","mounts":{}"#, "mounts: is an object, not an array"),
        ("", r#","mounts":[{"type":"tmpfs"}]"#, "mounts[0].destination: is required"),
        ("", r#","mounts":[{"destination":"/a/../b","type":"tmpfs"}]"#, "mounts[0]: \"/a/../b\" must not contain `..`"),
        ("", r#","mounts":[{"destination":"/a"}]"#, "mounts[0]: the type none needs"),
        ("", r#","mounts":[{"destination":"/a","type":"bind"}]"#, "mounts[0]: is a bind mount without its source"),
        (
            "",
            r#","mounts":[{"destination":"/a","type":"tmpfs","options":["bogus"]}]"#,
            "mounts[0]: \"bogus\" is not a mount option",
        ),
        (
            "",
            r#","mounts":[{"destination":"/a","type":"tmpfs","options":"ro"}]"#,
            "mounts[0].options: is a string, not an array",
        ),
        ("", r#","hooks":{"prestart":[{"path":"bin"}]}"#, "hooks.prestart[0]: \"bin\" is not an absolute path"),
        ("", r#","hooks":{"poststop":[{"path":"/a","timeout":0}]}"#, "hooks.poststop[0].timeout: is not above 0"),
        ("", r#","hooks":{"poststop":[{"path":"/a","timeout":-1}]}"#, "hooks.poststop[0].timeout: is out of range"),
        (
            "",
            r#","hooks":{"poststop":[{"path":"/a","env":["A=1","B"]}]}"#,
            "hooks.poststop[0].env[1]: \"B\" has no `=`",
        ),
        ("process", r#""terminal":1"#, "process.terminal: is a number, not a boolean"),
        ("process", r#""env":["A"]"#, "process.env[0]: \"A\" has no `=`"),
        ("process", r#""user":{"uid":-1}"#, "process.user.uid: is out of range"),
        ("process", r#""user":{"uid":1.5}"#, "process.user.uid: is a number that is not whole"),
        ("process", r#""user":{"uid":"0"}"#, "process.user.uid: is a string, not a whole number"),
        ("process", r#""user":{"uid":4294967295}"#, "process.user.uid: \"4294967295\" is not an id"),
        ("process", r#""user":{"umask":1023}"#, "process.user.umask: \"1777\" is not a umask"),
        ("process", r#""user":{"additionalGids":[1,4294967296]}"#, "process.user.additionalGids[1]: is out of range"),
        (
            "process",
            r#""rlimits":[{"type":"RLIMIT_FILES","soft":1,"hard":1}]"#,
            "process.rlimits[0].type: \"RLIMIT_FILES\" is not a resource limit",
        ),
        ("process", r#""rlimits":[{"type":"RLIMIT_CORE","soft":1}]"#, "process.rlimits[0].hard: is required"),
        (
            "process",
            r#""rlimits":[{"type":"RLIMIT_CORE","soft":2,"hard":1}]"#,
            "process.rlimits[0]: core: the soft limit is above",
        ),
        (
            "process",
            r#""rlimits":[{"type":"RLIMIT_CPU","soft":1,"hard":1},{"type":"RLIMIT_CPU","soft":1,"hard":1}]"#,
            "process.rlimits[1].type: is given twice",
        ),
        (
            "process",
            r#""capabilities":{"bounding":["cap_kill"]}"#,
            "process.capabilities.bounding[0]: \"cap_kill\" is not a capability",
        ),
        ("process", r#""capabilities":{"effective":["CAP_KILL"]}"#, "process.capabilities.effective: has a capability"),
        ("process", r#""oomScoreAdj":1001"#, "process.oomScoreAdj: \"1001\" is not a score"),
        (
            "linux",
            r#""uidMappings":[{"containerID":0,"hostID":0,"size":1}]"#,
            "linux.uidMappings[0]: needs namespace=user",
        ),
        ("linux", r#""timeOffsets":{"monotonic":{"secs":1}}"#, "linux.timeOffsets.monotonic: needs namespace=time"),
        ("linux", r#""timeOffsets":{"realtime":{"secs":1}}"#, "linux.timeOffsets.realtime: is not a clock"),
        ("linux", r#""devices":[{"path":"/dev/a","type":"c","major":1}]"#, "linux.devices[0].minor: is required"),
        ("linux", r#""devices":[{"path":"/dev/a","type":"x"}]"#, "linux.devices[0].type: is not a type of device"),
        (
            "linux",
            r#""devices":[{"path":"/dev/a","type":"p"},{"path":"/dev/a","type":"p"}]"#,
            "linux.devices[1]: \"/dev/a\" is made already",
        ),
        ("linux", r#""cgroupsPath":"../x""#, "linux.cgroupsPath: \"../x\" is not the path of a cgroup"),
        (
            "linux",
            r#""sysctl":{"kernel.panic":"1"}"#,
            "linux.sysctl.kernel.panic: \"kernel.panic\" belongs to no namespace",
        ),
        ("linux", r#""sysctl":{"a":"1","kernel":"1"}"#, "linux.sysctl.a: \"a\" is not the name of a sysctl"),
        ("linux", r#""maskedPaths":["proc"]"#, "linux.maskedPaths[0]: \"proc\" is not an absolute path"),
        ("linux", r#""rootfsPropagation":"sharing""#, "linux.rootfsPropagation: \"sharing\" is not a propagation"),
        ("linux", r#""seccomp":{}"#, "linux.seccomp.defaultAction: is required"),
        ("linux", r#""seccomp":{"defaultAction":"ALLOW"}"#, "linux.seccomp.defaultAction: is not an action"),
        (
            "linux",
            r#""seccomp":{"defaultAction":"SCMP_ACT_ALLOW","defaultErrnoRet":1}"#,
            "linux.seccomp.defaultErrnoRet: is a number for SCMP_ACT_ERRNO",
        ),
        (
            "linux",
            r#""seccomp":{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":4096}"#,
            "linux.seccomp.defaultAction: \"errno=4096\" has a number above 4095",
        ),
        (
            "linux",
            r#""seccomp":{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":[],"action":"SCMP_ACT_ALLOW"}]}"#,
            "linux.seccomp.syscalls[0].names: at least one",
        ),
        (
            "linux",
            r#""seccomp":{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["a b"],"action":"SCMP_ACT_ALLOW"}]}"#,
            "linux.seccomp.syscalls[0]: \"a b\" is not the name",
        ),
        (
            "linux",
            r#""seccomp":{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_Z80"]}"#,
            "linux.seccomp.architectures[0]: \"SCMP_ARCH_Z80\" is not",
        ),
        (
            "linux",
            r#""seccomp":{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["a"],"action":"SCMP_ACT_ALLOW","args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}]}"#,
            "linux.seccomp.syscalls[0].args[0].index: is not an argument",
        ),
        ("resources", r#""memory":{"limit":-2}"#, "linux.resources.memory.limit: is negative"),
        ("resources", r#""memory":{"limit":"64M"}"#, "linux.resources.memory.limit: is a string, not a whole number"),
        ("resources", r#""memory":{"swap":5}"#, "linux.resources.memory.swap: needs memory_limit"),
        ("resources", r#""cpu":{"quota":5}"#, "linux.resources.cpu.quota: \"5\" is not a quota"),
        ("resources", r#""cpu":{"cpus":"0-99"}"#, "linux.resources.cpu.cpus: \"0-99\" is not a list"),
        ("resources", r#""pids":{"limit":0}"#, "linux.resources.pids.limit: is 0"),
        ("resources", r#""unified":{"memory.high":"lots"}"#, "linux.resources.unified.memory.high: is neither"),
        (
            "resources",
            r#""unified":{"../memory.max":"1"}"#,
            "linux.resources.unified.../memory.max: \"../memory.max\" is not the name",
        ),
        ("resources", r#""devices":[{"access":"r"}]"#, "linux.resources.devices[0].allow: is required"),
        (
            "resources",
            r#""devices":[{"allow":true,"access":"rx"}]"#,
            "linux.resources.devices[0].access: \"rx\" is not some of rwm",
        ),
    ] {
        let document = if section.is_empty() { with(more) } else { with_in(section, more) };
        let error = whole(&document).expect_err(more);
        assert!(error.starts_with(expected), "{more}: {error}");
    }
    for (from, to, expected) in [
        (r#""ociVersion":"1.3.0","#, "", "ociVersion: is required"),
        ("1.3.0", "2.0.0", "ociVersion: \"2.0.0\" is not an OCI version"),
        (r#""path":"rootfs""#, "", "root.path: is required"),
        (r#"{"path":"rootfs"}"#, "5", "root: is a number, not an object"),
        (r#","args":["sh"]"#, "", "process.args: is required"),
        (r#"["sh"]"#, "[]", "process.args: at least one is required"),
        (r#"["sh"]"#, "[\"\"]", "process.args: the first, which names the program, is empty"),
        (r#""cwd":"/","#, "", "process.cwd: is required"),
        (r#""cwd":"/""#, r#""cwd":"srv""#, "process.cwd: \"srv\" is not an absolute path"),
        (r#"{"type":"mount"}"#, r#"{"type":"mnt"}"#, "linux.namespaces[0].type: \"mnt\" is not a namespace"),
        (
            r#"{"type":"mount"}"#,
            r#"{"type":"pid"},{"type":"pid","path":"/x"}"#,
            "linux.namespaces[1].type: is given twice",
        ),
        (r#"{"type":"mount"}"#, r#"{"type":"mount","path":"x"}"#, "linux.namespaces"),
        (r#"{"type":"mount"}"#, "", "root.path: any root but / needs namespace=mount"),
    ] {
        let document = with("").replace(from, to);
        let error = whole(&document).expect_err(&document);
        assert!(error.starts_with(expected), "{document}: {error}");
    }
}

#[test]
fn bad_documents_are_refused_where_they_are_bad() {
    let deep = format!("{{\"x\":{}1{}}}", "[".repeat(20), "]".repeat(20));
    let many = format!("{{\"x\":[{}0]}}", "0,".repeat(40_000));
    for (document, expected) in [
        ("{]", "line 1: column 2: key must be a string"),
        ("{", "line 1: column 1: EOF while parsing an object"),
        ("{}x", "line 1: column 3: trailing characters"),
        ("{\"a\":1,\n\"a\":2}", "line 2: column 3: the name \"a\" is given twice in one object"),
        ("{\"a\":{\"b\":1,\"\\u0062\":2}}", "line 1: column 20: the name \"b\" is given twice in one object"),
        (&deep, "line 1: column 21: values lie too deep in each other"),
        (&many, "line 1: column 65538: too many values in one document"),
        ("{\"a\":\"\u{1}\"}", "line 1: column 7: control character"),
        ("{}", "ociVersion: is required"),
    ] {
        let error = whole(document).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
    let not_text = Config::parse(b"{\n\"a\":\"\xff\"}", &[]).unwrap_err().to_string();
    assert_eq!(not_text, "line 2: column 6: not UTF-8");
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(JSON_LEN_MAX));
    assert_eq!(whole(&long).unwrap_err(), "the document is too long: more than 262144 bytes");
    let canonical = with_in("process", &format!(r#""env":["A={}"]"#, "\\n".repeat(40_000)));
    assert_eq!(whole(&canonical).unwrap_err(), "the canonical text is longer than 65536 bytes");
}

#[test]
fn what_is_not_enforced_is_refused_by_the_path_of_the_property() {
    let parse = |document: &str| Config::parse(document.as_bytes(), &[]).map_err(|error| error.to_string());
    for (key, section, more, path) in [
        ("unified", "resources", r#""unified":{"a.b":"1"}"#, "linux.resources.unified.a.b"),
        ("cgroups_path", "linux", r#""cgroupsPath":"x""#, "linux.cgroupsPath"),
        ("annotation", "", r#","annotations":{"a":"b"}"#, "annotations.a"),
    ] {
        let document = if section.is_empty() { with(more) } else { with_in(section, more) };
        let enforced = crate::keys::find(key).unwrap().support == crate::keys::Support::Enforced;
        let expected = format!("{path}: is known, but this kernel does not enforce it yet");
        assert_eq!(parse(&document) == Err(expected), !enforced, "{:?}", parse(&document));
        assert!(whole(&document).is_ok());
    }
}
