use super::*;
use alloc::{vec, vec::Vec};
use linux_raw_sys::ptrace::*;
use proptest::prelude::*;
use veridian_containers::seccomp::bpf::{ARCHITECTURE, DATA_WORDS, JUMP, JUMP_EQUAL, LOAD, NUMBER, RETURN};

const ARCH: u32 = AUDIT_ARCH_RISCV64;

fn statement(code: u32, operand: u32) -> Instruction {
    Instruction { code: code as u16, jump_true: 0, jump_false: 0, operand }
}

fn branch(code: u32, operand: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code: code as u16, jump_true, jump_false, operand }
}

fn run(code: &[Instruction], data: &Data) -> u32 {
    Program::new(code).expect("a program").run(data)
}

/// A call of this number.
fn call(number: u32) -> Data {
    let mut data = [0; DATA_WORDS];
    (data[0], data[1]) = (number, ARCH);
    data
}

/// Returns `value` for one number, else allows.
fn on(number: u32, value: u32) -> Vec<Instruction> {
    vec![
        statement(LOAD.into(), NUMBER),
        branch(JUMP_EQUAL.into(), number, 0, 1),
        statement(RETURN.into(), value),
        statement(RETURN.into(), verdict::ALLOW),
    ]
}

fn filtered(programs: &[Vec<Instruction>]) -> Seccomp {
    programs.iter().fold(Seccomp::Disabled, |seccomp, code| {
        seccomp.with(check(code).expect("a program"), ARCH, false, None).expect("room for it")
    })
}

#[test]
fn what_linux_refuses_is_refused() {
    let end = statement(RETURN.into(), verdict::ALLOW);
    let refused = |code: &[Instruction]| Program::new(code).err() == Some(Errno::EINVAL);
    assert!(refused(&[]));
    assert!(refused(&vec![end; 4097]) && !refused(&vec![end; 4096]));
    assert!(refused(&[statement(LOAD.into(), NUMBER)]), "no return at the end");
    for bad in [
        statement(LOAD.into(), 64),
        statement(LOAD.into(), 2),
        statement(LOAD.into(), u32::MAX - 3),
        statement(BPF_LD | BPF_H | BPF_ABS, 0),
        statement(BPF_LD | BPF_B | BPF_ABS, 0),
        statement(BPF_LD | BPF_W | BPF_IND, 0),
        statement(BPF_LDX | BPF_B | BPF_MSH, 0),
        statement(BPF_LDX | BPF_W | BPF_ABS, 0),
        statement(BPF_ALU | BPF_MOD | BPF_K, 3),
        statement(BPF_ALU | BPF_DIV | BPF_K, 0),
        statement(BPF_ALU | BPF_LSH | BPF_K, 32),
        statement(BPF_ALU | BPF_RSH | BPF_K, 32),
        statement(BPF_ST, 16),
        statement(BPF_STX, u32::MAX),
        statement(BPF_ST | BPF_X, 0),
        statement(BPF_LD | BPF_MEM, 0),
        statement(BPF_LDX | BPF_MEM, 3),
        statement(JUMP.into(), 1),
        statement(JUMP.into(), u32::MAX),
        statement(BPF_JMP | BPF_JA | BPF_X, 0),
        branch(JUMP_EQUAL.into(), 0, 1, 0),
        branch(JUMP_EQUAL.into(), 0, 0, 255),
        statement(BPF_JMP | 0x50, 0),
        statement(BPF_RET | BPF_X, 0),
        statement(BPF_MISC | 0x10, 0),
        statement(0xffff, 0),
        statement(u32::from(RETURN) | 0x100, 0),
    ] {
        assert!(refused(&[bad, end]), "{bad:?}");
    }
    // Written on one of two ways only.
    let one_way = [branch(JUMP_EQUAL.into(), 0, 0, 1), statement(BPF_ST, 5), statement(BPF_LD | BPF_MEM, 5), end];
    assert!(refused(&one_way));
    let both = [
        branch(JUMP_EQUAL.into(), 0, 0, 2),
        statement(BPF_ST, 5),
        statement(JUMP.into(), 1),
        statement(BPF_STX, 5),
        statement(BPF_LD | BPF_MEM, 5),
        end,
    ];
    assert!(!refused(&both));
}

