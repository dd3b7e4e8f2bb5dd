//! A terminal's settings: `struct termios` of the kernel (asm-generic/termbits.h), the same on every architecture.

use linux_raw_sys::general as linux;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The settings, as TCGETS and TCSETS move them. Bits without a meaning here are kept and told, as Linux does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Termios {
    /// `c_iflag`
    pub input: u32,
    /// `c_oflag`
    pub output: u32,
    /// `c_cflag`
    pub control: u32,
    /// `c_lflag`
    pub local: u32,
    /// `c_line`
    pub line: u8,
    /// `c_cc`
    pub characters: [u8; 19],
}

impl Termios {
    /// Whether `c_lflag` has `flag`.
    pub const fn local(&self, flag: u32) -> bool {
        self.local & flag != 0
    }

    /// Whether `c_iflag` has `flag`.
    pub const fn input(&self, flag: u32) -> bool {
        self.input & flag != 0
    }

    /// Whether output is processed and `c_oflag` has `flag`.
    pub const fn output(&self, flag: u32) -> bool {
        self.output & linux::OPOST != 0 && self.output & flag != 0
    }

    /// Whether input comes by lines.
    pub const fn is_canonical(&self) -> bool {
        self.local(linux::ICANON)
    }

    /// Whether ^S and ^Q stop output and have it go on.
    pub const fn has_usual_flow(&self) -> bool {
        self.input(linux::IXON) && self.is(0x13, linux::VSTOP) && self.is(0x11, linux::VSTART)
    }

    /// The special character at `index` of `c_cc`.
    pub const fn character(&self, index: u32) -> u8 {
        self.characters[index as usize]
    }

    /// Whether `byte` is the special character at `index`; NUL there switches it off (_POSIX_VDISABLE).
    pub const fn is(&self, byte: u8, index: u32) -> bool {
        byte != 0 && self.character(index) == byte
    }
}

impl Default for Termios {
    /// Linux's `tty_std_termios`.
    fn default() -> Self {
        let mut characters = [0; 19];
        for (index, byte) in [
            (linux::VINTR, 3),
            (linux::VQUIT, 28),
            (linux::VERASE, 127),
            (linux::VKILL, 21),
            (linux::VEOF, 4),
            (linux::VMIN, 1),
            (linux::VSTART, 17),
            (linux::VSTOP, 19),
            (linux::VSUSP, 26),
            (linux::VREPRINT, 18),
            (linux::VDISCARD, 15),
            (linux::VWERASE, 23),
            (linux::VLNEXT, 22),
        ] {
            characters[index as usize] = byte;
        }
        Self {
            input: linux::ICRNL | linux::IXON,
            output: linux::OPOST | linux::ONLCR,
            control: linux::B38400 | linux::CS8 | linux::CREAD | linux::HUPCL,
            local: linux::ISIG
                | linux::ICANON
                | linux::ECHO
                | linux::ECHOE
                | linux::ECHOK
                | linux::ECHOCTL
                | linux::ECHOKE
                | linux::IEXTEN,
            line: 0,
            characters,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn the_layout_is_linux_s() {
        assert_eq!(size_of::<Termios>(), size_of::<linux::termios>());
        assert_eq!(offset_of!(Termios, local), offset_of!(linux::termios, c_lflag));
        assert_eq!(offset_of!(Termios, characters), offset_of!(linux::termios, c_cc));
    }
}
