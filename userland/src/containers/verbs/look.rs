//! What looks at containers and changes nothing.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use linux_raw_sys::general::POLLIN;
use veridian_containers::abi::Stats;

use super::{Outcome, id};
use crate::{
    containers::{
        container::{Container, State, features as kernel_features},
        file,
        table::{columns, headed, indented},
        words::Words,
    },
    io::print,
    println, sys,
};

const NS_PER_S: u64 = 1_000_000_000;

pub(super) fn state(words: &Words) -> Outcome {
    let state = Container::open(&id(words)?)?.state()?;
    println!("{}", indented(&state.text));
    Ok(0)
}

pub(super) fn features(words: &Words) -> Outcome {
    no_operands(words)?;
    println!("{}", indented(&kernel_features()?));
    Ok(0)
}

pub(super) fn trace(words: &Words) -> Outcome {
    Container::open(&id(words)?)?.trace(!words.has("off")).map(|()| 0)
}

fn no_operands(words: &Words) -> Result<(), String> {
    words.operands().first().map_or(Ok(()), |word| Err(format!("{word}: nothing but flags is wanted")))
}

/// Whether JSON is wanted.
fn wants_json(words: &Words) -> Result<bool, String> {
    match words.value("format") {
        None | Some("table") => Ok(false),
        Some("json") => Ok(true),
        Some(other) => Err(format!("{other}: the formats are table and json")),
    }
}

/// The ids of all containers.
fn ids() -> Result<Vec<String>, String> {
    let mut ids = Vec::new();
    let mut cookie = 0;
    loop {
        let (next, entry) = sys::container_list(cookie).map_err(|errno| format!("container_list: {errno}"))?;
        if next == 0 {
            return Ok(ids);
        }
        ids.push(sys::entry_id(&entry).to_string());
        cookie = next;
    }
}

/// Of the containers with these ids, those that are still there.
fn open_all(ids: &[String]) -> Vec<Container> {
    ids.iter().filter_map(|id| Container::open(id).ok()).collect()
}

