//! The OCI state of a container, as JSON (runtime-spec, runtime.md#state).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use super::container::Container;
use super::{Engine, Error, Platform, Viewer};
use crate::Status;
use crate::abi::{Errno, ListEntry};
use crate::json::Object;

impl<P: Platform> Engine<P> {
    /// The state of a container, with the process id as `caller` sees it, 0 when there is no process. What runc adds is
    /// there too (`rootfs`, `created`, `owner`), and `identity`, the SHA-256 of the canonical configuration.
    ///
    /// # Errors
    /// ENOENT once it is deleted.
    pub fn state_json(&self, container: &Container<P>, caller: &P::Caller) -> Result<String, Error> {
        let Some((status, pid)) = self.status_and_pid(container, caller) else {
            let error = Error::new(Errno::ENOENT).reason("it is deleted");
            return Err(error.operand(String::from(container.id().as_str())));
        };
        Ok(container.state_document(status, pid))
    }

    /// What `container_list` tells of a container, `None` once it is deleted.
    pub fn list_entry(&self, container: &Container<P>, caller: &P::Caller) -> Option<ListEntry> {
        let (status, pid) = self.status_and_pid(container, caller)?;
        let id = container.id().as_str().as_bytes();
        let mut entry = ListEntry {
            size: size_of::<ListEntry>() as u64,
            status: status as u32,
            pid,
            id_len: id.len() as u64,
            ..ListEntry::default()
        };
        entry.id[..id.len()].copy_from_slice(id);
        Some(entry)
    }

    fn status_and_pid(&self, container: &Container<P>, caller: &P::Caller) -> Option<(Status, u32)> {
        let (status, parts) = container.look();
        let alive = parts.filter(|_| container.exit().is_none());
        let pid = alive.map_or(0, |parts| self.platform().process_id(parts.process(), Viewer::Caller(caller)));
        Some((status?, pid))
    }
}

impl<P: Platform> Container<P> {
    /// The state document with this status and process id.
    pub(super) fn state_document(&self, status: Status, pid: u32) -> String {
        let config = self.config();
        let owner = match self.owner() {
            // As runc names a user that it finds no name for.
            0 => String::from("root"),
            uid => format!("#{uid}"),
        };
        let mut json = String::new();
        let mut state = Object::new(&mut json);
        state.string("ociVersion", &config.oci_version);
        state.string("id", self.id().as_str());
        state.string("status", status.name());
        state.number("pid", pid);
        state.string("bundle", self.bundle());
        state.string("rootfs", &absolute(self.bundle(), &config.root.path));
        state.string("created", &rfc3339(self.created()));
        state.object("annotations", |annotations| strings(annotations, &config.annotations));
        state.string("owner", &owner);
        state.string("identity", &format!("{}", config.identity()));
        state.end();
        json
    }
}

fn strings(object: &mut Object<'_>, map: &BTreeMap<String, String>) {
    for (name, value) in map {
        object.string(name, value);
    }
}

/// `path` if it is absolute, else below `base`.
fn absolute(base: &str, path: &str) -> String {
    if path.starts_with('/') {
        return String::from(path);
    }
    format!("{}/{path}", base.trim_end_matches('/'))
}

/// A time in nanoseconds since 1970-01-01, as RFC 3339 writes it, in UTC and without trailing zeros of the fraction.
fn rfc3339(unix_ns: u64) -> String {
    const NS_PER_S: u64 = 1_000_000_000;
    let (seconds, ns) = (unix_ns / NS_PER_S, unix_ns % NS_PER_S);
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let mut text =
        format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{ns:09}", time / 3600, time / 60 % 60, time % 60);
    text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    text.push('Z');
    text
}

/// The date of a day since 1970-01-01. Counted from 0000-03-01, so that a leap day ends a year.
const fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = days + DAYS_TO_1970;
    let day_of_era = days % DAYS_IN_400_YEARS;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = days / DAYS_IN_400_YEARS * 400 + year_of_era + (month <= 2) as u64;
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339_says() {
        for (unix_ns, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
            (1_709_251_199_500_000_000, "2024-02-29T23:59:59.5Z"),
            (4_102_444_799_000_000_001, "2099-12-31T23:59:59.000000001Z"),
            (1_763_793_120_120_000_000, "2025-11-22T06:32:00.12Z"),
        ] {
            assert_eq!(rfc3339(unix_ns), text);
        }
    }
}
