//! Images built by hand, whole, cut and damaged.

use alloc::{string::String, vec, vec::Vec};
use proptest::prelude::*;
use veridian_hal::user::Access;

use super::*;
use crate::mm::{
    layout,
    tests::{MMAP_TOP, PAGE, TestFile, anonymous, assert_all_freed, byte, group, offset, space},
};

const TEXT: usize = 0x40_0000;
const DATA: usize = 0x40_3000 + 0x800;

struct Load {
    offset: u64,
    address: u64,
    file_bytes: u64,
    memory_bytes: u64,
    flags: u32,
}

/// An ELF file of three pages: headers and text in the first, data in the second and a bit of the third, where other
/// bytes follow.
struct File {
    kind: u16,
    machine: u16,
    entry: u64,
    loads: Vec<Load>,
    others: Vec<(u32, u32, u64, u64)>,
}

impl File {
    fn program() -> Self {
        Self {
            kind: 2,
            machine: 62,
            entry: TEXT as u64 + 0x200,
            loads: vec![
                Load { offset: 0, address: TEXT as u64, file_bytes: 0x1000, memory_bytes: 0x1000, flags: 5 },
                Load { offset: 0x1800, address: DATA as u64, file_bytes: 0x900, memory_bytes: 0x3000, flags: 6 },
            ],
            others: vec![(0x6474_e551, 6, 0, 0)],
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; 0x2400];
        for (n, byte) in bytes.iter_mut().enumerate() {
            *byte = (n / 0x100) as u8;
        }
        let mut header = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for half in [self.kind, self.machine, 1, 0] {
            header.extend(half.to_le_bytes());
        }
        for word in [self.entry, 64, 0] {
            header.extend(word.to_le_bytes());
        }
        header.extend([0; 4]);
        let count = (self.loads.len() + self.others.len()) as u16;
        for half in [64, 56, count, 64, 0, 0] {
            header.extend(half.to_le_bytes());
        }
        let loads =
            self.loads.iter().map(|l| (1, l.flags, [l.offset, l.address, 0, l.file_bytes, l.memory_bytes, 0x1000]));
        let others =
            self.others.iter().map(|&(kind, flags, offset, size)| (kind, flags, [offset, 0, 0, size, size, 1]));
        for (kind, flags, words) in loads.chain(others) {
            header.extend(u32::to_le_bytes(kind));
            header.extend(u32::to_le_bytes(flags));
            words.iter().for_each(|word| header.extend(word.to_le_bytes()));
        }
        bytes[..header.len()].copy_from_slice(&header);
        bytes
    }
}

fn load_bytes(bytes: Vec<u8>, memory: &Arc<MemoryGroup>) -> Result<Image, ExecError> {
    load_with(bytes, memory, &Arguments::default(), &Arguments::default(), Limits::default())
}

fn load_with(
    bytes: Vec<u8>,
    memory: &Arc<MemoryGroup>,
    argv: &Arguments,
    envp: &Arguments,
    limits: Limits,
) -> Result<Image, ExecError> {
    let Executable::Elf(elf) = Executable::read(TestFile::new(bytes), memory)? else { panic!("a script") };
    load_elf(&elf, None, memory, argv, envp, limits, Layout::fixed(limits.stack))
}

fn load_elf(
    elf: &Elf,
    interpreter: Option<&Elf>,
    memory: &Arc<MemoryGroup>,
    argv: &Arguments,
    envp: &Arguments,
    limits: Limits,
    layout: Layout,
) -> Result<Image, ExecError> {
    let identity = Identity { uid: 1, euid: 2, gid: 3, egid: 4, secure: true };
    let path = b"/bin/program";
    let vdso = TestFile::new(vec![0; PAGE_SIZE]);
    load(&Program { elf, interpreter, path, argv, envp, identity, random: [7; 16], limits, vdso, layout }, memory)
}

