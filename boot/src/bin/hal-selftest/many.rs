//! Several CPUs: that they come up, wake, agree on the time, and see each other's page tables change.

use crate::{
    checks::{
        CODE, Checks, DATA, Outcome, STACK, data_page, ensure, ensure_eq, frame, run_for, space, thread, thread_at,
    },
    programs,
    state::{stretch, threads},
};
use alloc::{boxed::Box, collections::VecDeque, string::String, sync::Arc};
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use veridian_hal::{
    UserAddr, clock,
    cpu::{self, MAX_CPUS},
    mem::{self, Protection},
    sync::SpinLock,
    user::{Access, Trap, UserContext},
};

type Job = Box<dyn FnOnce() -> Outcome + Send>;

/// What each CPU is to do, and how that went.
static JOBS: [SpinLock<Option<Job>>; MAX_CPUS] = [const { SpinLock::new(None) }; MAX_CPUS];
static OUTCOMES: [SpinLock<Option<Outcome>>; MAX_CPUS] = [const { SpinLock::new(None) }; MAX_CPUS];

const READ_WRITE: Protection = Protection::READ.union(Protection::WRITE);
const SECOND: u64 = 1_000_000_000;

/// Starts the CPUs, of which there must be `expected`, and runs the checks that take several.
pub fn run(checks: &mut Checks, expected: Option<usize>) {
    let count = cpu::start_others(worker);
    checks.check("all CPUs come up", || {
        ensure_eq!(count, cpu::count());
        ensure!(expected.is_none_or(|e| e == count), "{count} CPUs are up, of {}", expected.unwrap_or(0));
        for id in 1..count {
            start(id, move || {
                ensure_eq!(cpu::id(), id);
                Ok(())
            });
        }
        wait_all(count)
    });
    if count < 2 {
        return;
    }
    checks.check("an idle CPU is woken by a kick, every time", || kicks(count));
    checks.check("a kick ends an endless loop in user mode", kicked_out);
    checks.check("the clock is the same on all CPUs", || clocks(count));
    checks.check("threads keep their registers as they move between CPUs", || migration(count));
    checks.check("contexts are cloned and dropped on other CPUs", || foreign_clones(count));
    checks.check("an unmapped page is gone on the other CPUs", || {
        shootdown(|t| {
            t.unmap(DATA..data_page(1));
        })
    });
    checks.check("a protected page is protected on the other CPUs", || {
        shootdown(|t| t.protect(DATA..data_page(1), |_| Protection::empty()))
    });
    checks.check("CPUs change one table at the same time", || contention(count));
    checks.check("frames are free again when all is done", || leaks(count));
}

/// What the other CPUs do: a job at a time, and sleep.
fn worker() -> ! {
    let id = cpu::id();
    loop {
        let job = JOBS[id].lock().take();
        if let Some(job) = job {
            let outcome = job();
            clock::set_deadline(u64::MAX);
            *OUTCOMES[id].lock() = Some(outcome);
        }
        cpu::idle();
        cpu::take_events();
    }
}

fn start(id: usize, job: impl FnOnce() -> Outcome + Send + 'static) {
    *JOBS[id].lock() = Some(Box::new(job));
    cpu::kick(id);
}

/// Waits for the job of CPU `id`, at most a minute.
fn wait(id: usize) -> Outcome {
    let end = clock::now_ns() + 60 * SECOND;
    while clock::now_ns() < end {
        let outcome = OUTCOMES[id].lock().take();
        if let Some(outcome) = outcome {
            return outcome.map_err(|why| alloc::format!("on CPU {id}: {why}"));
        }
        cpu::relax();
    }
    Err(alloc::format!("CPU {id} does not end"))
}

fn wait_all(count: usize) -> Outcome {
    let mut all = Ok(());
    for id in 1..count {
        // Each is waited for, whatever the others said.
        let one = wait(id);
        all = all.and(one);
    }
    all
}

/// Runs the same job on all CPUs, this one included.
fn on_all(count: usize, job: impl Fn() -> Outcome + Send + Sync + 'static) -> Outcome {
    let job = Arc::new(job);
    for id in 1..count {
        let job = job.clone();
        start(id, move || job());
    }
    let own = job();
    wait_all(count).and(own)
}

fn kicks(count: usize) -> Outcome {
    for round in 0..60 {
        let id = 1 + round % (count - 1);
        start(id, || Ok(()));
        wait(id)?;
        // The worker may or may not have got back to sleep.
        for _ in 0..round * 10 {
            core::hint::spin_loop();
        }
    }
    Ok(())
}

fn kicked_out() -> Outcome {
    static RUNNING: AtomicBool = AtomicBool::new(false);
    start(1, || {
        let table = space();
        let mut context = thread(&table, programs::spin(), &[]);
        cpu::take_events();
        RUNNING.store(true, Ordering::Release);
        ensure_eq!(context.run(&table), Trap::Interrupt);
        ensure_eq!(cpu::take_events(), cpu::Events::KICK);
        Ok(())
    });
    while !RUNNING.load(Ordering::Acquire) {
        cpu::relax();
    }
    let pause = clock::now_ns() + 1_000_000;
    while clock::now_ns() < pause {
        cpu::relax();
    }
    cpu::kick(1);
    wait(1)
}