pub(super) fn list(words: &Words) -> Outcome {
    no_operands(words)?;
    let json = wants_json(words)?;
    let ids = ids()?;
    if words.has("quiet") {
        ids.iter().for_each(|id| println!("{id}"));
        return Ok(0);
    }
    let states: Vec<State> = open_all(&ids).iter().filter_map(|container| container.state().ok()).collect();
    if json {
        let states: Vec<&str> = states.iter().map(|state| state.text.as_str()).collect();
        println!("[{}]", states.join(","));
        return Ok(0);
    }
    let mut rows = headed(["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    for state in &states {
        let pid = state.pid().to_string();
        let [id, status, bundle, created, owner] =
            ["id", "status", "bundle", "created", "owner"].map(|name| state.member(name).to_string());
        rows.push([id, pid, status, bundle, created, owner]);
    }
    print(1, format_args!("{}", columns(&rows)));
    Ok(0)
}

pub(super) fn ps(words: &Words) -> Outcome {
    let json = wants_json(words)?;
    let state = Container::open(&id(words)?)?.state()?;
    let pids = processes(state.pid())?;
    if json {
        println!("[{}]", pids.join(","));
        return Ok(0);
    }
    let mut rows = headed(["UID", "PID", "PPID", "S", "CMD"]);
    // One that has ended meanwhile is left out.
    rows.extend(pids.iter().filter_map(|pid| process_row(pid)));
    print(1, format_args!("{}", columns(&rows)));
    Ok(0)
}

/// The numbers of the processes in the group of a container's first process, as the group's file lists them.
fn processes(first: u64) -> Result<Vec<String>, String> {
    if first == 0 {
        return Ok(Vec::new());
    }
    let groups = file::text(&format!("/proc/{first}/cgroup"))?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    let members = file::text(&format!("/sys/fs/cgroup{}/cgroup.procs", group.trim_end_matches('/')))?;
    Ok(members.lines().map(String::from).collect())
}

fn process_row(pid: &str) -> Option<[String; 5]> {
    let status = file::text(&format!("/proc/{pid}/status")).ok()?;
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?.to_string();
    let stat = file::text(&format!("/proc/{pid}/stat")).ok()?;
    let (name, rest) = stat.rsplit_once(')')?;
    let (_, name) = name.split_once('(')?;
    let mut fields = rest.split_whitespace();
    let (letter, parent) = (fields.next()?.to_string(), fields.next()?.to_string());
    let line = file::text(&format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ");
    let command = if line.trim().is_empty() { format!("[{name}]") } else { line.trim_end().to_string() };
    Some([uid, pid.to_string(), parent, letter, command])
}

pub(super) fn stats(words: &Words) -> Outcome {
    let json = wants_json(words)?;
    let named = words.operands();
    let containers = if named.is_empty() {
        open_all(&ids()?)
    } else {
        named.iter().map(|id| Container::open(id)).collect::<Result<_, _>>()?
    };
    let mut rows = headed(["ID", "CPU", "MEMORY", "PEAK", "LIMIT", "TASKS", "LIMIT"]);
    let mut documents = Vec::new();
    for container in &containers {
        let found = container.stats()?;
        if json {
            documents.push(event(container.id(), &found));
            continue;
        }
        rows.push([
            container.id().to_string(),
            format!("{}.{:03} s", found.cpu_usage_ns / NS_PER_S, found.cpu_usage_ns / 1_000_000 % 1000),
            size(found.memory_current),
            size(found.memory_peak),
            limit(found.memory_limit, size),
            found.pids_current.to_string(),
            limit(found.pids_limit, |number| number.to_string()),
        ]);
    }
    if json {
        println!("[{}]", documents.join(","));
    } else {
        print(1, format_args!("{}", columns(&rows)));
    }
    Ok(0)
}

fn size(bytes: u64) -> String {
    match bytes {
        0..0x2800 => format!("{bytes} B"),
        0x2800..0xa0_0000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

fn limit(value: u64, print: impl Fn(u64) -> String) -> String {
    if value == Stats::UNLIMITED { "none".to_string() } else { print(value) }
}

/// What is used, as runc's `events` prints it. A limit that is none is the largest number.
fn event(id: &str, stats: &Stats) -> String {
    let cpu = format!(
        r#"{{"usage":{{"total":{},"kernel":{},"user":{}}},"throttling":{{"periods":{},"throttledPeriods":{},"throttledTime":{}}}}}"#,
        stats.cpu_usage_ns,
        stats.cpu_system_ns,
        stats.cpu_user_ns,
        stats.cpu_periods,
        stats.cpu_throttled_periods,
        stats.cpu_throttled_ns
    );
    let memory = format!(
        r#"{{"usage":{{"limit":{},"usage":{},"max":{},"failcnt":{}}},"raw":{{"low":{},"high":{},"max":{},"oom":{},"oom_kill":{}}}}}"#,
        stats.memory_limit,
        stats.memory_current,
        stats.memory_peak,
        stats.memory_max_events,
        stats.memory_low_events,
        stats.memory_high_events,
        stats.memory_max_events,
        stats.memory_oom_events,
        stats.memory_oom_kills
    );
    let pids = format!(r#"{{"current":{},"limit":{}}}"#, stats.pids_current, stats.pids_limit);
    format!(r#"{{"type":"stats","id":"{id}","data":{{"cpu":{cpu},"memory":{memory},"pids":{pids}}}}}"#)
}

pub(super) fn events(words: &Words) -> Outcome {
    let interval = match words.value("interval") {
        None => 5,
        Some(text) => {
            let seconds = text.strip_suffix('s').unwrap_or(text).parse().ok().filter(|&seconds| seconds > 0);
            seconds.ok_or_else(|| format!("{text}: not a number of seconds"))?
        }
    };
    let container = Container::open(&id(words)?)?;
    let mut kills = container.stats()?.memory_oom_kills;
    if words.has("stats") {
        println!("{}", event(container.id(), &container.stats()?));
        return Ok(0);
    }
    loop {
        let found = container.stats()?;
        if found.memory_oom_kills > kills {
            println!(r#"{{"type":"oom","id":"{}"}}"#, container.id());
            kills = found.memory_oom_kills;
        }
        println!("{}", event(container.id(), &found));
        let stopped = sys::poll(container.fd(), POLLIN, Some(interval * NS_PER_S));
        if stopped.map_err(|errno| format!("poll: {errno}"))? != 0 {
            return Ok(0);
        }
    }
}
