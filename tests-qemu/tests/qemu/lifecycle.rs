//! A container from its creation to its end, and that nothing of it stays.

use crate::{
    Test,
    guest::{Guest, container},
};

pub const TESTS: &[Test] = &[
    ("each_step_is_told_in_a_line", each_step_is_told),
    ("the_exit_status_of_the_process_is_that_of_the_machine", exit_statuses),
    ("arguments_arrive_as_they_were_given", arguments_arrive),
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

fn arguments_arrive(guest: &Guest) {
    let args = ["/bin/hello", "0", "two words", "", "ä=ö", "\"quoted\\\""];
    let run = guest.run_config(&container(&args, ""));
    run.exits(0);
    for (index, argument) in args.iter().enumerate().skip(1) {
        run.prints(format!("argument {index}: {argument}").trim_end_matches('\n'));
    }
}
