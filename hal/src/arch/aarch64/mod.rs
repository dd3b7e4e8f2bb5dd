//! The aarch64 machine: QEMU's `virt` and what resembles it. Entered by the Linux `Image` protocol with a device
//! tree, at EL1 or EL2; generic timer, GICv2 or GICv3, PL011, PSCI.
//!
//! The kernel runs at EL1 with all interrupts masked. They are taken from user mode, and polled in [`idle`]: a
//! masked interrupt still ends WFI. So the only exceptions of the kernel itself are the faults of copies to and from
//! user memory, and bugs.

use crate::{
    BootInfo, PhysAddr,
    arch::{
        call_main,
        device_tree::{DeviceTree, Node},
    },
    boot_info::{Initrd, MemoryMap},
    mem,
};
use core::ops::Range;

mod address_space;
mod backtrace;
mod bytes;
mod caches;
mod console;
mod context;
mod copy;
mod cpus;
mod describe;
mod entry;
mod fp;
mod gic;
mod memory;
mod power;
mod random;
mod registers;
mod signal;
mod timer;
mod vdso;
mod vectors;

pub use context::UserContext;
pub use memory::USER_END;
pub use signal::LEAST_SIGNAL_STACK;
pub(crate) use {
    address_space::{activate, deactivate, flush_pages, published_entry},
    backtrace::backtrace,
    console::{console_read, console_write},
    copy::{copy_from_user, copy_to_user},
    cpus::{cpu_count, cpu_id, idle, relax, send_kick, start_cpus, take_events},
    describe::{describe_cpu, hardware_capabilities},
    memory::{Format, phys_to_virt},
    power::{exit, halt_or_exit_after_panic},
    random::hardware_random,
    timer::{boot_time_unix, counter_scale, now_ns, set_deadline, ticks, ticks_to_ns},
    vdso::vdso,
};

/// What uname(2) gives as machine.
pub const DESCRIPTION: &str = "aarch64";
/// `e_machine` of programs for this CPU (EM_AARCH64).
pub const ELF_MACHINE: u16 = 183;

/// What the first steps learn, for the rest.
struct Start {
    tree: DeviceTree<'static>,
    map: MemoryMap,
    devices: Devices,
}

/// The devices that this machine needs or can use, looked up in one walk: the tree is long.
struct Devices {
    console: Option<Node<'static>>,
    interrupts: Node<'static>,
    timer: Node<'static>,
    date: Option<Node<'static>>,
    firmware: Option<Node<'static>>,
}

impl Devices {
    fn new(tree: &DeviceTree<'static>) -> Self {
        let [serial, interrupts, timer, date, firmware] = tree.devices([
            &["arm,pl011"],
            &["arm,gic-v3", "arm,cortex-a15-gic", "arm,gic-400"],
            &["arm,armv8-timer"],
            &["arm,pl031"],
            &["arm,psci-1.0", "arm,psci-0.2"],
        ]);
        Self {
            // The port that firmware talks on, else the first.
            console: tree.stdout().filter(|node| node.is_compatible("arm,pl011")).or(serial),
            interrupts: interrupts.expect("the device tree has a GICv2 or GICv3"),
            timer: timer.expect("the device tree has the CPUs' timer"),
            date,
            firmware,
        }
    }

    /// Those of them that have registers in memory.
    fn registers(&self) -> impl Iterator<Item = Range<usize>> {
        let nodes = [self.console, Some(self.interrupts), self.date];
        nodes.into_iter().flatten().flat_map(|node| node.regions().take(2))
    }
}

/// From the entry code, on the boot stack and with the boot tables: builds the kernel's own and changes to them.
/// `tree` and `image` are the physical addresses of the device tree and of the image.
extern "C" fn start(tree: usize, image: usize) -> ! {
    let tree_at = tree;
    // SAFETY: the loader's promise; the boot tables map the gigabyte that it lies in, and it is kept from the frame
    // allocator below.
    let tree = unsafe { DeviceTree::from_pointer(phys_to_virt(PhysAddr(tree))) };
    let tree = tree.expect("the loader gave a device tree");

    let mut map =
        MemoryMap { usable: tree.memory().collect(), reserved: tree.reserved().collect(), initrd: tree.initrd() };
    map.reserved.push(tree_at..tree_at + tree.used_bytes()).expect("room for one more reserved range");
    let free = free_after(image + memory::image_bytes(), &map);
    let mut frames = memory::EarlyFrames::new(free);
    let devices = Devices::new(&tree);
    memory::build(image, &map.usable, devices.registers(), &mut frames);
    map.reserved.push(image..frames.next()).expect("room for one more reserved range");

    let start = Start { tree, map, devices };
    // SAFETY: the tables map the image as the boot tables do, and CPU 0's stack; the boot stack, and with it `start`,
    // stays as it is.
    unsafe {
        entry::enter_kernel_tables(
            memory::KERNEL_ROOT.load(core::sync::atomic::Ordering::Relaxed),
            memory::SWITCH_TRAMPOLINE.load(core::sync::atomic::Ordering::Relaxed),
            memory::stack_top(0),
            start_with_own_tables,
            &raw const start as usize,
        )
    }
}

/// The memory from `at` to what lies next.
fn free_after(at: usize, map: &MemoryMap) -> Range<usize> {
    let ends = map.usable.iter().filter(|range| range.contains(&at)).map(|range| range.end);
    let starts = map.reserved.iter().chain(&map.initrd).map(|range| range.start).filter(|&start| start >= at);
    at..ends.chain(starts).min().unwrap_or(at)
}

/// The rest of the way to the kernel's main function. `start` is the address of a [`Start`] on the boot stack.
extern "C" fn start_with_own_tables(start: usize) -> ! {
    // SAFETY: see `start`, which never returns.
    let Start { tree, map, devices } = unsafe { &*(start as *const Start) };
    console::init(devices.console);
    power::init(devices.firmware);
    cpus::init(tree);
    timer::init(&devices.timer, devices.date);
    gic::init(&devices.interrupts);
    console::enable_interrupt(devices.console);
    random::init(tree);
    // SAFETY: once, on the only CPU; the map is the device tree's, less what is in use.
    unsafe { mem::init(map) };
    call_main(BootInfo {
        command_line: tree.command_line(),
        initrd: map.initrd.as_ref().map(|range| {
            // SAFETY: RAM that the loader filled and that is kept from the frame allocator.
            let bytes =
                unsafe { core::slice::from_raw_parts(phys_to_virt(PhysAddr(range.start)).cast_const(), range.len()) };
            Initrd::new(bytes, PhysAddr(range.start))
        }),
        memory_bytes: map.usable.iter().map(Range::len).sum(),
        machine: tree.machine(),
    })
}
