//! The loader's random seed, given out once.

use crate::sync::SpinLock;

static SEED: SpinLock<heapless::Vec<u64, 8>> = SpinLock::new(heapless::Vec::new());

/// Keeps the words of `seed`; what does not fit is not needed.
pub(super) fn init(seed: &[u8]) {
    let words = seed.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word));
    let mut kept = SEED.lock();
    for word in words {
        if kept.push(word).is_err() {
            break;
        }
    }
}

/// The next word of the seed; `None` once all are given out, for there is no other source.
pub(crate) fn hardware_random() -> Option<u64> {
    SEED.lock().pop()
}
