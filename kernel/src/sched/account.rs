//! What the CPUs did: for /proc/stat, /proc/uptime and /proc/loadavg.

use super::sleep_until;
use core::sync::atomic::{AtomicU64, Ordering};
use veridian_hal::{
    clock,
    sync::{Initial, PerCpu},
};

/// A CPU's counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTimes {
    /// In user mode, in nanoseconds.
    pub user_ns: u64,
    /// Without work, in nanoseconds.
    pub idle_ns: u64,
    /// How often it went on with another task.
    pub switches: u64,
}

struct Counters {
    user_ns: AtomicU64,
    idle_ns: AtomicU64,
    switches: AtomicU64,
}

static COUNTERS: PerCpu<Counters> = PerCpu::initial();

impl Initial for Counters {
    const INITIAL: Self = Self { user_ns: AtomicU64::new(0), idle_ns: AtomicU64::new(0), switches: AtomicU64::new(0) };
}

/// The counts of CPU `index`.
pub fn cpu_times(index: usize) -> CpuTimes {
    let counters = COUNTERS.of(index);
    CpuTimes {
        user_ns: counters.user_ns.load(Ordering::Relaxed),
        idle_ns: counters.idle_ns.load(Ordering::Relaxed),
        switches: counters.switches.load(Ordering::Relaxed),
    }
}

/// This CPU was in user mode for `ns`.
pub(super) fn count_user(ns: u64) {
    COUNTERS.get().user_ns.fetch_add(ns, Ordering::Relaxed);
}

/// This CPU goes on with another task.
pub(super) fn count_switch() {
    COUNTERS.get().switches.fetch_add(1, Ordering::Relaxed);
}

/// A number of runnable tasks, averaged, with eleven binary places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load(u64);

const PLACES: u32 = 11;
/// Times between two looks at what is runnable.
const INTERVAL_NS: u64 = 5_000_000_000;
/// e^(-5/60), e^(-5/300) and e^(-5/900), with eleven binary places, as Linux has them.
const DECAYS: [u64; 3] = [1884, 2014, 2037];

static LOADS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

impl Load {
    /// In hundredths, rounded.
    pub fn hundredths(self) -> u64 {
        (self.0 * 100 + (1 << (PLACES - 1))) >> PLACES
    }

    /// With eleven binary places more than an integer, sixteen as sysinfo(2) has them.
    pub fn with_16_places(self) -> u64 {
        self.0 << (16 - PLACES)
    }

    fn after(self, runnable: u64, decay: u64) -> Self {
        let one = 1 << PLACES;
        let active = runnable << PLACES;
        let sum = self.0 * decay + active * (one - decay);
        // Rounded up while it rises, so that it gets there.
        Self(if active >= self.0 { (sum + one - 1) >> PLACES } else { sum >> PLACES })
    }
}

/// Runnable tasks on average over 1, 5 and 15 minutes.
pub fn load_average() -> [Load; 3] {
    LOADS.each_ref().map(|load| Load(load.load(Ordering::Relaxed)))
}

/// Keeps the averages: asks `runnable` every five seconds, for ever.
pub async fn keep_load_average(runnable: impl Fn() -> usize) {
    loop {
        sleep_until(clock::now_ns() + INTERVAL_NS).await;
        let now = runnable() as u64;
        for (load, decay) in LOADS.iter().zip(DECAYS) {
            load.store(Load(load.load(Ordering::Relaxed)).after(now, decay).0, Ordering::Relaxed);
        }
    }
}

/// Runs `work` without work: counts its time as idle.
pub(super) fn idle(work: impl FnOnce()) {
    let start = clock::now_ns();
    work();
    COUNTERS.get().idle_ns.fetch_add(clock::now_ns() - start, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_rises_to_what_is_runnable_and_falls_to_nothing() {
        let mut load = Load(0);
        for _ in 0..12 {
            load = load.after(2, DECAYS[0]);
        }
        // 2 * (1 - 1/e) after one minute.
        assert_eq!(load.hundredths(), 127);
        for _ in 0..1000 {
            load = load.after(2, DECAYS[0]);
        }
        assert_eq!(load.hundredths(), 200);
        for _ in 0..1000 {
            load = load.after(0, DECAYS[0]);
        }
        assert_eq!(load, Load(0));
    }
}
