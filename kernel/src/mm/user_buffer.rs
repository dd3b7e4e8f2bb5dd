//! User memory as the destination of a read and the origin of a write: one stretch, or several one after the other.

use alloc::{sync::Arc, vec::Vec};
use core::ops::Range;
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, UserAddr, mem::Frame};

use super::AddressSpace;
use crate::fs::io::{Sink, Source};

/// The most bytes of one transfer (Linux's MAX_RW_COUNT): more is cut off.
pub const TRANSFER_MAX: usize = i32::MAX as usize & !(PAGE_SIZE - 1);

/// Stretches of user memory that are filled or emptied in order. No promise that any of it is mapped.
pub struct UserBuffer {
    space: Arc<AddressSpace>,
    now: Stretch,
    /// What comes after `now`, the last first.
    later: Vec<Stretch>,
    remaining: usize,
}

/// A claim of a program that it has memory there.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    at: UserAddr,
    bytes: usize,
}

impl UserBuffer {
    /// `bytes` at `at`.
    pub fn new(space: Arc<AddressSpace>, at: UserAddr, bytes: usize) -> Self {
        let bytes = bytes.min(TRANSFER_MAX);
        Self { space, now: Stretch { at, bytes }, later: Vec::new(), remaining: bytes }
    }

    /// The stretches of a readv or a writev, in order.
    ///
    /// # Errors
    /// EINVAL: their lengths do not add up to a size that read(2) could return.
    pub fn vectored(space: Arc<AddressSpace>, stretches: &[(UserAddr, usize)]) -> Result<Self, Errno> {
        let sum = stretches.iter().try_fold(0usize, |sum, &(_, bytes)| sum.checked_add(bytes));
        sum.filter(|&sum| isize::try_from(sum).is_ok()).ok_or(Errno::EINVAL)?;
        let mut remaining = 0;
        let mut later: Vec<Stretch> = Vec::with_capacity(stretches.len());
        for &(at, bytes) in stretches {
            let bytes = bytes.min(TRANSFER_MAX - remaining);
            remaining += bytes;
            later.push(Stretch { at, bytes });
        }
        later.reverse();
        Ok(Self { space, now: Stretch { at: UserAddr(0), bytes: 0 }, later, remaining })
    }

    /// Bytes that it still takes or gives.
    pub fn remaining(&self) -> usize {
        self.remaining
    }

    /// Moves `length` bytes by `step`, which is given a user address, how far it is, and how many bytes to move.
    fn advance(
        &mut self,
        length: usize,
        mut step: impl FnMut(&AddressSpace, UserAddr, Range<usize>) -> (usize, Result<(), Errno>),
    ) -> Result<(), Errno> {
        let mut done = 0;
        while done < length {
            if self.now.bytes == 0 {
                self.now = self.later.pop().ok_or(Errno::EFAULT)?;
                continue;
            }
            let bytes = self.now.bytes.min(length - done);
            let (moved, result) = step(&self.space, self.now.at, done..done + bytes);
            done += moved;
            self.remaining -= moved;
            self.now.bytes -= moved;
            self.now.at = UserAddr(self.now.at.0.wrapping_add(moved));
            result?;
        }
        Ok(())
    }
}

impl Sink for UserBuffer {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.advance(bytes.len(), |space, at, part| space.write_up_to(at, &bytes[part]))
    }

    fn put_frame(&mut self, frame: &Frame, range: Range<usize>) -> Result<(), Errno> {
        self.advance(range.len(), |space, at, part| {
            space.write_frame(at, frame, range.start + part.start..range.start + part.end)
        })
    }
}

impl Source for UserBuffer {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn take(&mut self, bytes: &mut [u8]) -> Result<(), Errno> {
        let length = bytes.len();
        self.advance(length, |space, at, part| space.read_up_to(at, &mut bytes[part]))
    }

    fn take_to_frame(&mut self, frame: &Frame, range: Range<usize>) -> Result<(), Errno> {
        self.advance(range.len(), |space, at, part| {
            space.read_frame(at, frame, range.start + part.start..range.start + part.end)
        })
    }
}
