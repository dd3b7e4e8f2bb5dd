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
    security::{Capabilities, Credentials, Groups},
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
    /// Its value as text, without the line's end; told its path.
    read: fn(&Scope, &str) -> String,
    /// How it is set, if it can be.
    write: Option<Setting>,
}

/// How a parameter of a namespace is set. (None of the whole machine's can be.)
#[derive(Debug)]
struct Setting {
    /// Told its path, to this text; EINVAL for one that is no value of it.
    set: fn(&Scope, &str, &[u8]) -> Result<(), Errno>,
    /// The owner of the namespace that it belongs to, over which `capability` is needed.
    owner: fn(&Scope) -> &Arc<UserNamespace>,
    capability: Capabilities,
}

impl Sysctl {
    const fn constant(path: &'static str, read: fn(&Scope, &str) -> String) -> Self {
        Self { path, read, write: None }
    }

    const fn of_ipc(path: &'static str) -> Self {
        Self {
            path,
            read: |scope, path| scope.namespaces.ipc.sysctl(path).unwrap_or_default(),
            write: Some(Setting {
                set: |scope, path, value| scope.namespaces.ipc.set_sysctl(path, words(value)?),
                owner: |scope| scope.namespaces.ipc.owner(),
                capability: Capabilities::SYS_ADMIN,
            }),
        }
    }

    const fn of_network(path: &'static str) -> Self {
        Self {
            path,
            read: |scope, path| scope.namespaces.network.sysctl(path).unwrap_or_default(),
            write: Some(Setting {
                set: |scope, path, value| scope.namespaces.network.set_sysctl(path, words(value)?),
                owner: |scope| scope.namespaces.network.owner(),
                capability: Capabilities::NET_ADMIN,
            }),
        }
    }

    const fn of_uts(
        path: &'static str,
        read: fn(&Scope, &str) -> String,
        set: fn(&Scope, &str, &[u8]) -> Result<(), Errno>,
    ) -> Self {
        let setting = Setting { set, owner: |scope| scope.namespaces.uts.owner(), capability: Capabilities::SYS_ADMIN };
        Self { path, read, write: Some(setting) }
    }

    /// Whether it belongs to a namespace and can be set.
    pub fn can_be_set(&self) -> bool {
        self.write.is_some()
    }

    /// Sets it, whoever asks. EACCES for one that nobody sets, EINVAL for what is no value of it.
    pub fn set(&self, scope: &Scope, value: &[u8]) -> Result<(), Errno> {
        let setting = self.write.as_ref().ok_or(Errno::EACCES)?;
        (setting.set)(scope, self.path, value)
    }

    /// Whether somebody with `credentials` may set it: EACCES for one that nobody sets, else EPERM.
    fn permit_write(&self, scope: &Scope, credentials: &Credentials) -> Result<(), Errno> {
        let setting = self.write.as_ref().ok_or(Errno::EACCES)?;
        if credentials.capable_in((setting.owner)(scope), setting.capability) { Ok(()) } else { Err(Errno::EPERM) }
    }
}

/// The text of a number or a few.
fn words(value: &[u8]) -> Result<&str, Errno> {
    core::str::from_utf8(value).map_err(|_| Errno::EINVAL)
}