#[test]
fn each_instruction_does_what_linux_says() {
    let mut data = call(7);
    data[4] = 0xdead_beef;
    let a = statement(BPF_RET | BPF_A, 0);
    let value = |code: &[Instruction]| run(&[code, &[a]].concat(), &data);
    assert_eq!(value(&[statement(LOAD.into(), 16)]), 0xdead_beef);
    assert_eq!(value(&[statement(LOAD.into(), ARCHITECTURE)]), ARCH);
    assert_eq!(value(&[statement(BPF_LD | BPF_LEN, 0)]), 64);
    assert_eq!(value(&[statement(BPF_LDX | BPF_LEN, 0), statement(BPF_MISC | BPF_TXA, 0)]), 64);
    for (op, b, expected) in [
        (BPF_ADD, 3, 9),
        (BPF_SUB, 7, u32::MAX),
        (BPF_MUL, 3, 18),
        (BPF_DIV, 4, 1),
        (BPF_AND, 3, 2),
        (BPF_OR, 9, 15),
        (BPF_XOR, 2, 4),
        (BPF_LSH, 31, 0),
        (BPF_LSH, 2, 24),
        (BPF_RSH, 1, 3),
    ] {
        let six = statement(BPF_LD | BPF_IMM, 6);
        assert_eq!(value(&[six, statement(BPF_ALU | op | BPF_K, b)]), expected, "{op:#x} {b}");
        let x = statement(BPF_LDX | BPF_IMM, b);
        assert_eq!(value(&[six, x, statement(BPF_ALU | op | BPF_X, 0)]), expected, "{op:#x} x {b}");
    }
    let six = statement(BPF_LD | BPF_IMM, 6);
    assert_eq!(value(&[six, statement(BPF_ALU | BPF_NEG, 0)]), 6_u32.wrapping_neg());
    assert_eq!(value(&[six, statement(BPF_ALU | BPF_DIV | BPF_X, 0)]), 0, "a division by X = 0 ends with 0");
    let shift = [six, statement(BPF_LDX | BPF_IMM, 33), statement(BPF_ALU | BPF_LSH | BPF_X, 0)];
    assert_eq!(value(&shift), 12, "a shift looks at five bits");
    let memory = [six, statement(BPF_ST, 15), statement(BPF_LDX | BPF_MEM, 15), statement(BPF_MISC | BPF_TXA, 0)];
    assert_eq!(value(&memory), 6);
    for (test, b, holds) in [
        (BPF_JEQ, 6, true),
        (BPF_JEQ, 5, false),
        (BPF_JGT, 6, false),
        (BPF_JGT, 5, true),
        (BPF_JGE, 6, true),
        (BPF_JGE, 0x8000_0000, false),
        (BPF_JSET, 2, true),
        (BPF_JSET, 9, false),
    ] {
        let (yes, no) = (statement(RETURN.into(), 1), statement(RETURN.into(), 0));
        assert_eq!(run(&[six, branch(BPF_JMP | test | BPF_K, b, 1, 0), no, yes], &data), u32::from(holds));
        let x = statement(BPF_LDX | BPF_IMM, b);
        assert_eq!(run(&[six, x, branch(BPF_JMP | test | BPF_X, 0, 1, 0), no, yes], &data), u32::from(holds));
    }
}

#[test]
fn the_strictest_verdict_is_obeyed_and_of_equal_ones_the_newest() {
    let strict_first = [
        verdict::KILL_PROCESS,
        verdict::KILL_THREAD,
        verdict::TRAP,
        verdict::ERRNO | 1,
        verdict::USER_NOTIF,
        verdict::TRACE,
        verdict::LOG,
        verdict::ALLOW,
    ];
    for (index, &strict) in strict_first.iter().enumerate() {
        for &mild in &strict_first[index..] {
            for programs in [[on(5, strict), on(5, mild)], [on(5, mild), on(5, strict)]] {
                let filter = filtered(&programs);
                let found = filter.newest().expect("a filter").judge(&call(5));
                assert_eq!(found.value & verdict::ACTION, strict & verdict::ACTION, "{strict:#x} {mild:#x}");
                assert_eq!(filter.newest().expect("a filter").judge(&call(6)).value, verdict::ALLOW);
            }
        }
    }
    let both = filtered(&[on(5, verdict::ERRNO | 1), on(5, verdict::ERRNO | 2)]);
    assert_eq!(both.newest().expect("a filter").judge(&call(5)).value, verdict::ERRNO | 2);
}

