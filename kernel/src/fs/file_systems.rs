//! The types of file systems that can be mounted.

use super::{Caller, Dentry, proc};
use crate::security::Capabilities;
use alloc::sync::Arc;
use veridian_containers::abi::Errno;

/// Their names, for /proc/filesystems. None has a device.
pub(super) const FILE_SYSTEMS: [&str; 3] = ["dev", "proc", "tmpfs"];

impl Caller<'_> {
    /// The root of a new file system of type `kind` with the options `data`, if it is a type that shows kernel objects:
    /// those of the caller.
    pub(super) fn synthetic_tree(&self, kind: &[u8], data: &[u8]) -> Result<Option<Arc<Dentry>>, Errno> {
        match kind {
            b"proc" => {
                let namespace = self.thread.ok_or(Errno::EPERM)?.pid().namespace();
                if !self.credentials.capable_in(namespace.owner(), Capabilities::SYS_ADMIN) {
                    return Err(Errno::EPERM);
                }
                let options = proc::Options::parse(data, self.credentials)?;
                Ok(Some(proc::tree(namespace, options, &self.credentials.user_namespace)))
            }
            _ => Ok(None),
        }
    }
}
