//! The container command: its verbs, what they print, their exit statuses.

use crate::{
    Test,
    guest::{Guest, Run, standard},
};

/// Run once.
pub const TESTS: &[Test] = &[
    ("vctl_creates_starts_pauses_kills_and_deletes", lives),
    ("vctl_run_ends_with_the_status_of_the_container", runs),
    ("vctl_refuses_in_words_what_is_wrong", refusals),
    ("vctl_exec_ends_with_the_status_of_the_command", execs),
    ("vctl_exec_gives_a_process_a_terminal_of_its_own", terminal),
    ("vctl_shows_what_containers_use_and_changes_their_limits", limits),
    ("vctl_spec_writes_a_configuration_that_runs", specs),
    ("vctl_run_ends_its_container_when_it_is_interrupted", interrupted),
];

/// A container that lives until it is killed: a shell, so that exec finds programs.
const SLEEPER: &str = "root_path=rootfs\nhostname=inside\nprocess_args=[\"/bin/sh\",\"-c\",\"sleep 1000\"]\n\
    process_env=PATH=/bin\nprocess_env=NAME=${CONTAINER_ID}\nnamespace=pid\nnamespace=mount\nnamespace=uts\n\
    memory_limit=8M\npids_limit=10\n";

/// Boots to a script, in a machine with the bundle `/bundle` and further files. Each line of the script is shown before
/// what it prints, and behind it its status.
fn script(guest: &Guest, files: &[(&str, &str)], lines: &[&str]) -> Run {
    let mut initrd = standard(guest.arch);
    initrd.config(SLEEPER);
    for (path, text) in files {
        initrd.file(path, 0o444, *text);
    }
    let mut script = String::new();
    for (number, line) in lines.iter().enumerate() {
        script += &format!("{line}; echo line {number}: $?\n");
    }
    initrd.file("script", 0o444, script + "exit 0\n");
    let run = guest.boot(guest.vm().initrd(initrd.archive()).command_line("shell=sh loglevel=error -- /script"));
    run.exits(0);
    run
}

fn lives(guest: &Guest) {
    let run = script(
        guest,
        &[],
        &[
            "vctl create -b /bundle --pid-file /tmp/pid one",
            "vctl state one",
            "vctl list",
            "vctl start one",
            "vctl pause one",
            "vctl list | cat",
            "vctl resume one",
            "vctl list -q",
            "vctl delete one",
            "vctl kill one KILL",
            // It ends when the container does.
            "vctl events one >/tmp/events",
            "vctl state one | cat",
            "vctl kill one",
            "vctl delete one",
            "vctl list -q",
        ],
    );
    for number in [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 13, 14] {
        run.prints(&format!("line {number}: 0"));
    }
    run.prints("line 8: 1").prints("vctl: cannot delete container one that is not stopped: running");
    run.prints("line 12: 1").prints("vctl: container not running");
    run.prints("  \"id\": \"one\",").prints("  \"status\": \"created\",").prints("  \"status\": \"stopped\",");
    run.tells(&["ID          PID         STATUS      BUNDLE      CREATED"]);
    run.tells(&["one   ", " created ", " /bundle ", "root"]).tells(&["one   ", " paused ", " /bundle ", "root"]);
    run.prints("one");
}

fn runs(guest: &Guest) {
    let ends = |args: &str| SLEEPER.replace("\"/bin/sh\",\"-c\",\"sleep 1000\"", args);
    let run = script(
        guest,
        &[
            ("seven/config.oci", &ends("\"/bin/sh\",\"-c\",\"exit 7\"").replace("rootfs", "/bundle/rootfs")),
            (
                "killed/config.oci",
                &ends("\"/bin/worker\",\"signal\",\"9\"")
                    .replace("rootfs", "/bundle/rootfs")
                    .replace("namespace=pid\n", ""),
            ),
        ],
        &[
            "cd /seven; vctl run one",
            "vctl list -q",
            "vctl run --keep --bundle=/seven one",
            "vctl list -q",
            "vctl delete one",
            "vctl run -b /killed two",
            "vctl run -d -b /bundle three",
            "vctl delete three",
            "vctl delete --force three four",
            "vctl list -f json",
        ],
    );
    for (number, status) in [(0, 7), (1, 0), (2, 7), (3, 0), (4, 0), (5, 137), (6, 0), (7, 1), (8, 0), (9, 0)] {
        run.prints(&format!("line {number}: {status}"));
    }
    run.prints("one").prints("[]");
}

fn refusals(guest: &Guest) {
    let run = script(
        guest,
        &[("wrong/config.oci", "root_path=/\nmemory_limit=64Q\n"), ("empty/file", "")],
        &[
            "vctl",
            "vctl lauch one",
            "vctl start",
            "vctl start one two",
            "vctl run --loud one",
            "vctl run one --bundle",
            "vctl list -f yaml",
            "vctl state one",
            "vctl kill one FOO",
            "vctl run -b /wrong one",
            "vctl run -b /empty one",
            "vctl create -b /bundle one",
            "vctl create -b /bundle one",
            "vctl resume one",
            "vctl create -b /bundle a/b",
            "vctl start one",
            "vctl start one",
            "vctl delete -f one",
            "vctl create -b /bundle --pid-file /nowhere/file one",
            "vctl list -q",
        ],
    );
    for number in [0, 11, 15, 17, 19] {
        run.prints(&format!("line {number}: 0"));
    }
    for number in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 16, 18] {
        run.prints(&format!("line {number}: 1"));
    }
    run.prints("vctl: lauch: there is no such command; `vctl help` lists those that are")
        .prints("vctl: the id of a container is wanted")
        .prints("vctl: two: one id is wanted, and nothing else")
        .prints("vctl: there is no flag --loud")
        .prints("vctl: --bundle wants a value: DIR")
        .prints("vctl: yaml: the formats are table and json")
        .prints("vctl: one: container does not exist")
        .prints("vctl: FOO: not a signal")
        .tells(&["vctl: config.oci:2: memory_limit: \"64Q\" is not a size"])
        .tells(&["vctl: /empty: neither config.json nor config.oci is there"])
        .prints("vctl: one: container with given ID already exists")
        .prints("vctl: container not paused")
        .tells(&["\"a/b\" is not a container id"])
        .prints("vctl: cannot start an already running container")
        .tells(&["vctl: /nowhere/file: ENOENT"])
        .never_tells("\none\n");
}

