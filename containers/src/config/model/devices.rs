//! `linux.devices` and `linux.resources.devices`.

use alloc::string::String;
use alloc::vec::Vec;
use bitflags::bitflags;

/// One of `linux.devices`: a node that is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Absolute path in the container.
    pub path: String,
    /// What it is.
    pub node: DeviceNode,
    /// Permission bits, at most 0o7777; 0o666 if not given.
    pub mode: u16,
    /// Its owner, in the container's user namespace.
    pub uid: u32,
    /// Its group, likewise.
    pub gid: u32,
}

impl Device {
    /// Permission bits if none are given.
    pub const MODE: u16 = 0o666;
}

/// What a device node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceNode {
    /// `c`, and `u`: a character device.
    Character {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// `b`: a block device.
    Block {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// `p`: a pipe with a name.
    Fifo,
}

/// One of `linux.resources.devices`. Of all rules that match an access the last decides; none forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRule {
    /// Whether it allows.
    pub allow: bool,
    /// Which devices.
    pub kind: DeviceRuleKind,
    /// Major number, `None` for each.
    pub major: Option<u32>,
    /// Minor number, `None` for each.
    pub minor: Option<u32>,
    /// What it says something about; never empty.
    pub access: DeviceAccess,
}

/// The devices of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceRuleKind {
    /// `a`: character and block devices.
    All,
    /// `c`
    Character,
    /// `b`
    Block,
}

bitflags! {
    /// What is done with a device.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct DeviceAccess: u8 {
        /// `r`: open for reading.
        const READ = 1;
        /// `w`: open for writing.
        const WRITE = 2;
        /// `m`: mknod(2).
        const MAKE = 4;
    }
}

impl DeviceRule {
    /// What every container may do, Docker's list: make any node, and use null, zero, full, random, urandom, tty,
    /// console, ptmx and the terminals of its devpts.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        let rule = |kind, major, minor, access| Self { allow: true, kind, major, minor, access };
        let make = |kind| rule(kind, None, None, DeviceAccess::MAKE);
        let use_ = |major, minor| rule(DeviceRuleKind::Character, Some(major), minor, DeviceAccess::all());
        [make(DeviceRuleKind::Character), make(DeviceRuleKind::Block)]
            .into_iter()
            .chain(DEFAULT_DEVICES.into_iter().map(|(major, minor)| use_(major, minor)))
            .collect()
    }
}

/// Major and minor numbers (Linux's Documentation/admin-guide/devices.txt).
const DEFAULT_DEVICES: [(u32, Option<u32>); 9] = [
    (1, Some(3)), // null
    (1, Some(5)), // zero
    (1, Some(7)), // full
    (1, Some(8)), // random
    (1, Some(9)), // urandom
    (5, Some(0)), // tty
    (5, Some(1)), // console
    (5, Some(2)), // ptmx
    (136, None),  // pts
];
