//! What the headers of an ELF file say, checked: see elf(5). Nothing here trusts a number of the file before it has
//! been compared with the file's length and the address space.

use alloc::{format, string::String, vec, vec::Vec};
use core::ops::Range;
use elf::{
    abi,
    endian::{AnyEndian, EndianParse},
    file::{Class, FileHeader},
    parse::ParseAt,
    segment::ProgramHeader,
};
use veridian_hal::{
    PAGE_SIZE,
    arch::{DESCRIPTION, ELF_MACHINE},
    mem::Protection,
};

use super::{ExecError, PageSource};
use crate::{cgroup::MemoryGroup, mm::layout};

const FILE_HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
/// What all program headers together may take, as on Linux.
const MAX_HEADERS_BYTES: usize = 64 * 1024;
/// The longest name of an interpreter, its NUL included (PATH_MAX).
const MAX_NAME_BYTES: u64 = 4096;

/// A program's headers. Addresses are the file's; [`Self::bias`] is to be added.
pub(super) struct Headers {
    pub entry: usize,
    /// Where the program will find its own program headers; `None` when no segment holds them.
    pub headers_address: Option<usize>,
    pub header_count: usize,
    /// Ascending, at least one page apart from each other's pages.
    pub segments: Vec<Segment>,
    pub executable_stack: bool,
    /// The path of the program that is to load the libraries of this one (PT_INTERP).
    pub interpreter: Option<Vec<u8>>,
    position_independent: bool,
    alignment: usize,
}

/// A PT_LOAD segment.
pub(super) struct Segment {
    pub memory: Range<usize>,
    /// Bytes from the file, at the segment's start; the rest is zero.
    pub file_bytes: usize,
    /// The file's page that the segment's first page shows.
    pub first_page: u64,
    pub protection: Protection,
}

impl Headers {
    pub fn read(file: &dyn PageSource, memory: &MemoryGroup) -> Result<Self, ExecError> {
        let header = file_header(file, memory)?;
        let count = usize::from(header.e_phnum);
        let bytes = count * PROGRAM_HEADER_BYTES;
        if usize::from(header.e_phentsize) != PROGRAM_HEADER_BYTES || bytes == 0 || bytes > MAX_HEADERS_BYTES {
            return Err(ExecError::not_executable("malformed: the sizes of the program headers"));
        }
        let mut raw = vec![0; bytes];
        read(file, memory, header.e_phoff, &mut raw, "the program headers")?;
        let mut headers = Self {
            entry: address(header.e_entry).ok_or_else(|| ExecError::not_executable("the entry is no user address"))?,
            headers_address: None,
            header_count: count,
            segments: Vec::new(),
            executable_stack: false,
            interpreter: None,
            position_independent: header.e_type == abi::ET_DYN,
            alignment: PAGE_SIZE,
        };
        let mut offset = 0;
        for index in 0..count {
            let program_header = ProgramHeader::parse_at(header.endianness, Class::ELF64, &mut offset, &raw)
                .map_err(|_| ExecError::not_executable("malformed program headers"))?;
            match program_header.p_type {
                abi::PT_LOAD => headers.add(index, &program_header, file.length_bytes())?,
                abi::PT_INTERP if headers.interpreter.is_none() => {
                    headers.interpreter = Some(interpreter(file, memory, &program_header)?);
                }
                abi::PT_GNU_STACK => headers.executable_stack = program_header.p_flags & abi::PF_X != 0,
                _ => {}
            }
        }
        headers.find_headers(header.e_phoff, bytes);
        if headers.segments.is_empty() {
            return Err(ExecError::not_executable("nothing to load: it has no PT_LOAD segment"));
        }
        Ok(headers)
    }

