//! Where the guest's instructions go: by function of the kernel, from QEMU's log of the blocks of code that it executes.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::Path,
    process::Command,
    thread,
};
use veridian_tests_qemu::{Vm, image};

/// How many functions are shown.
const SHOWN: usize = 40;
/// What is not the kernel's.
const USER: &str = "(programs and firmware)";

/// Runs a machine and prints the functions of its kernel in which most instructions were executed.
pub fn print(vm: Vm, kernel: &Path) -> io::Result<()> {
    let symbols = symbols(kernel)?;
    let directory = std::env::temp_dir().join(format!("veridian-profile-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let fifo = directory.join("log");
    if !Command::new("mkfifo").arg(&fifo).status()?.success() {
        return Err(io::Error::other("mkfifo failed"));
    }
    let reader = {
        let fifo = fifo.clone();
        thread::spawn(move || Blocks::read(BufReader::with_capacity(1 << 20, File::open(fifo)?)))
    };
    let outcome = vm.log_blocks(&fifo).run()?;
    let blocks = reader.join().map_err(|_| io::Error::other("the log's reader panicked"))??;
    fs::remove_dir_all(&directory)?;
    println!("{}", outcome.last_lines(5));

    let mut by_function: HashMap<&str, u64> = HashMap::new();
    for (address, count) in blocks.executed {
        let at = symbols.partition_point(|(start, _)| *start <= address);
        let name = if at == 0 { USER } else { symbols[at - 1].1.as_str() };
        *by_function.entry(name).or_default() += count * blocks.lengths.get(&address).copied().unwrap_or(1);
    }
    let mut functions: Vec<_> = by_function.into_iter().collect();
    functions.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let all: u64 = functions.iter().map(|(_, count)| count).sum();
    println!("{all:>14} instructions");
    for (name, count) in functions.into_iter().take(SHOWN) {
        println!("{count:>14} {:>5.1} %  {name}", count as f64 * 100.0 / all as f64);
    }
    Ok(())
}

/// The kernel's functions, by their addresses.
fn symbols(kernel: &Path) -> io::Result<Vec<(u64, String)>> {
    let text = image::symbols(&fs::read(kernel)?)?;
    let line = |line: &str| {
        let (address, name) = line.split_once(' ')?;
        Some((u64::from_str_radix(address, 16).ok()?, name.to_owned()))
    };
    Ok(text.lines().filter_map(line).collect())
}

/// Blocks of code by their addresses.
#[derive(Default)]
struct Blocks {
    /// Instructions of a block.
    lengths: HashMap<u64, u64>,
    /// How often a block was executed.
    executed: HashMap<u64, u64>,
}

impl Blocks {
    fn read(mut log: impl BufRead) -> io::Result<Self> {
        let mut blocks = Self::default();
        let mut block = None;
        let mut line = String::new();
        while log.read_line(&mut line)? > 0 {
            if let Some(rest) = line.strip_prefix("Trace ") {
                // Trace CPU: host address [base/address/flags/flags] name
                if let Some(address) = rest.split('/').nth(1).and_then(hexadecimal) {
                    *blocks.executed.entry(address).or_default() += 1;
                }
            } else if line.starts_with("IN:") {
                block = None;
            } else if let Some((address, instruction)) = line.strip_prefix("0x").and_then(|rest| rest.split_once(':'))
                && let Some(address) = hexadecimal(address)
            {
                let first = *block.get_or_insert(address);
                let length = blocks.lengths.entry(first).or_default();
                if first == address {
                    *length = 0;
                }
                // The bytes of a long instruction go on in a line of their own.
                *length += u64::from(
                    instruction.split_whitespace().any(|word| word.len() != 2 || hexadecimal(word).is_none()),
                );
            }
            line.clear();
        }
        Ok(blocks)
    }
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_counted_with_their_instructions() {
        let log = "----------------\nIN: \n0xffff10:  ea 5b e0 00 f0           ljmpw    $0xf000:$0xe05b\n\
                   0xffff15:  48 b8 11 22 33 44 55 66  movabsq  $0x1, %rax\n0xffff1d:  77 88\n\n\
                   Trace 0: 0x7f10 [00000000/0000000000ffff10/00000040/ff200201] \n\
                   Trace 0: 0x7f10 [00000000/0000000000ffff10/00000040/ff200201] \n";
        let blocks = Blocks::read(log.as_bytes()).unwrap();
        assert_eq!(blocks.lengths[&0xffff10], 2);
        assert_eq!(blocks.executed[&0xffff10], 2);
    }
}
