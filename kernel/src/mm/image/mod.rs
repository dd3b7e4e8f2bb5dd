//! Program images: execve(2)'s part that makes a new address space out of an ELF file, arguments and environment.
//!
//! Loads static ELF64 programs of this machine, position-independent ones too. A program that names an interpreter
//! (a dynamically linked one) and a `#!` script are refused with ENOEXEC and the reason. Nothing of the file is
//! copied but the page where a segment's file part ends and its zeros begin.

use alloc::{borrow::Cow, sync::Arc};
use core::fmt;
use veridian_containers::abi::Errno;
use veridian_hal::{
    PAGE_SIZE, UserAddr,
    mem::{OutOfFrames, Protection},
};

use super::{AddressSpace, Content, FaultError, Landmarks, Limits, Mapping, PageSource, Place, layout};
use crate::cgroup::{MemoryGroup, memory::OutOfMemory};

mod arguments;
mod headers;
mod stack;
#[cfg(test)]
mod tests;

pub use arguments::Arguments;
use headers::{Headers, Segment};

/// What a program is started with.
pub struct Program<'a> {
    /// The file.
    pub file: Arc<dyn PageSource>,
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
    fn not_executable(reason: impl Into<Cow<'static, str>>) -> Self {
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
    let headers = Headers::read(&*program.file, memory)?;
    let bias = headers.bias();
    let space = AddressSpace::new(memory.clone(), program.limits)
        .map_err(|errno| ExecError { errno, ..ExecError::out_of_memory() })?;
    let stack = stack::build(&space, program, &headers, bias)?;
    for segment in &headers.segments {
        map_segment(&space, &program.file, segment, bias)?;
    }
    let end = headers.segments.last().map_or(0, |last| last.memory.end);
    space.set_heap_start((end + bias).next_multiple_of(PAGE_SIZE));
    space.set_landmarks(Landmarks {
        executable: Some(program.file.clone()),
        code: headers.extent(Protection::EXECUTE, bias),
        data: headers.extent(Protection::WRITE, bias),
        ..stack.landmarks
    });
    Ok(Image { space, entry: UserAddr(headers.entry + bias), stack: stack.pointer })
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
        space.map(mapping).map_err(|errno| match errno {
            Errno::ENOMEM => ExecError::out_of_memory(),
            _ => ExecError::not_executable("a segment does not fit the address space"),
        })
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
