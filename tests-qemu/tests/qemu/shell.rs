//! The shell on the machine's console: a person types, and reads what comes.

use crate::{Test, guest::Guest, guest::Run, guest::standard};

/// Run once.
pub const TESTS: &[Test] = &[
    ("a_shell_runs_pipelines_lists_and_redirections", pipelines),
    ("keys_edit_lines_and_interrupt_stop_and_continue_programs", keys),
];

/// Boots to a shell and types each line once the console shows what stands before it. (What is typed is echoed, so an
/// answer is recognised by the line's end before it.)
fn session(guest: &Guest, steps: &[(&str, &str)]) -> Run {
    let mut vm = guest.vm().initrd(standard(guest.arch).archive()).command_line("shell=sh loglevel=error");
    for (text, keys) in steps {
        vm = vm.types_after(text, keys);
    }
    guest.boot(vm)
}

fn pipelines(guest: &Guest) {
    let run = session(
        guest,
        &[
            ("# ", "echo one two | cat | cat >/tmp/file; cat </tmp/file\r"),
            ("\none two\r\n# ", "false || echo alternative && echo sequel\r"),
            ("\nalternative\r\nsequel\r\n# ", "NAME='a  b'; echo \"<$NAME>\" $NAME $?\r"),
            ("\n<a  b> a b 0\r\n# ", "ls /nowhere 2>/tmp/errors; cat /tmp/errors; cd /bundle; pwd\r"),
            ("\n/bundle\r\n# ", "sh -c 'exit 7'; echo status $?\r"),
            ("\nstatus 7\r\n# ", "exit 3\r"),
        ],
    );
    run.exits(3).prints("ls: /nowhere: ENOENT: No such file or directory");
}

fn keys(guest: &Guest) {
    let run = session(
        guest,
        &[
            ("# ", "echo wronf\x7fg | cat\r"),
            ("\nwrong\r\n# ", "cat\r"),
            ("cat\r\n", "echoed\r"),
            ("echoed\r\nechoed\r\n", "\x03"),
            ("^C# ", "echo interrupted $?\r"),
            ("\ninterrupted 130\r\n# ", "cat\r"),
            ("cat\r\n", "held\r"),
            // Only what cat wrote itself shows that the terminal is its own, so that the key stops it and no other.
            ("held\r\nheld\r\n", "\x1a"),
            ("\n[1] Stopped  cat\r\n# ", "jobs\r"),
            ("\n[1] Stopped  cat\r\n# ", "fg\r"),
            ("\ncat\r\n", "again\r"),
            ("again\r\nagain\r\n", "\x04"),
            ("# ", "exit 4\r"),
        ],
    );
    run.exits(4);
}
