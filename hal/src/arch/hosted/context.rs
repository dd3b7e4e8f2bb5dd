//! A simulated user thread: the program is a Rust function that is called where real code would run on.

use crate::{
    UserAddr,
    mem::PageTable,
    user::{Exception, HandlerFrame, SignalStack, Trap, bytes_of, bytes_of_mut},
};
use alloc::{collections::BTreeMap, sync::Arc};
use std::sync::Mutex;

/// A stretch of user mode. It may read and write its own memory through the table, and sets up system calls
/// by [`UserContext::call`].
pub type Program = fn(&mut UserContext, &Arc<PageTable>) -> Trap;

static PROGRAMS: Mutex<BTreeMap<usize, Program>> = Mutex::new(BTreeMap::new());

/// Makes `program` what runs when a context's instruction pointer is `entry`.
pub fn install_program(entry: UserAddr, program: Program) {
    PROGRAMS.lock().expect("no test panics while it holds this").insert(entry.0, program);
}

/// Words of the frame of a signal's handler.
const FRAME_WORDS: usize = 7;

/// Registers of a simulated user thread.
#[derive(Clone, Debug)]
pub struct UserContext {
    entry: UserAddr,
    stack: UserAddr,
    thread: UserAddr,
    number: usize,
    args: [usize; 6],
    result: isize,
    /// The program's own note of how far it is: 0 at the start, counted up by each [`Self::call`].
    pub step: usize,
}

impl UserContext {
    /// The most bytes that [`Self::push_handler`] takes of a stack (AT_MINSIGSTKSZ).
    pub fn handler_frame_bytes() -> usize {
        FRAME_WORDS * size_of::<usize>()
    }

    /// A context that will begin at `entry` with the given stack.
    pub fn new(entry: UserAddr, stack: UserAddr) -> Self {
        Self { entry, stack, thread: UserAddr(0), number: 0, args: [0; 6], result: 0, step: 0 }
    }

    /// Runs the program installed for the instruction pointer.
    pub fn run(&mut self, table: &Arc<PageTable>) -> Trap {
        crate::arch::activate(table);
        let program = PROGRAMS.lock().expect("no test panics while it holds this").get(&self.entry.0).copied();
        match program {
            Some(program) => program(self, table),
            None => Trap::Exception(Exception::IllegalInstruction),
        }
    }

    /// For programs: makes a system call; the result is in [`Self::result`] when the program runs again.
    pub fn call(&mut self, number: usize, args: [usize; 6]) -> Trap {
        self.number = number;
        self.args = args;
        self.step += 1;
        Trap::Syscall
    }

    /// For programs: the result of the last system call.
    pub fn result(&self) -> isize {
        self.result
    }

    /// Number of the system call just trapped.
    pub fn syscall_number(&self) -> usize {
        self.number
    }

    /// Arguments of the system call just trapped.
    pub fn syscall_args(&self) -> [usize; 6] {
        self.args
    }

    /// Sets what the system call returns.
    pub fn set_syscall_result(&mut self, result: isize) {
        self.result = result;
    }

    /// Makes the next [`Self::run`] issue the system call again.
    pub fn restart_syscall(&mut self) {
        self.step -= 1;
    }

    /// Makes the next [`Self::run`] call a handler, and puts what it returns by on the stack, by `write`; gives the
    /// lowest address of that.
    pub fn push_handler<E>(
        &mut self,
        frame: &HandlerFrame,
        mut write: impl FnMut(UserAddr, &[u8]) -> Result<(), E>,
    ) -> Result<UserAddr, E> {
        let low = UserAddr(frame.switch_to.unwrap_or(self.stack).0.wrapping_sub(FRAME_WORDS * 8));
        let [start, flags, bytes] = frame.stack.to_words();
        let registers = [self.entry.0 as u64, self.stack.0 as u64, self.result as u64, frame.mask];
        let [entry, stack, result, mask] = registers;
        write(low, bytes_of(&[entry, stack, result, mask, start, flags, bytes]))?;
        (self.entry, self.stack) = (frame.handler, low);
        Ok(low)
    }

    /// Takes back, by `read`, what [`Self::push_handler`] put at the stack pointer: what is blocked from now on, and the
    /// alternate stack.
    pub fn pop_handler<E>(
        &mut self,
        mut read: impl FnMut(UserAddr, &mut [u8]) -> Result<(), E>,
    ) -> Result<(u64, SignalStack), E> {
        let mut words = [0; FRAME_WORDS];
        read(self.stack, bytes_of_mut(&mut words))?;
        let [entry, stack, result, mask, start, flags, bytes] = words;
        (self.entry, self.stack) = (UserAddr(entry as usize), UserAddr(stack as usize));
        self.result = result as isize;
        Ok((mask, SignalStack::from_words([start, flags, bytes])))
    }

    /// Where user code goes on.
    pub fn instruction_pointer(&self) -> UserAddr {
        self.entry
    }

    /// Sets where user code goes on.
    pub fn set_instruction_pointer(&mut self, to: UserAddr) {
        self.entry = to;
    }

    /// The stack pointer.
    pub fn stack_pointer(&self) -> UserAddr {
        self.stack
    }

    /// Sets the stack pointer.
    pub fn set_stack_pointer(&mut self, to: UserAddr) {
        self.stack = to;
    }

    /// The thread pointer (TLS base).
    pub fn thread_pointer(&self) -> UserAddr {
        self.thread
    }

    /// Sets the thread pointer.
    pub fn set_thread_pointer(&mut self, to: UserAddr) {
        self.thread = to;
    }
}
