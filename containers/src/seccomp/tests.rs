use alloc::string::{String, ToString};
use alloc::vec::Vec;

use linux_raw_sys::ptrace::{AUDIT_ARCH_AARCH64, AUDIT_ARCH_X86_64};
use proptest::prelude::*;

use super::bpf::{self, DATA_WORDS, INSTRUCTIONS_MAX, Instruction, verdict};
use super::compile::value;
use super::*;
use crate::abi::{Call, Errno};
use crate::config::{
    CapabilitySet, SeccompAction, SeccompCondition, SeccompFlags, SeccompOperator, SeccompProfile, SeccompRule,
};

/// A machine whose calls are named `c0` to `c450`, by number.
fn number(name: &str) -> Option<u32> {
    name.strip_prefix('c')?.parse().ok().filter(|&number| number <= 450)
}

const MACHINE: Machine<'_> = Machine { architecture: AUDIT_ARCH_X86_64, number: &number };

/// Runs a program, by the letter of each instruction; panics on what a kernel would refuse.
fn run(code: &[Instruction], data: &[u32; DATA_WORDS]) -> u32 {
    let (mut a, mut next) = (0, 0);
    loop {
        let Instruction { code: what, jump_true, jump_false, operand } = code[next];
        next += 1;
        let skip = |holds: bool| usize::from(if holds { jump_true } else { jump_false });
        match what {
            bpf::LOAD => a = data[operand as usize / 4],
            bpf::AND => a &= operand,
            bpf::JUMP => next += operand as usize,
            bpf::JUMP_EQUAL => next += skip(a == operand),
            bpf::JUMP_GREATER => next += skip(a > operand),
            bpf::JUMP_NOT_LESS => next += skip(a >= operand),
            bpf::RETURN => return operand,
            _ => panic!("{what:#x} is not written by the compiler"),
        }
    }
}

fn data(architecture: u32, number: u32, arguments: [u64; 6]) -> [u32; DATA_WORDS] {
    let mut data = [0; DATA_WORDS];
    (data[0], data[1]) = (number, architecture);
    for (halves, argument) in data[4..].chunks_exact_mut(2).zip(arguments) {
        halves.copy_from_slice(&[argument as u32, (argument >> 32) as u32]);
    }
    data
}

/// What the rules say, read as they stand.
fn reference(profile: &SeccompProfile, call: u32, arguments: [u64; 6]) -> u32 {
    let number_of = |name: &String| {
        Call::ALL.iter().find(|call| call.name() == name).map(|call| call.number() as u32).or_else(|| number(name))
    };
    let named: Vec<u32> = profile.rules.iter().flat_map(|rule| &rule.names).filter_map(number_of).collect();
    for rule in profile.rules.iter().filter(|rule| rule.names.iter().any(|name| number_of(name) == Some(call))) {
        let holds = |condition: &SeccompCondition| {
            let (found, given) = (arguments[usize::from(condition.index)], condition.value);
            match condition.operator {
                SeccompOperator::NotEqual => found != given,
                SeccompOperator::Less => found < given,
                SeccompOperator::LessOrEqual => found <= given,
                SeccompOperator::Equal => found == given,
                SeccompOperator::GreaterOrEqual => found >= given,
                SeccompOperator::Greater => found > given,
                SeccompOperator::MaskedEqual { mask } => found & mask == given,
            }
        };
        let mut seen = [0; 6];
        rule.conditions.iter().for_each(|condition| seen[usize::from(condition.index)] += 1);
        let matches = if seen.iter().any(|&times| times > 1) {
            rule.conditions.iter().any(holds)
        } else {
            rule.conditions.iter().all(holds)
        };
        if matches {
            return value(rule.action);
        }
    }
    let is_container_call = |number: u32| number >= 0x800;
    let newest = named.iter().filter(|number| is_container_call(**number) == is_container_call(call)).max();
    let permissive =
        matches!(profile.default_action, SeccompAction::Allow | SeccompAction::Log | SeccompAction::Trace(_));
    if !permissive && !named.is_empty() && newest.is_none_or(|newest| call > *newest) {
        return verdict::ERRNO | u32::from(Errno::ENOSYS.get());
    }
    value(profile.default_action)
}

fn action() -> impl Strategy<Value = SeccompAction> {
    prop_oneof![
        Just(SeccompAction::KillProcess),
        Just(SeccompAction::KillThread),
        Just(SeccompAction::Trap),
        (0..4096_u16).prop_map(SeccompAction::Errno),
        any::<u16>().prop_map(SeccompAction::Trace),
        Just(SeccompAction::Log),
        Just(SeccompAction::Allow),
    ]
}

/// Values whose halves differ in ways that matter.
fn argument() -> impl Strategy<Value = u64> {
    let half = || prop::sample::select(std::vec![0_u64, 1, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff]);
    (half(), half()).prop_map(|(upper, lower)| upper << 32 | lower)
}

fn condition() -> impl Strategy<Value = SeccompCondition> {
    let operator = prop_oneof![
        Just(SeccompOperator::NotEqual),
        Just(SeccompOperator::Less),
        Just(SeccompOperator::LessOrEqual),
        Just(SeccompOperator::Equal),
        Just(SeccompOperator::GreaterOrEqual),
        Just(SeccompOperator::Greater),
        argument().prop_map(|mask| SeccompOperator::MaskedEqual { mask }),
    ];
    (0..6_u8, operator, argument()).prop_map(|(index, operator, value)| SeccompCondition { index, operator, value })
}

