//! The terminal of a container's process (runtime-spec, `process.terminal`): a pair of the container's own devpts, or of an
//! instance that is mounted nowhere. The process has the slave side, its creator gets the master.

use crate::{
    fs::{Caller, ContainerMounts, FdTable, File, OpenFlags, synthetic::Ownership},
    tty::{
        WindowSize,
        pty::{INSTANCE_MAX, Instance, Master},
    },
};
use alloc::{format, sync::Arc};
use veridian_containers::{abi::Errno, config::ConsoleSize};

/// Where containers have their devpts.
const PTMX: &[u8] = b"/dev/pts/ptmx";

/// A new pair for who `inside` is: the master, and a table with the slave side as descriptors 0, 1 and 2.
pub fn open(inside: &Caller<'_>, size: Option<ConsoleSize>) -> Result<(Arc<Master>, FdTable), Errno> {
    let who = inside.credentials;
    let flags = OpenFlags::RDWR | OpenFlags::NOCTTY;
    let own = inside.open(&inside.context.root, PTMX, flags, 0).ok();
    let master = match own.and_then(|file| file.object_handle::<Master>()) {
        Some(master) => master,
        None => {
            let ownership = Ownership { mode: 0o620, uid: who.fsuid, gid: who.fsgid };
            Instance::new(INSTANCE_MAX).open_master(inside.memory, ownership)?
        }
    };
    master.unlock();
    let pair = master.pair();
    if let Some(ConsoleSize { height, width }) = size {
        pair.terminal().set_window(WindowSize { rows: height, columns: width, ..WindowSize::default() });
    }
    let slave = File::of_object(pair.open_slave()?, OpenFlags::RDWR, who.fsuid, who.fsgid)?;
    let mut files = FdTable::new();
    for _ in 0..3 {
        files.insert(slave.clone(), false)?;
    }
    Ok((master, files))
}

/// Shows the slave side as the container's `/dev/console` too, if it has both names.
pub fn show_as_console(mounts: &mut ContainerMounts, inside: &Caller<'_>, master: &Master) -> Result<(), Errno> {
    let name = format!("/dev/pts/{}", master.pair().number());
    match inside.resolve(&inside.context.root, name.as_bytes(), false) {
        Ok(slave) if slave.inode().status().special == master.pair().device_number() => {
            mounts.cover(b"/dev/console", &slave, inside.memory)
        }
        _ => Ok(()),
    }
}
