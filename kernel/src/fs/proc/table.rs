//! Directories whose names are known beforehand: a table of rows, each of which shows something of the same thing.

use crate::fs::{
    Access, Caller, FileObject, FileType, Location,
    synthetic::{Directory, Entry, Link, Listed, Node, Openable, Opener, Ownership, Target, Text, list_names},
};
use alloc::{string::String, sync::Arc, vec::Vec};
use core::fmt::{self, Debug};
use veridian_containers::abi::Errno;

/// What a table's rows show: a process, the machine, a network interface.
pub trait Shown: Clone + Debug + Send + Sync + 'static {
    /// Who owns the nodes.
    fn ownership(&self, mode: u16) -> Ownership {
        Ownership::root(mode)
    }

    /// Whether it has gone.
    fn is_gone(&self) -> bool {
        false
    }

    /// Whether `caller` may look at what rows marked as guarded show.
    fn permit(&self, caller: &Caller<'_>) -> Result<(), Errno> {
        let _ = caller;
        Ok(())
    }
}

/// A name in a table.
#[derive(Debug)]
pub struct Row<T: 'static> {
    /// The name.
    pub name: &'static str,
    /// Permission bits.
    pub mode: u16,
    /// Whether [`Shown::permit`] is asked too.
    pub guarded: bool,
    /// What it stands for.
    pub kind: Kind<T>,
}

/// Makes a text.
pub type Read<T> = fn(&T, &Opener) -> Result<Vec<u8>, Errno>;

/// Takes what is written.
pub type Write<T> = fn(&T, &[u8], &Opener) -> Result<(), Errno>;

/// What a row stands for.
#[derive(Debug)]
pub enum Kind<T: 'static> {
    /// A text.
    Text(Read<T>),
    /// A text that can be written.
    Written(Read<T>, Write<T>),
    /// What gives an object of its own to who opens it.
    Object(fn(&T) -> Result<Arc<dyn FileObject>, Errno>),
    /// A link by path.
    Link(fn(&T, &Caller<'_>) -> Result<Vec<u8>, Errno>),
    /// A magic link: what readlink(2) says, and where it leads.
    Magic(fn(&T, &Caller<'_>) -> Result<Vec<u8>, Errno>, fn(&T, &Caller<'_>) -> Result<Location, Errno>),
    /// A directory.
    Directory(fn(&T) -> Arc<dyn Directory>),
}

impl<T: Shown> Row<T> {
    /// A text that everybody may read.
    pub const fn text(name: &'static str, read: Read<T>) -> Self {
        Self { name, mode: 0o444, guarded: false, kind: Kind::Text(read) }
    }

    /// A text that its owner may write.
    pub const fn written(name: &'static str, read: Read<T>, write: Write<T>) -> Self {
        Self { name, mode: 0o644, guarded: false, kind: Kind::Written(read, write) }
    }

    /// A directory that everybody may enter.
    pub const fn directory(name: &'static str, of: fn(&T) -> Arc<dyn Directory>) -> Self {
        Self { name, mode: 0o555, guarded: false, kind: Kind::Directory(of) }
    }

    /// With other permission bits.
    pub const fn mode(self, mode: u16) -> Self {
        Self { mode, ..self }
    }

    /// Only for whom [`Shown::permit`] lets.
    pub const fn guarded(self) -> Self {
        Self { guarded: true, ..self }
    }

    /// What kind of file it is.
    pub fn file_type(&self) -> FileType {
        match self.kind {
            Kind::Text(_) | Kind::Written(..) | Kind::Object(_) => FileType::Regular,
            Kind::Link(_) | Kind::Magic(..) => FileType::Symlink,
            Kind::Directory(_) => FileType::Directory,
        }
    }

    /// Its node.
    pub fn node(&'static self, shown: &T) -> Node {
        let cell = || Cell { shown: shown.clone(), row: self };
        match self.kind {
            Kind::Text(_) | Kind::Written(..) => Node::Text(Arc::new(cell())),
            Kind::Object(_) => Node::Object(Arc::new(cell())),
            Kind::Link(_) | Kind::Magic(..) => Node::Link(Arc::new(cell())),
            Kind::Directory(of) => Node::Directory(of(shown)),
        }
    }
}

/// A directory of a table's rows.
#[derive(Debug)]
pub struct Table<T: 'static> {
    /// What they show.
    pub shown: T,
    /// The rows.
    pub rows: &'static [Row<T>],
}

