//! A process's directory, `/proc/<pid>`. It belongs to the process's user, and goes with the process: what is still open
//! of it answers ESRCH.

mod files;
mod memory;
mod net;
mod oom;
mod places;
mod status;

pub use status::{TICKS_PER_S, cpu_list};

use super::table::{Kind, Row, Shown, Table, text};
use crate::{
    boot,
    fs::{
        Caller, FileType, Location,
        synthetic::{Directory, Entry, Listed, Node, Opener, Ownership},
    },
    namespace::{IdKind, PidNamespace},
    sched::Times,
    security::{Capabilities, Credentials, write_map, write_set_groups},
    task::Thread,
};
use alloc::{
    collections::BTreeMap,
    format,
    sync::{Arc, Weak},
    vec::Vec,
};
use core::fmt::Write;
use veridian_containers::abi::Errno;

/// A process as an instance of procfs shows it.
#[derive(Clone, Debug)]
pub struct Process {
    /// The leader; or one thread, if it is that which is shown.
    thread: Weak<Thread>,
    of_thread: bool,
    /// Whose numbers are shown.
    namespace: Arc<PidNamespace>,
}

/// EACCES unless somebody with `credentials` may look into `thread` (ptrace(2), "Ptrace access mode checking").
pub fn permit(credentials: &Credentials, thread: &Thread) -> Result<(), Errno> {
    thread.permit_access_by(credentials).map_err(|_| Errno::EACCES)
}

impl Process {
    pub fn new(thread: &Arc<Thread>, namespace: &Arc<PidNamespace>) -> Self {
        Self { thread: Arc::downgrade(thread), of_thread: false, namespace: namespace.clone() }
    }

    /// The process; ESRCH once it has been waited for.
    pub fn live(&self) -> Result<Arc<Thread>, Errno> {
        self.thread.upgrade().filter(|thread| !thread.pid().is_released()).ok_or(Errno::ESRCH)
    }

    /// CPU time of the process, or of the one thread that is shown.
    fn times(&self, thread: &Thread) -> Times {
        if self.of_thread { thread.own_times() } else { thread.times() }
    }

    /// The number that `thread` has in this instance; 0 for none.
    fn number(&self, thread: &Thread) -> u32 {
        thread.pid().number_in(&self.namespace).unwrap_or(0)
    }

    /// The number, in this instance, of the process with `global` in the first namespace; 0 for none.
    fn number_of(&self, global: u32) -> u32 {
        boot::pid_namespace().pid(global).and_then(|pid| pid.number_in(&self.namespace)).unwrap_or(0)
    }

    /// `/proc/<pid>`.
    pub fn directory(self) -> Arc<dyn Directory> {
        Arc::new(Table { shown: self, rows: &ROWS })
    }
}

impl Shown for Process {
    fn ownership(&self, mode: u16) -> Ownership {
        let owner = self.thread.upgrade().map(|thread| thread.credentials());
        owner.map_or(Ownership::root(mode), |owner| Ownership { mode, uid: owner.euid, gid: owner.egid })
    }

    fn is_gone(&self) -> bool {
        self.live().is_err()
    }

    fn permit(&self, caller: &Caller<'_>) -> Result<(), Errno> {
        let thread = self.live()?;
        let own = caller.thread.is_some_and(|asker| asker.is_sibling(&thread));
        if own { Ok(()) } else { permit(caller.credentials, &thread) }
    }
}

const fn link(name: &'static str, target: Target, follow: Follow) -> Row<Process> {
    Row { name, mode: 0o777, guarded: true, kind: Kind::Magic(target, follow) }
}

