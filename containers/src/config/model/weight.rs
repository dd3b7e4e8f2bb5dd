//! From `cpu.shares` to `cpu.weight`, in whole numbers.

/// The smallest and the largest `cpu.weight` of cgroup v2.
const WEIGHT_MIN: u64 = 1;
const WEIGHT_MAX: u64 = 10_000;
/// The range of `cpu.shares`.
const SHARES_MIN: u64 = 2;
const SHARES_MAX: u64 = 262_144;

/// The `cpu.weight` of cgroup v2 for `cpu.shares`, as runc, crun and youki have it since 2025:
/// ⌈10^((L² + 125·L) / 612 − 7/34)⌉ with L = log₂ shares. It maps 2 to 1, 1024 to 100 (the defaults of either) and
/// 262144 to 10000. What is out of range is taken for the nearest end of it.
#[must_use]
pub const fn cpu_weight(shares: u64) -> u64 {
    if shares <= SHARES_MIN {
        return WEIGHT_MIN;
    }
    if shares >= SHARES_MAX {
        return WEIGHT_MAX;
    }
    // The exponent is (L − 1)·(L + 126) / 612: exactly 0, 2 and 4 for L = 1, 10 and 18.
    let log = log2(shares) as u128;
    let exponent = ((log - ONE as u128) * (log + 126 * ONE as u128)) >> FRACTION;
    let log_of_weight = ((exponent * LOG2_OF_10 as u128 / 612) >> FRACTION) as u64;
    // The smallest weight whose logarithm reaches that.
    let (mut low, mut high) = (WEIGHT_MIN, WEIGHT_MAX);
    while low < high {
        let middle = u64::midpoint(low, high);
        if log2(middle) + TOLERANCE >= log_of_weight {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// Bits after the point of a logarithm.
const FRACTION: u32 = 40;
const ONE: u64 = 1 << FRACTION;
/// log₂ 10, rounded down.
const LOG2_OF_10: u64 = 3_652_498_566_964;
/// What rounding may have lost: far less than lies between a weight that is not whole and the whole one below it.
const TOLERANCE: u64 = 64;

/// log₂ of a number above 0, rounded down: each squaring of what is left of it, from 1 up to 2, gives a bit.
const fn log2(number: u64) -> u64 {
    let whole = number.ilog2();
    let mut log = whole as u64;
    let mut left = (number as u128) << (63 - whole);
    let mut bit = 0;
    while bit < FRACTION {
        left = (left * left) >> 63;
        log <<= 1;
        if left >> 64 != 0 {
            left >>= 1;
            log |= 1;
        }
        bit += 1;
    }
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_are_those_of_the_formula() {
        let table = [
            (0, 1),
            (1, 1),
            (2, 1),
            (3, 2),
            (10, 4),
            (128, 21),
            (256, 35),
            (512, 59),
            (1024, 100),
            (1025, 101),
            (2048, 174),
            (4096, 303),
            (10_240, 639),
            (262_144, 10_000),
            (u64::MAX, 10_000),
        ];
        for (shares, weight) in table {
            assert_eq!(cpu_weight(shares), weight, "{shares}");
        }
    }

    #[test]
    fn it_agrees_with_the_formula_in_floating_point() {
        for shares in (SHARES_MIN..=SHARES_MAX).step_by(7) {
            let log = (shares as f64).log2();
            let exact = 10_f64.powf((log * log + 125.0 * log) / 612.0 - 7.0 / 34.0);
            assert_eq!(cpu_weight(shares), (exact - 1e-9).ceil() as u64, "{shares}");
        }
    }
}
