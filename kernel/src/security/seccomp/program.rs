//! Filter programs: classic BPF over `struct seccomp_data`, checked once and then run without further checks.

use alloc::boxed::Box;
use linux_raw_sys::ptrace as linux;
use veridian_containers::{
    abi::Errno,
    seccomp::bpf::{DATA_WORDS, INSTRUCTIONS_MAX, Instruction, verdict},
};

/// Words of scratch memory that a program has (`BPF_MEMWORDS`).
const MEMORY_WORDS: usize = linux::BPF_MEMWORDS as usize;
/// Bytes of `struct seccomp_data`.
const DATA_BYTES: u32 = 4 * DATA_WORDS as u32;

/// `struct seccomp_data` as words, what a program looks at.
pub type Data = [u32; DATA_WORDS];

/// A program that was checked: it ends, at a return, and touches nothing but the data and its own words.
#[derive(Debug)]
pub struct Program(Box<[Op]>);

/// An instruction as it is run. `A` and `X` are the two registers.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// A = a word of the data.
    LoadData(u8),
    LoadA(u32),
    LoadX(u32),
    LoadAMemory(u8),
    LoadXMemory(u8),
    StoreA(u8),
    StoreX(u8),
    CopyAToX,
    CopyXToA,
    Negate,
    /// A = A op the operand.
    Compute(Alu, u32),
    /// A = A op X.
    ComputeX(Alu),
    Jump(u16),
    Branch(Test, u8, u8, u32),
    BranchX(Test, u8, u8),
    Return(u32),
    ReturnA,
}

#[derive(Clone, Copy, Debug)]
enum Alu {
    Add,
    Subtract,
    Multiply,
    Divide,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
}

#[derive(Clone, Copy, Debug)]
enum Test {
    Equal,
    Greater,
    NotLess,
    AnyBit,
}

