//! From a profile to a program: a binary search over the numbers of calls, and comparisons of arguments at its leaves.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::assembler::{Assembler, Label};
use super::bpf::{self, Instruction, argument, verdict};
use crate::abi::{Call, Errno};
use crate::config::{SeccompAction, SeccompCondition, SeccompOperator, SeccompProfile, SeccompRule};

/// What compiling must know of the kernel that runs the program.
#[derive(Clone, Copy)]
pub struct Machine<'a> {
    /// Its architecture, as `struct seccomp_data` names it (`AUDIT_ARCH_*`).
    pub architecture: u32,
    /// The number of a call of Linux by its name, below those of the container calls; `None` if it has none there.
    pub number: &'a dyn Fn(&str) -> Option<u32>,
}

/// What becomes of the calls of one number.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Treatment<'a> {
    /// The same whatever the arguments.
    Always(u32),
    /// What the first of these says that matches, else the default.
    Rules(Vec<&'a SeccompRule>),
}

/// The program of a profile.
///
/// * A call of another architecture than the machine's own kills the process: its numbers mean something else.
/// * Of the rules that name a call the first that matches decides, and if none does the default action. A name that the
///   machine does not know is skipped.
/// * The conditions of a rule must all hold; if two are about the same argument one is enough (as runc has it, whose
///   library cannot say otherwise).
/// * A call that is newer than every call that a profile names, which therefore cannot speak of it, fails with ENOSYS
///   rather than with the default, so that programs fall back to what came before it (as runc has it). This concerns
///   profiles whose default stops calls. Linux's calls and the container calls are counted apart.
#[must_use]
pub fn compile(profile: &SeccompProfile, machine: &Machine<'_>) -> Vec<Instruction> {
    let mut assembler = Assembler::default();
    let search = search(&mut assembler, &treatments(profile, machine), value(profile.default_action));
    let native = assembler.load(bpf::NUMBER, search);
    let foreign = assembler.returns(verdict::KILL_PROCESS);
    let start = assembler.branch(bpf::JUMP_EQUAL, machine.architecture, native, foreign);
    assembler.load(bpf::ARCHITECTURE, start);
    assembler.finish()
}

/// What a filter returns for an action.
pub(super) const fn value(action: SeccompAction) -> u32 {
    match action {
        SeccompAction::KillProcess => verdict::KILL_PROCESS,
        SeccompAction::KillThread => verdict::KILL_THREAD,
        SeccompAction::Trap => verdict::TRAP,
        SeccompAction::Errno(number) => verdict::ERRNO | number as u32,
        SeccompAction::Notify => verdict::USER_NOTIF,
        SeccompAction::Trace(number) => verdict::TRACE | number as u32,
        SeccompAction::Log => verdict::LOG,
        SeccompAction::Allow => verdict::ALLOW,
    }
}

/// The treatment of all numbers: each holds from the number that stands with it up to the next.
fn treatments<'a>(profile: &'a SeccompProfile, machine: &Machine<'_>) -> Vec<(u32, Treatment<'a>)> {
    const CONTAINER_CALLS: u32 = Call::ALL[0].number() as u32;
    let default = value(profile.default_action);
    let mut named: BTreeMap<u32, Vec<&SeccompRule>> = BTreeMap::new();
    for rule in &profile.rules {
        for name in &rule.names {
            if let Some(number) = number_of(name, machine) {
                named.entry(number).or_default().push(rule);
            }
        }
    }
    let newer = if named.is_empty() || !stops_calls(profile.default_action) {
        default
    } else {
        verdict::ERRNO | u32::from(Errno::ENOSYS.get())
    };
    let mut treatments: Vec<(u32, Treatment<'_>)> = Vec::new();
    let mut put = |from: u32, treatment: Treatment<'a>| {
        if treatments.last().is_none_or(|(_, before)| *before != treatment) {
            treatments.push((from, treatment));
        }
    };
    for range in [0..CONTAINER_CALLS, CONTAINER_CALLS..u32::MAX] {
        let mut next = range.start;
        for (&number, rules) in named.range(range.clone()) {
            if number > next {
                put(next, Treatment::Always(default));
            }
            put(number, treatment(rules));
            next = number + 1;
        }
        if next < range.end {
            put(next, Treatment::Always(newer));
        }
    }
    treatments
}

fn number_of(name: &str, machine: &Machine<'_>) -> Option<u32> {
    let call = Call::ALL.iter().find(|call| call.name() == name);
    call.map(|call| call.number() as u32).or_else(|| (machine.number)(name))
}

