//! What each user has: processes, which RLIMIT_NPROC is held against, and signals that wait (RLIMIT_SIGPENDING).

use alloc::collections::BTreeMap;
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// How many, by real user id as the machine knows it.
struct Counts(SpinLock<BTreeMap<u32, usize>>);

static PROCESSES: Counts = Counts(SpinLock::new(BTreeMap::new()));
static SIGNALS: Counts = Counts(SpinLock::new(BTreeMap::new()));

impl Counts {
    /// One more of `user`'s; EAGAIN if there would be more than `limit`.
    fn add(&self, user: u32, limit: u64) -> Result<(), Errno> {
        let mut counts = self.0.lock();
        let count = counts.get(&user).copied().unwrap_or(0);
        if count as u64 >= limit {
            return Err(Errno::EAGAIN);
        }
        counts.insert(user, count + 1);
        Ok(())
    }

    fn remove(&self, user: u32) {
        let mut counts = self.0.lock();
        if let Some(count) = counts.get_mut(&user) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&user);
            }
        }
    }

    fn of(&self, user: u32) -> usize {
        self.0.lock().get(&user).copied().unwrap_or(0)
    }
}

/// A process of a user, who has one more as long as this lives.
#[derive(Debug)]
pub struct UserProcess(u32);

impl UserProcess {
    /// Another process of `user`; EAGAIN if there would be more than `limit`.
    pub fn new(user: u32, limit: u64) -> Result<Self, Errno> {
        PROCESSES.add(user, limit).map(|()| Self(user))
    }

    /// Whose it is.
    pub fn user(&self) -> u32 {
        self.0
    }

    /// Whether the user has more processes than `limit`.
    pub fn exceeds(&self, limit: u64) -> bool {
        PROCESSES.of(self.0) as u64 > limit
    }
}

impl Drop for UserProcess {
    fn drop(&mut self) {
        PROCESSES.remove(self.0);
    }
}

/// A signal that waits for a process of a user, who has one more as long as this lives.
#[derive(Debug)]
pub struct UserSignal(u32);

impl UserSignal {
    /// Another signal of `user`; EAGAIN if there would be more than `limit`.
    pub fn new(user: u32, limit: u64) -> Result<Self, Errno> {
        SIGNALS.add(user, limit).map(|()| Self(user))
    }

    /// How many `user` has.
    pub fn count(user: u32) -> usize {
        SIGNALS.of(user)
    }
}

impl Drop for UserSignal {
    fn drop(&mut self) {
        SIGNALS.remove(self.0);
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
        assert_eq!(PROCESSES.of(USER), 0);
    }
}
