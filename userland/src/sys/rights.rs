//! Rights: capabilities, what a process gives away of them, namespaces.

use linux_raw_sys::prctl::*;

use super::{Arg, Fd, Pid, Result, call};

/// Three sets of capabilities, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySets {
    /// What is checked.
    pub effective: u64,
    /// What may be made effective.
    pub permitted: u64,
    /// What an executed program may take over.
    pub inheritable: u64,
}

const VERSION_3: u32 = 0x2008_0522;

/// capget(2).
pub fn capget(pid: Pid) -> Result<CapabilitySets> {
    let mut header = [VERSION_3, pid as u32];
    let mut words = [[0_u32; 3]; 2];
    call!(__NR_capget, Arg::write(&mut header), Arg::write(&mut words))?;
    let set = |index: usize| u64::from(words[1][index]) << 32 | u64::from(words[0][index]);
    Ok(CapabilitySets { effective: set(0), permitted: set(1), inheritable: set(2) })
}
/// capset(2), of process `pid`; 0 for oneself.
pub fn capset(pid: Pid, sets: CapabilitySets) -> Result {
    let mut header = [VERSION_3, pid as u32];
    let half = |shift: u32| [sets.effective, sets.permitted, sets.inheritable].map(|set| (set >> shift) as u32);
    let words = [half(0), half(32)];
    call!(__NR_capset, Arg::write(&mut header), Arg::read(&words)).map(drop)
}
/// capget(2) with a version of the structure and nowhere to put an answer: the version that the kernel names.
pub fn capability_version(asked: u32) -> Result<u32> {
    let mut header = [asked, 0];
    call!(__NR_capget, Arg::write(&mut header), 0).map(|_| header[0])
}
/// prctl(2) with numbers only; no option whose arguments are addresses.
fn prctl(option: u32, words: [usize; 4]) -> Result<usize> {
    call!(__NR_prctl, option, words[0], words[1], words[2], words[3])
}
/// prctl(PR_CAPBSET_READ).
pub fn bounding(capability: usize) -> Result<bool> {
    prctl(PR_CAPBSET_READ, [capability, 0, 0, 0]).map(|found| found != 0)
}
/// prctl(PR_CAPBSET_DROP).
pub fn drop_bounding(capability: usize) -> Result {
    prctl(PR_CAPBSET_DROP, [capability, 0, 0, 0]).map(drop)
}
/// prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET).
pub fn ambient(capability: usize) -> Result<bool> {
    prctl(PR_CAP_AMBIENT, [PR_CAP_AMBIENT_IS_SET as usize, capability, 0, 0]).map(|found| found != 0)
}
/// prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE).
pub fn raise_ambient(capability: usize) -> Result {
    prctl(PR_CAP_AMBIENT, [PR_CAP_AMBIENT_RAISE as usize, capability, 0, 0]).map(drop)
}
/// prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL).
pub fn clear_ambient() -> Result {
    prctl(PR_CAP_AMBIENT, [PR_CAP_AMBIENT_CLEAR_ALL as usize, 0, 0, 0]).map(drop)
}
/// prctl(PR_SET_SECUREBITS).
pub fn set_securebits(bits: usize) -> Result {
    prctl(PR_SET_SECUREBITS, [bits, 0, 0, 0]).map(drop)
}
/// prctl(PR_GET_SECUREBITS).
pub fn securebits() -> Result<usize> {
    prctl(PR_GET_SECUREBITS, [0; 4])
}
/// prctl(PR_SET_KEEPCAPS).
pub fn set_keep_capabilities(keep: usize) -> Result {
    prctl(PR_SET_KEEPCAPS, [keep, 0, 0, 0]).map(drop)
}
/// prctl(PR_GET_NO_NEW_PRIVS).
pub fn no_new_privs() -> Result<bool> {
    prctl(PR_GET_NO_NEW_PRIVS, [0; 4]).map(|found| found != 0)
}
/// prctl(PR_SET_NO_NEW_PRIVS) with another value than the one that there is.
pub fn unset_no_new_privs() -> Result {
    prctl(PR_SET_NO_NEW_PRIVS, [0; 4]).map(drop)
}
/// prctl(PR_SET_DUMPABLE).
pub fn set_dumpable(dumpable: usize) -> Result {
    prctl(PR_SET_DUMPABLE, [dumpable, 0, 0, 0]).map(drop)
}
/// prctl(PR_GET_DUMPABLE).
pub fn dumpable() -> Result<bool> {
    prctl(PR_GET_DUMPABLE, [0; 4]).map(|found| found != 0)
}
/// prctl(PR_SET_PDEATHSIG).
pub fn set_death_signal(signal: u32) -> Result {
    prctl(PR_SET_PDEATHSIG, [signal as usize, 0, 0, 0]).map(drop)
}
/// prctl(PR_GET_PDEATHSIG).
pub fn death_signal() -> Result<u32> {
    let mut signal = u32::MAX;
    call!(__NR_prctl, PR_GET_PDEATHSIG, Arg::write(&mut signal), 0, 0, 0).map(|_| signal)
}
/// setfsuid(2): the id before.
pub fn setfsuid(uid: u32) -> u32 {
    call!(__NR_setfsuid, uid).unwrap_or(0) as u32
}
/// getresuid(2): real, effective and saved user id.
pub fn getresuid() -> Result<[u32; 3]> {
    let (mut real, mut effective, mut saved) = (0, 0, 0);
    call!(__NR_getresuid, Arg::write(&mut real), Arg::write(&mut effective), Arg::write(&mut saved))
        .map(|_| [real, effective, saved])
}
/// setns(2).
pub fn setns(fd: Fd, kind: u32) -> Result {
    call!(__NR_setns, fd, kind).map(drop)
}
/// ioctl_ns(2) without an argument: a kind, or a descriptor of another namespace.
pub fn ioctl_namespace(fd: Fd, request: u32) -> Result<usize> {
    call!(__NR_ioctl, fd, request, 0)
}

