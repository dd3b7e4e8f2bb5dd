//! The stack as a program finds it (System V ABI, "Process Initialization"): argc, argv, envp and the auxiliary
//! vector at the stack pointer, what they point to above.

use alloc::vec::Vec;
use linux_raw_sys::auxvec;
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, UserAddr, arch::DESCRIPTION, cpu, mem::Protection, user::UserContext};
use zerocopy::IntoBytes;

use super::{Arguments, ExecError, Program, not_mapped};
use crate::mm::{AddressSpace, Content, Landmarks, Mapping, Place};

/// What the stack has below the first stack pointer before it has to grow.
const ROOM_BYTES: usize = 128 * 1024;
/// What times(2) counts in a second.
const CLOCK_TICKS: usize = 100;
/// The end of the auxiliary vector.
const AT_NULL: u32 = 0;

/// A stack that is filled.
pub(super) struct Stack {
    /// Where argc is.
    pub pointer: UserAddr,
    /// Where the strings and the auxiliary vector are; nothing else is set.
    pub landmarks: Landmarks,
}

/// Where files were loaded.
pub(super) struct Places {
    /// What the program was moved by.
    pub bias: usize,
    /// What its interpreter was moved by; 0 without one.
    pub interpreter_bias: usize,
    /// Where the vDSO is.
    pub vdso: UserAddr,
}

/// Maps the stack and fills it.
pub(super) fn build(space: &AddressSpace, program: &Program<'_>, places: Places) -> Result<Stack, ExecError> {
    let (headers, bias) = (&program.elf.headers, places.bias);
    // A program may rely on its argv[0]: Linux gives an empty one since 5.18.
    let unnamed: Arguments = [&b""[..]].into_iter().collect();
    let argv = if program.argv.count() == 0 { &unnamed } else { program.argv };
    let envp = program.envp;
    let mut path = Vec::from(program.path);
    path.push(0);

    let stack_top = program.layout.stack_top;
    let mut at = stack_top - size_of::<usize>();
    let mut place = |bytes: &[u8]| {
        at = at.saturating_sub(bytes.len());
        at
    };
    let path_at = place(&path);
    let envp_at = place(envp.as_bytes());
    let argv_at = place(argv.as_bytes());
    let platform = [DESCRIPTION.as_bytes(), b"\0"].concat();
    let platform_at = place(&platform);
    let random_at = place(&program.random);

    let identity = program.identity;
    let [features, more_features] = cpu::hardware_capabilities();
    let auxiliary: [(u32, usize); 21] = [
        (auxvec::AT_SYSINFO_EHDR, places.vdso.0),
        (auxvec::AT_PHDR, headers.headers_address.map_or(0, |at| at + bias)),
        (auxvec::AT_PHENT, 56),
        (auxvec::AT_PHNUM, headers.header_count),
        (auxvec::AT_PAGESZ, PAGE_SIZE),
        (auxvec::AT_BASE, places.interpreter_bias),
        (auxvec::AT_FLAGS, 0),
        (auxvec::AT_ENTRY, headers.entry + bias),
        (auxvec::AT_UID, identity.uid as usize),
        (auxvec::AT_EUID, identity.euid as usize),
        (auxvec::AT_GID, identity.gid as usize),
        (auxvec::AT_EGID, identity.egid as usize),
        (auxvec::AT_SECURE, usize::from(identity.secure)),
        (auxvec::AT_RANDOM, random_at),
        (auxvec::AT_EXECFN, path_at),
        (auxvec::AT_HWCAP, features),
        (auxvec::AT_HWCAP2, more_features),
        (auxvec::AT_MINSIGSTKSZ, UserContext::handler_frame_bytes()),
        (auxvec::AT_CLKTCK, CLOCK_TICKS),
        (auxvec::AT_PLATFORM, platform_at),
        (AT_NULL, 0),
    ];
    let mut words = Vec::with_capacity(3 + argv.count() + envp.count() + 2 * auxiliary.len());
    words.push(argv.count());
    push_pointers(&mut words, argv, argv_at);
    push_pointers(&mut words, envp, envp_at);
    words.extend(auxiliary.iter().flat_map(|&(key, value)| [key as usize, value]));

    let pointer = random_at.saturating_sub(size_of_val(&words[..])) & !15;
    check_size(space, stack_top - pointer)?;
    map(space, stack_top, stack_top - pointer, headers.executable_stack)?;
    for (at, bytes) in [
        (path_at, &path[..]),
        (envp_at, envp.as_bytes()),
        (argv_at, argv.as_bytes()),
        (platform_at, &platform),
        (random_at, &program.random),
        (pointer, words.as_bytes()),
    ] {
        space.write_unloaded(UserAddr(at), bytes)?;
    }
    let end = pointer + size_of_val(&words[..]);
    let landmarks = Landmarks {
        stack: pointer,
        arguments: argv_at..argv_at + argv.as_bytes().len(),
        environment: envp_at..envp_at + envp.as_bytes().len(),
        auxiliary: end - size_of_val(&auxiliary)..end,
        ..Landmarks::default()
    };
    Ok(Stack { pointer: UserAddr(pointer), landmarks })
}

/// The addresses of strings that lie one after the other, and a null.
fn push_pointers(words: &mut Vec<usize>, strings: &Arguments, start: usize) {
    let mut at = start;
    for string in strings.iter() {
        words.push(at);
        at += string.len() + 1;
    }
    words.push(0);
}

fn check_size(space: &AddressSpace, bytes: usize) -> Result<(), ExecError> {
    // The auxiliary vector and the file's name are not the caller's.
    const OURS: usize = 2 * PAGE_SIZE;
    let most = Arguments::MAX_BYTES.min(space.limits().stack / 4);
    if bytes > most.saturating_add(OURS) {
        return Err(ExecError { errno: Errno::E2BIG, reason: "arguments and environment are too long".into() });
    }
    Ok(())
}

fn map(space: &AddressSpace, top: usize, bytes: usize, executable: bool) -> Result<(), ExecError> {
    let most = space.limits().stack / PAGE_SIZE * PAGE_SIZE;
    let length = (bytes + ROOM_BYTES).next_multiple_of(PAGE_SIZE).min(most.max(bytes.next_multiple_of(PAGE_SIZE)));
    let mut protection = Protection::READ | Protection::WRITE;
    protection.set(Protection::EXECUTE, executable);
    let place = Place::Free(UserAddr(top - length));
    let stack = Mapping { content: Content::Stack, ..Mapping::private(place, length, protection) };
    space.map(stack).map(|_| ()).map_err(not_mapped)
}
