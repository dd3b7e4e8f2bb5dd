//! What runtime-spec's schema is tested with: its example, and documents that its schema calls good or bad.

use super::*;

/// What the example asks for beyond [`FULL`], as a change of that, and where it is refused. The rest of the example is
/// in FULL and in [`the_rest_of_the_example_is_taken`].
const BEYOND: &[(&str, &str, &str)] = &[
    ("1.3.0", "0.5.0-dev", "ociVersion"),
    (r#""process": {"#, r#""process": {"apparmorProfile": "acme_profile","#, "process.apparmorProfile"),
    (r#""process": {"#, r#""process": {"selinuxLabel": "system_u:system_r:net_t:s0:c124","#, "process.selinuxLabel"),
    (r#""linux": {"#, r#""linux": {"mountLabel": "system_u:object_r:file_t:s0:c715","#, "linux.mountLabel"),
    (
        r#""resources": {"#,
        r#""resources": {"network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 500}]},"#,
        "linux.resources.network.classID",
    ),
    (
        r#""resources": {"#,
        r#""resources": {"hugepageLimits": [{"pageSize": "2MB", "limit": 9223372036854772000}],"#,
        "linux.resources.hugepageLimits[0]",
    ),
    (r#""cpu": {"#, r#""cpu": {"realtimeRuntime": 950000,"#, "linux.resources.cpu.realtimeRuntime"),
    (r#""cpu": {"#, r#""cpu": {"realtimePeriod": 1000000,"#, "linux.resources.cpu.realtimePeriod"),
    (r#""mems": "0""#, r#""mems": "0-7""#, "linux.resources.cpu.mems"),
    (
        r#""blockIO": {}"#,
        r#""blockIO": {"weight": 10, "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}]}"#,
        "linux.resources.blockIO.weight",
    ),
];

#[test]
fn the_example_is_refused_by_one_path_after_the_other_until_only_what_is_enforced_is_left() {
    let mut left = Vec::from(BEYOND);
    let expected = whole(FULL).unwrap();
    loop {
        let document = left.iter().fold(String::from(FULL), |text, (from, to, _)| text.replace(from, to));
        match whole(&document) {
            Ok(config) => break assert_eq!(config, expected),
            Err(error) => {
                let named = left.iter().position(|(.., path)| error.starts_with(&format!("{path}: ")));
                left.remove(named.expect(&error));
            }
        }
    }
    assert!(left.is_empty(), "taken, but not enforced: {left:?}");
}

#[test]
fn the_rest_of_the_example_is_taken() {
    let seccomp = r#""seccomp":{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86","SCMP_ARCH_X32"],
        "syscalls":[{"names":["getcwd","chmod"],"action":"SCMP_ACT_ERRNO"}]}"#;
    let config = whole(&with_in("linux", seccomp)).unwrap().to_string();
    for line in ["seccomp_default=allow", "seccomp_arch=X86\nseccomp_arch=X32", "seccomp=errno:getcwd,chmod"] {
        assert!(config.contains(line), "{config}");
    }
    let same = whole(&with("")).unwrap();
    let memory = r#""memory":{"kernel":-1,"kernelTCP":-1,"swappiness":0,"disableOOMKiller":false,"useHierarchy":false},
        "oomScoreAdj":100"#;
    assert_eq!(whole(&with_in("resources", memory)), Ok(same.clone()));
    // Of drafts of the specification; not known any more.
    assert_eq!(whole(&with_in("linux", r#""timeOffset":{"monotonicSecs":172800}"#)), Ok(same));
    for (name, value) in [("net.ipv4.ip_forward", "1"), ("net.core.somaxconn", "256")] {
        let outside = with_in("linux", &format!(r#""sysctl":{{"{name}":"{value}"}}"#));
        let error = whole(&outside).unwrap_err();
        assert!(error.starts_with(&format!("linux.sysctl.{name}: {name:?} needs namespace=network")), "{error}");
        let inside = outside.replace(r#"{"type":"mount"}"#, r#"{"type":"mount"},{"type":"network"}"#);
        assert!(whole(&inside).unwrap().to_string().contains(&format!("sysctl={name}={value}")));
    }
}

/// A document of the schema's tests: what is required, without a process, and one section more.
fn small(section: &str) -> String {
    format!(r#"{{"ociVersion":"1.0.0","root":{{"path":"rootfs"}}{section}}}"#)
}

#[test]
fn good_documents_ask_for_what_is_not_enforced_and_bad_ones_for_what_cannot_be() {
    // Good, and not a container yet: a process is required at its start, and here it is made for it.
    assert_eq!(whole(&small("")).unwrap_err(), "process: is required");
    for (section, path) in [
        (r#","freebsd":{"jail":{"vnet":"new"}}"#, "freebsd"),
        (r#","zos":{}"#, "zos"),
        (r#","zos":{"namespaces":[{"type":"ipc"}]}"#, "zos"),
        (r#","linux":{"netDevices":{"eth0":{"name":"in_eth0"},"ens4":{}}}"#, "linux.netDevices.eth0"),
        (r#","linux":{"netDevices":{"ens5":{}}}"#, "linux.netDevices.ens5"),
        (r#","linux":{"intelRdt":{}}"#, "linux.intelRdt"),
        (
            r#","linux":{"resources":{"rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10000}}}}"#,
            "linux.resources.rdma.mlx5_1.hcaHandles",
        ),
        (r#","linux":{"resources":{"rdma":{"rxe3":{"hcaObjects":1}}}}"#, "linux.resources.rdma.rxe3.hcaObjects"),
        // Bad.
        (r#","freebsd":{"jail":{"vnet":"disable"}}"#, "freebsd"),
        (r#","linux":{"netDevices":{"eth0":{"name":"in_eth0","mtu":"many"}}}"#, "linux.netDevices.eth0"),
        (
            r#","linux":{"resources":{"hugepageLimits":[{"limit":1234123,"pageSize":"64kB"}]}}"#,
            "linux.resources.hugepageLimits[0]",
        ),
        (r#","linux":{"resources":{"rdma":[{"device":"mlx5_1","hcaHandles":"few"}]}}"#, "linux.resources.rdma[0]"),
    ] {
        let document = small(&format!(r#","process":{{"cwd":"/","args":["sh"]}}{section}"#));
        let error = whole(&document).unwrap_err();
        assert!(error.starts_with(&format!("{path}: is ")), "{section}: {error}");
    }
}
