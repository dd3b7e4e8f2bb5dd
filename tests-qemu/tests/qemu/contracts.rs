//! Rules of Linux that programs rely on (`contracts/`), one each: the same static program runs on Linux and here.

use crate::{Test, guest::Guest};
use std::{collections::BTreeMap, env, path::PathBuf, time::Duration};
use veridian_tests_qemu::Initrd;

/// CPUs of the machines on which they run.
pub const CPUS: [u32; 2] = [1, 2];

pub const TESTS: &[Test] = &[
    ("each_contract_of_linux_holds_but_those_that_are_listed", hold),
    ("clocks_are_read_without_system_calls", read_clock),
];

/// For all of them together, on a busy host.
const TIME_LIMIT: Duration = Duration::from_secs(400);

/// A container that is refused no call.
const CONFIG: &str = r#"
root_path=rootfs
process_args=["/bin/contracts"]
capability=all
seccomp=unconfined
no_new_privileges=false
namespace=ipc
namespace=mount
namespace=network
namespace=pid
namespace=uts
mount=/proc:proc:proc
mount=/dev:dev:dev
mount=/dev/pts:devpts:devpts
mount=/tmp:tmpfs:tmpfs
"#;

/// Those that do not hold here, each with the reason: `name: reason`. One that holds must not be among them.
const DIFFERENCES: &str = include_str!("../../../contracts/differences.txt");

/// An initrd with the contracts' program, of whose container this is the configuration.
fn initrd(guest: &Guest, config: &str) -> Initrd {
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")), PathBuf::from);
    let path = target.join("contracts").join(guest.arch.to_string()).join("contracts");
    let program = std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error} (run scripts/contracts.sh {})", path.display(), guest.arch));
    let mut initrd = Initrd::small(guest.arch, &[]).unwrap_or_else(|error| panic!("{error}"));
    initrd.file("bundle/rootfs/bin/contracts", 0o755, program).config(config);
    initrd
}

/// Every call of a program that reads the clock is told, and none is for that.
fn read_clock(guest: &Guest) {
    let config = CONFIG.replace(r#"["/bin/contracts"]"#, r#"["/bin/contracts","--after","0"]"#);
    let vm = guest.vm().initrd(initrd(guest, &config).archive());
    let run = guest.boot(vm.command_line(&format!("{} trace=config", Initrd::RUN_CONFIG)));
    run.exits(0).tells(&["exit_group(0"]).never_tells("clock_gettime");
}

fn hold(guest: &Guest) {
    let archive = initrd(guest, CONFIG).archive();
    let vm = guest.vm().memory("128M").time_limit(Some(TIME_LIMIT)).initrd(archive);
    let run = guest.boot(vm.command_line(&format!("{} loglevel=error", Initrd::RUN_CONFIG)));
    run.tells(&["contracts: ", " hold"]);

    let broken: BTreeMap<_, _> = run.outcome.console.lines().filter_map(broken).collect();
    let listed: BTreeMap<_, _> =
        DIFFERENCES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(": ")).collect();
    let mut wrong: Vec<_> = broken
        .iter()
        .filter(|(name, _)| !listed.contains_key(*name))
        .map(|(name, why)| format!("{name} does not hold:{why}"))
        .collect();
    let held = listed.keys().filter(|name| !broken.contains_key(*name));
    wrong.extend(held.map(|name| format!("{name} holds, but contracts/differences.txt lists it")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `name: [file:line: what] BROKEN`: its name and why.
fn broken(line: &str) -> Option<(&str, &str)> {
    line.trim_end().strip_suffix(" BROKEN")?.split_once(':')
}
