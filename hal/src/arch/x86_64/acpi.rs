//! What the firmware's ACPI tables say: which CPUs there are, where the I/O interrupt controller is and which of its
//! inputs is COM1's, and how the machine is switched off.

use super::{
    instructions::{inl, outl, outw},
    kernel_space::{firmware_bytes, map_device},
};
use crate::{cpu::MAX_CPUS, sync::Once};

/// The tables' news.
#[derive(Default)]
pub(super) struct Platform {
    /// Interrupt-controller numbers of the CPUs that can be started, as far as there is room.
    pub cpus: heapless::Vec<u32, MAX_CPUS>,
    /// CPUs beyond those.
    pub cpus_left_out: usize,
    /// The I/O interrupt controller that serves the ISA interrupts: its address and first input.
    pub io_apic: Option<(usize, u32)>,
    /// The global interrupt of COM1, and whether it is active low and level-triggered.
    pub com1: (u32, bool, bool),
    /// The port that switches off a PC.
    pm1a_control: Option<u16>,
    /// The register that switches off a machine with reduced hardware: whether it is a port, and its address.
    sleep_control: Option<(bool, usize)>,
}

static PLATFORM: Once<Platform> = Once::new();

/// ISA interrupt of COM1.
const COM1_IRQ: u8 = 4;

/// Reads the tables. `rsdp_at` is where the loader found their root; 0 when it did not.
pub(super) fn read(rsdp_at: usize) -> &'static Platform {
    PLATFORM.call_once(|| {
        let mut platform = Platform { com1: (COM1_IRQ.into(), false, false), ..Platform::default() };
        match root_table(rsdp_at) {
            Some((table, wide)) => {
                let width = if wide { 8 } else { 4 };
                for entry in table[36..].chunks_exact(width) {
                    let at = entry.iter().rev().fold(0, |value, &byte| value << 8 | usize::from(byte));
                    let Some(bytes) = checked_table(at) else { continue };
                    match &bytes[..4] {
                        b"APIC" => read_madt(bytes, &mut platform),
                        b"FACP" => read_fadt(bytes, &mut platform),
                        _ => {}
                    }
                }
            }
            None => log::warn!("no ACPI tables: one CPU, no console interrupt"),
        }
        platform
    })
}

/// The RSDT or XSDT, and whether its entries have 64 bits.
fn root_table(rsdp_at: usize) -> Option<(&'static [u8], bool)> {
    let rsdp = if rsdp_at != 0 { rsdp(firmware_bytes(rsdp_at, 36)?) } else { search_rsdp() }?;
    let xsdt = u64_at(rsdp, 24)? as usize;
    if rsdp[15] >= 2 && xsdt != 0 {
        return Some((checked_table(xsdt)?, true));
    }
    Some((checked_table(u32_at(rsdp, 16)? as usize)?, false))
}

/// The structure, if it is one: signature and checksum of its first version.
fn rsdp(bytes: &[u8]) -> Option<&[u8]> {
    (bytes.starts_with(b"RSD PTR ") && sum(&bytes[..20]) == 0).then_some(bytes)
}

/// Where a PC's BIOS leaves it: the first KiB of the extended BIOS data area, or the BIOS's own memory.
fn search_rsdp() -> Option<&'static [u8]> {
    let segment = u16_at(firmware_bytes(0x40e, 2)?, 0)?;
    let extended = usize::from(segment) << 4;
    [(extended, 1024), (0xe_0000, 0x2_0000)].into_iter().filter(|&(start, _)| start >= 0x400).find_map(
        |(start, length)| {
            let area = firmware_bytes(start, length)?;
            area.windows(36).step_by(16).find_map(rsdp)
        },
    )
}

