//! The end of the line: a kernel panic prints where, why and a backtrace with names, and ends the machine.

use crate::{arch, boot_info, console::print_unlocked, power};
use core::sync::atomic::{AtomicBool, Ordering};

static PANICKING: AtomicBool = AtomicBool::new(false);

/// Prints `info` and a symbolised backtrace, then ends the machine with [`power::PANIC_STATUS`].
pub fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    if PANICKING.swap(true, Ordering::SeqCst) {
        // A panic within the panic, or on a second CPU: the first one's message is worth more.
        arch::halt_or_exit_after_panic()
    }
    print_unlocked(format_args!("\nkernel panic on CPU {}: {}\n", crate::cpu::id(), info));
    for (depth, address) in arch::backtrace().enumerate() {
        // The call lies before the address that it returns to, which may be in the next function already: a call that
        // never returns can be the last instruction of its function.
        match symbol(address.saturating_sub(1)).map(|(name, offset)| (name, offset + 1)) {
            Some((name, offset)) => {
                print_unlocked(format_args!("  {depth:2}: {address:#018x} {name}+{offset:#x}\n"));
            }
            None => print_unlocked(format_args!("  {depth:2}: {address:#018x}\n")),
        }
    }
    power::exit(power::PANIC_STATUS)
}

/// The symbol that `address` lies in, and how far into it.
fn symbol(address: usize) -> Option<(&'static str, usize)> {
    let table = core::str::from_utf8(boot_info::symbols()?).ok()?;
    let mut best = None;
    for line in table.lines() {
        let (start, name) = line.split_once(' ')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        if start > address {
            break;
        }
        best = Some((name, address - start));
    }
    best
}

#[cfg(target_os = "none")]
#[panic_handler]
fn panic_handler(info: &core::panic::PanicInfo<'_>) -> ! {
    panic(info)
}
