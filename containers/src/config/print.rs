//! The canonical text, and the identity that is its hash.

use core::fmt::{self, Write};
use sha2::{Digest, Sha256};

use super::model::{Filesystem, Mount, MountFlags, Settings, TmpfsOptions};
use crate::NamespaceKind;
use crate::json::Quoted;

/// Prints settings in the one canonical way: keys in the order of the table, every plain key, lists if they are
/// not empty, namespaces and mount options sorted, arguments as one JSON array, limits in bytes.
pub(super) fn canonical(settings: &Settings, out: &mut impl Write) -> fmt::Result {
    writeln!(out, "oci_version={}", settings.oci_version)?;
    writeln!(out, "root_path={}", Literal(&settings.root.path))?;
    writeln!(out, "root_readonly={}", settings.root.readonly)?;
    if let Some(hostname) = &settings.hostname {
        writeln!(out, "hostname={hostname}")?;
    }
    let process = &settings.process;
    writeln!(out, "process_cwd={}", Literal(&process.cwd))?;
    writeln!(out, "process_uid={}", process.user.uid)?;
    writeln!(out, "process_gid={}", process.user.gid)?;
    out.write_str("process_args=[")?;
    for (index, argument) in process.args.iter().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        write!(LiteralWriter::new(out), "{separator}{}", Quoted(argument))?;
    }
    out.write_str("]\n")?;
    for entry in &process.env {
        writeln!(out, "process_env={}", Literal(entry))?;
    }
    for mount in &settings.mounts {
        print_mount(mount, out)?;
    }
    for kind in NamespaceKind::ALL {
        if settings.namespaces.is_new(kind) {
            writeln!(out, "namespace={kind}")?;
        }
    }
    if let Some(limit) = settings.resources.memory.limit {
        writeln!(out, "memory_limit={limit}")?;
    }
    if let Some(limit) = settings.resources.pids {
        writeln!(out, "pids_limit={limit}")?;
    }
    Ok(())
}

fn print_mount(mount: &Mount, out: &mut impl Write) -> fmt::Result {
    let kind = match mount.filesystem {
        Filesystem::Bind { recursive: false } => "bind",
        Filesystem::Bind { recursive: true } => "rbind",
        Filesystem::Tmpfs(_) => "tmpfs",
        _ => "dev",
    };
    write!(out, "mount={}:{kind}:{}", Field(&mount.destination), Field(&mount.source))?;
    let mut separator = ':';
    for (flag, set, cleared) in [
        (MountFlags::NO_DEV, "nodev", "dev"),
        (MountFlags::NO_EXEC, "noexec", "exec"),
        (MountFlags::NO_SUID, "nosuid", "suid"),
        (MountFlags::READ_ONLY, "ro", "rw"),
    ] {
        let option = match (mount.set.contains(flag), mount.cleared.contains(flag)) {
            (true, _) => set,
            (false, true) => cleared,
            (false, false) => continue,
        };
        write!(out, "{separator}{option}")?;
        separator = ',';
    }
    if let Filesystem::Tmpfs(TmpfsOptions { size, mode, .. }) = mount.filesystem {
        if mode != TmpfsOptions::MODE {
            write!(out, "{separator}mode={mode:o}")?;
            separator = ',';
        }
        if let Some(size) = size {
            write!(out, "{separator}size={size}")?;
        }
    }
    out.write_char('\n')
}

/// A text in which no variable is meant: each `${` becomes `$${`.
struct Literal<'a>(&'a str);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        LiteralWriter::new(f).write_str(self.0)
    }
}

/// Writes on, with each `${` as `$${`.
struct LiteralWriter<'a, W> {
    out: &'a mut W,
    after_dollar: bool,
}

impl<'a, W: Write> LiteralWriter<'a, W> {
    fn new(out: &'a mut W) -> Self {
        Self { out, after_dollar: false }
    }
}

impl<W: Write> Write for LiteralWriter<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let dollar = if at == 0 { self.after_dollar } else { rest.as_bytes()[at - 1] == b'$' };
            self.out.write_str(&rest[..at])?;
            // The dollar that belongs to the brace is out already: one more makes `$${`.
            self.out.write_str(if dollar { "${" } else { "{" })?;
            self.after_dollar = false;
            rest = &rest[at + 1..];
        }
        if !rest.is_empty() {
            self.after_dollar = rest.ends_with('$');
            self.out.write_str(rest)?;
        }
        Ok(())
    }
}

/// A field of a mount: colons and backslashes escaped, no variable meant.
struct Field<'a>(&'a str);

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = LiteralWriter::new(f);
        for part in self.0.split_inclusive([':', '\\']) {
            match part.as_bytes() {
                [head @ .., special @ (b':' | b'\\')] => {
                    out.write_str(&part[..head.len()])?;
                    out.write_char('\\')?;
                    out.write_char(char::from(*special))?;
                }
                _ => out.write_str(part)?,
            }
        }
        Ok(())
    }
}

/// The identity of a configuration: the SHA-256 of its canonical text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity([u8; 32]);

impl Identity {
    pub(super) fn of(settings: &Settings) -> Self {
        /// Hashes what is printed.
        struct Hashed(Sha256);

        impl Write for Hashed {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.update(text.as_bytes());
                Ok(())
            }
        }

        let mut hashed = Hashed(Sha256::new());
        // Hashing does not fail, and printing fails only if its writer does.
        let _ = canonical(settings, &mut hashed);
        Self(hashed.0.finalize().into())
    }

    /// The 32 bytes of the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Prints 64 lower-case hexadecimal digits.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
