//! The time namespace (time_namespaces(7)): how far its CLOCK_MONOTONIC and CLOCK_BOOTTIME are from the machine's.
//!
//! A process is never moved while it runs: unshare(2) sets the namespace of its children and of its next program.
//! The offsets can be set until the first process is in the namespace. Programs read its clocks without the kernel, by a
//! vDSO of its own.

use super::{UserNamespace, next_inode};
use crate::{
    cgroup::{MemoryGroup, memory::Kind},
    mm::{PageSource, image::vdso},
};
use alloc::{format, string::String, sync::Arc};
use core::str::SplitAsciiWhitespace;
use veridian_containers::abi::Errno;
use veridian_hal::{
    PAGE_SIZE, clock,
    mem::{Frame, Owner},
    sync::{Once, SpinLock},
    vdso::Clocks,
};

const NS_PER_S: i128 = 1_000_000_000;
/// No clock shows more seconds than this, or less than none (Linux's KTIME_SEC_MAX / 2).
const SHOWN_MAX_S: i128 = i64::MAX as i128 / NS_PER_S / 2;

/// A clock that a namespace can shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// CLOCK_MONOTONIC, with its coarse and raw variants.
    Monotonic,
    /// CLOCK_BOOTTIME.
    Boottime,
}

impl Clock {
    /// As `timens_offsets` names it: by word or by Linux's number.
    fn from_word(word: &str) -> Option<Self> {
        match word {
            "monotonic" | "1" => Some(Self::Monotonic),
            "boottime" | "7" => Some(Self::Boottime),
            _ => None,
        }
    }
}

/// Offsets of the two clocks, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Offsets {
    monotonic: i64,
    boottime: i64,
}

impl Offsets {
    fn of(&mut self, clock: Clock) -> &mut i64 {
        match clock {
            Clock::Monotonic => &mut self.monotonic,
            Clock::Boottime => &mut self.boottime,
        }
    }
}

/// Offsets of clocks.
#[derive(Debug)]
pub struct TimeNamespace {
    inode: u64,
    owner: Arc<UserNamespace>,
    clocks: Arc<Shifted>,
}

/// Its clocks, as its processes have them in their memory.
#[derive(Debug)]
struct Shifted {
    state: SpinLock<State>,
    /// Whether it is the machine's: then nobody pays for the page.
    is_first: bool,
    /// Made when a program looks at it first: the offsets stay as they are from then on.
    page: Once<Frame>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    offsets: Offsets,
    /// A process is or was in the namespace.
    entered: bool,
}

impl TimeNamespace {
    /// The machine's first one: its clocks show what the machine's do.
    pub fn first() -> Self {
        Self::new(UserNamespace::first(), State { offsets: Offsets::default(), entered: true }, true)
    }

    /// A new one that begins with the offsets of this one.
    pub fn child(&self, owner: &Arc<UserNamespace>) -> Self {
        let offsets = self.clocks.state.lock().offsets;
        Self::new(owner, State { offsets, entered: false }, false)
    }

    fn new(owner: &Arc<UserNamespace>, state: State, is_first: bool) -> Self {
        let clocks = Shifted { state: SpinLock::new(state), is_first, page: Once::new() };
        Self { inode: next_inode(), owner: owner.clone(), clocks: Arc::new(clocks) }
    }

    /// The vDSO of its programs.
    pub fn vdso(&self) -> Arc<dyn PageSource> {
        self.clocks.clone()
    }

    /// The user namespace whose capabilities rule it.
    pub fn owner(&self) -> &Arc<UserNamespace> {
        &self.owner
    }

    /// The number of `/proc/<pid>/ns/time`.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// Notes that a process is in it: the offsets stay as they are from now on.
    pub fn enter(&self) {
        self.clocks.state.lock().entered = true;
    }

    /// What the clock shows in this namespace, in nanoseconds.
    pub fn now_ns(&self, clock: Clock) -> u64 {
        clock::now_ns().saturating_add_signed(*self.clocks.state.lock().offsets.of(clock))
    }

    /// Sets an offset (the whole seconds and the nanoseconds above them).
    ///
    /// # Errors
    /// EACCES: a process is in the namespace. EINVAL: nanoseconds that fill a second. ERANGE: the clock would show
    /// less than zero or more than the kernel reckons with.
    pub fn set_offset(&self, clock: Clock, seconds: i64, nanoseconds: u32) -> Result<(), Errno> {
        self.set_offsets(&[(clock, seconds, nanoseconds)])
    }

    /// A write to `timens_offsets`: one or two lines `<clock> <seconds> <nanoseconds>`. All or nothing.
    ///
    /// # Errors
    /// As [`Self::set_offset`]; EINVAL too for what is no such line.
    pub fn write_offsets(&self, text: &[u8]) -> Result<(), Errno> {
        let text = core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
        let mut lines: heapless::Vec<(Clock, i64, u32), 2> = heapless::Vec::new();
        for line in text.lines().filter(|line| !line.trim_ascii().is_empty()) {
            let line = parse_line(line.split_ascii_whitespace()).ok_or(Errno::EINVAL)?;
            lines.push(line).map_err(|_| Errno::EINVAL)?;
        }
        if lines.is_empty() {
            return Err(Errno::EINVAL);
        }
        self.set_offsets(&lines)
    }

