//! The machine: files of the root directory that show no process.

use super::{Instance, process::TICKS_PER_S, table::text};
use crate::{
    boot, device,
    fs::{synthetic::Opener, types::TYPES},
    namespace::{time::Clock, uts},
    sched,
};
use alloc::{string::String, vec::Vec};
use core::fmt::Write;
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, clock, cpu, mem};

type Output = Result<Vec<u8>, Errno>;

const NS_PER_S: u64 = 1_000_000_000;

/// `cgroups`: the controllers of cgroup v2, which is hierarchy 0.
pub fn cgroups(_: &Instance, _: &Opener) -> Output {
    Ok(text(|to| {
        writeln!(to, "#subsys_name\thierarchy\tnum_cgroups\tenabled")?;
        let groups = crate::cgroup::memory::groups();
        ["memory", "pids"].iter().try_for_each(|name| writeln!(to, "{name}\t0\t{groups}\t1"))
    }))
}

/// `cmdline`: what the machine was started with.
pub fn command_line(_: &Instance, _: &Opener) -> Output {
    Ok(text(|to| writeln!(to, "{}", boot::command_line())))
}

/// `cpuinfo`.
pub fn cpuinfo(_: &Instance, _: &Opener) -> Output {
    Ok(text(|to| {
        (0..cpu::count()).try_for_each(|index| {
            writeln!(to, "processor\t: {index}")?;
            cpu::describe(to)?;
            writeln!(to)
        })
    }))
}

/// `devices`: majors and what they are.
pub fn devices(_: &Instance, _: &Opener) -> Output {
    Ok(text(|to| {
        writeln!(to, "Character devices:")?;
        device::MAJORS.iter().try_for_each(|(major, name)| writeln!(to, "{major:3} {name}"))?;
        writeln!(to, "\nBlock devices:")
    }))
}

/// `filesystems`.
pub fn file_systems(_: &Instance, _: &Opener) -> Output {
    Ok(text(|to| TYPES.iter().try_for_each(|known| writeln!(to, "nodev\t{}", known.name))))
}

/// `loadavg`.
pub fn load_average(instance: &Instance, _: &Opener) -> Output {
    let threads = instance.namespace.threads();
    let running = threads.iter().filter(|thread| thread.is_runnable()).count();
    let load = sched::load_average();
    Ok(text(|to| {
        for hundredths in load.map(|load| load.hundredths()) {
            write!(to, "{}.{:02} ", hundredths / 100, hundredths % 100)?;
        }
        writeln!(to, "{running}/{} {}", threads.len(), instance.namespace.last_number())
    }))
}

