//! A configuration that is wrong, or asks for what is not enforced, is refused in words, and nothing runs.

use crate::{
    Test,
    guest::{Guest, container, standard},
};
use veridian_tests_qemu::{Arch, Images, status};

/// The probe `configs` has many more of each kind; these show what a user sees, through init.
pub const TESTS: &[Test] = &[
    ("a_line_without_equals_is_refused", no_equals),
    ("an_unknown_key_is_refused_with_the_nearest", unknown_key),
    ("what_is_known_and_not_enforced_is_refused_in_other_words", not_enforced),
    ("a_config_json_as_docker_writes_it_runs", docker),
    ("a_key_given_twice_is_refused", given_twice),
    ("a_value_that_does_not_parse_is_refused", bad_value),
    ("namespaces_that_are_unknown_are_refused", namespaces),
    ("a_malformed_mount_is_refused", mount),
    ("a_nul_is_refused", nul),
    ("a_document_over_its_bound_is_refused", too_long),
    ("missing_arguments_are_refused", no_arguments),
    ("an_undefined_variable_is_refused", variable),
    ("a_key_that_needs_a_namespace_is_refused_without_it", needs_a_namespace),
    ("a_root_that_is_not_there_is_named_in_the_error", no_root),
    ("a_program_that_is_not_there_is_named_in_the_error", no_program),
    ("a_file_that_is_no_program_for_this_machine_is_named_in_the_error", not_a_program),
];

/// Asserts that the configuration is refused with a message that has all these parts, and that nothing ran.
fn refused(guest: &Guest, config: &str, parts: &[&str]) {
    let mut parts = parts.to_vec();
    parts.insert(0, "veridian: ");
    guest
        .run_config(config)
        .exits(status::REFUSED)
        .tells(&parts)
        .never_tells("veridian: started")
        .never_tells("Hello from");
}

/// A good container with one more line, its tenth.
fn with_line(line: &str) -> String {
    let config = container(&["/bin/hello"], "# eight\n# nine\n");
    let mut lines: Vec<_> = config.lines().take(9).collect();
    lines.push(line);
    lines.join("\n") + "\n"
}

fn no_equals(guest: &Guest) {
    refused(guest, &with_line("hostname inside"), &["config.oci:10:", "no `=`"]);
}

fn unknown_key(guest: &Guest) {
    refused(guest, &with_line("memory_limt=1M"), &["config.oci:10:", "memory_limt", "unknown key", "memory_limit"]);
}

fn not_enforced(guest: &Guest) {
    refused(guest, &with_line("seccomp=notify:getpid"), &["config.oci:10:", "notify", "does not enforce it yet"]);
}

