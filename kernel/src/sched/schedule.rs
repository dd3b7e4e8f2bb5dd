//! When a timer runs out, once or again and again.

/// The times at which a timer runs out, by its clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// The next one; `None` when it is not armed, or has run out for good.
    pub next_ns: Option<u64>,
    /// From one to the next; 0 for once.
    pub interval_ns: u64,
}

/// What is left of a timer, and how much later it runs out again; 0 for never. In nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Until it runs out, at least 1 while it is armed.
    pub value_ns: u64,
    /// From one time to the next.
    pub interval_ns: u64,
}

impl Schedule {
    /// How often it has run out by `now_ns`; the next time is one to come then.
    pub fn pass(&mut self, now_ns: u64) -> u64 {
        let Some(next) = self.next_ns.filter(|&next| next <= now_ns) else { return 0 };
        // Once, if it does not come again.
        let missed = (now_ns - next).checked_div(self.interval_ns);
        let count = missed.map_or(1, |missed| missed + 1);
        self.next_ns = missed.map(|_| next.saturating_add(count.saturating_mul(self.interval_ns)));
        count
    }

    /// What is left of it.
    pub fn left(&self, now_ns: u64) -> Left {
        let value_ns = self.next_ns.map_or(0, |next| next.saturating_sub(now_ns).max(1));
        Left { value_ns, interval_ns: self.interval_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_counts_and_the_next_time_is_to_come() {
        let mut once = Schedule { next_ns: Some(100), interval_ns: 0 };
        assert_eq!((once.pass(99), once.left(99)), (0, Left { value_ns: 1, interval_ns: 0 }));
        assert_eq!((once.pass(500), once.pass(600), once.left(600).value_ns), (1, 0, 0));
        let mut often = Schedule { next_ns: Some(80), interval_ns: 10 };
        assert_eq!((often.pass(125), often.left(125)), (5, Left { value_ns: 5, interval_ns: 10 }));
        assert_eq!(often.pass(130), 1);
        let mut last = Schedule { next_ns: Some(100), interval_ns: u64::MAX };
        assert_eq!((last.pass(u64::MAX), last.next_ns), (1, Some(u64::MAX)));
        let mut late = Schedule { next_ns: Some(0), interval_ns: 1 };
        assert_eq!((late.pass(u64::MAX - 1), late.next_ns), (u64::MAX, Some(u64::MAX)));
    }
}
