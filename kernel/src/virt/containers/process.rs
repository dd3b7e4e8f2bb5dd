//! The processes of a container: the first one made, loaded, held, released, ended; further ones.

use super::{
    Kernel,
    program::{Birth, Tenant},
    runtime::Runtime,
    terminal,
};
use crate::{
    boot,
    cgroup::{Admission, Cgroup, memory::Event},
    namespace::{Pid, PidNamespace},
    sched,
    task::{self, Thread},
    tty::pty::Master,
};
use alloc::{
    boxed::Box,
    sync::{Arc, Weak},
};
use veridian_containers::{
    Signal,
    abi::{Errno, WaitStatus},
    engine::{ContainerKey, Error, Exit, House, Program},
};
use veridian_hal::sync::SpinLock;

/// A handle to the first process. It keeps it alive while it is held; from its release on it lives until its end.
pub struct Process {
    key: ContainerKey,
    stage: SpinLock<Stage>,
    /// The master side of its terminal, until its creator takes it.
    terminal: SpinLock<Option<Arc<Master>>>,
}

/// A further process, held before its first instruction.
pub struct Guest {
    /// The process.
    pub thread: Arc<Thread>,
    /// The master side of its terminal.
    pub terminal: Option<Arc<Master>>,
}

enum Stage {
    /// Without a program.
    Made(Pid, Admission),
    /// Before its first instruction.
    Held(Arc<Thread>),
    /// Let go.
    Released(Weak<Thread>),
}

impl Process {
    /// Makes it, without a program: it has its numbers and counts in its group.
    pub fn create(key: ContainerKey, house: House<'_, Kernel>) -> Result<Self, Error> {
        let admission = house.cgroup.admit()?;
        let pid = house.namespaces.set.pid_for_children.allocate()?;
        Ok(Self { key, stage: SpinLock::new(Stage::Made(pid, admission)), terminal: SpinLock::new(None) })
    }

    /// The master side of its terminal, once, for its creator.
    pub fn take_terminal(&self) -> Option<Arc<Master>> {
        self.terminal.lock().take()
    }

    /// Lets it run; ESRCH when it was killed before.
    pub fn release(&self) -> Result<(), Error> {
        let mut stage = self.stage.lock();
        let Stage::Held(thread) = &*stage else { return Err(Errno::ESRCH.into()) };
        let thread = thread.clone();
        *stage = Stage::Released(Arc::downgrade(&thread));
        drop(stage);
        if task::release(&thread) { Ok(()) } else { Err(Errno::ESRCH.into()) }
    }

    /// Sends a signal from outside; SIGKILL ends it even while it is held.
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        let thread = self.thread().filter(|thread| !thread.has_ended()).ok_or(Errno::ESRCH)?;
        task::send_from_above(&thread, signal);
        Ok(())
    }

    /// Its number in a namespace; 0 if it has none there.
    pub fn number_in(&self, viewer: &PidNamespace) -> u32 {
        self.with_pid(|pid| pid.number_in(viewer)).flatten().unwrap_or(0)
    }

    /// Its number in its own namespace; 0 once it is gone.
    pub fn own_number(&self) -> u32 {
        self.with_pid(Pid::number).unwrap_or(0)
    }

    /// Its thread, while it has one.
    pub fn thread(&self) -> Option<Arc<Thread>> {
        match &*self.stage.lock() {
            Stage::Made(..) => None,
            Stage::Held(thread) => Some(thread.clone()),
            Stage::Released(thread) => thread.upgrade(),
        }
    }

    fn with_pid<R>(&self, look: impl FnOnce(&Pid) -> R) -> Option<R> {
        if let Stage::Made(pid, _) = &*self.stage.lock() {
            return Some(look(pid));
        }
        self.thread().map(|thread| look(thread.pid()))
    }
}

/// Loads the program of the first process, and holds it before its first instruction.
pub fn load(caller: &Thread, house: House<'_, Kernel>, process: &Process, program: Program<'_>) -> Result<(), Error> {
    let key = process.key;
    let tenant = Tenant::of_container(&Runtime::of(caller), house, key.into(), program)?;
    let loaded = tenant.find(program.process)?;
    if let Some(root) = house.root.filter(|_| tenant.terminal.is_some()) {
        root.with_mounts(|mounts| terminal::show_as_console(mounts, &tenant.inside(), &tenant.files))?;
    }
    let observed = house.cgroup.clone();
    let mut stage = process.stage.lock();
    let made = core::mem::replace(&mut *stage, Stage::Released(Weak::new()));
    let Stage::Made(pid, admission) = made else {
        *stage = made;
        return Err(Errno::EINVAL.into());
    };
    let on_exit: task::ExitObserver = Box::new(move |status| ended(key, observed, status));
    let birth = Birth { pid, admission, parent: None, on_exit: Some(on_exit) };
    let master = tenant.terminal.clone();
    let thread = tenant.settle(loaded, birth);
    *stage = Stage::Held(thread.clone());
    drop(stage);
    *process.terminal.lock() = master;
    end_with_its_namespace(&thread);
    Ok(())
}

/// Makes a further process, held before its first instruction, as a child of `caller`.
pub fn exec(
    caller: &Arc<Thread>,
    key: ContainerKey,
    house: House<'_, Kernel>,
    program: Program<'_>,
) -> Result<Guest, Error> {
    let admission = house.cgroup.admit()?;
    let pid = house.namespaces.set.pid_for_children.allocate()?;
    if pid.number_in(caller.pid().namespace()).is_none() {
        // It could not be waited for.
        return Err(Error::new(Errno::EINVAL).reason("the container's processes are not seen from here"));
    }
    let tenant = Tenant::of_container(&Runtime::of(caller), house, key.into(), program)?;
    let loaded = tenant.find(program.process)?;
    let terminal = tenant.terminal.clone();
    let thread = tenant.settle(loaded, Birth { pid, admission, parent: Some(caller.clone()), on_exit: None });
    end_with_its_namespace(&thread);
    Ok(Guest { thread, terminal })
}

/// Whoever kills all of a namespace may have looked before `thread` could be found.
pub fn end_with_its_namespace(thread: &Arc<Thread>) {
    if thread.pid().namespaces_are_closed() {
        task::kill(thread);
    }
}

/// What becomes of the container when its first process has ended: all that is left in the group ends too, and
/// then the engine hears of it.
fn ended(key: ContainerKey, cgroup: Arc<Cgroup>, status: WaitStatus) {
    cgroup.condemn();
    // The process itself still counts.
    if cgroup.pids.current() > 1 {
        task::free_zombies(&cgroup);
    }
    sched::spawn(async move {
        cgroup.pids.wait_empty().await;
        let times = cgroup.cpu.stat().times;
        let exit = Exit {
            status,
            oom_killed: cgroup.memory.event(Event::OomKill) > 0,
            memory_peak: cgroup.memory.peak_bytes(),
            tasks_peak: cgroup.pids.peak(),
            user_ns: times.user_ns,
            system_ns: times.system_ns,
        };
        drop(cgroup);
        boot::engine().exited(key, exit);
    });
}
