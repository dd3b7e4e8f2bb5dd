//! User memory as the end of a transfer: where a read puts and a write takes.

use super::layout::IoVec;
use crate::{
    fs::io::{Sink, Source},
    mm::AddressSpace,
};
use alloc::{sync::Arc, vec::Vec};
use core::ops::Range;
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, UserAddr, mem::Frame};

/// The most bytes of one transfer (MAX_RW_COUNT): more is cut off.
pub const TRANSFER_MAX: usize = i32::MAX as usize & !(PAGE_SIZE - 1);
/// The most buffers of one transfer (IOV_MAX).
const BUFFERS_MAX: usize = 1024;

/// One or more stretches of user memory, used up from the front.
pub struct UserBuffer {
    space: Arc<AddressSpace>,
    now: Stretch,
    /// Stretches after that, last first.
    later: Vec<Stretch>,
    remaining: usize,
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    at: UserAddr,
    length: usize,
}

impl UserBuffer {
    /// `length` bytes at `at`.
    pub fn new(space: Arc<AddressSpace>, at: UserAddr, length: usize) -> Self {
        let length = length.min(TRANSFER_MAX);
        Self { space, now: Stretch { at, length }, later: Vec::new(), remaining: length }
    }

    /// The `count` stretches that an array of `struct iovec` at `at` names (readv(2)).
    pub fn from_vector(space: Arc<AddressSpace>, at: UserAddr, count: i32) -> Result<Self, Errno> {
        let count = usize::try_from(count).ok().filter(|&count| count <= BUFFERS_MAX).ok_or(Errno::EINVAL)?;
        let mut later = Vec::with_capacity(count);
        let mut remaining = 0;
        for index in 0..count {
            let vector: IoVec = space.read(at.checked_add(index * size_of::<IoVec>()).ok_or(Errno::EFAULT)?)?;
            if isize::try_from(vector.length).is_err() {
                return Err(Errno::EINVAL);
            }
            let length = vector.length.min(TRANSFER_MAX - remaining);
            remaining += length;
            if length > 0 {
                later.push(Stretch { at: UserAddr(vector.base), length });
            }
        }
        later.reverse();
        let now = later.pop().unwrap_or(Stretch { at: UserAddr(0), length: 0 });
        Ok(Self { space, now, later, remaining })
    }

    /// Moves `length` bytes by calls of `step` with the address, how many bytes were moved before, and how many to
    /// move; it tells how many it moved.
    fn transfer(
        &mut self,
        length: usize,
        mut step: impl FnMut(&AddressSpace, UserAddr, Range<usize>) -> (usize, Result<(), Errno>),
    ) -> Result<(), Errno> {
        let mut done = 0;
        while done < length {
            while self.now.length == 0 {
                self.now = self.later.pop().ok_or(Errno::EFAULT)?;
            }
            let part = self.now.length.min(length - done);
            let (moved, result) = step(&self.space, self.now.at, done..done + part);
            done += moved;
            self.remaining -= moved;
            self.now.length -= moved;
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
        self.transfer(bytes.len(), |space, at, part| space.write_up_to(at, &bytes[part]))
    }

    fn put_frame(&mut self, frame: &Frame, range: Range<usize>) -> Result<(), Errno> {
        let start = range.start;
        self.transfer(range.len(), |space, at, part| space.write_frame(at, frame, start + part.start..start + part.end))
    }
}

impl Source for UserBuffer {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn take(&mut self, bytes: &mut [u8]) -> Result<(), Errno> {
        self.transfer(bytes.len(), |space, at, part| space.read_up_to(at, &mut bytes[part]))
    }

    fn take_to_frame(&mut self, frame: &Frame, range: Range<usize>) -> Result<(), Errno> {
        let start = range.start;
        self.transfer(range.len(), |space, at, part| space.read_frame(at, frame, start + part.start..start + part.end))
    }
}
