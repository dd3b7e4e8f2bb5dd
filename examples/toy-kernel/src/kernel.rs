//! The kernel: files are texts by their paths, programs scripts of an operation a line, and a tick of the clock runs a
//! line of each process. It has no users, permission bits, devices or network.

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
    pub groups: BTreeMap<u32, Group>,
    pub views: BTreeMap<u32, View>,
    pub tasks: BTreeMap<u32, Task>,
}

/// A cgroup. Of memory and tasks: how many there are, were at most, and may be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    pub memory: [u64; 3],
    pub tasks: [u64; 3],
    /// Lines run, of a nanosecond each.
    pub time: u64,
    pub frozen: bool,
}

/// A set of namespaces. A mount: where it is seen, what directory it is, whether it is read-only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    pub own_pids: bool,
    pub host: String,
    pub mounts: Vec<(String, String, bool)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    pub key: ContainerKey,
    /// Whether it is the container's first.
    pub first: bool,
    pub group: u32,
    pub view: u32,
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
    let names = path.split('/').fold(Vec::new(), |mut names, name| {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
        names
    });
    names.iter().map(|name| format!("/{name}")).collect()
}

/// The rest of a path below another one.
pub fn below<'a>(path: &'a str, above: &str) -> Option<&'a str> {
    path.strip_prefix(above).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl State {
    pub const fn number(&mut self) -> u32 {
        self.last_number += 1;
        self.last_number
    }

    pub fn group(&mut self, number: u32) -> &mut Group {
        self.world.groups.get_mut(&number).expect("it lives as long as its container")
    }

    pub fn view(&mut self, number: u32) -> &mut View {
        self.world.views.get_mut(&number).expect("it lives as long as its container")
    }

    /// The file of the machine that a path means in a view, and whether it is read-only there.
    fn resolve(&mut self, view: u32, path: &str) -> (String, bool) {
        let path = plain(path);
        let mounts = self.view(view).mounts.iter().filter_map(|(at, source, read_only)| {
            below(&path, at).map(|rest| (at.len(), format!("{source}{rest}"), *read_only))
        });
        mounts.max().map_or((path.clone(), false), |(_, file, read_only)| (file, read_only))
    }

    pub fn read(&mut self, view: u32, path: &str) -> Result<String, Errno> {
        let (file, _) = self.resolve(view, path);
        self.world.files.get(&file).cloned().ok_or(Errno::ENOENT)
    }

    fn run_all(&mut self) {
        self.ticks += 1;
        for number in self.world.tasks.keys().copied().collect::<Vec<_>>() {
            let Some(mut task) = self.world.tasks.get(&number).filter(|task| task.runs).cloned() else { continue };
            if self.group(task.group).frozen || task.script.first().is_some_and(|line| line == "idle") {
                continue;
            }
            self.group(task.group).time += 1;
            let line = if task.script.is_empty() { "exit 0".into() } else { task.script.remove(0) };
            match self.run(number, &task, &line) {
                Ok(said) => self.console.extend(said),
                Err(errno) => self.console.push(format!("{line}: {}", errno.name())),
            }
            self.world.tasks.entry(number).and_modify(|entry| *entry = task);
        }
    }

    fn run(&mut self, number: u32, task: &Task, line: &str) -> Result<Option<String>, Errno> {
        let (verb, operand) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "say" => return Ok(Some(operand.into())),
            "host" => return Ok(Some(self.view(task.view).host.clone())),
            "read" => return self.read(task.view, operand).map(Some),
            "write" => match self.resolve(task.view, operand) {
                (_, true) => return Err(Errno::EROFS),
                (file, false) => drop(self.world.files.insert(file, "written".into())),
            },
            "fork" => {
                take(&mut self.group(task.group).tasks, 1, Errno::EAGAIN)?;
                let child = self.number();
                self.world.tasks.insert(child, Task { first: false, ..task.clone() });
            }
            "take" => {
                let bytes = operand.parse().map_err(|_| Errno::EINVAL)?;
                if take(&mut self.group(task.group).memory, bytes, Errno::ENOMEM).is_err() {
                    let mut tasks = self.world.tasks.iter();
                    let first = tasks.find(|(_, other)| other.first && other.key == task.key);
                    let first = first.map_or(number, |(first, _)| *first);
                    self.end(first, WaitStatus::Signaled(Signal::SIGKILL), true);
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
        self.world.tasks.retain(|_, other| !task.first || other.key != task.key);
        let group = self.group(task.group);
        group.tasks[0] = if task.first { 0 } else { group.tasks[0] - 1 };
        let ([_, memory_peak, _], [_, tasks_peak, _], user_ns) = (group.memory, group.tasks, group.time);
        if task.first {
            let exit = Exit { status, oom_killed, memory_peak, tasks_peak, user_ns, system_ns: 0 };
            self.ends.push((task.key, exit));
        }
    }
}
