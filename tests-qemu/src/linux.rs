//! Debian's Linux, to compare with: what `scripts/linux.sh` fetched, with busybox and an init that runs one script, tells
//! its exit status and switches the machine off.

use crate::{
    Arch, Initrd, Outcome, Vm,
    arch::{absent, target},
};
use std::{fs, io, path::PathBuf, time::Duration};

/// The first program, in the initrd's own root.
const INIT: &str = include_str!("linux/init.sh");
/// The first program of the root that the script runs in.
const BEGIN: &str = include_str!("linux/begin.sh");
/// What stands before the script's exit status on the console, on a line of its own.
const END: &str = "linux: ended with status ";
/// What stands before what the script prints.
const START: &str = "linux: begins\n";

/// What was fetched for one architecture.
#[derive(Clone, Debug)]
pub struct Linux {
    arch: Arch,
    directory: PathBuf,
}

impl Linux {
    /// Debian's Linux for `arch`.
    pub fn of(arch: Arch) -> Self {
        Self { arch, directory: target().join("linux").join(arch.name()) }
    }

    /// A small one for x86_64, if it was built.
    pub fn small() -> Option<Self> {
        let directory = target().join("linux/small");
        directory.join("kernel").exists().then_some(Self { arch: Arch::X86_64, directory })
    }

    /// Package and version of the kernel.
    pub fn version(&self) -> io::Result<String> {
        let path = self.directory.join("version");
        Ok(fs::read_to_string(&path).map_err(|error| absent(&path, &error, "scripts/linux.sh"))?.trim_end().to_owned())
    }

    /// The root that a script runs in, as it is copied from the initrd: busybox and its applets.
    pub fn root(&self) -> io::Result<Initrd> {
        let mut root = Initrd::default();
        root.busybox_in("", &target().join("programs").join(self.arch.name()).join("busybox"))?;
        for directory in ["dev", "new", "run", "sys"] {
            root.directory(directory);
        }
        root.file("init", 0o755, INIT).file("etc/begin", 0o755, BEGIN);
        Ok(root)
    }

    /// Adds crun and runc to a root, with the libraries that they need.
    pub fn add_runtimes(&self, root: &mut Initrd) -> io::Result<()> {
        root.tree(&self.directory.join("runtimes"), "").map(drop)
    }

    /// A machine that boots it with this root and 512 MiB, runs a script with busybox's shell and switches itself off.
    /// Like Veridian's, it has an unlimited console and a minute's time unless more is given.
    pub fn vm(&self, mut root: Initrd, script: &str) -> Vm {
        root.file("script", 0o755, script);
        self.bare(&root, "")
    }

    /// A machine that boots it with this initrd and these words on the kernel command line.
    pub fn bare(&self, initrd: &Initrd, words: &str) -> Vm {
        let console = if self.arch == Arch::Aarch64 { "ttyAMA0" } else { "ttyS0" };
        Vm::new(self.arch)
            .loaded_kernel(self.directory.join("kernel"))
            .memory("512M")
            .time_limit(Some(Duration::from_secs(120)))
            .initrd(initrd.packed())
            .command_line(format!("console={console} quiet panic=-1 {words}").trim_end())
    }
}

impl Outcome {
    /// The exit status of the script that Linux ran, if it came to its end.
    pub fn script_status(&self) -> Option<u8> {
        self.number_after(END)?.try_into().ok()
    }

    /// What the script that Linux ran printed.
    pub fn script_output(&self) -> &str {
        let Some((_, rest)) = self.console.split_once(START) else { return "" };
        rest.split_once(END).map_or(rest, |(output, _)| output)
    }
}
