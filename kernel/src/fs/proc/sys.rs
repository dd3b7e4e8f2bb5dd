//! `/proc/sys` (proc_sys(5)): one table of the kernel's parameters, shared with the `sysctl` keys of configurations.

use super::table::text;
use crate::{
    device::random,
    fs::{
        Access, Caller, DESCRIPTORS_MAX, FileType,
        synthetic::{Directory, Entry, Listed, Node, Opener, Ownership, Text, list_names},
    },
    mm::layout,
    namespace::{Namespaces, UserNamespace, pid::PID_MAX, user, uts},
    security::{Capabilities, Credentials, GROUPS_MAX},
};
use alloc::{
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::fmt::Write;
use veridian_containers::abi::Errno;
use veridian_hal::sync::Once;

/// Whose parameters are read or set: those of a process, or of a container that is made.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Its namespaces.
    pub namespaces: Namespaces,
}

/// A parameter.
#[derive(Debug)]
pub struct Sysctl {
    /// Its path beneath `/proc/sys`.
    pub path: &'static str,
    /// Its value as text, without the line's end.
    pub read: fn(&Scope) -> String,
    /// How it is set, if it can be.
    pub write: Option<Setting>,
}

/// How a parameter is set.
#[derive(Debug)]
pub struct Setting {
    /// To this text; EINVAL for one that is no value of it.
    pub set: fn(&Scope, &[u8]) -> Result<(), Errno>,
    /// The user namespace in which CAP_SYS_ADMIN is needed: the owner of the namespace that it belongs to. `None` for a
    /// parameter of the whole machine, which no container may set.
    pub owner: Option<fn(&Scope) -> &Arc<UserNamespace>>,
}

impl Sysctl {
    const fn constant(path: &'static str, read: fn(&Scope) -> String) -> Self {
        Self { path, read, write: None }
    }

    /// Whether somebody with `credentials` may set it: EACCES for one that nobody sets, else EPERM.
    fn permit_write(&self, scope: &Scope, credentials: &Credentials) -> Result<(), Errno> {
        let owner = match &self.write {
            None => return Err(Errno::EACCES),
            Some(Setting { owner: Some(owner), .. }) => owner(scope),
            Some(Setting { owner: None, .. }) => UserNamespace::first(),
        };
        if credentials.capable_in(owner, Capabilities::SYS_ADMIN) { Ok(()) } else { Err(Errno::EPERM) }
    }
}

/// All parameters. Those of a directory stand together.
static TABLE: [Sysctl; 20] = [
    Sysctl::constant("fs/file-max", |_| i64::MAX.to_string()),
    Sysctl::constant("fs/nr_open", |_| DESCRIPTORS_MAX.to_string()),
    Sysctl::constant("kernel/cap_last_cap", |_| (Capabilities::all().bits().ilog2()).to_string()),
    Sysctl {
        path: "kernel/domainname",
        read: |scope| shown(&scope.namespaces.uts.names().domain),
        write: Some(Setting { set: |scope, name| scope.namespaces.uts.set_domain(name), owner: Some(uts_owner) }),
    },
    Sysctl {
        path: "kernel/hostname",
        read: |scope| shown(&scope.namespaces.uts.names().host),
        write: Some(Setting { set: |scope, name| scope.namespaces.uts.set_host(name), owner: Some(uts_owner) }),
    },
    Sysctl::constant("kernel/ngroups_max", |_| GROUPS_MAX.to_string()),
    Sysctl::constant("kernel/osrelease", |_| uts::RELEASE.to_string()),
    Sysctl::constant("kernel/ostype", |_| uts::SYSTEM.to_string()),
    Sysctl::constant("kernel/overflowgid", |_| user::OVERFLOW_ID.to_string()),
    Sysctl::constant("kernel/overflowuid", |_| user::OVERFLOW_ID.to_string()),
    Sysctl::constant("kernel/pid_max", |_| PID_MAX.to_string()),
    Sysctl::constant("kernel/random/boot_id", |_| boot_id()),
    Sysctl::constant("kernel/random/entropy_avail", |_| random::KEY_BITS.to_string()),
    Sysctl::constant("kernel/random/poolsize", |_| random::KEY_BITS.to_string()),
    Sysctl::constant("kernel/random/uuid", |_| uuid(random::bytes())),
    Sysctl::constant("kernel/threads-max", |_| PID_MAX.to_string()),
    Sysctl::constant("kernel/version", |_| uts::VERSION.to_string()),
    Sysctl::constant("vm/max_map_count", |_| layout::AREAS_MAX.to_string()),
    Sysctl::constant("vm/mmap_min_addr", |_| layout::LOWEST.to_string()),
    Sysctl::constant("vm/overcommit_memory", |_| 0.to_string()),
];

fn uts_owner(scope: &Scope) -> &Arc<UserNamespace> {
    scope.namespaces.uts.owner()
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// A UUID of version 4 made of random bytes.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            text.push('-');
        }
        write!(text, "{byte:02x}").expect("a string takes what is written");
    }
    text
}

