//! Where a process is: its root, working directory and program as magic links, its mounts, its namespaces, its cgroup.

use super::{Process, memory::file, text};
use crate::{
    fs::{
        Caller, Context, Location,
        proc::table::{Kind, Row, Table},
        synthetic::{Directory, Opener},
    },
    namespace::Namespaces,
    task::Namespace,
};
use alloc::{sync::Arc, vec::Vec};
use core::fmt::Write;
use veridian_containers::abi::Errno;

/// The process's view of files; ENOENT once it has ended.
fn context(process: &Process) -> Result<Context, Errno> {
    process.live()?.try_with_fs(|fs| fs.clone()).ok_or(Errno::ENOENT)
}

pub fn cwd(process: &Process, _: &Caller<'_>) -> Result<Location, Errno> {
    Ok(context(process)?.cwd)
}

pub fn cwd_text(process: &Process, caller: &Caller<'_>) -> Result<Vec<u8>, Errno> {
    Ok(caller.context.describe(&cwd(process, caller)?))
}

pub fn root(process: &Process, _: &Caller<'_>) -> Result<Location, Errno> {
    Ok(context(process)?.root)
}

pub fn root_text(process: &Process, caller: &Caller<'_>) -> Result<Vec<u8>, Errno> {
    Ok(caller.context.describe(&root(process, caller)?))
}

/// The file of the program that it runs.
pub fn exe(process: &Process, _: &Caller<'_>) -> Result<Location, Errno> {
    let space = process.live()?.try_space().ok_or(Errno::ENOENT)?;
    let executable = space.landmarks().executable.ok_or(Errno::ENOENT)?;
    file(&executable).and_then(|file| file.location().cloned()).ok_or(Errno::ENOENT)
}

pub fn exe_text(process: &Process, caller: &Caller<'_>) -> Result<Vec<u8>, Errno> {
    Ok(caller.context.describe(&exe(process, caller)?))
}

/// `mounts`; EINVAL once the process has ended.
pub fn mounts(process: &Process, _: &Opener) -> Result<Vec<u8>, Errno> {
    Ok(context(process).map_err(|_| Errno::EINVAL)?.mounts_text())
}

/// `mountinfo`.
pub fn mountinfo(process: &Process, _: &Opener) -> Result<Vec<u8>, Errno> {
    Ok(context(process).map_err(|_| Errno::EINVAL)?.mountinfo_text())
}

/// `cgroup`: the one hierarchy of cgroup v2.
pub fn cgroup(process: &Process, opener: &Opener) -> Result<Vec<u8>, Errno> {
    let thread = process.live()?;
    let viewer = opener.thread.upgrade().ok_or(Errno::ESRCH)?;
    let group = thread.cgroup();
    let gone = if group.is_removed() { " (deleted)" } else { "" };
    Ok(text(|to| writeln!(to, "0::{}{gone}", viewer.namespaces().cgroup.path_of(&group))))
}

/// `ns`: a magic link for each namespace.
pub fn namespaces(process: &Process) -> Arc<dyn Directory> {
    Arc::new(Table { shown: process.clone(), rows: &NAMESPACES })
}

const fn row(name: &'static str, target: super::Target, follow: super::Follow) -> Row<Process> {
    Row { name, mode: 0o777, guarded: true, kind: Kind::Magic(target, follow) }
}

/// A row whose namespace `$of` picks, of the process's [`Namespaces`].
macro_rules! rows {
    ($($name:literal => $of:expr;)*) => {
        [$(row(
            $name,
            |process, _| { let of: Of = $of; Ok(of(process)?.description()) },
            |process, _| { let of: Of = $of; Ok(of(process)?.place()) },
        )),*]
    };
}

type Of = fn(&Process) -> Result<Namespace, Errno>;

static NAMESPACES: [Row<Process>; 10] = rows! {
    "ipc" => |process| Ok(Namespace::Ipc(set(process)?.ipc));
    "mnt" => |process| Ok(Namespace::Mount(context(process)?.namespace));
    "pid" => |process| Ok(Namespace::Pid(process.live()?.pid().namespace().clone()));
    // What the children will be in, if that is not known yet: there is no such namespace before the first child.
    "pid_for_children" => |process| Ok(Namespace::Pid(set(process)?.pid_for_children));
    "time" => |process| Ok(Namespace::Time(set(process)?.time));
    "time_for_children" => |process| Ok(Namespace::Time(set(process)?.time_for_children));
    "user" => |process| Ok(Namespace::User(process.live()?.credentials().user_namespace.clone()));
    "net" => |process| Ok(Namespace::Network(set(process)?.network));
    "cgroup" => |process| Ok(Namespace::Cgroup(set(process)?.cgroup));
    "uts" => |process| Ok(Namespace::Uts(set(process)?.uts));
};

/// A live process's namespaces; ENOENT once it has ended.
fn set(process: &Process) -> Result<Namespaces, Errno> {
    let thread = process.live()?;
    if thread.has_ended() { Err(Errno::ENOENT) } else { Ok(thread.namespaces()) }
}
