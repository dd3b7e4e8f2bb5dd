//! The uts namespace: host name and NIS domain name (uts_namespaces(7)).

use super::UserNamespace;
use alloc::sync::Arc;
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// What uname(2) calls the system.
pub const SYSTEM: &str = "Linux";
/// The Linux version whose system calls these are, for programs that ask for one.
pub const RELEASE: &str = concat!("6.1.0-veridian-", env!("CARGO_PKG_VERSION"));
/// The build.
pub const VERSION: &str = "#1 SMP Veridian";
/// The longest host or domain name, in bytes (`__NEW_UTS_LEN`).
pub const NAME_MAX: usize = 64;

/// A host or domain name: bytes, as Linux takes them.
pub type Name = heapless::Vec<u8, NAME_MAX>;

/// A host name and a domain name.
#[derive(Debug)]
pub struct UtsNamespace {
    owner: Arc<UserNamespace>,
    inode: u64,
    names: SpinLock<Names>,
}

/// What uname(2) tells of the namespace.
#[derive(Clone, Debug)]
pub struct Names {
    /// `nodename`.
    pub host: Name,
    /// `domainname`.
    pub domain: Name,
}

impl UtsNamespace {
    /// The machine's first one.
    pub fn new(host: &[u8]) -> Self {
        let host = Name::from_slice(&host[..host.len().min(NAME_MAX)]).unwrap_or_default();
        let domain = Name::from_slice(b"(none)").unwrap_or_default();
        Self::with(UserNamespace::first().clone(), Names { host, domain })
    }

    /// A new one with the names of this one.
    pub fn copy(&self, owner: &Arc<UserNamespace>) -> Arc<Self> {
        Arc::new(Self::with(owner.clone(), self.names()))
    }

    fn with(owner: Arc<UserNamespace>, names: Names) -> Self {
        Self { owner, inode: super::next_inode(), names: SpinLock::new(names) }
    }

    /// The user namespace whose capabilities rule it.
    pub fn owner(&self) -> &Arc<UserNamespace> {
        &self.owner
    }

    /// Unlike that of any other namespace.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// The names now.
    pub fn names(&self) -> Names {
        self.names.lock().clone()
    }

    /// Sets the host name; EINVAL past 64 bytes.
    pub fn set_host(&self, name: &[u8]) -> Result<(), Errno> {
        self.names.lock().host = Name::from_slice(name).map_err(|_| Errno::EINVAL)?;
        Ok(())
    }

    /// Sets the domain name; EINVAL past 64 bytes.
    pub fn set_domain(&self, name: &[u8]) -> Result<(), Errno> {
        self.names.lock().domain = Name::from_slice(name).map_err(|_| Errno::EINVAL)?;
        Ok(())
    }
}
