//! The clock (the time-stamp counter), the timer (the local interrupt controller's), and the real-time clock.
//!
//! Frequencies: from CPUID where it tells them; under QEMU's own emulation the timer is known to run at 1 GHz and the
//! counter is measured against it; else both are measured against the PC's interval timer. A measurement ends
//! when its error is below 1/1000, or after a few milliseconds.

use super::{
    apic::{self, register},
    instructions::{cpuid, inb, msr, outb, rdtsc, wrmsr},
    local::Cpu,
};
use crate::cpu::Events;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const NS_PER_SECOND: u64 = 1_000_000_000;
/// Timer mode: the deadline is a value of the time-stamp counter.
const TSC_DEADLINE_MODE: u32 = 2 << 17;
const DIVIDE_BY_1: u32 = 0b1011;

/// The counter at time 0.
static TSC_BASE: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds for each step of the counter, times 2^32; 0 before [`init`].
static NS_PER_TICK: AtomicU64 = AtomicU64::new(0);
/// Steps of the timer (or of the counter, in deadline mode) for each nanosecond, times 2^32.
static STEPS_PER_NS: AtomicU64 = AtomicU64::new(0);
static DEADLINE_MODE: AtomicBool = AtomicBool::new(false);

/// `value * factor / 2^32`.
#[inline]
fn scale(value: u64, factor: u64) -> u64 {
    ((u128::from(value) * u128::from(factor)) >> 32) as u64
}

/// `numerator / denominator` times 2^32.
fn factor(numerator: u64, denominator: u64) -> u64 {
    ((u128::from(numerator) << 32) / u128::from(denominator.max(1))) as u64
}

/// Finds the frequencies and starts the clock, on CPU 0.
pub(super) fn init() {
    let start = rdtsc();
    let (tsc_hz, timer_hz) = frequencies();
    NS_PER_TICK.store(factor(NS_PER_SECOND, tsc_hz), Ordering::Relaxed);
    let deadline_mode = cpuid(1, 0).ecx & 1 << 24 != 0;
    DEADLINE_MODE.store(deadline_mode, Ordering::Relaxed);
    STEPS_PER_NS.store(factor(if deadline_mode { tsc_hz } else { timer_hz }, NS_PER_SECOND), Ordering::Relaxed);
    TSC_BASE.store(start, Ordering::Release);
    enable();
}

/// Sets this CPU's timer up; it is not armed.
pub(super) fn enable() {
    let mode = if DEADLINE_MODE.load(Ordering::Relaxed) { TSC_DEADLINE_MODE } else { 0 };
    Cpu::current().deadline.store(u64::MAX, Ordering::Relaxed);
    apic::write(register::TIMER_DIVIDE, DIVIDE_BY_1);
    apic::write(register::TIMER, mode | u32::from(apic::TIMER_VECTOR));
    // The write of the mode must be over before the first deadline is set.
    core::sync::atomic::fence(Ordering::SeqCst);
}

/// Frequencies of the counter and of the timer.
fn frequencies() -> (u64, u64) {
    const HYPERVISOR: u32 = 0x4000_0000;
    let crystal = cpuid(0x15, 0);
    if crystal.eax != 0 && crystal.ebx != 0 && crystal.ecx != 0 {
        let hz = u64::from(crystal.ecx);
        return (hz * u64::from(crystal.ebx) / u64::from(crystal.eax), hz);
    }
    if cpuid(1, 0).ecx & 1 << 31 != 0 {
        let told = cpuid(HYPERVISOR + 0x10, 0);
        if told.eax != 0 && told.ebx != 0 {
            return (u64::from(told.eax) * 1000, u64::from(told.ebx) * 1000);
        }
        let name = cpuid(HYPERVISOR, 0);
        if [name.ebx, name.ecx, name.edx] == [*b"TCGT", *b"CGTC", *b"GTCG"].map(u32::from_le_bytes) {
            apic::write(register::TIMER_DIVIDE, DIVIDE_BY_1);
            apic::write(register::TIMER_INITIAL, u32::MAX);
            let (ns, ticks) = measure(|| u64::from(u32::MAX - apic::read(register::TIMER_CURRENT)), 2_000_000);
            apic::write(register::TIMER_INITIAL, 0);
            return (scale(NS_PER_SECOND, factor(ticks, ns)), NS_PER_SECOND);
        }
    }
    against_interval_timer()
}

/// Runs `reference` and the counter side by side, for at most `most` steps of the reference; steps of both.
fn measure(reference: impl Fn() -> u64, most: u64) -> (u64, u64) {
    // The reference's value, the counter's in the middle of reading it, and how long reading took; the best of a few.
    let read = || {
        (0..4)
            .map(|_| {
                let before = rdtsc();
                let value = reference();
                let took = rdtsc() - before;
                (value, before + took / 2, took)
            })
            .min_by_key(|&(_, _, took)| took)
            .expect("four tries")
    };
    let (first, first_tsc, first_took) = read();
    loop {
        let (last, last_tsc, took) = read();
        let (steps, ticks) = (last - first, last_tsc - first_tsc);
        if steps >= most || (steps > 1000 && ticks > 1000 * (took + first_took)) {
            return (steps, ticks);
        }
    }
}

