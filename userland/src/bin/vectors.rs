//! Plain: every process has its own vector registers, whatever the others do and whenever they take turns.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use veridian_containers::abi::WaitStatus;
use veridian_userland::check::{Checks, wait_for};
use veridian_userland::program;
use veridian_userland::sys::{self, Start, VECTOR_WORDS, load_vectors, read_vectors};

program!(main);

/// Processes at a time.
const PROCESSES: u64 = 4;
/// How often each loads its pattern, and how long it holds it: some ten slices of a millisecond in all.
const ROUNDS: u64 = 40;
const SPINS: u64 = 500_000;

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    let (told, tell) = sys::pipe(0).expect("a pipe");
    let children = core::array::from_fn::<_, { PROCESSES as usize }, _>(|index| {
        sys::spawn(|| {
            // All begin when the last is there.
            let _ = sys::close(tell);
            let _ = sys::read(told, &mut [0]);
            (0..ROUNDS).map(|round| i32::from(!keeps(index as u64 + 1, round))).max().unwrap_or(1)
        })
    });
    checks.equal("all begin", sys::close(tell), Ok(()));
    for child in children {
        let status = child.and_then(wait_for);
        checks.equal("a process finds in its registers what it put there", status, Ok(WaitStatus::Exited(0)));
    }
    fresh(&mut checks);
    inherited(&mut checks);
    across_calls(&mut checks);
    checks.finish()
}

/// A pattern that no other process and no other round has.
fn pattern(who: u64, round: u64) -> [u64; 64] {
    core::array::from_fn(|word| who << 56 | round << 32 | (word as u64) << 8 | who)
}

fn keeps(who: u64, round: u64) -> bool {
    let wanted = pattern(who, round);
    load_vectors(&wanted);
    for spin in 0..SPINS {
        core::hint::black_box(spin);
    }
    holds(&wanted)
}

fn holds(wanted: &[u64; 64]) -> bool {
    read_vectors() == wanted[..VECTOR_WORDS]
}

/// System calls leave the registers alone, while another process uses its own.
fn across_calls(checks: &mut Checks) {
    let other = sys::spawn(|| {
        let begin = sys::now();
        while sys::now() - begin < 50_000_000 {
            load_vectors(&pattern(1, 1));
            sys::sched_yield();
        }
        0
    });
    let wanted = pattern(2, 2);
    load_vectors(&wanted);
    (0..1000).for_each(|_| sys::sched_yield());
    checks.equal("a thousand system calls leave the registers alone", holds(&wanted), true);
    checks.equal("the other process ends", other.and_then(wait_for), Ok(WaitStatus::Exited(0)));
}

/// A child begins with its parent's registers.
fn inherited(checks: &mut Checks) {
    let wanted = pattern(3, 3);
    load_vectors(&wanted);
    let child = sys::spawn(|| i32::from(!holds(&wanted)));
    checks.equal("a child goes on with its parent's registers", child.and_then(wait_for), Ok(WaitStatus::Exited(0)));
    checks.equal("and the parent with its own", holds(&wanted), true);
}

/// A program begins with registers that tell nothing of whoever ran before.
fn fresh(checks: &mut Checks) {
    checks.succeeds("a program that is started finds none of it", || {
        load_vectors(&[0x5ec2_e75e_c2e7_5ec2; 64]);
        i32::from(sys::execve(c"/bin/worker", &[c"worker", c"fresh-vectors"], &[]).get())
    });
}
