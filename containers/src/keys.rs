//! The keys of the configuration language, as data: the parser, its messages and docs/config.md read them here.

/// A key of the language.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// Whether it may be given more than once; order is kept.
    pub repeats: bool,
    /// Whether this kernel enforces it.
    pub support: Support,
    /// What values it takes.
    pub value: &'static str,
    /// What holds when it is not given.
    pub default: &'static str,
}

/// Whether a key is enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It is.
    Enforced(KeyId),
    /// It belongs to the language, and is refused: what is not enforced is not accepted.
    NotYet,
}

/// The enforced keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the key of its name; the table describes them")]
pub enum KeyId {
    OciVersion,
    RootPath,
    RootReadonly,
    Hostname,
    ProcessCwd,
    ProcessUid,
    ProcessGid,
    ProcessTerminal,
    ProcessArg,
    ProcessArgs,
    ProcessEnv,
    Mount,
    Namespace,
    MemoryLimit,
    PidsLimit,
}

impl KeyId {
    /// How many there are.
    pub const COUNT: usize = Self::PidsLimit as usize + 1;

    /// The key as it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        KEYS.iter().find(|key| key.support == Support::Enforced(self)).map_or("", |key| key.name)
    }
}

const fn once(id: KeyId, name: &'static str, value: &'static str, default: &'static str) -> Key {
    Key { name, repeats: false, support: Support::Enforced(id), value, default }
}

const fn repeated(id: KeyId, name: &'static str, value: &'static str, default: &'static str) -> Key {
    Key { name, repeats: true, support: Support::Enforced(id), value, default }
}

const fn not_yet(name: &'static str) -> Key {
    Key { name, repeats: true, support: Support::NotYet, value: "", default: "" }
}

/// Every key of the language.
pub const KEYS: &[Key] = &[
    once(KeyId::OciVersion, "oci_version", "SemVer, 1.x", "1.0.2"),
    once(
        KeyId::RootPath,
        "root_path",
        "path, absolute or relative to the bundle; any but `/` needs `namespace=mount`",
        "`/`",
    ),
    once(KeyId::RootReadonly, "root_readonly", "`true`, `false`; `true` needs `namespace=mount`", "false"),
    once(KeyId::Hostname, "hostname", "RFC 1123 labels, 64 bytes at most; needs `namespace=uts`", "the caller's"),
    once(KeyId::ProcessCwd, "process_cwd", "absolute path", "`/`"),
    once(KeyId::ProcessUid, "process_uid", "0 to 4294967294", "0"),
    once(KeyId::ProcessGid, "process_gid", "0 to 4294967294", "0"),
    once(KeyId::ProcessTerminal, "process_terminal", "`false`; `true` is not enforced yet", "false"),
    repeated(KeyId::ProcessArg, "process_arg", "one argument", "at least one is required"),
    once(
        KeyId::ProcessArgs,
        "process_args",
        "JSON array of strings, `[\"sh\",\"-c\",\"echo hi\"]`; instead of `process_arg`",
        "",
    ),
    repeated(KeyId::ProcessEnv, "process_env", "`NAME=value`; nothing is inherited", "none"),
    repeated(
        KeyId::Mount,
        "mount",
        "`destination:type:source[:option,option]`, made in order; needs `namespace=mount`",
        "none",
    ),
    repeated(KeyId::Namespace, "namespace", "`pid`, `mount`, `uts`: a new one; each once", "the caller's"),
    once(KeyId::MemoryLimit, "memory_limit", "bytes, or with K, M, G; `0` and `max` are unlimited", "unlimited"),
    once(KeyId::PidsLimit, "pids_limit", "tasks at one time, 1 to 4194304; `max` is unlimited", "unlimited"),
    not_yet("additional_gid"),
    not_yet("annotation"),
    not_yet("capability"),
    not_yet("capability_ambient"),
    not_yet("capability_bounding"),
    not_yet("capability_effective"),
    not_yet("capability_inheritable"),
    not_yet("capability_permitted"),
    not_yet("cgroups_path"),
    not_yet("cpu_burst"),
    not_yet("cpu_period"),
    not_yet("cpu_quota"),
    not_yet("cpu_shares"),
    not_yet("cpuset_cpus"),
    not_yet("device"),
    not_yet("domainname"),
    not_yet("gid_mapping"),
    not_yet("hook_create_container"),
    not_yet("hook_create_runtime"),
    not_yet("hook_env"),
    not_yet("hook_poststart"),
    not_yet("hook_poststop"),
    not_yet("hook_prestart"),
    not_yet("hook_start_container"),
    not_yet("masked_path"),
    not_yet("memory_high"),
    not_yet("memory_reservation"),
    not_yet("memory_swap"),
    not_yet("no_new_privileges"),
    not_yet("oom_score_adj"),
    not_yet("readonly_path"),
    not_yet("rlimit"),
    not_yet("rootfs_propagation"),
    not_yet("seccomp"),
    not_yet("seccomp_default"),
    not_yet("sysctl"),
    not_yet("time_offset"),
    not_yet("uid_mapping"),
    not_yet("umask"),
];

/// The key of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The known key that is most like a name, if any is like it.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static Key> {
    let (key, distance) =
        KEYS.iter().map(|key| (key, distance(key.name, name))).min_by_key(|&(_, distance)| distance)?;
    (distance <= 1 + key.name.len() / 4).then_some(key)
}

/// The longest name that [`nearest`] considers, in bytes.
const NAME_LEN_MAX: usize = 31;

/// How many letters must be put in, left out, or replaced to make `a` of `b` (Levenshtein), by bytes. Letters of
/// either case are alike, and so are `-`, `.` and `_`.
fn distance(a: &str, b: &str) -> usize {
    let folded = |byte: u8| {
        if matches!(byte, b'-' | b'.') { b'_' } else { byte.to_ascii_lowercase() }
    };
    if b.len() > NAME_LEN_MAX {
        return usize::MAX;
    }
    // row[j]: the distance of the part of `a` seen so far to the first j bytes of `b`.
    let mut row = [0; NAME_LEN_MAX + 1];
    for (j, cell) in row.iter_mut().enumerate() {
        *cell = j;
    }
    for (i, x) in a.bytes().map(folded).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().map(folded).enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_enforced_key_is_in_the_table_once_and_each_name_too() {
        let mut seen = [false; KeyId::COUNT];
        for (index, key) in KEYS.iter().enumerate() {
            assert!(KEYS[..index].iter().all(|other| other.name != key.name), "{}", key.name);
            if let Support::Enforced(id) = key.support {
                assert!(!core::mem::replace(&mut seen[id as usize], true), "{}", key.name);
                assert_eq!(id.name(), key.name);
            }
        }
        assert_eq!(seen, [true; KeyId::COUNT]);
    }

    #[test]
    fn a_misspelt_key_is_recognised_and_a_strange_one_is_not() {
        for (name, key) in [
            ("memory_limt", "memory_limit"),
            ("memorylimit", "memory_limit"),
            ("memory.limit", "memory_limit"),
            ("HOSTNAME", "hostname"),
            ("namespaces", "namespace"),
            ("proces_arg", "process_arg"),
            ("mounts", "mount"),
        ] {
            assert_eq!(nearest(name).map(|key| key.name), Some(key), "{name}");
        }
        for name in ["x", "colour", "", "a_very_long_key_that_is_like_no_other", "ä"] {
            assert!(nearest(name).is_none(), "{name}");
        }
    }

    #[test]
    fn distances_are_counted_right() {
        for (a, b, expected) in [("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3), ("ab", "ba", 2)] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
