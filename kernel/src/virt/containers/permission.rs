//! Who may ask for containers: who has CAP_SYS_ADMIN over the machine; and over a container with a user namespace of its own,
//! in that container.

use super::Container;
use crate::{boot, security::Capabilities, task::Thread};
use veridian_containers::{abi::Errno, engine::ContainerKey};

/// Which containers a caller may make, and do something with.
#[derive(Clone, Copy, Debug)]
pub enum Domain {
    /// All.
    Machine,
    /// Those inside of this one.
    Container(ContainerKey),
}

impl Domain {
    /// That of a caller: EPERM if he has none.
    ///
    /// It takes CAP_SYS_ADMIN where he is at home and in the user namespace of his container, not just in one that he made in
    /// it: what he makes shares the container's group with what is in it already. A process that was moved out of that group
    /// has nothing to share out.
    pub fn of(caller: &Thread) -> Result<Self, Errno> {
        let credentials = caller.credentials();
        if credentials.capable(Capabilities::SYS_ADMIN) {
            return Ok(Self::Machine);
        }
        let key = caller.container().map(ContainerKey::from).ok_or(Errno::EPERM)?;
        let own = boot::engine().find(key).ok_or(Errno::EPERM)?;
        let rules = own.with_house(|house| {
            credentials.capable_in(&house.namespaces.user, Capabilities::SYS_ADMIN)
                && credentials.capable_at_home(Capabilities::SYS_ADMIN)
                && house.cgroup.contains(&caller.cgroup())
        });
        if rules == Some(true) { Ok(Self::Container(key)) } else { Err(Errno::EPERM) }
    }

    /// EPERM for a container outside of it, wherever the caller has its descriptor from.
    pub fn permit(self, container: &Container) -> Result<(), Errno> {
        match self {
            Self::Container(key) if !boot::engine().is_inside(container, key) => Err(Errno::EPERM),
            _ => Ok(()),
        }
    }
}
