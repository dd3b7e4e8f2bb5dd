//! From the entry code to the kernel's main function: first on the boot tables, then on the kernel's own.

use super::{
    DIRECT_MAP_BYTES, IMAGE, clock, console, context, cpu,
    entry::{self, Image},
    kernel_map::{self, EarlyPages},
    paging, phys_to_virt, plic, power, random,
};
use crate::{
    BootInfo, PhysAddr,
    arch::device_tree::{DeviceTree, Node},
    boot_info::{Initrd, MemoryMap},
    sync::Once,
};
use core::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

/// Physical address of the image's first byte.
static IMAGE_START: AtomicUsize = AtomicUsize::new(0);
/// What the first half has found out for the second.
static FOUND: Once<Found> = Once::new();

struct Found {
    tree: DeviceTree<'static>,
    boot_cpu: Node<'static>,
    devices: Devices,
    map: MemoryMap,
}

/// The physical address of a part of the image.
pub(super) fn image_address(virt: usize) -> PhysAddr {
    PhysAddr(virt - IMAGE + IMAGE_START.load(Ordering::Relaxed))
}

/// The harts that can be used, in the device tree's order.
pub(super) fn harts() -> impl Iterator<Item = usize> {
    FOUND.get().into_iter().flat_map(|found| found.tree.cpus().filter_map(|node| hart_of(&node)))
}

/// The hart that a CPU's node describes, when it has what this kernel is compiled for and an Sv39 MMU.
pub(super) fn hart_of(node: &Node<'_>) -> Option<usize> {
    let isa = Isa(node.string("riscv,isa").unwrap_or(""));
    let has_base = ["i", "m", "a", "c"].iter().all(|name| isa.has(name));
    let has_mmu = node.string("mmu-type").is_some_and(|mmu| mmu != "riscv,none" && mmu != "riscv,sv32");
    if has_base && has_mmu { node.address() } else { None }
}

/// The extensions of a CPU, in the form of the device tree: `rv64imafdc_zicsr_sstc`.
struct Isa<'a>(&'a str);

impl Isa<'_> {
    fn has(&self, extension: &str) -> bool {
        let Some(names) = self.0.strip_prefix("rv64") else { return false };
        let mut names = names.split('_');
        let letters = names.next().unwrap_or("");
        if extension.len() > 1 {
            return names.any(|name| name == extension);
        }
        // "g" stands for several.
        letters.contains(extension) || (letters.contains('g') && "imafd".contains(extension))
    }
}

/// First half: on the boot tables and the boot stack, with all physical memory writable. Reads the device tree,
/// builds the kernel's tables, and goes over to them.
pub(super) extern "C" fn boot_main(boot_hart: usize, tree_start: usize, image_start: usize) -> ! {
    IMAGE_START.store(image_start, Ordering::Relaxed);
    cpu::current().set_stack(entry::boot_stack_range());
    cpu::current().hart.store(boot_hart, Ordering::Relaxed);
    assert!(image_start.is_multiple_of(2 << 20), "the image must be loaded on a boundary of 2 MiB");
    let image = Image::at(PhysAddr(image_start));
    let blob = phys_to_virt(PhysAddr(tree_start));
    // SAFETY: the firmware promises a device tree there; it is reserved below, so it stays as it is.
    let tree = unsafe { DeviceTree::from_pointer(blob) }.expect("the firmware hands over a device tree");
    let devices = Devices::find(&tree);
    console::init(devices.serial);
    power::init(devices.test);
    let boot_cpu = tree.cpus().find(|cpu| cpu.address() == Some(boot_hart)).expect("the device tree has this hart");

    let mut map = memory_map(&tree, image.text.start..image.boot_end, tree_start..tree_start + tree.used_bytes());
    let room = map.free_ranges().find(|range| range.len() >= EarlyPages::ROOM).expect("room for page tables");
    let mut pages = EarlyPages::new(room);
    // Of what the firmware keeps, only what it handed over is to be seen.
    let handed_over = [Some(map.reserved[BLOB_RANGE].clone()), tree.initrd()];
    let mut hidden = firmware_ranges(&tree);
    hidden.retain(|range| !handed_over.iter().flatten().any(|r| r.start < range.end && range.start < r.end));
    let stack = kernel_map::build(&image, &map, &hidden, devices.registers(), &mut pages);
    // The boot tables and the boot stack are free from the second half on.
    map.reserved[IMAGE_RANGE].end = image.data.end;
    map.reserved.push(pages.used()).expect("few enough ranges are reserved");
    FOUND.call_once(|| Found { tree, boot_cpu, devices, map });
    cpu::current().set_stack(stack.clone());
    // SAFETY: the tables were built for this, and the stack with them.
    unsafe { entry::enter_kernel_map(paging::satp(kernel_map::root()), stack.end, kernel_map_main) }
}

