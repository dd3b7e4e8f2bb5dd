//! The machine as simulated on the development machine: RAM is a leaked allocation, page tables are walked in
//! software, a user program is a Rust function that is called for each stretch of user mode.

use crate::{
    PAGE_SIZE, PhysAddr, UserAddr,
    boot_info::MemoryMap,
    cpu::Events,
    mem::{PageFormat, PageTable, Protection, TABLE_ENTRIES},
    user::Access,
    vdso::Vdso,
};
use alloc::sync::Arc;
use core::cell::{Cell, RefCell};
use std::{
    io::{Read, Write},
    sync::OnceLock,
    time::Instant,
};

mod context;

pub use context::{Program, UserContext, install_program};

/// What uname(2) gives as machine.
pub const DESCRIPTION: &str = "hosted";
/// The machine of an ELF file that the tests load: x86_64.
pub const ELF_MACHINE: u16 = 62;
/// First address behind the user half: that of four-level tables.
pub const USER_END: usize = 1 << 47;
/// The smallest alternate stack.
pub const LEAST_SIGNAL_STACK: usize = 2048;

/// Where the simulated RAM begins in the simulated physical address space.
const RAM_START: usize = 0x10_0000;

struct Ram {
    base: usize,
}

static RAM: OnceLock<Ram> = OnceLock::new();

/// Gives the machine `bytes` of RAM. Later calls change nothing, so each test may begin with it.
pub fn init(bytes: usize) {
    RAM.get_or_init(|| {
        let layout = std::alloc::Layout::from_size_align(bytes, PAGE_SIZE).expect("a sensible size of RAM");
        // SAFETY: the layout is not empty.
        let base = unsafe { std::alloc::alloc_zeroed(layout) } as usize;
        assert!(base != 0, "the host has no {bytes} bytes for the simulated RAM");
        Ram { base }
    });
    static FRAMES: OnceLock<()> = OnceLock::new();
    FRAMES.get_or_init(|| {
        let mut map = MemoryMap { usable: Default::default(), reserved: Default::default(), initrd: None };
        map.usable.push(RAM_START..RAM_START + bytes).expect("room for one range");
        // SAFETY: once; the range is the allocation made above, which nobody else uses.
        unsafe { crate::mem::init(&map) };
    });
}

pub(crate) fn phys_to_virt(address: PhysAddr) -> *mut u8 {
    let ram = RAM.get().expect("hosted::init comes first");
    (ram.base + (address.0 - RAM_START)) as *mut u8
}

/// A plain format: the address, and the protection in the low bits.
pub(crate) struct Format;

const TABLE_BIT: u64 = 1 << 8;

impl PageFormat for Format {
    const LEVELS: usize = 4;

    fn table(address: PhysAddr) -> u64 {
        address.0 as u64 | TABLE_BIT
    }

    fn leaf(address: PhysAddr, protection: Protection) -> u64 {
        address.0 as u64 | u64::from(protection.bits())
    }

    fn is_present(entry: u64) -> bool {
        entry != 0
    }

    fn address(entry: u64) -> PhysAddr {
        PhysAddr(entry as usize & !(PAGE_SIZE - 1))
    }

    fn protection(entry: u64) -> Protection {
        Protection::from_bits_truncate(entry as u8)
    }

    fn fill_root(_root: &mut [u64; TABLE_ENTRIES]) {}
}

std::thread_local! {
    static LOADED: RefCell<Option<Arc<PageTable>>> = const { RefCell::new(None) };
    static EVENTS: Cell<u32> = const { Cell::new(0) };
}

pub(crate) fn activate(table: &Arc<PageTable>) {
    LOADED.with(|loaded| {
        if loaded.borrow().as_ref().is_some_and(|l| Arc::ptr_eq(l, table)) {
            return;
        }
        let old = loaded.replace(Some(table.clone()));
        drop(old);
    });
}

pub(crate) fn deactivate() {
    let old = LOADED.with(RefCell::take);
    drop(old);
}

pub(crate) fn flush_pages(_table: &PageTable, _first: UserAddr, _count: usize) {}

pub(crate) fn published_entry(_table: &PageTable, _page: UserAddr) {}