    /// What is added to each address of the file: 0, or what brings a position-independent program to `base`, or a bit
    /// below so that it is aligned.
    ///
    /// # Errors
    /// ENOEXEC: it does not fit the address space there.
    pub fn bias(&self, base: usize) -> Result<usize, ExecError> {
        let too_large = || ExecError::not_executable("does not fit the address space");
        let bias = if self.position_independent {
            let aligned = |at: usize| at & !(self.alignment - 1);
            aligned(base).checked_sub(aligned(self.extent().start)).ok_or_else(too_large)?
        } else {
            0
        };
        let fits = |at: usize| at.checked_add(bias).is_some_and(|at| at <= layout::TOP);
        if !fits(self.extent().end) || !fits(self.entry) {
            return Err(too_large());
        }
        if self.extent().start + bias < layout::LOWEST {
            return Err(ExecError::not_executable("is to be loaded below the lowest user address"));
        }
        Ok(bias)
    }

    /// How many bytes must be free for [`Self::bias_within`].
    pub fn room(&self) -> usize {
        self.extent().len() + 2 * self.alignment
    }

    /// As [`Self::bias`], for a place within the [`Self::room`] from `start` on.
    pub fn bias_within(&self, start: usize) -> Result<usize, ExecError> {
        self.bias(start + self.alignment)
    }

    /// The end of the last segment's last page.
    pub fn end(&self) -> usize {
        self.extent().end
    }

    /// From the first page of the first segment to the last of the last.
    fn extent(&self) -> Range<usize> {
        let first = self.segments.first().map_or(0, |first| first.memory.start / PAGE_SIZE * PAGE_SIZE);
        first..self.segments.last().map_or(first, |last| last.memory.end.next_multiple_of(PAGE_SIZE))
    }

    /// From the first byte of the segments with `protection` to the last, where they are loaded.
    pub fn stretch(&self, protection: Protection, bias: usize) -> Range<usize> {
        let mut those = self.segments.iter().filter(|segment| segment.protection.contains(protection));
        let Some(first) = those.next() else { return 0..0 };
        let last = those.next_back().unwrap_or(first);
        first.memory.start + bias..last.memory.end + bias
    }

    fn add(&mut self, index: usize, header: &ProgramHeader, file_length: u64) -> Result<(), ExecError> {
        let wrong = |what: &str| Err(ExecError::not_executable(format!("segment {index}: {what}")));
        let page = PAGE_SIZE as u64;
        if header.p_memsz == 0 {
            return wrong("is empty");
        }
        if header.p_filesz > header.p_memsz {
            return wrong("has more bytes in the file than in memory");
        }
        if header.p_offset.checked_add(header.p_filesz).is_none_or(|end| end > file_length) {
            return wrong("truncated: reaches behind the end of the file");
        }
        if header.p_vaddr % page != header.p_offset % page {
            return wrong("its offset and its address lie differently in their pages");
        }
        let (Some(start), Some(end)) =
            (address(header.p_vaddr), header.p_vaddr.checked_add(header.p_memsz).and_then(address))
        else {
            return wrong("does not lie in user addresses");
        };
        let after = self.segments.last().map_or(0, |last| last.memory.end.next_multiple_of(PAGE_SIZE));
        if start / PAGE_SIZE * PAGE_SIZE < after {
            return wrong("overlaps the segment before it, or the order is not ascending");
        }
        let alignment = header.p_align.max(1);
        if !alignment.is_power_of_two() || alignment > layout::PIE_BASE as u64 {
            return wrong("its alignment is no sensible power of two");
        }
        self.alignment = self.alignment.max(alignment as usize);
        self.segments.push(Segment {
            memory: start..end,
            // Not more than the bytes in memory, which fit.
            file_bytes: header.p_filesz as usize,
            first_page: header.p_offset / page,
            protection: protection(header.p_flags),
        });
        Ok(())
    }

    /// The program headers are in memory if the file's part of a segment covers them.
    fn find_headers(&mut self, offset: u64, bytes: usize) {
        self.headers_address = self.segments.iter().find_map(|segment| {
            let in_page = (segment.memory.start % PAGE_SIZE) as u64;
            let into = offset.checked_sub(segment.first_page * PAGE_SIZE as u64 + in_page)?;
            let into = usize::try_from(into).ok()?;
            (into.checked_add(bytes)? <= segment.file_bytes).then_some(segment.memory.start + into)
        });
    }
}

