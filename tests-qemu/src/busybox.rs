//! A root with nothing but busybox: the program, a link for each of its applets, and the files that a shell reads.

use crate::Initrd;
use std::{fs, io, path::Path};

/// Directories that programs expect, in the root.
const DIRECTORIES: [&str; 8] = ["dev/pts", "etc", "mnt", "proc", "root", "sys", "tmp", "var/tmp"];

/// What `/etc` holds.
const SETTINGS: [(&str, &str); 4] = [
    ("passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("group", "root:x:0:\nnogroup:x:65534:\n"),
    ("hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    ("profile", "PS1='\\u@\\h:\\w\\$ '\nip link set lo up\n"),
];

impl Initrd {
    /// Makes the bundle's root one of busybox's, whose program is the host's file `program`.
    pub fn busybox(&mut self, program: &Path) -> io::Result<&mut Self> {
        self.remove("bundle").busybox_in("bundle/rootfs", program)
    }

    /// Adds what such a root has to a directory.
    pub(crate) fn busybox_in(&mut self, root: &str, program: &Path) -> io::Result<&mut Self> {
        let bytes = fs::read(program).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}; scripts/programs.sh fetches it", program.display()))
        })?;
        let names = applets(&bytes);
        if names.is_empty() {
            return Err(io::Error::other(format!("{}: no busybox: it lists no applets", program.display())));
        }
        for directory in DIRECTORIES {
            self.directory(&format!("{root}/{directory}"));
        }
        for (name, text) in SETTINGS {
            self.file(&format!("{root}/etc/{name}"), 0o644, text);
        }
        for name in names.iter().filter(|&name| name != "busybox") {
            self.symlink(&format!("{root}/bin/{name}"), "busybox");
        }
        Ok(self.file(&format!("{root}/bin/busybox"), 0o755, bytes))
    }
}

/// The names of the applets, which lie in the program one after the other and begin with `[` and `[[`.
fn applets(program: &[u8]) -> Vec<String> {
    const FIRST: &[u8] = b"[\0[[\0";
    let Some(start) = program.windows(FIRST.len()).position(|window| window == FIRST) else { return Vec::new() };
    let names = program[start..].split(|&byte| byte == 0).take_while(|name| !name.is_empty());
    names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applets_are_read_up_to_the_first_empty_name() {
        assert_eq!(applets(b"\x7fELF...[\0[[\0ash\0zcat\0\0other\0"), ["[", "[[", "ash", "zcat"]);
        assert!(applets(b"\x7fELF[\0x").is_empty());
    }
}
