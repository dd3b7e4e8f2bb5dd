//! User mode: traps with their particulars, and the timer.

use crate::{
    checks::{
        CODE, Checks, DATA, Outcome, PARAMETERS, STACK, data_page, ensure, ensure_eq, frame, run as run_thread, space,
        thread,
    },
    programs,
};
use veridian_hal::{
    UserAddr, arch, clock,
    cpu::{self, Events},
    mem::Protection,
    user::{Access, Exception, Trap, UserContext},
};

/// All checks of user mode on one CPU.
pub fn run(checks: &mut Checks) {
    checks.check("a system call brings its number and six arguments, and takes its result", system_call);
    checks.check("a system call can be issued again", restarted_call);
    checks.check("loads, stores and jumps to pages that are not there trap with the address", page_faults);
    checks.check("protection holds: read-only pages, pages without execute", protection);
    checks.check("user code cannot reach kernel memory", kernel_memory);
    checks.check("an illegal instruction and a breakpoint trap as such", exceptions);
    checks.check("wild instruction and stack pointers harm only their program", wild_pointers);
    checks.check("the thread pointer is kept", thread_pointer);
    checks.check("a deadline ends an endless loop in user mode", deadline);
    checks.check("an idle CPU is woken by its timer", idle_timer);
    checks.check("the real-time clock gives a sensible time, or none", real_time);
}

fn system_call() -> Outcome {
    let table = space();
    let mut context = thread(&table, programs::six_arguments(), &[]);
    ensure_eq!(run_thread(&mut context, &table), Trap::Syscall);
    ensure_eq!(context.syscall_number(), 100);
    ensure_eq!(context.syscall_args(), [0x11, 0x22, 0x33, 0x44, 0x55, 0x66]);
    context.set_syscall_result(-38);
    ensure_eq!(run_thread(&mut context, &table), Trap::Syscall);
    ensure_eq!(context.syscall_number(), 101);
    ensure_eq!(context.syscall_args()[0] as isize, -38);
    Ok(())
}

fn restarted_call() -> Outcome {
    let table = space();
    let mut context = thread(&table, programs::six_arguments(), &[]);
    for _ in 0..3 {
        ensure_eq!(run_thread(&mut context, &table), Trap::Syscall);
        ensure_eq!(context.syscall_number(), 100);
        ensure_eq!(context.syscall_args(), [0x11, 0x22, 0x33, 0x44, 0x55, 0x66]);
        context.set_syscall_result(-4);
        context.restart_syscall();
    }
    ensure_eq!(run_thread(&mut context, &table), Trap::Syscall);
    context.set_syscall_result(9);
    ensure_eq!(run_thread(&mut context, &table), Trap::Syscall);
    ensure_eq!((context.syscall_number(), context.syscall_args()[0]), (101, 9));
    Ok(())
}

fn page_faults() -> Outcome {
    let table = space();
    for (program, access) in
        [(programs::load(), Access::Read), (programs::store(), Access::Write), (programs::jump(), Access::Execute)]
    {
        // Instructions of all our machines may begin at a multiple of four.
        for address in [UserAddr(0), UserAddr(DATA.0 + 0x124), UserAddr(arch::USER_END - 4)] {
            let mut context = thread(&table, program, &[address.0]);
            ensure_eq!(run_thread(&mut context, &table), Trap::PageFault { address, access });
        }
    }
    // Once the page is there, the program goes on where it was.
    let mut context = thread(&table, programs::store(), &[DATA.0]);
    ensure_eq!(run_thread(&mut context, &table), Trap::PageFault { address: DATA, access: Access::Write });
    let page = frame();
    table.map(DATA, page.clone(), Protection::READ | Protection::WRITE).expect("memory for tables");
    ensure_eq!(run_thread(&mut context, &table), Trap::Syscall);
    ensure_eq!(context.syscall_number(), 102);
    let mut byte = [0];
    page.read(0, &mut byte);
    ensure_eq!(byte, [1]);
    Ok(())
}

fn protection() -> Outcome {
    let table = space();
    table.map(DATA, frame(), Protection::READ).expect("memory for tables");
    let mut context = thread(&table, programs::load(), &[DATA.0]);
    ensure_eq!(run_thread(&mut context, &table), Trap::Syscall);
    let mut context = thread(&table, programs::store(), &[DATA.0]);
    ensure_eq!(run_thread(&mut context, &table), Trap::PageFault { address: DATA, access: Access::Write });
    let mut context = thread(&table, programs::jump(), &[DATA.0]);
    ensure_eq!(run_thread(&mut context, &table), Trap::PageFault { address: DATA, access: Access::Execute });
    let mut context = thread(&table, programs::store(), &[CODE.0]);
    ensure_eq!(run_thread(&mut context, &table), Trap::PageFault { address: CODE, access: Access::Write });
    let mut context = thread(&table, programs::jump(), &[STACK.0]);
    ensure_eq!(run_thread(&mut context, &table), Trap::PageFault { address: STACK, access: Access::Execute });
    // Rights that are given later count at once.
    let mut context = thread(&table, programs::store(), &[DATA.0]);
    table.protect(DATA..data_page(1), |p| p | Protection::WRITE);
    ensure_eq!(run_thread(&mut context, &table), Trap::Syscall);
    Ok(())
}

