//! The uts namespace: host name and NIS domain name (uts_namespaces(7)).

use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// The longest host or domain name, in bytes (`__NEW_UTS_LEN`).
pub const NAME_MAX: usize = 64;

/// A host or domain name: bytes, as Linux takes them.
pub type Name = heapless::Vec<u8, NAME_MAX>;

/// A host name and a domain name.
#[derive(Debug)]
pub struct UtsNamespace {
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
        Self { names: SpinLock::new(Names { host, domain }) }
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

impl Clone for UtsNamespace {
    /// A new namespace begins with its maker's names.
    fn clone(&self) -> Self {
        Self { names: SpinLock::new(self.names()) }
    }
}
