//! Reading and writing a program's memory on its behalf: what is not present is faulted in, what is not there or
//! not allowed is EFAULT.

use alloc::{sync::Arc, vec::Vec};
use core::ops::Range;
use veridian_containers::abi::Errno;
use veridian_hal::{
    PAGE_SIZE, UserAddr,
    mem::{Frame, PageTable},
    user::{Access, Fault},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{AddressSpace, FaultError};

/// Bytes that are looked at at once in search of a string's end: most paths and arguments are shorter.
const STRING_STEP: usize = 128;

impl AddressSpace {
    /// Copies from user memory.
    ///
    /// # Errors
    /// EFAULT, ENOMEM; `to` is partly filled then.
    pub fn read_bytes(&self, from: UserAddr, to: &mut [u8]) -> Result<(), Errno> {
        self.read_up_to(from, to).1
    }

    /// Copies to user memory.
    ///
    /// # Errors
    /// EFAULT, ENOMEM; part of the bytes may have been written then.
    pub fn write_bytes(&self, to: UserAddr, from: &[u8]) -> Result<(), Errno> {
        self.write_up_to(to, from).1
    }

    /// As [`Self::read_bytes`], and tells how many bytes were copied.
    pub fn read_up_to(&self, from: UserAddr, to: &mut [u8]) -> (usize, Result<(), Errno>) {
        let length = to.len();
        self.copy(from, length, |table, at, done| table.read(at, &mut to[done..]))
    }

    /// As [`Self::write_bytes`], and tells how many bytes were copied.
    pub fn write_up_to(&self, to: UserAddr, from: &[u8]) -> (usize, Result<(), Errno>) {
        self.copy(to, from.len(), |table, at, done| table.write(at, &from[done..]))
    }

    /// Copies part of a frame to user memory; tells how many bytes were copied.
    pub fn write_frame(&self, to: UserAddr, frame: &Frame, range: Range<usize>) -> (usize, Result<(), Errno>) {
        self.copy(to, range.len(), |table, at, done| table.write_frame(at, frame, range.start + done..range.end))
    }

    /// Copies user memory into part of a frame; tells how many bytes were copied.
    pub fn read_frame(&self, from: UserAddr, frame: &Frame, range: Range<usize>) -> (usize, Result<(), Errno>) {
        self.copy(from, range.len(), |table, at, done| table.read_frame(at, frame, range.start + done..range.end))
    }

    /// Reads a structure.
    ///
    /// # Errors
    /// EFAULT, ENOMEM.
    pub fn read<T: FromBytes + IntoBytes>(&self, from: UserAddr) -> Result<T, Errno> {
        let mut value = T::new_zeroed();
        self.read_bytes(from, value.as_mut_bytes())?;
        Ok(value)
    }

    /// Writes a structure.
    ///
    /// # Errors
    /// EFAULT, ENOMEM.
    pub fn write<T: IntoBytes + Immutable>(&self, to: UserAddr, value: &T) -> Result<(), Errno> {
        self.write_bytes(to, value.as_bytes())
    }

    /// Reads a string up to its NUL, which is not part of what is given.
    ///
    /// # Errors
    /// EFAULT, ENOMEM; ENAMETOOLONG: there is no NUL in the first `max + 1` bytes.
    pub fn read_c_string(&self, from: UserAddr, max: usize) -> Result<Vec<u8>, Errno> {
        let mut string = Vec::new();
        self.append_c_string(from, max, &mut string)?;
        Ok(string)
    }

    /// As [`Self::read_c_string`], to the end of `string`; tells the length. On an error `string` is as it was.
    ///
    /// # Errors
    /// As [`Self::read_c_string`].
    pub fn append_c_string(&self, from: UserAddr, max: usize, string: &mut Vec<u8>) -> Result<usize, Errno> {
        let start = string.len();
        let result = self.append_until_nul(from, max, string);
        if result.is_err() {
            string.truncate(start);
        }
        result.map(|()| string.len() - start)
    }

    fn append_until_nul(&self, from: UserAddr, max: usize, string: &mut Vec<u8>) -> Result<(), Errno> {
        let start = string.len();
        let mut chunk = [0; STRING_STEP];
        loop {
            let length = string.len() - start;
            let at = from.checked_add(length).ok_or(Errno::EFAULT)?;
            // Not over a page's end: the string may end on a page that is the last one mapped.
            let in_page = PAGE_SIZE - at.page_offset();
            let chunk = &mut chunk[..STRING_STEP.min(in_page).min(max.saturating_add(1) - length)];
            self.read_bytes(at, chunk)?;
            // A program's own argument may be as long as it likes: what there is no room for is its error.
            string.try_reserve(chunk.len()).map_err(|_| Errno::ENOMEM)?;
            if let Some(end) = chunk.iter().position(|&byte| byte == 0) {
                string.extend_from_slice(&chunk[..end]);
                return Ok(());
            }
            string.extend_from_slice(chunk);
            if string.len() - start > max {
                return Err(Errno::ENAMETOOLONG);
            }
        }
    }

    /// Writes bytes through their frames: for a space that no CPU has loaded.
    pub(super) fn write_unloaded(&self, to: UserAddr, from: &[u8]) -> Result<(), FaultError> {
        let mut done = 0;
        while done < from.len() {
            let at = to.checked_add(done).ok_or(FaultError::NotMapped)?;
            let step = (PAGE_SIZE - at.page_offset()).min(from.len() - done);
            self.writable_frame(at.page_start())?.write(at.page_offset(), &from[done..done + step]);
            done += step;
        }
        Ok(())
    }

    /// The frame that a write to `page` changes.
    ///
    /// # Errors
    /// As for an access of the program itself.
    pub fn writable_frame(&self, page: UserAddr) -> Result<Frame, FaultError> {
        let mut state = self.state.lock();
        self.resolve(&mut state, page.0, Access::Write)?;
        self.table.lookup(page).map(|(frame, _)| frame).ok_or(FaultError::NotMapped)
    }

    /// Copies `length` bytes by `step`, which is told how far it is and stops at a fault; resolves each fault and
    /// goes on there. Ends: each fault that is resolved makes its page accessible.
    #[inline]
    fn copy(
        &self,
        user: UserAddr,
        length: usize,
        mut step: impl FnMut(&Arc<PageTable>, UserAddr, usize) -> Result<(), Fault>,
    ) -> (usize, Result<(), Errno>) {
        match step(&self.table, user, 0) {
            Ok(()) => (length, Ok(())),
            Err(fault) => self.copy_rest(user, length, fault, step),
        }
    }

    /// The rest of what has stopped at `fault`: seldom, and apart from what is quick.
    #[cold]
    #[inline(never)]
    fn copy_rest(
        &self,
        user: UserAddr,
        length: usize,
        mut fault: Fault,
        mut step: impl FnMut(&Arc<PageTable>, UserAddr, usize) -> Result<(), Fault>,
    ) -> (usize, Result<(), Errno>) {
        loop {
            let done = fault.address.0.wrapping_sub(user.0);
            if let Err(error) = self.fault(fault.address, fault.access) {
                return (done, Err(error.into()));
            }
            match step(&self.table, fault.address, done) {
                Ok(()) => return (length, Ok(())),
                Err(next) => fault = next,
            }
        }
    }
}
