//! Says where it finds itself, and exits with 0 or with the number that is its first argument.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use veridian_userland::sys::{Start, getpid, text_of, uname};
use veridian_userland::{println, program};

program!(main);

fn main(start: &Start) -> i32 {
    let Ok(names) = uname() else {
        println!("hello: uname failed");
        return 1;
    };
    println!(
        "Hello from a container! I am pid {} on {} ({}).",
        getpid(),
        text_of(&names.nodename),
        text_of(&names.machine)
    );
    for (index, arg) in start.args().enumerate().skip(1) {
        println!("argument {index}: {}", arg.to_str().unwrap_or("(not UTF-8)"));
    }
    match start.arg(1) {
        None => 0,
        Some(number) => number.parse().unwrap_or(0),
    }
}
