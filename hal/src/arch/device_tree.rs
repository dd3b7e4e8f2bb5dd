//! The flattened device tree that firmware hands over: memory, CPUs, the command line, devices by `compatible`.
//!
//! Owns nothing: every answer borrows the firmware's blob, and no heap is needed. What is malformed is left
//! out of an answer, as what is absent is; [`DeviceTree::new`] refuses a blob whose structure is damaged.
//! Devices are sought below the root and below buses that do not translate addresses (`simple-bus` with empty
//! `ranges`); a device behind a translating bus, or one whose `status` is not `okay`, is not found.

use core::ops::Range;
use dtoolkit::{
    Node as _, Property as _, ToCellInt as _,
    fdt::{Fdt, FdtNode},
    standard::{NodeStandard as _, Status},
};

/// A flattened device tree. To find a node is to walk over all before it, so those that are asked for again are kept.
#[derive(Clone, Copy)]
pub struct DeviceTree<'a> {
    fdt: Fdt<'a>,
    chosen: Option<Node<'a>>,
    cpus: Option<Node<'a>>,
    reserved_memory: Option<Node<'a>>,
}

/// The blob is not a device tree of a version that we read, or is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTree;

impl<'a> DeviceTree<'a> {
    /// Reads the blob that fills `bytes`.
    pub fn new(bytes: &'a [u8]) -> Result<Self, InvalidTree> {
        let fdt = Fdt::new(bytes).map_err(|_| InvalidTree)?;
        let mut tree = Self { fdt, chosen: None, cpus: None, reserved_memory: None };
        for node in fdt.root().children().map(Node) {
            match node.0.name() {
                "chosen" => tree.chosen = Some(node),
                "cpus" => tree.cpus = Some(node),
                "reserved-memory" => tree.reserved_memory = Some(node),
                _ => {}
            }
        }
        Ok(tree)
    }

    /// Reads the blob at `start`, whose header says how long it is.
    ///
    /// # Safety
    /// A device tree lies there, readable and unchanged for `'a`: 8 bytes at least, and when they begin with the
    /// magic number of a device tree, as many as they tell.
    pub unsafe fn from_pointer(start: *const u8) -> Result<Self, InvalidTree> {
        const MAGIC: u32 = 0xd00d_feed;
        // SAFETY: the caller vouches for the first 8 bytes.
        let [magic, total_bytes] = unsafe { start.cast::<[u32; 2]>().read_unaligned() }.map(u32::from_be);
        if magic != MAGIC {
            return Err(InvalidTree);
        }
        // SAFETY: the caller vouches for as many bytes as the header tells.
        Self::new(unsafe { core::slice::from_raw_parts(start, total_bytes as usize) })
    }

    /// Bytes from the start of the blob to the end of what it uses; the rest of it is padding.
    pub fn used_bytes(&self) -> usize {
        // The header is ten words, which `new` has found in order.
        let header = self.fdt.data().as_chunks().0;
        let word = |index: usize| u32::from_be_bytes(header[index]) as usize;
        let (structure, strings) = (word(2)..word(2) + word(9), word(3)..word(3) + word(8));
        structure.end.max(strings.end)
    }

