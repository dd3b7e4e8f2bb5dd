//! The nodes of Unix-domain sockets (unix(7)): made by bind(2), found by connect(2) and sendto(2).

use super::{Access, Caller, Location, inode::Content, path::Walk};
use crate::net::SocketNode;
use alloc::sync::Arc;
use veridian_containers::abi::Errno;

impl Caller<'_> {
    /// Makes a node for a socket; EEXIST when something is there.
    pub fn make_socket(&self, base: &Location, path: &[u8]) -> Result<Arc<SocketNode>, Errno> {
        let node = Arc::<SocketNode>::default();
        let mut walk = Walk::new(self, base, path)?;
        let last = self.absent_name(&mut walk)?;
        if last.slash {
            return Err(Errno::ENOENT);
        }
        self.make(&walk.at, walk.name(&last), Content::Socket(node.clone()), 0o777)?;
        Ok(node)
    }

    /// The node of a socket that may be written; ECONNREFUSED for what is none.
    pub fn find_socket(&self, base: &Location, path: &[u8]) -> Result<Arc<SocketNode>, Errno> {
        let location = self.resolve(base, path, true)?;
        location.inode().permit(self.credentials, Access::WRITE)?;
        match &location.inode().content {
            Content::Socket(node) => Ok(node.clone()),
            _ => Err(Errno::ECONNREFUSED),
        }
    }
}