/// Measures both against channel 2 of the interval timer, which can run without an interrupt.
fn against_interval_timer() -> (u64, u64) {
    const PIT_HZ: u64 = 1_193_182;
    const CHANNEL_2: u16 = 0x42;
    const COMMAND: u16 = 0x43;
    const GATE: u16 = 0x61;
    // SAFETY: the timer's and its gate's ports, by their data sheet: count down from 65535 once, speaker off.
    unsafe {
        outb(GATE, inb(GATE) & !2 | 1);
        outb(COMMAND, 0xb0);
        outb(CHANNEL_2, 0xff);
        outb(CHANNEL_2, 0xff);
    }
    apic::write(register::TIMER_DIVIDE, DIVIDE_BY_1);
    apic::write(register::TIMER_INITIAL, u32::MAX);
    let timer_first = apic::read(register::TIMER_CURRENT);
    let (steps, ticks) = measure(
        || {
            // SAFETY: latches and reads the count.
            unsafe {
                outb(COMMAND, 0x80);
                let low = inb(CHANNEL_2);
                u64::from(0xffff - u16::from_le_bytes([low, inb(CHANNEL_2)]))
            }
        },
        6000,
    );
    let timer_steps = u64::from(timer_first - apic::read(register::TIMER_CURRENT));
    apic::write(register::TIMER_INITIAL, 0);
    (ticks * PIT_HZ / steps.max(1), timer_steps * PIT_HZ / steps.max(1))
}

/// See [`crate::clock::ticks`].
#[inline]
pub(crate) fn ticks() -> u64 {
    rdtsc()
}

/// See [`crate::clock::ticks_to_ns`].
#[inline]
pub(crate) fn ticks_to_ns(ticks: u64) -> u64 {
    scale(ticks, NS_PER_TICK.load(Ordering::Relaxed))
}

/// Nanoseconds since the clock was started.
#[inline]
pub(crate) fn now_ns() -> u64 {
    // A counter a little behind on another CPU must not come out as a huge time.
    ticks_to_ns(rdtsc().saturating_sub(TSC_BASE.load(Ordering::Relaxed)))
}

/// What the counter was at time 0, and the nanoseconds of its step times 2^32.
pub(crate) fn counter_scale() -> [u64; 2] {
    [&TSC_BASE, &NS_PER_TICK].map(|value| value.load(Ordering::Relaxed))
}

/// See [`crate::clock::set_deadline`].
pub(crate) fn set_deadline(deadline_ns: u64) {
    Cpu::current().deadline.store(deadline_ns, Ordering::Relaxed);
    arm(deadline_ns);
}

fn arm(deadline_ns: u64) {
    let deadline_mode = DEADLINE_MODE.load(Ordering::Relaxed);
    // 0 disarms in both modes.
    let mut value = 0;
    if deadline_ns != u64::MAX {
        let steps = scale(deadline_ns.saturating_sub(now_ns()), STEPS_PER_NS.load(Ordering::Relaxed)).max(1);
        value = if deadline_mode { rdtsc() + steps } else { steps };
    }
    if deadline_mode {
        // SAFETY: the CPU has the mode; its interrupt has a gate.
        unsafe { wrmsr(msr::TSC_DEADLINE, value) };
    } else {
        // A deadline further off than the timer counts: it is armed again when it fires.
        apic::write(register::TIMER_INITIAL, value.min(u32::MAX.into()) as u32);
    }
}

/// The timer has fired: the deadline has passed, or the timer did not reach that far.
pub(super) fn timer_interrupt(cpu: &Cpu) {
    let deadline = cpu.deadline.load(Ordering::Relaxed);
    if deadline <= now_ns() {
        cpu.deadline.store(u64::MAX, Ordering::Relaxed);
        cpu.raise(Events::TIMER);
    } else {
        arm(deadline);
    }
}

/// Seconds since 1970-01-01 at boot, by the CMOS clock, which is taken to run in UTC.
pub(crate) fn boot_time_unix() -> Option<u64> {
    let up = now_ns() / NS_PER_SECOND;
    // A reading that straddles an update differs from the next one.
    let mut last = read_cmos()?;
    for _ in 0..10 {
        let again = read_cmos()?;
        if again == last {
            return unix_time(again)?.checked_sub(up);
        }
        last = again;
    }
    None
}

/// The clock's seconds, minutes, hours, day, month, year and status register B, as they are.
fn read_cmos() -> Option<[u8; 7]> {
    const STATUS_A: u8 = 0x0a;
    const UPDATING: u8 = 1 << 7;
    let read = |register: u8| {
        // SAFETY: the clock's index and data ports; bit 7 (NMI) stays clear.
        unsafe {
            outb(0x70, register);
            inb(0x71)
        }
    };
    let status = read(STATUS_A);
    if status == 0xff {
        return None;
    }
    let mut tries = 0;
    while read(STATUS_A) & UPDATING != 0 {
        tries += 1;
        if tries > 100_000 {
            return None;
        }
    }
    Some([0x00, 0x02, 0x04, 0x07, 0x08, 0x09, 0x0b].map(read))
}

/// The Unix time of a reading of the clock.
fn unix_time([second, minute, hour, day, month, year, status]: [u8; 7]) -> Option<u64> {
    const BINARY: u8 = 1 << 2;
    const HOURS_24: u8 = 1 << 1;
    let decimal = |value: u8| if status & BINARY != 0 { value } else { (value >> 4) * 10 + (value & 15) };
    let afternoon = status & HOURS_24 == 0 && hour & 0x80 != 0;
    let mut hours = u64::from(decimal(hour & 0x7f));
    if status & HOURS_24 == 0 {
        hours = hours % 12 + if afternoon { 12 } else { 0 };
    }
    let (day, month) = (u64::from(decimal(day)), u64::from(decimal(month)));
    // No machine of ours is older than 2000.
    let year = 2000 + u64::from(decimal(year));
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1970-01-01, with years that begin in March: the leap day is the last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day - 1 - 719_468;
    Some(((days * 24 + hours) * 60 + u64::from(decimal(minute))) * 60 + u64::from(decimal(second)))
}
