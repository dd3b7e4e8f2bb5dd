//! Nodes that a container's configuration asks for (runtime-spec, `linux.devices`).

use super::container::{ContainerMounts, Made};
use crate::fs::{Caller, DeviceNumber, FileType, Location, inode::Content};
use veridian_containers::abi::Errno;

/// A device, or a pipe with a name.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// Where it is in the container: absolute.
    pub path: &'a [u8],
    /// What it is.
    pub kind: FileType,
    /// Its numbers, if it is a device.
    pub number: DeviceNumber,
    /// Permission bits, which no umask takes from.
    pub mode: u16,
    /// Its owner, in the container's user namespace.
    pub uid: u32,
    /// Its group, likewise.
    pub gid: u32,
}

impl ContainerMounts {
    /// Makes a node with the rights of `caller`, and the directories above it that are missing. A node of that kind and
    /// number that is there already is left as it is; EEXIST where something else is. On an error everything is as it was.
    pub fn make_node(&mut self, caller: &Caller<'_>, node: &Node<'_>) -> Result<(), Errno> {
        let owner = self.context.namespace.owner();
        let (uid, gid) = (owner.user(node.uid)?, owner.group(node.gid)?);
        let context = self.context.clone();
        let inside = Caller { context: &context, ..*caller };
        let made_before = self.made.len();
        let outcome = self.place_node(&inside, node, uid, gid);
        if outcome.is_err() {
            self.withdraw_from(made_before);
        }
        outcome
    }

    fn place_node(&mut self, inside: &Caller<'_>, node: &Node<'_>, uid: u32, gid: u32) -> Result<(), Errno> {
        let root = &inside.context.root;
        let last = node.path.iter().rposition(|&byte| byte == b'/').ok_or(Errno::EINVAL)?;
        let directory = match &node.path[..last] {
            [] => root.clone(),
            above => self.mountpoint(inside, above, true)?,
        };
        let name = &node.path[last + 1..];
        match inside.mknod(&directory, name, node.kind, node.mode, node.number) {
            Err(Errno::EEXIST) if node.is(&inside.resolve(&directory, name, false)?) => return Ok(()),
            outcome => outcome?,
        }
        let made = inside.resolve(&directory, name, false)?;
        self.made.push(Made { directory: directory.dentry.clone(), dentry: made.dentry.clone() });
        inside.chown(&made, Some(uid), Some(gid))?;
        inside.chmod(&made, node.mode)
    }
}

impl Node<'_> {
    fn is(&self, there: &Location) -> bool {
        match &there.inode().content {
            Content::Device(kind, number) => (*kind, *number) == (self.kind, self.number),
            Content::Fifo(_) => self.kind == FileType::Fifo,
            _ => false,
        }
    }
}
