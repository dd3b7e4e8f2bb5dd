//! Ends that must come out as a kernel panic.

use veridian_hal::{console, power};

/// Ends the machine in the way that `mode` names. Returning from the deed is a failure: status 1.
pub fn end(mode: &str) -> ! {
    match mode {
        "panic" => outer_function(1),
        "write-text" => write_to(end as *const () as usize),
        "write-text-alias" => match crate::programs::text_alias(end as *const () as usize) {
            Some(alias) => write_to(alias),
            None => panic!("the kernel's text has no alias"),
        },
        "execute-data" => {
            let code = crate::programs::RETURN;
            let copy = alloc::boxed::Box::new(code);
            // SAFETY: the bytes are a return instruction; the point is that they cannot be executed.
            let function: extern "C" fn() = unsafe { core::mem::transmute(&raw const *copy) };
            function();
        }
        "null" => write_to(core::hint::black_box(0)),
        "overflow" => {
            core::hint::black_box(overflow(1));
        }
        other => console::print(format_args!("selftest: no mode {other}\n")),
    }
    console::print(format_args!("FAILED  the kernel lives after mode={mode}\n"));
    power::exit(1)
}

#[inline(never)]
fn outer_function(depth: usize) {
    inner_function(depth);
    core::hint::black_box(depth);
}

#[inline(never)]
fn inner_function(depth: usize) {
    assert!(depth == 0, "asked for");
    core::hint::black_box(depth);
}

#[inline(never)]
fn write_to(address: usize) {
    let pointer = core::hint::black_box(core::ptr::without_provenance_mut::<u8>(address));
    // SAFETY: none: the write must be stopped by the page tables. If it is not, it hits a function that has done its
    // work, and the check fails.
    unsafe { pointer.write_volatile(0) };
}

#[expect(unconditional_recursion, reason = "it is to run out of stack")]
#[inline(never)]
fn overflow(depth: usize) -> usize {
    let frame = core::hint::black_box([depth; 64]);
    overflow(depth + 1) + frame[depth % 64]
}
