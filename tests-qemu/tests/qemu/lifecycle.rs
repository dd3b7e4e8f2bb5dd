//! A container from its creation to its end, and that nothing of it stays.

use crate::{
    Test,
    guest::{Guest, standard},
};
use std::{fs, path::Path};

pub const TESTS: &[Test] = &[
    ("each_step_is_told_in_a_line", each_step_is_told),
    ("the_exit_status_of_the_process_is_that_of_the_machine", exit_statuses),
    ("a_process_that_a_signal_kills_ends_the_machine_with_128_and_its_number", signals),
    ("arguments_arrive_as_they_were_given", arguments_arrive),
    ("host_name_and_pid_are_the_containers_own", host_name_and_pid),
    ("a_limit_on_memory_is_told_when_it_kills", out_of_memory),
    ("each_example_ends_with_the_status_that_it_says", examples),
];

fn each_step_is_told(guest: &Guest) {
    let run = guest.run_container(&["/bin/hello"], "");
    run.exits(0);
    let mut rest = run.outcome.console.as_str();
    for step in [
        "veridian: created config ",
        "veridian: started config ",
        "veridian: exited config with status 0",
        "veridian: deleted config ",
    ] {
        let at = rest.find(step);
        run.check(at.is_some(), &format!("{step:?}, in its turn"));
        rest = &rest[at.unwrap_or(0) + step.len()..];
    }
}

fn exit_statuses(guest: &Guest) {
    for status in [0, 1, 2, 37, 127, 128, 255] {
        let run = guest.run_container(&["/bin/hello", &status.to_string()], "");
        run.exits(status).tells(&[&format!("veridian: exited config with status {status}")]);
    }
}

/// A process that is pid 1 of its namespace is spared the signals that it has not asked for, so the container has
/// none of its own here.
fn signals(guest: &Guest) {
    for (signal, name) in [(1, "SIGHUP"), (6, "SIGABRT"), (9, "SIGKILL"), (15, "SIGTERM")] {
        let config = format!("process_args=[\"/bin/worker\",\"signal\",\"{signal}\"]\n");
        let run = guest.run_config(&config);
        run.exits(128 + signal).tells(&["exited config", &format!("killed by signal {signal} ({name})")]);
    }
    let run = guest.run_container(&["/bin/worker", "segfault"], "");
    run.exits(139).tells(&["exited config", "killed by signal 11 (SIGSEGV)"]);
}

fn arguments_arrive(guest: &Guest) {
    let args = ["/bin/hello", "0", "two words", "", "ä=ö", "\"quoted\\\""];
    let run = guest.run_container(&args, "");
    run.exits(0);
    for (index, argument) in args.iter().enumerate().skip(1) {
        run.prints(&format!("argument {index}: {argument}"));
    }
}

fn host_name_and_pid(guest: &Guest) {
    let machine = guest.arch.name();
    let run = guest.run_container(&["/bin/hello"], "");
    run.exits(0).prints(&format!("Hello from a container! I am pid 1 on inside ({machine})."));
    let run = guest.run_config("process_arg=/bin/hello\n");
    run.exits(0).tells(&["Hello from a container!"]).never_tells("pid 1 on").never_tells("inside");
}

fn out_of_memory(guest: &Guest) {
    let run = guest.run_container(&["/bin/worker", "hog-mmap"], "memory_limit=4M");
    run.exits(137).tells(&["exited config", "killed by signal 9", "out of memory"]);
    let peak = run.outcome.number_after("veridian: config had at most ");
    run.check(peak.is_some_and(|peak| peak <= 4 << 20), "at most 4 MiB");
}

/// Each example has a comment `# Ends with status N.`
fn examples(guest: &Guest) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut count = 0;
    for entry in fs::read_dir(&directory).expect("the examples are there") {
        let path = entry.expect("the examples can be listed").path();
        if path.extension().is_none_or(|extension| extension != "oci") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("an example is text");
        let status = text.lines().find_map(|line| line.strip_prefix("# Ends with status ")?.strip_suffix('.'));
        let status = status.and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("{}: no line `# Ends with status N.`", path.display()));
        let mut initrd = standard(guest.arch);
        let words = initrd.config_file(&path).expect("an example can be read");
        guest.boot(guest.vm().initrd(initrd.archive()).command_line(&words)).exits(status);
        count += 1;
    }
    assert!(count > 1, "{count} examples in {}", directory.display());
}