fn clocks(count: usize) -> Outcome {
    static LATEST: AtomicU64 = AtomicU64::new(0);
    on_all(count, || {
        for _ in 0..2000 {
            let seen = LATEST.load(Ordering::Acquire);
            let now = clock::now_ns();
            ensure!(now >= seen, "{now} comes after {seen}");
            LATEST.fetch_max(now, Ordering::AcqRel);
            cpu::relax();
        }
        Ok(())
    })
}

fn migration(count: usize) -> Outcome {
    let table = space();
    let mut all: VecDeque<_> = threads(&table, programs::vector(), 3, 300).into();
    all.extend(threads(&table, programs::registers(), 3, 300));
    let queue = SpinLock::new(all);
    let left = AtomicUsize::new(6);
    let crowd = table.clone();
    on_all(count, move || {
        let mut number = 0;
        while left.load(Ordering::Acquire) > 0 {
            let next = queue.lock().pop_front();
            let Some(mut context) = next else {
                cpu::relax();
                continue;
            };
            number += 1;
            match stretch(&mut context, &crowd, 30_000 + number * 1000) {
                Ok(true) => drop(left.fetch_sub(1, Ordering::AcqRel)),
                Ok(false) => queue.lock().push_back(context),
                Err(why) => {
                    left.store(0, Ordering::Release);
                    return Err(why);
                }
            }
        }
        Ok(())
    })
}

fn foreign_clones(count: usize) -> Outcome {
    let table = space();
    let originals = SpinLock::new(threads(&table, programs::vector(), 2, 400));
    let rounds = AtomicUsize::new(0);
    on_all(count, move || {
        while rounds.load(Ordering::Relaxed) < 200 {
            // Out of the list, so that it is not locked while user code runs.
            let taken = originals.lock().pop();
            let Some(mut context) = taken else {
                cpu::relax();
                continue;
            };
            let round = rounds.fetch_add(1, Ordering::Relaxed) as u64;
            let ended = stretch(&mut context, &table, 40_000 + 1000 * round)?;
            // The original is dropped here; its copy takes its turns on any CPU. One that has ended begins again, on its
            // own stack.
            let next = if ended {
                UserContext::new(UserAddr(CODE.0 + programs::vector()), context.stack_pointer())
            } else {
                context.clone()
            };
            originals.lock().push(next);
        }
        Ok(())
    })
}

fn shootdown(take_away: fn(&mem::PageTable)) -> Outcome {
    for round in 0..12 {
        let table = space();
        table.map(DATA, frame(), READ_WRITE).expect("memory for tables");
        let theirs = table.clone();
        let running = Arc::new(AtomicBool::new(false));
        let flag = running.clone();
        start(1, move || {
            let mut context = thread(&theirs, programs::load_loop(), &[DATA.0]);
            flag.store(true, Ordering::Release);
            // Interrupts in between (the kick that came with the job) are nothing.
            let trap = run_for(&mut context, &theirs, 30 * SECOND);
            mem::leave_address_space();
            ensure_eq!(trap, Trap::PageFault { address: DATA, access: Access::Read });
            Ok(())
        });
        while !running.load(Ordering::Acquire) {
            cpu::relax();
        }
        let pause = clock::now_ns() + 10_000 * (round + 1);
        while clock::now_ns() < pause {
            cpu::relax();
        }
        take_away(&table);
        wait(1)?;
    }
    Ok(())
}

fn contention(count: usize) -> Outcome {
    let table = space();
    on_all(count, move || {
        let id = cpu::id();
        let at = |page: usize| data_page(64 * id + page);
        for round in 0..12 {
            for page in 0..8 {
                table.map(at(page), frame(), READ_WRITE).map_err(|e| alloc::format!("{e:?}"))?;
                let word = (id << 16 | round << 8 | page).to_ne_bytes();
                table.write(at(page), &word).map_err(|e| alloc::format!("{e:?}"))?;
                let mut back = [0; size_of::<usize>()];
                table.read(at(page), &mut back).map_err(|e| alloc::format!("{e:?}"))?;
                ensure_eq!(back, word);
            }
            let stack = UserAddr(STACK.0 + 256 * (id + 1));
            let mut context = thread_at(&table, programs::load(), stack, &[at(0).0]);
            clock::set_deadline(u64::MAX);
            let trap = context.run(&table);
            ensure_eq!(trap, Trap::Syscall);
            table.unmap(at(0)..at(8));
            let gone = table.read(at(0), &mut [0]);
            ensure!(gone.is_err(), "a page is there after it was unmapped");
        }
        mem::leave_address_space();
        Ok(())
    })
}

fn leaks(count: usize) -> Outcome {
    on_all(count, || {
        mem::leave_address_space();
        Ok(())
    })?;
    let before = mem::statistics().free;
    for _ in 0..3 {
        migration(count)?;
        on_all(count, || {
            mem::leave_address_space();
            Ok(())
        })?;
    }
    let after = mem::statistics().free;
    // The heap keeps what it has taken: 64 KiB at a time.
    ensure!(after + 16 >= before, "{before} frames were free, now {after}");
    Ok::<(), String>(())
}