    /// The machine's name: `model`, else what the root is compatible with.
    pub fn machine(&self) -> &'a str {
        let root = Node(self.fdt.root());
        root.string("model").or_else(|| root.string("compatible")).unwrap_or("unknown")
    }

    /// RAM, in bytes of the physical address space.
    pub fn memory(&self) -> impl Iterator<Item = Range<usize>> + use<'a> {
        let root = self.fdt.root();
        root.children()
            .map(Node)
            .filter(|node| node.string("device_type") == Some("memory") && node.is_okay())
            .flat_map(|node| node.regions())
    }

    /// Parts of RAM that firmware keeps: the reservations of the header, and of `/reserved-memory`. The blob itself
    /// is not among them.
    pub fn reserved(&self) -> impl Iterator<Item = Range<usize>> + use<'a> {
        let header = self.fdt.memory_reservations().filter_map(|r| range(r.address(), r.size()));
        let nodes = self.reserved_memory.into_iter().flat_map(|node| node.0.children().map(Node));
        header.chain(nodes.filter(Node::is_okay).flat_map(|node| node.regions()))
    }

    /// Where the loader put the initial RAM disk.
    pub fn initrd(&self) -> Option<Range<usize>> {
        let chosen = self.chosen?;
        let (start, end) = (chosen.integer("linux,initrd-start")?, chosen.integer("linux,initrd-end")?);
        (start < end).then_some(start as usize..end as usize)
    }

    /// The kernel command line; empty when there is none.
    pub fn command_line(&self) -> &'a str {
        self.chosen.and_then(|chosen| chosen.string("bootargs")).unwrap_or("")
    }

    /// Random bytes from the loader, for one use.
    pub fn rng_seed(&self) -> Option<&'a [u8]> {
        self.chosen?.bytes("rng-seed")
    }

    /// The device that firmware talks on (`/chosen/stdout-path`), when that is in use.
    pub fn stdout(&self) -> Option<Node<'a>> {
        let path = self.chosen?.string("stdout-path")?;
        // Behind a colon stand the line's parameters; what is no path is an alias of one.
        let name = path.split(':').next().unwrap_or(path);
        let path = if name.starts_with('/') { name } else { self.node("/aliases")?.string(name)? };
        self.node(path).filter(Node::is_okay)
    }

    /// The CPUs, in the tree's order, those that cannot be used left out: see [`Node::address`] for the hardware's
    /// number (hart id, MPIDR affinity), and [`Node::string`] for `enable-method`, `riscv,isa`.
    pub fn cpus(&self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        self.cpus
            .into_iter()
            .flat_map(|node| node.0.children().map(Node))
            // A CPU that is `disabled` is quiescent, and to be started by its enable-method: it counts.
            .filter(|node| {
                node.string("device_type") == Some("cpu")
                    && matches!(node.0.status(), Ok(Status::Okay | Status::Disabled))
            })
    }

    /// The node at `path`: `/cpus`, `/aliases`.
    pub fn node(&self, path: &str) -> Option<Node<'a>> {
        self.fdt.find_node(path).map(Node)
    }

    /// The first device in use that is compatible with one of `names`.
    pub fn device(&self, names: &[&str]) -> Option<Node<'a>> {
        let [device] = self.devices([names]);
        device
    }

    /// The same for several devices, in one walk through the tree.
    pub fn devices<const N: usize>(&self, wanted: [&[&str]; N]) -> [Option<Node<'a>>; N] {
        let mut found = [None; N];
        find(self.fdt.root(), &mut |node| {
            let names = node.bytes("compatible").unwrap_or_default();
            for name in names.split(|&byte| byte == 0) {
                let wanted = wanted.iter().position(|wanted| wanted.iter().any(|w| w.as_bytes() == name));
                if let Some(device) = wanted
                    && found[device].is_none()
                    && node.is_okay()
                {
                    found[device] = Some(*node);
                }
            }
            found.iter().all(Option::is_some)
        });
        found
    }

    /// The node that others refer to by `phandle`.
    pub fn by_phandle(&self, phandle: u32) -> Option<Node<'a>> {
        find(self.fdt.root(), &mut |node| node.cells("phandle").next() == Some(phandle))
    }
}

/// Looks among the children of `parent`, and below those that are buses without translation.
fn find<'a>(parent: FdtNode<'a>, wanted: &mut dyn FnMut(&Node<'a>) -> bool) -> Option<Node<'a>> {
    for node in parent.children().map(Node) {
        if wanted(&node) {
            return Some(node);
        }
        if node.bytes("ranges").is_some_and(<[u8]>::is_empty)
            && let Some(found) = find(node.0, wanted)
        {
            return Some(found);
        }
    }
    None
}

/// A device, a CPU, or another node of the tree.
#[derive(Clone, Copy)]
pub struct Node<'a>(FdtNode<'a>);

impl<'a> Node<'a> {
    /// Whether the node's `compatible` names `name`.
    pub fn is_compatible(&self, name: &str) -> bool {
        self.strings("compatible").any(|compatible| compatible == name)
    }

