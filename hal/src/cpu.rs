//! The CPUs: who am I, how many are there, start the others, wake one, wait for something.

use crate::arch;

/// The most CPUs that are brought up. A machine with more runs on this many, and says so.
pub const MAX_CPUS: usize = 8;

bitflags::bitflags! {
    /// What has happened on this CPU since [`take_events`] was last called.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Events: u32 {
        /// The deadline set by [`crate::clock::set_deadline`] has passed.
        const TIMER = 1;
        /// Another CPU called [`kick`] for this one.
        const KICK = 2;
        /// Bytes have arrived at the console ([`crate::console::read_byte`]).
        const CONSOLE = 4;
    }
}

/// The number of the CPU that runs this code: 0 for the one that booted, then 1, 2, … without holes.
#[inline]
pub fn id() -> usize {
    let id = arch::cpu_id();
    // SAFETY: no more CPUs than MAX_CPUS are ever started, and they are numbered without holes.
    unsafe { core::hint::assert_unchecked(id < MAX_CPUS) };
    id
}

/// CPUs that are up, this one included.
pub fn count() -> usize {
    arch::cpu_count()
}

/// Brings up the other CPUs; each runs `entry` (with interrupts off, on its own stack) and never leaves it.
/// Returns the number of CPUs that are up, 1 to [`MAX_CPUS`]. To be called once, by CPU 0.
pub fn start_others(entry: fn() -> !) -> usize {
    arch::start_cpus(entry)
}

/// Makes CPU `cpu` leave [`idle`] or user mode soon, with [`Events::KICK`] set there. No effect for a CPU that is not up.
pub fn kick(cpu: usize) {
    arch::send_kick(cpu);
}

/// Takes and clears what happened on this CPU.
pub fn take_events() -> Events {
    arch::take_events()
}

/// Sleeps until something has happened on this CPU; returns at once when something already has. Interrupts
/// are off again on return.
pub fn idle() {
    arch::idle();
}

/// A pause in a spin loop; answers TLB shootdowns meanwhile.
#[inline]
pub fn relax() {
    arch::relax();
}

/// Writes what this CPU says of itself, in lines as Linux's /proc/cpuinfo has them behind `processor`. All CPUs of a
/// machine are of one kind.
pub fn describe(to: &mut dyn core::fmt::Write) -> core::fmt::Result {
    arch::describe_cpu(to)
}

/// What the CPUs can do beyond what each of the architecture can, for programs: AT_HWCAP and AT_HWCAP2 of the auxiliary
/// vector, with Linux's bits. Only what this kernel keeps for each thread, and what needs nothing kept, is promised.
pub fn hardware_capabilities() -> [usize; 2] {
    arch::hardware_capabilities()
}

/// 64 bits from the CPU's or the machine's generator of random numbers, where there is one (RDRAND, RNDR,
/// the device tree's `rng-seed`).
pub fn hardware_random() -> Option<u64> {
    arch::hardware_random()
}
