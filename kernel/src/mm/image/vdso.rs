//! The vDSO (vdso(7)): a shared library of one page that every program finds in its memory. The C library looks there for
//! functions that read clocks, and handlers of signals return to it where programs bring no code for that. The code is
//! [`veridian_hal::vdso`]'s; around it are the tables by which it is found (System V ABI, "Dynamic Linking").

use alloc::vec::Vec;
use veridian_hal::{
    PAGE_SIZE, arch,
    vdso::{Clocks, Vdso},
};
use zerocopy::IntoBytes;

const ELF_HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
const SYMBOL_BYTES: usize = 24;
/// Where in the page the code is: behind the headers.
const CODE_AT: usize = (ELF_HEADER_BYTES + 2 * PROGRAM_HEADER_BYTES).next_multiple_of(Clocks::BYTES);
/// The library's own name.
const NAME: &str = "linux-vdso.so.1";
/// The number of the only version; 1 is the library itself.
const VERSION: u16 = 2;

/// Kinds of program headers, and their rights.
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PF_R: u32 = 4;
const PF_RX: u32 = 5;
/// Entries of the dynamic section.
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_STRSZ: u64 = 10;
const DT_SYMENT: u64 = 11;
const DT_SONAME: u64 = 14;
const DT_VERSYM: u64 = 0x6fff_fff0;
const DT_VERDEF: u64 = 0x6fff_fffc;
const DT_VERDEFNUM: u64 = 0x6fff_fffd;
/// A function that all may use (`st_info`), in some section (`st_shndx`).
const GLOBAL_FUNCTION: u64 = 0x12;
const SOME_SECTION: u64 = 1;

/// Where in the page the code is that handlers return to.
pub fn signal_return() -> Option<usize> {
    let vdso = Vdso::get();
    vdso.signal_return.map(|index| CODE_AT + vdso.offsets[index] as usize)
}

/// The page, for clocks that show this.
pub fn page(clocks: Clocks) -> Vec<u8> {
    let vdso = Vdso::get();
    let mut strings = Strings::default();
    let names: Vec<u32> = vdso.names.iter().map(|name| strings.add(name)).collect();
    let (own_name, version_name) = (strings.add(NAME), strings.add(vdso.version));

    let mut page = Vec::with_capacity(PAGE_SIZE);
    page.resize(CODE_AT, 0);
    page.extend_from_slice(vdso.code);
    page[CODE_AT..][..Clocks::BYTES].copy_from_slice(&clocks.to_bytes());
    // All symbols hang together behind one bucket: each names the next.
    let count = vdso.names.len() as u32;
    let chain = (1..=count).map(|index| if index < count { index + 1 } else { 0 });
    let hash: Vec<u32> = [1, count + 1, 1, 0].into_iter().chain(chain).collect();
    let hash = place(&mut page, hash.as_bytes());
    let symbols = names.iter().zip(vdso.offsets).flat_map(|(&name, offset)| {
        let address = CODE_AT as u64 + offset;
        [u64::from(name) | GLOBAL_FUNCTION << 32 | SOME_SECTION << 48, address, 0]
    });
    let symbols: Vec<u64> = [0; 3].into_iter().chain(symbols).collect();
    let symbols = place(&mut page, symbols.as_bytes());
    let versions: Vec<u16> = [0].into_iter().chain(names.iter().map(|_| VERSION)).collect();
    let versions = place(&mut page, versions.as_bytes());
    let definitions = [
        version_definition(1, true, (own_name, NAME), false),
        version_definition(VERSION, false, (version_name, vdso.version), true),
    ];
    let definitions = place(&mut page, definitions.as_bytes());
    let string_table = place(&mut page, &strings.bytes);
    let dynamic: [[u64; 2]; 10] = [
        [DT_SONAME, own_name.into()],
        [DT_HASH, hash],
        [DT_SYMTAB, symbols],
        [DT_SYMENT, SYMBOL_BYTES as u64],
        [DT_STRTAB, string_table],
        [DT_STRSZ, strings.bytes.len() as u64],
        [DT_VERSYM, versions],
        [DT_VERDEF, definitions],
        [DT_VERDEFNUM, 2],
        [0, 0],
    ];
    let dynamic_at = place(&mut page, dynamic.as_bytes());

    let whole = page.len() as u64;
    let headers = [
        program_header(PT_LOAD, PF_RX, 0, whole, PAGE_SIZE as u64),
        program_header(PT_DYNAMIC, PF_R, dynamic_at, size_of_val(&dynamic) as u64, 8),
    ];
    page[..ELF_HEADER_BYTES].copy_from_slice(elf_header().as_bytes());
    page[ELF_HEADER_BYTES..][..size_of_val(&headers)].copy_from_slice(headers.as_bytes());
    page
}

/// Names, each ended by a zero, the empty one first.
struct Strings {
    bytes: Vec<u8>,
}

impl Default for Strings {
    fn default() -> Self {
        Self { bytes: Vec::from([0]) }
    }
}