/// process_vm_readv(2), or process_vm_writev(2) if `write`, of eight bytes of another process at `address`; EINVAL,
/// without a call, for the own process.
pub fn process_vm(pid: Pid, address: usize, write: bool) -> Result<usize> {
    if pid == 0 || pid == super::getpid() {
        return Err(super::Errno::EINVAL);
    }
    let mut buffer = 0_u64;
    let here = [Arg::write(&mut buffer).0, size_of_val(&buffer)];
    let there = [address, size_of_val(&buffer)];
    if write {
        call!(__NR_process_vm_writev, pid, Arg::read(&here), 1, Arg::read(&there), 1, 0)
    } else {
        call!(__NR_process_vm_readv, pid, Arg::read(&here), 1, Arg::read(&there), 1, 0)
    }
}

/// What clone3(2) is asked for, the child's stack aside: it goes on where its parent is.
#[derive(Clone, Copy, Debug, Default)]
pub struct CloneArgs {
    /// `flags`: no memory may be shared, so none that is refused for it.
    pub flags: u64,
    /// `exit_signal`.
    pub exit_signal: u64,
    /// `set_tid`: no numbers when empty.
    pub numbers: [u32; 2],
    /// `set_tid_size`.
    pub numbers_count: usize,
    /// `cgroup`: a descriptor.
    pub cgroup: u64,
    /// The size that the kernel is told; that of the structure when 0.
    pub size: usize,
    /// The word behind the structure that the kernel knows.
    pub beyond: u64,
}

/// clone3(2): 0 in the child.
pub fn clone3(args: CloneArgs) -> Result<Pid> {
    const SHARED_MEMORY: u64 = (linux_raw_sys::general::CLONE_VM | linux_raw_sys::general::CLONE_VFORK) as u64;
    let numbers = if args.numbers_count == 0 { Arg(0) } else { Arg::read(&args.numbers) };
    // flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup, beyond
    let words: [u64; 12] = [
        args.flags & !SHARED_MEMORY,
        0,
        0,
        0,
        args.exit_signal,
        0,
        0,
        0,
        numbers.0 as u64,
        args.numbers_count.min(args.numbers.len()) as u64,
        args.cgroup,
        args.beyond,
    ];
    let size = if args.size == 0 { 88 } else { args.size.min(size_of_val(&words)) };
    call!(__NR_clone3, Arg::read(&words), size).map(|pid| pid as Pid)
}
