//! General, FP and vector registers of threads that share a CPU.

use crate::{
    checks::{Checks, Outcome, STACK, ensure, ensure_eq, space, thread_at},
    programs,
};
use alloc::{sync::Arc, vec::Vec};
use veridian_hal::{
    UserAddr, clock, cpu,
    mem::PageTable,
    user::{Trap, UserContext},
};

/// All checks of registers on one CPU.
pub fn run(checks: &mut Checks) {
    checks.check("general registers survive preemption and system calls", || alternate(programs::registers()));
    checks.check("vector registers survive preemption and other threads", || alternate(programs::vector()));
    checks.check("a cloned context has the registers of the original", clones);
}

/// Threads of the program at `offset`, each with its own pattern and its own stack within the page.
pub fn threads(table: &Arc<PageTable>, offset: usize, count: usize, rounds: usize) -> Vec<UserContext> {
    (0..count)
        .map(|number| {
            let pattern = 0x0101_0101_0101 * (number + 1);
            thread_at(table, offset, UserAddr(STACK.0 + 256 * (number + 1)), &[pattern, rounds])
        })
        .collect()
}

/// One short stretch of user mode, which callers make longer as they go: on a busy host a short one may be over before
/// the first instruction. Whether the program has ended, and well.
pub fn stretch(context: &mut UserContext, table: &Arc<PageTable>, ns: u64) -> Result<bool, alloc::string::String> {
    clock::set_deadline(clock::now_ns() + ns);
    let trap = context.run(table);
    cpu::take_events();
    match trap {
        Trap::Interrupt => Ok(false),
        Trap::Syscall if context.syscall_number() == 104 => {
            context.set_syscall_result(0);
            Ok(false)
        }
        Trap::Syscall if context.syscall_number() == 103 => {
            ensure_eq!(context.syscall_args()[0], 0);
            Ok(true)
        }
        other => Err(alloc::format!("{other:?} at {:?}", context.instruction_pointer())),
    }
}

/// Runs threads in turn, with the timer cutting each stretch short.
fn alternate(offset: usize) -> Outcome {
    let table = space();
    let mut running = threads(&table, offset, 5, 500);
    let mut stretches = 0;
    while !running.is_empty() {
        let mut next = Vec::new();
        for mut context in running {
            stretches += 1;
            if !stretch(&mut context, &table, 20_000 + 500 * stretches)? {
                next.push(context);
            }
        }
        running = next;
    }
    ensure!(stretches > 50, "only {stretches} stretches: the threads did not alternate");
    clock::set_deadline(u64::MAX);
    cpu::take_events();
    Ok(())
}

fn clones() -> Outcome {
    let table = space();
    let mut originals = threads(&table, programs::vector(), 2, 200);
    let mut running = Vec::new();
    for context in &mut originals {
        // At least until the registers are filled: the first system call.
        while cpu::take_events().is_empty() && !matches!(context.run(&table), Trap::Syscall) {}
        running.push(context.clone());
        running.push(context.clone());
    }
    drop(originals);
    for mut context in running {
        let mut stretches = 0;
        while !stretch(&mut context, &table, 30_000 + 500 * stretches)? {
            stretches += 1;
            // A clone of the clone goes on in its place now and then.
            context = context.clone();
        }
    }
    clock::set_deadline(u64::MAX);
    cpu::take_events();
    Ok(())
}