fn kernel_memory() -> Outcome {
    let table = space();
    let secret = 0x1234_usize;
    for address in
        [&raw const secret as usize & !3, run as *const () as usize & !3, programs::bytes().as_ptr() as usize & !3]
    {
        for (program, access) in
            [(programs::load(), Access::Read), (programs::store(), Access::Write), (programs::jump(), Access::Execute)]
        {
            let mut context = thread(&table, program, &[address]);
            let trap = run_thread(&mut context, &table);
            let expected = Trap::PageFault { address: UserAddr(address), access };
            ensure!(trap == expected || trap == Trap::Exception(Exception::Protection), "{trap:?}, not {expected:?}");
        }
    }
    ensure_eq!(secret, 0x1234);
    Ok(())
}

fn exceptions() -> Outcome {
    let table = space();
    let mut context = thread(&table, programs::illegal(), &[]);
    ensure_eq!(run_thread(&mut context, &table), Trap::Exception(Exception::IllegalInstruction));
    let mut context = thread(&table, programs::breakpoint(), &[]);
    ensure_eq!(run_thread(&mut context, &table), Trap::Exception(Exception::Breakpoint));
    for &(offset, exception) in programs::EXCEPTIONS {
        let mut context = thread(&table, offset(), &[]);
        let trap = run_thread(&mut context, &table);
        ensure!(trap == Trap::Exception(exception), "{trap:?}, not {exception:?}, of the program at {:#x}", offset());
    }
    Ok(())
}

fn wild_pointers() -> Outcome {
    let table = space();
    for wild in [arch::USER_END, arch::USER_END - 4, 1 << 47, 1 << 63, usize::MAX - 3, 0xdead_beef_dead_beec] {
        let mut context = UserContext::new(UserAddr(wild), PARAMETERS);
        let trap = run_thread(&mut context, &table);
        ensure!(
            matches!(trap, Trap::PageFault { access: Access::Execute, .. } | Trap::Exception(_)),
            "{trap:?} at instruction pointer {wild:#x}"
        );
        let mut context = thread(&table, programs::six_arguments(), &[]);
        context.set_stack_pointer(UserAddr(wild));
        ensure_eq!(run_thread(&mut context, &table), Trap::Syscall);
        ensure_eq!(context.stack_pointer(), UserAddr(wild));
        ensure_eq!(run_thread(&mut context, &table), Trap::Syscall);
        let mut context = thread(&table, programs::spin(), &[]);
        context.set_stack_pointer(UserAddr(wild));
        clock::set_deadline(clock::now_ns() + 100_000);
        ensure_eq!(context.run(&table), Trap::Interrupt);
        cpu::take_events();
    }
    Ok(())
}

fn thread_pointer() -> Outcome {
    let table = space();
    let mut one = thread(&table, programs::six_arguments(), &[]);
    let mut two = one.clone();
    one.set_thread_pointer(UserAddr(0x1000));
    two.set_thread_pointer(UserAddr(0x2000));
    for _ in 0..2 {
        ensure_eq!(run_thread(&mut one, &table), Trap::Syscall);
        ensure_eq!(run_thread(&mut two, &table), Trap::Syscall);
        ensure_eq!((one.thread_pointer(), two.thread_pointer()), (UserAddr(0x1000), UserAddr(0x2000)));
    }
    two.set_thread_pointer(UserAddr(0x3000));
    let three = two.clone();
    ensure_eq!((two.thread_pointer(), three.thread_pointer()), (UserAddr(0x3000), UserAddr(0x3000)));
    Ok(())
}

fn deadline() -> Outcome {
    let table = space();
    let mut context = thread(&table, programs::spin(), &[]);
    cpu::take_events();
    for ns in [0, 1, 1_000, 100_000, 5_000_000] {
        let start = clock::now_ns();
        clock::set_deadline(start + ns);
        ensure_eq!(context.run(&table), Trap::Interrupt);
        let took = clock::now_ns() - start;
        ensure_eq!(cpu::take_events(), Events::TIMER);
        ensure!(took >= ns && took < ns + 2_000_000_000, "a deadline of {ns} ns took {took} ns");
    }
    Ok(())
}

fn idle_timer() -> Outcome {
    for ns in [0, 10_000, 3_000_000] {
        let start = clock::now_ns();
        clock::set_deadline(start + ns);
        cpu::idle();
        let took = clock::now_ns() - start;
        ensure_eq!(cpu::take_events(), Events::TIMER);
        ensure!(took >= ns && took < ns + 2_000_000_000, "a deadline of {ns} ns took {took} ns");
    }
    // An event that was raised before is not slept over.
    cpu::kick(cpu::id());
    cpu::idle();
    ensure_eq!(cpu::take_events(), Events::KICK);
    Ok(())
}

fn real_time() -> Outcome {
    if let Some(seconds) = clock::boot_time_unix() {
        ensure!((1_577_836_800..4_102_444_800).contains(&seconds), "{seconds} is not between 2020 and 2100");
    }
    let random: alloc::vec::Vec<u64> = (0..4).filter_map(|_| cpu::hardware_random()).collect();
    ensure!(random.windows(2).all(|pair| pair[0] != pair[1]), "the random numbers repeat: {random:x?}");
    Ok(())
}
