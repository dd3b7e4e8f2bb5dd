//! procfs (proc(5)): processes and the machine as files, in the formats that Linux 6.1 prints.
//!
//! An instance shows the processes of one pid namespace, by their numbers there. What does not exist here does not
//! exist there either: no kcore, no keys, no timer_list, no sysrq-trigger.

mod machine;
mod process;
mod sys;
mod sysvipc;
pub(super) mod table;

use super::{
    Caller, Dentry, FileType,
    synthetic::{self, Directory, Entry, Listed, Node, Opener, Ownership},
};
use crate::{
    namespace::{PidNamespace, UserNamespace},
    security::Credentials,
    task::Thread,
};
use alloc::{format, sync::Arc, vec::Vec};
use process::Process;
pub(super) use process::cpu_list;
use table::{Kind, Row, Shown};
use veridian_containers::abi::Errno;

pub use sys::{Scope, Sysctl, find as find_sysctl};

/// PROC_SUPER_MAGIC of statfs(2).
const MAGIC: u64 = 0x9fa0;

/// What is shown of processes that the viewer may not look into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hide {
    /// All that others may read (`hidepid=0`).
    #[default]
    Off,
    /// That they exist (`hidepid=1`).
    NoAccess,
    /// Nothing (`hidepid=2`).
    Invisible,
    /// Nothing, and no group is excepted (`hidepid=4`).
    Ptraceable,
}

/// What mount(2) is told (proc(5), "Mount options").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    hide: Hide,
    /// `gid=`: the group that `hidepid` does not hold for, as the machine counts.
    group: u32,
    /// `subset=pid`: processes alone.
    only_processes: bool,
}

impl Options {
    /// Reads options separated by commas, of a process with `credentials`; EINVAL for one that is not known or not well
    /// formed.
    pub fn parse(text: &[u8], credentials: &Credentials) -> Result<Self, Errno> {
        let mut options = Self::default();
        for option in text.split(|&byte| byte == b',').filter(|option| !option.is_empty()) {
            let option = core::str::from_utf8(option).map_err(|_| Errno::EINVAL)?;
            match option.split_once('=').ok_or(Errno::EINVAL)? {
                ("hidepid", "0" | "off") => options.hide = Hide::Off,
                ("hidepid", "1" | "noaccess") => options.hide = Hide::NoAccess,
                ("hidepid", "2" | "invisible") => options.hide = Hide::Invisible,
                ("hidepid", "4" | "ptraceable") => options.hide = Hide::Ptraceable,
                ("gid", gid) => {
                    let gid = gid.parse().map_err(|_| Errno::EINVAL)?;
                    options.group = credentials.user_namespace.group(gid)?;
                }
                ("subset", "pid") => options.only_processes = true,
                _ => return Err(Errno::EINVAL),
            }
        }
        Ok(options)
    }

    /// As text, after a comma each, for /proc/PID/mounts.
    pub fn shown(&self) -> alloc::string::String {
        let hide = match self.hide {
            Hide::Off => "",
            Hide::NoAccess => ",hidepid=noaccess",
            Hide::Invisible => ",hidepid=invisible",
            Hide::Ptraceable => ",hidepid=ptraceable",
        };
        let group = if self.group == 0 { alloc::string::String::new() } else { format!(",gid={}", self.group) };
        format!("{group}{hide}{}", if self.only_processes { ",subset=pid" } else { "" })
    }
}

/// A new instance that shows the processes of `namespace`, mounted by somebody of the user namespace `owner`.
pub fn tree(namespace: &Arc<PidNamespace>, options: Options, owner: &Arc<UserNamespace>) -> Arc<Dentry> {
    let instance = Instance { namespace: namespace.clone(), options };
    synthetic::tree("proc", MAGIC, owner, Arc::new(Root(instance)))
}

/// What an instance shows.
#[derive(Clone, Debug)]
struct Instance {
    namespace: Arc<PidNamespace>,
    options: Options,
}

impl Shown for Instance {}

impl Instance {
    /// Whether somebody with `credentials`, being `viewer`, sees `thread` at all, or may enter its directory.
    fn shows(&self, thread: &Thread, viewer: Option<&Thread>, credentials: &Credentials, least: Hide) -> bool {
        let hidden = self.options.hide == Hide::Ptraceable || self.options.hide as u8 >= least as u8;
        let excepted = self.options.hide != Hide::Ptraceable && credentials.in_group(self.options.group);
        let own = viewer.is_some_and(|viewer| viewer.is_sibling(thread));
        !hidden || excepted || own || process::permit(credentials, thread).is_ok()
    }
}

