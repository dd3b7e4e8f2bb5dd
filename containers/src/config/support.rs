//! Which single values of keys are enforced. Whole keys have their support in the table of `keys`.

use alloc::format;
use alloc::string::String;

use super::error::Shown;
use super::model::{Mount, Settings};
use super::syntax::mounts;
use crate::keys::{KeyId, Support};
use crate::{NamespaceKind, NamespaceSet};

/// A value of a key, or part of one, with a support of its own.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    /// The key.
    pub key: KeyId,
    /// The word, up to its `=` or `:` if something follows it; for a mount `type TYPE`, an option, or `TYPE OPTION`.
    pub word: &'static str,
    /// Whether this kernel enforces it.
    pub support: Support,
}

macro_rules! values {
    ($($key:ident $support:ident: $($word:literal)*;)*) => {
        /// Values that are enforced or not whatever else their key takes. What is not in it is as its key is.
        pub const VALUES: &[Value] = &[
            $($(Value { key: KeyId::$key, word: $word, support: Support::$support },)*)*
        ];
    };
}

// To enforce a value, move its word into the row that says so.
values! {
    ProcessTerminal Enforced: "false" "true";
    // New namespaces, and those that are joined by their path.
    Namespace Enforced: "pid" "mount" "ipc" "uts" "user" "cgroup" "time" "network";
    Namespace Enforced: "pid:" "network:" "mount:" "ipc:" "uts:" "user:" "cgroup:" "time:";
    // Types of mounts.
    Mount Enforced: "type bind" "type rbind" "type tmpfs" "type dev" "type proc" "type sysfs" "type cgroup2" "type devpts"
        "type mqueue" "type overlay" "remount";
    // Options: flags of the mount; of its tree; how it spreads.
    Mount Enforced: "nodev" "dev" "noexec" "exec" "nosuid" "suid" "ro" "rw";
    Mount Enforced: "dirsync" "iversion" "noiversion" "lazytime" "nolazytime" "mand" "nomand" "noatime" "atime"
        "nodiratime" "diratime" "nosymfollow" "symfollow" "relatime" "norelatime" "silent" "loud" "strictatime"
        "nostrictatime" "sync" "async";
    Mount Enforced: "rnoatime" "ratime" "rnodev" "rdev" "rnodiratime" "rdiratime" "rnoexec" "rexec" "rnosuid" "rsuid"
        "rnosymfollow" "rsymfollow" "rrelatime" "rnorelatime" "rro" "rrw" "rstrictatime" "rnostrictatime";
    Mount Enforced: "private" "shared" "slave" "unbindable" "rprivate" "rshared" "rslave" "runbindable";
    // Settings of a tmpfs; those of other types are as their type is.
    Mount Enforced: "tmpfs mode=" "tmpfs size=" "tmpfs gid=" "tmpfs uid=" "tmpfs nr_inodes=";
    Mount NotYet: "tmpfs tmpcopyup";
    // What becomes of a system call.
    Seccomp Enforced: "allow" "log" "errno" "trap" "trace" "kill_thread" "kill_process";
    Seccomp NotYet: "notify";
}

/// The kinds of namespaces that can be made new.
#[must_use]
pub fn new_namespaces() -> NamespaceSet {
    let kinds = NamespaceKind::ALL.into_iter().filter(|kind| is_enforced(KeyId::Namespace, kind.name()));
    kinds.map(NamespaceKind::flag).collect()
}

/// Whether a key and a word of its value are enforced, as far as the tables tell.
#[must_use]
pub fn is_enforced(key: KeyId, word: &str) -> bool {
    if key.key().support == Support::NotYet {
        return false;
    }
    if word.is_empty() {
        return true;
    }
    let row = VALUES.iter().find(|value| value.key == key && value.word == word);
    row.is_none_or(|value| value.support == Support::Enforced)
}

/// That something is known and not enforced, in the words that say so everywhere.
pub(super) fn not_yet(what: &str) -> String {
    format!("{what} is known, but this kernel does not enforce it yet")
}

/// Refuses what is not enforced among the values of a key that was just read.
pub(super) fn check(key: KeyId, settings: &Settings) -> Result<(), String> {
    match key {
        KeyId::ProcessTerminal if settings.process.terminal => word(key, "true", "true"),
        KeyId::Mount => settings.mounts.last().map_or(Ok(()), mount),
        _ => Ok(()),
    }
}

/// Refuses a word that is not enforced; `shown` is how a message names it.
pub(super) fn word(key: KeyId, word: &str, shown: &str) -> Result<(), String> {
    if is_enforced(key, word) { Ok(()) } else { Err(not_yet(shown)) }
}

fn mount(mount: &Mount) -> Result<(), String> {
    let (kind, options) = mounts::words(mount);
    word(KeyId::Mount, &format!("type {kind}"), &format!("the file system {}", Shown(kind)))?;
    options.iter().try_for_each(|option| {
        let shown = format!("the option {}", Shown(option));
        word(KeyId::Mount, option, &shown)?;
        word(KeyId::Mount, &format!("{kind} {option}"), &shown)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_in_the_table_twice() {
        for (index, value) in VALUES.iter().enumerate() {
            let before = &VALUES[..index];
            assert!(!before.iter().any(|other| (other.key, other.word) == (value.key, value.word)), "{}", value.word);
        }
    }
}
