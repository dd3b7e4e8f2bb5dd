//! How many processes each user has: what RLIMIT_NPROC is held against.

use alloc::collections::BTreeMap;
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// Processes by real user id, as the machine knows it.
static PROCESSES: SpinLock<BTreeMap<u32, usize>> = SpinLock::new(BTreeMap::new());

/// A process of a user, who has one more as long as this lives.
#[derive(Debug)]
pub struct UserProcess(u32);

impl UserProcess {
    /// Another process of `user`; EAGAIN if there would be more than `limit`.
    pub fn new(user: u32, limit: u64) -> Result<Self, Errno> {
        let mut processes = PROCESSES.lock();
        let count = processes.entry(user).or_default();
        if *count as u64 >= limit {
            return Err(Errno::EAGAIN);
        }
        *count += 1;
        Ok(Self(user))
    }

    /// Whose it is.
    pub fn user(&self) -> u32 {
        self.0
    }

    /// Whether the user has more processes than `limit`.
    pub fn exceeds(&self, limit: u64) -> bool {
        PROCESSES.lock().get(&self.0).is_some_and(|count| *count as u64 > limit)
    }
}

impl Drop for UserProcess {
    fn drop(&mut self) {
        let mut processes = PROCESSES.lock();
        if let Some(count) = processes.get_mut(&self.0) {
            *count -= 1;
            if *count == 0 {
                processes.remove(&self.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_processes_are_counted_until_they_are_gone() {
        const USER: u32 = 4_000_000_001;
        let first = UserProcess::new(USER, 2).expect("room");
        let second = UserProcess::new(USER, 2).expect("room");
        assert_eq!(UserProcess::new(USER, 2).err(), Some(Errno::EAGAIN));
        assert!(first.exceeds(1) && !first.exceeds(2));
        drop(second);
        drop(UserProcess::new(USER, 2).expect("room again"));
        drop(first);
        assert!(!PROCESSES.lock().contains_key(&USER));
    }
}