impl Strings {
    /// Adds one; where it begins.
    fn add(&mut self, name: &str) -> u32 {
        let at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        at
    }
}

/// Puts a table behind all that is there; where it begins.
fn place(page: &mut Vec<u8>, table: &[u8]) -> u64 {
    page.resize(page.len().next_multiple_of(8), 0);
    let at = page.len() as u64;
    page.extend_from_slice(table);
    at
}

/// A shared library for this machine, with two program headers and no sections.
fn elf_header() -> [u64; 8] {
    const SHARED_LIBRARY: u64 = 3;
    let kind = SHARED_LIBRARY | u64::from(arch::ELF_MACHINE) << 16 | 1 << 32;
    let sizes = (ELF_HEADER_BYTES as u64) << 32 | (PROGRAM_HEADER_BYTES as u64) << 48;
    [u64::from_le_bytes(*b"\x7fELF\x02\x01\x01\0"), 0, kind, 0, ELF_HEADER_BYTES as u64, 0, sizes, 2]
}

fn program_header(kind: u32, rights: u32, at: u64, length: u64, align: u64) -> [u64; 7] {
    [u64::from(kind) | u64::from(rights) << 32, at, at, at, length, length, align]
}

/// A version with its name (`Elf64_Verdef`, `Elf64_Verdaux`).
fn version_definition(number: u16, is_base: bool, (at, name): (u32, &str), is_last: bool) -> [u32; 7] {
    const HEADER_BYTES: u32 = 20;
    let next = if is_last { 0 } else { HEADER_BYTES + 8 };
    let (version_and_flags, index_and_count) = (1 | u32::from(is_base) << 16, u32::from(number) | 1 << 16);
    [version_and_flags, index_and_count, hash(name), HEADER_BYTES, next, at, 0]
}

/// The hash of names (System V ABI, "Hash Table").
fn hash(name: &str) -> u32 {
    name.bytes().fold(0, |hash: u32, byte| {
        let hash = (hash << 4).wrapping_add(byte.into());
        let high = hash & 0xf000_0000;
        (hash ^ high >> 24) & !high
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks a function up as a dynamic linker does: by the program headers, the hash table and the versions.
    fn find(page: &[u8], wanted: &str) -> Option<u64> {
        let number = |at: u64, bytes: usize| {
            let mut word = [0; 8];
            word[..bytes].copy_from_slice(&page[at as usize..][..bytes]);
            u64::from_le_bytes(word)
        };
        let text = |at: u64| page[at as usize..].split(|&byte| byte == 0).next().expect("one part at least");
        let headers = (0..number(56, 2)).map(|index| number(32, 8) + index * 56);
        let dynamic = headers.into_iter().find(|&at| number(at, 4) == u64::from(PT_DYNAMIC))?;
        let entry = |tag| {
            let entries = (number(dynamic + 8, 8)..).step_by(16).take_while(|&at| number(at, 8) != 0);
            entries.into_iter().find(|&at| number(at, 8) == tag).map(|at| number(at + 8, 8))
        };
        let (table, names, symbols) = (entry(DT_HASH)?, entry(DT_STRTAB)?, entry(DT_SYMTAB)?);
        let buckets = number(table, 4);
        let mut index = number(table + 8 + 4 * (u64::from(hash(wanted)) % buckets), 4);
        while index != 0 {
            let symbol = symbols + index * entry(DT_SYMENT)?;
            if text(names + number(symbol, 4)) == wanted.as_bytes() {
                let version = number(entry(DT_VERSYM)? + 2 * index, 2);
                let base = entry(DT_VERDEF)?;
                let definition = base + number(base + 16, 4);
                assert_eq!(number(definition + 4, 2), version);
                let name = text(names + number(definition + number(definition + 12, 4), 4));
                assert_eq!((name, number(definition + 8, 4)), (&b"HOSTED_1"[..], u64::from(hash("HOSTED_1"))));
                assert!(number(symbol + 6, 2) != 0, "defined here");
                return Some(number(symbol + 8, 8));
            }
            index = number(table + 8 + 4 * (buckets + index), 4);
        }
        None
    }

    #[test]
    fn a_dynamic_linker_finds_the_functions_and_their_version() {
        let clocks = Clocks { realtime_ns: 0x1234_5678_9abc, ..Clocks::default() };
        let page = page(clocks);
        assert!(page.len() <= PAGE_SIZE);
        assert_eq!(find(&page, "clock_gettime"), Some(CODE_AT as u64 + 64));
        assert_eq!(find(&page, "rt_sigreturn"), signal_return().map(|at| at as u64));
        assert_eq!(find(&page, "getcpu"), None);
        assert_eq!(page[CODE_AT + 16..][..8], clocks.realtime_ns.to_le_bytes());
    }

    #[test]
    fn names_have_the_hashes_that_others_reckon() {
        // From the libraries of x86_64 and aarch64.
        assert_eq!([hash("LINUX_2.6"), hash("LINUX_2.6.39")], [0x03ae_75f6, 0x075f_cb89]);
    }
}