/// A program, and an interpreter that is position-independent, in memory.
fn load_dynamic(memory: &Arc<MemoryGroup>, layout: Layout) -> Image {
    let name = b"/lib/ld.so\0";
    let mut file = File { kind: 3, ..File::program() };
    file.others.push((3, 4, 0x1000, name.len() as u64));
    let mut bytes = file.bytes();
    bytes[0x1000..0x1000 + name.len()].copy_from_slice(name);
    let elf = Elf::read(TestFile::new(bytes), memory).expect("a good program");
    assert_eq!(elf.interpreter(), Some(&b"/lib/ld.so"[..]));
    let mut linker = File { kind: 3, entry: 0x300, ..File::program() };
    linker.loads[0].address = 0;
    linker.loads[1].address = 0x3800;
    let linker = Elf::read(TestFile::new(linker.bytes()), memory).expect("a good interpreter");
    let nothing = Arguments::default();
    load_elf(&elf, Some(&linker), memory, &nothing, &nothing, Limits::default(), layout).expect("room for both")
}

fn refusal(bytes: Vec<u8>) -> String {
    let memory = group(None);
    let error = load_bytes(bytes, &memory).err().expect("refused");
    assert_eq!(error.errno, Errno::ENOEXEC);
    assert_all_freed(&memory);
    error.reason.into_owned()
}

#[test]
fn segments_lie_where_the_headers_say_with_zeros_behind_the_files_part() {
    let memory = group(None);
    let image = load_bytes(File::program().bytes(), &memory).expect("a good program");
    let space = &image.space;
    assert_eq!(image.entry, UserAddr(TEXT + 0x200));
    assert_eq!(byte(space, UserAddr(TEXT + 0x200)), Ok(2));
    assert_eq!(space.fault(UserAddr(TEXT), Access::Write), Err(FaultError::Denied));
    assert_eq!(space.fault(UserAddr(TEXT), Access::Execute), Ok(()));
    assert_eq!(byte(space, UserAddr(DATA)), Ok(0x18));
    assert_eq!(byte(space, UserAddr(DATA + 0x8ff)), Ok(0x20));
    for at in DATA + 0x900..DATA + 0x3000 {
        assert_eq!(byte(space, UserAddr(at)), Ok(0), "{at:x}");
    }
    space.write(UserAddr(DATA + 0x2fff), &1u8).expect("bss");
    assert_eq!(space.fault(UserAddr(DATA), Access::Execute), Err(FaultError::Denied));
    assert_eq!(byte(space, UserAddr(0x40_7000)), Err(Errno::EFAULT));
    assert_eq!(space.set_break(UserAddr(0)), UserAddr(0x40_7000), "the heap begins behind the last page");
    let stack = image.stack;
    assert_eq!(space.fault(stack, Access::Execute), Err(FaultError::Denied));
    drop(image);
    assert_all_freed(&memory);
}

#[test]
fn position_independent_programs_are_moved_as_a_whole() {
    let memory = group(None);
    for first in [0, TEXT as u64] {
        let mut file = File { kind: 3, ..File::program() };
        file.entry = first + 0x200;
        file.loads[1].address = first + 0x3800;
        file.loads[0].address = first;
        let image = load_bytes(file.bytes(), &memory).expect("a good program");
        assert_eq!(image.entry, UserAddr(layout::PIE_BASE + 0x200));
        assert_eq!(byte(&image.space, UserAddr(layout::PIE_BASE + 0x3800)), Ok(0x18));
    }
}

