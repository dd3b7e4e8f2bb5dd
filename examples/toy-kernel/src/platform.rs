//! What the engine asks of the kernel. No operation waits, and hooks, devices, sysctls, masked and read-only paths are
//! not among them: `enforces` says so.

use std::pin::Pin;

use veridian_containers::abi::{Errno, Stats, WaitStatus};
use veridian_containers::config::{Mount, MountFlags, Resources, Root};
use veridian_containers::engine::{ContainerKey, Error, House, NamespaceRequest, Platform, Program, Viewer};
use veridian_containers::keys::KeyId;
use veridian_containers::{ContainerId, NamespaceKind, Signal};

use crate::kernel::{Group, State, Task, Toy, View, below, plain, take};

impl Toy {
    /// Does one operation, unless it is the one that is to fail.
    fn operation<T>(&self, act: impl FnOnce(&mut State) -> Result<T, Errno>) -> Result<T, Error> {
        let mut state = self.lock();
        match state.fails_after.as_mut() {
            Some(0) => {
                state.fails_after = None;
                return Err(Errno::EIO.into());
            }
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(act(&mut state)?)
    }

    /// An operation that always succeeds, but for that one.
    fn change(&self, act: impl FnOnce(&mut State)) -> Result<(), Error> {
        self.operation(|state| {
            act(state);
            Ok(())
        })
    }
}

impl State {
    fn add(&mut self, key: ContainerKey, house: House<'_, Toy>, script: Option<Vec<String>>) -> Result<u32, Errno> {
        let (group, view) = (*house.cgroup, *house.namespaces);
        take(&mut self.group(group).tasks, 1, Errno::EAGAIN)?;
        let (number, first) = (self.number(), script.is_none());
        let task = Task { key, first, group, view, script: script.unwrap_or_default(), runs: false };
        self.world.tasks.insert(number, task);
        Ok(number)
    }

    fn load(&mut self, view: u32, program: Program<'_>) -> Result<Vec<String>, Errno> {
        let name = &program.process.args[0];
        let text = self.read(view, &if name.contains('/') { name.clone() } else { format!("/bin/{name}") })?;
        if text.is_empty() { Err(Errno::ENOEXEC) } else { Ok(text.lines().map(String::from).collect()) }
    }

    /// Lets a process run.
    pub fn release(&mut self, number: u32) -> Result<(), Errno> {
        self.world.tasks.get_mut(&number).map(|task| task.runs = true).ok_or(Errno::ESRCH)
    }