impl Program {
    /// Checks a program as Linux does (`bpf_check_classic` and `seccomp_check_filter`); EINVAL for one that it would
    /// refuse.
    pub fn new(code: &[Instruction]) -> Result<Self, Errno> {
        if code.is_empty() || code.len() > INSTRUCTIONS_MAX {
            return Err(Errno::EINVAL);
        }
        let mut ops = alloc::vec::Vec::with_capacity(code.len());
        // For each instruction, the words of memory that are written on every way to it.
        let mut written = alloc::vec![u16::MAX; code.len()];
        let mut here = 0;
        for (index, instruction) in code.iter().enumerate() {
            let op = Op::decode(instruction).ok_or(Errno::EINVAL)?;
            here &= written[index];
            let mut goes_to = |skipped: usize| {
                let target = written.get_mut(index + 1 + skipped).ok_or(Errno::EINVAL)?;
                *target &= here;
                Ok::<(), Errno>(())
            };
            match op {
                Op::Jump(skipped) => {
                    goes_to(skipped.into())?;
                    here = u16::MAX;
                }
                Op::Branch(_, on_true, on_false, _) | Op::BranchX(_, on_true, on_false) => {
                    goes_to(on_true.into())?;
                    goes_to(on_false.into())?;
                    here = u16::MAX;
                }
                Op::StoreA(word) | Op::StoreX(word) => here |= 1 << word,
                Op::LoadAMemory(word) | Op::LoadXMemory(word) if here & 1 << word == 0 => return Err(Errno::EINVAL),
                _ => {}
            }
            ops.push(op);
        }
        match ops.last() {
            Some(Op::Return(_) | Op::ReturnA) => Ok(Self(ops.into_boxed_slice())),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Instructions of it.
    pub fn length(&self) -> usize {
        self.0.len()
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }

    /// The verdict on a call.
    pub fn run(&self, data: &Data) -> u32 {
        let value = self.evaluate(|| Some(()), |index| Some(data[index % DATA_WORDS]));
        value.unwrap_or(verdict::KILL_PROCESS)
    }

    /// The verdict on every call of this number, if it depends on nothing but number and architecture and is found in
    /// at most `budget` steps, which are taken off it.
    pub fn run_on_number(&self, number: u32, architecture: u32, budget: &mut u32) -> Option<u32> {
        let step = || {
            *budget = budget.checked_sub(1)?;
            Some(())
        };
        self.evaluate(step, |index| match index {
            0 => Some(number),
            1 => Some(architecture),
            _ => None,
        })
    }

    /// Runs the program over the words that `word` knows; `None` when it asks for one that is not known, or `step`
    /// has no further step for it.
    #[inline(always)]
    pub(super) fn evaluate(
        &self,
        mut step: impl FnMut() -> Option<()>,
        word: impl Fn(usize) -> Option<u32>,
    ) -> Option<u32> {
        let (mut a, mut x) = (0_u32, 0_u32);
        let mut memory = [0_u32; MEMORY_WORDS];
        let mut next = 0;
        loop {
            step()?;
            let op = *self.0.get(next)?;
            next += 1;
            match op {
                Op::LoadData(index) => a = word(index.into())?,
                Op::LoadA(operand) => a = operand,
                Op::LoadX(operand) => x = operand,
                Op::LoadAMemory(index) => a = memory[usize::from(index) % MEMORY_WORDS],
                Op::LoadXMemory(index) => x = memory[usize::from(index) % MEMORY_WORDS],
                Op::StoreA(index) => memory[usize::from(index) % MEMORY_WORDS] = a,
                Op::StoreX(index) => memory[usize::from(index) % MEMORY_WORDS] = x,
                Op::CopyAToX => x = a,
                Op::CopyXToA => a = x,
                Op::Negate => a = a.wrapping_neg(),
                Op::Compute(alu, operand) => a = alu.compute(a, operand).unwrap_or(0),
                Op::ComputeX(alu) => match alu.compute(a, x) {
                    Some(value) => a = value,
                    // A division by zero ends the program with 0 (linux/net/core/filter.c).
                    None => return Some(0),
                },
                Op::Jump(skipped) => next += usize::from(skipped),
                Op::Branch(test, on_true, on_false, operand) => {
                    next += usize::from(if test.holds(a, operand) { on_true } else { on_false });
                }
                Op::BranchX(test, on_true, on_false) => {
                    next += usize::from(if test.holds(a, x) { on_true } else { on_false });
                }
                Op::Return(operand) => return Some(operand),
                Op::ReturnA => return Some(a),
            }
        }
    }
}

impl Op {
    /// The instruction, if it is one that a seccomp filter may hold, and its operand is in range.
    fn decode(instruction: &Instruction) -> Option<Self> {
        const CLASS: u32 = 0x07;
        let Instruction { code, jump_true, jump_false, operand } = *instruction;
        let code = u32::from(code);
        let memory = |op: fn(u8) -> Self| (operand < linux::BPF_MEMWORDS).then_some(op(operand as u8));
        let takes_x = code & linux::BPF_X != 0;
        Some(match code & CLASS {
            linux::BPF_LD => match code & !CLASS {
                // BPF_W is 0.
                linux::BPF_ABS if operand % 4 == 0 && operand < DATA_BYTES => Self::LoadData((operand / 4) as u8),
                linux::BPF_LEN => Self::LoadA(DATA_BYTES),
                linux::BPF_IMM => Self::LoadA(operand),
                linux::BPF_MEM => memory(Self::LoadAMemory)?,
                _ => return None,
            },
            linux::BPF_LDX => match code & !CLASS {
                linux::BPF_LEN => Self::LoadX(DATA_BYTES),
                linux::BPF_IMM => Self::LoadX(operand),
                linux::BPF_MEM => memory(Self::LoadXMemory)?,
                _ => return None,
            },
            linux::BPF_ST if code == linux::BPF_ST => memory(Self::StoreA)?,
            linux::BPF_STX if code == linux::BPF_STX => memory(Self::StoreX)?,
            linux::BPF_ALU if code == linux::BPF_ALU | linux::BPF_NEG => Self::Negate,
            linux::BPF_ALU => {
                let alu = match code & !CLASS & !linux::BPF_X {
                    linux::BPF_ADD => Alu::Add,
                    linux::BPF_SUB => Alu::Subtract,
                    linux::BPF_MUL => Alu::Multiply,
                    linux::BPF_DIV => Alu::Divide,
                    linux::BPF_AND => Alu::And,
                    linux::BPF_OR => Alu::Or,
                    linux::BPF_XOR => Alu::Xor,
                    linux::BPF_LSH => Alu::ShiftLeft,
                    linux::BPF_RSH => Alu::ShiftRight,
                    _ => return None,
                };
                match alu {
                    _ if takes_x => Self::ComputeX(alu),
                    Alu::Divide if operand == 0 => return None,
                    Alu::ShiftLeft | Alu::ShiftRight if operand >= 32 => return None,
                    _ => Self::Compute(alu, operand),
                }
            }
            linux::BPF_JMP if code == linux::BPF_JMP | linux::BPF_JA => Self::Jump(u16::try_from(operand).ok()?),
            linux::BPF_JMP => {
                let test = match code & !CLASS & !linux::BPF_X {
                    linux::BPF_JEQ => Test::Equal,
                    linux::BPF_JGT => Test::Greater,
                    linux::BPF_JGE => Test::NotLess,
                    linux::BPF_JSET => Test::AnyBit,
                    _ => return None,
                };
                if takes_x {
                    Self::BranchX(test, jump_true, jump_false)
                } else {
                    Self::Branch(test, jump_true, jump_false, operand)
                }
            }
            linux::BPF_RET if code == linux::BPF_RET | linux::BPF_K => Self::Return(operand),
            linux::BPF_RET if code == linux::BPF_RET | linux::BPF_A => Self::ReturnA,
            linux::BPF_MISC if code == linux::BPF_MISC | linux::BPF_TAX => Self::CopyAToX,
            linux::BPF_MISC if code == linux::BPF_MISC | linux::BPF_TXA => Self::CopyXToA,
            _ => return None,
        })
    }
}

impl Alu {
    /// `None` for a division by zero. Shifts look at the low five bits of their count.
    fn compute(self, a: u32, b: u32) -> Option<u32> {
        Some(match self {
            Self::Add => a.wrapping_add(b),
            Self::Subtract => a.wrapping_sub(b),
            Self::Multiply => a.wrapping_mul(b),
            Self::Divide => return a.checked_div(b),
            Self::And => a & b,
            Self::Or => a | b,
            Self::Xor => a ^ b,
            Self::ShiftLeft => a.wrapping_shl(b),
            Self::ShiftRight => a.wrapping_shr(b),
        })
    }
}

impl Test {
    fn holds(self, a: u32, b: u32) -> bool {
        match self {
            Self::Equal => a == b,
            Self::Greater => a > b,
            Self::NotLess => a >= b,
            Self::AnyBit => a & b != 0,
        }
    }
}
