//! The keys of the configuration language, as data: the parser, its messages and docs/config.md read them here.

/// A key of the language.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Which one it is.
    pub id: KeyId,
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

/// Whether a key, or one of its values, is enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It is.
    Enforced,
    /// It belongs to the language, and is refused: what is not enforced is not accepted.
    NotYet,
}

macro_rules! keys {
    ($($id:ident $name:literal $times:ident $support:ident $value:literal, $default:literal;)*) => {
        /// The keys, in the order in which they are printed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each is the key of its name; the table describes them")]
        pub enum KeyId {
            $($id,)*
        }

        impl KeyId {
            /// How many there are.
            pub const COUNT: usize = [$($name),*].len();
        }

        /// Every key of the language, in the order of [`KeyId`].
        pub const KEYS: [Key; KeyId::COUNT] = [$(Key {
            id: KeyId::$id,
            name: $name,
            repeats: repeats!($times),
            support: Support::$support,
            value: $value,
            default: $default,
        },)*];
    };
}

macro_rules! repeats {
    (once) => {
        false
    };
    (repeats) => {
        true
    };
}

// Name, whether it repeats, whether it is enforced; what values it takes, and what holds without it. To enforce a
// key, say `Enforced` here; single values of keys have their table in `config::VALUES`.
keys! {
    OciVersion "oci_version" once Enforced "SemVer, 1.x", "1.0.2";
    RootPath "root_path" once Enforced
        "path, absolute or relative to the bundle; any but `/` needs `namespace=mount`", "`/`";
    RootReadonly "root_readonly" once Enforced "`true`, `false`; `true` needs `namespace=mount`", "false";
    RootfsPropagation "rootfs_propagation" once Enforced
        "`private`, `shared`, `slave`, `unbindable`; with `r` before it for the mounts below too; \
         needs `namespace=mount`", "private";
    Hostname "hostname" once Enforced "RFC 1123 labels, 64 bytes at most; needs `namespace=uts`", "the caller's";
    Domainname "domainname" once Enforced "likewise", "the caller's";
    ProcessCwd "process_cwd" once Enforced "absolute path", "`/`";
    ProcessUid "process_uid" once Enforced "0 to 4294967294", "0";
    ProcessGid "process_gid" once Enforced "0 to 4294967294", "0";
    AdditionalGid "additional_gid" repeats Enforced "0 to 4294967294", "none";
    Umask "umask" once Enforced "octal, up to 777", "022";
    ProcessTerminal "process_terminal" once Enforced "`true`, `false`", "false";
    ConsoleSize "process_console_size" once Enforced
        "`COLUMNSxLINES`, `80x24`; needs `process_terminal=true`", "the terminal's own";
    ProcessArg "process_arg" repeats Enforced "one argument", "at least one is required";
    ProcessArgs "process_args" once Enforced
        "JSON array of strings, `[\"sh\",\"-c\",\"echo hi\"]`; instead of `process_arg`", "";
    ProcessEnv "process_env" repeats Enforced
        "`NAME=value`, or a JSON array of such; nothing is inherited", "none";
    Capability "capability" repeats Enforced
        "`CAP_NET_ADMIN`, `default`, `all`, `none`: together the bounding, permitted and effective sets", "default";
    CapabilityBounding "capability_bounding" repeats Enforced "the same, for this set alone", "as `capability`";
    CapabilityEffective "capability_effective" repeats Enforced "likewise; within the permitted set", "as `capability`";
    CapabilityPermitted "capability_permitted" repeats Enforced "likewise", "as `capability`";
    CapabilityInheritable "capability_inheritable" repeats Enforced "likewise", "none";
    CapabilityAmbient "capability_ambient" repeats Enforced
        "likewise; within the permitted and inheritable sets", "none";
    Rlimit "rlimit" repeats Enforced
        "`KIND:SOFT[:HARD]`, `nofile:1024:4096`; a number or `max`; each kind once", "the caller's";
    NoNewPrivileges "no_new_privileges" once Enforced "`true`, `false`", "true";
    OomScoreAdj "oom_score_adj" once Enforced "-1000 to 1000", "the caller's";
    Mount "mount" repeats Enforced
        "`destination:type:source[:option,option]`, made in order; needs `namespace=mount`", "none";
    Namespace "namespace" repeats Enforced
        "`pid`, `network`, `mount`, `ipc`, `uts`, `user`, `cgroup`, `time`: a new one, or with `:path` one to join; \
         each once", "the caller's";
    UidMapping "uid_mapping" repeats Enforced
        "`CONTAINER:HOST:SIZE`; `namespace=user` needs one, and it needs that", "none";
    GidMapping "gid_mapping" repeats Enforced "likewise", "none";
    TimeOffset "time_offset" repeats Enforced
        "`monotonic:SECONDS[:NANOSECONDS]`, `boottime:…`; each once; needs `namespace=time`", "0";
    CgroupsPath "cgroups_path" once Enforced "path without `.` or `..`, below the caller's cgroup", "the id";
    MemoryLimit "memory_limit" once Enforced
        "bytes, or with K, M, G; `0` and `max` are unlimited", "unlimited";
    MemoryReservation "memory_reservation" once Enforced "likewise: what it keeps while others can give", "none";
    MemoryHigh "memory_high" once Enforced "likewise: where it is slowed down", "unlimited";
    MemorySwap "memory_swap" once Enforced
        "likewise: memory and swap together; no less than `memory_limit`, which it needs", "unlimited";
    CpuShares "cpu_shares" once Enforced "2 to 262144", "1024";
    CpuQuota "cpu_quota" once Enforced
        "microseconds in each period, at least 1000; `0` and `max` are unlimited", "unlimited";
    CpuPeriod "cpu_period" once Enforced "1000 to 1000000 microseconds", "100000";
    CpuBurst "cpu_burst" once Enforced "microseconds, at most the quota", "0";
    CpuIdle "cpu_idle" once Enforced "`true`, `false`: whether it runs only when no one else wants to", "false";
    CpusetCpus "cpuset_cpus" once Enforced "CPUs and ranges of them, `0-2,5`, up to 63", "the caller's";
    PidsLimit "pids_limit" once Enforced "tasks at one time, 1 to 4194304; `max` is unlimited", "unlimited";
    Unified "unified" repeats Enforced "`FILE=VALUE`: what is written to a file of the cgroup, each once", "none";
    Device "device" repeats Enforced
        "`PATH:c:MAJOR:MINOR[:MODE[:UID:GID]]`, `b` for a block device, `PATH:p[:…]` for a pipe; \
         needs `namespace=mount`", "none";
    DeviceRule "device_rule" repeats Enforced
        "`allow` or `deny`, `:`, `a`, `c` or `b`, `:MAJOR:MINOR:` (each may be `*`), of `rwm`; the last that matches \
         decides; `default`, `none`", "default";
    SeccompDefault "seccomp_default" once Enforced
        "what becomes of a system call without a rule: `allow`, `log`, `errno[=NUMBER]`, `trap`, `kill_thread`, \
         `kill_process`, `trace[=NUMBER]`, `notify`", "";
    SeccompArch "seccomp_arch" repeats Enforced "`X86_64`, …: libseccomp's name", "the native one";
    SeccompFlag "seccomp_flag" repeats Enforced "`tsync`, `log`, `spec_allow`, `wait_killable_recv`", "none";
    Seccomp "seccomp" repeats Enforced
        "`ACTION:CALL[,CALL][:CONDITION,…]`, a condition being `0==5`, with `!=`, `<`, `<=`, `>`, `>=` or \
         `1&MASK==5`; or alone `default`, `unconfined`", "default";
    Sysctl "sysctl" repeats Enforced
        "`NAME=VALUE`, of a new ipc, network, uts or user namespace; each once", "none";
    MaskedPath "masked_path" repeats Enforced "absolute path; `default`, `none`; needs `namespace=mount`", "default";
    ReadonlyPath "readonly_path" repeats Enforced "likewise", "default";
    Annotation "annotation" repeats Enforced "`NAME=VALUE`, or a JSON array of both; each name once", "none";
    HookPrestart "hook_prestart" repeats Enforced
        "`PATH[:SECONDS]`, `[\"PATH\",\"argument\"][:SECONDS]` or `PATH:[\"argument 0\",…][:SECONDS]`", "none";
    HookCreateRuntime "hook_create_runtime" repeats Enforced "likewise", "none";
    HookCreateContainer "hook_create_container" repeats Enforced "likewise", "none";
    HookStartContainer "hook_start_container" repeats Enforced "likewise", "none";
    HookPoststart "hook_poststart" repeats Enforced "likewise", "none";
    HookPoststop "hook_poststop" repeats Enforced "likewise", "none";
    HookEnv "hook_env" repeats Enforced
        "`NAME=value`, or a JSON array of such, for the hook declared last",
        "none; for `hook_start_container` that of the process";
}

impl KeyId {
    /// Its row in the table.
    #[must_use]
    pub const fn key(self) -> &'static Key {
        &KEYS[self as usize]
    }

    /// The key as it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.key().name
    }
}

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
    fn each_name_is_in_the_table_once_and_each_key_in_its_place() {
        for (index, key) in KEYS.iter().enumerate() {
            assert!(KEYS[..index].iter().all(|other| other.name != key.name), "{}", key.name);
            assert_eq!(key.id as usize, index);
            assert!(key.name.len() <= NAME_LEN_MAX);
        }
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
