//! Capabilities and what else a process may give away: capget(2), capset(2), and prctl(2)'s options about rights.

use crate::{
    security::{Capabilities, CapabilitySets, SecureBits},
    task::Thread,
};
use alloc::sync::Arc;
use linux_raw_sys::prctl::*;
use veridian_containers::{Signal, abi::Errno};
use veridian_hal::UserAddr;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `struct __user_cap_header_struct`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`: 32 capabilities of each set.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Word {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_1: u32 = 0x1998_0330;
const VERSION_2: u32 = 0x2007_1026;
const VERSION_3: u32 = 0x2008_0522;

/// Reads the header; of a version that is not known, the newest is written there.
fn header(thread: &Thread, at: UserAddr) -> Result<(Header, usize), Errno> {
    let space = thread.space();
    let header: Header = space.read(at)?;
    match header.version {
        VERSION_1 => Ok((header, 1)),
        VERSION_2 | VERSION_3 => Ok((header, 2)),
        _ => {
            space.write(at, &VERSION_3)?;
            Err(Errno::EINVAL)
        }
    }
}

/// capget(2).
pub fn capget(thread: &Arc<Thread>, at: UserAddr, to: UserAddr) -> Result<usize, Errno> {
    let (header, words) = match header(thread, at) {
        // Without room for an answer only the version is asked for.
        Err(Errno::EINVAL) if to == UserAddr(0) => return Ok(0),
        header => header?,
    };
    if to == UserAddr(0) {
        return Ok(0);
    }
    let target = match u32::try_from(header.pid).map_err(|_| Errno::EINVAL)? {
        0 => thread.clone(),
        pid => thread.pid().namespace().thread(pid).ok_or(Errno::ESRCH)?,
    };
    let sets = target.credentials().capabilities();
    let half = |set: Capabilities, index: usize| (set.bits() >> (32 * index)) as u32;
    let told = [0, 1].map(|index| Word {
        effective: half(sets.effective, index),
        permitted: half(sets.permitted, index),
        inheritable: half(sets.inheritable, index),
    });
    thread.space().write_bytes(to, told[..words].as_bytes())?;
    Ok(0)
}

/// capset(2): of the caller alone; capabilities that there are not are passed over.
pub fn capset(thread: &Thread, at: UserAddr, from: UserAddr) -> Result<usize, Errno> {
    let (header, words) = header(thread, at)?;
    if header.pid != 0 && u32::try_from(header.pid) != Ok(thread.pid().number()) {
        return Err(Errno::EPERM);
    }
    let mut given = [Word::default(); 2];
    thread.space().read_bytes(from, given[..words].as_mut_bytes())?;
    let whole = |half: fn(&Word) -> u32| {
        Capabilities::from_bits_truncate(u64::from(half(&given[1])) << 32 | u64::from(half(&given[0])))
    };
    let sets = CapabilitySets {
        effective: whole(|word| word.effective),
        permitted: whole(|word| word.permitted),
        inheritable: whole(|word| word.inheritable),
    };
    thread.set_credentials(thread.credentials().set_capabilities(sets)?);
    Ok(0)
}

/// A capability by its number; EINVAL for one that there is not.
fn capability(number: usize) -> Result<Capabilities, Errno> {
    let bit = u32::try_from(number).ok().and_then(|number| 1u64.checked_shl(number)).ok_or(Errno::EINVAL)?;
    Capabilities::from_bits(bit).ok_or(Errno::EINVAL)
}

fn flag(word: usize) -> Result<bool, Errno> {
    match word {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Errno::EINVAL),
    }
}

/// prctl(2)'s options about rights; EINVAL for any other.
pub fn prctl(thread: &Thread, option: u32, words: [usize; 4]) -> Result<usize, Errno> {
    let who = thread.credentials();
    let [word, rest @ ..] = words;
    match option {
        PR_CAPBSET_READ => return Ok(who.bounding.contains(capability(word)?).into()),
        PR_CAPBSET_DROP => thread.set_credentials(who.drop_bounding(capability(word)?)?),
        PR_CAP_AMBIENT => return ambient(thread, word, rest),
        PR_GET_KEEPCAPS => return Ok(who.securebits.contains(SecureBits::KEEP_CAPS).into()),
        PR_SET_KEEPCAPS => thread.set_credentials(who.keep_capabilities(flag(word)?)?),
        PR_GET_SECUREBITS => return Ok(who.securebits.bits() as usize),
        PR_SET_SECUREBITS => {
            let bits = u32::try_from(word).map_err(|_| Errno::EPERM)?;
            thread.set_credentials(who.set_securebits(bits)?);
        }
        PR_SET_NO_NEW_PRIVS if words == [1, 0, 0, 0] => {
            let mut who = (*who).clone();
            who.no_new_privileges = true;
            thread.set_credentials(who);
        }
        PR_GET_NO_NEW_PRIVS if words == [0; 4] => return Ok(who.no_new_privileges.into()),
        PR_GET_DUMPABLE => return Ok(thread.guard().dumpable.into()),
        PR_SET_DUMPABLE => {
            let dumpable = flag(word)?;
            thread.change_guard(|guard| guard.dumpable = dumpable);
        }
        PR_SET_PDEATHSIG => {
            let number = u32::try_from(word).map_err(|_| Errno::EINVAL)?;
            let signal = if number == 0 { None } else { Some(Signal::try_from(number)?) };
            thread.change_guard(|guard| guard.death_signal = signal);
        }
        PR_GET_PDEATHSIG => {
            let number = thread.guard().death_signal.map_or(0, Signal::number);
            thread.space().write(UserAddr(word), &number)?;
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

fn ambient(thread: &Thread, order: usize, words: [usize; 3]) -> Result<usize, Errno> {
    let who = thread.credentials();
    let [number, rest @ ..] = words;
    if rest != [0; 2] {
        return Err(Errno::EINVAL);
    }
    if order == PR_CAP_AMBIENT_CLEAR_ALL as usize {
        if number != 0 {
            return Err(Errno::EINVAL);
        }
        thread.set_credentials(who.lower_ambient(Capabilities::all()));
        return Ok(0);
    }
    let capability = capability(number)?;
    match u32::try_from(order).map_err(|_| Errno::EINVAL)? {
        PR_CAP_AMBIENT_IS_SET => return Ok(who.ambient.contains(capability).into()),
        PR_CAP_AMBIENT_RAISE => thread.set_credentials(who.raise_ambient(capability)?),
        PR_CAP_AMBIENT_LOWER => thread.set_credentials(who.lower_ambient(capability)),
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}
