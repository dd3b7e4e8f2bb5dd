//! Traces: a line on the console for each call of a container's processes, as strace(1) has it.

use super::{Outcome, number, table};
use crate::task::Thread;
use alloc::{string::String, vec::Vec};
use core::{
    fmt::Write,
    num::NonZeroU64,
    sync::atomic::{AtomicBool, Ordering},
};
use veridian_containers::abi::{Call, Errno};
use veridian_hal::{console, sync::SpinLock};

/// Whether any container is traced: looked at before each call.
static ANY: AtomicBool = AtomicBool::new(false);
/// The keys of those that are.
static TRACED: SpinLock<Vec<NonZeroU64>> = SpinLock::new(Vec::new());

/// Has the calls of a container traced, or no more.
pub fn set(container: NonZeroU64, traced: bool) {
    let mut all = TRACED.lock();
    all.retain(|key| *key != container);
    if traced {
        all.push(container);
    }
    ANY.store(!all.is_empty(), Ordering::Release);
}

/// Whether the calls of `thread` are traced.
pub(super) fn wants(thread: &Thread) -> bool {
    ANY.load(Ordering::Acquire) && thread.container().is_some_and(|key| TRACED.lock().contains(&key))
}

/// The line of a call. It is written when the call is over, or given up for a signal.
pub struct Line<'a> {
    thread: &'a Thread,
    text: String,
}

impl<'a> Line<'a> {
    /// Of a call of which nothing is done yet: it may change what its arguments point to.
    pub(super) fn new(thread: &'a Thread, number: usize, words: [usize; 6]) -> Self {
        let mut text = String::new();
        let container_call = || Call::from_number(number).map(Call::name);
        match number::name(number).or_else(container_call) {
            Some(name) => text.push_str(name),
            // (Writing to a string does not fail.)
            None => drop(write!(text, "call {number}")),
        }
        text.push('(');
        table::show(number as u32, &thread.space(), words, &mut text);
        text.push(')');
        Self { thread, text }
    }

    /// Writes it, with what the call said.
    pub(super) fn end(mut self, outcome: &Result<Outcome, Errno>) {
        let text = &mut self.text;
        // (Writing to a string does not fail.)
        let _ = match outcome {
            Ok(Outcome::Returns(value)) if *value > 9999 => write!(text, " = {value:#x}"),
            Ok(Outcome::Returns(value)) => write!(text, " = {value}"),
            Ok(Outcome::LendsMemory(_, number)) => write!(text, " = {number}"),
            Ok(Outcome::Begins(_)) => write!(text, " = 0"),
            Ok(Outcome::Replaced) => Ok(()),
            Ok(Outcome::Exits(status) | Outcome::EndsProcess(status)) => write!(text, ": {status}"),
            Err(errno) => write!(text, " = -{errno}"),
        };
        self.write();
    }

    fn write(&mut self) {
        let text = core::mem::take(&mut self.text);
        console::print(format_args!("{}[{}] {text}\n", self.thread.name(), self.thread.pid().number()));
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            self.text.push_str(" ... a signal came");
            self.write();
        }
    }
}
