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
    boot_hart: usize,
    /// Physical memory that is taken for good.
    reserved: heapless::Vec<Range<usize>, 24>,
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
    assert!(image_start % (2 << 20) == 0, "the image must be loaded on a boundary of 2 MiB");
    let image = Image::at(PhysAddr(image_start));
    let blob = phys_to_virt(PhysAddr(tree_start));
    // SAFETY: the firmware promises a device tree there; it is reserved below, so it stays as it is.
    let tree = unsafe { DeviceTree::from_pointer(blob) }.expect("the firmware hands over a device tree");
    console::init(&tree);
    power::init(&tree);

    let firmware: heapless::Vec<Range<usize>, 12> =
        heapless::Vec::from_iter(tree.reserved().filter(|range| !range.is_empty()).take(12));
    let mut taken: heapless::Vec<Range<usize>, 16> = heapless::Vec::from_iter(firmware.iter().cloned());
    let [whole_image, blob] = [image.text.start..image.boot_end, tree_start..tree_start + tree.used_bytes()];
    taken.extend([whole_image, blob.clone()].into_iter().chain(tree.initrd()));
    // What the kernel uses itself stays visible, whatever the firmware says.
    let used = |range: &Range<usize>| {
        core::iter::once(&blob).chain(tree.initrd().as_ref()).any(|u| u.start < range.end && range.start < u.end)
    };
    let hidden: heapless::Vec<Range<usize>, 12> =
        heapless::Vec::from_iter(firmware.iter().filter(|range| !used(range)).cloned());
    let mut pages = EarlyPages::new(PhysAddr(image.boot_end), &taken);
    let stack = kernel_map::build(&image, tree.memory(), &hidden, devices(&tree), &mut pages);
    let in_memory = tree.memory().any(|range| range.start <= pages.used().start && pages.used().end <= range.end);
    assert!(in_memory, "no room for the kernel's page tables");

    let used = [image.text.start..image.data.end, blob.clone(), pages.used()];
    let reserved = heapless::Vec::from_iter(firmware.iter().cloned().chain(used));
    FOUND.call_once(|| Found { tree, boot_hart, reserved });
    cpu::current().set_stack(stack.clone());
    // SAFETY: the tables were built for this, and the stack with them.
    unsafe { entry::enter_kernel_map(paging::satp(kernel_map::root()), stack.end, kernel_map_main) }
}

/// The devices whose registers the kernel reaches.
fn devices<'a>(tree: &DeviceTree<'a>) -> impl Iterator<Item = Range<usize>> + use<'a> {
    let names: [&[&str]; 3] = [&["ns16550a", "ns16550"], &["sifive,test0", "sifive,test1"], &["google,goldfish-rtc"]];
    let tree = *tree;
    let named = names.into_iter().filter_map(move |names| tree.device(names));
    named.chain(tree.stdout()).chain(plic::find(&tree)).flat_map(|node| node.regions())
}

/// Second half: on the kernel's tables and CPU 0's stack.
extern "C" fn kernel_map_main() -> ! {
    let Found { tree, boot_hart, reserved } = FOUND.get().expect("the first half has run");
    let mut usable: heapless::Vec<Range<usize>, 32> = heapless::Vec::new();
    let mut memory_bytes = 0;
    for range in tree.memory() {
        let range = range.start..range.end.min(DIRECT_MAP_BYTES);
        memory_bytes += range.len();
        usable.push(range).expect("memory in 32 ranges at most");
    }
    let initrd = tree.initrd();
    let map = MemoryMap { usable, reserved: reserved.clone(), initrd: initrd.clone() };
    // SAFETY: once, on the one CPU that runs. The device tree says what is RAM; what firmware, image, tree, tables
    // and stack occupy is reserved, and the boot tables and the boot stack have been left for good.
    unsafe { crate::mem::init(&map) };

    let boot_node = tree.cpus().find(|node| node.address() == Some(*boot_hart));
    let isa = Isa(boot_node.and_then(|node| node.string("riscv,isa")).unwrap_or(""));
    clock::init(tree, isa.has("sstc"));
    context::init(isa.has("d"));
    cpu::init(*boot_hart);
    plic::init(tree, *boot_hart);
    if let Some(seed) = tree.rng_seed() {
        random::init(seed);
    }
    let initrd = initrd.map(|range| {
        // SAFETY: the loader put it there, and `mem` keeps it for good.
        let bytes = unsafe { core::slice::from_raw_parts(phys_to_virt(PhysAddr(range.start)), range.len()) };
        Initrd::new(bytes, PhysAddr(range.start))
    });
    let machine = tree.machine();
    crate::arch::call_main(BootInfo { command_line: tree.command_line(), initrd, memory_bytes, machine })
}
