//! `stat`, `status` and what else tells of a process in a few words.

use super::{Process, memory::Sizes, text};
use crate::{
    fs::synthetic::Opener,
    namespace::Pid,
    sched::{ALL_CPUS, Times},
    security::{Seccomp, UserSignal},
    task::Thread,
};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt::{self, Write};
use linux_raw_sys::general::RLIMIT_SIGPENDING;
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, cpu};

/// Clock ticks in a second, for programs (sysconf(_SC_CLK_TCK)).
pub const TICKS_PER_S: u64 = 100;
const NS_PER_TICK: u64 = 1_000_000_000 / TICKS_PER_S;

/// What a process does, as one letter and in words.
fn state(thread: &Thread) -> (char, &'static str) {
    if thread.status().is_some() {
        ('Z', "zombie")
    } else if thread.signals().is_stopped() {
        ('T', "stopped")
    } else if thread.usage().waits() {
        ('S', "sleeping")
    } else {
        ('R', "running")
    }
}

/// `comm`.
pub fn comm(process: &Process, _: &Opener) -> Result<Vec<u8>, Errno> {
    let name = process.live()?.name();
    Ok(text(|to| writeln!(to, "{name}")))
}

/// A write to `comm`: only the process itself may (proc_pid_comm(5): a thread of the same process).
pub fn set_comm(process: &Process, bytes: &[u8], opener: &Opener) -> Result<(), Errno> {
    let thread = process.live()?;
    if !opener.thread.upgrade().is_some_and(|opener| opener.is_sibling(&thread)) {
        return Err(Errno::EINVAL);
    }
    let end = bytes.iter().position(|&byte| byte == 0 || byte == b'\n').unwrap_or(bytes.len());
    thread.set_name(&bytes[..end]);
    Ok(())
}

/// The 52 fields of proc_pid_stat(5).
pub fn stat(process: &Process, opener: &Opener) -> Result<Vec<u8>, Errno> {
    let thread = process.live()?;
    let own = opener.thread.upgrade().is_some_and(|opener| opener.is_sibling(&thread));
    let guarded = own || super::permit(&opener.credentials, &thread).is_ok();
    let space = thread.try_space();
    let sizes = space.as_deref().map(|space| (space.mapped_bytes(), space.resident_bytes())).unwrap_or_default();
    let marks = space.as_ref().map(|space| (space.landmarks(), space.heap().start)).unwrap_or_default();
    let (landmarks, heap) = marks;
    let (usage, signals) = (thread.usage(), thread.signals());
    let ticks = |time: Times| [time.user_ns, time.system_ns].map(|ns| ns / NS_PER_TICK);
    let ([user, system], [children_user, children_system]) =
        (ticks(process.times(&thread)), ticks(thread.children_times()));
    let shifted_ns = i128::from(usage.started_ns()) + boot_offset_ns(opener);
    let [pending, blocked, ignored, caught] = masks(signals).map(|mask| mask & 0x7fff_ffff);
    let parent = thread.parent().map_or(0, |parent| process.number(&parent));
    let group = process.number_of(thread.group());
    let session = process.number_of(thread.session());
    let (terminal, foreground) = match crate::tty::terminal_of(thread.session()) {
        Some((number, foreground)) => (number.to_bits() as i32, i64::from(process.number_of(foreground))),
        None => (0, -1),
    };
    // What tells where the program is, is for those who may look into it.
    let show = |address: usize| if guarded { address } else { 0 };
    let status = if guarded { thread.status().map_or(0, |status| status.encode()) } else { 0 };
    Ok(text(|to| {
        write!(to, "{} ({}) {} ", process.number(&thread), thread.name(), state(&thread).0)?;
        write!(to, "{parent} {group} {session} {terminal} {foreground} 0 ")?;
        write!(to, "{} {} 0 0 ", usage.faults(), usage.children_faults())?;
        let (nice, threads) = (thread.nice(), thread.process().thread_count());
        write!(to, "{user} {system} {children_user} {children_system} {} {nice} {threads} 0 ", 20 + nice)?;
        write!(to, "{} {} {} {} ", shifted_ns / i128::from(NS_PER_TICK), sizes.0, sizes.1 / PAGE_SIZE, u64::MAX)?;
        write!(to, "{} {} {} 0 0 ", show(landmarks.code.start), show(landmarks.code.end), show(landmarks.stack))?;
        write!(to, "{pending} {blocked} {ignored} {caught} 0 0 0 ")?;
        write!(to, "{} {} 0 0 0 0 0 ", thread.exit_signal(), usage.cpu())?;
        write!(to, "{} {} {} ", show(landmarks.data.start), show(landmarks.data.end), show(heap))?;
        write!(to, "{} {} ", show(landmarks.arguments.start), show(landmarks.arguments.end))?;
        write!(to, "{} {} ", show(landmarks.environment.start), show(landmarks.environment.end))?;
        writeln!(to, "{status}")
    }))
}

