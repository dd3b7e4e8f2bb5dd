//! Driver: what goes on in a container is not seen outside, and what is outside is not reached from it.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{O_CREAT, O_WRONLY, SIGKILL};
use veridian_containers::Signal;
use veridian_containers::abi::{CreateFlags, DeleteFlags, WaitStatus};
use veridian_userland::check::{Checks, enter_scratch, wait_for};
use veridian_userland::sys::{self, AT_FDCWD, Start, text_of};
use veridian_userland::{driver, program};

program!(main);

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    enter_scratch();
    checks.equal("the machine's host name is set", sys::sethostname(b"outside"), Ok(()));
    let bystander = sys::spawn(|| {
        loop {
            // Nothing ends this but a signal.
            let _ = sys::sleep(1_000_000_000);
        }
    });
    let bystander = bystander.expect("a child");
    let neighbour = driver::config("", &["/bin/worker", "forever"]);
    let neighbour = driver::create("neighbour", &neighbour, CreateFlags::empty()).expect("a neighbour");
    checks.equal("a neighbour runs", sys::container_start(neighbour), Ok(()));
    let leaked = sys::openat(AT_FDCWD, c"/", linux_raw_sys::general::O_RDONLY, 0);
    checks.equal("a descriptor of the machine's root is open", leaked.is_ok(), true);

    // One attacker has what every container has, the other may mount too.
    for (attack, rights) in [("/bin/reach", ""), ("/bin/escape", "capability=default\ncapability=CAP_SYS_ADMIN\n")] {
        let end = driver::run("attacker", &driver::config(rights, &[attack, "inside"]));
        checks.equal(format_args!("{attack} gets nowhere"), end.map(|end| end.status), Ok(WaitStatus::Exited(0)));
    }

    let name = sys::uname().map(|names| text_of(&names.nodename) == "outside");
    checks.equal("the host name outside is the same", name, Ok(true));
    checks.equal("a file made inside /tmp is not in /tmp", exists(c"/tmp/made-inside"), false);
    checks.equal("nor on what the tmpfs was mounted on", exists(c"/bundle/rootfs/tmp/made-inside"), false);
    checks.equal("the mounts inside are not here", exists(c"/bundle/rootfs/dev/null"), false);
    checks.equal("the bystander lives", sys::kill(bystander, 0), Ok(()));
    checks.equal("the neighbour lives", driver::status("neighbour"), Some(veridian_containers::Status::Running));
    checks.equal("the bystander ends when told here", sys::kill(bystander, SIGKILL), Ok(()));
    checks.equal("by SIGKILL", wait_for(bystander), Ok(WaitStatus::Signaled(Signal::SIGKILL)));
    checks.equal("the neighbour is deleted", sys::container_delete(neighbour, DeleteFlags::FORCE), Ok(()));
    checks.equal("and closed", sys::close(neighbour), Ok(()));

    settings(&mut checks);
    sharing(&mut checks);
    checks.equal("nothing is left", driver::count(), Ok(0));
    checks.finish()
}

fn exists(path: &core::ffi::CStr) -> bool {
    sys::fstatat(AT_FDCWD, path, 0).is_ok()
}

/// What a configuration says about the process is so inside.
fn settings(checks: &mut Checks) {
    let status = |lines: &str, arguments: &[&str]| {
        driver::run("settings", &driver::config(lines, arguments)).map(|end| end.status.shell_status())
    };
    for number in ["0", "1", "42", "255"] {
        let expected = number.parse::<u8>().unwrap_or(0);
        checks.equal(format_args!("exit status {number}"), status("", &["/bin/worker", "exit", number]), Ok(expected));
    }
    checks.equal("SIGSEGV is 139", status("", &["/bin/worker", "segfault"]), Ok(139));
    let ids = status("process_uid=1000\nprocess_gid=100\n", &["/bin/worker", "ids", "1000", "100"]);
    checks.equal("user and group", ids, Ok(0));
    let found = status("process_env=PATH=/sbin:/bin\n", &["worker", "exit", "6"]);
    checks.equal("a program without a slash is found by PATH", found, Ok(6));
    let strings = "process_env=A=1\nprocess_env=EMPTY=\nprocess_args=[\"/bin/worker\",\"check-start\",\"\",\"a long one = : ü\"]\n";
    checks.equal("arguments and environment", status(strings, &[]), Ok(0));
    let written = status("root_readonly=true\n", &["/bin/worker", "write", "/bin/new"]);
    checks.equal("a read-only root refuses a file: EROFS", written, Ok(30));
    let written = status("root_readonly=true\n", &["/bin/worker", "write", "/tmp/new"]);
    checks.equal("its /tmp takes one", written, Ok(0));
    let bound = "mount=/sys:bind:/bundle:ro\n";
    checks.equal("a read-only bind mount refuses a file", status(bound, &["/bin/worker", "write", "/sys/new"]), Ok(30));
    let unmounted = status("", &["/bin/worker", "write", "/bin/../../../tmp/x"]);
    checks.equal("`..` stays inside", unmounted, Ok(0));
}

/// Without a namespace of a kind, the container shares the machine's.
fn sharing(checks: &mut Checks) {
    let share = "process_args=[\"/bin/worker\",\"signal\",\"15\"]\n";
    let end = driver::run("share", share).map(|end| end.status);
    checks.equal("without namespace=pid a signal kills it", end, Ok(WaitStatus::Signaled(Signal::SIGTERM)));
    let end = driver::run("share", "process_args=[\"/bin/worker\",\"host\",\"outside\"]\n").map(|end| end.status);
    checks.equal("without namespace=uts it has the machine's name", end, Ok(WaitStatus::Exited(0)));
    let made = sys::openat(AT_FDCWD, c"/tmp/shared", O_CREAT | O_WRONLY, 0o600);
    let removed = sys::unlink(c"/tmp/shared");
    checks.equal("the machine's /tmp can be written", made.is_ok() && removed.is_ok(), true);
}
