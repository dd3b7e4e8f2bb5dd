//! Which controllers a group has files of, and hands on to the groups below it (cgroup v2 `cgroup.controllers`,
//! `cgroup.subtree_control`). What a group uses is counted, and limits above it bind, whether it has files or not.

use super::{Cgroup, tree::HIERARCHY};
use alloc::{string::String, sync::Arc, vec::Vec};
use veridian_containers::abi::Errno;

bitflags::bitflags! {
    /// A set of controllers.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Controllers: u8 {
        /// Which CPUs tasks run on.
        const CPUSET = 1;
        /// CPU time.
        const CPU = 2;
        /// Memory.
        const MEMORY = 4;
        /// Number of tasks.
        const PIDS = 8;
    }
}

/// By name, in Linux's order.
const NAMES: [(&str, Controllers); 4] = [
    ("cpuset", Controllers::CPUSET),
    ("cpu", Controllers::CPU),
    ("memory", Controllers::MEMORY),
    ("pids", Controllers::PIDS),
];

impl Controllers {
    /// The names, as the files list them.
    pub fn names(self) -> String {
        let names: Vec<&str> = NAMES.iter().filter(|(_, one)| self.contains(*one)).map(|(name, _)| *name).collect();
        names.join(" ")
    }
}

impl Cgroup {
    /// The controllers that the group has files of.
    pub fn controllers(&self) -> Controllers {
        self.own_control.lock().own
    }

    /// Those that groups made below it by mkdir(2) have.
    pub fn subtree_control(&self) -> Controllers {
        self.own_control.lock().subtree
    }

    /// Gives a new container's group all controllers that there are.
    pub fn own_all_controllers(&self) {
        self.own_control.lock().own = Controllers::all();
    }

    /// Writes `cgroup.subtree_control`: `+cpu -pids`.
    ///
    /// # Errors
    /// EINVAL: no such controller. ENOENT: the group has it not itself. EBUSY: one to be taken away is handed on by a
    /// group below, or one is to be handed on by a group that has tasks itself and is not the root. ENODEV: removed.
    pub fn control_subtree(self: &Arc<Self>, text: &str) -> Result<(), Errno> {
        let (mut on, mut off) = (Controllers::empty(), Controllers::empty());
        for word in text.split_ascii_whitespace() {
            let (sign, name) = word.split_at_checked(1).ok_or(Errno::EINVAL)?;
            let (_, one) = NAMES.iter().find(|(known, _)| *known == name).ok_or(Errno::EINVAL)?;
            match sign {
                "+" => (on, off) = (on | *one, off - *one),
                "-" => (on, off) = (on - *one, off | *one),
                _ => return Err(Errno::EINVAL),
            }
        }
        let hierarchy = HIERARCHY.lock();
        if self.is_removed() {
            return Err(Errno::ENODEV);
        }
        let before = self.subtree_control();
        let after = (before | on) - off;
        let children = self.children();
        if !self.controllers().contains(on) {
            return Err(Errno::ENOENT);
        }
        if children.iter().any(|child| child.subtree_control().intersects(before - after)) {
            return Err(Errno::EBUSY);
        }
        if !(after - before).is_empty() && self.parent().is_some() && self.has_tasks() {
            return Err(Errno::EBUSY);
        }
        self.own_control.lock().subtree = after;
        for child in &children {
            child.own_control.lock().own = after;
            child.reset(before - after);
        }
        drop(hierarchy);
        Ok(())
    }
}

/// What a group has and hands on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Control {
    pub own: Controllers,
    pub subtree: Controllers,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::memory;

    #[test]
    fn controllers_are_handed_down_and_taken_back_from_below() {
        memory::tests::machine();
        let root = Cgroup::root();
        assert_eq!(root.controllers().names(), "cpuset cpu memory pids");
        let outer = root.create("outer").expect("a group");
        assert_eq!(outer.controllers(), Controllers::empty());
        assert_eq!(outer.control_subtree("+pids"), Err(Errno::ENOENT));
        for bad in ["pids", "+io", "+", "*pids", "+pids +rdma"] {
            assert_eq!(root.control_subtree(bad), Err(Errno::EINVAL), "{bad}");
        }
        root.control_subtree("+pids +memory").expect("the root has them");
        outer.control_subtree("+pids").expect("it has it now");
        assert_eq!(root.control_subtree("-pids"), Err(Errno::EBUSY));
        outer.pids.set_max(3);
        outer.control_subtree("-pids").expect("nobody below has it");
        root.control_subtree("-pids").expect("nobody below hands it on");
        assert_eq!(outer.pids.stat().max, crate::cgroup::pids::UNLIMITED, "the limit is gone with the file");
    }

    #[test]
    fn a_group_with_tasks_hands_nothing_on() {
        memory::tests::machine();
        let root = Cgroup::root();
        let group = root.create("group").expect("a group");
        root.control_subtree("+cpu").expect("the root may");
        let task = group.admit().expect("room");
        assert_eq!(group.control_subtree("+cpu"), Err(Errno::EBUSY));
        drop(task);
        group.control_subtree("+cpu").expect("no task");
    }
}
