//! Boots Veridian with a configuration and passes on the exit status of the container's process.
//! It stands behind `make run` and `make debug`; `scripts/run.sh` builds everything first.

use std::{
    io,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    time::Duration,
};
use veridian_tests_qemu::{Arch, Exit, Initrd, Outcome, Vm, status};

const USAGE: &str = "veridian-run [--arch x86_64|aarch64|riscv64] [--machine NAME] [--smp N] [--mem SIZE] \
                     [--append WORDS] [--timeout SECONDS] [--count] [--shell] [--busybox FILE] [--debug GDB] CONFIG";

struct Options {
    config: PathBuf,
    arch: Arch,
    machine: Option<String>,
    cpus: u32,
    memory: String,
    append: String,
    timeout: u64,
    gdb: Option<String>,
    count: bool,
    shell: bool,
    /// The program that the bundle's root is made of, instead of Veridian's own.
    busybox: Option<PathBuf>,
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("veridian-run: {error}");
            ExitCode::from(status::REFUSED)
        }
    }
}

fn options() -> io::Result<Options> {
    use lexopt::prelude::*;
    let wrong = |error: lexopt::Error| io::Error::other(format!("{error}\nusage: {USAGE}"));
    let mut options = Options {
        config: PathBuf::new(),
        arch: Arch::X86_64,
        machine: None,
        cpus: 1,
        memory: "256M".to_owned(),
        append: String::new(),
        timeout: 600,
        gdb: None,
        count: false,
        shell: false,
        busybox: None,
    };
    let mut words = lexopt::Parser::from_env();
    let text = |words: &mut lexopt::Parser| words.value().and_then(ValueExt::string).map_err(wrong);
    while let Some(word) = words.next().map_err(wrong)? {
        match word {
            Long("arch") => options.arch = text(&mut words)?.parse()?,
            Long("machine") => options.machine = Some(text(&mut words)?),
            Long("smp") => options.cpus = words.value().and_then(|value| value.parse()).map_err(wrong)?,
            Long("mem") => options.memory = text(&mut words)?,
            Long("append") => options.append = text(&mut words)?,
            Long("timeout") => options.timeout = words.value().and_then(|value| value.parse()).map_err(wrong)?,
            Long("debug") => options.gdb = Some(text(&mut words)?),
            Long("count") => options.count = true,
            Long("shell") => options.shell = true,
            Long("busybox") => options.busybox = Some(words.value().map_err(wrong)?.into()),
            Value(path) => options.config = path.into(),
            other => return Err(wrong(other.unexpected())),
        }
    }
    if options.config.is_dir() {
        options.config.push("config.oci");
    }
    Ok(options)
}

fn run(options: &Options) -> io::Result<u8> {
    let mut initrd = Initrd::standard(options.arch)?;
    if let Some(program) = &options.busybox {
        initrd.busybox(program)?;
    }
    let words = initrd.config_file(&options.config)?;
    let (shell, arguments) = match (options.shell, &options.busybox) {
        (false, _) => (String::new(), ""),
        (true, None) => (format!("shell=sh loglevel=warn {}", window()), ""),
        (true, Some(_)) => (format!("shell=vctl loglevel=warn {}", window()), " -- run --bundle /bundle busybox"),
    };
    let mut vm = Vm::new(options.arch)
        .memory(&options.memory)
        .cpus(options.cpus)
        .initrd(initrd.archive())
        .command_line(format!("{words} {shell}{}{arguments}", options.append).trim_end())
        .time_limit((options.timeout > 0).then(|| Duration::from_secs(options.timeout)));
    if let Some(machine) = &options.machine {
        vm = vm.machine(machine);
    }
    if let Some(gdb) = &options.gdb {
        return debug(&vm, gdb);
    }
    if options.count {
        vm = vm.count_instructions();
    }
    let outcome = if options.shell {
        let _restored = Terminal::kept();
        vm.interactive_with_all_keys().run()?
    } else {
        vm.interactive().run()?
    };
    explain(&outcome);
    Ok(outcome.exit.code())
}

/// The word of the kernel command line that tells the console how large the terminal on standard input is.
fn window() -> String {
    let size = Command::new("stty").arg("size").stdin(Stdio::inherit()).output();
    let text = size.ok().filter(|size| size.status.success()).and_then(|size| String::from_utf8(size.stdout).ok());
    match text.as_deref().and_then(|text| text.trim().split_once(' ')) {
        Some((rows, columns)) => format!("size={columns}x{rows} "),
        None => String::new(),
    }
}

/// The settings of the terminal on standard input, if it is one, as they were: QEMU changes them, and puts them back
/// only if it ends by itself.
struct Terminal(String);

impl Terminal {
    fn kept() -> Option<Self> {
        let settings = Command::new("stty").arg("-g").stdin(Stdio::inherit()).output().ok()?;
        settings.status.success().then(|| Self(String::from_utf8_lossy(&settings.stdout).trim().to_owned()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that is gone needs nothing.
        let _ = Command::new("stty").arg(&self.0).stdin(Stdio::inherit()).status();
    }
}

/// Says on standard error what the exit status means, where it is not the container's own.
fn explain(outcome: &Outcome) {
    match &outcome.exit {
        Exit::Status(status::PANIC) if outcome.panicked() => eprintln!("veridian-run: the kernel panicked"),
        Exit::Status(_) => {}
        Exit::NotStarted => eprint!("veridian-run: {}\n{}", outcome.exit, outcome.errors),
        Exit::NoStatus | Exit::TimedOut => eprintln!("veridian-run: {}", outcome.exit),
    }
    eprintln!("veridian-run: exit status {}", outcome.exit.code());
}

/// Becomes gdb, which starts QEMU at the other end of a pipe and so ends it too.
fn debug(vm: &Vm, gdb: &str) -> io::Result<u8> {
    let directory = std::env::temp_dir().join(format!("veridian-debug-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let (qemu, elf) = vm.debug_command(&directory)?;
    println!("veridian-run: the machine waits; its console is {}", directory.join("console").display());
    let error = Command::new(gdb)
        .arg("-q")
        .arg(elf)
        .args(["-ex", "set confirm off", "-ex", &format!("target remote | exec {qemu}")])
        .exec();
    Err(io::Error::new(error.kind(), format!("{gdb}: {error}")))
}
