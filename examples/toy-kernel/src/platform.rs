//! What the engine asks of the kernel. No operation waits. Hooks, mounts, devices, sysctls, masked and read-only paths
//! are not among them: `enforces` says so; nor are exec, pause and update, which the trait then refuses with ENOSYS.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::MutexGuard;

use veridian_containers::abi::{Errno, Stats, WaitStatus};
use veridian_containers::config::{Limit, Resources, Root};
use veridian_containers::engine::{ContainerKey, Error, House, NamespaceRequest, Platform, Program, Viewer};
use veridian_containers::keys::KeyId;
use veridian_containers::{ContainerId, Signal};

use crate::kernel::{Room, State, Task, Toy, plain, take};

impl Toy {
    /// Begins an operation, unless it is the one that is to fail.
    fn operation(&self) -> Result<MutexGuard<'_, State>, Error> {
        let mut state = self.lock();
        let fails = state.fails_after == Some(0);
        state.fails_after = state.fails_after.and_then(|left| left.checked_sub(1));
        if fails { Err(Errno::EIO.into()) } else { Ok(state) }
    }
}

impl Platform for Toy {
    type Caller = ();
    type Directory = str;
    type Runtime = ();
    type Charge = ();
    type Cgroup = u32;
    type Namespaces = u32;
    type Root = String;
    type Process = u32;
    type Guest = Infallible;

    fn enforces(&self, key: KeyId, word: &str) -> bool {
        match key {
            KeyId::RootPath | KeyId::RootReadonly | KeyId::Hostname | KeyId::MemoryLimit | KeyId::PidsLimit => true,
            KeyId::Namespace => matches!(word, "mount" | "uts"),
            // Nothing needs a capability and nothing grants one; there are neither devices nor permission bits.
            KeyId::Capability | KeyId::NoNewPrivileges | KeyId::DeviceRule | KeyId::Umask => true,
            _ => false,
        }
    }

    // Programs cannot create containers, and there is one user, who sees all.
    fn container_of(&self, (): &()) -> Option<ContainerKey> {
        None
    }

    fn user_of(&self, (): &()) -> u32 {
        0
    }

    fn sees(&self, (): &(), _: &u32) -> bool {
        true
    }

    fn now(&self) -> u64 {
        self.lock().ticks
    }

    // Kernel memory is free here.
    fn charge(&self, (): &(), _: usize) -> Result<(), Error> {
        self.operation().map(drop)
    }

    fn runtime_of(&self, (): &()) {}

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.lock().work.push(future);
    }

    async fn create_cgroup(&self, (): &(), _: &ContainerId, _: Option<&str>, most: &Resources) -> Result<u32, Error> {
        let mut state = self.operation()?;
        let memory = [0, 0, most.memory.limit.and_then(Limit::value).map_or(u64::MAX, |bytes| bytes.0)];
        let tasks = [0, 0, most.pids.and_then(Limit::value).map_or(u64::MAX, |tasks| tasks.get().into())];
        let (number, host) = (state.number(), String::from("toy"));
        state.world.rooms.insert(number, Room { memory, tasks, time: 0, host, root: String::new(), read_only: false });
        Ok(number)
    }

    async fn create_namespaces(&self, (): &(), room: &u32, _: NamespaceRequest<'_>) -> Result<u32, Error> {
        self.operation().map(|_| *room)
    }

    async fn set_names(&self, room: &u32, host: Option<&str>, _: Option<&str>) -> Result<(), Error> {
        self.operation()?.room(*room).host = host.unwrap_or("toy").into();
        Ok(())
    }

    async fn open_root(&self, (): &(), _: &u32, bundle: &str, path: &str) -> Result<String, Error> {
        let state = self.operation()?;
        let is_absolute = path.starts_with('/');
        let root = plain(&if is_absolute { path.into() } else { format!("{bundle}/{path}") });
        let holds = |above: &str, path: &str| path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
        if !is_absolute && !holds(bundle, &root) {
            return Err(Errno::EXDEV.into());
        }
        Ok(state.world.files.keys().any(|file| holds(&root, file)).then_some(root).ok_or(Errno::ENOENT)?)
    }

    async fn create_process(&self, (): &(), key: ContainerKey, house: House<'_, Self>) -> Result<u32, Error> {
        let mut state = self.operation()?;
        let room = *house.cgroup;
        take(&mut state.room(room).tasks, 1, Errno::EAGAIN)?;
        let first = state.number();
        state.world.tasks.insert(first, Task { key, first, room, script: Vec::new(), runs: false });
        Ok(first)
    }

    async fn pivot_root(&self, house: House<'_, Self>, root: &Root) -> Result<(), Error> {
        let mut state = self.operation()?;
        let room = state.room(*house.namespaces);
        (room.root, room.read_only) = (house.root.cloned().unwrap_or_default(), root.readonly);
        Ok(())
    }

    async fn load_process(&self, (): &(), house: House<'_, Self>, task: &u32, run: Program<'_>) -> Result<(), Error> {
        let mut state = self.operation()?;
        let name = &run.process.args[0];
        let path = if name.contains('/') { name.clone() } else { format!("/bin/{name}") };
        let text = state.read(*house.namespaces, &path)?;
        let task = state.world.tasks.get_mut(task).ok_or(Errno::ESRCH)?;
        task.script = text.lines().map(String::from).collect();
        Ok(())
    }

    async fn start_process(&self, task: &u32) -> Result<(), Error> {
        self.operation()?.world.tasks.get_mut(task).ok_or(Errno::ESRCH)?.runs = true;
        Ok(())
    }

    fn stats(&self, room: &u32) -> Stats {
        let Room { memory, tasks, time, .. } = self.lock().room(*room).clone();
        let ([memory_current, memory_peak, memory_limit], [pids_current, pids_peak, pids_limit]) = (memory, tasks);
        let stats = Stats { memory_current, memory_peak, memory_limit, cpu_usage_ns: time, ..Stats::default() };
        Stats { cpu_user_ns: time, pids_current, pids_peak, pids_limit, ..stats }
    }

    fn signal_process(&self, task: &u32, signal: Signal) -> Result<(), Error> {
        let mut state = self.operation()?;
        state.world.tasks.get(task).ok_or(Errno::ESRCH)?;
        if signal != Signal::SIGKILL {
            return Err(Errno::EOPNOTSUPP.into());
        }
        state.end(*task, WaitStatus::Signaled(signal), false);
        Ok(())
    }

    fn process_id(&self, task: &u32, _: Viewer<'_, Self>) -> u32 {
        if self.lock().world.tasks.contains_key(task) { *task } else { 0 }
    }

    fn discard_process(&self, number: u32) {
        self.lock().end(number, WaitStatus::Signaled(Signal::SIGKILL), false);
    }

    fn close_root(&self, _: String) {}

    fn remove_namespaces(&self, _: u32) {}

    fn remove_cgroup(&self, room: u32) {
        self.lock().world.rooms.remove(&room);
    }
}
