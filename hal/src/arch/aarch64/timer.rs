//! Time: the virtual counter, the virtual timer's deadline, and the date from a PL031 clock.

use super::{
    memory,
    registers::{read_register, synchronize, write_register},
};
use crate::{arch::device_tree::Node, sync::Once};

struct Clock {
    /// The counter's value at boot.
    start: u64,
    /// Nanoseconds in a tick, in 2^-32.
    nanoseconds_of_tick: u64,
    /// Ticks in a nanosecond, in 2^-32.
    ticks_of_nanosecond: u64,
    /// The number of the timer's interrupt: the same on each CPU.
    interrupt: u32,
    /// Seconds since 1970 at boot.
    boot_time: Option<u64>,
}

static CLOCK: Once<Clock> = Once::new();

/// Starts the clock at 0. The registers of `date`, a PL031, are mapped.
pub(super) fn init(node: &Node<'_>, date: Option<Node<'_>>) {
    // Secure, non-secure, virtual, hypervisor: each as kind (1: a CPU's own), number, flags.
    let number = node.cells("interrupts").nth(2 * 3 + 1).expect("the timer has a virtual interrupt");
    let frequency = read_register!("cntfrq_el0");
    assert!(frequency != 0, "firmware has not told the timer's frequency");
    CLOCK.call_once(|| Clock {
        start: counter(),
        nanoseconds_of_tick: (1_000_000_000 << 32) / frequency,
        ticks_of_nanosecond: (frequency << 32) / 1_000_000_000,
        interrupt: 16 + number,
        boot_time: date.and_then(|node| node.address()).map(|at| {
            // SAFETY: the PL031's data register, mapped as a device: seconds since 1970.
            u64::from(unsafe { memory::device(at).cast::<u32>().read_volatile() })
        }),
    });
    init_cpu();
}

/// Stops this CPU's timer, and lets user mode read the virtual counter, nothing else of the timer.
pub(super) fn init_cpu() {
    const VIRTUAL_COUNTER: u64 = 1 << 1;
    // SAFETY: EL0's access to the timer is no matter of memory.
    unsafe { write_register!("cntkctl_el1", VIRTUAL_COUNTER) };
    silence();
}

/// The interrupt's number, 16 to 31.
pub(super) fn interrupt() -> u32 {
    CLOCK.get().map_or(0, |clock| clock.interrupt)
}

/// Withdraws the timer's interrupt until the next deadline is set.
pub(super) fn silence() {
    // SAFETY: stops the timer.
    unsafe { write_register!("cntv_ctl_el0", 0u64) };
    synchronize!();
}

#[inline]
fn counter() -> u64 {
    // Not read ahead of what came before: time never goes back from one CPU to another.
    synchronize!();
    read_register!("cntvct_el0")
}

fn scale(value: u64, by: u64) -> u64 {
    ((u128::from(value) * u128::from(by)) >> 32) as u64
}

/// See [`crate::clock::ticks`].
#[inline]
pub(crate) fn ticks() -> u64 {
    counter()
}

/// See [`crate::clock::ticks_to_ns`].
pub(crate) fn ticks_to_ns(ticks: u64) -> u64 {
    CLOCK.get().map_or(0, |clock| scale(ticks, clock.nanoseconds_of_tick))
}

pub(crate) fn now_ns() -> u64 {
    match CLOCK.get() {
        Some(clock) => scale(counter() - clock.start, clock.nanoseconds_of_tick),
        None => 0,
    }
}

/// What the counter was at time 0, and the nanoseconds of its tick times 2^32.
pub(crate) fn counter_scale() -> [u64; 2] {
    CLOCK.get().map_or([0; 2], |clock| [clock.start, clock.nanoseconds_of_tick])
}

pub(crate) fn set_deadline(deadline_ns: u64) {
    let Some(clock) = CLOCK.get() else { return };
    if deadline_ns == u64::MAX {
        return silence();
    }
    // One more tick, for what the division has dropped: the deadline has passed when the interrupt comes.
    let ticks = scale(deadline_ns, clock.ticks_of_nanosecond) + 1;
    const ENABLE: u64 = 1;
    // SAFETY: sets the timer, whose interrupt is handled.
    unsafe {
        write_register!("cntv_cval_el0", clock.start.saturating_add(ticks));
        write_register!("cntv_ctl_el0", ENABLE);
    }
    synchronize!();
}

pub(crate) fn boot_time_unix() -> Option<u64> {
    CLOCK.get()?.boot_time
}