#[test]
fn an_interpreter_runs_first_and_is_told_where_the_program_is() {
    let memory = group(None);
    let image = load_dynamic(&memory, Layout::fixed(layout::STACK_BYTES));
    let stack = parse_stack(&image);
    let (base, program) = (stack.value(7), stack.value(9));
    assert_eq!(image.entry, UserAddr(base + 0x300));
    assert!(base > layout::PIE_BASE + 0x10_0000 && base < MMAP_TOP, "among the mappings: {base:x}");
    assert_eq!(program, layout::PIE_BASE + 0x200);
    assert_eq!(stack.value(3), layout::PIE_BASE + 64, "the program's own headers");
    assert_eq!(byte(&image.space, image.entry), Ok(3));
    assert_eq!(byte(&image.space, UserAddr(base + 0x3800)), Ok(0x18));
    assert_eq!(image.space.set_break(UserAddr(0)), UserAddr(layout::PIE_BASE + 0x7000), "behind the program");
    drop(image);
    assert_all_freed(&memory);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn wherever_things_are_drawn_to_lie_they_are_apart_and_have_room(
        random in any::<[u64; 4]>(),
        stack in prop_oneof![Just(0), Just(layout::STACK_BYTES), Just(usize::MAX), any::<usize>()],
    ) {
        let layout = Layout::random(random, stack);
        for at in [layout.stack_top, layout.mmap_top, layout.pie_base, layout.heap_gap] {
            prop_assert_eq!(at % PAGE, 0);
        }
        prop_assert!(layout.stack_top <= layout::STACK_TOP);
        prop_assert_eq!((layout.stack_top - PAGE) >> 21, layout.vdso >> 21, "one table maps both");
        prop_assert!(layout.stack_top <= layout.vdso && layout.vdso < layout::TOP);
        prop_assert!(layout.mmap_top + (128 << 20) <= layout.stack_top && layout.mmap_top >= layout::TOP / 8);
        let grown = stack.min(layout::TOP / 6 * 5 - PAGE);
        prop_assert!(layout.mmap_top + grown <= layout.stack_top, "the stack has its room");
        prop_assert!(layout.pie_base >= layout::PIE_BASE && layout.pie_base < layout::TOP / 4 * 3);
        let memory = group(None);
        let image = load_dynamic(&memory, layout);
        let stack = parse_stack(&image);
        prop_assert_eq!(stack.value(9), layout.pie_base + 0x200);
        prop_assert_eq!(stack.value(33), layout.vdso, "AT_SYSINFO_EHDR");
        prop_assert!(stack.value(7) < layout.mmap_top);
        prop_assert_eq!(image.space.set_break(UserAddr(0)).0, layout.pie_base + 0x7000 + layout.heap_gap);
        prop_assert_eq!(byte(&image.space, image.entry), Ok(3));
    }
}

#[test]
fn scripts_are_read_as_linux_reads_them() {
    let parse = |text: &[u8]| Script::parse(text).map_err(|error| error.reason.into_owned());
    let arguments = |text: &[u8]| {
        let script = parse(text).expect("good").expect("a script");
        let given: Arguments = [&b"called"[..], b"x", b"y z"].into_iter().collect();
        let all = script.arguments(b"/bin/script", &given);
        let all: Vec<_> = all.iter().map(|argument| String::from_utf8_lossy(argument).into_owned()).collect();
        assert_eq!(all[0].as_bytes(), script.interpreter);
        all.join("|")
    };
    assert_eq!(parse(b"echo\n"), Ok(None));
    assert_eq!(parse(b""), Ok(None));
    assert_eq!(arguments(b"#!/bin/sh\n"), "/bin/sh|/bin/script|x|y z");
    assert_eq!(arguments(b"#! \t/bin/sh\t -e  -x \t\necho"), "/bin/sh|-e  -x|/bin/script|x|y z");
    assert_eq!(arguments(b"#!/bin/sh"), "/bin/sh|/bin/script|x|y z");
    assert_eq!(arguments(b"#!/bin/sh\0-e\n"), "/bin/sh|/bin/script|x|y z");
    assert_eq!(arguments(b"#!/bin/sh -e\0x\n"), "/bin/sh|-e|/bin/script|x|y z");
    let nameless = Err(String::from("a script: its first line names no interpreter"));
    assert_eq!(parse(b"#!"), nameless);
    assert_eq!(parse(b"#! \n/bin/sh\n"), nameless);
    let long = |line: &str| {
        let mut head = [b'x'; script::HEAD_BYTES];
        head[..line.len()].copy_from_slice(line.as_bytes());
        parse(&head).map(|script| script.expect("a script"))
    };
    assert_eq!(long("#!/"), Err(String::from("a script: its interpreter's name is too long")));
    assert_eq!(long("#!/bin/sh ").map(|script| script.interpreter), Ok(b"/bin/sh".to_vec()), "arguments may be cut");
    let script = parse(b"#!/bin/sh\n").expect("good").expect("a script");
    assert_eq!(script.arguments(b"s", &Arguments::default()).count(), 2, "a script may be called with nothing");
}

