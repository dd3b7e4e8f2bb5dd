//! Supplementary groups (credentials(7)).

use crate::cgroup::{KernelCharge, MemoryGroup, memory::OutOfMemory};
use alloc::{sync::Arc, vec::Vec};
use core::ops::Deref;

/// Supplementary groups, sorted. A list that a program has set is paid for: it may be long, and each process have its own.
#[derive(Debug, Default)]
pub struct Groups {
    sorted: Vec<u32>,
    _charge: Option<KernelCharge>,
}

impl Groups {
    /// The most that there may be (NGROUPS_MAX).
    pub const MAX: usize = 65536;

    /// A list that is bounded by what it comes from.
    pub fn of(mut groups: Vec<u32>) -> Arc<Self> {
        groups.sort_unstable();
        Arc::new(Self { sorted: groups, _charge: None })
    }

    /// A list that `memory` pays for.
    pub fn paid_by(memory: &Arc<MemoryGroup>, mut groups: Vec<u32>) -> Result<Arc<Self>, OutOfMemory> {
        let charge = memory.charge_kernel(size_of_val(&groups[..]))?;
        groups.sort_unstable();
        Ok(Arc::new(Self { sorted: groups, _charge: Some(charge) }))
    }
}

impl Deref for Groups {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.sorted
    }
}

/// Who pays makes no difference.
impl PartialEq for Groups {
    fn eq(&self, other: &Self) -> bool {
        self.sorted == other.sorted
    }
}

impl Eq for Groups {}
