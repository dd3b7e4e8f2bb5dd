//! The code of the vDSO (vdso(7)): functions that programs call to read clocks without a system call. They are the
//! architecture's, in assembly, and find what they reckon with in front of themselves.

use crate::arch;

/// Code that runs wherever it is put, with [`Clocks`] over the zeros of its beginning.
pub struct Vdso {
    /// All of it, zeros included.
    pub code: &'static [u8],
    /// The names of its functions, as Linux has them on this architecture.
    pub names: &'static [&'static str],
    /// Where in the code each of them begins.
    pub offsets: &'static [u64],
    /// Which of them is no function but what handlers of signals return to, where programs bring no code for it.
    pub signal_return: Option<usize>,
    /// The version of all names.
    pub version: &'static str,
}

impl Vdso {
    /// That of the machine's architecture.
    pub fn get() -> Self {
        arch::vdso()
    }

    /// What an architecture has assembled between the labels `vdso_code` and `vdso_end`, with an offset behind
    /// `vdso_offsets` for each name.
    #[cfg(target_os = "none")]
    pub(crate) fn assembled<const N: usize>(
        names: &'static [&'static str; N],
        signal_return: Option<usize>,
        version: &'static str,
    ) -> Self {
        use core::slice::from_raw_parts;
        unsafe extern "C" {
            static vdso_code: u8;
            static vdso_end: u8;
            static vdso_offsets: u64;
        }
        // SAFETY: constants of the program, which nobody writes; the architecture promises as many offsets as names.
        let (code, offsets) = unsafe {
            let length = (&raw const vdso_end).offset_from_unsigned(&raw const vdso_code);
            (from_raw_parts(&raw const vdso_code, length), from_raw_parts(&raw const vdso_offsets, N))
        };
        Self { code, names, offsets, signal_return, version }
    }
}

/// What a clock shows beyond the time since boot, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clocks {
    /// CLOCK_REALTIME.
    pub realtime_ns: u64,
    /// CLOCK_MONOTONIC.
    pub monotonic_ns: i64,
    /// CLOCK_BOOTTIME.
    pub boottime_ns: i64,
}

impl Clocks {
    /// Bytes at the beginning of the code that are theirs.
    pub const BYTES: usize = 64;
    /// Where in them each clock has what it shows beyond the time since boot, by its number on Linux; at 0 for those that
    /// the kernel is asked for.
    const PLACES: [u8; 12] = {
        let [realtime, monotonic, boottime] = [16, 24, 32];
        [realtime, monotonic, 0, 0, monotonic, realtime, monotonic, boottime, 0, 0, 0, realtime]
    };

    /// As the code finds them: the counter at boot, the nanoseconds of its tick times 2^32, the three clocks, the places.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let [start, ns_per_tick] = arch::counter_scale();
        let words = [start, ns_per_tick, self.realtime_ns, self.monotonic_ns as u64, self.boottime_ns as u64];
        let mut bytes = [0; Self::BYTES];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes[40..][..Self::PLACES.len()].copy_from_slice(&Self::PLACES);
        bytes
    }
}
