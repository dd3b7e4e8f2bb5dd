//! The kernel: files are texts by their paths, programs scripts of an operation a line, and a tick of the clock runs a
//! line of each process. It has no users, permission bits, mounts, devices, network, nor signals but SIGKILL.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};

use veridian_containers::Signal;
use veridian_containers::abi::{Errno, WaitStatus};
use veridian_containers::engine::{ContainerKey, Engine, Exit};

#[derive(Clone, Default)]
pub struct Toy(Arc<Mutex<State>>);

#[derive(Default)]
pub struct State {
    pub world: World,
    pub ticks: u64,
    last_number: u32,
    /// So many operations succeed, then one fails.
    pub fails_after: Option<u32>,
    pub console: Vec<String>,
    ends: Vec<(ContainerKey, Exit)>,
    pub work: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// All that there is: nothing was left behind if it equals what it was before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    pub files: BTreeMap<String, String>,
    pub rooms: BTreeMap<u32, Room>,
    pub tasks: BTreeMap<u32, Task>,
}

/// Where processes live, a cgroup and a set of namespaces in one. Of memory and tasks: how many there are, were at most,
/// and may be.
#[derive(Clone, Debug, PartialEq)]
pub struct Room {
    pub memory: [u64; 3],
    pub tasks: [u64; 3],
    /// Lines run, of a nanosecond each.
    pub time: u64,
    pub host: String,
    pub root: String,
    pub read_only: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    pub key: ContainerKey,
    /// The number of the container's first process.
    pub first: u32,
    pub room: u32,
    /// What is left to run. Who has nothing left to run waits for his end.
    pub script: Vec<String>,
    pub runs: bool,
}

impl Toy {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder of the lock panics")
    }
}

/// A tick: processes run, the engine learns who ended, and work that was handed over goes on.
pub fn tick(engine: &Engine<Toy>) {
    let mut state = engine.platform().lock();
    state.run_all();
    let (ends, mut work) = (std::mem::take(&mut state.ends), std::mem::take(&mut state.work));
    drop(state);
    ends.into_iter().for_each(|(key, exit)| engine.exited(key, exit));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    work.retain_mut(|work| work.as_mut().poll(&mut context).is_pending());
    engine.platform().lock().work.append(&mut work);
}

/// Takes some of what has a limit, all or nothing.
pub fn take([used, peak, limit]: &mut [u64; 3], more: u64, errno: Errno) -> Result<(), Errno> {
    *used = used.checked_add(more).filter(|sum| sum <= limit).ok_or(errno)?;
    *peak = (*peak).max(*used);
    Ok(())
}

/// A path without `.` and `..`, which leads no further up than to `/`; that one is empty.
pub fn plain(path: &str) -> String {
    path.split('/').fold(String::new(), |plain, name| match name {
        "" | "." => plain,
        ".." => plain.rsplit_once('/').map_or_else(String::new, |(above, _)| above.into()),
        name => plain + "/" + name,
    })
}

impl State {
    pub const fn number(&mut self) -> u32 {
        self.last_number += 1;
        self.last_number
    }

    pub fn room(&mut self, number: u32) -> &mut Room {
        self.world.rooms.get_mut(&number).expect("it lives as long as its container")
    }

    pub fn read(&self, room: u32, path: &str) -> Result<String, Errno> {
        let file = self.world.rooms[&room].root.clone() + &plain(path);
        self.world.files.get(&file).cloned().ok_or(Errno::ENOENT)
    }

    fn run_all(&mut self) {
        self.ticks += 1;
        for number in self.world.tasks.keys().copied().collect::<Vec<_>>() {
            let task = self.world.tasks.get_mut(&number).filter(|task| task.runs && !task.script.is_empty());
            let Some(task) = task else { continue };
            let line = task.script.remove(0);
            let task = task.clone();
            self.room(task.room).time += 1;
            let outcome = self.run(number, &task, &line);
            self.console.extend(outcome.unwrap_or_else(|errno| Some(format!("{line}: {}", errno.name()))));
        }
    }

    fn run(&mut self, number: u32, task: &Task, line: &str) -> Result<Option<String>, Errno> {
        let (verb, operand) = line.split_once(' ').unwrap_or((line, ""));
        let room = self.room(task.room);
        match verb {
            "host" => return Ok(Some(room.host.clone())),
            "read" => return self.read(task.room, operand).map(Some),
            "write" if room.read_only => return Err(Errno::EROFS),
            "write" => {
                let file = room.root.clone() + &plain(operand);
                self.world.files.insert(file, "written".into());
            }
            "fork" => {
                take(&mut room.tasks, 1, Errno::EAGAIN)?;
                let child = self.number();
                self.world.tasks.insert(child, task.clone());
            }
            "take" => {
                let bytes = operand.parse().map_err(|_| Errno::EINVAL)?;
                if take(&mut room.memory, bytes, Errno::ENOMEM).is_err() {
                    // A container does not live on in part.
                    self.end(task.first, WaitStatus::Signaled(Signal::SIGKILL), true);
                }
            }
            "exit" => self.end(number, WaitStatus::Exited(operand.parse().unwrap_or(255)), false),
            _ => return Err(Errno::ENOSYS),
        }
        Ok(None)
    }

    /// Ends a process if it has not ended, and with a container's first all others of it.
    pub fn end(&mut self, number: u32, status: WaitStatus, oom_killed: bool) {
        let Some(task) = self.world.tasks.remove(&number) else { return };
        self.room(task.room).tasks[0] -= 1;
        if task.first == number {
            self.world.tasks.retain(|_, other| other.first != number);
            let room = self.room(task.room);
            room.tasks[0] = 0;
            let Room { memory: [_, memory_peak, _], tasks: [_, tasks_peak, _], time: user_ns, .. } = *room;
            let exit = Exit { status, oom_killed, memory_peak, tasks_peak, user_ns, system_ns: 0 };
            self.ends.push((task.key, exit));
        }
    }
}
