//! Which single values of keys are enforced. Whole keys have their support in the table of `keys`.

use alloc::format;
use alloc::string::String;

use super::error::Shown;
use super::model::{Mount, SeccompAction, Settings};
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

/// How many of them are not enforced.
const REFUSED_COUNT: usize = refused([VALUES[0]; 0]).1;
/// Those.
const REFUSED: [Value; REFUSED_COUNT] = refused([VALUES[0]; REFUSED_COUNT]).0;

/// The values that are not enforced, as many as there is room for, and their number.
const fn refused<const ROOM: usize>(mut room: [Value; ROOM]) -> ([Value; ROOM], usize) {
    let (mut count, mut index) = (0, 0);
    while index < VALUES.len() {
        if matches!(VALUES[index].support, Support::NotYet) {
            if count < ROOM {
                room[count] = VALUES[index];
            }
            count += 1;
        }
        index += 1;
    }
    (room, count)
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
    let is_word = |value: &Value| value.key == key && value.word == word;
    key.key().support == Support::Enforced && (word.is_empty() || !REFUSED.iter().any(is_word))
}

/// That something is known and not enforced, in the words that say so everywhere.
pub(super) const NOT_ENFORCED: &str = "is known, but this kernel does not enforce it yet";

/// The same of a part of a value.
pub(super) fn not_yet(what: &str) -> String {
    format!("{what} {NOT_ENFORCED}")
}

/// Refuses what is not enforced among the values of a key that was just read.
pub(super) fn check(key: KeyId, settings: &Settings) -> Result<(), String> {
    match key {
        KeyId::ProcessTerminal if settings.process.terminal => terminal(),
        KeyId::Mount => settings.mounts.last().map_or(Ok(()), mount),
        _ => Ok(()),
    }
}

/// Refuses a word that is not enforced; `shown` is how a message names it.
fn word(key: KeyId, word: &str, shown: &str) -> Result<(), String> {
    if is_enforced(key, word) { Ok(()) } else { Err(not_yet(shown)) }
}

/// Refuses a terminal if none is given.
pub(super) fn terminal() -> Result<(), String> {
    word(KeyId::ProcessTerminal, "true", "true")
}

/// Refuses what is not enforced of a mount.
pub(super) fn mount(mount: &Mount) -> Result<(), String> {
    mounts::words(mount, &mut |of_mount| {
        if is_enforced(KeyId::Mount, of_mount) {
            return Ok(());
        }
        let what = if of_mount.starts_with("type ") { "file system" } else { "option" };
        Err(not_yet(&format!("the {what} {}", Shown(mounts::without_type(of_mount)))))
    })
}

/// Refuses what is not enforced of a namespace, new or joined.
pub(super) fn namespace(kind: NamespaceKind, is_joined: bool) -> Result<(), String> {
    word(KeyId::Namespace, kind.name(), kind.name())?;
    if is_joined && !is_enforced(KeyId::Namespace, &format!("{kind}:")) {
        return Err(not_yet(&format!("joining one (`{kind}:path`)")));
    }
    Ok(())
}

/// Refuses what is not enforced of what becomes of a system call.
pub(super) fn action(action: SeccompAction) -> Result<(), String> {
    word(KeyId::Seccomp, action.word(), action.word())
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
