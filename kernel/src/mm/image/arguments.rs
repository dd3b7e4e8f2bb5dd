//! argv and envp on their way from one address space to the next: one buffer, as the strings will lie on the stack.

use alloc::vec::Vec;
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;

use crate::mm::AddressSpace;

/// A list of strings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// Each string with its NUL.
    bytes: Vec<u8>,
    count: usize,
}

impl Arguments {
    /// The longest string, its NUL included (Linux's MAX_ARG_STRLEN).
    pub const MAX_STRING_BYTES: usize = 128 * 1024;
    /// argv and envp together, with their pointers: a quarter of the usual stack, as on Linux.
    pub const MAX_BYTES: usize = 2 << 20;

    /// Reads a null-terminated array of pointers to strings. A null `array` is an empty one, as on Linux.
    /// `budget` is what argv and envp may still take together, and is lowered.
    ///
    /// # Errors
    /// EFAULT, ENOMEM; E2BIG: over the budget, or a string too long.
    pub fn read(space: &AddressSpace, array: UserAddr, budget: &mut usize) -> Result<Self, Errno> {
        let mut list = Self::default();
        if array == UserAddr(0) {
            return Ok(list);
        }
        loop {
            let slot = array.checked_add(list.count * size_of::<usize>()).ok_or(Errno::EFAULT)?;
            let string: usize = space.read(slot)?;
            if string == 0 {
                return Ok(list);
            }
            *budget = budget.checked_sub(size_of::<usize>() + 1).ok_or(Errno::E2BIG)?;
            let max = (*budget).min(Self::MAX_STRING_BYTES - 1);
            let length =
                space.append_c_string(UserAddr(string), max, &mut list.bytes).map_err(|errno| match errno {
                    Errno::ENAMETOOLONG => Errno::E2BIG,
                    other => other,
                })?;
            *budget -= length;
            list.bytes.push(0);
            list.count += 1;
        }
    }

    /// Adds a string of the kernel's own. Everything from a NUL on is left out.
    pub fn push(&mut self, string: &[u8]) {
        let end = string.iter().position(|&byte| byte == 0).unwrap_or(string.len());
        self.bytes.extend_from_slice(&string[..end]);
        self.bytes.push(0);
        self.count += 1;
    }

    /// Number of strings.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The strings, without their NULs.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split_inclusive(|&byte| byte == 0).map(|string| &string[..string.len() - 1])
    }

    /// The strings as they lie in memory.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl<'a> FromIterator<&'a [u8]> for Arguments {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(strings: I) -> Self {
        let mut list = Self::default();
        strings.into_iter().for_each(|string| list.push(string));
        list
    }
}
