//! How much CPU time a group may take in each period (cgroup v2 `cpu.max`, `cpu.max.burst`). What was taken too much
//! is owed: the next periods give less.

/// A quota of CPU time. In nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// CPU time in each period, of all CPUs together.
    pub quota_ns: u64,
    /// The period.
    pub period_ns: u64,
    /// CPU time that may be saved up from earlier periods.
    pub burst_ns: u64,
}

/// A group's account.
#[derive(Debug)]
pub(super) struct Bandwidth {
    pub quota: Quota,
    /// What is left of this period, less what was given out to run now; below 0: owed.
    left: i64,
    /// `left` when the period began.
    at_begin: i64,
    begin: u64,
    /// Since when tasks have been waiting for the next period.
    pub throttled_since: Option<u64>,
    /// Tasks had to wait in this period: counted once in it.
    waited: bool,
    pub periods: u64,
    pub throttled: u64,
    pub throttled_ns: u64,
    pub bursts: u64,
    pub burst_ns: u64,
}

impl Bandwidth {
    pub fn new(quota: Quota, now: u64) -> Self {
        let left = quota.quota_ns as i64;
        Self {
            quota,
            left,
            at_begin: left,
            begin: now,
            throttled_since: None,
            waited: false,
            periods: 0,
            throttled: 0,
            throttled_ns: 0,
            bursts: 0,
            burst_ns: 0,
        }
    }

    /// Another quota from now on; what is owed stays owed.
    pub fn change(&mut self, quota: Quota, now: u64) {
        self.left = self.left.min(0) + quota.quota_ns as i64;
        self.at_begin = self.left;
        self.begin = now;
        self.quota = quota;
    }

    /// Begins the periods that have begun since it was last asked.
    pub fn refill(&mut self, now: u64) {
        let elapsed = now.saturating_sub(self.begin) / self.quota.period_ns;
        if elapsed == 0 {
            return;
        }
        self.begin += elapsed * self.quota.period_ns;
        let quota = self.quota.quota_ns as i64;
        let taken = self.at_begin.saturating_sub(self.left);
        let waits = self.throttled_since.is_some();
        // Periods in which nobody wants or owes time do not count.
        let all = waits || self.left < 0;
        self.periods += if all { elapsed } else { u64::from(self.waited || taken > 0) };
        // What was taken beyond what was there is owed, and no burst.
        let spent = taken.min(self.at_begin);
        if self.quota.burst_ns > 0 && spent > quota {
            self.bursts += 1;
            self.burst_ns += (spent - quota) as u64;
        }
        let given = i64::try_from(elapsed).unwrap_or(i64::MAX).saturating_mul(quota);
        self.left = self.left.saturating_add(given).min(quota.saturating_add(self.quota.burst_ns as i64));
        self.at_begin = self.left;
        // Who waits on because time is owed has waited in all of them, and waits in this one.
        self.waited = waits && self.left <= 0;
        self.throttled += if waits { elapsed - u64::from(!self.waited) } else { 0 };
    }

    /// Takes time from the account; less than nothing gives back, as far as there is room.
    pub fn take(&mut self, ns: i64) {
        let most = (self.quota.quota_ns as i64).saturating_add(self.quota.burst_ns as i64);
        self.left = self.left.saturating_sub(ns).min(most);
    }

    pub fn left(&self) -> i64 {
        self.left
    }

    /// When there will be time again.
    pub fn next_refill(&self) -> u64 {
        let missing = self.left.min(0).unsigned_abs();
        // One period gives at least something above what is owed.
        let periods = missing / self.quota.quota_ns.max(1) + 1;
        self.begin.saturating_add(periods.saturating_mul(self.quota.period_ns))
    }

    /// Tasks wait for the next period from now on.
    pub fn begin_wait(&mut self, now: u64) {
        self.throttled_since.get_or_insert(now);
        self.throttled += u64::from(!core::mem::replace(&mut self.waited, true));
    }

    pub fn end_wait(&mut self, now: u64) {
        if let Some(since) = self.throttled_since.take() {
            self.throttled_ns += now.saturating_sub(since);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn account(burst_ms: u64) -> Bandwidth {
        Bandwidth::new(Quota { quota_ns: 10 * MS, period_ns: 100 * MS, burst_ns: burst_ms * MS }, 0)
    }

    #[test]
    fn what_is_owed_is_paid_by_the_next_periods() {
        let mut account = account(0);
        account.take(35 * MS as i64);
        assert_eq!(account.next_refill(), 300 * MS);
        account.refill(299 * MS);
        assert_eq!(account.left(), -5 * MS as i64);
        account.refill(300 * MS);
        assert_eq!(account.left(), 5 * MS as i64);
        assert_eq!(account.periods, 3);
    }

    #[test]
    fn without_a_burst_nothing_is_saved_up() {
        let mut account = account(0);
        account.refill(1000 * MS);
        assert_eq!(account.left(), 10 * MS as i64);
        assert_eq!(account.bursts, 0);
    }

    #[test]
    fn a_burst_spends_what_earlier_periods_left() {
        let mut account = account(15);
        account.refill(1000 * MS);
        assert_eq!(account.left(), 25 * MS as i64);
        account.take(22 * MS as i64);
        account.refill(1100 * MS);
        assert_eq!((account.left(), account.bursts, account.burst_ns), (13 * MS as i64, 1, 12 * MS));
    }

    #[test]
    fn what_is_owed_is_no_burst() {
        let mut account = account(10);
        account.refill(1000 * MS);
        account.take(23 * MS as i64);
        account.refill(1100 * MS);
        assert_eq!((account.left(), account.bursts, account.burst_ns), (7 * MS as i64, 1, 10 * MS));
        account.take(12 * MS as i64);
        account.refill(1200 * MS);
        assert_eq!((account.left(), account.bursts, account.burst_ns), (5 * MS as i64, 1, 10 * MS));
    }

    #[test]
    fn waits_are_counted_once_and_timed() {
        let mut account = account(0);
        account.begin_wait(5);
        account.begin_wait(7);
        account.end_wait(25);
        account.end_wait(99);
        assert_eq!((account.throttled, account.throttled_ns), (1, 20));
        account.begin_wait(30);
        assert_eq!(account.throttled, 1, "once in a period");
        account.refill(100 * MS);
        account.end_wait(100 * MS);
        account.refill(1000 * MS);
        assert_eq!((account.periods, account.throttled), (1, 1), "only those in which somebody wants time");
    }

    #[test]
    fn who_owes_waits_in_each_period_until_it_is_paid() {
        let mut account = account(0);
        account.take(35 * MS as i64);
        account.begin_wait(30 * MS);
        account.refill(100 * MS);
        assert_eq!((account.periods, account.throttled), (1, 2));
        account.refill(300 * MS);
        account.end_wait(300 * MS);
        assert_eq!((account.periods, account.throttled, account.throttled_ns), (3, 3, 270 * MS));
    }
}
