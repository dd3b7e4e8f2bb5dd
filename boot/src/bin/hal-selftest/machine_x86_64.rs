//! What only x86_64 has to prove: nothing is mapped both writable and executable, the CPU's guards are on, and
//! the corners of `syscall` and `sysret`.

use crate::{
    checks::{Checks, Outcome, PARAMETERS, ensure, ensure_eq, frame, run as run_thread, space, thread},
    programs,
};
use core::arch::{asm, x86_64::__cpuid_count};
use veridian_hal::{
    PAGE_SIZE, UserAddr, arch,
    mem::Protection,
    user::{Access, Exception, Trap, UserContext},
};

/// All checks of the architecture.
pub fn run(checks: &mut Checks) {
    checks.check("no page is writable and executable, and nothing is mapped in the user half at boot", page_rights);
    checks.check("the CPU's guards are on, as far as it has them", guards);
    checks.check("flags that a program sets do not reach the kernel", flags);
    checks.check("RCX and R11 are after a system call what Linux says", clobbers);
    checks.check("a system call at the very end of the user half harms only its program", last_call);
    checks.check("a GS base that looks like the kernel's stays the program's", gs_base);
    checks.check("a program starts with Linux's FP control words", control_words);
}

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const DIRECT_MAP: usize = 0xffff_8000_0000_0000;

/// The table at the physical address in `entry`.
fn table(entry: u64) -> &'static [u64; 512] {
    // SAFETY: a live table of the loaded ones, read through the direct map; nothing changes it meanwhile.
    unsafe { &*((DIRECT_MAP + (entry & 0x000f_ffff_ffff_f000) as usize) as *const [u64; 512]) }
}

fn page_rights() -> Outcome {
    veridian_hal::mem::leave_address_space();
    let root: u64;
    // SAFETY: reads the root's address.
    unsafe { asm!("mov {}, cr3", out(reg) root) };
    ensure!(table(root)[..256].iter().all(|&entry| entry == 0), "something is mapped in the user half");
    let mut leaves = 0;
    walk(root, 3, &mut leaves)?;
    ensure!(leaves > 20, "{leaves} leaves are too few: the walk is wrong");
    Ok(())
}

/// Looks at every leaf below the table that `entry` refers to.
fn walk(entry: u64, level: usize, leaves: &mut usize) -> Outcome {
    for &entry in table(entry).iter().filter(|entry| *entry & PRESENT != 0) {
        if level > 0 && entry & LARGE == 0 {
            walk(entry, level - 1, leaves)?;
            continue;
        }
        *leaves += 1;
        ensure!(entry & (WRITE | NO_EXECUTE) != WRITE, "entry {entry:#x} of level {level} is writable and executable");
    }
    Ok(())
}

fn guards() -> Outcome {
    let (cr0, cr4): (u64, u64);
    // SAFETY: reads two control registers.
    unsafe { asm!("mov {}, cr0", "mov {}, cr4", out(reg) cr0, out(reg) cr4) };
    ensure!(cr0 & 1 << 16 != 0, "read-only pages bind the kernel");
    let leaf = __cpuid_count(7, 0);
    for (name, has, bit) in [
        ("SMEP", leaf.ebx & 1 << 7 != 0, 20),
        ("SMAP", leaf.ebx & 1 << 20 != 0, 21),
        ("UMIP", leaf.ecx & 1 << 2 != 0, 11),
    ] {
        ensure_eq!((name, cr4 & 1 << bit != 0), (name, has));
    }
    if cr4 & 1 << 11 != 0 {
        let table = space();
        let mut context = thread(&table, programs::tables(), &[]);
        ensure_eq!(run_thread(&mut context, &table), Trap::Exception(Exception::Protection));
    }
    Ok(())
}

fn flags() -> Outcome {
    let table = space();
    for program in [programs::flags_call(), programs::flags_fault()] {
        let mut context = thread(&table, program, &[]);
        run_thread(&mut context, &table);
        let flags: u64;
        // SAFETY: reads the flags.
        unsafe { asm!("pushfq", "pop {}", out(reg) flags) };
        // AC, NT, IOPL, DF, IF, TF.
        ensure_eq!(flags & 0x4_7700, 0);
    }
    Ok(())
}

fn clobbers() -> Outcome {
    let table = space();
    let mut context = thread(&table, programs::clobbers(), &[]);
    ensure_eq!(run_thread(&mut context, &table), Trap::Syscall);
    ensure_eq!(context.syscall_number(), 104);
    ensure_eq!(run_thread(&mut context, &table), Trap::Syscall);
    ensure_eq!((context.syscall_number(), context.syscall_args()[0]), (103, 0));
    Ok(())
}

fn last_call() -> Outcome {
    let table = space();
    let page = UserAddr(arch::USER_END - PAGE_SIZE);
    let code = frame();
    code.write(PAGE_SIZE - 2, &[0x0f, 0x05]);
    table.map(page, code, Protection::READ | Protection::EXECUTE).expect("memory for tables");
    let mut context = UserContext::new(UserAddr(arch::USER_END - 2), PARAMETERS);
    ensure_eq!(run_thread(&mut context, &table), Trap::Syscall);
    let end = Trap::PageFault { address: UserAddr(arch::USER_END), access: Access::Execute };
    ensure_eq!(run_thread(&mut context, &table), end);
    Ok(())
}

fn gs_base() -> Outcome {
    if __cpuid_count(7, 0).ebx & 1 == 0 {
        return Ok(());
    }
    let table = space();
    let mut one = thread(&table, programs::gs_base(), &[0xffff_8000_1234_5000]);
    let mut two = thread(&table, programs::six_arguments(), &[]);
    for _ in 0..5 {
        ensure_eq!(run_thread(&mut one, &table), Trap::Syscall);
        ensure_eq!((one.syscall_number(), one.syscall_args()[0]), (104, 0));
        ensure_eq!(run_thread(&mut two, &table), Trap::Syscall);
        two.restart_syscall();
    }
    Ok(())
}

fn control_words() -> Outcome {
    let table = space();
    let mut context = thread(&table, programs::control_words(), &[]);
    ensure_eq!(run_thread(&mut context, &table), Trap::Syscall);
    let [x87, sse, ..] = context.syscall_args();
    ensure_eq!((x87, sse), (0x37f, 0x1f80));
    Ok(())
}
