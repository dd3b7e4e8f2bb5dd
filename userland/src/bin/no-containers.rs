//! Plain: on a kernel built without `alloc`, every container call is ENOSYS, and all else works.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use veridian_containers::abi::{Call, Errno};
use veridian_userland::check::Checks;
use veridian_userland::program;
use veridian_userland::sys::{self, RawArg, Start};

program!(main);

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    for &call in Call::ALL {
        let answer = sys::raw_container_call(call, &[RawArg::Number(0), RawArg::Number(0), RawArg::Number(0)]);
        checks.equal(format_args!("{} is ENOSYS", call.name()), answer, Err(Errno::ENOSYS));
    }
    checks.succeeds("a process can be made", || 0);
    checks.finish()
}
