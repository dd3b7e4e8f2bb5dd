//! Clocks of the CPU time that a process or a thread has had (clock_getcpuclockid(3)).

use super::{Process, Thread};
use alloc::sync::{Arc, Weak};
use linux_raw_sys::general::{CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
use veridian_containers::abi::Errno;

/// What of the time a clock counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// All of it.
    All,
    /// That in user mode.
    User,
}

/// Such a clock. It stands still when what it counts for has ended.
#[derive(Clone)]
pub struct CpuClock {
    of: Of,
    counted: Counted,
}

#[derive(Clone)]
enum Of {
    Process(Weak<Process>),
    Thread(Weak<Thread>),
}

impl CpuClock {
    /// That of a process.
    pub fn of_process(process: &Arc<Process>, counted: Counted) -> Self {
        Self { of: Of::Process(Arc::downgrade(process)), counted }
    }

    /// The clock of that number, to `thread`. EINVAL for what is no such clock, a process that is not there, or a thread of
    /// another process.
    pub fn of_number(thread: &Arc<Thread>, number: i32) -> Result<Self, Errno> {
        /// The low bits of a clock that is made from a process's number: what is counted, and whether of one thread.
        const KIND: i32 = 0b11;
        const OF_THREAD: i32 = 0b100;
        const PROFILING: i32 = 0;
        const USER: i32 = 1;
        const USER_AND_SYSTEM: i32 = 2;
        let of_thread = |thread: &Arc<Thread>, counted| Self { of: Of::Thread(Arc::downgrade(thread)), counted };
        match u32::try_from(number) {
            Ok(CLOCK_PROCESS_CPUTIME_ID) => return Ok(Self::of_process(thread.process(), Counted::All)),
            Ok(CLOCK_THREAD_CPUTIME_ID) => return Ok(of_thread(thread, Counted::All)),
            Ok(_) => return Err(Errno::EINVAL),
            Err(_) => {}
        }
        let target = match !(number >> 3) as u32 {
            0 => thread.clone(),
            pid => thread.pid().namespace().thread(pid).ok_or(Errno::EINVAL)?,
        };
        let counted = match number & KIND {
            USER_AND_SYSTEM | PROFILING => Counted::All,
            USER => Counted::User,
            _ => return Err(Errno::EINVAL),
        };
        if number & OF_THREAD == 0 {
            Ok(Self::of_process(target.process(), counted))
        } else if target.is_sibling(thread) {
            Ok(of_thread(&target, counted))
        } else {
            Err(Errno::EINVAL)
        }
    }

    /// Whether it counts for the process of `thread`, or one of its threads.
    pub fn is_of_process(&self, thread: &Thread) -> bool {
        match &self.of {
            Of::Process(process) => core::ptr::eq(process.as_ptr(), &raw const **thread.process()),
            Of::Thread(other) => other.upgrade().is_some_and(|other| other.is_sibling(thread)),
        }
    }

    /// What it shows, in nanoseconds.
    pub fn now_ns(&self) -> u64 {
        let times = match &self.of {
            Of::Process(process) => process.upgrade().map(|process| process.times()),
            Of::Thread(thread) => thread.upgrade().map(|thread| thread.own_times()),
        };
        let times = times.unwrap_or_default();
        match self.counted {
            Counted::All => times.total_ns(),
            Counted::User => times.user_ns,
        }
    }
}
