//! How willingly a process is killed when memory is out.

use super::{Process, text};
use crate::{fs::synthetic::Opener, security::Capabilities, task};
use alloc::vec::Vec;
use core::fmt::Write;
use veridian_containers::abi::Errno;

/// How likely it is killed when the machine's memory is out, in Linux's scale: a third of 2000 for who has nothing.
pub fn score(process: &Process, _: &Opener) -> Result<Vec<u8>, Errno> {
    let thread = process.live()?;
    let total = task::machine_bytes();
    let score = task::badness(&thread, total).map_or(0, |badness| (1000 + badness / (total / 1000) as i64) * 2 / 3);
    Ok(text(|to| writeln!(to, "{}", score.max(0))))
}

/// What moves it (proc_pid_oom_score_adj(5)).
pub fn score_adj(process: &Process, _: &Opener) -> Result<Vec<u8>, Errno> {
    let score = process.live()?.confinement().oom_score_adj().get();
    Ok(text(|to| writeln!(to, "{score}")))
}

/// A write to `oom_score_adj`: EACCES for lowering it without CAP_SYS_RESOURCE below what somebody with it has set.
pub fn set_score_adj(process: &Process, bytes: &[u8], opener: &Opener) -> Result<(), Errno> {
    let words = core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
    let value = words.trim().parse().map_err(|_| Errno::EINVAL)?;
    let privileged = opener.credentials.capable(Capabilities::SYS_RESOURCE);
    process.live()?.confinement().set_oom_score_adj(value, privileged)
}
