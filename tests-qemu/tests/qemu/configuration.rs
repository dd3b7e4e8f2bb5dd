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
