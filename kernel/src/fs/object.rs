//! What an open file can be besides a regular file or a directory: an object with its own reading and writing.

use super::{
    OpenFlags,
    io::{Sink, Source},
};
use crate::{cgroup::MemoryGroup, task::Thread};
use alloc::{string::String, sync::Arc};
use bitflags::bitflags;
use core::{
    any::Any,
    fmt::Debug,
    task::{Context, Poll},
};
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;

bitflags! {
    /// What poll(2) asks and tells; bits are Linux's.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Readiness: u16 {
        /// A read would not wait.
        const IN = 0x001;
        /// Something exceptional.
        const PRI = 0x002;
        /// A write would not wait.
        const OUT = 0x004;
        /// An error; told whether asked or not.
        const ERR = 0x008;
        /// The other side is gone; told whether asked or not.
        const HUP = 0x010;
        /// Not an open descriptor; told whether asked or not.
        const NVAL = 0x020;
        /// As `IN`.
        const RDNORM = 0x040;
        /// As `OUT`.
        const WRNORM = 0x100;
        /// The other side sends nothing more.
        const RDHUP = 0x2000;
    }
}

impl Readiness {
    /// All that says that a read would not wait.
    pub const READABLE: Self = Self::IN.union(Self::RDNORM);
    /// All that says that a write would not wait.
    pub const WRITABLE: Self = Self::OUT.union(Self::WRNORM);
    /// What is told whether asked or not.
    pub const ALWAYS: Self = Self::ERR.union(Self::HUP).union(Self::NVAL);
}

/// What a task is about to do with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Read it.
    Read,
    /// Write it.
    Write,
    /// ioctl(2) with this request.
    Control(u32),
}

/// What is read and written at an offset, without waiting.
pub trait Positioned {
    /// Reads at `offset`, up to what `sink` takes. 0 is the end.
    fn read_at(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize, Errno>;

    /// Writes at `offset`.
    fn write_at(&self, offset: u64, source: &mut dyn Source) -> Result<usize, Errno>;
}

/// A pipe's end, a device, a container: what stands behind an open file that is no regular file and no directory.
///
/// Operations do not wait: one that would have to returns `Pending` and wakes the task of `cx` when it is worth
/// another try.
pub trait FileObject: Any + Debug + Send + Sync {
    /// Reads what there is, up to what `sink` takes. 0 is the end of the file.
    fn poll_read(&self, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        let _ = (cx, sink);
        Poll::Ready(Err(Errno::EINVAL))
    }

    /// Writes what there is room for, at least a byte; frames are charged to `memory`.
    fn poll_write(
        &self,
        cx: &mut Context<'_>,
        source: &mut dyn Source,
        memory: &MemoryGroup,
    ) -> Poll<Result<usize, Errno>> {
        let _ = (cx, source, memory);
        Poll::Ready(Err(Errno::EINVAL))
    }

    /// What of [`Readiness`] is true now. Wakes the task of `cx` when any of `interest` becomes so, or does once more.
    fn poll_ready(&self, cx: &mut Context<'_>, interest: Readiness) -> Readiness;

    /// Waits until the object is open: a fifo's other end may not be there yet.
    fn poll_opened(&self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = cx;
        Poll::Ready(())
    }

    /// The object, if what is read and written depends on the offset: then nothing else of it is asked to read or write.
    fn positioned(&self) -> Option<&dyn Positioned> {
        None
    }

    /// Whether a read(2) is one [`Self::poll_read`], and a write(2) of up to PIPE_BUF bytes one [`Self::poll_write`], which
    /// takes all of them or waits: there is neither job control nor a message.
    fn is_atomic(&self) -> bool {
        false
    }

    /// Whether offsets are accepted, and mean nothing (`/dev/null`).
    fn ignores_offsets(&self) -> bool {
        false
    }

    /// What `/proc/<pid>/fd` calls it where it has no path, in square brackets; `inode` is its number.
    fn description(&self, inode: u64) -> String {
        let _ = inode;
        String::from("anon_inode:[object]")
    }

    /// Bytes that can be read at once (FIONREAD).
    fn readable_bytes(&self) -> Option<usize> {
        None
    }

    /// `thread` has just opened the node that this stands behind. Gives another object in its place where the node
    /// stands for one of the caller's own (`/dev/tty`).
    fn opened(&self, thread: &Arc<Thread>, flags: OpenFlags) -> Result<Option<Arc<dyn FileObject>>, Errno> {
        let _ = (thread, flags);
        Ok(None)
    }

    /// Whether `thread` was stopped by a signal for trying this (job control): it must wait for the signal to take effect,
    /// and try again when it goes on.
    fn stops(&self, thread: &Thread, attempt: Attempt) -> Result<bool, Errno> {
        let _ = (thread, attempt);
        Ok(false)
    }

    /// ioctl(2), of a request that is not every file's; ENOTTY for one that this kind of object does not know.
    fn ioctl(&self, thread: &Arc<Thread>, request: u32, argument: UserAddr) -> Result<usize, Errno> {
        let _ = (thread, request, argument);
        Err(Errno::ENOTTY)
    }
}
