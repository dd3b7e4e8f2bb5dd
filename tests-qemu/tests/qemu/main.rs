//! Tests that boot Veridian in QEMU. Each is one machine that ends by itself, named for what it proves:
//! `x86_64::hello_prints_and_exits_with_0`, with `smp4::` in between when the machine has four CPUs.
//!
//! `VERIDIAN_TEST_ARCH` (one architecture) narrows them; the images must have been built (`scripts/image.sh`).

mod boot;
mod configuration;
mod contracts;
mod guest;
mod lifecycle;
mod probes;
mod programs;
mod shell;
mod vctl;

use guest::Guest;
use libtest_mimic::{Arguments, Failed, Trial};
use std::{
    cell::RefCell,
    env,
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
};
use veridian_tests_qemu::Arch;

/// A test: its name, and what it does with a machine.
type Test = (&'static str, fn(&Guest));

/// CPUs of the machines on which each test runs.
const CPUS: [u32; 2] = [1, 4];

thread_local! {
    /// Where this thread's last panic was.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

fn main() -> ExitCode {
    panic::set_hook(Box::new(|info| {
        PLACE.set(info.location().map(ToString::to_string).unwrap_or_default());
    }));
    let mut arguments = Arguments::from_args();
    // Each machine with four CPUs has threads enough.
    arguments.test_threads.get_or_insert(2);
    let arches = match env::var("VERIDIAN_TEST_ARCH") {
        Ok(name) => match name.parse() {
            Ok(arch) => vec![arch],
            Err(error) => {
                eprintln!("VERIDIAN_TEST_ARCH: {error}");
                return ExitCode::FAILURE;
            }
        },
        Err(_) => Arch::ALL.to_vec(),
    };
    let mut trials = Vec::new();
    for arch in arches {
        for cpus in CPUS {
            trials.extend(lifecycle::TESTS.iter().map(|test| trial(Guest::new(arch, cpus), *test)));
            trials.extend(probes::ALL.iter().map(|probe| {
                let run = |guest: &Guest| probe.run(guest);
                trial(Guest::new(arch, cpus), (probe.sentence, run))
            }));
        }
        for cpus in contracts::CPUS {
            trials.extend(contracts::TESTS.iter().map(|test| trial(Guest::new(arch, cpus), *test)));
        }
        for (machine, cpus) in boot::machines(arch) {
            trials.extend(boot::TESTS.iter().map(|test| trial(Guest::on(arch, cpus, machine), *test)));
        }
        if arch == Arch::X86_64 {
            let tests = probes::WITHOUT_THE_ENGINE.iter();
            trials.extend(tests.map(|test| trial(Guest::new(arch, 1), *test)));
        }
        let once = [boot::ONCE, configuration::TESTS, probes::ONCE, programs::TESTS, shell::TESTS, vctl::TESTS];
        trials.extend(once.into_iter().flatten().map(|test| trial(Guest::new(arch, 1), *test)));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A test on a machine. When it fails, the report says where and how to repeat it alone.
fn trial(guest: Guest, (name, test): (&str, impl Fn(&Guest) + Send + 'static)) -> Trial {
    let name = guest.test_name(name);
    let repeat = format!("make test ARCH={} TEST={name}", guest.arch);
    Trial::test(name, move || {
        panic::catch_unwind(AssertUnwindSafe(|| test(&guest))).map_err(|payload| {
            let message = payload.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic");
            let place = PLACE.take();
            Failed::from(format!("{place}: {message}\n--- to repeat it\n{repeat}"))
        })
    })
}
