//! Driver: what idle containers cost in memory, when there is one, a hundred, ten thousand; and what one more costs then,
//! and what of it is charged to a container's own group.
//! `count=N` takes another number for the most. Each is what `examples/hello.oci` says, with a program that sleeps.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use veridian_containers::abi::{CreateFlags, DeleteFlags};
use veridian_userland::check::Checks;
use veridian_userland::sys::{self, Start};
use veridian_userland::world::world;
use veridian_userland::{driver, groups, println, program, text};

program!(main);

/// Of how many further containers the mean is taken: memory is taken from the machine in pages and larger pieces.
const MORE: u64 = 20;

fn main(start: &Start) -> i32 {
    let most: u64 = start.var("count").and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let mut checks = Checks::new();
    checks.equal("cgroup2 is mounted", groups::mount(), Ok(()));
    // What the kernel keeps for later it has then, and the program's pages are in memory.
    checks.equal("a first container", make(0).and_then(|()| delete(0)), Ok(()));
    let empty = free();
    let mut made = 0;
    for wanted in [1, 100, 10_000].into_iter().filter(|wanted| *wanted <= most) {
        let all = (made + 1..=wanted).try_for_each(make);
        made = wanted;
        checks.equal(format_args!("there are {wanted}"), all, Ok(()));
        let each = (empty - free()) / wanted;
        let before = free();
        let further = (made + 1..=made + MORE).try_for_each(make);
        let one_more = (before - free()) / MORE;
        checks.equal("and some more", further, Ok(()));
        checks.equal("which go again", (made + 1..=made + MORE).try_for_each(delete), Ok(()));
        println!("idle: {wanted} containers: {each} bytes each, {one_more} for one more");
    }
    let of = |kind| groups::field("idle-1/memory.stat", kind);
    let [anonymous, tables, kernel] = ["anon", "pagetables", "kernel"].map(of);
    println!(
        "idle: charged to one of them: {anonymous} bytes of pages, {kernel} of the kernel's, {tables} of these page tables"
    );
    checks.equal("all are deleted", (1..=made).try_for_each(delete), Ok(()));
    checks.equal("no container is left", driver::count(), Ok(0));
    checks.finish()
}

fn free() -> u64 {
    world().0
}

/// A container that runs and sleeps, and that nobody has open.
fn make(number: u64) -> sys::Result {
    let config = driver::config("memory_limit=4M\npids_limit=8\n", &["/bin/worker", "forever"]);
    let container =
        driver::create(&text!(32, "idle-{number}"), &config, CreateFlags::empty()).map_err(|(errno, _)| errno)?;
    sys::container_start(container)?;
    sys::close(container)
}

fn delete(number: u64) -> sys::Result {
    let container = sys::container_open(&text!(32, "idle-{number}"))?;
    sys::container_delete(container, DeleteFlags::FORCE)?;
    sys::close(container)
}