/// `meminfo`. Nothing is swapped, buffered or written back; files live in memory.
pub fn memory(_: &Instance, _: &Opener) -> Output {
    let frames = mem::statistics();
    let programs = boot::cgroup().memory.stat();
    let pages = |pages: usize| (pages * PAGE_SIZE) as u64;
    let lines = [
        ("MemTotal", pages(frames.total)),
        ("MemFree", pages(frames.free)),
        ("MemAvailable", pages(frames.free)),
        ("Buffers", 0),
        ("Cached", programs.shmem),
        ("SwapCached", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", 0),
        ("Writeback", 0),
        ("AnonPages", programs.anon),
        ("Shmem", programs.shmem),
        ("Slab", mem::heap_bytes_in_use() as u64),
        ("SReclaimable", 0),
        ("SUnreclaim", mem::heap_bytes_in_use() as u64),
        ("PageTables", programs.page_tables),
    ];
    let line = |to: &mut String, (name, bytes): &(&str, u64)| {
        writeln!(to, "{:<16}{:8} kB", alloc::format!("{name}:"), bytes / 1024)
    };
    Ok(text(|to| lines.iter().try_for_each(|told| line(to, told))))
}

/// `vmstat`: what is counted of the machine's memory, in pages. Nothing moves between memory and a disk.
pub fn memory_statistics(_: &Instance, _: &Opener) -> Output {
    let programs = boot::cgroup().memory.stat();
    let pages = |bytes: u64| bytes / PAGE_SIZE as u64;
    let lines = [
        ("nr_free_pages", mem::statistics().free as u64),
        ("nr_anon_pages", pages(programs.anon)),
        ("nr_shmem", pages(programs.shmem)),
        ("nr_page_table_pages", pages(programs.page_tables)),
        ("pgpgin", 0),
        ("pgpgout", 0),
        ("pswpin", 0),
        ("pswpout", 0),
        ("oom_kill", programs.events[3]),
    ];
    Ok(text(|to| lines.iter().try_for_each(|(name, count)| writeln!(to, "{name} {count}"))))
}

/// What the machine has none of: disks, loadable modules.
pub fn nothing(_: &Instance, _: &Opener) -> Output {
    Ok(Vec::new())
}

/// `partitions`: there is no disk.
pub fn partitions(_: &Instance, _: &Opener) -> Output {
    Ok(b"major minor  #blocks  name\n\n".to_vec())
}

/// `stat`: what the CPUs did, in ticks, and what else is counted since the start.
pub fn statistics(_: &Instance, opener: &Opener) -> Output {
    let now = clock::now_ns();
    let ticks = |ns: u64| ns / (NS_PER_S / TICKS_PER_S);
    let threads = boot::pid_namespace().threads();
    let running = threads.iter().filter(|thread| thread.is_runnable()).count();
    let ahead_s = (boot_time_ns(opener) as i64 - now as i64) / NS_PER_S as i64;
    let started = clock::boot_time_unix().unwrap_or(0) as i64 - ahead_s;
    let cpus: Vec<sched::CpuTimes> = (0..cpu::count()).map(sched::cpu_times).collect();
    let times = |of: &sched::CpuTimes| {
        let system_ns = now.saturating_sub(of.user_ns + of.idle_ns);
        [of.user_ns, 0, system_ns, of.idle_ns].map(ticks)
    };
    let all = cpus.iter().map(times).fold([0; 4], |sum, one| core::array::from_fn(|n| sum[n] + one[n]));
    Ok(text(|to| {
        let [user, nice, system, idle] = all;
        writeln!(to, "cpu  {user} {nice} {system} {idle} 0 0 0 0 0 0")?;
        for (index, [user, nice, system, idle]) in cpus.iter().map(times).enumerate() {
            writeln!(to, "cpu{index} {user} {nice} {system} {idle} 0 0 0 0 0 0")?;
        }
        writeln!(to, "ctxt {}", cpus.iter().map(|cpu| cpu.switches).sum::<u64>())?;
        writeln!(to, "btime {started}\nprocesses {}", boot::pid_namespace().given())?;
        writeln!(to, "procs_running {running}\nprocs_blocked 0")
    }))
}

/// `swaps`: none.
pub fn swaps(_: &Instance, _: &Opener) -> Output {
    Ok(b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n".to_vec())
}

/// `uptime`: seconds since the start, and seconds that the CPUs were idle.
pub fn uptime(_: &Instance, opener: &Opener) -> Output {
    const NS_PER_HUNDREDTH: u64 = NS_PER_S / 100;
    let up = boot_time_ns(opener) / NS_PER_HUNDREDTH;
    let idle = (0..cpu::count()).map(|cpu| sched::cpu_times(cpu).idle_ns).sum::<u64>() / NS_PER_HUNDREDTH;
    Ok(text(|to| writeln!(to, "{}.{:02} {}.{:02}", up / 100, up % 100, idle / 100, idle % 100)))
}

/// `version`.
pub fn version(_: &Instance, _: &Opener) -> Output {
    Ok(text(|to| writeln!(to, "{} version {} {}", uts::SYSTEM, uts::RELEASE, uts::VERSION)))
}

/// The boot-time clock, as the reader's time namespace shows it.
fn boot_time_ns(opener: &Opener) -> u64 {
    opener.thread.upgrade().map_or_else(clock::now_ns, |thread| thread.time().now_ns(Clock::Boottime))
}