fn file_header(file: &dyn PageSource, memory: &MemoryGroup) -> Result<FileHeader<AnyEndian>, ExecError> {
    let mut raw = [0; FILE_HEADER_BYTES];
    let there = FILE_HEADER_BYTES.min(usize::try_from(file.length_bytes()).unwrap_or(usize::MAX));
    read(file, memory, 0, &mut raw[..there], "the file header")?;
    if !raw.starts_with(&abi::ELFMAGIC) {
        return Err(ExecError::not_executable("not an ELF file"));
    }
    if there < FILE_HEADER_BYTES {
        return Err(ExecError::not_executable("truncated: the file header"));
    }
    let malformed = |_| ExecError::not_executable("malformed file header");
    let ident = elf::file::parse_ident::<AnyEndian>(&raw).map_err(malformed)?;
    let header = FileHeader::parse_tail(ident, &raw[abi::EI_NIDENT..]).map_err(malformed)?;
    if header.e_machine != ELF_MACHINE {
        let theirs = machine_name(header.e_machine);
        return Err(ExecError::not_executable(format!("wrong machine: program is {theirs}, this is {DESCRIPTION}")));
    }
    if header.class != Class::ELF64 || !header.endianness.is_little() {
        return Err(ExecError::not_executable("not a 64-bit little-endian program"));
    }
    if !matches!(header.e_type, abi::ET_EXEC | abi::ET_DYN) {
        return Err(ExecError::not_executable("not a program: an object file or a core dump"));
    }
    Ok(header)
}

fn interpreter(file: &dyn PageSource, memory: &MemoryGroup, header: &ProgramHeader) -> Result<Vec<u8>, ExecError> {
    let malformed = || ExecError::not_executable("malformed: the interpreter's name");
    if !(2..=MAX_NAME_BYTES).contains(&header.p_filesz) {
        return Err(malformed());
    }
    let mut name = vec![0; header.p_filesz as usize];
    read(file, memory, header.p_offset, &mut name, "the interpreter's name")?;
    let end = name.iter().position(|&byte| byte == 0).filter(|&end| end > 0).ok_or_else(malformed)?;
    name.truncate(end);
    Ok(name)
}

/// Reads `to.len()` bytes of the file at `offset`; `what` they are is for the message if they are not there.
pub(super) fn read(
    file: &dyn PageSource,
    memory: &MemoryGroup,
    offset: u64,
    to: &mut [u8],
    what: &str,
) -> Result<(), ExecError> {
    if offset.checked_add(to.len() as u64).is_none_or(|end| end > file.length_bytes()) {
        return Err(ExecError::not_executable(format!("truncated: {what}")));
    }
    let mut done = 0;
    while done < to.len() {
        let at = offset + done as u64;
        let (index, in_page) = (at / PAGE_SIZE as u64, (at % PAGE_SIZE as u64) as usize);
        let step = (PAGE_SIZE - in_page).min(to.len() - done);
        let page = file
            .page(index, memory)
            .map_err(|errno| ExecError { errno, reason: format!("{what} cannot be read").into() })?;
        page.read(in_page, &mut to[done..done + step]);
        done += step;
    }
    Ok(())
}

/// A number of the file as a user address, or as the end of a range of them.
fn address(number: u64) -> Option<usize> {
    usize::try_from(number).ok().filter(|&at| at <= layout::TOP)
}

fn protection(flags: u32) -> Protection {
    let mut protection = Protection::empty();
    protection.set(Protection::READ, flags & abi::PF_R != 0);
    protection.set(Protection::WRITE, flags & abi::PF_W != 0);
    protection.set(Protection::EXECUTE, flags & abi::PF_X != 0);
    protection
}

fn machine_name(number: u16) -> String {
    let known = match number {
        abi::EM_386 => "i386",
        abi::EM_ARM => "arm",
        abi::EM_X86_64 => "x86_64",
        abi::EM_AARCH64 => "aarch64",
        abi::EM_RISCV => "riscv64",
        _ => return format!("for machine {number}"),
    };
    String::from(known)
}