    /// What `timens_offsets` shows.
    pub fn offsets_text(&self) -> String {
        let Offsets { monotonic, boottime } = self.clocks.state.lock().offsets;
        let line = |name, offset: i64| {
            let (seconds, nanoseconds) = (offset.div_euclid(1_000_000_000), offset.rem_euclid(1_000_000_000));
            format!("{name:<10} {seconds:>10} {nanoseconds:>9}\n")
        };
        line("monotonic", monotonic) + &line("boottime", boottime)
    }

    fn set_offsets(&self, lines: &[(Clock, i64, u32)]) -> Result<(), Errno> {
        let now = i128::from(clock::now_ns());
        let mut state = self.clocks.state.lock();
        if state.entered {
            return Err(Errno::EACCES);
        }
        let mut offsets = state.offsets;
        for &(clock, seconds, nanoseconds) in lines {
            if i128::from(nanoseconds) >= NS_PER_S {
                return Err(Errno::EINVAL);
            }
            let offset = i128::from(seconds) * NS_PER_S + i128::from(nanoseconds);
            if !(0..=SHOWN_MAX_S * NS_PER_S).contains(&(now + offset)) {
                return Err(Errno::ERANGE);
            }
            *offsets.of(clock) = i64::try_from(offset).map_err(|_| Errno::ERANGE)?;
        }
        state.offsets = offsets;
        Ok(())
    }
}

impl PageSource for Shifted {
    fn page(&self, _: u64, memory: &MemoryGroup) -> Result<Frame, Errno> {
        if let Some(page) = self.page.get() {
            return Ok(page.clone());
        }
        let frame = if self.is_first {
            Frame::zeroed(Owner::KERNEL).map_err(|_| Errno::ENOMEM)?
        } else {
            memory.zeroed_frame(Kind::Kernel)?
        };
        let Offsets { monotonic, boottime } = self.state.lock().offsets;
        let realtime_ns = clock::boot_time_unix().unwrap_or(0) * NS_PER_S as u64;
        let clocks = Clocks { realtime_ns, monotonic_ns: monotonic, boottime_ns: boottime };
        frame.write(0, &vdso::page(clocks));
        Ok(self.page.call_once(|| frame).clone())
    }

    fn resident_page(&self, _: u64) -> Option<Frame> {
        self.page.get().cloned()
    }

    fn length_bytes(&self) -> u64 {
        PAGE_SIZE as u64
    }
}

fn parse_line(mut words: SplitAsciiWhitespace<'_>) -> Option<(Clock, i64, u32)> {
    let clock = Clock::from_word(words.next()?)?;
    let (seconds, nanoseconds) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    words.next().is_none().then_some((clock, seconds, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_set_until_a_process_is_inside() {
        let first = TimeNamespace::first();
        assert_eq!(first.set_offset(Clock::Monotonic, 1, 0), Err(Errno::EACCES));
        let inner = first.child(UserNamespace::first());
        assert_ne!(inner.inode(), first.inode());
        assert_eq!(inner.write_offsets(b"monotonic 100 5\n7 -0 1\n"), Ok(()));
        assert_eq!(inner.offsets_text(), "monotonic         100         5\nboottime            0         1\n");
        let (plain, shifted) = (first.now_ns(Clock::Monotonic), inner.now_ns(Clock::Monotonic));
        assert!(shifted - plain >= 100_000_000_005);
        inner.enter();
        assert_eq!(inner.write_offsets(b"monotonic 0 0"), Err(Errno::EACCES));
        assert_eq!(inner.child(UserNamespace::first()).offsets_text(), inner.offsets_text());
    }

    #[test]
    fn what_is_no_offset_changes_nothing() {
        let inner = TimeNamespace::first().child(UserNamespace::first());
        for (text, errno) in [
            ("", Errno::EINVAL),
            ("monotonic", Errno::EINVAL),
            ("monotonic 1", Errno::EINVAL),
            ("monotonic 1 2 3", Errno::EINVAL),
            ("realtime 1 2", Errno::EINVAL),
            ("monotonic 1 1000000000", Errno::EINVAL),
            ("monotonic 1 -1", Errno::EINVAL),
            ("monotonic 1 0\nboottime 1 0\nmonotonic 2 0\n", Errno::EINVAL),
            ("monotonic -1000000 0", Errno::ERANGE),
            ("boottime 1 0\nmonotonic 4611686020 0", Errno::ERANGE),
            ("monotonic 9223372036854775807 0", Errno::ERANGE),
        ] {
            assert_eq!(inner.write_offsets(text.as_bytes()), Err(errno), "{text}");
        }
        assert_eq!(inner.offsets_text(), "monotonic           0         0\nboottime            0         0\n");
    }
}
