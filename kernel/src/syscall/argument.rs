//! The arguments of a call: what a register is read as, and how a trace shows it.

use crate::mm::AddressSpace;
use alloc::string::String;
use core::fmt::Write;
use veridian_hal::UserAddr;

/// The arguments of a call, taken one after the other.
pub(super) struct Arguments {
    words: [usize; 6],
    taken: usize,
}

impl Arguments {
    pub(super) fn new(words: [usize; 6]) -> Self {
        Self { words, taken: 0 }
    }

    pub(super) fn next<T: Argument>(&mut self) -> T::Value {
        let word = self.words[self.taken];
        self.taken += 1;
        T::from_word(word)
    }
}

/// See [`Argument::show`].
pub(super) type Show = fn(usize, &AddressSpace, &mut String);

/// What an argument register is read as. Linux looks at the low half of the register for a 32-bit one.
pub(super) trait Argument {
    /// What the handler gets.
    type Value;

    fn from_word(word: usize) -> Self::Value;

    /// As a trace shows it; strings are read from `space`.
    fn show(word: usize, space: &AddressSpace, to: &mut String);
}

macro_rules! numbers {
    ($($kind:ty),*) => {
        $(impl Argument for $kind {
            type Value = Self;

            fn from_word(word: usize) -> Self {
                word as Self
            }

            fn show(word: usize, _: &AddressSpace, to: &mut String) {
                // What is large and positive is a set of flags more often than a number.
                let value = word as Self;
                let _ = if value > 9999 { write!(to, "{value:#x}") } else { write!(to, "{value}") };
            }
        })*
    };
}

numbers!(usize, isize, u32, i32, u64, i64);

impl Argument for UserAddr {
    type Value = Self;

    fn from_word(word: usize) -> Self {
        Self(word)
    }

    fn show(word: usize, _: &AddressSpace, to: &mut String) {
        let _ = if word == 0 { to.write_str("NULL") } else { write!(to, "{word:#x}") };
    }
}

/// A path, or another string: where it lies.
pub(super) struct Text;

/// Bytes of a string that a trace shows.
const SHOWN_MAX: usize = 80;

impl Argument for Text {
    type Value = UserAddr;

    fn from_word(word: usize) -> UserAddr {
        UserAddr(word)
    }

    fn show(word: usize, space: &AddressSpace, to: &mut String) {
        match space.read_c_string(UserAddr(word), 4096) {
            Ok(text) => {
                let cut = &text[..text.len().min(SHOWN_MAX)];
                let rest = if cut.len() < text.len() { "..." } else { "" };
                let _ = write!(to, "{:?}{rest}", String::from_utf8_lossy(cut));
            }
            Err(_) => UserAddr::show(word, space, to),
        }
    }
}
