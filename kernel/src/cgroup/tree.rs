//! The tree of groups: making, finding and removing them.

use super::{
    Controllers, MemoryGroup, PidsGroup, controllers::Control, devices::DeviceRules, members::Tasks,
    memory::KernelCharge, owners::Owners, setting::CpuMax,
};
use crate::{fs::synthetic::Changes, sched::Group};
use alloc::{boxed::Box, collections::BTreeMap, string::String, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// How deep groups nest below the root: every charge walks up this far.
pub const DEPTH_MAX: usize = 32;
/// Groups below one group. (With what each costs its parent's memory group, a bound on what a delegate can make.)
pub const DESCENDANTS_MAX: usize = 65_536;
/// The longest name, in bytes (NAME_MAX).
const NAME_MAX: usize = 255;
/// What a group takes of the kernel's heap.
const GROUP_BYTES: usize = 2048;

/// One lock for the shape of all trees: it changes rarely.
pub(super) static HIERARCHY: SpinLock<()> = SpinLock::new(());
/// Numbers of groups: 1 is the root of the machine.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A group of tasks with limits. It is there until it is removed.
pub struct Cgroup {
    id: u64,
    name: Box<str>,
    parent: Option<Arc<Self>>,
    depth: usize,
    /// By name. Under the lock of the hierarchy.
    children: SpinLock<BTreeMap<Box<str>, Arc<Self>>>,
    /// Groups below it.
    descendants: AtomicUsize,
    pub(super) tasks: SpinLock<Tasks>,
    /// Live tasks in it and below.
    pub(super) live: AtomicUsize,
    /// Told when what `cgroup.events` or `memory.events` says has changed.
    pub(super) changes: Arc<Changes>,
    /// `cgroup.freeze`.
    pub(super) frozen: AtomicBool,
    /// No task in it or below lives on, those included that are being made.
    pub(super) condemned: AtomicBool,
    /// Which controllers it has files of.
    pub(super) own_control: SpinLock<Control>,
    /// Bounds on groups below it: how deep, how many (cgroup.max.depth, cgroup.max.descendants).
    depth_max: AtomicUsize,
    descendants_max: AtomicUsize,
    /// Groups that were below it, are removed, and still used.
    dying: AtomicUsize,
    pub(super) owners: SpinLock<Owners>,
    /// The group of a container.
    container: AtomicBool,
    /// Made only to lead to a container's group.
    passing: AtomicBool,
    /// What the group itself costs the kernel, paid by its parent.
    _cost: Option<KernelCharge>,
    /// Which devices its tasks may use; `None`: any that the groups above may.
    pub(super) devices: SpinLock<Option<Arc<DeviceRules>>>,
    /// Bytes of memory.
    pub memory: Arc<MemoryGroup>,
    /// Number of tasks.
    pub pids: Arc<PidsGroup>,
    /// CPU time.
    pub cpu: Arc<Group>,
    pub(super) cpu_max: SpinLock<CpuMax>,
}

impl Cgroup {
    /// The group that everything is in, without limits.
    pub fn root() -> Arc<Self> {
        Arc::new(Self::new(None, Box::from(""), MemoryGroup::root(), PidsGroup::root(), Group::root().clone(), None))
    }

    fn new(
        parent: Option<&Arc<Self>>,
        name: Box<str>,
        memory: Arc<MemoryGroup>,
        pids: Arc<PidsGroup>,
        cpu: Arc<Group>,
        cost: Option<KernelCharge>,
    ) -> Self {
        let own = parent.map_or(Controllers::all(), |parent| parent.subtree_control());
        let control = Control { own, subtree: Controllers::empty() };
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            name,
            parent: parent.cloned(),
            depth: parent.map_or(0, |parent| parent.depth + 1),
            children: SpinLock::default(),
            descendants: AtomicUsize::new(0),
            tasks: SpinLock::default(),
            live: AtomicUsize::new(0),
            changes: Arc::new(Changes::new()),
            frozen: AtomicBool::new(false),
            condemned: AtomicBool::new(false),
            own_control: SpinLock::new(control),
            depth_max: AtomicUsize::new(usize::MAX),
            descendants_max: AtomicUsize::new(usize::MAX),
            dying: AtomicUsize::new(0),
            owners: SpinLock::default(),
            container: AtomicBool::new(false),
            passing: AtomicBool::new(false),
            _cost: cost,
            devices: SpinLock::new(None),
            memory,
            pids,
            cpu,
            cpu_max: SpinLock::new(CpuMax::NONE),
        }
    }

    /// A new group below this one, without limits of its own.
    ///
    /// # Errors
    /// EEXIST: the name is taken. EINVAL: it is no name, or has a newline. EAGAIN: too deep, or too many groups
    /// (cgroup.max.depth, cgroup.max.descendants). ENODEV: this group was removed. ENOMEM.
    pub fn create(self: &Arc<Self>, name: &str) -> Result<Arc<Self>, Errno> {
        let is_name = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\n']);
        if !is_name {
            return Err(Errno::EINVAL);
        }
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let cost = self.memory.charge_kernel(GROUP_BYTES)?;
        let hierarchy = HIERARCHY.lock();
        if self.tasks.lock().removed {
            return Err(Errno::ENODEV);
        }
        let full = |group: &Self| {
            group.descendants() >= group.descendants_max().min(DESCENDANTS_MAX)
                || self.depth - group.depth >= group.depth_max()
        };
        if self.depth >= DEPTH_MAX || self.to_root().any(full) {
            return Err(Errno::EAGAIN);
        }
        let mut children = self.children.lock();
        if children.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        let (memory, pids) = (MemoryGroup::child(&self.memory), PidsGroup::child(&self.pids));
        let cpu = Group::child(&self.cpu);
        let group = Arc::new(Self::new(Some(self), Box::from(name), memory, pids, cpu, Some(cost)));
        children.insert(Box::from(name), group.clone());
        drop(children);
        for above in self.to_root() {
            above.descendants.fetch_add(1, Ordering::Relaxed);
        }
        drop(hierarchy);
        Ok(group)
    }

    /// Takes the group out of the tree.
    ///
    /// # Errors
    /// EBUSY: it has a task or a group below it, or is the root. ENODEV: it was removed.
    pub fn remove(self: &Arc<Self>) -> Result<(), Errno> {
        let parent = self.parent.as_ref().ok_or(Errno::EBUSY)?;
        let hierarchy = HIERARCHY.lock();
        if !self.children.lock().is_empty() {
            return Err(Errno::EBUSY);
        }
        let mut tasks = self.tasks.lock();
        if tasks.removed {
            return Err(Errno::ENODEV);
        }
        if tasks.present > 0 {
            return Err(Errno::EBUSY);
        }
        tasks.removed = true;
        drop(tasks);
        let gone = parent.children.lock().remove(&self.name);
        for above in parent.to_root() {
            above.descendants.fetch_sub(1, Ordering::Relaxed);
            above.dying.fetch_add(1, Ordering::Relaxed);
        }
        drop(hierarchy);
        drop(gone);
        Ok(())
    }

    /// Removes the group and those below it, the deepest first, as far as nobody is in them.
    pub fn remove_tree(self: &Arc<Self>) {
        for group in self.subtree().into_iter().rev() {
            // Who is in use stays, and so do those above it.
            let _ = group.remove();
        }
    }

    /// Its number, unique for all time.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its name in its parent; empty for the root.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The group above it.
    pub fn parent(&self) -> Option<&Arc<Self>> {
        self.parent.as_ref()
    }

    /// Groups above it.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The group of this name directly below it.
    pub fn child(&self, name: &str) -> Option<Arc<Self>> {
        self.children.lock().get(name).cloned()
    }

    /// The groups directly below it, by name.
    pub fn children(&self) -> Vec<Arc<Self>> {
        self.children.lock().values().cloned().collect()
    }

    /// Groups below it, at any depth.
    pub fn descendants(&self) -> usize {
        self.descendants.load(Ordering::Relaxed)
    }

    /// Groups that were below it, are removed, and still used by somebody.
    pub fn dying_descendants(&self) -> usize {
        self.dying.load(Ordering::Relaxed)
    }

    /// How many groups may be below it; `usize::MAX` if nobody has said.
    pub fn descendants_max(&self) -> usize {
        self.descendants_max.load(Ordering::Relaxed)
    }

    /// Sets [`Self::descendants_max`].
    pub fn set_descendants_max(&self, most: usize) {
        self.descendants_max.store(most, Ordering::Relaxed);
    }

    /// How deep groups may nest below it; `usize::MAX` if nobody has said.
    pub fn depth_max(&self) -> usize {
        self.depth_max.load(Ordering::Relaxed)
    }

    /// Sets [`Self::depth_max`].
    pub fn set_depth_max(&self, most: usize) {
        self.depth_max.store(most, Ordering::Relaxed);
    }

    /// Marks it as the group of a container.
    pub fn set_container(&self) {
        self.container.store(true, Ordering::Relaxed);
    }

    /// The group of the innermost container that the group is in.
    pub fn container(self: &Arc<Self>) -> Option<Arc<Self>> {
        self.groups_to_root().find(|group| group.container.load(Ordering::Relaxed))
    }

    /// Marks it as made only to lead to a container's group, and to go with that.
    pub fn set_passing(&self, passing: bool) {
        self.passing.store(passing, Ordering::Relaxed);
    }

    /// See [`Self::set_passing`].
    pub fn is_passing(&self) -> bool {
        self.passing.load(Ordering::Relaxed)
    }

    /// The path of `other` as one sees it for whom this group is the root: `/..` for each group above.
    pub fn path_of(&self, other: &Self) -> String {
        let mut common = self;
        let mut path = String::new();
        while !common.contains(other)
            && let Some(parent) = &common.parent
        {
            path.push_str("/..");
            common = parent;
        }
        let mut names: Vec<&str> =
            other.to_root().take_while(|at| !core::ptr::eq(*at, common)).map(Self::name).collect();
        names.reverse();
        for name in names {
            path.push('/');
            path.push_str(name);
        }
        if path.is_empty() { String::from("/") } else { path }
    }

    /// Whether it was removed from the tree.
    pub fn is_removed(&self) -> bool {
        self.tasks.lock().removed
    }

    /// The group and all below it, each before those below it.
    pub fn subtree(self: &Arc<Self>) -> Vec<Arc<Self>> {
        let hierarchy = HIERARCHY.lock();
        let mut groups = alloc::vec![self.clone()];
        let mut next = 0;
        while let Some(group) = groups.get(next) {
            let children = group.children();
            groups.extend(children);
            next += 1;
        }
        drop(hierarchy);
        groups
    }

    /// As [`Self::to_root`], with handles.
    pub fn groups_to_root(self: &Arc<Self>) -> impl Iterator<Item = Arc<Self>> {
        core::iter::successors(Some(self.clone()), |group| group.parent.clone())
    }

    /// Itself and the groups above it.
    pub fn to_root(&self) -> impl Iterator<Item = &Self> {
        core::iter::successors(Some(self), |group| group.parent.as_deref())
    }

    /// Whether `other` is this group or below it.
    pub fn contains(&self, other: &Self) -> bool {
        other.to_root().any(|group| core::ptr::eq(group, self))
    }

    /// The path from the root group, `/` first.
    pub fn path(&self) -> String {
        let root = self.to_root().last().unwrap_or(self);
        root.path_of(self)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if self.is_removed() {
            for above in self.to_root().skip(1) {
                above.dying.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.memory.close();
    }
}

impl core::fmt::Debug for Cgroup {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::memory;

    #[test]
    fn groups_are_made_by_name_and_removed_when_nobody_is_in_them() {
        memory::tests::machine();
        let root = Cgroup::root();
        let outer = root.create("outer").expect("a group");
        let inner = outer.create("inner").expect("a group");
        assert_eq!(inner.path(), "/outer/inner");
        assert_eq!(outer.create("inner").err(), Some(Errno::EEXIST));
        for bad in ["", ".", "..", "a/b", "a\nb"] {
            assert_eq!(outer.create(bad).err(), Some(Errno::EINVAL), "{bad:?}");
        }
        assert_eq!(outer.remove(), Err(Errno::EBUSY), "a group is below it");
        let admission = inner.admit().expect("room");
        assert_eq!(inner.remove(), Err(Errno::EBUSY), "a task is in it");
        assert!(outer.is_populated());
        drop(admission);
        assert!(!outer.is_populated());
        assert_eq!((inner.remove(), outer.remove(), root.remove()), (Ok(()), Ok(()), Err(Errno::EBUSY)));
        assert_eq!(inner.admit().err(), Some(Errno::ENODEV));
        assert_eq!(outer.create("late").err(), Some(Errno::ENODEV));
        drop((inner, outer));
        assert_eq!((root.descendants(), root.memory.current_bytes()), (0, 0));
    }

    #[test]
    fn groups_nest_only_so_deep() {
        memory::tests::machine();
        let mut group = Cgroup::root();
        for level in 0..DEPTH_MAX {
            group = group.create("g").unwrap_or_else(|errno| panic!("level {level}: {errno}"));
        }
        assert_eq!(group.create("g").err(), Some(Errno::EAGAIN));
    }

    #[test]
    fn a_tree_of_groups_goes_at_once() {
        memory::tests::machine();
        let root = Cgroup::root();
        let top = root.create("top").expect("a group");
        for name in ["a", "b"] {
            top.create(name).and_then(|group| group.create("c")).expect("a group");
        }
        assert_eq!((root.descendants(), top.subtree().len()), (5, 5));
        top.remove_tree();
        assert_eq!(root.descendants(), 0);
    }
}