type Target = fn(&Process, &Caller<'_>) -> Result<Vec<u8>, Errno>;
type Follow = fn(&Process, &Caller<'_>) -> Result<Location, Errno>;

/// What a process shows. All but the last are there for its thread too.
static ROWS: [Row<Process>; 30] = [
    Row::text("auxv", memory::auxiliary).mode(0o400).guarded(),
    Row::text("cgroup", places::cgroup),
    Row::text("cmdline", memory::arguments),
    Row::written("comm", status::comm, status::set_comm),
    link("cwd", places::cwd_text, places::cwd),
    Row::text("environ", memory::environment).mode(0o400).guarded(),
    link("exe", places::exe_text, places::exe),
    Row::directory("fd", files::descriptors),
    Row::directory("fdinfo", files::information),
    Row::written("gid_map", gid_map, set_gid_map),
    Row::text("limits", status::limits),
    Row::text("maps", memory::maps).guarded(),
    Row { name: "mem", mode: 0o600, guarded: true, kind: Kind::Object(memory::memory) },
    Row::text("mountinfo", places::mountinfo),
    Row::text("mounts", places::mounts),
    Row::directory("net", net::directory),
    Row::directory("ns", places::namespaces),
    Row::text("oom_score", oom::score),
    Row::written("oom_score_adj", oom::score_adj, oom::set_score_adj),
    link("root", places::root_text, places::root),
    Row::written("setgroups", set_groups, set_set_groups),
    Row::text("smaps", memory::detailed_maps).guarded(),
    Row::text("smaps_rollup", memory::summed_maps).guarded(),
    Row::text("stat", status::stat),
    Row::text("statm", memory::statm),
    Row::text("status", status::status),
    Row::written("timens_offsets", time_offsets, set_time_offsets),
    Row::written("uid_map", uid_map, set_uid_map),
    // Where in the kernel it waits is nobody's business (as for who may not look into it, on Linux).
    Row::text("wchan", |_, _| Ok(b"0".to_vec())),
    Row::directory("task", |process| Arc::new(Tasks(process.clone()))),
];

/// `/proc/<pid>/task`: the process's threads.
#[derive(Debug)]
struct Tasks(Process);

impl Tasks {
    /// The threads by their numbers. The leader is there until the last of them has ended.
    fn threads(&self) -> Result<BTreeMap<u32, Arc<Thread>>, Errno> {
        let leader = self.0.live()?;
        let others = leader.process().threads();
        Ok(others.into_iter().chain([leader]).map(|thread| (self.0.number(&thread), thread)).collect())
    }
}

impl Entry for Tasks {
    fn ownership(&self) -> Ownership {
        self.0.ownership(0o555)
    }

    fn is_gone(&self) -> bool {
        self.0.is_gone()
    }
}

impl Directory for Tasks {
    fn look_up(&self, name: &[u8], _: &Caller<'_>) -> Result<Node, Errno> {
        let number = super::number(name).ok_or(Errno::ENOENT)?;
        let thread = self.threads()?.remove(&number).ok_or(Errno::ENOENT)?;
        let shown = Process { of_thread: true, ..Process::new(&thread, &self.0.namespace) };
        Ok(Node::Directory(Arc::new(Table { shown, rows: &ROWS[..ROWS.len() - 1] })))
    }

    fn list(&self, from: u64, _: &Opener, tell: &mut dyn FnMut(Listed<'_>) -> bool) -> Result<(), Errno> {
        let first = u32::try_from(from).unwrap_or(u32::MAX);
        for number in self.threads()?.into_keys().filter(|number| *number >= first) {
            let name = format!("{number}");
            let next = u64::from(number) + 1;
            if !tell(Listed { name: name.as_bytes(), file_type: FileType::Directory, next }) {
                break;
            }
        }
        Ok(())
    }
}

fn map(process: &Process, kind: IdKind, opener: &Opener) -> Result<Vec<u8>, Errno> {
    let target = process.live()?.credentials().user_namespace.clone();
    Ok(target.show_map(kind, &opener.credentials.user_namespace).into_bytes())
}

fn set_map(process: &Process, kind: IdKind, bytes: &[u8], opener: &Opener) -> Result<(), Errno> {
    let target = process.live()?.credentials().user_namespace.clone();
    // Who writes is who opened it, unless that process has become somebody else.
    let writer = opener.thread.upgrade().map_or_else(|| opener.credentials.clone(), |thread| thread.credentials());
    write_map(&target, kind, bytes, &opener.credentials, &writer)
}

fn uid_map(process: &Process, opener: &Opener) -> Result<Vec<u8>, Errno> {
    map(process, IdKind::User, opener)
}

fn set_uid_map(process: &Process, bytes: &[u8], opener: &Opener) -> Result<(), Errno> {
    set_map(process, IdKind::User, bytes, opener)
}

fn gid_map(process: &Process, opener: &Opener) -> Result<Vec<u8>, Errno> {
    map(process, IdKind::Group, opener)
}

fn set_gid_map(process: &Process, bytes: &[u8], opener: &Opener) -> Result<(), Errno> {
    set_map(process, IdKind::Group, bytes, opener)
}

fn set_groups(process: &Process, _: &Opener) -> Result<Vec<u8>, Errno> {
    let said = process.live()?.credentials().user_namespace.show_set_groups();
    Ok(text(|to| writeln!(to, "{}", said.trim_end())))
}

fn set_set_groups(process: &Process, bytes: &[u8], opener: &Opener) -> Result<(), Errno> {
    let target = process.live()?.credentials().user_namespace.clone();
    write_set_groups(&target, bytes, &opener.credentials)
}

fn time_offsets(process: &Process, _: &Opener) -> Result<Vec<u8>, Errno> {
    Ok(process.live()?.namespaces().time_for_children.offsets_text().into_bytes())
}

fn set_time_offsets(process: &Process, bytes: &[u8], opener: &Opener) -> Result<(), Errno> {
    let namespace = process.live()?.namespaces().time_for_children;
    if !opener.credentials.capable_in(namespace.owner(), Capabilities::SYS_TIME) {
        return Err(Errno::EPERM);
    }
    namespace.write_offsets(bytes)
}
