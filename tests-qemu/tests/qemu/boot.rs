//! The machine and hal: each kind of machine boots, memory and CPUs are found, panics tell where, hangs end.

use crate::{
    Test,
    guest::{Guest, Run, container, standard},
};
use std::time::Duration;
use veridian_tests_qemu::{Arch, Exit, Images, Initrd, status};

/// The kinds of machines that [`TESTS`] run on, with their numbers of CPUs.
pub fn machines(arch: Arch) -> Vec<(&'static str, u32)> {
    arch.machines().iter().flat_map(|machine| [1, 2, 8].map(|cpus| (*machine, cpus))).collect()
}

/// Run on each kind of machine.
pub const TESTS: &[Test] = &[
    ("hello_prints_and_exits_with_0", hello),
    ("hal_passes_its_self_test", hal_passes_its_self_test),
    ("hal_passes_its_self_test_with_16_mib", hal_passes_its_self_test_with_16_mib),
];

/// Run once for each architecture.
pub const ONCE: &[Test] = &[
    ("hello_runs_in_16_mib", hello_runs_in_16_mib),
    ("all_memory_of_the_machine_is_found", all_memory_of_the_machine_is_found),
    ("a_kernel_panic_ends_with_250_and_a_backtrace_with_names", a_panic_tells_where),
    ("kernel_text_cannot_be_written", kernel_text_cannot_be_written),
    ("kernel_data_cannot_be_executed", kernel_data_cannot_be_executed),
    ("the_null_page_is_not_mapped_for_the_kernel", the_null_page_is_not_the_kernels),
    ("a_kernel_stack_that_overflows_hits_its_guard_page", a_stack_overflow_panics),
    ("a_machine_without_init_says_so", a_machine_without_init_says_so),
    ("a_machine_without_an_initrd_says_so", a_machine_without_an_initrd_says_so),
    ("instructions_are_counted_the_same_on_every_run", instructions_are_counted_the_same_on_every_run),
    ("a_program_that_never_ends_is_a_hang", a_program_that_never_ends_is_a_hang),
];

fn hello(guest: &Guest) {
    guest.run_container(&["/bin/hello"], "").exits(0).tells(&["Hello from a container!"]);
}

fn hal_passes_its_self_test(guest: &Guest) {
    selftest(guest, "64M");
}

fn hal_passes_its_self_test_with_16_mib(guest: &Guest) {
    selftest(guest, "16M");
}

fn selftest(guest: &Guest, memory: &str) {
    let words = format!("cpus={}", guest.cpus);
    let vm = guest.vm().kernel(Images::of(guest.arch).hal_selftest()).memory(memory).command_line(&words);
    guest.boot(vm).exits(0).never_tells("FAIL");
}

fn hello_runs_in_16_mib(guest: &Guest) {
    let mut initrd = Initrd::small(guest.arch, &["hello"]).unwrap_or_else(|error| panic!("{error}"));
    initrd.config(&container(&["/bin/hello"], ""));
    let vm = guest.vm().memory("16M").initrd(initrd.archive()).command_line(Initrd::RUN_CONFIG);
    guest.boot(vm).exits(0).tells(&["Hello from a container!"]);
}

/// hal's self test begins with how many bytes it found. Firmware keeps less than one in fifty for itself.
fn all_memory_of_the_machine_is_found(guest: &Guest) {
    for (size, bytes) in [("64M", 64u64 << 20), ("256M", 256 << 20), ("3G", 3 << 30)] {
        let vm = guest.vm().kernel(Images::of(guest.arch).hal_selftest()).memory(size).command_line("cpus=1");
        let run = guest.boot(vm);
        let found = run.outcome.number_after("selftest: ");
        let all = found.is_some_and(|found| found <= bytes && found > bytes - bytes / 50);
        run.check(all, &format!("nearly {bytes} bytes found with {size}, not {found:?}"));
    }
}

/// Boots hal's self test, with the symbols of its image in the initrd's place, to one of its bad ends.
fn bad_end(guest: &Guest, mode: &str) -> Run {
    let image = Images::of(guest.arch).hal_selftest();
    let elf = std::fs::read(&image).unwrap_or_else(|error| panic!("{}: {error}", image.display()));
    let symbols = veridian_tests_qemu::image::symbols(&elf).unwrap_or_else(|error| panic!("{error}"));
    let words = format!("cpus=1 mode={mode}");
    let vm = guest.vm().kernel(image).initrd(symbols.into_bytes()).command_line(&words);
    let run = guest.boot(vm);
    run.exits(status::PANIC).tells(&["kernel panic on CPU 0"]);
    run
}

fn a_panic_tells_where(guest: &Guest) {
    bad_end(guest, "panic").tells(&["hal-selftest", ".rs:"]).tells(&["  0: 0x", "+0x"]).tells(&["hal_selftest::"]);
}

fn kernel_text_cannot_be_written(guest: &Guest) {
    bad_end(guest, "write-text");
    bad_end(guest, "write-text-alias");
}

fn kernel_data_cannot_be_executed(guest: &Guest) {
    bad_end(guest, "execute-data");
}

fn the_null_page_is_not_the_kernels(guest: &Guest) {
    bad_end(guest, "null");
}

fn a_stack_overflow_panics(guest: &Guest) {
    bad_end(guest, "overflow");
}

fn a_machine_without_init_says_so(guest: &Guest) {
    let mut initrd = Initrd::default();
    initrd.directory("bin");
    let run = guest.boot(guest.vm().initrd(initrd.archive()));
    run.exits(status::PANIC).tells(&["/init"]);
}

fn a_machine_without_an_initrd_says_so(guest: &Guest) {
    guest.boot(guest.vm()).exits(status::PANIC).tells(&["initrd"]);
}

/// init tells how many nanoseconds each step took: two consoles are only equal when each count is.
fn instructions_are_counted_the_same_on_every_run(guest: &Guest) {
    let mut initrd = standard(guest.arch);
    initrd.config(&container(&["/bin/hello"], ""));
    let archive = initrd.archive();
    let count = || {
        let vm = guest.vm().initrd(archive.clone()).command_line(Initrd::RUN_CONFIG).count_instructions();
        let run = guest.boot(vm);
        let created = run.outcome.number_after("veridian: created config in ");
        run.exits(0).check(created.is_some_and(|count| count > 1000), "a count of the instructions of create");
        run.outcome.console
    };
    assert_eq!(count(), count());
}

pub fn init_without_the_engine(guest: &Guest) {
    let mut initrd = standard(guest.arch);
    initrd.config(&container(&["/bin/hello"], ""));
    let kernel = Images::of(guest.arch).kernel_without_containers();
    let vm = guest.vm().kernel(kernel).initrd(initrd.archive()).command_line(Initrd::RUN_CONFIG);
    let run = guest.boot(vm);
    run.exits(status::REFUSED).tells(&["veridian: ", "ENOSYS"]).never_tells("Hello");
}

fn a_program_that_never_ends_is_a_hang(guest: &Guest) {
    let mut initrd = standard(guest.arch);
    initrd.config(&container(&["/bin/worker", "spin"], ""));
    let limit = Some(Duration::from_secs(8));
    let vm = guest.vm().initrd(initrd.archive()).command_line(Initrd::RUN_CONFIG).time_limit(limit);
    let run = guest.boot(vm);
    run.check(run.outcome.exit == Exit::TimedOut, "no end").tells(&["veridian: started"]).never_tells("panic");
}