    /// The stretches of the parent's address space that the node answers to (`reg`).
    pub fn regions(&self) -> impl Iterator<Item = Range<usize>> + use<'a> {
        let regions = self.0.reg().ok().flatten();
        regions.into_iter().flatten().filter_map(|r| range(r.address.to_int().ok()?, r.size.to_int().ok()?))
    }

    /// The first address of the first of [`Self::regions`]; of a CPU, its hardware number.
    pub fn address(&self) -> Option<usize> {
        self.regions().next().map(|region| region.start)
    }

    /// The first text of the property `name`.
    pub fn string(&self, name: &str) -> Option<&'a str> {
        self.strings(name).next()
    }

    /// The property `name` as a row of texts; none when it is absent.
    pub fn strings(&self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        // Each ends in a zero byte, the last one as well.
        let bytes = self.bytes(name).and_then(|bytes| bytes.strip_suffix(&[0]));
        bytes.into_iter().flat_map(|bytes| bytes.split(|&byte| byte == 0)).filter_map(|text| str::from_utf8(text).ok())
    }

    /// The property `name` as a row of 32-bit numbers; none when it is absent.
    pub fn cells(&self, name: &str) -> impl Iterator<Item = u32> + use<'a> {
        let bytes = self.bytes(name).unwrap_or_default();
        bytes.as_chunks().0.iter().map(|cell| u32::from_be_bytes(*cell))
    }

    /// The property `name` as one number of 32 or 64 bits.
    pub fn integer(&self, name: &str) -> Option<u64> {
        let bytes = self.bytes(name)?;
        bytes
            .try_into()
            .map(u64::from_be_bytes)
            .or_else(|_| bytes.try_into().map(|b| u32::from_be_bytes(b).into()))
            .ok()
    }

    /// The first child that is compatible with `name`.
    pub fn child(&self, name: &str) -> Option<Node<'a>> {
        self.0.children().map(Node).find(|child| child.is_compatible(name))
    }

    fn bytes(&self, name: &str) -> Option<&'a [u8]> {
        self.0.property(name)?.value_as().ok()
    }

    fn is_okay(&self) -> bool {
        // Old trees say "ok".
        self.string("status").is_none_or(|status| status == "okay" || status == "ok")
    }
}

