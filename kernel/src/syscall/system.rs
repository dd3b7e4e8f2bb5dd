//! The machine: its names, its memory, its random numbers.

use crate::{
    boot,
    device::random,
    fs::{self, types::TYPES},
    namespace::{UtsNamespace, time::Clock, uts},
    sched,
    security::Capabilities,
    task::Thread,
};
use linux_raw_sys::general;
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, UserAddr, arch, mem};
use zerocopy::{Immutable, IntoBytes};

const FIELD: usize = uts::NAME_MAX + 1;

/// `struct new_utsname`.
#[derive(Clone, Copy, IntoBytes, Immutable)]
#[repr(C)]
struct UtsName {
    sysname: [u8; FIELD],
    nodename: [u8; FIELD],
    release: [u8; FIELD],
    version: [u8; FIELD],
    machine: [u8; FIELD],
    domainname: [u8; FIELD],
}

fn field(text: &[u8]) -> [u8; FIELD] {
    let mut field = [0; FIELD];
    let length = text.len().min(uts::NAME_MAX);
    field[..length].copy_from_slice(&text[..length]);
    field
}

/// uname(2).
pub fn uname(thread: &Thread, to: UserAddr) -> Result<usize, Errno> {
    let names = thread.namespaces().uts.names();
    let told = UtsName {
        sysname: field(uts::SYSTEM.as_bytes()),
        nodename: field(&names.host),
        release: field(uts::RELEASE.as_bytes()),
        version: field(uts::VERSION.as_bytes()),
        machine: field(arch::DESCRIPTION.as_bytes()),
        domainname: field(&names.domain),
    };
    thread.space().write(to, &told)?;
    Ok(0)
}