/// What the boot-time clock of the reader is ahead of the machine's, in nanoseconds.
fn boot_offset_ns(opener: &Opener) -> i128 {
    use crate::namespace::time::Clock;
    let Some(thread) = opener.thread.upgrade() else { return 0 };
    let now = veridian_hal::clock::now_ns();
    i128::from(thread.time().now_ns(Clock::Boottime)) - i128::from(now)
}

/// Signals that wait, are blocked, are ignored, have handlers.
fn masks(signals: &crate::task::Signals) -> [u64; 4] {
    [signals.pending(), signals.blocked(), signals.ignored(), signals.caught()].map(|set| set.0)
}

/// `limits`.
pub fn limits(process: &Process, _: &Opener) -> Result<Vec<u8>, Errno> {
    let limits = process.live()?.confinement().limits();
    Ok(text(|to| limits.print(to)))
}

/// `status`, as people read it.
pub fn status(process: &Process, opener: &Opener) -> Result<Vec<u8>, Errno> {
    let thread = process.live()?;
    let (letter, word) = state(&thread);
    let parent = thread.parent().map_or(0, |parent| process.number(&parent));
    let number = process.number(&thread);
    let leader_number = thread.process().leader_pid().number_in(&process.namespace).unwrap_or(0);
    let umask = thread.try_with_fs(|fs| fs.umask);
    let numbers = |of: &Pid| -> String {
        let numbers = of.numbers_from(&process.namespace).unwrap_or_default();
        numbers.iter().map(|number| alloc::format!("\t{number}")).collect()
    };
    let leader =
        |global: u32| crate::boot::pid_namespace().pid(global).map_or(String::from("\t0"), |pid| numbers(&pid));
    Ok(text(|to| {
        writeln!(to, "Name:\t{}", escaped(&thread.name()))?;
        if let Some(umask) = umask {
            writeln!(to, "Umask:\t{umask:04o}")?;
        }
        writeln!(to, "State:\t{letter} ({word})\nTgid:\t{leader_number}\nNgid:\t0\nPid:\t{number}\nPPid:\t{parent}")?;
        writeln!(to, "TracerPid:\t0")?;
        identity(to, &thread, opener)?;
        writeln!(to, "NStgid:{}\nNSpid:{}", numbers(thread.process().leader_pid()), numbers(thread.pid()))?;
        writeln!(to, "NSpgid:{}\nNSsid:{}", leader(thread.group()), leader(thread.session()))?;
        if let Some(space) = thread.try_space() {
            memory(to, &Sizes::of(&space))?;
        }
        writeln!(to, "Threads:\t{}", thread.process().thread_count())?;
        rights(to, &thread)?;
        cpus(to, &thread)?;
        let (voluntary, involuntary) = thread.usage().switches();
        writeln!(to, "voluntary_ctxt_switches:\t{voluntary}\nnonvoluntary_ctxt_switches:\t{involuntary}")
    }))
}

