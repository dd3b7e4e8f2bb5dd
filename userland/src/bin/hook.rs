//! What the probe `hooks` lets run as a hook: appends to `/tmp/log` what it finds, and ends as it is told.
//!
//! Its arguments: a label for its line, and `ok`, `fail` or `hang`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{O_APPEND, O_CREAT, O_WRONLY};
use veridian_userland::sys::{self, AT_FDCWD, Start, text_of};
use veridian_userland::{io, program};

program!(main);

fn main(start: &Start) -> i32 {
    let mut state = [0; 2048];
    let mut filled = 0;
    while let Ok(more) = sys::read(0, &mut state[filled..]) {
        if more == 0 {
            break;
        }
        filled += more;
    }
    let state = core::str::from_utf8(&state[..filled]).unwrap_or("");
    let Ok(log) = sys::openat(AT_FDCWD, c"/tmp/log", O_CREAT | O_APPEND | O_WRONLY, 0o666) else { return 90 };
    let host = sys::uname().unwrap_or_else(|_| sys::exit(91));
    let label = start.arg(1).unwrap_or("");
    io::print(
        log,
        format_args!(
            "{label}: {} pid={} id={} host={} self={} bundle={} inside={} env={}\n",
            member(state, "\"status\":\""),
            member(state, "\"pid\":"),
            member(state, "\"id\":\""),
            text_of(&host.nodename),
            if sys::getpid() <= 3 { "inner" } else { "other" },
            seen(c"/bundle/rootfs/bin"),
            seen(c"/bundle/rootfs/dev/null"),
            start.var("HOOK").unwrap_or("-"),
        ),
    );
    match start.arg(2) {
        Some("fail") => 3,
        Some("hang") => {
            // What it leaves behind is killed along with it.
            let _ = sys::spawn(hang);
            hang()
        }
        _ => 0,
    }
}

/// The value of a member of the state, as far as a quote, comma or brace.
fn member<'a>(state: &'a str, name: &str) -> &'a str {
    let value = state.split_once(name).map_or("", |(_, rest)| rest);
    value.split(['"', ',', '}']).next().unwrap_or("")
}

fn seen(path: &core::ffi::CStr) -> &'static str {
    if sys::fstatat(AT_FDCWD, path, 0).is_ok() { "yes" } else { "no" }
}

fn hang() -> i32 {
    loop {
        // Nothing ends this but a signal.
        let _ = sys::sleep(1_000_000_000);
    }
}