/// Copies page by page through the loaded table; `copy` is given the kernel's view of each user stretch.
fn copy_user(user: usize, length: usize, access: Access, mut copy: impl FnMut(*mut u8, usize, usize)) -> usize {
    let table = LOADED.with(|l| l.borrow().clone()).expect("activate comes first");
    let mut done = 0;
    while done < length {
        let at = UserAddr(user + done);
        let Some((frame, protection)) = table.lookup(at.page_start()) else { break };
        if access == Access::Write && !protection.contains(Protection::WRITE) {
            break;
        }
        let step = (PAGE_SIZE - at.page_offset()).min(length - done);
        copy(phys_to_virt(frame.address()).wrapping_add(at.page_offset()), done, step);
        done += step;
    }
    length - done
}

pub(crate) unsafe fn copy_from_user(to: *mut u8, from: usize, length: usize) -> usize {
    copy_user(from, length, Access::Read, |user, done, step| {
        // SAFETY: the caller vouches for `to`; `user` lies in a mapped frame.
        unsafe { core::ptr::copy_nonoverlapping(user, to.add(done), step) }
    })
}

pub(crate) unsafe fn copy_to_user(to: usize, from: *const u8, length: usize) -> usize {
    copy_user(to, length, Access::Write, |user, done, step| {
        // SAFETY: the caller vouches for `from`; `user` lies in a mapped frame.
        unsafe { core::ptr::copy_nonoverlapping(from.add(done), user, step) }
    })
}

pub(crate) fn cpu_id() -> usize {
    0
}

pub(crate) fn cpu_count() -> usize {
    1
}

pub(crate) fn start_cpus(_entry: fn() -> !) -> usize {
    1
}

pub(crate) fn send_kick(_cpu: usize) {}

/// Raises events for the calling thread, as an interrupt would.
pub fn raise(events: Events) {
    EVENTS.with(|e| e.set(e.get() | events.bits()));
}

pub(crate) fn take_events() -> Events {
    Events::from_bits_truncate(EVENTS.with(Cell::take))
}

pub(crate) fn idle() {
    std::thread::yield_now();
}

pub(crate) fn relax() {
    std::thread::yield_now();
}

pub(crate) fn describe_cpu(to: &mut dyn core::fmt::Write) -> core::fmt::Result {
    writeln!(to, "model name\t: the development machine")
}

pub(crate) fn hardware_capabilities() -> [usize; 2] {
    [0; 2]
}

pub(crate) fn hardware_random() -> Option<u64> {
    use std::hash::{BuildHasher, Hasher};
    Some(std::collections::hash_map::RandomState::new().build_hasher().finish())
}

pub(crate) fn now_ns() -> u64 {
    static BOOT: OnceLock<Instant> = OnceLock::new();
    BOOT.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

pub(crate) fn ticks() -> u64 {
    now_ns()
}

pub(crate) fn ticks_to_ns(ticks: u64) -> u64 {
    ticks
}

pub(crate) fn set_deadline(_deadline_ns: u64) {}

/// See [`crate::vdso`]: nothing that runs.
pub(crate) fn vdso() -> Vdso {
    let names = &["clock_gettime", "gettimeofday", "rt_sigreturn"];
    Vdso { code: &[0; 96], names, offsets: &[64, 72, 80], signal_return: Some(2), version: "HOSTED_1" }
}

/// The counter of nanoseconds.
pub(crate) fn counter_scale() -> [u64; 2] {
    [0, 1 << 32]
}

pub(crate) fn boot_time_unix() -> Option<u64> {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok().map(|d| d.as_secs())
}

pub(crate) fn console_write(bytes: &[u8]) {
    // A closed standard output is no reason to stop.
    let _ = std::io::stdout().write_all(bytes);
}

pub(crate) fn console_read() -> Option<u8> {
    let mut byte = [0];
    (std::io::stdin().read(&mut byte).ok()? == 1).then_some(byte[0])
}

pub(crate) fn exit(status: u8) -> ! {
    std::process::exit(status.into())
}

pub(crate) fn halt_or_exit_after_panic() -> ! {
    std::process::abort()
}

pub(crate) fn backtrace() -> impl Iterator<Item = usize> {
    core::iter::empty()
}
