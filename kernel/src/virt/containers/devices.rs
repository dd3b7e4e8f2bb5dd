//! Device nodes of the configuration.

use super::{Kernel, root::View};
use crate::{
    fs::{Caller, DeviceNumber, FileType, mount::Node},
    task::Thread,
};
use veridian_containers::{
    abi::Errno,
    config::{Device, DeviceNode},
    engine::{Error, House},
};

/// Makes one node, with the creator's rights: who may not make a device may not have one made.
pub fn make(caller: &Thread, house: House<'_, Kernel>, device: &Device) -> Result<(), Error> {
    let root = house.root.ok_or(Errno::EINVAL)?;
    let (kind, number) = match device.node {
        DeviceNode::Character { major, minor } => (FileType::CharacterDevice, DeviceNumber::new(major, minor)),
        DeviceNode::Block { major, minor } => (FileType::BlockDevice, DeviceNumber::new(major, minor)),
        DeviceNode::Fifo => (FileType::Fifo, DeviceNumber::new(0, 0)),
    };
    let Device { mode, uid, gid, .. } = *device;
    let node = Node { path: device.path.as_bytes(), kind, number, mode, uid, gid };
    let view = View::of(caller);
    // The creator's own device rules are asked, too.
    let creator = Caller { thread: Some(caller), ..view.caller() };
    root.with_mounts(|mounts| mounts.make_node(&creator, &node)).map_err(|errno| match errno {
        Errno::EEXIST => Error::new(errno).reason("something else is there"),
        _ => Error::new(errno),
    })
}
