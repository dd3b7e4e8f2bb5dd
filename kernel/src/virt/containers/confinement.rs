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

/// Programs of the default profile that are kept: few sets of capabilities are in use at one time.
const PROGRAMS_KEPT: usize = 8;

/// The programs of the default profile, by the capabilities that it depends on; the one used last at the end.
static DEFAULTS: SpinLock<Vec<(CapabilitySet, Arc<Program>)>> = SpinLock::new(Vec::new());

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
        Rules::Default => outer.with(default_program(capabilities)?, number::AUDIT_ARCH, false, None),
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

fn default_program(capabilities: CapabilitySet) -> Result<Arc<Program>, Error> {
    let key = capabilities & DEFAULT_CONDITIONS;
    let known = {
        let mut kept = DEFAULTS.lock();
        let place = kept.iter().position(|(other, _)| *other == key);
        place.map(|place| {
            kept[place..].rotate_left(1);
            kept.last().map(|(_, program)| program.clone())
        })
    };
    if let Some(Some(program)) = known {
        return Ok(program);
    }
    let program = program(&default_profile(key))?;
    let mut kept = DEFAULTS.lock();
    let oldest = if kept.len() == PROGRAMS_KEPT { Some(kept.remove(0)) } else { None };
    kept.push((key, program.clone()));
    drop(kept);
    drop(oldest);
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_profile_is_accepted_for_every_capability_alone_and_for_all() {
        for capabilities in CapabilitySet::all().iter().chain([CapabilitySet::empty(), CapabilitySet::all()]) {
            assert!(default_program(capabilities).is_ok(), "{capabilities:?}");
        }
        assert_eq!(DEFAULTS.lock().len(), PROGRAMS_KEPT);
        let again = [default_program(CapabilitySet::all()), default_program(CapabilitySet::all())];
        let [Ok(one), Ok(two)] = again else { panic!("programs") };
        assert!(Arc::ptr_eq(&one, &two));
    }
}