fn new_name(thread: &Thread, namespace: &UtsNamespace, from: UserAddr, length: isize) -> Result<uts::Name, Errno> {
    if !thread.credentials().capable_in(namespace.owner(), Capabilities::SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    let length = usize::try_from(length).ok().filter(|length| *length <= uts::NAME_MAX).ok_or(Errno::EINVAL)?;
    let mut bytes = [0; uts::NAME_MAX];
    thread.space().read_bytes(from, &mut bytes[..length])?;
    uts::Name::from_slice(&bytes[..length]).map_err(|_| Errno::EINVAL)
}

pub fn sethostname(thread: &Thread, from: UserAddr, length: isize) -> Result<usize, Errno> {
    let namespace = thread.namespaces().uts;
    namespace.set_host(&new_name(thread, &namespace, from, length)?)?;
    Ok(0)
}

pub fn setdomainname(thread: &Thread, from: UserAddr, length: isize) -> Result<usize, Errno> {
    let namespace = thread.namespaces().uts;
    namespace.set_domain(&new_name(thread, &namespace, from, length)?)?;
    Ok(0)
}

/// `struct sysinfo` of 64-bit Linux.
#[derive(Clone, Copy, IntoBytes, Immutable)]
#[repr(C)]
struct SysInfo {
    uptime: i64,
    loads: [u64; 3],
    total_ram: u64,
    free_ram: u64,
    shared_ram: u64,
    buffer_ram: u64,
    total_swap: u64,
    free_swap: u64,
    processes: u16,
    _pad: [u16; 3],
    total_high: u64,
    free_high: u64,
    unit: u32,
    _pad_end: u32,
}

/// sysinfo(2). Free memory counts what the kernel heap holds unused as free, so that it tells what is in use.
pub fn sysinfo(thread: &Thread, to: UserAddr) -> Result<usize, Errno> {
    let frames = mem::statistics();
    let told = SysInfo {
        uptime: (thread.time().now_ns(Clock::Boottime) / 1_000_000_000) as i64,
        loads: sched::load_average().map(sched::Load::with_16_places),
        total_ram: (frames.total * PAGE_SIZE) as u64,
        free_ram: (frames.free * PAGE_SIZE) as u64,
        shared_ram: 0,
        buffer_ram: 0,
        total_swap: 0,
        free_swap: 0,
        processes: boot::pid_namespace().pids_in_use().try_into().unwrap_or(u16::MAX),
        _pad: [0; 3],
        total_high: 0,
        free_high: 0,
        unit: 1,
        _pad_end: 0,
    };
    thread.space().write(to, &told)?;
    Ok(0)
}

/// getrandom(2). The generator is seeded before the first process: it never has to wait.
pub fn getrandom(thread: &Thread, to: UserAddr, length: usize, flags: u32) -> Result<usize, Errno> {
    let known = general::GRND_NONBLOCK | general::GRND_RANDOM | general::GRND_INSECURE;
    let both = general::GRND_RANDOM | general::GRND_INSECURE;
    if flags & !known != 0 || flags & both == both {
        return Err(Errno::EINVAL);
    }
    let length = length.min(i32::MAX as usize & !(PAGE_SIZE - 1));
    let space = thread.space();
    let mut done = 0;
    let mut chunk = [0; 256];
    while done < length {
        let step = (length - done).min(chunk.len());
        random::fill(&mut chunk[..step]);
        match to.checked_add(done).ok_or(Errno::EFAULT).and_then(|at| space.write_bytes(at, &chunk[..step])) {
            Ok(()) => done += step,
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// personality(2). There is one domain, that of Linux; that addresses are the same in each run is so without being asked.
pub fn personality(_: &Thread, wanted: u32) -> Result<usize, Errno> {
    const QUERY: u32 = 0xffff_ffff;
    const PER_LINUX: u32 = 0;
    if matches!(wanted, QUERY | PER_LINUX) { Ok(PER_LINUX as usize) } else { Err(Errno::EINVAL) }
}

/// What concerns the whole machine, and is not left to programs: reboot(2), swapon(2), swapoff(2), vhangup(2), syslog(2).
pub fn forbidden(_: &Thread) -> Result<usize, Errno> {
    Err(Errno::EPERM)
}

/// sysfs(2): the types of file systems by number and by name.
pub fn sysfs(thread: &Thread, option: u32, first: usize, second: UserAddr) -> Result<usize, Errno> {
    const NUMBER_OF: u32 = 1;
    const NAME_OF: u32 = 2;
    const COUNT: u32 = 3;
    match option {
        NUMBER_OF => {
            let name = thread.space().read_c_string(UserAddr(first), fs::PATH_MAX - 1)?;
            TYPES.iter().position(|known| known.name.as_bytes() == name).ok_or(Errno::EINVAL)
        }
        NAME_OF => {
            let name = TYPES.get(first).ok_or(Errno::EINVAL)?.name;
            thread.space().write_bytes(second, &[name.as_bytes(), &[0]].concat())?;
            Ok(0)
        }
        COUNT => Ok(TYPES.len()),
        _ => Err(Errno::EINVAL),
    }
}

/// membarrier(2), without the commands that make instructions coherent or restart sequences. All that are there have all
/// CPUs that run a program come to the kernel.
pub async fn membarrier(thread: &Thread, command: u32, flags: u32, _cpu: u32) -> Result<usize, Errno> {
    use general::membarrier_cmd::*;
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let known = [
        MEMBARRIER_CMD_GLOBAL,
        MEMBARRIER_CMD_GLOBAL_EXPEDITED,
        MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED,
        MEMBARRIER_CMD_PRIVATE_EXPEDITED,
        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
    ];
    if command == MEMBARRIER_CMD_QUERY as u32 {
        return Ok(known.iter().fold(0, |all, known| all | *known as usize));
    }
    let space = thread.space();
    match known.into_iter().find(|known| *known as u32 == command).ok_or(Errno::EINVAL)? {
        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED => space.register_for_barriers(),
        MEMBARRIER_CMD_PRIVATE_EXPEDITED if !space.is_registered_for_barriers() => return Err(Errno::EPERM),
        // Every process hears of what is asked of all.
        MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED => {}
        _ => sched::barrier().await,
    }
    Ok(0)
}

/// name_to_handle_at(2): no file system of this kernel gives handles.
pub fn name_to_handle_at(_: &Thread) -> Result<usize, Errno> {
    Err(Errno::EOPNOTSUPP)
}