fn profile() -> impl Strategy<Value = SeccompProfile> {
    let name = prop_oneof![
        20 => (0..455_u32).prop_map(|number| alloc::format!("c{number}")),
        1 => prop::sample::select(Call::ALL).prop_map(|call| call.name().to_string()),
    ];
    let rule = (prop::collection::vec(name, 1..20), action(), prop::collection::vec(condition(), 0..4))
        .prop_map(|(names, action, conditions)| SeccompRule { names, action, conditions });
    (action(), prop::collection::vec(rule, 0..20)).prop_map(|(default_action, rules)| SeccompProfile {
        default_action,
        architectures: Vec::new(),
        flags: SeccompFlags::empty(),
        rules,
    })
}

/// Some calls of Linux on x86_64.
fn linux_x86_64(name: &str) -> Option<u32> {
    use linux_raw_sys::general::*;
    Some(match name {
        "read" => __NR_read,
        "write" => __NR_write,
        "socket" => __NR_socket,
        "clone" => __NR_clone,
        "clone3" => __NR_clone3,
        "mount" => __NR_mount,
        "personality" => __NR_personality,
        "setns" => __NR_setns,
        "cachestat" => __NR_cachestat,
        _ => return None,
    })
}

fn default_for(capabilities: CapabilitySet) -> impl Fn(u32, [u64; 6]) -> u32 {
    let machine = Machine { architecture: AUDIT_ARCH_X86_64, number: &linux_x86_64 };
    let code = compile(&default_profile(capabilities), &machine);
    move |number, arguments| run(&code, &data(AUDIT_ARCH_X86_64, number, arguments))
}

#[test]
fn the_default_profile_depends_on_capabilities() {
    use linux_raw_sys::general::*;
    let errno = |errno: Errno| verdict::ERRNO | u32::from(errno.get());
    let plain = default_for(CapabilitySet::empty());
    let admin = default_for(CapabilitySet::SYS_ADMIN);
    let arguments = |first: u64| [first, 0, 0, 0, 0, 0];
    let newns = u64::from(CLONE_NEWNS);
    assert_eq!(plain(__NR_read, arguments(0)), verdict::ALLOW);
    assert_eq!(plain(__NR_mount, arguments(0)), errno(Errno::EPERM));
    assert_eq!(admin(__NR_mount, arguments(0)), verdict::ALLOW);
    assert_eq!(plain(__NR_clone, arguments(0x11)), verdict::ALLOW);
    assert_eq!(plain(__NR_clone, arguments(newns | 0x11)), errno(Errno::EPERM));
    assert_eq!(admin(__NR_clone, arguments(newns | 0x11)), verdict::ALLOW);
    assert_eq!(plain(__NR_clone3, arguments(0)), errno(Errno::ENOSYS));
    assert_eq!(admin(__NR_clone3, arguments(0)), verdict::ALLOW);
    assert_eq!(plain(__NR_socket, arguments(1)), verdict::ALLOW);
    assert_eq!(plain(__NR_socket, arguments(40)), errno(Errno::EPERM));
    assert_eq!(plain(__NR_personality, arguments(0xffff_ffff)), verdict::ALLOW);
    assert_eq!(plain(__NR_personality, arguments(4)), errno(Errno::EPERM));
    assert_eq!(plain(Call::Create.number() as u32, arguments(0)), errno(Errno::EPERM));
    assert_eq!(admin(Call::Create.number() as u32, arguments(0)), verdict::ALLOW);
    // Newer than what the profile names, of x32 and of nobody.
    for number in [500, 0x7ff, 0x80e, 0x4000_0000 | __NR_read, u32::MAX] {
        assert_eq!(admin(number, arguments(0)), errno(Errno::ENOSYS), "{number:#x}");
    }
}

#[test]
fn capabilities_that_no_condition_names_do_not_matter() {
    let others = CapabilitySet::all() - DEFAULT_CONDITIONS;
    assert_eq!(default_profile(others), default_profile(CapabilitySet::empty()));
    assert_ne!(default_profile(DEFAULT_CONDITIONS), default_profile(CapabilitySet::empty()));
}

#[test]
fn no_name_of_the_default_stands_there_twice_without_a_condition() {
    for capabilities in [
        CapabilitySet::empty(),
        CapabilitySet::all() - CapabilitySet::BPF - CapabilitySet::PERFMON - CapabilitySet::SYSLOG,
    ] {
        let profile = default_profile(capabilities);
        let plain = profile.rules.iter().filter(|rule| rule.conditions.is_empty());
        let mut names: Vec<&String> = plain.flat_map(|rule| &rule.names).collect();
        assert!(names.iter().all(|name| !name.is_empty()));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_program_says_what_the_rules_say(
        profile in profile(),
        numbers in prop::collection::vec(prop_oneof![0..470_u32, 0x7fe..0x812_u32, any::<u32>()], 20),
        arguments in prop::array::uniform6(argument()),
    ) {
        let code = compile(&profile, &MACHINE);
        prop_assert!(code.len() <= INSTRUCTIONS_MAX);
        let named = profile.rules.iter().flat_map(|rule| &rule.names).filter_map(|name| number(name));
        for number in numbers.into_iter().chain(named) {
            let found = run(&code, &data(AUDIT_ARCH_X86_64, number, arguments));
            prop_assert_eq!(found, reference(&profile, number, arguments), "{}", number);
            let foreign = run(&code, &data(AUDIT_ARCH_AARCH64, number, arguments));
            prop_assert_eq!(foreign, verdict::KILL_PROCESS);
        }
    }
}