/// The same until the machine ends.
fn boot_id() -> String {
    static ID: Once<String> = Once::new();
    ID.call_once(|| uuid(random::bytes())).clone()
}

/// The parameter of `name`, with dots or slashes between its parts, as `sysctl` of a configuration names it.
pub fn find(name: &str) -> Option<&'static Sysctl> {
    let same = |path: &str| path.len() == name.len() && path.bytes().zip(name.bytes()).all(same_or_dot);
    TABLE.iter().find(|row| same(row.path))
}

fn same_or_dot((of_path, of_name): (u8, u8)) -> bool {
    of_path == of_name || of_path == b'/' && of_name == b'.'
}

/// `/proc/sys`.
pub(super) fn root() -> Arc<dyn Directory> {
    Arc::new(Branch(""))
}

/// A directory: the parameters whose paths begin so. Empty, or ends in a slash.
#[derive(Debug)]
struct Branch(&'static str);

impl Branch {
    /// The parameters in it and below, with what of their paths is left.
    fn below(&self) -> impl Iterator<Item = (&'static Sysctl, &'static str)> {
        TABLE.iter().filter_map(|row| Some((row, row.path.strip_prefix(self.0)?)))
    }
}

impl Entry for Branch {
    fn ownership(&self) -> Ownership {
        Ownership::root(0o555)
    }
}

impl Directory for Branch {
    fn look_up(&self, name: &[u8], _: &Caller<'_>) -> Result<Node, Errno> {
        for (row, rest) in self.below() {
            let first = rest.split('/').next().unwrap_or(rest);
            if first.as_bytes() == name {
                let end = row.path.len() - rest.len() + first.len();
                return Ok(match row.path.get(..=end) {
                    Some(prefix) => Node::Directory(Arc::new(Branch(prefix))),
                    None => Node::Text(Arc::new(Parameter(row))),
                });
            }
        }
        Err(Errno::ENOENT)
    }

    fn list(&self, from: u64, _: &Opener, tell: &mut dyn FnMut(Listed<'_>) -> bool) -> Result<(), Errno> {
        let mut last = "";
        let names = self.below().filter_map(|(_, rest)| {
            let (name, file_type) = match rest.split_once('/') {
                Some((directory, _)) => (directory, FileType::Directory),
                None => (rest, FileType::Regular),
            };
            (core::mem::replace(&mut last, name) != name).then_some((name.as_bytes(), file_type))
        });
        list_names(names, from, tell);
        Ok(())
    }
}

/// A parameter's file.
#[derive(Debug)]
struct Parameter(&'static Sysctl);

/// The parameters of who opened the file; ESRCH once that process has gone.
fn scope(opener: &Opener) -> Result<Scope, Errno> {
    opener.thread.upgrade().map(|thread| Scope { namespaces: thread.namespaces() }).ok_or(Errno::ESRCH)
}

impl Entry for Parameter {
    fn ownership(&self) -> Ownership {
        Ownership::root(if self.0.write.is_some() { 0o644 } else { 0o444 })
    }
}

impl Text for Parameter {
    /// No capability stands above the mode here: what is not to be written is not opened for it.
    fn permit(&self, caller: &Caller<'_>, access: Access) -> Result<(), Errno> {
        if !access.contains(Access::WRITE) {
            return Ok(());
        }
        let scope = Scope { namespaces: caller.thread.ok_or(Errno::EACCES)?.namespaces() };
        self.0.permit_write(&scope, caller.credentials)
    }

    fn read(&self, opener: &Opener) -> Result<Vec<u8>, Errno> {
        let value = (self.0.read)(&scope(opener)?);
        Ok(text(|to| writeln!(to, "{value}")))
    }

    fn write(&self, bytes: &[u8], opener: &Opener) -> Result<(), Errno> {
        let scope = scope(opener)?;
        self.0.permit_write(&scope, &opener.credentials)?;
        let setting = self.0.write.as_ref().ok_or(Errno::EACCES)?;
        (setting.set)(&scope, bytes.strip_suffix(b"\n").unwrap_or(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_by_dots_and_slashes() {
        assert!(find("kernel.hostname").is_some_and(|row| row.path == "kernel/hostname"));
        assert!(find("kernel/random/uuid").is_some());
        assert!(find("kernel").is_none() && find("kernel.hostname.").is_none());
    }

    #[test]
    fn those_of_a_directory_stand_together() {
        let mut paths: Vec<&str> = TABLE.iter().map(|row| row.path).collect();
        let listed = paths.clone();
        paths.sort_unstable();
        assert_eq!(paths, listed);
    }

    #[test]
    fn a_uuid_is_of_version_4() {
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_ne!(uuid(random::bytes()), uuid(random::bytes()));
        assert_eq!(boot_id(), boot_id());
    }
}
