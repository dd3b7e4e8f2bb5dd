//! `linux.resources`.

use alloc::vec::Vec;
use core::num::{NonZeroU32, NonZeroU64};

use super::value::{Value, boolean, number, texts};
use crate::config::error::ConfigError;
use crate::config::model::{CpuResources, DeviceAccess, DeviceRule, DeviceRuleKind, Limit, MemoryResources, Resources};
use crate::config::syntax;
use crate::text::{self, Bytes};

/// Reads `linux.resources`.
pub(super) fn read(value: &Value<'_>) -> Result<Resources, ConfigError> {
    value.refuse_unless_inert(&["blockIO", "hugepageLimits", "network", "rdma"])?;
    let mut resources = Resources {
        memory: value.map("memory", memory)?.unwrap_or_default(),
        cpu: value.map("cpu", cpu)?.unwrap_or_default(),
        pids: value.map("pids", pids)?.flatten(),
        devices: device_rules(value.list("devices", device_rule)?),
        unified: value.map("unified", texts)?.unwrap_or_default(),
    };
    // The one file that is a setting of its own.
    if let Some(high) = resources.unified.remove("memory.high") {
        let limit = text::size_limit(&high).map(|limit| limit.map_or(Limit::Max, Limit::At));
        let reason = "is neither a number of bytes nor max";
        let refuse = |_| value.require("unified")?.require("memory.high").map(|high| high.refuse(reason));
        resources.memory.high = Some(limit.or_else(|reason| Err(refuse(reason)?))?);
    }
    Ok(resources)
}

fn memory(value: &Value<'_>) -> Result<MemoryResources, ConfigError> {
    value.refuse_unless_inert(&["swappiness", "disableOOMKiller", "checkBeforeUpdate"])?;
    for name in ["kernel", "kernelTCP"] {
        value.map(name, |limit| match limit.number::<i64>()? {
            -1 | 0 => Ok(()),
            _ => Err(limit.not_enforced()),
        })?;
    }
    value.map("useHierarchy", boolean)?;
    let limit = |name| value.map(name, size).map(Option::flatten);
    Ok(MemoryResources { limit: limit("limit")?, reservation: limit("reservation")?, high: None, swap: limit("swap")? })
}

/// Reads a size: -1 is no limit, 0 says nothing.
fn size(value: &Value<'_>) -> Result<Option<Limit<Bytes>>, ConfigError> {
    match value.number::<i64>()? {
        -1 => Ok(Some(Limit::Max)),
        0 => Ok(None),
        bytes => {
            u64::try_from(bytes).map(|bytes| Some(Limit::At(Bytes(bytes)))).map_err(|_| value.refuse("is negative"))
        }
    }
}

fn cpu(value: &Value<'_>) -> Result<CpuResources, ConfigError> {
    value.refuse_unless_inert(&["realtimeRuntime", "realtimePeriod"])?;
    value.map("mems", |mems| match mems.text()? {
        // There is one node.
        "" | "0" => Ok(()),
        _ => Err(mems.not_enforced()),
    })?;
    Ok(CpuResources {
        // Shares beyond the range count as the nearest in it, as everywhere.
        shares: value.map("shares", unless_zero)?.flatten().map(|shares| shares.clamp(SHARES_MIN, SHARES_MAX)),
        quota: value
            .map("quota", |quota| {
                Ok(match quota.number::<i64>()? {
                    0 => None,
                    quota => Some(u64::try_from(quota).ok().and_then(NonZeroU64::new).map_or(Limit::Max, Limit::At)),
                })
            })?
            .flatten(),
        period: value.map("period", unless_zero)?.flatten(),
        burst: value.map("burst", number)?,
        idle: value.map("idle", |idle| match idle.number::<i64>()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(idle.refuse("is neither 0 nor 1")),
        })?,
        cpus: value
            .map("cpus", |cpus| match cpus.text()? {
                "" => Ok(None),
                _ => cpus
                    .word(
                        |list| syntax::resources::cpus(list).ok(),
                        "is not a list of CPUs, such as 0-2,5, none above 63",
                    )
                    .map(Some),
            })?
            .flatten(),
    })
}

const SHARES_MIN: NonZeroU64 = NonZeroU64::new(2).unwrap();
const SHARES_MAX: NonZeroU64 = NonZeroU64::new(262_144).unwrap();

/// Reads a number of which 0 says nothing.
fn unless_zero(value: &Value<'_>) -> Result<Option<NonZeroU64>, ConfigError> {
    value.number().map(NonZeroU64::new)
}

fn pids(value: &Value<'_>) -> Result<Option<Limit<NonZeroU32>>, ConfigError> {
    value.map("limit", |limit| {
        let number = limit.number::<i64>()?;
        if number < 0 {
            return Ok(Limit::Max);
        }
        let number = u32::try_from(number).map_err(|_| limit.refuse("is out of range"))?;
        let number = NonZeroU32::new(number);
        number.map(Limit::At).ok_or_else(|| limit.refuse("is 0: there would be no room for the container's process"))
    })
}

fn device_rule(value: &Value<'_>) -> Result<DeviceRule, ConfigError> {
    let kind = value.map("type", |kind| match kind.text()? {
        "" | "a" => Ok(DeviceRuleKind::All),
        "c" => Ok(DeviceRuleKind::Character),
        "b" => Ok(DeviceRuleKind::Block),
        _ => Err(kind.refuse("is not a type of devices: a, c, b")),
    })?;
    // -1 is each of them, as it is when nothing is said.
    let number = |name| {
        value
            .map(name, |number| match number.number::<i64>()? {
                -1 => Ok(None),
                _ => number.number().map(Some),
            })
            .map(Option::flatten)
    };
    let access = value.map("access", |access| match access.text()? {
        "" => Ok(DeviceAccess::all()),
        _ => access.word(DeviceAccess::from_letters, "is not some of rwm"),
    })?;
    Ok(DeviceRule {
        allow: value.require("allow")?.boolean()?,
        kind: kind.unwrap_or(DeviceRuleKind::All),
        major: number("major")?,
        minor: number("minor")?,
        access: access.unwrap_or(DeviceAccess::all()),
    })
}

/// The rules, with those after them that let every container use the default devices (as runc has it). Rules that
/// forbid before any allows say nothing, since what no rule is about is forbidden.
fn device_rules(given: Vec<DeviceRule>) -> Vec<DeviceRule> {
    let mut rules: Vec<_> = given.into_iter().skip_while(|rule| !rule.allow).collect();
    let defaults = DeviceRule::defaults();
    // Docker's list ends in them already, or is them in another order.
    let only_defaults = rules.iter().all(|rule| defaults.contains(rule));
    if only_defaults {
        return defaults;
    }
    rules.extend(defaults);
    rules
}