impl<T: Shown> Entry for Table<T> {
    fn ownership(&self) -> Ownership {
        self.shown.ownership(0o555)
    }

    fn is_gone(&self) -> bool {
        self.shown.is_gone()
    }
}

impl<T: Shown> Directory for Table<T> {
    fn look_up(&self, name: &[u8], _: &Caller<'_>) -> Result<Node, Errno> {
        find(self.rows, name).map(|row| row.node(&self.shown)).ok_or(Errno::ENOENT)
    }

    fn list(&self, from: u64, _: &Opener, tell: &mut dyn FnMut(Listed<'_>) -> bool) -> Result<(), Errno> {
        list_names(names(self.rows), from, tell);
        Ok(())
    }
}

/// The row called `name`.
pub fn find<T: Shown>(rows: &'static [Row<T>], name: &[u8]) -> Option<&'static Row<T>> {
    rows.iter().find(|row| row.name.as_bytes() == name)
}

/// Names and types of the rows.
pub fn names<T: Shown>(rows: &'static [Row<T>]) -> impl Iterator<Item = (&'static [u8], FileType)> {
    rows.iter().map(|row| (row.name.as_bytes(), row.file_type()))
}

/// A file or link of a row.
#[derive(Debug)]
struct Cell<T: 'static> {
    shown: T,
    row: &'static Row<T>,
}

impl<T: Shown> Cell<T> {
    fn permit(&self, caller: &Caller<'_>) -> Result<(), Errno> {
        if self.row.guarded { self.shown.permit(caller) } else { Ok(()) }
    }
}

impl<T: Shown> Entry for Cell<T> {
    fn ownership(&self) -> Ownership {
        self.shown.ownership(self.row.mode)
    }

    fn is_gone(&self) -> bool {
        self.shown.is_gone()
    }
}

impl<T: Shown> Text for Cell<T> {
    fn permit(&self, caller: &Caller<'_>, _: Access) -> Result<(), Errno> {
        self.permit(caller)
    }

    fn read(&self, opener: &Opener) -> Result<Vec<u8>, Errno> {
        match self.row.kind {
            Kind::Text(read) | Kind::Written(read, _) => read(&self.shown, opener),
            _ => Err(Errno::EINVAL),
        }
    }

    fn write(&self, bytes: &[u8], opener: &Opener) -> Result<(), Errno> {
        match self.row.kind {
            Kind::Written(_, write) => write(&self.shown, bytes, opener),
            _ => Err(Errno::EIO),
        }
    }
}

impl<T: Shown> Openable for Cell<T> {
    fn open(&self, caller: &Caller<'_>, _: Access) -> Result<Arc<dyn FileObject>, Errno> {
        self.permit(caller)?;
        match self.row.kind {
            Kind::Object(open) => open(&self.shown),
            _ => Err(Errno::EINVAL),
        }
    }
}

impl<T: Shown> Link for Cell<T> {
    fn target(&self, caller: &Caller<'_>) -> Result<Vec<u8>, Errno> {
        self.permit(caller)?;
        match self.row.kind {
            Kind::Link(target) | Kind::Magic(target, _) => target(&self.shown, caller),
            _ => Err(Errno::EINVAL),
        }
    }

    fn follow(&self, caller: &Caller<'_>) -> Result<Target, Errno> {
        self.permit(caller)?;
        match self.row.kind {
            Kind::Magic(_, follow) => follow(&self.shown, caller).map(Target::Place),
            _ => self.target(caller).map(Target::Path),
        }
    }
}

/// Text that `write` makes.
pub fn text(write: impl FnOnce(&mut String) -> fmt::Result) -> Vec<u8> {
    let mut text = String::new();
    write(&mut text).expect("a string takes what is written");
    text.into_bytes()
}
