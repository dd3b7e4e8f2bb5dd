//! A process's descriptors: `/proc/<pid>/fd` leads to the open files, `/proc/<pid>/fdinfo` tells of them.

use super::{Process, text};
use crate::fs::{
    Caller, File, FileType, Whence,
    proc::{number, table::Shown},
    synthetic::{Directory, Entry, Link, Listed, Node, Opener, Ownership, Target, Text},
};
use alloc::{format, sync::Arc, vec::Vec};
use core::fmt::Write;
use veridian_containers::abi::Errno;

/// `fd`.
pub fn descriptors(process: &Process) -> Arc<dyn Directory> {
    Arc::new(Descriptors { process: process.clone(), links: true })
}

/// `fdinfo`.
pub fn information(process: &Process) -> Arc<dyn Directory> {
    Arc::new(Descriptors { process: process.clone(), links: false })
}

/// A directory of descriptors.
#[derive(Debug)]
struct Descriptors {
    process: Process,
    /// Entries are links to the open files; else texts.
    links: bool,
}

impl Entry for Descriptors {
    fn ownership(&self) -> Ownership {
        self.process.ownership(if self.links { 0o500 } else { 0o555 })
    }

    fn is_gone(&self) -> bool {
        self.process.is_gone()
    }
}

impl Directory for Descriptors {
    fn look_up(&self, name: &[u8], caller: &Caller<'_>) -> Result<Node, Errno> {
        self.process.permit(caller)?;
        let fd = if name == b"0" { Some(0) } else { number(name) };
        let fd = fd.and_then(|fd| i32::try_from(fd).ok()).ok_or(Errno::ENOENT)?;
        let descriptor = Descriptor { process: self.process.clone(), fd };
        descriptor.file()?;
        let descriptor = Arc::new(descriptor);
        Ok(if self.links { Node::Link(descriptor) } else { Node::Text(descriptor) })
    }

    fn list(&self, from: u64, opener: &Opener, tell: &mut dyn FnMut(Listed<'_>) -> bool) -> Result<(), Errno> {
        let thread = self.process.live()?;
        let own = opener.thread.upgrade().is_some_and(|opener| opener.is_sibling(&thread));
        if !own {
            super::permit(&opener.credentials, &thread)?;
        }
        let file_type = if self.links { FileType::Symlink } else { FileType::Regular };
        let mut from = i32::try_from(from).unwrap_or(i32::MAX);
        while let Some(fd) = thread.try_with_files(|files| files.next_open(from)).flatten() {
            from = fd + 1;
            if !tell(Listed { name: format!("{fd}").as_bytes(), file_type, next: from as u64 }) {
                break;
            }
        }
        Ok(())
    }
}

/// A descriptor of a process.
#[derive(Debug)]
struct Descriptor {
    process: Process,
    fd: i32,
}

impl Descriptor {
    /// The open file; ENOENT when there is none.
    fn file(&self) -> Result<Arc<File>, Errno> {
        let file = self.process.live()?.try_with_files(|files| files.get(self.fd));
        file.and_then(Result::ok).ok_or(Errno::ENOENT)
    }
}

impl Entry for Descriptor {
    /// A link's mode tells what the file is open for.
    fn ownership(&self) -> Ownership {
        use crate::fs::Access;
        let access = self.file().map_or(Access::empty(), |file| file.access());
        let read = if access.contains(Access::READ) { 0o500 } else { 0o100 };
        let write = if access.contains(Access::WRITE) { 0o300 } else { 0o100 };
        self.process.ownership(read | write)
    }

    fn is_gone(&self) -> bool {
        self.file().is_err()
    }
}

impl Link for Descriptor {
    fn target(&self, caller: &Caller<'_>) -> Result<Vec<u8>, Errno> {
        self.process.permit(caller)?;
        let file = self.file()?;
        Ok(match file.location() {
            Some(location) => caller.context.describe(location),
            None => file.description(),
        })
    }

    fn follow(&self, caller: &Caller<'_>) -> Result<Target, Errno> {
        self.process.permit(caller)?;
        Ok(Target::Place(self.file()?.place()))
    }
}

impl Text for Descriptor {
    fn permit(&self, caller: &Caller<'_>, _: crate::fs::Access) -> Result<(), Errno> {
        self.process.permit(caller)
    }

    fn read(&self, _: &Opener) -> Result<Vec<u8>, Errno> {
        let file = self.file()?;
        let offset = file.seek(Whence::Current, 0).unwrap_or(0);
        let closes = self.process.live()?.try_with_files(|files| files.is_closed_on_exec(self.fd).unwrap_or(false));
        let place = file.place();
        Ok(text(|to| {
            writeln!(to, "pos:\t{offset}\nflags:\t0{:o}", file.told_flags(closes.unwrap_or(false)))?;
            writeln!(to, "mnt_id:\t{}\nino:\t{}", place.mount.id(), file.inode().number())
        }))
    }
}