/// What `docker run` hands to its runtime, shortened where it repeats itself.
const DOCKER: &str = r#"{
  "ociVersion": "1.2.0",
  "process": {
    "user": { "uid": 0, "gid": 0, "additionalGids": [0, 10] },
    "args": ["/bin/devices"],
    "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=5cf9ae3e7b5c"],
    "cwd": "/",
    "capabilities": {
      "bounding": ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
        "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
        "CAP_AUDIT_WRITE"],
      "effective": ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_MKNOD", "CAP_KILL"],
      "permitted": ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_MKNOD", "CAP_KILL"]
    },
    "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1048576, "soft": 1024 }],
    "oomScoreAdj": 0
  },
  "root": { "path": "rootfs" },
  "hostname": "5cf9ae3e7b5c",
  "mounts": [
    { "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] },
    { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
      "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
    { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
      "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
    { "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"] },
    { "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
      "options": ["ro", "nosuid", "noexec", "nodev"] },
    { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"] },
    { "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
      "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"] }
  ],
  "hooks": {},
  "linux": {
    "sysctl": { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647" },
    "resources": {
      "devices": [
        { "allow": false, "access": "rwm" },
        { "allow": true, "type": "c", "major": 1, "minor": 5, "access": "rwm" },
        { "allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm" },
        { "allow": true, "type": "c", "major": 1, "minor": 9, "access": "rwm" },
        { "allow": true, "type": "c", "major": 1, "minor": 8, "access": "rwm" },
        { "allow": true, "type": "c", "major": 5, "minor": 0, "access": "rwm" },
        { "allow": true, "type": "c", "major": 5, "minor": 1, "access": "rwm" },
        { "allow": false, "type": "c", "major": 10, "minor": 229, "access": "rwm" }
      ],
      "memory": { "disableOOMKiller": false },
      "cpu": { "shares": 0 },
      "blockIO": { "weight": 0 }
    },
    "cgroupsPath": "/docker/5cf9ae3e7b5c",
    "namespaces": [{ "type": "mount" }, { "type": "network" }, { "type": "uts" }, { "type": "pid" }, { "type": "ipc" },
      { "type": "cgroup" }],
    "seccomp": {
      "defaultAction": "SCMP_ACT_ALLOW",
      "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64", "SCMP_ARCH_RISCV64"],
      "syscalls": [{ "names": ["keyctl", "add_key"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1 }]
    },
    "maskedPaths": ["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
      "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"],
    "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
  }
}"#;

fn docker(guest: &Guest) {
    guest.run_config(DOCKER).exits(0).never_tells("FAIL").tells(&["PASS: ", " checks"]);
}

fn given_twice(guest: &Guest) {
    refused(guest, &with_line("hostname=other"), &["config.oci:10:", "hostname", "given twice", "line 3"]);
}

fn bad_value(guest: &Guest) {
    refused(guest, &with_line("memory_limit=64Q"), &["config.oci:10:", "memory_limit", "64Q"]);
}

fn namespaces(guest: &Guest) {
    refused(guest, &with_line("namespace=net"), &["config.oci:10:", "namespace", "is not a namespace"]);
}

fn mount(guest: &Guest) {
    refused(guest, &with_line("mount=/tmp:tmpfs"), &["config.oci:10:", "mount", "/tmp:tmpfs"]);
}

fn nul(guest: &Guest) {
    refused(guest, &with_line("hostname=a\0b"), &["config.oci:10:", "NUL"]);
}

fn too_long(guest: &Guest) {
    let config = container(&["/bin/hello"], &"# padding\n".repeat(7000));
    refused(guest, &config, &["65536"]);
}

fn no_arguments(guest: &Guest) {
    refused(guest, "root_path=/\n", &["config.oci: ", "process_arg", "at least one is required"]);
}

fn variable(guest: &Guest) {
    refused(guest, &with_line("process_env=X=${NOTHING}"), &["config.oci:10:", "process_env", "NOTHING"]);
}

fn needs_a_namespace(guest: &Guest) {
    refused(guest, "process_arg=/bin/hello\nhostname=x\n", &["config.oci:2:", "hostname", "namespace=uts"]);
}

fn no_root(guest: &Guest) {
    let config = "root_path=nowhere\nnamespace=mount\nprocess_arg=/bin/hello\n";
    refused(guest, config, &["nowhere", "ENOENT"]);
}

fn no_program(guest: &Guest) {
    let run = guest.run_container(&["/bin/nothing"], "");
    run.exits(status::NOT_FOUND).tells(&["veridian: ", "/bin/nothing", "ENOENT"]).never_tells("veridian: started");
}

fn not_a_program(guest: &Guest) {
    let mut initrd = standard(guest.arch);
    let other = if guest.arch == Arch::X86_64 { 183u8 } else { 62 };
    let mut foreign = std::fs::read(Images::of(guest.arch).program("hello")).expect("an image of hello");
    foreign[18] = other;
    initrd.file("bundle/rootfs/bin/foreign", 0o755, foreign);
    initrd.file("bundle/rootfs/bin/text", 0o755, "not a program\n");
    initrd.file("bundle/rootfs/bin/closed", 0o644, "\x7fELF");
    for (path, errno) in [("/bin/foreign", "ENOEXEC"), ("/bin/text", "ENOEXEC"), ("/bin/closed", "EACCES")] {
        initrd.config(&container(&[path], ""));
        let run = guest.boot_initrd(&initrd, "");
        run.exits(status::NOT_RUNNABLE).tells(&["veridian: ", path, errno]).never_tells("veridian: started");
    }
}
