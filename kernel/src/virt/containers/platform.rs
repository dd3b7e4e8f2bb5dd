//! `Platform` for this kernel: each operation of the engine goes to the file of its subject.

use super::{
    cgroup, devices, hooks, mounts,
    namespaces::{self, ContainerNamespaces},
    paths,
    process::{self, Guest, Process},
    root::Root,
    runtime::Runtime,
};
use crate::{
    cgroup::{Cgroup, KernelCharge},
    fs::{Location, Timestamp},
    sched,
    task::Thread,
};
use alloc::{boxed::Box, sync::Arc};
use core::pin::Pin;
use veridian_containers::{
    ContainerId, Signal,
    abi::Stats,
    config::{self, Device, Mount, Resources},
    engine::{ContainerKey, Error, HookPlace, HookRun, House, NamespaceRequest, Platform, Program, Viewer},
    keys::KeyId,
};

/// This kernel, as the engine sees it.
#[derive(Debug, Default)]
pub struct Kernel;

impl Platform for Kernel {
    type Caller = Arc<Thread>;
    type Directory = Location;
    type Runtime = Runtime;
    type Charge = KernelCharge;
    type Cgroup = Arc<Cgroup>;
    type Namespaces = ContainerNamespaces;
    type Root = Root;
    type Process = Process;
    type Guest = Guest;

    fn enforces(&self, key: KeyId, word: &str) -> bool {
        config::is_enforced(key, word)
    }

    fn container_of(&self, caller: &Arc<Thread>) -> Option<ContainerKey> {
        caller.container().map(ContainerKey::from)
    }

    fn user_of(&self, caller: &Arc<Thread>) -> u32 {
        caller.credentials().uid
    }

    fn sees(&self, caller: &Arc<Thread>, cgroup: &Arc<Cgroup>) -> bool {
        caller.cgroup().contains(cgroup)
    }

    fn now(&self) -> u64 {
        const NS_PER_S: u64 = 1_000_000_000;
        let now = Timestamp::now();
        now.seconds.unsigned_abs() * NS_PER_S + u64::from(now.nanoseconds)
    }

    fn charge(&self, caller: &Arc<Thread>, bytes: usize) -> Result<KernelCharge, Error> {
        cgroup::charge(caller, bytes)
    }

    fn runtime_of(&self, caller: &Arc<Thread>) -> Runtime {
        Runtime::of(caller)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        sched::spawn(future);
    }

    async fn create_cgroup(
        &self,
        caller: &Arc<Thread>,
        id: &ContainerId,
        path: Option<&str>,
        resources: &Resources,
    ) -> Result<Arc<Cgroup>, Error> {
        cgroup::create(caller, id, path, resources)
    }

    async fn create_namespaces(
        &self,
        caller: &Arc<Thread>,
        cgroup: &Arc<Cgroup>,
        request: NamespaceRequest<'_>,
    ) -> Result<ContainerNamespaces, Error> {
        namespaces::create(caller, cgroup, request)
    }

    async fn set_names(
        &self,
        namespaces: &ContainerNamespaces,
        host: Option<&str>,
        domain: Option<&str>,
    ) -> Result<(), Error> {
        namespaces::set_names(&namespaces.set, host, domain)
    }

    async fn set_sysctl(&self, namespaces: &ContainerNamespaces, name: &str, value: &str) -> Result<(), Error> {
        namespaces::set_sysctl(&namespaces.set, name, value)
    }

    async fn open_root(
        &self,
        caller: &Arc<Thread>,
        namespaces: &ContainerNamespaces,
        bundle: &Location,
        path: &str,
    ) -> Result<Root, Error> {
        Root::open(caller, &namespaces.user, bundle, path)
    }

    async fn mount(
        &self,
        caller: &Arc<Thread>,
        house: House<'_, Self>,
        bundle: &Location,
        mount: &Mount,
    ) -> Result<(), Error> {
        mounts::add(caller, house, bundle, mount)
    }

    async fn make_device(&self, caller: &Arc<Thread>, house: House<'_, Self>, device: &Device) -> Result<(), Error> {
        devices::make(caller, house, device)
    }

    async fn create_process(
        &self,
        _caller: &Arc<Thread>,
        key: ContainerKey,
        house: House<'_, Self>,
    ) -> Result<Process, Error> {
        Process::create(key, house)
    }

    async fn run_hook(&self, runtime: &Runtime, place: HookPlace<'_, Self>, run: HookRun<'_>) -> Result<(), Error> {
        hooks::run(runtime, place, run).await
    }

    async fn pivot_root(&self, house: House<'_, Self>, root: &config::Root) -> Result<(), Error> {
        house.root.map_or(Ok(()), |opened| opened.pivot(root))
    }

    async fn mask_path(&self, house: House<'_, Self>, path: &str) -> Result<(), Error> {
        paths::mask(house, path)
    }

    async fn protect_path(&self, house: House<'_, Self>, path: &str) -> Result<(), Error> {
        paths::protect(house, path)
    }

    async fn load_process(
        &self,
        caller: &Arc<Thread>,
        house: House<'_, Self>,
        process: &Process,
        program: Program<'_>,
    ) -> Result<(), Error> {
        process::load(caller, house, process, program)
    }

    async fn exec_process(
        &self,
        caller: &Arc<Thread>,
        key: ContainerKey,
        house: House<'_, Self>,
        _process: &Process,
        program: Program<'_>,
    ) -> Result<Guest, Error> {
        process::exec(caller, key, house, program)
    }

    async fn start_process(&self, process: &Process) -> Result<(), Error> {
        process.release()
    }

    async fn freeze(&self, cgroup: &Arc<Cgroup>) -> Result<(), Error> {
        cgroup::freeze(cgroup).await;
        Ok(())
    }

    async fn thaw(&self, cgroup: &Arc<Cgroup>) -> Result<(), Error> {
        cgroup.thaw();
        Ok(())
    }

    async fn update_cgroup(&self, cgroup: &Arc<Cgroup>, resources: &Resources) -> Result<(), Error> {
        Ok(cgroup.update(resources)?)
    }

    fn stats(&self, cgroup: &Arc<Cgroup>) -> Stats {
        cgroup::stats(cgroup)
    }

    fn signal_process(&self, process: &Process, signal: Signal) -> Result<(), Error> {
        process.signal(signal)
    }

    fn process_id(&self, process: &Process, viewer: Viewer<'_, Self>) -> u32 {
        match viewer {
            Viewer::Caller(caller) => process.number_in(caller.pid().namespace()),
            Viewer::Runtime(runtime) => process.number_in(runtime.pid_namespace()),
            Viewer::Itself => process.own_number(),
        }
    }

    fn discard_process(&self, process: Process) {
        drop(process);
    }

    fn close_root(&self, root: Root) {
        root.close();
    }

    fn remove_namespaces(&self, namespaces: ContainerNamespaces) {
        drop(namespaces);
    }

    fn remove_cgroup(&self, cgroup: Arc<Cgroup>) {
        cgroup::remove(&cgroup);
    }
}