fn execs(guest: &Guest) {
    let run = script(
        guest,
        &[("process.json", r#"{"args":["/bin/sh","-c","exit 9"],"cwd":"/","user":{"uid":0,"gid":0}}"#)],
        &[
            "vctl create -b /bundle one",
            "vctl exec one true",
            "vctl start one",
            "vctl exec one /bin/sh -c 'exit 42'",
            "vctl exec -e MORE=more --cwd /bin one /bin/sh -c 'echo $NAME $MORE; pwd; hostname'",
            "vctl exec one /bin/nothing",
            "vctl exec two /bin/sh",
            "vctl exec -p /process.json one",
            "vctl exec -x one /bin/sh",
            "vctl exec one /bin/worker signal 9",
            "vctl pause one",
            "vctl exec one /bin/sh -c 'exit 0'",
            "vctl delete -f one",
        ],
    );
    let statuses = [0, 255, 0, 42, 0, 255, 255, 9, 255, 137, 0, 255, 0];
    for (number, status) in statuses.iter().enumerate() {
        run.prints(&format!("line {number}: {status}"));
    }
    run.prints("one more").prints("/bin").prints("inside");
    run.prints("vctl: container not running").prints("vctl: two: container does not exist");
    run.prints("vctl: there is no flag -x").prints("vctl: cannot exec in a paused container");
}

/// A person at the console: a shell in the container edits lines on a terminal of the container's.
fn terminal(guest: &Guest) {
    let mut initrd = standard(guest.arch);
    initrd.config(SLEEPER);
    let mut vm = guest.vm().initrd(initrd.archive()).command_line("shell=sh loglevel=error");
    for (text, keys) in [
        ("# ", "vctl run -d -b /bundle one\r"),
        ("one\r\n# ", "vctl exec -t one /bin/sh\r"),
        ("/bin/sh\r\n# ", "hostnamf\x7fe; exit 5\r"),
        ("inside\r\n# ", "echo status $?\r"),
        ("\nstatus 5\r\n# ", "vctl features | cat\r"),
        ("\"ociVersionMax\": \"1.3.0\"", "exit 3\r"),
    ] {
        vm = vm.types_after(text, keys);
    }
    guest.boot(vm).exits(3);
}

fn limits(guest: &Guest) {
    let run = script(
        guest,
        &[("limits.oci", "pids_limit=11\n"), ("wrong.oci", "hostname=other\n")],
        &[
            "vctl run -d -b /bundle one",
            "vctl events --stats one",
            "vctl update --memory 16M --pids-limit 12 one",
            "vctl stats one",
            "vctl update -r /limits.oci one",
            "vctl events --stats one",
            "vctl update -r - one </wrong.oci",
            "vctl update one",
            "vctl delete -f one",
        ],
    );
    for (number, status) in [0, 0, 0, 0, 0, 0, 1, 1, 0].iter().enumerate() {
        run.prints(&format!("line {number}: {status}"));
    }
    run.tells(&["{\"type\":\"stats\",\"id\":\"one\",\"data\":{\"cpu\":{\"usage\":{\"total\":", "\"limit\":8388608,"])
        .tells(&["\"type\":\"stats\"", "\"pids\":{\"current\":", ",\"limit\":10}"])
        .tells(&["\"type\":\"stats\"", "\"limit\":16777216,", "\"pids\":{\"current\":", ",\"limit\":11}"])
        .tells(&["one ", " 16 MiB ", " 12"])
        .tells(&["vctl: ", "hostname: is not a limit"])
        .prints("vctl: a limit to change is wanted");
}

fn specs(guest: &Guest) {
    let run = script(
        guest,
        &[],
        &[
            "mkdir /tmp/bundle; cd /tmp/bundle; vctl spec -- /bin/sh -c 'hostname; exit 5'",
            "vctl spec",
            "mkdir rootfs; mount -o bind /bundle/rootfs rootfs; vctl run one",
        ],
    );
    run.prints("line 0: 0").prints("line 1: 1").tells(&["vctl: ./config.json: EEXIST"]);
    run.prints("veridian").prints("line 2: 5");
}

fn interrupted(guest: &Guest) {
    let mut initrd = standard(guest.arch);
    initrd.config(&SLEEPER.replace("sleep", "echo up; sleep"));
    let vm = guest.vm().initrd(initrd.archive()).command_line("shell=sh loglevel=error");
    let run = guest.boot(
        vm.types_after("# ", "vctl run -b /bundle one\r")
            .types_after("\nup\r\n", "\x03")
            // It ends when the container does, or is not there.
            .types_after("^C# ", "vctl events one >/dev/null; echo over\r")
            .types_after("\nover\r\n# ", "exit 6\r"),
    );
    run.exits(6);
}
