//! The shell: `sh` on a terminal or on lines of its input, `sh -c TEXT`, `sh FILE`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::O_RDONLY;
use veridian_userland::{println, program, shell::Shell, sys, sys::Start};

program!(main);

/// Exit status when the script is not there, as sh(1) has it.
const NOT_FOUND: i32 = 127;

fn main(start: &Start) -> i32 {
    let mut shell = Shell::new(start);
    match (start.arg(1), start.arg(2)) {
        (Some("-c"), Some(text)) => {
            shell.run_text(text);
            i32::from(shell.status())
        }
        (Some("-c"), None) => {
            println!("sh: -c needs a text");
            2
        }
        (Some(_), _) => {
            let file = start.args().nth(1).map(|path| (path, sys::open(path, O_RDONLY)));
            match file {
                Some((_, Ok(file))) => i32::from(shell.run(file)),
                Some((path, Err(errno))) => {
                    println!("sh: {}: {errno}", path.to_string_lossy());
                    NOT_FOUND
                }
                None => 0,
            }
        }
        (None, _) => i32::from(shell.run(0)),
    }
}