#[test]
fn zeros_behind_a_read_only_segment_are_zero_too() {
    let memory = group(None);
    let mut file = File::program();
    file.loads[1].flags = 4;
    let image = load_bytes(file.bytes(), &memory).expect("a good program");
    assert_eq!(byte(&image.space, UserAddr(DATA + 0x900)), Ok(0));
    assert_eq!(image.space.fault(UserAddr(DATA + 0x900), Access::Write), Err(FaultError::Denied));
    assert_eq!(byte(&image.space, UserAddr(DATA + 0x8ff)), Ok(0x20));
}

#[test]
fn what_is_no_program_for_this_machine_is_refused_with_the_reason() {
    let changed = |change: &dyn Fn(&mut File)| {
        let mut file = File::program();
        change(&mut file);
        refusal(file.bytes())
    };
    assert_eq!(refusal(vec![]), "not an ELF file");
    assert_eq!(refusal(b"echo hello\n".to_vec()), "not an ELF file");
    assert_eq!(refusal(b"#! \n/bin/sh".to_vec()), "a script: its first line names no interpreter");
    assert_eq!(refusal(b"\x7fELF".to_vec()), "truncated: the file header");
    assert_eq!(changed(&|f| f.machine = 183), "wrong machine: program is aarch64, this is hosted");
    assert_eq!(changed(&|f| f.machine = 9), "wrong machine: program is for machine 9, this is hosted");
    assert_eq!(changed(&|f| f.kind = 1), "not a program: an object file or a core dump");
    assert_eq!(changed(&|f| f.entry = u64::MAX), "the entry is no user address");
    assert_eq!(changed(&|f| f.loads.clear()), "nothing to load: it has no PT_LOAD segment");
    let segment = |change: &dyn Fn(&mut Load)| changed(&|f| change(&mut f.loads[1]));
    assert_eq!(segment(&|l| l.memory_bytes = 0), "segment 1: is empty");
    assert_eq!(segment(&|l| l.memory_bytes = 0x8ff), "segment 1: has more bytes in the file than in memory");
    assert_eq!(segment(&|l| l.offset = 0x2800), "segment 1: truncated: reaches behind the end of the file");
    assert_eq!(segment(&|l| l.offset = u64::MAX - 0x7ff), "segment 1: truncated: reaches behind the end of the file");
    assert_eq!(segment(&|l| l.address += 1), "segment 1: its offset and its address lie differently in their pages");
    assert_eq!(
        segment(&|l| l.address = 0x40_0800),
        "segment 1: overlaps the segment before it, or the order is not ascending"
    );
    for address in [0xffff_8000_0000_0800, layout::TOP as u64 - 0x800, u64::MAX - 0x7ff] {
        assert_eq!(segment(&|l| l.address = address), "segment 1: does not lie in user addresses");
    }
    assert_eq!(segment(&|l| l.memory_bytes = 1 << 62), "segment 1: does not lie in user addresses");
    assert_eq!(changed(&|f| f.loads[0].address = 0), "is to be loaded below the lowest user address");
    assert_eq!(segment(&|l| l.address = layout::STACK_TOP as u64 - 0xf800), "a segment does not fit the address space");
    let name = |offset, length| changed(&|f| f.others.push((3, 4, offset, length)));
    assert_eq!(name(0x1000, 28), "malformed: the interpreter's name");
    assert_eq!(name(0x1001, 1), "malformed: the interpreter's name");
    assert_eq!(name(0x1001, 4097), "malformed: the interpreter's name");
    assert_eq!(name(0x23ff, 2), "truncated: the interpreter's name");
    let mut bytes = File::program().bytes();
    bytes[4] = 1;
    assert_eq!(refusal(bytes), "not a 64-bit little-endian program");
    let mut bytes = File::program().bytes();
    bytes[54] = 32;
    assert_eq!(refusal(bytes), "malformed: the sizes of the program headers");
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = File::program().bytes();
    let needed = 0x2100;
    for length in 0..needed {
        refusal(whole[..length].to_vec());
    }
    load_bytes(whole[..needed].to_vec(), &group(None)).expect("nothing behind the last segment is needed");
}

