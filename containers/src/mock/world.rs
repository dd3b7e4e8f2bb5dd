//! What a mock kernel holds.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::config::{Mount, Resources};
use crate::engine::ContainerKey;
use crate::{NamespaceSet, Signal};

/// Everything that exists. Two worlds are equal if nothing was leaked and nothing lost between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// Bytes of kernel memory charged to callers.
    pub charged: usize,
    /// Cgroups: the id they were made for, their limits, and whether they are frozen.
    pub cgroups: BTreeMap<u32, MockCgroup>,
    /// Sets of namespaces.
    pub namespaces: BTreeMap<u32, MockNamespaces>,
    /// Open root directories, by path.
    pub roots: BTreeMap<u32, String>,
    /// Processes.
    pub processes: BTreeMap<u32, MockProcess>,
}

/// A cgroup in the mock's world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MockCgroup {
    /// The id it was made for.
    pub id: String,
    /// Its limits: what create gave and each update after it.
    pub resources: Vec<Resources>,
    /// Whether it is frozen.
    pub frozen: bool,
}

/// A set of namespaces in the mock's world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MockNamespaces {
    /// The kinds that are new.
    pub new: NamespaceSet,
    /// Names, variables, nodes, read-only and hidden paths, in the order in which they were set.
    pub set: Vec<String>,
    /// What was mounted, in order.
    pub mounts: Vec<Mount>,
    /// The root, once it was changed, and whether it is read-only.
    pub root: Option<(u32, bool)>,
}

/// A process in the mock's world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MockProcess {
    /// Its container.
    pub key: ContainerKey,
    /// The cgroup, the namespaces and the root it lives in.
    pub house: (u32, u32, Option<u32>),
    /// Its arguments; none before it is loaded.
    pub args: Vec<String>,
    /// Whether it is made, held, runs, or has ended.
    pub phase: MockPhase,
    /// The signals it was sent, in order.
    pub signals: Vec<Signal>,
}

/// Where a process of the mock's world stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MockPhase {
    /// Without a program.
    Made,
    /// Held before its first instruction.
    Held,
    /// Let go.
    Running,
    /// Ended.
    Ended,
}
