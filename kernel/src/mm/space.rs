//! The address space of a process.

use alloc::{sync::Arc, vec::Vec};
use core::ops::Range;
use veridian_containers::abi::Errno;
use veridian_hal::{
    UserAddr,
    mem::{Frame, PageTable},
    user::Access,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::FaultError;
use crate::cgroup::MemoryGroup;

/// What a process sees as its memory.
pub struct AddressSpace {
    table: Arc<PageTable>,
    memory: Arc<MemoryGroup>,
}

impl AddressSpace {
    /// An empty space whose frames are charged to `memory`.
    pub fn new(memory: Arc<MemoryGroup>) -> Result<Arc<Self>, Errno> {
        let table = PageTable::new(memory.clone()).map_err(|_| Errno::ENOMEM)?;
        Ok(Arc::new(Self { table, memory }))
    }

    /// The page table, to run user code with.
    pub fn table(&self) -> &Arc<PageTable> {
        &self.table
    }

    /// Who is charged.
    pub fn memory(&self) -> &Arc<MemoryGroup> {
        &self.memory
    }

    /// A copy for a forked process.
    pub fn fork(&self, _memory: Arc<MemoryGroup>) -> Result<Arc<Self>, Errno> {
        unimplemented!()
    }

    /// Makes an access possible that has trapped.
    pub fn fault(&self, _address: UserAddr, _access: Access) -> Result<(), FaultError> {
        unimplemented!()
    }

    /// Copies from user memory.
    pub fn read_bytes(&self, _from: UserAddr, _to: &mut [u8]) -> Result<(), Errno> {
        unimplemented!()
    }

    /// Copies to user memory.
    pub fn write_bytes(&self, _to: UserAddr, _from: &[u8]) -> Result<(), Errno> {
        unimplemented!()
    }

    /// Reads a structure.
    pub fn read<T: FromBytes + IntoBytes>(&self, _from: UserAddr) -> Result<T, Errno> {
        unimplemented!()
    }

    /// Writes a structure.
    pub fn write<T: IntoBytes + Immutable>(&self, _to: UserAddr, _value: &T) -> Result<(), Errno> {
        unimplemented!()
    }

    /// Reads a string up to its NUL.
    pub fn read_c_string(&self, _from: UserAddr, _max: usize) -> Result<Vec<u8>, Errno> {
        unimplemented!()
    }

    /// Writes part of a frame to user memory.
    pub fn write_frame(&self, _to: UserAddr, _frame: &Frame, _range: Range<usize>) -> Result<(), Errno> {
        unimplemented!()
    }

    /// Reads user memory into part of a frame.
    pub fn read_frame(&self, _from: UserAddr, _frame: &Frame, _range: Range<usize>) -> Result<(), Errno> {
        unimplemented!()
    }
}
