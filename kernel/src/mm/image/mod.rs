//! Program images: execve(2)'s part that makes a new address space out of an ELF file, arguments and environment.
//!
//! Loads ELF64 programs of this machine, position-independent ones too, and beside a program the interpreter that it
//! names (the dynamic linker), which runs first. Reads the first line of `#!` scripts. Which files these are is the
//! caller's to find. Nothing of a file is copied but the page where a segment's file part ends and its zeros begin.

use alloc::{borrow::Cow, sync::Arc};
use core::fmt;
use veridian_containers::abi::Errno;
use veridian_hal::{
    PAGE_SIZE, UserAddr,
    mem::{OutOfFrames, Protection},
};

use super::{AddressSpace, Content, FaultError, Landmarks, Layout, Limits, Mapping, PageSource, Place};
use crate::cgroup::{MemoryGroup, memory::OutOfMemory};

mod arguments;
mod headers;
mod script;
mod stack;
#[cfg(test)]
mod tests;
pub mod vdso;

pub use arguments::Arguments;
use headers::{Headers, Segment};
pub use script::Script;

/// A program's file, its headers read and checked.
pub struct Elf {
    file: Arc<dyn PageSource>,
    headers: Headers,
}

/// What a file is to execve(2).
pub enum Executable {
    /// A program.
    Elf(Elf),
    /// The text of one.
    Script(Script),
}

impl Executable {
    /// Looks what `file` is. What is read of it is charged to `memory`.
    ///
    /// # Errors
    /// ENOEXEC with a reason; ENOMEM.
    pub fn read(file: Arc<dyn PageSource>, memory: &MemoryGroup) -> Result<Self, ExecError> {
        let mut head = [0; script::HEAD_BYTES];
        let there = head.len().min(usize::try_from(file.length_bytes()).unwrap_or(usize::MAX));
        headers::read(&*file, memory, 0, &mut head[..there], "its beginning")?;
        match Script::parse(&head[..there])? {
            Some(script) => Ok(Self::Script(script)),
            None => Elf::read(file, memory).map(Self::Elf),
        }
    }
}

impl Elf {
    /// Reads the headers of `file`. What is read of it is charged to `memory`.
    ///
    /// # Errors
    /// ENOEXEC with a reason; ENOMEM.
    pub fn read(file: Arc<dyn PageSource>, memory: &MemoryGroup) -> Result<Self, ExecError> {
        let headers = Headers::read(&*file, memory)?;
        Ok(Self { file, headers })
    }

    /// The path of its interpreter, if it names one.
    pub fn interpreter(&self) -> Option<&[u8]> {
        self.headers.interpreter.as_deref()
    }

    /// Maps it where `bias` moves it.
    fn map(&self, space: &AddressSpace, bias: usize) -> Result<(), ExecError> {
        self.headers.segments.iter().try_for_each(|segment| map_segment(space, &self.file, segment, bias))
    }
}

/// What a program is started with.
pub struct Program<'a> {
    /// The file.
    pub elf: &'a Elf,
    /// The program that runs first and loads the libraries of this one.
    pub interpreter: Option<&'a Elf>,
    /// The name that it was called by (AT_EXECFN).
    pub path: &'a [u8],
    /// Its arguments.
    pub argv: &'a Arguments,
    /// Its environment.
    pub envp: &'a Arguments,
    /// Who it will be.
    pub identity: Identity,
    /// Seed of the program's own stack protector and hashes (AT_RANDOM).
    pub random: [u8; 16],
    /// Limits on its memory.
    pub limits: Limits,
    /// The [`vdso`] of its clocks.
    pub vdso: Arc<dyn PageSource>,
    /// Where its parts go.
    pub layout: Layout,
}

/// What the auxiliary vector tells a program of its credentials.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity {
    /// Real user.
    pub uid: u32,
    /// Effective user.
    pub euid: u32,
    /// Real group.
    pub gid: u32,
    /// Effective group.
    pub egid: u32,
    /// It got rights that its caller did not have: it must not trust its environment (AT_SECURE).
    pub secure: bool,
}

/// A program ready to run.
pub struct Image {
    /// Its memory.
    pub space: Arc<AddressSpace>,
    /// Its first instruction.
    pub entry: UserAddr,
    /// Its stack pointer, at argc.
    pub stack: UserAddr,
}

/// Why a file is not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecError {
    /// What execve(2) answers.
    pub errno: Errno,
    /// What to tell a person.
    pub reason: Cow<'static, str>,
}

impl ExecError {
    pub(super) fn not_executable(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { errno: Errno::ENOEXEC, reason: reason.into() }
    }

    fn out_of_memory() -> Self {
        Self { errno: Errno::ENOMEM, reason: Cow::Borrowed("out of memory") }
    }
}

impl fmt::Display for ExecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl From<OutOfMemory> for ExecError {
    fn from(_: OutOfMemory) -> Self {
        Self::out_of_memory()
    }
}

impl From<OutOfFrames> for ExecError {
    fn from(_: OutOfFrames) -> Self {
        Self::out_of_memory()
    }
}