/// Whether the default is not to let calls through. A tracer, too, is expected to see new ones.
const fn stops_calls(default: SeccompAction) -> bool {
    !matches!(default, SeccompAction::Allow | SeccompAction::Log | SeccompAction::Trace(_))
}

fn treatment<'a>(rules: &[&'a SeccompRule]) -> Treatment<'a> {
    let reached = rules.iter().position(|rule| rule.conditions.is_empty()).map_or(rules.len(), |last| last + 1);
    match rules[..reached] {
        [only] if only.conditions.is_empty() => Treatment::Always(value(only.action)),
        ref rules => Treatment::Rules(rules.to_vec()),
    }
}

/// Finds the treatment of the number that is loaded.
fn search(assembler: &mut Assembler, treatments: &[(u32, Treatment<'_>)], default: u32) -> Label {
    match treatments {
        [] => assembler.returns(default),
        [(_, Treatment::Always(value))] => assembler.returns(*value),
        [(_, Treatment::Rules(rules))] => {
            let otherwise = assembler.returns(default);
            rules.iter().rev().fold(otherwise, |otherwise, rule| match_rule(assembler, rule, otherwise))
        }
        _ => {
            let (low, high) = treatments.split_at(treatments.len() / 2);
            let border = high[0].0;
            let above = search(assembler, high, default);
            let below = search(assembler, low, default);
            assembler.branch(bpf::JUMP_NOT_LESS, border, above, below)
        }
    }
}

fn match_rule(assembler: &mut Assembler, rule: &SeccompRule, otherwise: Label) -> Label {
    let matched = assembler.returns(value(rule.action));
    let conditions = &rule.conditions;
    let repeated = conditions
        .iter()
        .enumerate()
        .any(|(place, condition)| conditions[..place].iter().any(|earlier| earlier.index == condition.index));
    if repeated {
        // One is enough.
        conditions
            .iter()
            .rev()
            .fold(otherwise, |otherwise, condition| compare(assembler, *condition, matched, otherwise))
    } else {
        conditions.iter().rev().fold(matched, |matched, condition| compare(assembler, *condition, matched, otherwise))
    }
}

/// Compares an argument.
fn compare(assembler: &mut Assembler, condition: SeccompCondition, then: Label, otherwise: Label) -> Label {
    let SeccompCondition { index, operator, value } = condition;
    let argument = argument(index.into());
    match operator {
        SeccompOperator::Equal => equals(assembler, argument, u64::MAX, value, then, otherwise),
        SeccompOperator::NotEqual => equals(assembler, argument, u64::MAX, value, otherwise, then),
        SeccompOperator::MaskedEqual { mask } => equals(assembler, argument, mask, value, then, otherwise),
        SeccompOperator::Greater => exceeds(assembler, argument, bpf::JUMP_GREATER, value, then, otherwise),
        SeccompOperator::GreaterOrEqual => exceeds(assembler, argument, bpf::JUMP_NOT_LESS, value, then, otherwise),
        SeccompOperator::Less => exceeds(assembler, argument, bpf::JUMP_NOT_LESS, value, otherwise, then),
        SeccompOperator::LessOrEqual => exceeds(assembler, argument, bpf::JUMP_GREATER, value, otherwise, then),
    }
}

/// The upper and the lower half: BPF loads words of 32 bits.
const fn halves(value: u64) -> (u32, u32) {
    ((value >> 32) as u32, value as u32)
}

fn equals(assembler: &mut Assembler, argument: u32, mask: u64, value: u64, then: Label, otherwise: Label) -> Label {
    let ((upper_mask, lower_mask), (upper, lower)) = (halves(mask), halves(value));
    let mut half = |offset: u32, mask: u32, value: u32, then: Label| {
        let test = assembler.branch(bpf::JUMP_EQUAL, value, then, otherwise);
        let masked = if mask == u32::MAX { test } else { assembler.and(mask, test) };
        assembler.load(offset, masked)
    };
    let rest = half(argument, lower_mask, lower, then);
    half(argument + 4, upper_mask, upper, rest)
}

/// Whether the upper half is greater, or the same and the test holds of the lower half.
fn exceeds(assembler: &mut Assembler, argument: u32, test: u16, value: u64, then: Label, otherwise: Label) -> Label {
    let (upper, lower) = halves(value);
    let of_lower = assembler.branch(test, lower, then, otherwise);
    let same = assembler.load(argument, of_lower);
    let not_greater = assembler.branch(bpf::JUMP_EQUAL, upper, same, otherwise);
    let greater = assembler.branch(bpf::JUMP_GREATER, upper, then, not_greater);
    assembler.load(argument + 4, greater)
}
