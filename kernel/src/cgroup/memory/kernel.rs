//! Charges for memory of the kernel's own that a task makes it take: counted in bytes, paid in whole frames.

use super::{Kind, MemoryGroup, OutOfMemory, reserve};
use alloc::sync::Arc;
use veridian_hal::{PAGE_SIZE, mem::Owner};

/// What a group is charged for an object on the kernel's heap. Given back when dropped.
#[derive(Debug)]
pub struct KernelCharge {
    group: Arc<MemoryGroup>,
    bytes: usize,
}

/// A page of the kernel's heap that a group is charged for, who has it or not. Given back when dropped.
#[derive(Debug)]
pub struct KernelPage(Owner);

impl MemoryGroup {
    /// Charges for a page of objects on the kernel's heap, whose group they do not know.
    pub fn charge_kernel_page(&self) -> Result<KernelPage, OutOfMemory> {
        self.charge(Kind::Kernel, reserve() / 2)?;
        Ok(KernelPage(self.owner(Kind::Kernel)))
    }

    /// Charges for `bytes` of the kernel's own.
    pub fn charge_kernel(self: &Arc<Self>, bytes: usize) -> Result<KernelCharge, OutOfMemory> {
        self.take_kernel_bytes(bytes)?;
        Ok(KernelCharge { group: self.clone(), bytes })
    }

    /// A charge of nothing yet, for what grows later.
    pub fn kernel_charge(self: &Arc<Self>) -> KernelCharge {
        KernelCharge { group: self.clone(), bytes: 0 }
    }

    fn take_kernel_bytes(&self, more: usize) -> Result<(), OutOfMemory> {
        let mut bytes = self.kernel_bytes.lock();
        let total = *bytes + more;
        let (before, after) = (bytes.div_ceil(PAGE_SIZE), total.div_ceil(PAGE_SIZE));
        for charged in 0..after - before {
            if self.charge(Kind::Kernel, reserve() / 2).is_err() {
                self.uncharge(Kind::Kernel, charged);
                return Err(OutOfMemory);
            }
        }
        *bytes = total;
        Ok(())
    }

    fn give_kernel_bytes(&self, less: usize) {
        let mut bytes = self.kernel_bytes.lock();
        let total = *bytes - less;
        let frames = bytes.div_ceil(PAGE_SIZE) - total.div_ceil(PAGE_SIZE);
        *bytes = total;
        drop(bytes);
        if frames > 0 {
            self.uncharge(Kind::Kernel, frames);
            self.forget_if_empty();
        }
    }
}

impl Drop for KernelPage {
    fn drop(&mut self) {
        super::release(self.0);
    }
}

impl KernelCharge {
    /// Charges as much as `bytes` fill whole frames, if that is more than before: what is small costs nothing.
    pub fn cover(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        let whole = bytes / PAGE_SIZE * PAGE_SIZE;
        if whole > self.bytes { self.resize(whole) } else { Ok(()) }
    }

    /// Charges for `bytes` instead; when that is refused the charge is as before.
    pub fn resize(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        if bytes > self.bytes {
            self.group.take_kernel_bytes(bytes - self.bytes)?;
        } else {
            self.group.give_kernel_bytes(self.bytes - bytes);
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for KernelCharge {
    fn drop(&mut self) {
        self.group.give_kernel_bytes(self.bytes);
    }
}
