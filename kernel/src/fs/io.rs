//! Where the bytes of a read go and where those of a write come from: user memory or the kernel's own.

use core::ops::Range;
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, mem::Frame};

/// Takes the bytes of a read, in order.
pub trait Sink {
    /// Bytes that it still takes.
    fn remaining(&self) -> usize;

    /// Takes all of `bytes` (at most [`Self::remaining`]). On an error, [`Self::remaining`] tells how much it took.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Errno>;

    /// Takes the bytes `range` of `frame`.
    fn put_frame(&mut self, frame: &Frame, range: Range<usize>) -> Result<(), Errno>;

    /// Takes `count` zero bytes.
    fn put_zeros(&mut self, mut count: usize) -> Result<(), Errno> {
        static ZEROS: [u8; PAGE_SIZE] = [0; PAGE_SIZE];
        while count > 0 {
            let step = count.min(PAGE_SIZE);
            self.put(&ZEROS[..step])?;
            count -= step;
        }
        Ok(())
    }
}

/// Gives the bytes of a write, in order.
pub trait Source {
    /// Bytes that it still gives.
    fn remaining(&self) -> usize;

    /// Fills `bytes` (at most [`Self::remaining`]). On an error, [`Self::remaining`] tells how much it gave.
    fn take(&mut self, bytes: &mut [u8]) -> Result<(), Errno>;

    /// Fills the bytes `range` of `frame`.
    fn take_to_frame(&mut self, frame: &Frame, range: Range<usize>) -> Result<(), Errno>;
}

impl Sink for &mut [u8] {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let (now, later) = core::mem::take(self).split_at_mut(bytes.len());
        now.copy_from_slice(bytes);
        *self = later;
        Ok(())
    }

    fn put_frame(&mut self, frame: &Frame, range: Range<usize>) -> Result<(), Errno> {
        let (now, later) = core::mem::take(self).split_at_mut(range.len());
        frame.read(range.start, now);
        *self = later;
        Ok(())
    }
}

impl Source for &[u8] {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn take(&mut self, bytes: &mut [u8]) -> Result<(), Errno> {
        let (now, later) = self.split_at(bytes.len());
        bytes.copy_from_slice(now);
        *self = later;
        Ok(())
    }

    fn take_to_frame(&mut self, frame: &Frame, range: Range<usize>) -> Result<(), Errno> {
        let (now, later) = self.split_at(range.len());
        frame.write(range.start, now);
        *self = later;
        Ok(())
    }
}

/// The count of a transfer that moved `moved` bytes before `result`: an error counts only when nothing moved.
pub(crate) fn moved(moved: usize, result: Result<(), Errno>) -> Result<usize, Errno> {
    match result {
        Err(errno) if moved == 0 => Err(errno),
        _ => Ok(moved),
    }
}
