//! The shell on the machine's console: a person types, and reads what comes.

use crate::{Test, guest::Guest, guest::Run, guest::standard};

/// Run once.
pub const TESTS: &[Test] = &[
    ("a_shell_runs_pipelines_lists_and_redirections", pipelines),
    ("keys_edit_lines_and_interrupt_stop_and_continue_programs", keys),
];

/// Boots to a shell and types each line once the shell asks for it.
fn session(guest: &Guest, lines: &[(&str, &str)]) -> Run {
    let mut vm = guest.vm().initrd(standard(guest.arch).archive()).command_line("shell=sh loglevel=error");
    for (text, keys) in lines {
        vm = vm.types_after(text, keys);
    }
    guest.boot(vm)
}

fn pipelines(guest: &Guest) {
    let run = session(
        guest,
        &[
            ("# ", "echo one two | cat | cat >/tmp/file; cat </tmp/file\r"),
            ("one two", "false || echo alternative && echo sequel\r"),
            ("sequel", "NAME='a  b'; echo \"<$NAME>\" $NAME $?\r"),
            ("a b 0", "ls /nowhere 2>/tmp/errors; cat /tmp/errors; cd /bundle; pwd\r"),
            ("/bundle", "sh -c 'exit 7'; echo status $?\r"),
            ("status 7", "exit 3\r"),
        ],
    );
    run.exits(3).prints("one two").prints("alternative").prints("sequel").prints("<a  b> a b 0");
    run.prints("ls: /nowhere: ENOENT").prints("/bundle").prints("status 7");
}

fn keys(guest: &Guest) {
    let run = session(
        guest,
        &[
            ("# ", "echo wronf\u{7f}g | cat\r"),
            ("\nwrong", "cat\r"),
            ("cat\r\n", "echoed\r"),
            ("\nechoed", "\u{3}"),
            ("# ", "echo interrupted $?\r"),
            ("\ninterrupted 130", "cat\r"),
            ("cat\r\n", "\u{1a}"),
            ("Stopped", "jobs\r"),
            ("[1] Stopped  cat", "fg\r"),
            ("cat\r\n", "again\r"),
            ("\nagain", "\u{4}"),
            ("# ", "cat & echo started\r"),
            ("\nstarted", "jobs\r"),
            ("Stopped  cat", "kill -KILL $(\r"),
            ("not there", "exit\r"),
        ],
    );
    run.exits(2).prints("wrong").prints("echoed").prints("interrupted 130").prints("again");
}
