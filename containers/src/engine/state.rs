//! The OCI state of a container, as JSON (runtime-spec, runtime.md#state).

use alloc::string::String;
use core::fmt::Write;

use super::{Container, Engine, Error, Platform};
use crate::abi::{Errno, ListEntry};
use crate::json::Quoted;

impl<P: Platform> Engine<P> {
    /// The state of a container, with the process id as `caller` sees it. What runc adds and is known here is
    /// there too (`rootfs`), and `identity`, the SHA-256 of the canonical configuration.
    ///
    /// # Errors
    /// ENOENT once it is deleted.
    pub fn state_json(&self, container: &Container<P>, caller: &P::Caller) -> Result<String, Error> {
        let (status, parts) = container.parts_if_alive();
        let Some(status) = status else {
            let error = Error::new(Errno::ENOENT).reason("it is deleted");
            return Err(error.operand(String::from(container.id().as_str())));
        };
        // As runc does: 0 when there is no process.
        let pid = parts.map_or(0, |parts| self.platform().process_id(parts.process(), caller));
        let config = container.config();
        let mut json = String::new();
        let written = write!(
            json,
            "{{\"ociVersion\":{},\"id\":{},\"pid\":{pid},\"status\":{},\"bundle\":{},\"rootfs\":{},\
             \"annotations\":{{}},\"identity\":\"{}\"}}",
            Quoted(&config.oci_version),
            Quoted(container.id().as_str()),
            Quoted(status.name()),
            Quoted(container.bundle()),
            Quoted(&absolute(container.bundle(), &config.root.path)),
            config.identity(),
        );
        written.map_err(|_| Errno::ENOMEM)?;
        Ok(json)
    }
}

impl<P: Platform> Engine<P> {
    /// What `container_list` tells of a container, `None` once it is deleted.
    pub fn list_entry(&self, container: &Container<P>, caller: &P::Caller) -> Option<ListEntry> {
        let (status, parts) = container.parts_if_alive();
        let id = container.id().as_str().as_bytes();
        let mut entry = ListEntry {
            size: size_of::<ListEntry>() as u64,
            status: status? as u32,
            pid: parts.map_or(0, |parts| self.platform().process_id(parts.process(), caller)),
            id_len: id.len() as u64,
            ..ListEntry::default()
        };
        entry.id[..id.len()].copy_from_slice(id);
        Some(entry)
    }
}

/// `path` if it is absolute, else below `base`.
fn absolute(base: &str, path: &str) -> String {
    if path.starts_with('/') {
        return String::from(path);
    }
    let mut whole = String::with_capacity(base.len() + 1 + path.len());
    whole.push_str(base.trim_end_matches('/'));
    whole.push('/');
    whole.push_str(path);
    whole
}