    /// A directory of the machine: an absolute path, or one that does not lead out of the bundle.
    fn source(&self, bundle: &str, path: &str) -> Result<String, Errno> {
        let is_absolute = path.starts_with('/');
        let found = plain(&if is_absolute { path.into() } else { format!("{bundle}/{path}") });
        if !is_absolute && below(&found, bundle).is_none() {
            return Err(Errno::EXDEV);
        }
        self.world.files.keys().any(|file| below(file, &found).is_some()).then_some(found).ok_or(Errno::ENOENT)
    }
}

/// Sets the limits that are given, all or none.
fn limit(group: &mut Group, resources: &Resources) -> Result<(), Errno> {
    let memory = resources.memory.limit.map(|limit| limit.value().map_or(u64::MAX, |bytes| bytes.0));
    let tasks = resources.pids.map(|limit| limit.value().map_or(u64::MAX, |tasks| tasks.get().into()));
    if memory.is_some_and(|memory| memory < group.memory[0]) {
        return Err(Errno::EBUSY);
    }
    (group.memory[2], group.tasks[2]) = (memory.unwrap_or(group.memory[2]), tasks.unwrap_or(group.tasks[2]));
    Ok(())
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
    type Guest = u32;

    fn enforces(&self, key: KeyId, word: &str) -> bool {
        match key {
            KeyId::RootPath | KeyId::RootReadonly | KeyId::Hostname | KeyId::MemoryLimit | KeyId::PidsLimit => true,
            KeyId::Namespace => matches!(word, "pid" | "mount" | "uts"),
            KeyId::Mount => matches!(word, "type bind" | "ro"),
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
        self.change(|_| ())
    }

    fn runtime_of(&self, (): &()) {}

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.lock().work.push(future);
    }

    async fn create_cgroup(&self, (): &(), _: &ContainerId, _: Option<&str>, most: &Resources) -> Result<u32, Error> {
        self.operation(|state| {
            let mut group = Group { memory: [0, 0, u64::MAX], tasks: [0, 0, u64::MAX], ..Group::default() };
            limit(&mut group, most)?;
            let number = state.number();
            state.world.groups.insert(number, group);
            Ok(number)
        })
    }

    async fn create_namespaces(&self, (): &(), _: &u32, request: NamespaceRequest<'_>) -> Result<u32, Error> {
        let own_pids = request.namespaces.is_new(NamespaceKind::Pid);
        self.operation(|state| {
            let number = state.number();
            state.world.views.insert(number, View { own_pids, host: "toy".into(), ..View::default() });
            Ok(number)
        })
    }

    async fn set_names(&self, view: &u32, host: Option<&str>, _: Option<&str>) -> Result<(), Error> {
        self.change(|state| state.view(*view).host = host.unwrap_or("toy").into())
    }

    async fn open_root(&self, (): &(), _: &u32, bundle: &str, path: &str) -> Result<String, Error> {
        self.operation(|state| state.source(bundle, path))
    }

    async fn mount(&self, (): &(), house: House<'_, Self>, bundle: &str, mount: &Mount) -> Result<(), Error> {
        self.operation(|state| {
            let (at, source) = (plain(&mount.destination), state.source(bundle, &mount.source)?);
            let read_only = mount.set.contains(MountFlags::READ_ONLY);
            state.view(*house.namespaces).mounts.push((at, source, read_only));
            Ok(())
        })
    }

    async fn create_process(&self, (): &(), key: ContainerKey, house: House<'_, Self>) -> Result<u32, Error> {
        self.operation(|state| state.add(key, house, None))
    }

    async fn pivot_root(&self, house: House<'_, Self>, root: &Root) -> Result<(), Error> {
        let (at, source) = (String::new(), house.root.cloned().unwrap_or_default());
        self.change(|state| state.view(*house.namespaces).mounts.push((at, source, root.readonly)))
    }

    async fn load_process(&self, (): &(), house: House<'_, Self>, task: &u32, run: Program<'_>) -> Result<(), Error> {
        self.operation(|state| {
            let script = state.load(*house.namespaces, run)?;
            state.world.tasks.get_mut(task).ok_or(Errno::ESRCH)?.script = script;
            Ok(())
        })
    }

    async fn exec_process(
        &self,
        (): &(),
        key: ContainerKey,
        house: House<'_, Self>,
        _: &u32,
        program: Program<'_>,
    ) -> Result<u32, Error> {
        self.operation(|state| {
            let script = state.load(*house.namespaces, program)?;
            state.add(key, house, Some(script))
        })
    }

    async fn start_process(&self, task: &u32) -> Result<(), Error> {
        self.operation(|state| state.release(*task))
    }

    async fn freeze(&self, group: &u32) -> Result<(), Error> {
        self.change(|state| state.group(*group).frozen = true)
    }

    async fn thaw(&self, group: &u32) -> Result<(), Error> {
        self.change(|state| state.group(*group).frozen = false)
    }

    async fn update_cgroup(&self, group: &u32, resources: &Resources) -> Result<(), Error> {
        self.operation(|state| limit(state.group(*group), resources))
    }

    fn stats(&self, group: &u32) -> Stats {
        let Group { memory, tasks, time, .. } = self.lock().group(*group).clone();
        let ([memory_current, memory_peak, memory_limit], [pids_current, pids_peak, pids_limit]) = (memory, tasks);
        let stats = Stats { memory_current, memory_peak, memory_limit, cpu_usage_ns: time, ..Stats::default() };
        Stats { cpu_user_ns: time, pids_current, pids_peak, pids_limit, ..stats }
    }

    fn signal_process(&self, number: &u32, signal: Signal) -> Result<(), Error> {
        self.operation(|state| {
            let task = state.world.tasks.get(number).ok_or(Errno::ESRCH)?;
            // Scripts have no handlers, and a pid 1 without one is reached by SIGKILL only.
            if signal == Signal::SIGKILL {
                state.end(*number, WaitStatus::Signaled(signal), false);
            } else if !state.world.views[&task.view].own_pids {
                return Err(Errno::EOPNOTSUPP);
            }
            Ok(())
        })
    }

    fn process_id(&self, number: &u32, viewer: Viewer<'_, Self>) -> u32 {
        let state = self.lock();
        match (state.world.tasks.get(number), viewer) {
            (None, _) => 0,
            (Some(task), Viewer::Itself) if state.world.views[&task.view].own_pids => 1,
            _ => *number,
        }
    }

    fn discard_process(&self, number: u32) {
        self.lock().end(number, WaitStatus::Signaled(Signal::SIGKILL), false);
    }

    fn close_root(&self, _: String) {}

    fn remove_namespaces(&self, view: u32) {
        self.lock().world.views.remove(&view);
    }

    fn remove_cgroup(&self, group: u32) {
        self.lock().world.groups.remove(&group);
    }
}
