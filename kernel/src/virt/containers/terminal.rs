//! The terminal of a container's process (runtime-spec, `process.terminal`): a pair of the container's own devpts, or of an
//! instance that is mounted nowhere. The process has the slave side, its creator gets the master.

use crate::{
    fs::{self, Caller, ContainerMounts, FdTable, Location, OpenFlags},
    tty::{WindowSize, pty::Master},
};
use alloc::{format, sync::Arc};
use veridian_containers::{abi::Errno, config::ConsoleSize};

/// Where containers have their devpts.
const DEVPTS: &[u8] = b"/dev/pts";
const FLAGS: OpenFlags = OpenFlags::RDWR.union(OpenFlags::NOCTTY);

/// A new pair for who `inside` is: the master, and a table with the slave side as descriptors 0, 1 and 2.
pub fn open(inside: &Caller<'_>, size: Option<ConsoleSize>) -> Result<(Arc<Master>, FdTable), Errno> {
    let own = inside.resolve_directory(&inside.context.root, DEVPTS).ok();
    // Whatever lies there: only what opens as a master is one.
    let found = own.and_then(|directory| Some((open_master(inside, &directory).ok()?, directory)));
    let (master, directory) = match found {
        Some(found) => found,
        None => {
            let directory = fs::devpts::detached(inside)?;
            (open_master(inside, &directory)?, directory)
        }
    };
    master.unlock();
    if let Some(ConsoleSize { height, width }) = size {
        let window = WindowSize { rows: height, columns: width, ..WindowSize::default() };
        master.pair().terminal().set_window(window);
    }
    let slave = inside.open(&directory, format!("{}", master.pair().number()).as_bytes(), FLAGS, 0)?;
    let mut files = FdTable::new();
    for _ in 0..3 {
        files.insert(slave.clone(), false)?;
    }
    Ok((master, files))
}

fn open_master(inside: &Caller<'_>, directory: &Location) -> Result<Arc<Master>, Errno> {
    inside.open(directory, b"ptmx", FLAGS, 0)?.object_handle().ok_or(Errno::ENOTTY)
}

/// Shows the terminal of `files` as the container's `/dev/console` too, if it has that name.
pub fn show_as_console(mounts: &mut ContainerMounts, inside: &Caller<'_>, files: &FdTable) -> Result<(), Errno> {
    let slave = files.get(0)?;
    match slave.location() {
        // One that is mounted nowhere cannot be shown anywhere.
        Some(place) if inside.context.namespace.has(&place.mount) => {
            mounts.cover(b"/dev/console", place, inside.memory)
        }
        _ => Ok(()),
    }
}
