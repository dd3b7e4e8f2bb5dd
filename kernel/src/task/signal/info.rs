//! What a signal tells of its cause: `siginfo_t` (sigaction(2)).

use veridian_containers::Signal;
use veridian_hal::user::SIGNAL_INFO_BYTES;

/// A cause: the part of `siginfo_t` behind the signal's number. The fields' meaning depends on the code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalInfo {
    /// `si_errno`.
    pub errno: i32,
    /// `si_code`: above 0 for what the kernel sends.
    pub code: i32,
    /// What follows.
    pub fields: [u64; 4],
}

const SI_USER: i32 = 0;
const SI_KERNEL: i32 = 0x80;
const SI_TIMER: i32 = -2;
const SI_TKILL: i32 = -6;
const SYS_SECCOMP: i32 = 1;

const fn pair(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

impl SignalInfo {
    /// The kernel's own doing.
    pub fn kernel() -> Self {
        Self { code: SI_KERNEL, ..Self::default() }
    }

    /// kill(2), by a process of these numbers as the receiver sees them.
    pub fn user(pid: u32, uid: u32) -> Self {
        Self { code: SI_USER, fields: [pair(pid, uid), 0, 0, 0], ..Self::default() }
    }

    /// tkill(2), likewise.
    pub fn thread(pid: u32, uid: u32) -> Self {
        Self { code: SI_TKILL, ..Self::user(pid, uid) }
    }

    /// A child's change of state: `code` is one of `CLD_*`, times are in ticks.
    pub fn child(code: i32, pid: u32, uid: u32, status: i32, ticks: [u64; 2]) -> Self {
        let [user, system] = ticks;
        Self { code, fields: [pair(pid, uid), u64::from(status as u32), user, system], ..Self::default() }
    }

    /// A fault of the program's own at `address`.
    pub fn fault(code: i32, address: usize) -> Self {
        Self { code, fields: [address as u64, 0, 0, 0], ..Self::default() }
    }

    /// A timer that ran out (timer_create(2)).
    pub fn timer(id: u32, overrun: u32, value: u64) -> Self {
        Self { code: SI_TIMER, fields: [pair(id, overrun), value, 0, 0], ..Self::default() }
    }

    /// Whether the timer `id` is the cause.
    pub fn is_of_timer(&self, id: u32) -> bool {
        self.code == SI_TIMER && self.fields[0] as u32 == id
    }

    /// A timer has run out `more` times since.
    pub fn overrun(&mut self, more: u32) {
        let (id, count) = self.sender();
        self.fields[0] = pair(id, count.saturating_add(more).min(i32::MAX as u32));
    }

    /// A system call that a filter has trapped (seccomp(2)); `data` is the filter's.
    pub fn seccomp(address: usize, number: u32, architecture: u32, data: u16) -> Self {
        Self { errno: data.into(), code: SYS_SECCOMP, fields: [address as u64, pair(number, architecture), 0, 0] }
    }

    /// What a program gave to rt_sigqueueinfo(2): the bytes behind the signal's number.
    pub fn from_bytes(bytes: &[u8; SIGNAL_INFO_BYTES]) -> Self {
        let word = |at: usize| i32::from_le_bytes(*bytes[at..].first_chunk().expect("within"));
        let long = |at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().expect("within"));
        Self { errno: word(4), code: word(8), fields: [long(16), long(24), long(32), long(40)] }
    }

    /// `siginfo_t`.
    pub fn to_bytes(self, signal: Signal) -> [u8; SIGNAL_INFO_BYTES] {
        let mut bytes = [0; SIGNAL_INFO_BYTES];
        bytes[..4].copy_from_slice(&signal.number().to_le_bytes());
        bytes[4..8].copy_from_slice(&self.errno.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.code.to_le_bytes());
        for (to, field) in bytes[16..].chunks_exact_mut(8).zip(self.fields) {
            to.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// The sender's numbers, where the code has them there.
    pub fn sender(&self) -> (u32, u32) {
        (self.fields[0] as u32, (self.fields[0] >> 32) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_queues_comes_out_as_it_went_in() {
        let info = SignalInfo { errno: 3, code: -1, fields: [pair(7, 1000), u64::MAX, 0, 9] };
        let bytes = info.to_bytes(Signal::SIGTERM);
        assert_eq!(SignalInfo::from_bytes(&bytes), info);
        assert_eq!((bytes[0], info.sender()), (15, (7, 1000)));
    }
}