/// Which of [`MemoryMap::reserved`] is the image, and which the device tree.
const IMAGE_RANGE: usize = 0;
const BLOB_RANGE: usize = 1;

/// RAM as far as the direct map reaches, and what is taken of it.
fn memory_map(tree: &DeviceTree<'_>, image: Range<usize>, blob: Range<usize>) -> MemoryMap {
    let usable = tree.memory().map(|range| range.start..range.end.min(DIRECT_MAP_BYTES));
    let usable = heapless::Vec::from_iter(usable.filter(|range| !range.is_empty()).take(32));
    let mut map = MemoryMap { usable, reserved: heapless::Vec::new(), initrd: tree.initrd() };
    for range in [image, blob].into_iter().chain(firmware_ranges(tree)) {
        map.reserved.push(range).expect("few enough ranges are reserved");
    }
    map
}

/// What the firmware keeps for itself.
fn firmware_ranges(tree: &DeviceTree<'_>) -> heapless::Vec<Range<usize>, 16> {
    let mut ranges = heapless::Vec::new();
    for range in tree.reserved().filter(|range| !range.is_empty()) {
        ranges.push(range).expect("the firmware reserves at most 16 ranges");
    }
    ranges
}

/// The devices that the kernel itself uses.
struct Devices {
    serial: Option<Node<'static>>,
    test: Option<Node<'static>>,
    clock: Option<Node<'static>>,
    plic: Option<Node<'static>>,
}

impl Devices {
    fn find(tree: &DeviceTree<'static>) -> Self {
        const SERIAL: [&str; 2] = ["ns16550a", "ns16550"];
        let [serial, test, clock, plic] = tree.devices([
            &SERIAL,
            &["sifive,test0", "sifive,test1"],
            &["google,goldfish-rtc"],
            &["riscv,plic0", "sifive,plic-1.0.0"],
        ]);
        // The port that the firmware talks on, when it is of this kind.
        let stdout = tree.stdout().filter(|node| SERIAL.iter().any(|name| node.is_compatible(name)));
        Self { serial: stdout.or(serial), test, clock, plic }
    }

    /// Where their registers lie.
    fn registers(&self) -> impl Iterator<Item = Range<usize>> {
        [self.serial, self.test, self.clock, self.plic].into_iter().flatten().flat_map(|node| node.regions())
    }
}

/// The lines of Linux's /proc/cpuinfo that a program looks for: what the device tree says of the CPU that booted.
pub(crate) fn describe_cpu(to: &mut dyn core::fmt::Write) -> core::fmt::Result {
    let isa = FOUND.get().and_then(|found| found.boot_cpu.string("riscv,isa")).unwrap_or("");
    writeln!(to, "isa\t\t: {isa}\nmmu\t\t: sv39")
}

/// The extensions by their letters: those of the profile that all programs here are built for.
pub(crate) fn hardware_capabilities() -> [usize; 2] {
    [b"imafdc".iter().map(|letter| 1usize << (letter - b'a')).sum(), 0]
}

/// Second half: on the kernel's tables and CPU 0's stack.
extern "C" fn kernel_map_main() -> ! {
    let Found { tree, boot_cpu, devices, map } = FOUND.get().expect("the first half has run");
    // SAFETY: once, on the one CPU that runs. The device tree says what is RAM; what firmware, image, tree, tables
    // and stack occupy is reserved, and the boot tables and the boot stack have been left for good.
    unsafe { crate::mem::init(map) };

    let isa = Isa(boot_cpu.string("riscv,isa").unwrap_or(""));
    let ticks_per_second = tree.node("/cpus").and_then(|cpus| cpus.integer("timebase-frequency"));
    clock::init(ticks_per_second.expect("the device tree tells the timebase"), isa.has("sstc"), devices.clock);
    context::init(isa.has("d"));
    cpu::init();
    if let Some(plic) = devices.plic {
        plic::init(&plic, boot_cpu);
    }
    if let Some(seed) = tree.rng_seed() {
        random::init(seed);
    }
    let initrd = map.initrd.clone().map(|range| {
        // SAFETY: the loader put it there, and `mem` keeps it for good.
        let bytes = unsafe { core::slice::from_raw_parts(phys_to_virt(PhysAddr(range.start)), range.len()) };
        Initrd::new(bytes, PhysAddr(range.start))
    });
    crate::arch::call_main(BootInfo {
        command_line: tree.command_line(),
        initrd,
        memory_bytes: map.usable.iter().map(Range::len).sum(),
        machine: tree.machine(),
    })
}
