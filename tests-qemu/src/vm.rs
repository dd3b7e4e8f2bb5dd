//! A machine to be booted.

use crate::{Arch, Exit, Images, Outcome, arch::absent, image};
use std::{
    collections::VecDeque,
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A machine: built up, then [`run`](Vm::run) once. QEMU emulates it (TCG), so runs do not depend on the host's
/// processor, unless it is [`virtualized`](Vm::virtualized).
pub struct Vm {
    arch: Arch,
    kernel: PathBuf,
    /// QEMU loads the kernel as it is; else it is an ELF file of Veridian's.
    loaded_as_is: bool,
    machine: String,
    cpu: Option<String>,
    memory: String,
    cpus: u32,
    initrd: Option<Vec<u8>>,
    command_line: String,
    time_limit: Option<Duration>,
    instruction_shift: Option<u32>,
    accelerator: &'static str,
    /// Where QEMU logs the blocks of code that it translates and executes.
    block_log: Option<PathBuf>,
    interactive: bool,
    all_keys: bool,
    dialogue: Vec<(String, String)>,
}

impl Vm {
    /// The usual machine of this architecture with the kernel, 64 MiB, one CPU, no initrd and a minute's time.
    pub fn new(arch: Arch) -> Self {
        Self {
            arch,
            kernel: Images::of(arch).kernel(),
            loaded_as_is: false,
            machine: arch.machines()[0].to_owned(),
            // All that the emulation offers; riscv64's plain CPU has that already.
            cpu: (arch != Arch::Riscv64).then(|| "max".to_owned()),
            memory: "64M".to_owned(),
            cpus: 1,
            initrd: None,
            command_line: String::new(),
            time_limit: Some(Duration::from_secs(60)),
            instruction_shift: None,
            accelerator: "tcg",
            block_log: None,
            interactive: false,
            all_keys: false,
            dialogue: Vec::new(),
        }
    }

    /// Another kernel image (an ELF file).
    pub fn kernel(mut self, elf: PathBuf) -> Self {
        self.kernel = elf;
        self
    }

    /// Another kernel, in a form that QEMU loads: a Linux image.
    pub fn loaded_kernel(mut self, image: PathBuf) -> Self {
        self.loaded_as_is = true;
        self.kernel(image)
    }

    /// QEMU's `-machine`, with its options.
    pub fn machine(mut self, machine: &str) -> Self {
        self.machine = machine.to_owned();
        self
    }

    /// QEMU's `-cpu`.
    pub fn cpu(mut self, cpu: &str) -> Self {
        self.cpu = Some(cpu.to_owned());
        self
    }

    /// QEMU's `-m`: `16M`, `1G`.
    pub fn memory(mut self, size: &str) -> Self {
        self.memory = size.to_owned();
        self
    }

    /// Number of CPUs.
    pub fn cpus(mut self, count: u32) -> Self {
        self.cpus = count;
        self
    }

    /// The initrd, an archive.
    pub fn initrd(mut self, archive: Vec<u8>) -> Self {
        self.initrd = Some(archive);
        self
    }

    /// The kernel command line.
    pub fn command_line(mut self, words: &str) -> Self {
        self.command_line = words.to_owned();
        self
    }

    /// Further words of the kernel command line.
    pub fn add_words(mut self, words: &str) -> Self {
        self.command_line = format!("{} {words}", self.command_line);
        self
    }

    /// When QEMU is killed; `None` for never.
    pub fn time_limit(mut self, limit: Option<Duration>) -> Self {
        self.time_limit = limit;
        self
    }

    /// Makes the guest's clock count its instructions, one a nanosecond, equal on every run (QEMU's `-icount`).
    pub fn count_instructions(self) -> Self {
        self.slow_instructions(0)
    }

    /// As [`count_instructions`](Self::count_instructions), each lasting 2 to the power of `shift` nanoseconds: for what is
    /// long and does little.
    pub fn slow_instructions(mut self, shift: u32) -> Self {
        self.instruction_shift = Some(shift);
        self
    }

    /// Has the host's own processor run the guest (KVM).
    pub fn virtualized(mut self) -> Self {
        self.accelerator = "kvm";
        self
    }

    /// Has QEMU log each block of code to a file: its instructions when it is translated, and a line whenever it is executed.
    /// That is about as many bytes as the machine executes instructions, ten times over.
    pub fn log_blocks(mut self, file: &Path) -> Self {
        self.block_log = Some(file.to_owned());
        self
    }

    /// Connects the machine's console to the caller's standard input and output as well.
    pub fn interactive(mut self) -> Self {
        self.interactive = true;
        self
    }

    /// As [`interactive`](Self::interactive), and the keys that would interrupt or stop QEMU go to the machine too: it
    /// ends when it does so itself.
    pub fn interactive_with_all_keys(mut self) -> Self {
        self.all_keys = true;
        self.interactive()
    }

    /// Once the console has printed `text`, after what earlier steps waited for, types `keys`.
    pub fn types_after(mut self, text: &str, keys: &str) -> Self {
        self.dialogue.push((text.to_owned(), keys.to_owned()));
        self
    }

    /// Boots and waits for the end.
    ///
    /// # Errors
    /// When the images cannot be read, or QEMU cannot be found. All that happens later is in the [`Outcome`].
    pub fn run(self) -> io::Result<Outcome> {
        let directory = tempfile::Builder::new().prefix("veridian-").tempdir()?;
        let mut arguments = self.arguments(directory.path())?;
        let signal = if self.all_keys { "off" } else { "on" };
        arguments.extend(["-chardev".to_owned(), format!("stdio,id=console,signal={signal}")]);
        arguments.extend(["-serial".to_owned(), "chardev:console".to_owned()]);
        let qemu = self.arch.qemu();
        let command = shell_line(&qemu, &arguments);

        // When the caller is killed, QEMU is not left behind.
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", &qemu])
            .args(&arguments)
            .stdin(match self.interactive {
                true => Stdio::inherit(),
                false if self.dialogue.is_empty() => Stdio::null(),
                false => Stdio::piped(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("setpriv {qemu}: {error}")))?;
        let typist = Typist { keyboard: child.stdin.take(), dialogue: self.dialogue.into(), seen: Vec::new() };
        let console = collect(child.stdout.take(), self.interactive, typist);
        let errors = collect(child.stderr.take(), false, Typist::default());
        let code = wait(&mut child, self.time_limit)?;
        let console = text(console).replace("\r\n", "\n");
        let errors = text(errors);
        let reported = fs::read(directory.path().join("status")).ok().and_then(|bytes| bytes.first().copied());
        let exit = match code {
            None => Exit::TimedOut,
            Some(code) => Exit::decode(self.arch, code, reported, &console, &errors),
        };
        Ok(Outcome { exit, console, errors, command })
    }

    /// The command lines of QEMU, stopped before its first instruction and speaking gdb's protocol on its
    /// standard input and output, and the ELF file with its symbols. The console goes to a file; all files lie in
    /// `directory`.
    pub fn debug_command(&self, directory: &Path) -> io::Result<(String, PathBuf)> {
        let mut arguments = self.arguments(directory)?;
        let console = format!("file:{}", directory.join("console").display());
        arguments.extend(["-serial", &console, "-gdb", "stdio", "-S"].map(str::to_owned));
        Ok((shell_line(&self.arch.qemu(), &arguments), self.kernel.clone()))
    }

    /// QEMU's arguments but for the console's place. The files they name are written into `directory`.
    fn arguments(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut arguments: Vec<String> = Vec::new();
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(|word| (*word).to_owned()));
        add(&[
            "-machine",
            &self.machine,
            "-accel",
            self.accelerator,
            "-m",
            &self.memory,
            "-smp",
            &self.cpus.to_string(),
        ]);
        if let Some(cpu) = &self.cpu {
            add(&["-cpu", cpu]);
        }
        add(&["-display", "none", "-nodefaults", "-no-user-config", "-no-reboot"]);
        if let Some(shift) = self.instruction_shift {
            // What the machine offers as random is the same on every run too: where programs lie costs instructions.
            add(&["-icount", &format!("shift={shift},sleep=off"), "-seed", "1"]);
        }
        if let Some(file) = &self.block_log {
            add(&["-d", "exec,nochain,in_asm", "-D", &file.to_string_lossy()]);
        }
        match self.arch {
            Arch::X86_64 => {
                add(&["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]);
                // The exit device carries seven bits, so the kernel writes its status to the debug console first.
                let file = format!("file,id=status,path={}", directory.join("status").display());
                add(&["-chardev", &file, "-device", "isa-debugcon,iobase=0xe9,chardev=status"]);
            }
            Arch::Aarch64 => add(&["-semihosting-config", "enable=on,target=native"]),
            Arch::Riscv64 => {}
        }
        let kernel = fs::read(&self.kernel).map_err(|error| absent(&self.kernel, &error, "`make build`"))?;
        if self.arch == Arch::Aarch64 && !self.loaded_as_is {
            let path = directory.join("Image");
            fs::write(&path, image::flat(&kernel)?)?;
            add(&["-kernel", &path.to_string_lossy()]);
        } else {
            add(&["-kernel", &self.kernel.to_string_lossy()]);
        }
        if let Some(initrd) = &self.initrd {
            let path = directory.join("initrd");
            fs::write(&path, initrd)?;
            add(&["-initrd", &path.to_string_lossy()]);
        }
        if !self.command_line.is_empty() {
            add(&["-append", &self.command_line]);
        }
        Ok(arguments)
    }
}

/// Types its part of a dialogue with the guest.
#[derive(Default)]
struct Typist {
    /// Stays open to the end, or the guest would read an end of file.
    keyboard: Option<ChildStdin>,
    dialogue: VecDeque<(String, String)>,
    /// What was printed since the last step.
    seen: Vec<u8>,
}

impl Typist {
    fn hears(&mut self, printed: &[u8]) {
        self.seen.extend_from_slice(printed);
        while let (Some((text, _)), Some(keyboard)) = (self.dialogue.front(), &mut self.keyboard) {
            let Some(at) = self.seen.windows(text.len().max(1)).position(|part| part == text.as_bytes()) else {
                return;
            };
            self.seen.drain(..at + text.len());
            let Some((_, keys)) = self.dialogue.pop_front() else { return };
            // A machine that has ended meanwhile shows that in its exit status.
            let _ = keyboard.write_all(keys.as_bytes()).and_then(|()| keyboard.flush());
        }
    }
}

/// Reads a stream to its end on a thread of its own, tells the typist, and passes it on at once if asked to.
fn collect(stream: Option<impl Read + Send + 'static>, echo: bool, mut typist: Typist) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        let Some(mut stream) = stream else { return all };
        let mut part = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut part) {
            all.extend_from_slice(&part[..count]);
            typist.hears(&part[..count]);
            if echo {
                // A reader that has gone away is no reason to stop the machine.
                let mut out = io::stdout().lock();
                let _ = out.write_all(&part[..count]).and_then(|()| out.flush());
            }
        }
        all
    })
}

fn text(reader: thread::JoinHandle<Vec<u8>>) -> String {
    String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
}

/// The exit code of `child` (`Some(None)` when a signal ended it), or `None` when it had to be killed at its limit.
fn wait(child: &mut Child, limit: Option<Duration>) -> io::Result<Option<Option<i32>>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.code()));
        }
        if limit.is_some_and(|limit| start.elapsed() >= limit) {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// A command as a shell takes it.
fn shell_line(program: &str, arguments: &[String]) -> String {
    let mut line = program.to_owned();
    for argument in arguments {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=,./:+".contains(c);
        if !argument.is_empty() && argument.chars().all(plain) {
            line.push_str(&format!(" {argument}"));
        } else {
            line.push_str(&format!(" '{}'", argument.replace('\'', r"'\''")));
        }
    }
    line
}
