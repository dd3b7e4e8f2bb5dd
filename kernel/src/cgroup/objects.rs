//! What objects on the kernel heap cost that several groups have together. No memory group is charged for the heap itself;
//! so that a container cannot fill it, objects are paid for in pages: for each 4096 bytes of a pool's objects, the group
//! whose task went over the line is charged one, until objects go away.

use super::{MemoryGroup, memory::KernelPage};
use alloc::{sync::Arc, vec::Vec};
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, sync::SpinLock};

/// The objects of one kind of books: a file system's, a namespace's.
#[derive(Debug, Default)]
pub struct ObjectPool(SpinLock<Objects>);

#[derive(Debug, Default)]
struct Objects {
    bytes: usize,
    pages: Vec<KernelPage>,
}

impl ObjectPool {
    /// Pays for an object of `bytes`: ENOMEM when `memory` has no page for it.
    pub fn charge(self: &Arc<Self>, bytes: usize, memory: &MemoryGroup) -> Result<ObjectCharge, Errno> {
        let mut objects = self.0.lock();
        let total = objects.bytes + bytes;
        while objects.pages.len() * PAGE_SIZE < total {
            let page = memory.charge_kernel_page()?;
            objects.pages.push(page);
        }
        objects.bytes = total;
        Ok(ObjectCharge { pool: self.clone(), bytes })
    }

    /// Bytes of objects now.
    pub fn bytes(&self) -> usize {
        self.0.lock().bytes
    }
}

/// The right of an object to lie on the kernel heap. Given back when dropped.
#[derive(Debug)]
pub struct ObjectCharge {
    pool: Arc<ObjectPool>,
    bytes: usize,
}

impl Drop for ObjectCharge {
    fn drop(&mut self) {
        let mut objects = self.pool.0.lock();
        objects.bytes -= self.bytes;
        let needed = objects.bytes.div_ceil(PAGE_SIZE);
        let spare = if needed < objects.pages.len() { objects.pages.split_off(needed) } else { Vec::new() };
        drop(objects);
        drop(spare);
    }
}
