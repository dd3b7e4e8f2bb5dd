//! What is refused, and in which words.

use super::*;

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
