//! Writes a program from its end to its beginning: every jump leads forward, so where it goes is known when it is
//! written.

use alloc::vec::Vec;

use super::bpf::{self, Instruction};

/// A place in the program that is written already: how many instructions there are from it to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A program in the making.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    /// The last instruction first.
    reversed: Vec<Instruction>,
    /// The newest return of each value.
    returns: Vec<(u32, Label)>,
}

/// The farthest that a conditional jump reaches, less the two jumps that may have to be put behind it.
const NEAR: usize = u8::MAX as usize - 2;

impl Assembler {
    /// The program.
    pub(super) fn finish(mut self) -> Vec<Instruction> {
        self.reversed.reverse();
        self.reversed
    }

    /// A place that returns `value`, near enough for a conditional jump.
    pub(super) fn returns(&mut self, value: u32) -> Label {
        let known = self.returns.iter().position(|&(known, _)| known == value);
        match known {
            Some(index) if self.is_near(self.returns[index].1) => self.returns[index].1,
            _ => {
                let label = self.put(bpf::RETURN, 0, 0, value);
                match known {
                    Some(index) => self.returns[index].1 = label,
                    None => self.returns.push((value, label)),
                }
                label
            }
        }
    }

    /// Loads a word of the data, then goes on.
    pub(super) fn load(&mut self, offset: u32, then: Label) -> Label {
        self.fall_to(then);
        self.put(bpf::LOAD, 0, 0, offset)
    }

    /// Masks the word that is loaded, then goes on.
    pub(super) fn and(&mut self, mask: u32, then: Label) -> Label {
        self.fall_to(then);
        self.put(bpf::AND, 0, 0, mask)
    }

    /// Goes to one place if the test holds, else to the other.
    pub(super) fn branch(&mut self, test: u16, operand: u32, then: Label, otherwise: Label) -> Label {
        let then = self.brought_near(then);
        let otherwise = self.brought_near(otherwise);
        let skipped = |label: Label| u8::try_from(self.reversed.len() - label.0).unwrap_or(u8::MAX);
        let (then, otherwise) = (skipped(then), skipped(otherwise));
        self.put(test, then, otherwise, operand)
    }

    fn is_near(&self, label: Label) -> bool {
        self.reversed.len() - label.0 <= NEAR
    }

    /// The label, or a jump to it.
    fn brought_near(&mut self, label: Label) -> Label {
        if self.is_near(label) {
            return label;
        }
        self.fall_to(label);
        Label(self.reversed.len())
    }

    /// Makes what is written next lead to the label when it does not jump.
    fn fall_to(&mut self, label: Label) {
        if label.0 != self.reversed.len() {
            let skipped = self.reversed.len() - label.0;
            self.put(bpf::JUMP, 0, 0, skipped as u32);
        }
    }

    fn put(&mut self, code: u16, jump_true: u8, jump_false: u8, operand: u32) -> Label {
        self.reversed.push(Instruction { code, jump_true, jump_false, operand });
        Label(self.reversed.len())
    }
}
