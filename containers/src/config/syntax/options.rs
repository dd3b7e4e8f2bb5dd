//! The options of a mount (runtime-spec, config.md#linux-mount-options), as data.

use crate::config::model::{MountFlags, MountPropagation, Propagation};

/// An option that is a flag: the word that sets it, the one that clears it, and whether mount_setattr(2) can set
/// it on a tree, for which there are two more words with `r` before them.
pub(in crate::config) struct FlagOption {
    pub(in crate::config) flag: MountFlags,
    pub(in crate::config) set: &'static str,
    pub(in crate::config) cleared: &'static str,
    /// The words for a tree.
    pub(in crate::config) recursive: Option<(&'static str, &'static str)>,
}

const fn flag(flag: MountFlags, set: &'static str, cleared: &'static str) -> FlagOption {
    FlagOption { flag, set, cleared, recursive: None }
}

const fn tree(flag: MountFlags, [set, cleared, recursive_set, recursive_cleared]: [&'static str; 4]) -> FlagOption {
    FlagOption { flag, set, cleared, recursive: Some((recursive_set, recursive_cleared)) }
}

/// Every flag, in the order in which they are printed: that of their words.
pub(in crate::config) const FLAGS: [FlagOption; 15] = [
    flag(MountFlags::SYNCHRONOUS_DIRECTORIES, "dirsync", ""),
    flag(MountFlags::INODE_VERSION, "iversion", "noiversion"),
    flag(MountFlags::LAZY_TIME, "lazytime", "nolazytime"),
    flag(MountFlags::MANDATORY_LOCKS, "mand", "nomand"),
    tree(MountFlags::NO_ACCESS_TIME, ["noatime", "atime", "rnoatime", "ratime"]),
    tree(MountFlags::NO_DEV, ["nodev", "dev", "rnodev", "rdev"]),
    tree(MountFlags::NO_DIRECTORY_ACCESS_TIME, ["nodiratime", "diratime", "rnodiratime", "rdiratime"]),
    tree(MountFlags::NO_EXEC, ["noexec", "exec", "rnoexec", "rexec"]),
    tree(MountFlags::NO_SUID, ["nosuid", "suid", "rnosuid", "rsuid"]),
    tree(MountFlags::NO_SYMLINK_FOLLOW, ["nosymfollow", "symfollow", "rnosymfollow", "rsymfollow"]),
    tree(MountFlags::RELATIVE_ACCESS_TIME, ["relatime", "norelatime", "rrelatime", "rnorelatime"]),
    tree(MountFlags::READ_ONLY, ["ro", "rw", "rro", "rrw"]),
    flag(MountFlags::SILENT, "silent", "loud"),
    tree(MountFlags::STRICT_ACCESS_TIME, ["strictatime", "nostrictatime", "rstrictatime", "rnostrictatime"]),
    flag(MountFlags::SYNCHRONOUS, "sync", "async"),
];

/// The flags that a word clears, and those that are for a tree too.
pub(in crate::config) const CLEARED: MountFlags = with_words(false);
pub(in crate::config) const OF_TREES: MountFlags = with_words(true);

const fn with_words(of_trees: bool) -> MountFlags {
    let (mut flags, mut index) = (MountFlags::empty(), 0);
    while index < FLAGS.len() {
        let option = &FLAGS[index];
        if if of_trees { option.recursive.is_some() } else { !option.cleared.is_empty() } {
            flags = flags.union(option.flag);
        }
        index += 1;
    }
    flags
}

/// What a word says about a flag.
#[derive(Clone, Copy)]
pub(in crate::config) struct FlagWord {
    pub(in crate::config) flag: MountFlags,
    /// Set, or cleared.
    pub(in crate::config) set: bool,
    /// For the mounts below too.
    pub(in crate::config) recursive: bool,
}

/// The meaning of a word that is a flag.
pub(in crate::config) fn flag_word(word: &str) -> Option<FlagWord> {
    FLAGS.iter().find_map(|option| {
        let (tree_set, tree_cleared) = option.recursive.unwrap_or_default();
        let (set, recursive) = match word {
            "" => return None,
            _ if word == option.set => (true, false),
            _ if word == option.cleared => (false, false),
            _ if word == tree_set => (true, true),
            _ if word == tree_cleared => (false, true),
            _ => return None,
        };
        Some(FlagWord { flag: option.flag, set, recursive })
    })
}

/// The words for propagation, and for that of a tree.
const PROPAGATIONS: [(Propagation, &str, &str); 4] = [
    (Propagation::Private, "private", "rprivate"),
    (Propagation::Shared, "shared", "rshared"),
    (Propagation::Slave, "slave", "rslave"),
    (Propagation::Unbindable, "unbindable", "runbindable"),
];

impl MountPropagation {
    /// The word of OCI.
    #[must_use]
    pub fn name(self) -> &'static str {
        let row = PROPAGATIONS.iter().find(|row| row.0 == self.kind);
        row.map_or("", |&(_, one, tree)| if self.recursive { tree } else { one })
    }

    /// The propagation of a word, `None` if it is none.
    #[must_use]
    pub fn from_name(word: &str) -> Option<Self> {
        PROPAGATIONS.iter().find_map(|&(kind, one, tree)| match word {
            _ if word == one => Some(Self { kind, recursive: false }),
            _ if word == tree => Some(Self { kind, recursive: true }),
            _ => None,
        })
    }
}

