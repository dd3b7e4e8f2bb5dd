//! Linux programs by others, as Debian ships them (`scripts/programs.sh` fetches them): they run in containers as they are.
//!
//! What they are to do is told by scripts, which run inside, compare each output with what Linux's users expect, and print
//! `ok:` and `FAIL:` lines.

use crate::{Test, guest::Guest, guest::Run};
use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};
use veridian_tests_qemu::{Arch, Initrd};

/// Run once.
pub const TESTS: &[Test] = &[
    ("busybox_works_on_trees_of_ten_thousand_files", files),
    ("busybox_looks_at_the_machine_and_its_network", machine),
    ("busyboxs_shell_edits_lines_and_controls_jobs_in_a_container", shell),
    ("vi_and_top_have_the_whole_screen", screen),
    ("what_a_program_lacks_is_named", lacking),
    ("debians_programs_run_in_its_own_tree", debian),
    ("debians_python_has_threads_processes_sockets_and_files", python),
];

/// Longest time for a machine that runs a script.
const TIME_LIMIT: Duration = Duration::from_secs(240);

/// The functions that scripts begin with.
const CHECKS: &str = include_str!("programs/checks.sh");

/// A container with namespaces of every kind but user, the usual mounts, and rights over what is its own.
const CONFIG: &str = "root_path=rootfs\nhostname=inside\nprocess_env=PATH=/bin\nprocess_env=HOME=/root\n\
     namespace=pid\nnamespace=mount\nnamespace=uts\nnamespace=ipc\nnamespace=network\nnamespace=cgroup\n\
     mount=/proc:proc:proc:nosuid,nodev,noexec\nmount=/sys:sysfs:sysfs:nosuid,nodev,noexec,ro\n\
     mount=/dev:dev:dev:nosuid,noexec\nmount=/dev/pts:devpts:devpts:nosuid,noexec,newinstance,ptmxmode=0666\n\
     mount=/tmp:tmpfs:tmpfs:nosuid,nodev\ncapability=all\nseccomp_default=allow\n";

