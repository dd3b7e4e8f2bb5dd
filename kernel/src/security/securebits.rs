//! capabilities(7), "The securebits flags: establishing a capabilities-only environment".

use bitflags::bitflags;

bitflags! {
    /// What user 0 does not get for being user 0. Each flag's lock is the next bit; bits are Linux's.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct SecureBits: u32 {
        /// User 0 gains nothing by executing a program.
        const NOROOT = 1 << 0;
        /// As it is for ever.
        const NOROOT_LOCKED = 1 << 1;
        /// Changes of user ids change no capabilities.
        const NO_SETUID_FIXUP = 1 << 2;
        /// As it is for ever.
        const NO_SETUID_FIXUP_LOCKED = 1 << 3;
        /// Leaving user 0 keeps the permitted capabilities, until the next exec.
        const KEEP_CAPS = 1 << 4;
        /// As it is for ever.
        const KEEP_CAPS_LOCKED = 1 << 5;
        /// Nothing is added to the ambient set.
        const NO_CAP_AMBIENT_RAISE = 1 << 6;
        /// As it is for ever.
        const NO_CAP_AMBIENT_RAISE_LOCKED = 1 << 7;
    }
}

impl SecureBits {
    /// All locks.
    pub const LOCKS: Self = Self::NOROOT_LOCKED
        .union(Self::NO_SETUID_FIXUP_LOCKED)
        .union(Self::KEEP_CAPS_LOCKED)
        .union(Self::NO_CAP_AMBIENT_RAISE_LOCKED);

    /// Whether these may become `new`: no lock is opened, and nothing that is locked changes.
    pub fn may_become(self, new: Self) -> bool {
        let locks = self & Self::LOCKS;
        let locked = locks.bits() >> 1;
        locked & (self.bits() ^ new.bits()) == 0 && new.contains(locks)
    }
}
