//! Secure computing (seccomp(2)): filters that see every system call of a process before the kernel does.
//!
//! Owns: the programs ([`Program`]: their check and their run), the stack of filters of a process ([`Seccomp`]) and how
//! their verdicts are weighed. May call: `cgroup` (charges). Called by: `syscall`, which asks before each call and acts
//! on the verdict; `task`, which hands filters on to children; `virt`, which confines containers.
//!
//! No locks: filters are immutable and shared; a process's own [`Seccomp`] is locked by whoever holds it.

mod program;
#[cfg(test)]
mod tests;

use crate::cgroup::{KernelCharge, MemoryGroup};
use alloc::sync::Arc;
use veridian_containers::{
    abi::Errno,
    seccomp::bpf::{Instruction, verdict},
};

pub use program::{Data, Program};

/// Instructions of all filters of a process, with four more for each (Linux's `MAX_INSNS_PER_PATH`).
const INSTRUCTIONS_IN_ALL: usize = 32768;
/// What a filter counts beyond its instructions.
const FILTER_OVERHEAD: usize = 4;
/// Numbers below this are looked up before any filter is run: all of Linux's calls.
const CACHED_NUMBERS: usize = 512;
/// Steps that finding out which numbers are always allowed may take, so that a program cannot hold a CPU with it.
const CACHE_BUDGET: u32 = 1 << 16;

/// How a process's calls are filtered. It only ever gets stricter.
#[derive(Clone, Debug, Default)]
pub enum Seccomp {
    /// Not at all.
    #[default]
    Disabled,
    /// read, write, exit and rt_sigreturn alone (SECCOMP_MODE_STRICT).
    Strict,
    /// By programs (SECCOMP_MODE_FILTER).
    Filtered(Arc<Filter>),
}

/// A filter, and those installed before it.
#[derive(Debug)]
pub struct Filter {
    program: Arc<Program>,
    previous: Option<Arc<Self>>,
    /// All that is not simply allowed is logged (SECCOMP_FILTER_FLAG_LOG).
    logs: bool,
    /// Of this filter and all before it, with the overhead.
    instructions: usize,
    /// The numbers that this filter and all before it allow, whatever the arguments.
    allowed: [u64; CACHED_NUMBERS / 64],
    _charge: Option<KernelCharge>,
}

/// What the filters say of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The action and its data, as `SECCOMP_RET_*`.
    pub value: u32,
    /// Whether the filter that decided wants it logged.
    pub logs: bool,
}

impl Verdict {
    const ALLOW: Self = Self { value: verdict::ALLOW, logs: false };

    /// The action without its data.
    pub fn action(self) -> u32 {
        self.value & verdict::ACTION
    }

    /// The data.
    pub fn data(self) -> u16 {
        (self.value & verdict::DATA) as u16
    }

    /// Whether this one is obeyed rather than `other`: actions are ordered as signed numbers, the least first, so that
    /// KILL_PROCESS outranks all.
    fn outranks(self, other: Self) -> bool {
        (self.action() as i32) < (other.action() as i32)
    }
}

impl Seccomp {
    /// As /proc/PID/status and prctl(PR_GET_SECCOMP) tell it.
    pub fn mode(&self) -> u32 {
        match self {
            Self::Disabled => 0,
            Self::Strict => 1,
            Self::Filtered(_) => 2,
        }
    }

    /// How many filters there are.
    pub fn filters(&self) -> usize {
        core::iter::successors(self.newest(), |filter| filter.previous.as_ref()).count()
    }

    /// The filter installed last.
    pub fn newest(&self) -> Option<&Arc<Filter>> {
        match self {
            Self::Filtered(filter) => Some(filter),
            Self::Disabled | Self::Strict => None,
        }
    }

    /// Whether it is `earlier`, or that with further filters on top.
    pub fn extends(&self, earlier: &Self) -> bool {
        match (earlier, self) {
            (Self::Disabled, Self::Disabled | Self::Filtered(_)) | (Self::Strict, Self::Strict) => true,
            (Self::Filtered(earlier), Self::Filtered(filter)) => {
                core::iter::successors(Some(filter), |filter| filter.previous.as_ref())
                    .any(|filter| Arc::ptr_eq(filter, earlier))
            }
            _ => false,
        }
    }

    /// With `program` on top, charged to `memory` unless it is shared by many. EINVAL in strict mode, ENOMEM when the
    /// filters together would be too long.
    pub fn with(
        &self,
        program: Arc<Program>,
        architecture: u32,
        logs: bool,
        memory: Option<&Arc<MemoryGroup>>,
    ) -> Result<Self, Errno> {
        let previous = match self {
            Self::Strict => return Err(Errno::EINVAL),
            Self::Disabled => None,
            Self::Filtered(filter) => Some(filter.clone()),
        };
        Ok(Self::Filtered(Arc::new(Filter::new(program, previous, architecture, logs, memory)?)))
    }
}

impl Filter {
    fn new(
        program: Arc<Program>,
        previous: Option<Arc<Self>>,
        architecture: u32,
        logs: bool,
        memory: Option<&Arc<MemoryGroup>>,
    ) -> Result<Self, Errno> {
        let before = previous.as_ref().map_or(0, |filter| filter.instructions);
        let instructions = before + program.length() + FILTER_OVERHEAD;
        if instructions > INSTRUCTIONS_IN_ALL {
            return Err(Errno::ENOMEM);
        }
        let charge = match memory {
            Some(memory) => Some(memory.charge_kernel(program.bytes() + size_of::<Self>())?),
            None => None,
        };
        let mut allowed = previous.as_ref().map_or([u64::MAX; CACHED_NUMBERS / 64], |filter| filter.allowed);
        let mut budget = CACHE_BUDGET;
        for (number, word, bit) in (0..CACHED_NUMBERS).map(|number| (number, number / 64, 1 << (number % 64))) {
            if allowed[word] & bit != 0
                && program.run_on_number(number as u32, architecture, &mut budget) != Some(verdict::ALLOW)
            {
                allowed[word] &= !bit;
            }
        }
        Ok(Self { program, previous, logs, instructions, allowed, _charge: charge })
    }

    /// Whether calls of this number are allowed whatever their arguments, so that no program need be run.
    pub fn always_allows(&self, number: u32) -> bool {
        self.allowed.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 != 0)
    }

    /// Runs all filters: the strictest verdict, of equal ones the newest filter's.
    pub fn judge(&self, data: &Data) -> Verdict {
        let filters = core::iter::successors(Some(self), |filter| filter.previous.as_deref());
        filters.fold(Verdict::ALLOW, |strictest, filter| {
            let verdict = Verdict { value: filter.program.run(data), logs: filter.logs };
            if verdict.outranks(strictest) { verdict } else { strictest }
        })
    }
}

impl Drop for Filter {
    /// One after the other: thousands of filters on top of each other must not take as many stack frames.
    fn drop(&mut self) {
        let mut next = self.previous.take();
        while let Some(mut filter) = next.and_then(Arc::into_inner) {
            next = filter.previous.take();
        }
    }
}

/// Checks a program of a filter: EINVAL.
pub fn check(code: &[Instruction]) -> Result<Arc<Program>, Errno> {
    Program::new(code).map(Arc::new)
}
