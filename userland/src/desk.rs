//! A desk: memory outside of what Rust knows, on which a probe lays out the structures of any call.

use core::ffi::CStr;

use crate::sys::{self, PAGE, RawArg, Region, Result};

/// Bytes of a desk.
const LENGTH: usize = 8 * PAGE;

/// Memory to lay structures on; offsets count in bytes.
#[derive(Debug)]
pub struct Desk(Region);

/// One argument of [`Desk::call`].
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a> {
    /// A number.
    N(i64),
    /// A string.
    T(&'a CStr),
    /// The address of a byte of the desk.
    At(usize),
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

impl Desk {
    /// An empty one.
    pub fn new() -> Self {
        Self(Region::anonymous(LENGTH).expect("memory"))
    }

    /// Makes a call.
    pub fn call(&self, number: u32, args: &[Arg<'_>]) -> Result<usize> {
        let mut all = [RawArg::Number(0); 6];
        for (slot, arg) in all.iter_mut().zip(args) {
            *slot = match *arg {
                Arg::N(number) => RawArg::Number(number),
                Arg::T(text) => RawArg::Text(text),
                Arg::At(offset) => RawArg::Region(&self.0, offset),
            };
        }
        sys::raw_call(number, &all)
    }

    /// The address of a byte, to lay it down elsewhere.
    pub fn address(&self, at: usize) -> u64 {
        self.0.address(at) as u64
    }

    /// Lays down bytes.
    pub fn put(&self, at: usize, bytes: &[u8]) {
        self.0.fill(at, bytes);
    }

    /// Lays down 32-bit numbers.
    pub fn ints(&self, at: usize, values: &[i32]) {
        for (index, value) in values.iter().enumerate() {
            self.put(at + index * 4, &value.to_ne_bytes());
        }
    }

    /// Lays down 64-bit numbers.
    pub fn words(&self, at: usize, values: &[u64]) {
        for (index, value) in values.iter().enumerate() {
            self.put(at + index * 8, &value.to_ne_bytes());
        }
    }

    /// Bytes that lie there.
    pub fn get<const N: usize>(&self, at: usize) -> [u8; N] {
        core::array::from_fn(|index| self.0.get(at + index))
    }

    /// A 16-bit number that lies there.
    pub fn short(&self, at: usize) -> u16 {
        u16::from_ne_bytes(self.get(at))
    }

    /// A 32-bit number that lies there.
    pub fn int(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.get(at))
    }

    /// A 64-bit number that lies there.
    pub fn word(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.get(at))
    }
}