fn program(arch: Arch, name: &str) -> PathBuf {
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or(Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    target.join("programs").join(arch.to_string()).join(name)
}

/// An initrd whose bundle is busybox's.
fn busybox(arch: Arch) -> Initrd {
    let mut initrd = Initrd::small(arch, &["init", "vctl"]).unwrap_or_else(|error| panic!("{error}"));
    initrd.busybox(&program(arch, "busybox")).unwrap_or_else(|error| panic!("{error}"));
    initrd
}

/// Runs a script by busybox's shell in a container.
fn run_script(guest: &Guest, script: &str) -> Run {
    let mut initrd = busybox(guest.arch);
    initrd.file("bundle/rootfs/root/script", 0o755, format!("{CHECKS}{script}\nfinish\n"));
    initrd.config(&format!("{CONFIG}process_cwd=/tmp\nprocess_args=[\"/bin/sh\",\"/root/script\"]\n"));
    let vm = guest.vm().memory("512M").time_limit(Some(TIME_LIMIT)).initrd(initrd.archive());
    guest.boot(vm.command_line(&format!("{} loglevel=warn", Initrd::RUN_CONFIG)))
}

fn passes(run: &Run) {
    run.exits(0).never_tells("FAIL").tells(&["PASS: ", " checks"]);
}

fn files(guest: &Guest) {
    passes(&run_script(guest, include_str!("programs/files.sh")));
}

fn machine(guest: &Guest) {
    passes(&run_script(guest, include_str!("programs/machine.sh")));
}

/// Runs a command in Debian's tree, over which `/tmp`, `/run` and `/dev/shm` are file systems in memory.
fn run_debian(guest: &Guest, files: &[(&str, String)], args: &str) -> Run {
    let mut initrd = Initrd::small(guest.arch, &["init"]).unwrap_or_else(|error| panic!("{error}"));
    initrd.remove("bundle");
    let tree = program(guest.arch, "debian");
    initrd.tree(&tree, "bundle/rootfs").unwrap_or_else(|error| panic!("{error}; scripts/programs.sh fetches it"));
    for (path, text) in files {
        initrd.file(&format!("bundle/rootfs/root/{path}"), 0o755, text.as_str());
    }
    let config = CONFIG.replace("PATH=/bin", "PATH=/usr/sbin:/usr/bin");
    initrd.config(&format!(
        "{config}mount=/dev/shm:tmpfs:tmpfs:nosuid,nodev\nmount=/run:tmpfs:tmpfs:nosuid,nodev\nprocess_cwd=/tmp\n\
         process_env=LC_ALL=C.UTF-8\nprocess_args={args}\n"
    ));
    let vm = guest.vm().memory("1G").time_limit(Some(TIME_LIMIT)).initrd(initrd.archive());
    guest.boot(vm.command_line(&format!("{} loglevel=warn", Initrd::RUN_CONFIG)))
}

fn debian(guest: &Guest) {
    let script = format!("{CHECKS}{}\nfinish\n", include_str!("programs/debian.sh"));
    passes(&run_debian(guest, &[("script", script)], "[\"/bin/bash\",\"/root/script\"]"));
}

fn python(guest: &Guest) {
    let script = include_str!("programs/debian.py").to_owned();
    passes(&run_debian(guest, &[("checks.py", script)], "[\"/usr/bin/python3\",\"/root/checks.py\"]"));
}

/// A person at the console: types each line once the text before it is shown.
fn types(guest: &Guest, steps: &[(&str, &str)]) -> Run {
    let mut initrd = busybox(guest.arch);
    initrd.config(&format!("{CONFIG}process_args=[\"/bin/sh\",\"-i\"]\nprocess_terminal=true\n"));
    let mut vm = guest.vm().initrd(initrd.archive());
    vm = vm.command_line("shell=vctl loglevel=error -- run --bundle /bundle busybox");
    for (text, keys) in steps {
        vm = vm.types_after(text, keys);
    }
    guest.boot(vm)
}

/// What is drawn for a screen of so many lines: where vi says what it does is the last of them.
fn screen(guest: &Guest) {
    let steps = [
        ("# ", "stty rows 12 cols 60; stty size\r"),
        ("\n12 60\r\n", "vi /tmp/text\r"),
        ("\x1b[12;1H\x1b[K- /tmp/text 1/1", "ione\rtwX"),
        // The last one: before it the keys may be shown one by one.
        ("X", "\x1b"),
        ("- /tmp/text [Modified] 2/2", ":s/twX/three/\r"),
        ("\x1b[2;2Hhree", ":wq\r"),
        ("# ", "cat /tmp/text\r"),
        ("\none\r\nthree\r\n", "top\r"),
        ("\x1b[H\x1b[JMem: ", ""),
        ("COMMAND", "q"),
        ("# ", "exit 5\r"),
    ];
    types(guest, &steps).exits(5);
}

fn shell(guest: &Guest) {
    let steps = [
        ("# ", "echo wronf\x7fg\r"),
        ("\nwrong\r\n", "\x1b[A | tr a-z A-Z\r"),
        ("\nWRONG\r\n", "echo $(echo sub) `expr 6 \\* 7`\r"),
        ("\nsub 42\r\n", "cat <<END\rhere $HOME\rEND\r"),
        // What is typed before a program has the terminal would be the shell's.
        ("\nhere /root\r\n", "echo sleeps; sleep 100\r"),
        ("\nsleeps\r\n", "\x03"),
        ("^C", "echo interrupted $?\r"),
        ("\ninterrupted 130\r\n", "trap 'echo trapped' USR1; kill -USR1 $$\r"),
        ("\ntrapped\r\n", "echo reads; cat\r"),
        ("\nreads\r\n", "held\r"),
        ("held\r\nheld\r\n", "\x1a"),
        ("Stopped                    cat\r\n", "jobs\r"),
        ("Stopped                    cat\r\n", "fg\r"),
        ("\ncat\r\n", "again\r"),
        ("again\r\nagain\r\n", "\x04"),
        ("# ", "sleep 1 & wait; echo waited\r"),
        ("\nwaited\r\n", "exit 3\r"),
    ];
    types(guest, &steps).exits(3);
}

/// What cannot start says what it lacks: in the error of the container call, and in the kernel's log.
fn lacking(guest: &Guest) {
    let run = |args: &str| {
        let mut initrd = busybox(guest.arch);
        initrd.file("bundle/rootfs/bin/script", 0o755, "#!/usr/bin/absent -x\n");
        initrd.config(&format!("{CONFIG}process_args={args}\n"));
        guest.boot_initrd(&initrd, "")
    };
    run("[\"/bin/script\"]").exits(127).tells(&["veridian: ", "/usr/bin/absent", "ENOENT"]);
    run("[\"/bin/sh\",\"-c\",\"/bin/script\"]").exits(127).tells(&["INFO: ", "/bin/script", "/usr/bin/absent"]);
}