impl From<FaultError> for ExecError {
    /// While the image is built only memory can be wanting: what is touched is mapped and lies within the file.
    fn from(error: FaultError) -> Self {
        match error {
            FaultError::OutOfMemory => Self::out_of_memory(),
            FaultError::Bus => Self::not_executable("truncated: the file got shorter while it was loaded"),
            FaultError::NotMapped | FaultError::Denied => {
                Self { errno: Errno::E2BIG, reason: Cow::Borrowed("the arguments do not fit the stack") }
            }
        }
    }
}

/// Makes a program's image, charged to `memory`. On an error nothing remains of it.
///
/// # Errors
/// ENOEXEC with a reason, E2BIG for arguments beyond [`Arguments::MAX_BYTES`] or a quarter of the stack, ENOMEM.
pub fn load(program: &Program<'_>, memory: &Arc<MemoryGroup>) -> Result<Image, ExecError> {
    let headers = &program.elf.headers;
    let bias = headers.bias(program.layout.pie_base)?;
    let space = AddressSpace::new(memory.clone(), program.limits, program.layout.mmap_top)
        .map_err(|errno| ExecError { errno, ..ExecError::out_of_memory() })?;
    program.elf.map(&space, bias)?;
    let interpreter = program.interpreter.map(|elf| load_interpreter(&space, elf)).transpose()?;
    let vdso = map_vdso(&space, program.vdso.clone(), program.layout.vdso)?;
    let places = stack::Places { bias, interpreter_bias: interpreter.as_ref().map_or(0, |loaded| loaded.bias), vdso };
    let stack = stack::build(&space, program, places)?;
    space.set_heap_start(headers.end() + bias + program.layout.heap_gap);
    space.set_landmarks(Landmarks {
        vdso,
        executable: Some(program.elf.file.clone()),
        code: headers.stretch(Protection::EXECUTE, bias),
        data: headers.stretch(Protection::WRITE, bias),
        ..stack.landmarks
    });
    let entry = interpreter.map_or(headers.entry + bias, |loaded| loaded.entry);
    Ok(Image { space, entry: UserAddr(entry), stack: stack.pointer })
}

/// An interpreter in memory.
struct Interpreter {
    bias: usize,
    entry: usize,
}

/// Maps the interpreter among the mappings, or where its file says.
fn load_interpreter(space: &AddressSpace, elf: &Elf) -> Result<Interpreter, ExecError> {
    let headers = &elf.headers;
    let base = space.find_room(headers.room()).ok_or_else(ExecError::out_of_memory)?;
    let bias = headers.bias_within(base)?;
    elf.map(space, bias)?;
    Ok(Interpreter { bias, entry: headers.entry + bias })
}

/// Maps the library that the kernel gives to each program, at its own place if the program has not taken that.
fn map_vdso(space: &AddressSpace, source: Arc<dyn PageSource>, at: usize) -> Result<UserAddr, ExecError> {
    let allowed = Protection::READ | Protection::EXECUTE;
    let content = Content::PrivateFile { source, first: 0 };
    let mapping = Mapping { content, allowed, ..Mapping::private(Place::Near(UserAddr(at)), PAGE_SIZE, allowed) };
    space.map(mapping).map_err(|_| ExecError::out_of_memory())
}

fn map_segment(
    space: &AddressSpace,
    file: &Arc<dyn PageSource>,
    segment: &Segment,
    bias: usize,
) -> Result<(), ExecError> {
    let start = segment.memory.start / PAGE_SIZE * PAGE_SIZE;
    let file_end = segment.memory.start + segment.file_bytes;
    let zeros = file_end.next_multiple_of(PAGE_SIZE)..segment.memory.end.next_multiple_of(PAGE_SIZE);
    let has_tail = segment.memory.end > file_end && !file_end.is_multiple_of(PAGE_SIZE) && segment.file_bytes > 0;
    let map = |start: usize, end: usize, protection, content| {
        let place = Place::Free(UserAddr(start + bias));
        let mapping = Mapping { content, ..Mapping::private(place, end - start, protection) };
        space.map(mapping).map_err(not_mapped)
    };
    if segment.file_bytes > 0 {
        let content = Content::PrivateFile { source: file.clone(), first: segment.first_page };
        let to_zero = if has_tail { Protection::WRITE } else { Protection::empty() };
        map(start, zeros.start, segment.protection | to_zero, content)?;
        if has_tail {
            let page = UserAddr(file_end + bias).page_start();
            space.writable_frame(page)?.zero(file_end % PAGE_SIZE..PAGE_SIZE);
            space
                .protect(UserAddr(start + bias), zeros.start - start, segment.protection)
                .map_err(|_| ExecError::out_of_memory())?;
        }
    }
    let zeros_start = if segment.file_bytes > 0 { zeros.start } else { start };
    if zeros.end > zeros_start {
        map(zeros_start, zeros.end, segment.protection, Content::Private)?;
    }
    Ok(())
}

/// Why a segment or the stack was not mapped at its place.
fn not_mapped(errno: Errno) -> ExecError {
    match errno {
        Errno::ENOMEM => ExecError::out_of_memory(),
        _ => ExecError::not_executable("a segment does not fit the address space"),
    }
}