fn identity(to: &mut String, thread: &Thread, opener: &Opener) -> fmt::Result {
    let who = thread.credentials();
    let viewer = &opener.credentials.user_namespace;
    let users = [who.uid, who.euid, who.suid, who.fsuid].map(|uid| viewer.shown_user(uid).to_string());
    let groups = [who.gid, who.egid, who.sgid, who.fsgid].map(|gid| viewer.shown_group(gid).to_string());
    writeln!(to, "Uid:\t{}\nGid:\t{}", users.join("\t"), groups.join("\t"))?;
    let slots = thread.try_with_files(|files| files.slots()).unwrap_or(0);
    write!(to, "FDSize:\t{slots}\nGroups:\t")?;
    who.groups.iter().try_for_each(|&gid| write!(to, "{} ", viewer.shown_group(gid)))?;
    writeln!(to)
}

fn memory(to: &mut String, sizes: &Sizes) -> fmt::Result {
    let files = sizes.shared.min(sizes.resident);
    let lines = [
        ("VmSize", sizes.mapped),
        ("VmLck", 0),
        ("VmPin", 0),
        ("VmHWM", sizes.peak_resident),
        ("VmRSS", sizes.resident),
        ("RssAnon", sizes.resident - files),
        ("RssFile", files),
        ("VmData", sizes.data),
        ("VmStk", sizes.stack),
        ("VmExe", sizes.code),
        ("VmSwap", 0),
    ];
    lines.iter().try_for_each(|(name, bytes)| writeln!(to, "{name}:\t{:8} kB", bytes / 1024))
}

fn rights(to: &mut String, thread: &Thread) -> fmt::Result {
    let [_, blocked, ignored, caught] = masks(thread.signals());
    let limit = thread.confinement().limit(RLIMIT_SIGPENDING);
    writeln!(to, "SigQ:\t{}/{limit}", UserSignal::count(thread.credentials().uid))?;
    let [own, shared] = thread.signals().pending_apart().map(|set| set.0);
    writeln!(to, "SigPnd:\t{own:016x}\nShdPnd:\t{shared:016x}")?;
    writeln!(to, "SigBlk:\t{blocked:016x}\nSigIgn:\t{ignored:016x}\nSigCgt:\t{caught:016x}")?;
    let who = thread.credentials();
    let sets = [
        ("Inh", who.inheritable),
        ("Prm", who.permitted),
        ("Eff", who.effective),
        ("Bnd", who.bounding),
        ("Amb", who.ambient),
    ];
    sets.iter().try_for_each(|(name, set)| writeln!(to, "Cap{name}:\t{:016x}", set.bits()))?;
    writeln!(to, "NoNewPrivs:\t{}", u8::from(who.no_new_privileges))?;
    let filters = match thread.confinement().seccomp() {
        Seccomp::Disabled => 0,
        Seccomp::Strict => 1,
        Seccomp::Filtered(_) => 2,
    };
    writeln!(to, "Seccomp:\t{filters}")
}

/// The CPUs that it may run on.
fn cpus(to: &mut String, thread: &Thread) -> fmt::Result {
    let mask = u64::from(thread.task().map_or(ALL_CPUS, |task| task.cpus())) & ((1 << cpu::count()) - 1);
    writeln!(to, "Cpus_allowed:\t{mask:x}\nCpus_allowed_list:\t{}", cpu_list(mask))?;
    writeln!(to, "Mems_allowed:\t1\nMems_allowed_list:\t0")
}

/// The CPUs of a mask as a list of ranges: `0-2,4`.
pub fn cpu_list(mask: u64) -> String {
    let mut list = String::new();
    let mut cpu = 0;
    while cpu < 64 {
        let run = (mask >> cpu).trailing_ones();
        if run > 0 {
            let comma = if list.is_empty() { "" } else { "," };
            let last = cpu + run - 1;
            let written = if run == 1 { write!(list, "{comma}{cpu}") } else { write!(list, "{comma}{cpu}-{last}") };
            written.expect("a string takes what is written");
        }
        cpu += run + 1;
    }
    list
}

/// A name on one line: a line's end and a backslash are escaped.
fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_listed_in_ranges() {
        for (mask, list) in [(0, ""), (1, "0"), (0b1111, "0-3"), (0b1_0110, "1-2,4"), (u64::MAX, "0-63")] {
            assert_eq!(cpu_list(mask), list);
        }
    }
}