/// Names of the root that are no processes. The first are there in `subset=pid` too.
const ROWS: [Row<Instance>; 21] = [
    Row { name: "self", mode: 0o777, guarded: false, kind: Kind::Link(link_to_self) },
    Row { name: "thread-self", mode: 0o777, guarded: false, kind: Kind::Link(link_to_thread_self) },
    Row { name: "mounts", mode: 0o777, guarded: false, kind: Kind::Link(|_, _| Ok(b"self/mounts".to_vec())) },
    Row { name: "net", mode: 0o777, guarded: false, kind: Kind::Link(|_, _| Ok(b"self/net".to_vec())) },
    Row::text("cgroups", machine::cgroups),
    Row::text("cmdline", machine::command_line),
    Row::text("cpuinfo", machine::cpuinfo),
    Row::text("devices", machine::devices),
    Row::text("diskstats", machine::nothing),
    Row::text("filesystems", machine::file_systems),
    Row::text("loadavg", machine::load_average),
    Row::text("meminfo", machine::memory),
    Row::text("modules", machine::nothing),
    Row::text("partitions", machine::partitions),
    Row::text("stat", machine::statistics),
    Row::text("swaps", machine::swaps),
    Row::directory("sys", |_| sys::root()),
    Row::directory("sysvipc", sysvipc::directory),
    Row::text("uptime", machine::uptime),
    Row::text("version", machine::version),
    Row::text("vmstat", machine::memory_statistics),
];
/// How many of [`ROWS`] lead to processes.
const ROWS_OF_PROCESSES: usize = 2;
/// Cookies of processes begin here: a process's is this and its number.
const FIRST_PROCESS: u64 = 0x100;

fn link_to_self(instance: &Instance, caller: &Caller<'_>) -> Result<Vec<u8>, Errno> {
    Ok(format!("{}", own_numbers(instance, caller)?.0).into_bytes())
}

/// The numbers of the caller's process and of the thread itself.
fn own_numbers(instance: &Instance, caller: &Caller<'_>) -> Result<(u32, u32), Errno> {
    let thread = caller.thread.ok_or(Errno::ENOENT)?;
    let process = thread.process().leader_pid().number_in(&instance.namespace);
    process.zip(thread.pid().number_in(&instance.namespace)).ok_or(Errno::ENOENT)
}

fn link_to_thread_self(instance: &Instance, caller: &Caller<'_>) -> Result<Vec<u8>, Errno> {
    let (process, thread) = own_numbers(instance, caller)?;
    Ok(format!("{process}/task/{thread}").into_bytes())
}

/// The root directory.
#[derive(Debug)]
struct Root(Instance);

impl Root {
    fn rows(&self) -> &'static [Row<Instance>] {
        static ALL: [Row<Instance>; ROWS.len()] = ROWS;
        if self.0.options.only_processes { &ALL[..ROWS_OF_PROCESSES] } else { &ALL }
    }
}

impl Entry for Root {
    fn ownership(&self) -> Ownership {
        Ownership::root(0o555)
    }
}

impl Directory for Root {
    fn look_up(&self, name: &[u8], caller: &Caller<'_>) -> Result<Node, Errno> {
        if let Some(row) = table::find(self.rows(), name) {
            return Ok(row.node(&self.0));
        }
        let thread = self.0.namespace.thread(number(name).ok_or(Errno::ENOENT)?).ok_or(Errno::ENOENT)?;
        if !self.0.shows(&thread, caller.thread, caller.credentials, Hide::Invisible) {
            return Err(Errno::ENOENT);
        }
        if !self.0.shows(&thread, caller.thread, caller.credentials, Hide::NoAccess) {
            return Err(Errno::EPERM);
        }
        Ok(Node::Directory(Process::new(&thread, &self.0.namespace).directory()))
    }

    fn make_directory(&self, _: &[u8], _: u16, _: &Caller<'_>) -> Result<Node, Errno> {
        Err(Errno::ENOENT)
    }

    fn make_file(&self, _: &[u8], _: u16, _: &Caller<'_>) -> Result<Node, Errno> {
        Err(Errno::ENOENT)
    }

    fn list(&self, from: u64, opener: &Opener, tell: &mut dyn FnMut(Listed<'_>) -> bool) -> Result<(), Errno> {
        let mut goes_on = true;
        synthetic::list_names(table::names(self.rows()), from, &mut |mut listed| {
            if listed.next == self.rows().len() as u64 {
                listed.next = FIRST_PROCESS;
            }
            goes_on = tell(listed);
            goes_on
        });
        let viewer = opener.thread.upgrade();
        let mut first = from.saturating_sub(FIRST_PROCESS) as u32;
        while goes_on && let Some(thread) = self.0.namespace.next_process(first) {
            let Some(number) = thread.pid().number_in(&self.0.namespace) else { break };
            first = number + 1;
            if self.0.shows(&thread, viewer.as_deref(), &opener.credentials, Hide::Invisible) {
                let name = format!("{number}");
                let next = FIRST_PROCESS + u64::from(first);
                goes_on = tell(Listed { name: name.as_bytes(), file_type: FileType::Directory, next });
            }
        }
        Ok(())
    }
}

/// The number that `name` is: without leading zeros, as it is listed.
fn number(name: &[u8]) -> Option<u32> {
    let digits = !name.is_empty() && name[0] != b'0' && name.iter().all(u8::is_ascii_digit);
    if digits { core::str::from_utf8(name).ok()?.parse().ok() } else { None }
}
