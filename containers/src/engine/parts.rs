//! What create builds, and the one place where it is taken down.

use alloc::sync::Arc;

use super::{House, Platform};

/// What the steps have built so far. Dropping it undoes them, the last first: this is the one place where a
/// container is taken down, be it half built or stopped.
pub(super) struct Parts<P: Platform> {
    platform: Arc<P>,
    pub(super) cgroup: Option<P::Cgroup>,
    pub(super) namespaces: Option<P::Namespaces>,
    pub(super) root: Option<P::Root>,
    pub(super) process: Option<P::Process>,
}

impl<P: Platform> Parts<P> {
    pub(super) const fn new(platform: Arc<P>) -> Self {
        Self { platform, cgroup: None, namespaces: None, root: None, process: None }
    }

    /// The kernel that they were built in.
    pub(super) fn platform(&self) -> &P {
        &self.platform
    }

    /// The cgroup of a container that is built.
    pub(super) fn cgroup(&self) -> &P::Cgroup {
        match &self.cgroup {
            Some(cgroup) => cgroup,
            None => unreachable!("what needs the cgroup comes after the step that makes it"),
        }
    }

    /// Where the container's processes live, once cgroup and namespaces are made.
    pub(super) fn house(&self) -> House<'_, P> {
        match &self.namespaces {
            Some(namespaces) => House { cgroup: self.cgroup(), namespaces, root: self.root.as_ref() },
            None => unreachable!("what needs the namespaces comes after the step that makes them"),
        }
    }

    /// The process of a container that is built.
    pub(super) fn process(&self) -> &P::Process {
        match &self.process {
            Some(process) => process,
            None => unreachable!("what needs the process comes after the step that makes it"),
        }
    }
}

impl<P: Platform> Drop for Parts<P> {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            self.platform.discard_process(process);
        }
        if let Some(root) = self.root.take() {
            self.platform.close_root(root);
        }
        if let Some(namespaces) = self.namespaces.take() {
            self.platform.remove_namespaces(namespaces);
        }
        if let Some(cgroup) = self.cgroup.take() {
            self.platform.remove_cgroup(cgroup);
        }
    }
}
