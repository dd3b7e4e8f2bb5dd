//! What changes a running container: further processes, other limits.

use alloc::{
    format,
    string::{String, ToString},
};

use linux_raw_sys::general::{CLD_EXITED, P_PIDFD, SIGKILL, WEXITED};

use super::{Outcome, flag, id};
use crate::{
    containers::{
        container::Container,
        file::{self, Existing},
        process,
        relay::Relay,
        words::{Flag, Words},
    },
    sys::{self, Fd},
};

pub(super) fn exec(words: &Words) -> Outcome {
    let operands = words.operands();
    let [id, args @ ..] = &operands[..] else {
        return Err("the id of a container is wanted, and a command".into());
    };
    let container = Container::open(id)?;
    let document = process::document(&container.state()?, words, args)?;
    if words.has("tty") && words.has("detach") {
        return Err("a process with a terminal needs somebody at it: exec it without --detach".into());
    }
    let (process, terminal) = container.exec(&document)?;
    let relay = terminal.map(Relay::new);
    if let Some(path) = words.value("pid-file") {
        let written = number_of(process).and_then(|pid| file::write(path, pid.as_bytes(), Existing::Replace));
        if let Err(reason) = written {
            // It may have ended by itself.
            let _ = sys::pidfd_send_signal(process, SIGKILL);
            return Err(reason);
        }
    }
    if words.has("detach") {
        return Ok(0);
    }
    if let Some(relay) = relay {
        relay.run().map_err(|errno| format!("the terminal: {errno}"))?;
    }
    // siginfo_t: signal, error, code, -, pid, uid, status or signal.
    let info = sys::waitid(P_PIDFD, process, WEXITED).map_err(|errno| format!("waitid: {errno}"))?;
    let status = info[6] as u8;
    Ok(if info[2] == CLD_EXITED as i32 { status } else { 128 + status })
}

/// The number of the process that a descriptor stands for.
fn number_of(process: Fd) -> Result<String, String> {
    let path = format!("/proc/self/fdinfo/{process}");
    let text = file::text(&path)?;
    let number = text.lines().find_map(|line| line.strip_prefix("Pid:"));
    number.map(|number| number.trim().to_string()).ok_or_else(|| format!("{path}: no process is named there"))
}

/// The flags of update: each but the first is a key of the configuration, with dashes and runc's names.
pub(super) const LIMITS: &[Flag] = &[
    flag('r', "resources", "FILE|-", "all of them, as config.json or config.oci say it"),
    flag(' ', "memory", "SIZE", "memory; -1 for no limit, here and below"),
    flag(' ', "memory-reservation", "SIZE", "memory that it keeps while others can give"),
    flag(' ', "memory-high", "SIZE", "memory at which it is slowed down"),
    flag(' ', "memory-swap", "SIZE", "memory and swap together"),
    flag(' ', "cpu-share", "NUMBER", "its part of the CPUs, 1024 being the usual"),
    flag(' ', "cpu-quota", "MICROSECONDS", "CPU time in each period"),
    flag(' ', "cpu-period", "MICROSECONDS", "that period"),
    flag(' ', "cpu-burst", "MICROSECONDS", "unused time that may be used later"),
    flag(' ', "cpu-idle", "0|1", "whether it runs only when no one else wants to"),
    flag(' ', "cpuset-cpus", "LIST", "the CPUs that it may use"),
    flag(' ', "pids-limit", "NUMBER", "tasks at one time"),
    flag('u', "unified", "FILE=VALUE", "what is written to a file of its control group"),
];

/// The key that a flag of [`LIMITS`] sets.
fn key(long: &str) -> String {
    match long {
        "memory" => "memory_limit".into(),
        "cpu-share" => "cpu_shares".into(),
        other => other.replace('-', "_"),
    }
}

pub(super) fn update(words: &Words) -> Outcome {
    let container = Container::open(&id(words)?)?;
    let mut lines = String::new();
    for flag in &LIMITS[1..] {
        for value in words.values(flag.long) {
            let value = match (flag.long, value) {
                ("cpu-idle", "0") => "false",
                ("cpu-idle", "1") => "true",
                (_, "-1") => "max",
                (_, value) => value,
            };
            lines += &format!("{}={}\n", key(flag.long), value.replace("${", "$${"));
        }
    }
    let document = match (words.value("resources"), lines.is_empty()) {
        (None, true) => return Err("a limit to change is wanted".into()),
        (None, false) => lines.into_bytes(),
        (Some(_), false) => return Err("--resources says all; no other limit may be given".into()),
        (Some("-"), true) => file::read_all(0).map_err(|errno| format!("standard input: {errno}"))?,
        (Some(path), true) => file::read(path).map_err(|errno| format!("{path}: {errno}"))?,
    };
    container.update(&document).map(|()| 0)
}
