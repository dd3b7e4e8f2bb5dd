//! What binds a container's process: the filter of its calls, its limits.

use super::runtime::Runtime;
use crate::{
    security::{
        Bounds, Confinement, Credentials, Rlimit, Seccomp,
        seccomp::{Program, check},
    },
    syscall::number,
};
use alloc::{sync::Arc, vec::Vec};
use veridian_containers::{
    abi::Errno,
    config::{CapabilitySet, Process, Seccomp as Rules, SeccompFlags, SeccompProfile},
    engine::Error,
    seccomp::{DEFAULT_CONDITIONS, Machine, compile, default_profile},
};
use veridian_hal::sync::SpinLock;

/// Default profiles that are kept: few sets of capabilities are in use at one time.
const PROFILES_KEPT: usize = 8;

/// The default profiles, by the capabilities that they depend on, the one used last at the end: the program, and the filters
/// of who has this one alone, whose look-up table takes longer to make than all the rest of a container.
static DEFAULTS: SpinLock<Vec<(CapabilitySet, Arc<Program>, Seccomp)>> = SpinLock::new(Vec::new());

/// The confinement of a container's process with these credentials: the creator's, and what the configuration adds.
pub fn of(
    creator: &Runtime,
    credentials: &Credentials,
    process: &Process,
    rules: &Rules,
) -> Result<Confinement, Error> {
    let outer = creator.bounds.clone();
    let seccomp = filtered(outer.seccomp, creator, process.capabilities.bounding, rules)?;
    let mut limits = outer.limits;
    let privileged = creator.credentials.capable(crate::security::Capabilities::SYS_RESOURCE);
    for (kind, limit) in &process.rlimits {
        let limit = Rlimit { soft: limit.soft, hard: limit.hard };
        let set = limits.set(kind.number(), limit, privileged);
        set.map_err(|errno| Error::new(errno).operand(kind.name()).reason("the resource limit"))?;
    }
    let mut oom_score_adj = outer.oom_score_adj;
    if let Some(value) = process.oom_score_adj {
        let set = oom_score_adj.set(value, privileged);
        set.map_err(|errno| Error::new(errno).reason("oom_score_adj"))?;
    }
    let confinement = Confinement::new(credentials, Bounds { seccomp, limits, oom_score_adj });
    confinement.map_err(|errno| Error::new(errno).reason("the user has too many processes"))
}

/// The creator's filters with the configuration's on top.
fn filtered(outer: Seccomp, creator: &Runtime, capabilities: CapabilitySet, rules: &Rules) -> Result<Seccomp, Error> {
    let filtered = match rules {
        Rules::Unconfined => Ok(outer),
        Rules::Default => {
            let (program, alone) = default_filter(capabilities)?;
            match outer {
                Seccomp::Disabled => Ok(alone),
                outer => outer.with(program, number::AUDIT_ARCH, false, None),
            }
        }
        Rules::Profile(profile) if profile.flags.contains(SeccompFlags::WAIT_KILLABLE_RECV) => Err(Errno::EINVAL),
        Rules::Profile(profile) => {
            let logs = profile.flags.contains(SeccompFlags::LOG);
            program(profile)
                .and_then(|program| outer.with(program, number::AUDIT_ARCH, logs, Some(&creator.cgroup.memory)))
        }
    };
    filtered.map_err(|errno| Error::new(errno).reason("the seccomp filter"))
}

/// The program of a profile; EINVAL if it would be too long.
fn program(profile: &SeccompProfile) -> Result<Arc<Program>, Errno> {
    check(&compile(profile, &Machine { architecture: number::AUDIT_ARCH, number: &number::of }))
}

/// The default profile: its program, and the filters of who has it alone.
fn default_filter(capabilities: CapabilitySet) -> Result<(Arc<Program>, Seccomp), Error> {
    let key = capabilities & DEFAULT_CONDITIONS;
    let known = {
        let mut kept = DEFAULTS.lock();
        let place = kept.iter().position(|(other, ..)| *other == key);
        place.and_then(|place| {
            kept[place..].rotate_left(1);
            kept.last().map(|(_, program, alone)| (program.clone(), alone.clone()))
        })
    };
    if let Some(known) = known {
        return Ok(known);
    }
    let program = program(&default_profile(key))?;
    let alone = Seccomp::Disabled.with(program.clone(), number::AUDIT_ARCH, false, None)?;
    let mut kept = DEFAULTS.lock();
    let oldest = if kept.len() == PROFILES_KEPT { Some(kept.remove(0)) } else { None };
    kept.push((key, program.clone(), alone.clone()));
    drop(kept);
    drop(oldest);
    Ok((program, alone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_profile_is_accepted_for_every_capability_alone_and_for_all() {
        for capabilities in CapabilitySet::all().iter().chain([CapabilitySet::empty(), CapabilitySet::all()]) {
            assert!(default_filter(capabilities).is_ok(), "{capabilities:?}");
        }
        assert_eq!(DEFAULTS.lock().len(), PROFILES_KEPT);
        let again = [default_filter(CapabilitySet::all()), default_filter(CapabilitySet::all())];
        let [Ok((one, first)), Ok((two, second))] = again else { panic!("programs") };
        assert!(Arc::ptr_eq(&one, &two));
        let [Some(first), Some(second)] = [first.newest(), second.newest()] else { panic!("filters") };
        assert!(Arc::ptr_eq(first, second), "one look-up table for all");
    }
}