#[test]
fn an_image_is_all_or_nothing_at_every_limit() {
    let argv: Arguments = [&[b'x'; 3 * PAGE][..]].into_iter().collect();
    let mut limit = 1;
    loop {
        let memory = group(Some(limit));
        match load_with(File::program().bytes(), &memory, &argv, &argv, Limits::default()) {
            Ok(_) => break,
            Err(error) => assert_eq!(error.errno, Errno::ENOMEM),
        }
        assert_all_freed(&memory);
        limit += 1;
    }
    assert!((10..40).contains(&limit), "{limit} frames");
}

/// The words at the stack pointer and the strings they point to.
struct Stack {
    argv: Vec<Vec<u8>>,
    envp: Vec<Vec<u8>>,
    auxiliary: Vec<(usize, usize)>,
}

impl Stack {
    /// What the auxiliary vector says.
    fn value(&self, key: usize) -> usize {
        self.auxiliary.iter().find(|(k, _)| *k == key).expect("there").1
    }
}

fn parse_stack(image: &Image) -> Stack {
    let space = &image.space;
    assert_eq!(image.stack.0 % 16, 0);
    let mut at = image.stack;
    let mut word = || {
        let word = space.read::<usize>(at).expect("mapped");
        at = offset(at, 8);
        word
    };
    let argc = word();
    let mut strings = || {
        let pointers: Vec<_> = core::iter::from_fn(|| Some(word()).filter(|&word| word != 0)).collect();
        let read = |&at: &usize| space.read_c_string(UserAddr(at), 1 << 20).expect("mapped");
        pointers.iter().map(read).collect::<Vec<_>>()
    };
    let (argv, envp) = (strings(), strings());
    assert_eq!(argv.len(), argc);
    let auxiliary = core::iter::from_fn(|| Some((word(), word())).filter(|&(key, _)| key != 0)).collect();
    Stack { argv, envp, auxiliary }
}

#[test]
fn a_program_finds_its_arguments_environment_and_auxiliary_vector() {
    let memory = group(None);
    let argv: Arguments = [&b"program"[..], b"", b"second"].into_iter().collect();
    let envp: Arguments = [&b"A=1"[..], b"B=2"].into_iter().collect();
    let image = load_with(File::program().bytes(), &memory, &argv, &envp, Limits::default()).expect("a good program");
    let stack = parse_stack(&image);
    assert_eq!(stack.argv, [&b"program"[..], b"", b"second"]);
    assert_eq!(stack.envp, [&b"A=1"[..], b"B=2"]);
    let value = |key| stack.value(key);
    for (key, expected) in [
        (3, TEXT + 64),
        (4, 56),
        (5, 3),
        (6, PAGE),
        (7, 0),
        (9, TEXT + 0x200),
        (11, 1),
        (12, 2),
        (13, 3),
        (14, 4),
        (23, 1),
    ] {
        assert_eq!(value(key), expected, "key {key}");
    }
    assert_eq!(image.space.read::<[u8; 16]>(UserAddr(value(25))), Ok([7; 16]));
    assert_eq!(image.space.read_c_string(UserAddr(value(31)), 100), Ok(b"/bin/program".to_vec()));
    let empty = load_bytes(File::program().bytes(), &memory).expect("a good program");
    assert_eq!(parse_stack(&empty).argv, [b""], "argc is never 0");
}