/// Types of file systems that are known, and that there is nothing in the model for.
pub(in crate::config) const OTHER_TYPES: [&str; 14] = [
    "devtmpfs",
    "ext2",
    "ext3",
    "ext4",
    "xfs",
    "btrfs",
    "iso9660",
    "vfat",
    "nfs",
    "fuse",
    "virtiofs",
    "9p",
    "bpf",
    "hugetlbfs",
];

/// Options that are known, and that there is nothing in the model for; up to their `=` if they have one.
pub(in crate::config) const OTHER_OPTIONS: [&str; 26] = [
    "idmap",
    "ridmap",
    "size=",
    "mode=",
    "uid=",
    "gid=",
    "nr_inodes=",
    "nr_blocks=",
    "huge=",
    "mpol=",
    "noswap",
    "inode32",
    "inode64",
    "context=",
    "hidepid=",
    "subset=",
    "nsdelegate",
    "memory_localevents",
    "memory_recursiveprot",
    "index=",
    "metacopy=",
    "redirect_dir=",
    "userxattr",
    "xino=",
    "volatile",
    "nfs_export=",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_means_one_thing_and_the_table_is_in_the_order_of_its_words() {
        assert!(FLAGS.is_sorted_by_key(|option| option.set));
        let mut all = MountFlags::empty();
        for option in &FLAGS {
            assert!(!all.intersects(option.flag));
            all |= option.flag;
            let (tree_set, tree_cleared) = option.recursive.unwrap_or_default();
            for (word, set, recursive) in [
                (option.set, true, false),
                (option.cleared, false, false),
                (tree_set, true, true),
                (tree_cleared, false, true),
            ] {
                let Some(meaning) = flag_word(word) else {
                    assert_eq!(word, "");
                    continue;
                };
                assert_eq!((meaning.flag, meaning.set, meaning.recursive), (option.flag, set, recursive), "{word}");
                assert_eq!(MountPropagation::from_name(word), None);
            }
        }
        assert!(all.is_all());
        assert!(flag_word("").is_none());
    }

    #[test]
    fn every_option_of_the_specification_is_known() {
        let must = "async atime bind defaults dev diratime dirsync exec iversion lazytime loud noatime nodev \
            nodiratime noexec noiversion nolazytime norelatime nostrictatime nosuid private rbind relatime remount ro \
            rprivate rshared rslave runbindable rw shared silent slave strictatime suid sync unbindable";
        let should = "nosymfollow symfollow rro rrw rnosuid rsuid rnodev rdev rnoexec rexec rnodiratime rdiratime \
            rrelatime rnorelatime rnoatime ratime rstrictatime rnostrictatime rnosymfollow rsymfollow idmap ridmap";
        let may = "mand nomand tmpcopyup";
        for word in [must, should, may].into_iter().flat_map(|words| words.split_whitespace()) {
            assert!(
                flag_word(word).is_some()
                    || MountPropagation::from_name(word).is_some()
                    || OTHER_OPTIONS.contains(&word)
                    || ["bind", "rbind", "defaults", "remount", "tmpcopyup"].contains(&word),
                "{word}"
            );
        }
    }
}
