//! The limits of an ipc namespace, which are its sysctls (sysvipc(7), mq_overview(7)).

use super::table::TABLE_MAX;
use alloc::{
    format,
    string::{String, ToString},
};
use veridian_containers::abi::Errno;

/// Limits; defaults and bounds are Linux's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `kernel.shmmax`: bytes of a segment.
    pub segment_bytes: u64,
    /// `kernel.shmall`: pages of all segments.
    pub segment_pages: u64,
    /// `kernel.shmmni`: segments.
    pub segments: u32,
    /// `kernel.msgmax`: bytes of a System V message.
    pub message_bytes: u32,
    /// `kernel.msgmnb`: bytes in a System V queue that is made from now on.
    pub queue_bytes: u32,
    /// `kernel.msgmni`: System V queues.
    pub queues: u32,
    /// `kernel.sem`: semaphores of a set, of all sets, operations of a call, sets.
    pub semaphores: [u32; 4],
    /// `fs.mqueue.queues_max`: POSIX queues.
    pub posix_queues: u32,
    /// `fs.mqueue.msg_max`: messages that an unprivileged POSIX queue holds at most.
    pub posix_messages: u32,
    /// `fs.mqueue.msgsize_max`: bytes of a message of an unprivileged POSIX queue.
    pub posix_message_bytes: u32,
    /// `fs.mqueue.msg_default`: messages of a queue that is made without attributes.
    pub posix_messages_default: u32,
    /// `fs.mqueue.msgsize_default`: bytes of a message of such a queue.
    pub posix_message_bytes_default: u32,
}

impl Default for Limits {
    fn default() -> Self {
        const ALL_BUT_16_MIB: u64 = u64::MAX - (1 << 24);
        Self {
            segment_bytes: ALL_BUT_16_MIB,
            segment_pages: ALL_BUT_16_MIB,
            segments: 4096,
            message_bytes: 8192,
            queue_bytes: 16384,
            queues: 32000,
            semaphores: [32000, 1_024_000_000, 500, 32000],
            posix_queues: 256,
            posix_messages: 10,
            posix_message_bytes: 8192,
            posix_messages_default: 10,
            posix_message_bytes_default: 8192,
        }
    }
}

impl Limits {
    /// What a sysctl shows, without a line end; `None` for one that is none of these.
    pub fn get(&self, path: &str) -> Option<String> {
        match path {
            "kernel/shmmax" => Some(self.segment_bytes.to_string()),
            "kernel/shmall" => Some(self.segment_pages.to_string()),
            "kernel/sem" => {
                let [per_set, all, operations, sets] = self.semaphores;
                Some(format!("{per_set}\t{all}\t{operations}\t{sets}"))
            }
            _ => Self::word(&mut self.clone(), path).map(|(word, ..)| word.to_string()),
        }
    }

    /// Sets a sysctl: ENOENT for one that is none of these, EINVAL for a value that it does not take.
    pub fn set(&mut self, path: &str, value: &str) -> Result<(), Errno> {
        let invalid = |_| Errno::EINVAL;
        match path {
            "kernel/shmmax" => self.segment_bytes = value.trim_ascii().parse().map_err(invalid)?,
            "kernel/shmall" => self.segment_pages = value.trim_ascii().parse().map_err(invalid)?,
            "kernel/sem" => {
                const MAX: [u32; 4] = [65536, i32::MAX as u32, 1000, TABLE_MAX as u32];
                let mut words = value.split_ascii_whitespace();
                let mut new = [0; 4];
                for (new, max) in new.iter_mut().zip(MAX) {
                    let word: u32 = words.next().ok_or(Errno::EINVAL)?.parse().map_err(invalid)?;
                    *new = Some(word).filter(|word| *word <= max).ok_or(Errno::EINVAL)?;
                }
                if words.next().is_some() {
                    return Err(Errno::EINVAL);
                }
                self.semaphores = new;
            }
            _ => {
                let (word, min, max) = self.word(path).ok_or(Errno::ENOENT)?;
                let value: u32 = value.trim_ascii().parse().map_err(invalid)?;
                *word = Some(value).filter(|value| (min..=max).contains(value)).ok_or(Errno::EINVAL)?;
            }
        }
        Ok(())
    }

    /// A limit that is one number, with what it may be set to.
    fn word(&mut self, path: &str) -> Option<(&mut u32, u32, u32)> {
        const ANY: u32 = i32::MAX as u32;
        const TABLE: u32 = TABLE_MAX as u32;
        Some(match path {
            "kernel/shmmni" => (&mut self.segments, 0, TABLE),
            // Linux sets no bound of its own; a message lies on the kernel heap in one piece here.
            "kernel/msgmax" => (&mut self.message_bytes, 0, 1 << 16),
            "kernel/msgmnb" => (&mut self.queue_bytes, 0, ANY),
            "kernel/msgmni" => (&mut self.queues, 0, TABLE),
            "fs/mqueue/queues_max" => (&mut self.posix_queues, 0, ANY),
            "fs/mqueue/msg_max" => (&mut self.posix_messages, 1, 65536),
            "fs/mqueue/msgsize_max" => (&mut self.posix_message_bytes, 128, 1 << 20),
            "fs/mqueue/msg_default" => (&mut self.posix_messages_default, 1, 65536),
            "fs/mqueue/msgsize_default" => (&mut self.posix_message_bytes_default, 128, 1 << 20),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSCTLS: [&str; 12] = [
        "kernel/shmmax",
        "kernel/shmall",
        "kernel/shmmni",
        "kernel/msgmax",
        "kernel/msgmnb",
        "kernel/msgmni",
        "kernel/sem",
        "fs/mqueue/queues_max",
        "fs/mqueue/msg_max",
        "fs/mqueue/msgsize_max",
        "fs/mqueue/msg_default",
        "fs/mqueue/msgsize_default",
    ];

    #[test]
    fn each_sysctl_shows_what_it_was_set_to() {
        let mut limits = Limits::default();
        assert_eq!(limits.get("kernel/shmmax").as_deref(), Some("18446744073692774399"));
        for sysctl in SYSCTLS {
            let value = if sysctl == "kernel/sem" { "1\t2\t3\t4" } else { "200" };
            assert_eq!(limits.set(sysctl, value), Ok(()), "{sysctl}");
            assert_eq!(limits.get(sysctl).as_deref(), Some(value), "{sysctl}");
        }
    }

    #[test]
    fn values_out_of_range_change_nothing() {
        let mut limits = Limits::default();
        for (sysctl, value, errno) in [
            ("kernel/shmmni", "32769", Errno::EINVAL),
            ("kernel/shmmni", "-1", Errno::EINVAL),
            ("kernel/sem", "1 2 3", Errno::EINVAL),
            ("kernel/sem", "1 2 3 4 5", Errno::EINVAL),
            ("kernel/sem", "1 2 1001 4", Errno::EINVAL),
            ("fs/mqueue/msgsize_max", "127", Errno::EINVAL),
            ("kernel/hostname", "x", Errno::ENOENT),
        ] {
            assert_eq!(limits.set(sysctl, value), Err(errno), "{sysctl}={value}");
        }
        assert_eq!(limits, Limits::default());
        assert_eq!(limits.get("kernel/hostname"), None);
    }
}
