//! The container command: `vctl help` says what it does.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use veridian_userland::{containers::verbs, program, sys::Start};

program!(main);

fn main(start: &Start) -> i32 {
    i32::from(verbs::main(start))
}