/// The whole table at `at`, if its checksum is right.
fn checked_table(at: usize) -> Option<&'static [u8]> {
    let length = u32_at(firmware_bytes(at, 36)?, 4)? as usize;
    if !(36..1 << 20).contains(&length) {
        return None;
    }
    firmware_bytes(at, length).filter(|bytes| sum(bytes) == 0)
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, &byte| sum.wrapping_add(byte))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The table of interrupt controllers: CPUs, I/O controllers, ISA interrupts that are wired otherwise.
fn read_madt(bytes: &[u8], platform: &mut Platform) {
    let mut rest = &bytes[44.min(bytes.len())..];
    while let &[kind, length, ..] = rest {
        let length = usize::from(length);
        if length < 2 || length > rest.len() {
            log::warn!("the ACPI table of interrupt controllers is damaged");
            return;
        }
        // A record too short for its kind is passed over.
        let _ = read_madt_record(kind, &rest[..length], platform);
        rest = &rest[length..];
    }
}

fn read_madt_record(kind: u8, record: &[u8], platform: &mut Platform) -> Option<()> {
    const ENABLED: u32 = 1;
    match kind {
        0 if u32_at(record, 4)? & ENABLED != 0 => platform.add_cpu(record[3].into()),
        9 if u32_at(record, 8)? & ENABLED != 0 => platform.add_cpu(u32_at(record, 4)?),
        1 => {
            let first_input = u32_at(record, 8)?;
            if platform.io_apic.is_none() || first_input == 0 {
                platform.io_apic = Some((u32_at(record, 4)? as usize, first_input));
            }
        }
        2 if record[3] == COM1_IRQ => {
            let flags = u16_at(record, 8)?;
            platform.com1 = (u32_at(record, 4)?, flags & 3 == 3, flags >> 2 & 3 == 3);
        }
        _ => {}
    }
    Some(())
}

/// The fixed description: how to switch off.
fn read_fadt(bytes: &[u8], platform: &mut Platform) {
    const HARDWARE_REDUCED: u32 = 1 << 20;
    let flags = u32_at(bytes, 112).unwrap_or(0);
    if flags & HARDWARE_REDUCED != 0 {
        if let (Some(&space), Some(address)) = (bytes.get(244), u64_at(bytes, 248))
            && address != 0
        {
            platform.sleep_control = Some((space == 1, address as usize));
        }
    } else {
        platform.pm1a_control = u32_at(bytes, 64).filter(|&port| port != 0).map(|port| port as u16);
    }
}

impl Platform {
    fn add_cpu(&mut self, apic_id: u32) {
        if self.cpus.push(apic_id).is_err() {
            self.cpus_left_out += 1;
        }
    }
}

/// Switches the machine off, where its tables say how. The sleep type is QEMU's: finding that of another machine takes
/// an interpreter of ACPI's byte code.
pub(super) fn switch_off() {
    let Some(platform) = PLATFORM.get() else { return };
    if let Some(port) = platform.pm1a_control {
        // SAFETY: the port that the firmware names for this; sleep type 0 and the enable bit.
        unsafe { outw(port, 1 << 13) };
    }
    const SLEEP_TYPE_5_ENABLE: u8 = 5 << 2 | 1 << 5;
    match platform.sleep_control {
        // SAFETY: as above.
        Some((true, port)) => unsafe { super::instructions::outb(port as u16, SLEEP_TYPE_5_ENABLE) },
        Some((false, address)) => {
            if let Ok(register) = map_device(address, 1) {
                // SAFETY: the register that the firmware names for this, mapped just now.
                unsafe { register.write_volatile(SLEEP_TYPE_5_ENABLE) };
            }
        }
        None => {}
    }
}

/// The machine's name, by the bridge that its PCI bus begins with.
pub(super) fn machine_name(platform: &Platform) -> &'static str {
    const ADDRESS: u16 = 0xcf8;
    const DATA: u16 = 0xcfc;
    // SAFETY: reads the identity of device 0 on bus 0; without PCI nobody listens at the ports.
    let bridge = unsafe {
        outl(ADDRESS, 1 << 31);
        inl(DATA)
    };
    match bridge {
        0x29c0_8086 => "q35",
        0x1237_8086 => "pc",
        _ if platform.sleep_control.is_some() => "microvm",
        _ => "x86_64",
    }
}