#[test]
fn arguments_are_read_from_memory_within_their_budget() {
    let memory = group(None);
    let space = space(&memory);
    let at = anonymous(&space, 80);
    let put = |string: &[u8], to: usize| {
        space.write_bytes(offset(at, to), string).expect("mapped");
        at.0 + to
    };
    let table = [put(b"one\0", 4096), put(b"\0", 5000), put(b"three\0", 6000), 0];
    space.write(at, &table).expect("mapped");
    let mut budget = Arguments::MAX_BYTES;
    let list = Arguments::read(&space, at, &mut budget).expect("good");
    assert_eq!(list.iter().collect::<Vec<_>>(), [&b"one"[..], b"", b"three"]);
    assert_eq!(Arguments::MAX_BYTES - budget, 3 * 8 + 11);
    assert_eq!(Arguments::read(&space, UserAddr(0), &mut budget), Ok(Arguments::default()));
    assert_eq!(Arguments::read(&space, at, &mut 34), Err(Errno::E2BIG));
    assert!(Arguments::read(&space, at, &mut 35).is_ok());
    assert_eq!(Arguments::read(&space, UserAddr(8), &mut budget), Err(Errno::EFAULT));
    space.write(at, &[at.0 + 81 * PAGE, 0]).expect("mapped");
    assert_eq!(Arguments::read(&space, at, &mut budget), Err(Errno::EFAULT));
    let long = vec![b'x'; Arguments::MAX_STRING_BYTES];
    space.write(at, &[put(&long, 8192), 0]).expect("mapped");
    assert_eq!(Arguments::read(&space, at, &mut budget), Err(Errno::E2BIG));
}

#[test]
fn more_than_a_quarter_of_the_stack_in_arguments_is_too_long() {
    let memory = group(None);
    let long: Arguments = [&[b'x'; 40 * PAGE][..]].into_iter().collect();
    let limits = Limits { stack: 128 * PAGE, ..Limits::default() };
    let error = load_with(File::program().bytes(), &memory, &long, &Arguments::default(), limits).err();
    assert_eq!(error.map(|error| error.errno), Some(Errno::E2BIG));
    let error = load_with(
        File::program().bytes(),
        &memory,
        &Arguments::default(),
        &Arguments::default(),
        Limits { stack: 0, ..limits },
    );
    assert!(error.is_ok(), "what is there before the first push is not limited");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_damage_to_the_headers_makes_more_than_an_error(
        damage in proptest::collection::vec((0..64 + 3 * 56usize, any::<u8>()), 1..5),
        extreme in proptest::option::of((0..24usize, prop_oneof![Just(u64::MAX), Just(1 << 63), Just(0x7fff_ffff_f000), any::<u64>()])),
        independent in any::<bool>(),
    ) {
        let memory = group(None);
        let mut bytes = File { kind: 2 + u16::from(independent), ..File::program() }.bytes();
        for (at, value) in damage {
            bytes[at] = value;
        }
        if let Some((at, value)) = extreme {
            bytes[24 + at * 8..32 + at * 8].copy_from_slice(&value.to_le_bytes());
        }
        match load_bytes(bytes, &memory) {
            Ok(image) => prop_assert!(image.entry.0 <= layout::TOP),
            Err(error) => prop_assert!(!error.reason.is_empty()),
        }
        assert_all_freed(&memory);
    }
}