fn range(start: u64, bytes: u64) -> Option<Range<usize>> {
    Some(start.try_into().ok()?..start.checked_add(bytes)?.try_into().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    // What `qemu-system-riscv64 -M virt,dumpdtb=… -smp 2 -m 16M` and its aarch64 sister (with cortex-a72) wrote,
    // less the PCI, virtio and pmu nodes, plus what QEMU adds to /chosen when it loads a kernel, what firmware adds
    // to /reserved-memory, and the nodes that `secure=on` disables. The sources are next to them; `dtc -O dtb` makes
    // the blobs.
    const RISCV64: &[u8] = include_bytes!("fixtures/riscv64-virt.dtb");
    const AARCH64: &[u8] = include_bytes!("fixtures/aarch64-virt.dtb");

    fn tree(bytes: &[u8]) -> DeviceTree<'_> {
        DeviceTree::new(bytes).expect("the fixture is a device tree")
    }

    #[test]
    fn memory_and_what_is_reserved() {
        let riscv64 = tree(RISCV64);
        assert!(riscv64.memory().eq(core::iter::once(0x8000_0000..0x8100_0000)));
        assert_eq!(riscv64.reserved().collect::<Vec<_>>(), [0x8ff0_0000..0x8ff0_1000, 0x8000_0000..0x8004_0000]);
        let aarch64 = tree(AARCH64);
        assert!(aarch64.memory().eq(core::iter::once(0x4000_0000..0x4100_0000)));
        assert_eq!(aarch64.reserved().count(), 0);
    }

    #[test]
    fn what_the_loader_put_into_chosen() {
        let riscv64 = tree(RISCV64);
        assert_eq!(riscv64.command_line(), "init=/init quiet");
        assert_eq!(riscv64.initrd(), Some(0x80a0_0000..0x80a1_2345));
        assert_eq!(riscv64.rng_seed().map(<[u8]>::len), Some(32));
        let aarch64 = tree(AARCH64);
        assert_eq!(aarch64.command_line(), "");
        assert_eq!(aarch64.initrd(), None);
    }

    #[test]
    fn cpus_and_how_they_start() {
        let riscv64 = tree(RISCV64);
        let ids: Vec<_> = riscv64.cpus().map(|cpu| cpu.address()).collect();
        assert_eq!(ids, [Some(0), Some(1)]);
        assert_eq!(riscv64.node("/cpus").and_then(|n| n.integer("timebase-frequency")), Some(10_000_000));
        let cpu = riscv64.cpus().nth(1).expect("two CPUs");
        assert!(cpu.string("riscv,isa").is_some_and(|isa| isa.starts_with("rv64ima")));
        assert!(cpu.child("riscv,cpu-intc").is_some());

        let aarch64 = tree(AARCH64);
        let methods: Vec<_> = aarch64.cpus().map(|cpu| (cpu.address(), cpu.string("enable-method"))).collect();
        assert_eq!(methods, [(Some(0), Some("psci")), (Some(1), Some("psci"))]);
        let psci = aarch64.device(&["arm,psci-1.0", "arm,psci-0.2"]).expect("psci");
        assert_eq!(psci.string("method"), Some("hvc"));
        assert_eq!(psci.cells("cpu_on").next(), Some(0xc400_0003));
    }

    #[test]
    fn devices_by_what_they_are_compatible_with() {
        let riscv64 = tree(RISCV64);
        let uart = riscv64.device(&["ns16550a"]).expect("uart");
        assert!(uart.regions().eq(core::iter::once(0x1000_0000..0x1000_0100)));
        assert_eq!(uart.cells("interrupts").collect::<Vec<_>>(), [10]);
        assert_eq!(riscv64.stdout().and_then(|n| n.address()), Some(0x1000_0000));
        let plic = riscv64.device(&["riscv,plic0", "sifive,plic-1.0.0"]).expect("plic");
        assert_eq!(plic.cells("interrupts-extended").count(), 8);
        let owner = plic.cells("interrupts-extended").next().and_then(|phandle| riscv64.by_phandle(phandle));
        assert!(owner.is_none(), "the CPUs' own controllers lie below no bus");
        assert_eq!(riscv64.device(&["sifive,test0"]).and_then(|n| n.address()), Some(0x10_0000));
        assert_eq!(riscv64.device(&["google,goldfish-rtc"]).and_then(|n| n.address()), Some(0x10_1000));
        assert!(riscv64.device(&["arm,pl011"]).is_none());

        let aarch64 = tree(AARCH64);
        assert!(aarch64.device(&["arm,pl011"]).expect("uart").is_compatible("arm,primecell"));
        assert_eq!(aarch64.stdout().and_then(|n| n.address()), Some(0x900_0000));
        let gic = aarch64.device(&["arm,cortex-a15-gic"]).expect("gic");
        assert_eq!(gic.regions().collect::<Vec<_>>(), [0x800_0000..0x801_0000, 0x801_0000..0x802_0000]);
        assert_eq!(aarch64.device(&["arm,armv8-timer"]).map(|n| n.cells("interrupts").count()), Some(12));
    }

    #[test]
    fn a_device_that_is_switched_off_is_not_found() {
        // The secure UART of the fixture is `disabled`, and stands first.
        assert_eq!(tree(AARCH64).device(&["arm,pl011"]).and_then(|n| n.address()), Some(0x900_0000));
    }

    #[test]
    fn padding_is_not_used() {
        assert_eq!(tree(RISCV64).used_bytes(), RISCV64.len());
        let mut padded = RISCV64.to_vec();
        padded.extend_from_slice(&[0; 4096]);
        let total = u32::try_from(padded.len()).expect("small");
        padded[4..8].copy_from_slice(&total.to_be_bytes());
        assert_eq!(tree(&padded).used_bytes(), RISCV64.len());
    }

    #[test]
    fn damage_is_refused() {
        assert_eq!(DeviceTree::new(&[]).err(), Some(InvalidTree));
        assert_eq!(DeviceTree::new(&RISCV64[..RISCV64.len() / 2]).err(), Some(InvalidTree));
        let no_magic = [0u8; 64];
        // SAFETY: 64 readable bytes.
        assert_eq!(unsafe { DeviceTree::from_pointer(no_magic.as_ptr()) }.err(), Some(InvalidTree));
        // SAFETY: the fixture is as long as its header says.
        assert!(unsafe { DeviceTree::from_pointer(RISCV64.as_ptr()) }.is_ok());
    }

    #[test]
    fn no_flipped_byte_makes_it_panic() {
        for at in 0..RISCV64.len() {
            let mut damaged = RISCV64.to_vec();
            damaged[at] ^= 0xff;
            let Ok(tree) = DeviceTree::new(&damaged) else { continue };
            tree.memory().chain(tree.reserved()).for_each(drop);
            tree.cpus().for_each(|cpu| _ = cpu.address());
            let _ = (tree.initrd(), tree.command_line(), tree.rng_seed(), tree.machine(), tree.used_bytes());
            let _ = (tree.stdout().and_then(|n| n.address()), tree.device(&["riscv,plic0"]).map(|n| n.address()));
        }
    }
}