#[test]
fn numbers_that_are_always_allowed_are_known_and_no_others() {
    let by_argument = vec![
        statement(LOAD.into(), NUMBER),
        branch(JUMP_EQUAL.into(), 9, 0, 2),
        statement(LOAD.into(), 16),
        branch(JUMP_EQUAL.into(), 1, 1, 0),
        statement(RETURN.into(), verdict::ALLOW),
        statement(RETURN.into(), verdict::KILL_PROCESS),
    ];
    let filter = filtered(&[on(5, verdict::LOG), by_argument]);
    let filter = filter.newest().expect("a filter");
    for number in 0..CACHED_NUMBERS as u32 {
        assert_eq!(filter.always_allows(number), ![5, 9].contains(&number), "{number}");
    }
    for beyond in [CACHED_NUMBERS as u32, 0x800, 0x4000_0000, u32::MAX] {
        assert!(!filter.always_allows(beyond));
    }
}

#[test]
fn thousands_of_filters_are_bounded_and_go_without_a_stack_frame_each() {
    let program = check(&[statement(RETURN.into(), verdict::ALLOW)]).expect("a program");
    let mut seccomp = Seccomp::Disabled;
    let mut count = 0;
    let refusal = loop {
        match seccomp.with(program.clone(), ARCH, false, None) {
            Ok(next) => seccomp = next,
            Err(errno) => break errno,
        }
        count += 1;
    };
    assert_eq!((refusal, count, seccomp.filters()), (Errno::ENOMEM, INSTRUCTIONS_IN_ALL / 5, count));
    drop(seccomp);
}

#[test]
fn an_endless_look_for_what_is_allowed_is_given_up() {
    let mut code = vec![statement(BPF_LD | BPF_IMM, 0); 4095];
    code.push(statement(RETURN.into(), verdict::ALLOW));
    let filter = filtered(&[code]);
    let filter = filter.newest().expect("a filter");
    assert!(filter.always_allows(0) && !filter.always_allows(500));
    assert_eq!(filter.judge(&call(500)).value, verdict::ALLOW);
}

/// Instructions as hostile ones would be: mostly of known codes, with operands near the borders.
fn instruction() -> impl Strategy<Value = Instruction> {
    let class = prop::sample::select(vec![BPF_LD, BPF_LDX, BPF_ST, BPF_STX, BPF_ALU, BPF_JMP, BPF_RET, BPF_MISC]);
    let rest = prop_oneof![
        4 => prop::sample::select(vec![0, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38, 0x40, 0x48, 0x50, 0x60, 0x70, 0x80, 0xa0]),
        1 => any::<u16>().prop_map(u32::from),
    ];
    let operand = prop_oneof![0..20_u32, (0..17_u32).prop_map(|word| word * 4), Just(31), Just(32), any::<u32>()];
    (class, rest, operand, 0..6_u8, 0..6_u8)
        .prop_map(|(class, rest, operand, yes, no)| branch(class | rest, operand, yes, no))
}

/// Only such instructions as pass alone.
fn plausible() -> impl Strategy<Value = Instruction> {
    instruction().prop_filter("an instruction", |instruction| {
        let after = vec![statement(RETURN.into(), 0); 300];
        let stores = (0..16).map(|word| statement(BPF_ST, word));
        Program::new(&stores.chain([*instruction]).chain(after).collect::<Vec<_>>()).is_ok()
    })
}

proptest! {
    #[test]
    fn a_program_that_was_accepted_always_ends_with_a_verdict(
        mut code in prop_oneof![
            prop::collection::vec(instruction(), 1..12),
            prop::collection::vec(plausible(), 1..64),
        ],
        stored in any::<bool>(),
        data in any::<[u32; DATA_WORDS]>(),
    ) {
        if stored {
            code.splice(0..0, (0..16).map(|word| statement(BPF_ST, word)));
        }
        code.extend(vec![statement(RETURN.into(), 0x1234); 7]);
        if let Ok(program) = Program::new(&code) {
            let mut steps = 0;
            let verdict = program.evaluate(|| { steps += 1; Some(()) }, |index| Some(data[index]));
            prop_assert!(verdict.is_some());
            prop_assert!(steps <= code.len());
            // What is found out without the arguments holds with any.
            if let Some(early) = program.run_on_number(data[0], data[1], &mut u32::MAX.clone()) {
                prop_assert_eq!(verdict, Some(early));
            }
        }
    }
}
