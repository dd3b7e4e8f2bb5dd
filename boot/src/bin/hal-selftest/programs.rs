//! The user-mode programs: machine code of each architecture under the same names. All of them lie within one
//! page, which the tests map for user mode wherever they like.
//!
//! | name | what it does |
//! | --- | --- |
//! | `user_six_arguments` | system call 100 with 0x11, 0x22, .. 0x66; then 101 with the first one's result |
//! | `user_load`, `user_store` | accesses one byte at the address in the word at [sp]; then system call 102 |
//! | `user_jump` | jumps to the address in the word at [sp] |
//! | `user_illegal`, `user_breakpoint` | what they say |
//! | `user_spin` | loops for ever |
//! | `user_load_loop` | loads from the address at [sp] for ever |
//! | `user_vector` | every vector register keeps the word at [sp] plus its number, over [sp + 8] rounds of spinning, with system call 104 now and then; ends in system call 103 with 0, or 1 plus the number of a changed register |
//! | `user_registers` | the same for the general registers that a system call leaves alone |
//!
//! Each architecture's file also has `EXCEPTIONS` (further programs, and what each must trap with), `RETURN` (the bytes of
//! a return instruction) and `text_alias` (where else the kernel's text is mapped, if anywhere).

#[cfg(target_arch = "aarch64")]
#[path = "aarch64.rs"]
mod code;
#[cfg(target_arch = "riscv64")]
#[path = "riscv64.rs"]
mod code;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64.rs"]
mod code;

pub use code::*;

macro_rules! programs {
    ($($(#[$doc:meta])* $name:ident = $symbol:ident;)*) => {
        unsafe extern "C" {
            static user_programs: u8;
            static user_programs_end: u8;
            $(static $symbol: u8;)*
        }
        $($(#[$doc])* pub fn $name() -> usize {
            &raw const $symbol as usize - &raw const user_programs as usize
        })*
    };
}

programs! {
    six_arguments = user_six_arguments;
    load = user_load;
    store = user_store;
    jump = user_jump;
    illegal = user_illegal;
    breakpoint = user_breakpoint;
    spin = user_spin;
    load_loop = user_load_loop;
    vector = user_vector;
    registers = user_registers;
}

/// The machine code of them all.
pub fn bytes() -> &'static [u8] {
    let start = &raw const user_programs;
    let length = &raw const user_programs_end as usize - start as usize;
    // SAFETY: the assembly above puts these bytes into read-only data, between the two symbols.
    unsafe { core::slice::from_raw_parts(start, length) }
}
