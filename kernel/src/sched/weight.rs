//! Weights: how CPU time is divided among those who compete for it.

/// The weight of a task of nice 0 beside groups, and of a group that nobody has given another (`cpu.weight` 100).
pub(super) const NOMINAL: u64 = 100 * UNIT;
/// The weight of a group for each unit of `cpu.weight`.
const UNIT: u64 = 1024;
/// The weight of a group that runs when nobody else wants to (`cpu.idle`), as Linux's SCHED_IDLE: 3 beside 1024.
pub(super) const IDLE: u64 = NOMINAL * 3 / 1024;

/// A group's weight from its `cpu.weight` (1 to 10000).
pub(super) const fn of_group(cpu_weight: u32) -> u64 {
    cpu_weight as u64 * UNIT
}

/// A task's weight from its nice value (-20 to 19): each step down is a quarter more (setpriority(2)).
pub(super) const fn of_nice(nice: i32) -> u64 {
    let mut weight = NOMINAL;
    let mut steps = 0;
    while steps < nice.unsigned_abs() {
        weight = if nice < 0 { weight * 5 / 4 } else { weight * 4 / 5 };
        steps += 1;
    }
    weight
}

/// What `ns` of CPU time count for one of this weight.
pub(super) const fn virtual_ns(ns: i64, weight: u64) -> i64 {
    ns.saturating_mul(NOMINAL as i64) / weight as i64
}

/// The virtual time of one whose weight changes: as far ahead of `floor`, or behind it, in CPU time as it was.
pub(super) fn rescaled(virtual_time: u64, floor: u64, before: u64, after: u64) -> u64 {
    let ahead = i128::from(virtual_time) - i128::from(floor);
    let rescaled = i128::from(floor) + ahead * i128::from(before) / i128::from(after.max(1));
    rescaled.clamp(0, i128::from(u64::MAX)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_nice_is_a_quarter() {
        assert_eq!(of_nice(0), NOMINAL);
        assert_eq!(of_nice(-1), NOMINAL * 5 / 4);
        assert_eq!(of_nice(1), NOMINAL * 4 / 5);
        assert!(of_nice(19) > 0 && of_nice(-20) > 80 * NOMINAL);
    }

    #[test]
    fn three_times_the_weight_makes_time_count_a_third() {
        assert_eq!(virtual_ns(3000, of_group(300)), 1000);
        assert_eq!(virtual_ns(-3000, of_group(300)), -1000);
        assert_eq!(virtual_ns(1000, of_group(1)), 100_000);
    }
}
