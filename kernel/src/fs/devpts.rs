//! devpts: the names of pseudo-terminals (pty(7)). Each mount is an instance of its own, with numbers of its own.

use super::{
    Access, Caller, Dentry, DeviceNumber, FileObject, FileType, Location,
    mount::{Mount, MountFlags},
    synthetic::{self, Directory, Entry, Listed, Node, Openable, Opener, Ownership},
};
use crate::tty::pty::{INSTANCE_MAX, Instance, Pair};
use alloc::{
    format,
    sync::{Arc, Weak},
    vec::Vec,
};
use veridian_containers::abi::Errno;

/// DEVPTS_SUPER_MAGIC of statfs(2).
const MAGIC: u64 = 0x1cd1;
/// `ptmx`.
const PTMX: DeviceNumber = DeviceNumber::new(5, 2);
/// Major number of the slave sides.
const SLAVE_MAJOR: u32 = 136;

/// What mount(2) is told (Documentation/filesystems/devpts.rst).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Options {
    uid: Option<u32>,
    gid: Option<u32>,
    mode: u16,
    ptmx_mode: u16,
    max: u32,
}

impl Options {
    /// Ids are those of the caller's user namespace.
    fn parse(text: &[u8], caller: &Caller<'_>) -> Result<Self, Errno> {
        let mut options = Self { uid: None, gid: None, mode: 0o600, ptmx_mode: 0, max: INSTANCE_MAX };
        let namespace = &caller.credentials.user_namespace;
        let text = core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
        for option in text.split(',').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let number = || value.parse::<u32>().map_err(|_| Errno::EINVAL);
            let mode = || u16::from_str_radix(value, 8).ok().filter(|mode| *mode <= 0o777).ok_or(Errno::EINVAL);
            match name {
                "uid" => options.uid = Some(namespace.user(number()?)?),
                "gid" => options.gid = Some(namespace.group(number()?)?),
                "mode" => options.mode = mode()?,
                "ptmxmode" => options.ptmx_mode = mode()?,
                "max" => options.max = number()?,
                // Every instance is new.
                "newinstance" if value.is_empty() => {}
                _ => return Err(Errno::EINVAL),
            }
        }
        Ok(options)
    }
}

#[derive(Debug)]
struct Root {
    instance: Arc<Instance>,
    options: Options,
}

#[derive(Debug)]
struct Ptmx(Arc<Instance>, Options);

#[derive(Debug)]
struct Slave(Weak<Pair>, DeviceNumber);

/// A new instance, mounted nowhere yet.
pub(super) fn tree(data: &[u8], caller: &Caller<'_>) -> Result<Arc<Dentry>, Errno> {
    let options = Options::parse(data, caller)?;
    Ok(synthetic::tree(
        "devpts",
        MAGIC,
        &caller.credentials.user_namespace,
        Arc::new(Root { instance: Instance::new(options.max), options }),
    ))
}

/// The root of a new instance that no path leads to.
pub fn detached(caller: &Caller<'_>) -> Result<Location, Errno> {
    let root = tree(b"ptmxmode=666,mode=620", caller)?;
    let mount = Mount::of_tree(root.clone(), b"devpts", MountFlags::empty(), caller.memory)?;
    Ok(Location { mount, dentry: root })
}

impl Entry for Root {
    fn ownership(&self) -> Ownership {
        Ownership::root(0o755)
    }
}

impl Directory for Root {
    fn look_up(&self, name: &[u8], _: &Caller<'_>) -> Result<Node, Errno> {
        if name == b"ptmx" {
            return Ok(Node::Object(Arc::new(Ptmx(self.instance.clone(), self.options))));
        }
        let plain = !name.is_empty() && name.iter().all(u8::is_ascii_digit) && (name == b"0" || name[0] != b'0');
        let number = core::str::from_utf8(name).ok().filter(|_| plain).and_then(|name| name.parse().ok());
        let pair = number.and_then(|number| self.instance.pair(number)).ok_or(Errno::ENOENT)?;
        let device = DeviceNumber::new(SLAVE_MAJOR, pair.number());
        Ok(Node::Object(Arc::new(Slave(Arc::downgrade(&pair), device))))
    }

    fn list(&self, from: u64, _: &Opener, tell: &mut dyn FnMut(Listed<'_>) -> bool) -> Result<(), Errno> {
        let file_type = FileType::CharacterDevice;
        if from == 0 && !tell(Listed { name: b"ptmx", file_type, next: 1 }) {
            return Ok(());
        }
        let numbers: Vec<u32> = self.instance.numbers();
        for number in numbers.into_iter().filter(|&number| u64::from(number) + 1 >= from) {
            let name = format!("{number}");
            if !tell(Listed { name: name.as_bytes(), file_type, next: u64::from(number) + 2 }) {
                break;
            }
        }
        Ok(())
    }
}

impl Entry for Ptmx {
    fn ownership(&self) -> Ownership {
        Ownership::root(self.1.ptmx_mode)
    }
}

impl Openable for Ptmx {
    fn file_type(&self) -> FileType {
        FileType::CharacterDevice
    }

    fn special(&self) -> DeviceNumber {
        PTMX
    }

    fn open(&self, caller: &Caller<'_>, _: Access) -> Result<Arc<dyn FileObject>, Errno> {
        let Self(instance, options) = self;
        let uid = options.uid.unwrap_or(caller.credentials.fsuid);
        let gid = options.gid.unwrap_or(caller.credentials.fsgid);
        Ok(instance.open_master(caller.memory, Ownership { mode: options.mode, uid, gid })?)
    }
}

impl Entry for Slave {
    fn ownership(&self) -> Ownership {
        self.0.upgrade().map_or(Ownership::root(0), |pair| pair.ownership())
    }

    fn set_ownership(&self, ownership: Ownership) -> Result<(), Errno> {
        self.0.upgrade().ok_or(Errno::EIO)?.set_ownership(ownership);
        Ok(())
    }

    fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl Openable for Slave {
    fn file_type(&self) -> FileType {
        FileType::CharacterDevice
    }

    fn special(&self) -> DeviceNumber {
        self.1
    }

    fn open(&self, _: &Caller<'_>, _: Access) -> Result<Arc<dyn FileObject>, Errno> {
        Ok(self.0.upgrade().ok_or(Errno::EIO)?.open_slave()?)
    }
}
