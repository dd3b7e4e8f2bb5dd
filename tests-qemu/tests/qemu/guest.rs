//! The machine that a test gets, and what it expects of the run.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use veridian_tests_qemu::{Arch, Exit, Initrd, Outcome, Vm};

/// Longest time for a machine, unless a test gives more: many times what one takes, for hosts that are busy.
pub const TIME_LIMIT: Duration = Duration::from_secs(120);

/// A kind of machine.
#[derive(Clone)]
pub struct Guest {
    pub arch: Arch,
    pub cpus: u32,
    machine: Option<&'static str>,
}

impl Guest {
    /// The usual machine of an architecture.
    pub fn new(arch: Arch, cpus: u32) -> Self {
        Self { arch, cpus, machine: None }
    }

    /// A certain machine.
    pub fn on(arch: Arch, cpus: u32, machine: &'static str) -> Self {
        Self { arch, cpus, machine: Some(machine) }
    }

    /// The whole name of a test on this machine.
    pub fn test_name(&self, test: &str) -> String {
        let mut name = format!("{}::", self.arch);
        if let Some(machine) = self.machine {
            name += &format!("{machine}::");
        }
        if self.cpus > 1 {
            name += &format!("smp{}::", self.cpus);
        }
        name + test
    }

    /// The machine without an initrd.
    pub fn vm(&self) -> Vm {
        // More CPUs than the host has wait for each other.
        let limit = TIME_LIMIT * self.cpus.div_ceil(4);
        let vm = Vm::new(self.arch).cpus(self.cpus).time_limit(Some(limit));
        match self.machine {
            Some(machine) => vm.machine(machine),
            None => vm,
        }
    }

    /// Boots and runs init with this configuration, over a bundle that has the user programs in `rootfs/bin`.
    pub fn run_config(&self, config: &str) -> Run {
        let mut initrd = standard(self.arch);
        initrd.config(config);
        self.boot_initrd(&initrd, "")
    }

    /// Boots this initrd with its configuration, and these further words on the kernel command line.
    pub fn boot_initrd(&self, initrd: &Initrd, words: &str) -> Run {
        let words = format!("{} {words}", Initrd::RUN_CONFIG);
        self.boot(self.vm().initrd(initrd.archive()).command_line(&words))
    }

    /// Boots and runs a program in a container with all that this kernel separates, and these further lines of
    /// configuration.
    pub fn run_container(&self, args: &[&str], more: &str) -> Run {
        self.run_config(&container(args, more))
    }

    /// Boots this machine and has init run `/bin/<program>` as its child, a plain process, with these words in its
    /// environment.
    pub fn run_probe(&self, vm: Vm, program: &str, words: &str) -> Run {
        let words = format!("probe={program} {words}");
        self.boot(vm.initrd(standard(self.arch).archive()).command_line(&words))
    }

    /// Boots a machine.
    pub fn boot(&self, vm: Vm) -> Run {
        match vm.run() {
            Ok(outcome) => Run { outcome },
            Err(error) => panic!("{error}"),
        }
    }
}

/// A configuration: a read-only root, and namespaces of every kind that this kernel has.
pub fn container(args: &[&str], more: &str) -> String {
    let args: Vec<_> = args.iter().map(|arg| format!("{arg:?}")).collect();
    format!(
        "root_path=rootfs\nroot_readonly=true\nhostname=inside\nprocess_args=[{}]\n\
         namespace=pid\nnamespace=mount\nnamespace=uts\n{more}\n",
        args.join(",")
    )
}

/// The standard initrd, read from the images once for each architecture.
pub fn standard(arch: Arch) -> Initrd {
    static INITRDS: Mutex<BTreeMap<Arch, Initrd>> = Mutex::new(BTreeMap::new());
    let mut initrds = INITRDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(initrd) = initrds.get(&arch) {
        return initrd.clone();
    }
    let initrd = Initrd::standard(arch).unwrap_or_else(|error| panic!("{error}"));
    initrds.insert(arch, initrd.clone());
    initrd
}

/// A run that has ended. What does not hold fails the test, with the end of the console.
pub struct Run {
    pub outcome: Outcome,
}

impl Run {
    /// The machine ended with this status.
    #[track_caller]
    pub fn exits(&self, status: u8) -> &Self {
        self.check(self.outcome.exit == Exit::Status(status), &format!("exit status {status}"))
    }

    /// The console has this line, whole.
    #[track_caller]
    pub fn prints(&self, line: &str) -> &Self {
        self.check(self.outcome.has_line(line), &format!("the line {line:?}"))
    }

    /// Some line of the console contains all of these.
    #[track_caller]
    pub fn tells(&self, parts: &[&str]) -> &Self {
        let found = self.outcome.console.lines().any(|line| parts.iter().all(|part| line.contains(part)));
        self.check(found, &format!("a line with {parts:?}"))
    }

    /// No line of the console contains this.
    #[track_caller]
    pub fn never_tells(&self, part: &str) -> &Self {
        self.check(!self.outcome.console.contains(part), &format!("nothing with {part:?}"))
    }

    /// Fails the test unless `held`.
    #[track_caller]
    pub fn check(&self, held: bool, expected: &str) -> &Self {
        if !held {
            panic!(
                "expected {expected}; the run ended with {}\n--- last lines of the console\n{}\n--- QEMU said\n{}--- \
                 QEMU ran as\n{}",
                self.outcome.exit,
                self.outcome.last_lines(40),
                self.outcome.errors,
                self.outcome.command,
            );
        }
        self
    }
}
