//! Random numbers: a ChaCha20 generator for each CPU, seeded by the machine's generator where there is one and by the
//! jitter of the clock always.

use crate::{
    cgroup::MemoryGroup,
    fs::{
        FileObject, Readiness,
        io::{Sink, Source, moved},
    },
};
use chacha20::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use core::task::{Context, Poll};
use veridian_containers::abi::Errno;
use veridian_hal::{
    clock, cpu,
    sync::{Once, PerCpu, SpinLock},
};

/// Bytes that a generator gives before it is seeded anew.
const RESEED_BYTES: usize = 1 << 20;
/// Nanoseconds after which it is seeded anew.
const RESEED_NS: u64 = 300 * 1_000_000_000;
/// Readings of the clock that go into a seed.
const JITTER_READINGS: usize = 1024;

struct Generator {
    rng: ChaCha20Rng,
    given_bytes: usize,
    seeded_ns: u64,
}

static GENERATORS: Once<PerCpu<SpinLock<Generator>>> = Once::new();

/// Bits of a generator's key: what it knows that nobody else does, once it is seeded.
pub const KEY_BITS: usize = 256;

/// Fills `bytes` with random ones, fit for keys.
pub fn fill(bytes: &mut [u8]) {
    let generators = GENERATORS.call_once(|| PerCpu::new(|cpu| SpinLock::new(Generator::seeded([cpu as u8; 32]))));
    let mut generator = generators.get().lock();
    generator.reseed_if_due();
    generator.given_bytes += bytes.len();
    generator.rng.fill_bytes(bytes);
}

/// Random bytes: keys, AT_RANDOM.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// 64 random bits: keys of hash tables.
pub fn u64() -> u64 {
    u64::from_ne_bytes(bytes())
}

/// Seeds the generators, and says so if the machine has no generator of its own: the seeds are then as good as the
/// clock's jitter.
pub fn seed() {
    if cpu::hardware_random().is_none() {
        log::warn!("no generator of random numbers in this machine: seeds are of the clock's jitter alone");
    }
    fill(&mut []);
}

impl Generator {
    /// A generator whose seed is made of `previous` and of what the machine offers.
    fn seeded(previous: [u8; 32]) -> Self {
        let seed = mix_hardware(mix_jitter(previous));
        // One block is thrown between the seed and the first output, so that the output does not show the seed's parts.
        let mut key = [0; 32];
        ChaCha20Rng::from_seed(seed).fill_bytes(&mut key);
        Self { rng: ChaCha20Rng::from_seed(key), given_bytes: 0, seeded_ns: clock::now_ns() }
    }

    fn reseed_if_due(&mut self) {
        if self.given_bytes >= RESEED_BYTES || clock::now_ns() - self.seeded_ns >= RESEED_NS {
            let mut previous = [0; 32];
            self.rng.fill_bytes(&mut previous);
            *self = Self::seeded(previous);
        }
    }
}

fn mix_hardware(mut seed: [u8; 32]) -> [u8; 32] {
    for part in seed.chunks_exact_mut(8) {
        if let Some(random) = cpu::hardware_random() {
            part.iter_mut().zip(random.to_le_bytes()).for_each(|(byte, random)| *byte ^= random);
        }
    }
    seed
}

/// Folds the low bits of many clock readings into `seed`, with a generator run over it now and then to spread them.
fn mix_jitter(mut seed: [u8; 32]) -> [u8; 32] {
    for reading in 0..JITTER_READINGS {
        let time = clock::now_ns().to_le_bytes();
        seed[reading % 32] ^= time[0] ^ time[1].rotate_left(3);
        if reading % 256 == 255 {
            seed.iter_mut().zip(time).for_each(|(byte, time)| *byte ^= time);
            let mut spread = [0; 32];
            ChaCha20Rng::from_seed(seed).fill_bytes(&mut spread);
            seed = spread;
        }
    }
    seed
}

/// `/dev/random` and `/dev/urandom`: the same, as the generators never run dry.
#[derive(Debug)]
pub(super) struct Random;

/// Writes random bytes to `sink`, at most [`RESEED_BYTES`] at a time.
pub fn read(sink: &mut dyn Sink) -> Result<usize, Errno> {
    let before = sink.remaining();
    let mut left = before.min(RESEED_BYTES);
    let mut piece = [0; 256];
    while left > 0 {
        let length = left.min(piece.len());
        fill(&mut piece[..length]);
        let result = sink.put(&piece[..length]);
        if result.is_err() {
            return moved(before - sink.remaining(), result);
        }
        left -= length;
    }
    Ok(before - sink.remaining())
}

impl FileObject for Random {
    fn poll_read(&self, _: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        Poll::Ready(read(sink))
    }

    /// Takes the bytes; they are not needed, and a program's guess must not weaken the generators.
    fn poll_write(&self, _: &mut Context<'_>, source: &mut dyn Source, _: &MemoryGroup) -> Poll<Result<usize, Errno>> {
        Poll::Ready(Ok(source.remaining()))
    }

    fn poll_ready(&self, _: &mut Context<'_>, _: Readiness) -> Readiness {
        Readiness::READABLE | Readiness::WRITABLE
    }

    fn ignores_offsets(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_fills_differ_and_a_reseeded_generator_goes_on_differently() {
        let (mut one, mut two) = ([0; 32], [0; 32]);
        fill(&mut one);
        fill(&mut two);
        assert_ne!(one, two);
        let mut large = alloc::vec![0; 3 * RESEED_BYTES];
        fill(&mut large);
        fill(&mut one);
        assert!(!large.windows(32).any(|window| window == one));
    }
}
