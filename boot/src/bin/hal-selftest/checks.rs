//! The list of checks as they pass and fail, and the address space that most of them work in.

use crate::programs;
use alloc::{string::String, sync::Arc};
use veridian_hal::{
    PAGE_SIZE, UserAddr, clock, console,
    mem::{Frame, FrameSource, OutOfFrames, Owner, PageTable, Protection},
    user::{Trap, UserContext},
};

/// What a check returns: the reason when it failed.
pub type Outcome = Result<(), String>;

/// Fails the check with a message unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(alloc::format!($($message)+));
        }
    };
}
pub(crate) use ensure;

/// Fails the check unless both are equal.
macro_rules! ensure_eq {
    ($left:expr, $right:expr) => {{
        let (left, right) = ($left, $right);
        if left != right {
            return Err(alloc::format!("line {}: {left:?} is not {right:?}", line!()));
        }
    }};
}
pub(crate) use ensure_eq;

/// How it went so far.
#[derive(Default)]
pub struct Checks {
    passed: usize,
    failed: usize,
}

impl Checks {
    /// Runs a check and prints how it went.
    pub fn check(&mut self, name: &str, check: impl FnOnce() -> Outcome) {
        match check() {
            Ok(()) => {
                self.passed += 1;
                console::print(format_args!("ok      {name}\n"));
            }
            Err(why) => {
                self.failed += 1;
                console::print(format_args!("FAILED  {name}: {why}\n"));
            }
        }
    }

    /// Prints the sum; the status to end with.
    pub fn conclude(&self) -> u8 {
        console::print(format_args!("selftest: {} passed, {} failed\n", self.passed, self.failed));
        u8::from(self.failed > 0 || self.passed == 0)
    }
}

/// Where the programs' page is mapped, readable and executable.
pub const CODE: UserAddr = UserAddr(0x40_0000);
/// The stack's page, readable and writable.
pub const STACK: UserAddr = UserAddr(0x60_0000);
/// Where the stack pointer starts, with the parameters from there on.
pub const PARAMETERS: UserAddr = UserAddr(STACK.0 + PAGE_SIZE / 2);
/// Free for a check's own pages.
pub const DATA: UserAddr = UserAddr(0x80_0000);

/// Page `number` of the area [`DATA`].
pub fn data_page(number: usize) -> UserAddr {
    UserAddr(DATA.0 + number * PAGE_SIZE)
}

/// Gives table pages to the kernel.
pub struct KernelFrames;

impl FrameSource for KernelFrames {
    fn zeroed_frame(&self) -> Result<Frame, OutOfFrames> {
        Frame::zeroed(Owner::KERNEL)
    }
}

/// An address space with the programs and a stack.
pub fn space() -> Arc<PageTable> {
    let table = PageTable::new(Arc::new(KernelFrames)).expect("memory for a table");
    let code = frame();
    code.write(0, programs::bytes());
    table.map(CODE, code, Protection::READ | Protection::EXECUTE).expect("memory for tables");
    table.map(STACK, frame(), Protection::READ | Protection::WRITE).expect("memory for tables");
    table
}

/// A zeroed frame.
pub fn frame() -> Frame {
    Frame::zeroed(Owner::KERNEL).expect("memory for a frame")
}

/// A thread that will run the program at `offset` of the programs' page, with its parameters at `at`.
pub fn thread_at(table: &Arc<PageTable>, offset: usize, at: UserAddr, parameters: &[usize]) -> UserContext {
    for (number, word) in parameters.iter().enumerate() {
        table.write(UserAddr(at.0 + number * size_of::<usize>()), &word.to_ne_bytes()).expect("the stack is mapped");
    }
    UserContext::new(UserAddr(CODE.0 + offset), at)
}

/// A thread with its parameters at the usual place.
pub fn thread(table: &Arc<PageTable>, offset: usize, parameters: &[usize]) -> UserContext {
    thread_at(table, offset, PARAMETERS, parameters)
}

/// Runs the thread until it traps otherwise than by an interrupt, at most for `ns`; then [`Trap::Interrupt`].
pub fn run_for(thread: &mut UserContext, table: &Arc<PageTable>, ns: u64) -> Trap {
    let end = clock::now_ns() + ns;
    clock::set_deadline(end);
    loop {
        let trap = thread.run(table);
        if trap != Trap::Interrupt || clock::now_ns() >= end {
            clock::set_deadline(u64::MAX);
            veridian_hal::cpu::take_events();
            return trap;
        }
        veridian_hal::cpu::take_events();
    }
}

/// Runs the thread until it traps otherwise than by an interrupt; it has five seconds.
pub fn run(thread: &mut UserContext, table: &Arc<PageTable>) -> Trap {
    run_for(thread, table, 5_000_000_000)
}
