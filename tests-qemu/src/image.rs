//! What is read out of a kernel's ELF file: the flat image that some loaders want, and the symbol table.

use elf::{ElfBytes, abi, endian::LittleEndian};
use std::{fmt::Write, io};

fn parse(elf: &[u8]) -> io::Result<ElfBytes<'_, LittleEndian>> {
    ElfBytes::minimal_parse(elf).map_err(|error| io::Error::other(format!("not an ELF file: {error}")))
}

fn bad(error: elf::ParseError) -> io::Error {
    io::Error::other(format!("damaged ELF file: {error}"))
}

/// The loadable segments laid out as in physical memory, from the lowest address on, without what the kernel
/// clears itself. For aarch64 this is the form of Linux's `Image`, whose header the kernel's first bytes are.
pub fn flat(elf: &[u8]) -> io::Result<Vec<u8>> {
    let file = parse(elf)?;
    let segments: Vec<_> = file
        .segments()
        .ok_or_else(|| io::Error::other("an ELF file without segments"))?
        .iter()
        .filter(|segment| segment.p_type == abi::PT_LOAD && segment.p_filesz > 0)
        .collect();
    let base = segments.iter().map(|segment| segment.p_paddr).min().unwrap_or(0);
    let mut image = Vec::new();
    for segment in segments {
        let start = (segment.p_paddr - base) as usize;
        let data = file.segment_data(&segment).map_err(bad)?;
        if image.len() < start + data.len() {
            image.resize(start + data.len(), 0);
        }
        image[start..start + data.len()].copy_from_slice(data);
    }
    Ok(image)
}

/// The functions of the kernel, one `hexadecimal-address name` a line, sorted by address, names readable:
/// what the kernel's backtraces look their addresses up in.
pub fn symbols(elf: &[u8]) -> io::Result<String> {
    let file = parse(elf)?;
    let Some((table, names)) = file.symbol_table().map_err(bad)? else {
        return Ok(String::new());
    };
    let mut functions = Vec::new();
    for symbol in table.iter().filter(|symbol| symbol.st_symtype() == abi::STT_FUNC && symbol.st_size > 0) {
        let name = names.get(symbol.st_name as usize).map_err(bad)?;
        functions.push((symbol.st_value, short(name)));
    }
    functions.sort();
    functions.dedup_by_key(|(address, _)| *address);
    let mut text = String::new();
    for (address, name) in functions {
        writeln!(text, "{address:x} {name}").expect("a String takes all that is written to it");
    }
    Ok(text)
}

/// A name as a person says it: demangled, without the hash, and not longer than a line of a backtrace.
fn short(mangled: &str) -> String {
    const LONGEST: usize = 100;
    let name = format!("{:#}", rustc_demangle::demangle(mangled));
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_symbols_of_this_test_are_sorted_and_hold_this_test() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let text = symbols(&program).unwrap();
        let mut last = 0;
        for line in text.lines() {
            let (address, _) = line.split_once(' ').unwrap();
            let address = u64::from_str_radix(address, 16).unwrap();
            assert!(address > last, "{line}");
            last = address;
        }
        assert!(text.contains("the_symbols_of_this_test_are_sorted"));
    }

    #[test]
    fn a_flat_image_holds_each_segment_at_its_place() {
        // Two segments: "abc" at physical 0x1000 and "de" at 0x1010 with a longer memory size.
        let mut elf = vec![0; 64 + 2 * 56];
        elf[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
        let mut put = |at: usize, bytes: &[u8]| elf[at..at + bytes.len()].copy_from_slice(bytes);
        put(16, &[2, 0, 183, 0, 1]);
        put(32, &64u64.to_le_bytes());
        put(52, &[64, 0, 56, 0, 2, 0]);
        for (n, (offset, address, size)) in [(176u64, 0x1000u64, 3u64), (179, 0x1010, 2)].into_iter().enumerate() {
            let at = 64 + n * 56;
            put(at, &1u32.to_le_bytes());
            put(at + 8, &offset.to_le_bytes());
            put(at + 24, &address.to_le_bytes());
            put(at + 32, &size.to_le_bytes());
            put(at + 40, &(size * 9).to_le_bytes());
        }
        elf.extend_from_slice(b"abcde");
        assert_eq!(flat(&elf).unwrap(), b"abc\0\0\0\0\0\0\0\0\0\0\0\0\0de");
    }

    #[test]
    fn what_is_no_elf_file_is_an_error() {
        assert!(flat(b"#!/bin/sh").is_err());
        assert!(symbols(b"").is_err());
    }
}