/// All parameters. Those of a directory stand together.
static TABLE: [Sysctl; 38] = [
    Sysctl::constant("fs/file-max", |_, _| i64::MAX.to_string()),
    Sysctl::of_ipc("fs/mqueue/msg_default"),
    Sysctl::of_ipc("fs/mqueue/msg_max"),
    Sysctl::of_ipc("fs/mqueue/msgsize_default"),
    Sysctl::of_ipc("fs/mqueue/msgsize_max"),
    Sysctl::of_ipc("fs/mqueue/queues_max"),
    Sysctl::constant("fs/nr_open", |_, _| DESCRIPTORS_MAX.to_string()),
    Sysctl::constant("kernel/cap_last_cap", |_, _| (Capabilities::all().bits().ilog2()).to_string()),
    Sysctl::of_uts(
        "kernel/domainname",
        |scope, _| shown(&scope.namespaces.uts.names().domain),
        |scope, _, name| scope.namespaces.uts.set_domain(name),
    ),
    Sysctl::of_uts(
        "kernel/hostname",
        |scope, _| shown(&scope.namespaces.uts.names().host),
        |scope, _, name| scope.namespaces.uts.set_host(name),
    ),
    Sysctl::of_ipc("kernel/msgmax"),
    Sysctl::of_ipc("kernel/msgmnb"),
    Sysctl::of_ipc("kernel/msgmni"),
    Sysctl::constant("kernel/ngroups_max", |_, _| Groups::MAX.to_string()),
    Sysctl::constant("kernel/osrelease", |_, _| uts::RELEASE.to_string()),
    Sysctl::constant("kernel/ostype", |_, _| uts::SYSTEM.to_string()),
    Sysctl::constant("kernel/overflowgid", |_, _| user::OVERFLOW_ID.to_string()),
    Sysctl::constant("kernel/overflowuid", |_, _| user::OVERFLOW_ID.to_string()),
    Sysctl::constant("kernel/pid_max", |_, _| PID_MAX.to_string()),
    Sysctl::constant("kernel/random/boot_id", |_, _| boot_id()),
    Sysctl::constant("kernel/random/entropy_avail", |_, _| random::KEY_BITS.to_string()),
    Sysctl::constant("kernel/random/poolsize", |_, _| random::KEY_BITS.to_string()),
    Sysctl::constant("kernel/random/uuid", |_, _| uuid(random::bytes())),
    Sysctl::constant("kernel/randomize_va_space", |_, _| 2.to_string()),
    Sysctl::of_ipc("kernel/sem"),
    Sysctl::of_ipc("kernel/shmall"),
    Sysctl::of_ipc("kernel/shmmax"),
    Sysctl::of_ipc("kernel/shmmni"),
    Sysctl::constant("kernel/threads-max", |_, _| PID_MAX.to_string()),
    Sysctl::constant("kernel/version", |_, _| uts::VERSION.to_string()),
    Sysctl::of_network("net/core/somaxconn"),
    Sysctl::of_network("net/ipv4/ip_local_port_range"),
    Sysctl::of_network("net/ipv4/ip_unprivileged_port_start"),
    Sysctl::of_network("net/ipv4/ping_group_range"),
    Sysctl::constant("vm/max_map_count", |_, _| layout::AREAS_MAX.to_string()),
    Sysctl::constant("vm/mmap_min_addr", |_, _| layout::LOWEST.to_string()),
    Sysctl::constant("vm/overcommit_memory", |_, _| 0.to_string()),
    Sysctl::constant("vm/swappiness", |_, _| 0.to_string()),
];

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
        let value = (self.0.read)(&scope(opener)?, self.0.path);
        Ok(text(|to| writeln!(to, "{value}")))
    }

    fn write(&self, bytes: &[u8], opener: &Opener) -> Result<(), Errno> {
        let scope = scope(opener)?;
        self.0.permit_write(&scope, &opener.credentials)?;
        self.0.set(&scope, bytes.strip_suffix(b"\n").unwrap_or(bytes))
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
    fn each_of_a_namespace_shows_its_value() {
        let owner = UserNamespace::first();
        let (ipc, network) =
            (crate::namespace::IpcNamespace::new(owner), crate::namespace::NetworkNamespace::new(owner));
        let known = |path: &str| ipc.sysctl(path).is_some() || network.sysctl(path).is_some();
        let of_namespaces = TABLE.iter().filter(|row| row.can_be_set() && !row.path.ends_with("name"));
        assert!(of_namespaces.clone().all(|row| known(row.path)));
        assert_eq!(of_namespaces.count(), 16);
    }

    #[test]
    fn a_uuid_is_of_version_4() {
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_ne!(uuid(random::bytes()), uuid(random::bytes()));
        assert_eq!(boot_id(), boot_id());
    }
}
