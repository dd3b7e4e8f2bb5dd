//! `linux`.

use core::num::NonZeroU32;

use super::value::{Value, number, owned, texts};
use super::{resources, seccomp};
use crate::NamespaceKind;
use crate::config::error::ConfigError;
use crate::config::model::{
    Device, DeviceNode, IdMapping, MASKED_PATHS, MountPropagation, Namespaces, READONLY_PATHS, Settings, TimeOffset,
    TimeOffsets, default_paths,
};

/// Reads `linux` into settings that say nothing else.
pub(super) fn read(value: &Value<'_>) -> Result<Settings, ConfigError> {
    value.refuse_unless_inert(&["memoryPolicy", "mountLabel"])?;
    // These ask for something by being there, without a word in them.
    value.map("intelRdt", |rdt| Err::<(), _>(rdt.not_enforced()))?;
    value.map("netDevices", |devices| {
        devices.names().next().map_or(Ok(()), |name| Err(devices.require(name)?.not_enforced()))
    })?;
    value.map("personality", personality)?;
    let namespaces = namespaces(value)?;
    let mut settings = Settings::default();
    // What holds of paths that it does not say depends on whether there is a mount namespace for it.
    let own_root = namespaces.is_new(NamespaceKind::Mount);
    let paths = |name, defaults| match value.get(name)? {
        Some(paths) => paths.items(owned),
        None => Ok(default_paths(defaults, own_root)),
    };
    settings.masked_paths = paths("maskedPaths", &MASKED_PATHS[..])?;
    settings.readonly_paths = paths("readonlyPaths", &READONLY_PATHS[..])?;
    settings.namespaces = namespaces;
    settings.uid_mappings = value.list("uidMappings", mapping)?;
    settings.gid_mappings = value.list("gidMappings", mapping)?;
    settings.time_offsets = value.map("timeOffsets", time_offsets)?.unwrap_or_default();
    settings.devices = value.list("devices", device)?;
    settings.cgroups_path = value.map("cgroupsPath", owned)?.filter(|path| !path.is_empty());
    if let Some(resources) = value.map("resources", resources::read)? {
        settings.resources = resources;
    }
    if let Some(propagation) = value.map("rootfsPropagation", propagation)?.flatten() {
        settings.root.propagation = propagation;
    }
    if let Some(seccomp) = value.map("seccomp", seccomp::read)? {
        settings.seccomp = seccomp;
    }
    settings.sysctl = value.map("sysctl", texts)?.unwrap_or_default();
    Ok(settings)
}

/// Every process has the personality of Linux, without flags.
fn personality(value: &Value<'_>) -> Result<(), ConfigError> {
    value.refuse_unless_inert(&["flags"])?;
    let domain = value.require("domain")?;
    match domain.text()? {
        "LINUX" => Ok(()),
        _ => Err(domain.not_enforced()),
    }
}

fn namespaces(value: &Value<'_>) -> Result<Namespaces, ConfigError> {
    let mut namespaces = Namespaces::default();
    value.list("namespaces", |entry| {
        let kind = entry.require("type")?;
        let kind_read = kind.word(NamespaceKind::from_name, "is not a namespace")?;
        if namespaces.is_own(kind_read) {
            return Err(kind.refuse("is given twice"));
        }
        match entry.map("path", owned)?.filter(|path| !path.is_empty()) {
            Some(path) => drop(namespaces.joined.insert(kind_read, path)),
            None => namespaces.new |= kind_read.flag(),
        }
        Ok(())
    })?;
    Ok(namespaces)
}

fn mapping(value: &Value<'_>) -> Result<IdMapping, ConfigError> {
    let size = value.require("size")?;
    Ok(IdMapping {
        container: value.require("containerID")?.number()?,
        host: value.require("hostID")?.number()?,
        size: NonZeroU32::new(size.number()?).ok_or_else(|| size.refuse("is not above 0"))?,
    })
}

fn time_offsets(value: &Value<'_>) -> Result<TimeOffsets, ConfigError> {
    let offset = |value: &Value<'_>| {
        Ok(TimeOffset {
            secs: value.map("secs", number)?.unwrap_or(0),
            nanosecs: value.map("nanosecs", number)?.unwrap_or(0),
        })
    };
    if let Some(other) = value.names().find(|name| !["monotonic", "boottime"].contains(name)) {
        return Err(value.require(other)?.refuse("is not a clock with an offset: monotonic, boottime"));
    }
    Ok(TimeOffsets {
        monotonic: value.map("monotonic", offset)?.unwrap_or_default(),
        boottime: value.map("boottime", offset)?.unwrap_or_default(),
    })
}

fn device(value: &Value<'_>) -> Result<Device, ConfigError> {
    let device = |name| value.require(name)?.number();
    let kind = value.require("type")?;
    let node = match kind.text()? {
        "c" | "u" => DeviceNode::Character { major: device("major")?, minor: device("minor")? },
        "b" => DeviceNode::Block { major: device("major")?, minor: device("minor")? },
        "p" => DeviceNode::Fifo,
        _ => return Err(kind.refuse("is not a type of device: c, b, u, p")),
    };
    Ok(Device {
        path: value.require("path")?.owned()?,
        node,
        mode: value.map("fileMode", number)?.unwrap_or(Device::MODE),
        uid: value.map("uid", number)?.unwrap_or(0),
        gid: value.map("gid", number)?.unwrap_or(0),
    })
}

/// Reads a propagation; an empty text is none.
fn propagation(value: &Value<'_>) -> Result<Option<MountPropagation>, ConfigError> {
    if value.text()?.is_empty() {
        return Ok(None);
    }
    value.word(MountPropagation::from_name, "is not a propagation: private, shared, slave, unbindable").map(Some)
}
