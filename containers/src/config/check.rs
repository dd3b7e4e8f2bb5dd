//! What holds of every configuration, whichever front end read it.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt::{self, Write};

use super::error::about;
use super::model::{Filesystem, Limit, Mount, MountFlags, Settings};
use super::print::canonical;
use super::{ARGS_MAX, ConfigError, ENV_MAX, MOUNTS_MAX, NAMESPACES};
use crate::NamespaceKind;
use crate::keys::KeyId;
use crate::line::DOCUMENT_LEN_MAX;
use crate::text::{self, Bytes, PIDS_MAX, Reason};

/// Something wrong that no one line shows.
pub(super) struct Problem {
    key: Option<KeyId>,
    reason: Cow<'static, str>,
}

impl Problem {
    fn new(key: KeyId, reason: &'static str) -> Self {
        Self { key: Some(key), reason: Cow::Borrowed(reason) }
    }

    /// The problem as an error on the line where its key was given last; 0 for not at all.
    pub(super) fn on_line(self, lines: &[u32; KeyId::COUNT]) -> ConfigError {
        let line = self.key.map_or(0, |key| lines[key as usize]);
        ConfigError::new(line, self.key.map_or("", KeyId::name), self.reason)
    }
}

/// Checks the settings against each other. What one line can show is taken as checked.
pub(super) fn together(settings: &Settings) -> Result<(), Problem> {
    let args = &settings.process.args;
    match args.first().map(String::as_str) {
        None => return Err(Problem::new(KeyId::ProcessArg, "at least one is required")),
        Some("") => {
            return Err(Problem::new(KeyId::ProcessArg, "the first, which names the program, is empty"));
        }
        Some(_) => {}
    }
    if settings.hostname.is_some() && !settings.namespaces.is_new(NamespaceKind::Uts) {
        return Err(Problem::new(KeyId::Hostname, "needs namespace=uts, or it would be set for the caller too"));
    }
    if !settings.namespaces.is_new(NamespaceKind::Mount) {
        if settings.root.path != "/" {
            return Err(Problem::new(KeyId::RootPath, "any root but / needs namespace=mount"));
        }
        if settings.root.readonly {
            return Err(Problem::new(KeyId::RootReadonly, "needs namespace=mount, or the caller's root would change"));
        }
        if !settings.mounts.is_empty() {
            return Err(Problem::new(KeyId::Mount, "needs namespace=mount, or it would be mounted for the caller too"));
        }
    }
    if !fits_in_a_document(settings) {
        return Err(Problem { key: None, reason: Cow::Borrowed("the canonical text is longer than 65536 bytes") });
    }
    Ok(())
}

/// Checks each setting alone, as reading its line would have.
pub(super) fn each(settings: &Settings) -> Result<(), ConfigError> {
    let check = |key: KeyId, text: &str, validator: fn(&str) -> Result<(), Reason>| {
        validator(text).map_err(|reason| ConfigError::new(0, key.name(), about(text, reason)))
    };
    let refuse = |key: KeyId, reason: &'static str| Err(ConfigError::new(0, key.name(), reason));

    check(KeyId::OciVersion, &settings.oci_version, text::oci_version)?;
    check(KeyId::RootPath, &settings.root.path, text::path)?;
    if let Some(name) = &settings.hostname {
        check(KeyId::Hostname, name, text::hostname)?;
    }
    let process = &settings.process;
    check(KeyId::ProcessCwd, &process.cwd, text::absolute_path)?;
    if process.user.uid == u32::MAX {
        return refuse(KeyId::ProcessUid, "4294967295 is not an id");
    }
    if process.user.gid == u32::MAX {
        return refuse(KeyId::ProcessGid, "4294967295 is not an id");
    }
    for arg in &process.args {
        check(KeyId::ProcessArg, arg, text::no_nul)?;
    }
    for entry in &process.env {
        check(KeyId::ProcessEnv, entry, text::environment)?;
    }
    for mount in &settings.mounts {
        check(KeyId::Mount, &mount.destination, text::destination)?;
        check(KeyId::Mount, &mount.source, text::path)?;
        if let Err(reason) = consistent(mount) {
            return refuse(KeyId::Mount, reason);
        }
    }
    if !NAMESPACES.contains(settings.namespaces.new) {
        return refuse(KeyId::Namespace, "a kind that this kernel does not enforce yet");
    }
    if settings.resources.memory.limit == Some(Limit::At(Bytes(0))) {
        return refuse(KeyId::MemoryLimit, "0 bytes: say none for unlimited");
    }
    if matches!(settings.resources.pids, Some(Limit::At(pids)) if pids.get() > PIDS_MAX) {
        return refuse(KeyId::PidsLimit, "not from 1 to 4194304");
    }
    for (key, len, most) in [
        (KeyId::ProcessArg, process.args.len(), ARGS_MAX),
        (KeyId::ProcessEnv, process.env.len(), ENV_MAX),
        (KeyId::Mount, settings.mounts.len(), MOUNTS_MAX),
    ] {
        bounded(len, most).map_err(|reason| ConfigError::new(0, key.name(), reason))?;
    }
    Ok(())
}

/// Whether a list of this length is within its bound.
pub(super) fn bounded(len: usize, most: usize) -> Result<(), String> {
    if len <= most { Ok(()) } else { Err(alloc::format!("more than {most} of them")) }
}

fn consistent(mount: &Mount) -> Result<(), Reason> {
    if mount.set.intersects(mount.cleared) {
        return Err("a flag is both set and cleared");
    }
    match &mount.filesystem {
        Filesystem::Bind { .. } => Ok(()),
        _ if mount.cleared != MountFlags::empty() => Err("only a bind mount has flags to clear"),
        Filesystem::Tmpfs(tmpfs) if tmpfs.mode > 0o7777 => Err("the mode is more than 7777"),
        Filesystem::Tmpfs(tmpfs) if tmpfs.size == Some(Bytes(0)) => Err("a size of 0: say none for unlimited"),
        _ => Ok(()),
    }
}

/// Whether the canonical text is itself a document that can be read.
fn fits_in_a_document(settings: &Settings) -> bool {
    /// Counts instead of printing; fails past the bound.
    struct Counter(usize);

    impl Write for Counter {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
            Ok(())
        }
    }

    most_printed(settings) <= DOCUMENT_LEN_MAX || canonical(settings, &mut Counter(DOCUMENT_LEN_MAX)).is_ok()
}

/// No less than the length of the canonical text, and cheaper to know.
fn most_printed(settings: &Settings) -> usize {
    /// The longest that one byte becomes: `\u0000` in a JSON string.
    const BYTE: usize = 6;
    /// The longest that is printed around one item: key, separators, every option of a mount.
    const ITEM: usize = 128;
    /// All keys that are given once, with numbers at their longest.
    const FIXED: usize = 512;
    let process = &settings.process;
    let texts = [&settings.oci_version, &settings.root.path, &process.cwd].into_iter().chain(&settings.hostname);
    let lists = process.args.iter().chain(&process.env);
    let mounts = settings.mounts.iter().flat_map(|mount| [&mount.destination, &mount.source]);
    texts.chain(lists).chain(mounts).map(|text| ITEM + BYTE * text.len()).sum::<usize>() + FIXED
}
