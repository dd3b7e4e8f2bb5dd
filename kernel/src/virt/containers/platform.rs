//! `Platform` for this kernel: each operation of the engine goes to the file of its subject.

use super::{cgroup, mounts, namespaces, process::Process, program, root::Root};
use crate::{cgroup::Cgroup, fs::Location, namespace::Namespaces, sched::WaitQueue, task::Thread};
use alloc::sync::Arc;
use veridian_containers::{
    ContainerId, NamespaceSet, Signal,
    config::{self, Mount, Process as Description, Resources},
    engine::{ContainerKey, Error, Housing, Platform},
};

/// This kernel, as the engine sees it.
#[derive(Debug, Default)]
pub struct Kernel {
    exits: WaitQueue,
}

impl Kernel {
    /// Woken whenever a container has stopped.
    pub fn exits(&self) -> &WaitQueue {
        &self.exits
    }
}

impl Platform for Kernel {
    type Caller = Arc<Thread>;
    type Directory = Location;
    type Cgroup = Arc<Cgroup>;
    type Namespaces = Namespaces;
    type Root = Root;
    type Process = Process;

    async fn create_cgroup(
        &self,
        caller: &Arc<Thread>,
        id: &ContainerId,
        limits: &Resources,
    ) -> Result<Arc<Cgroup>, Error> {
        cgroup::create(caller, id, limits)
    }

    async fn create_namespaces(
        &self,
        caller: &Arc<Thread>,
        _cgroup: &Arc<Cgroup>,
        new: NamespaceSet,
    ) -> Result<Namespaces, Error> {
        namespaces::create(caller, new)
    }

    async fn set_hostname(&self, namespaces: &Namespaces, hostname: &str) -> Result<(), Error> {
        namespaces::set_hostname(namespaces, hostname)
    }

    async fn open_root(
        &self,
        caller: &Arc<Thread>,
        _namespaces: &Namespaces,
        bundle: &Location,
        path: &str,
    ) -> Result<Root, Error> {
        Root::open(caller, bundle, path)
    }

    async fn mount(
        &self,
        caller: &Arc<Thread>,
        _namespaces: &Namespaces,
        root: &Root,
        bundle: &Location,
        mount: &Mount,
    ) -> Result<(), Error> {
        mounts::add(caller, root, bundle, mount)
    }

    async fn pivot_root(&self, _namespaces: &Namespaces, root: &Root, settings: &config::Root) -> Result<(), Error> {
        root.pivot(settings)
    }

    async fn load_process(
        &self,
        caller: &Arc<Thread>,
        key: ContainerKey,
        housing: Housing<'_, Self>,
        process: &Description,
    ) -> Result<Process, Error> {
        program::load(caller, key, housing, process)
    }

    async fn start_process(&self, process: &Process) -> Result<(), Error> {
        process.release()
    }

    fn signal_process(&self, process: &Process, signal: Signal) -> Result<(), Error> {
        process.signal(signal)
    }

    fn process_id(&self, process: &Process, caller: &Arc<Thread>) -> u32 {
        process.number(caller)
    }

    fn discard_process(&self, process: Process) {
        drop(process);
    }

    fn close_root(&self, root: Root) {
        root.close();
    }

    fn remove_namespaces(&self, namespaces: Namespaces) {
        drop(namespaces);
    }

    fn remove_cgroup(&self, cgroup: Arc<Cgroup>) {
        cgroup.remove_tree();
    }
}
