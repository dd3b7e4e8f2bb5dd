//! select(2) and pselect(2): poll's question, asked and answered in sets of bits.

use super::{
    layout::PollFd,
    poll::{Restore, timeout_ns, wait_for},
    timespec::TimeVal,
};
use crate::{fs::Readiness, mm::filled, task::Thread};
use alloc::vec::Vec;
use linux_raw_sys::general::RLIMIT_NOFILE;
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;
use zerocopy::IntoBytes;

const BITS: usize = u64::BITS as usize;

/// What each of the three sets asks for, and what answers it.
const SETS: [(Readiness, Readiness); 3] = [
    (Readiness::READABLE, Readiness::READABLE.union(Readiness::HUP).union(Readiness::ERR)),
    // (A writer hears of a hang-up by its write.)
    (Readiness::WRITABLE, Readiness::WRITABLE.union(Readiness::HUP).union(Readiness::ERR)),
    (Readiness::PRI, Readiness::PRI),
];

/// Descriptors, a bit each; nothing if the caller gives no set.
type Set = Option<(UserAddr, Vec<u64>)>;

pub async fn select(
    thread: &Thread,
    count: i32,
    reads: UserAddr,
    writes: UserAddr,
    others: UserAddr,
    timeout: UserAddr,
) -> Result<usize, Errno> {
    let timeout = if timeout == UserAddr(0) { None } else { Some(thread.space().read::<TimeVal>(timeout)?.to_ns()?) };
    among(thread, count, [reads, writes, others], timeout).await
}

/// The last argument points to a signal mask and its size. As with ppoll(2), the time that is left is not told.
pub async fn pselect6(
    thread: &Thread,
    count: i32,
    reads: UserAddr,
    writes: UserAddr,
    others: UserAddr,
    timeout: UserAddr,
    mask: UserAddr,
) -> Result<usize, Errno> {
    let timeout = timeout_ns(thread, timeout)?;
    let [mask, bytes] = if mask == UserAddr(0) { [0; 2] } else { thread.space().read::<[usize; 2]>(mask)? };
    let restore = Restore::from_user(thread, UserAddr(mask), bytes)?;
    Restore::around(restore, among(thread, count, [reads, writes, others], timeout)).await
}

fn contains(words: &[u64], fd: usize) -> bool {
    words[fd / BITS] >> (fd % BITS) & 1 != 0
}

/// EBADF for a descriptor that is not open. All sets are written, or none.
async fn among(thread: &Thread, count: i32, places: [UserAddr; 3], timeout_ns: Option<u64>) -> Result<usize, Errno> {
    let limit = usize::try_from(thread.confinement().limit(RLIMIT_NOFILE)).unwrap_or(usize::MAX);
    // (As Linux: what is beyond the process's table is not looked at.)
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?.min(limit);
    let space = thread.space();
    let mut sets: [Set; 3] = [None, None, None];
    for (set, place) in sets.iter_mut().zip(places).filter(|(_, place)| *place != UserAddr(0)) {
        let mut words = filled(0_u64, count.div_ceil(BITS))?;
        space.read_bytes(place, words.as_mut_slice().as_mut_bytes())?;
        *set = Some((place, words));
    }
    let mut asked = Vec::new();
    for fd in 0..count {
        let wanted = SETS.iter().zip(&sets).filter(|(_, set)| matches!(set, Some((_, words)) if contains(words, fd)));
        let events = wanted.fold(Readiness::empty(), |all, ((wanted, _), _)| all | *wanted).bits();
        if events != 0 {
            thread.with_files(|files| files.get_open(fd as i32))?;
            asked.push(PollFd { fd: fd as i32, events, revents: 0 });
        }
    }
    wait_for(thread, &mut asked, timeout_ns).await;
    let mut told = 0;
    for ((_, answer), set) in SETS.iter().zip(&mut sets) {
        let Some((_, words)) = set else { continue };
        let cleared = filled(0, words.len())?;
        let before = core::mem::replace(words, cleared);
        for one in &asked {
            let fd = one.fd as usize;
            if contains(&before, fd) && Readiness::from_bits_truncate(one.revents).intersects(*answer) {
                words[fd / BITS] |= 1 << (fd % BITS);
                told += 1;
            }
        }
    }
    for (place, words) in sets.iter().flatten() {
        space.write_bytes(*place, words.as_slice().as_bytes())?;
    }
    Ok(told)
}
