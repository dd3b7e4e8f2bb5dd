//! From a machine that is set up to the first process, and back.
//!
//! Owns what there is one of: the first pid namespace, the root cgroup, the container engine. The kernel command
//! line is made of words: `init=PATH` (default `/init`), `loglevel=error|warn|info|debug|trace`, `quiet`
//! (`loglevel=error`); other `name=value` words become the environment of init, and what stands behind ` -- ` its
//! arguments, as on Linux.

#[cfg(feature = "containers")]
use crate::virt::containers::Kernel;
use crate::{
    cgroup::{Cgroup, memory::Books},
    device::random,
    fs, log as messages,
    namespace::{
        CgroupNamespace, IpcNamespace, Namespaces, NetworkNamespace, PidNamespace, TimeNamespace, UserNamespace,
        UtsNamespace,
    },
    sched,
    security::{Bounds, Confinement, Credentials},
    task::{self, Guard, Kin, NewThread, Signals, Thread},
};
use alloc::{string::String, sync::Arc, vec::Vec};
use log::LevelFilter;
use veridian_containers::abi::{Errno, WaitStatus};
#[cfg(feature = "containers")]
use veridian_containers::engine::Engine;
use veridian_hal::{
    BootInfo, cpu, mem, power,
    sync::{Once, SpinLock},
};

/// What there is one of.
struct Machine {
    pid_namespace: Arc<PidNamespace>,
    cgroup: Arc<Cgroup>,
    #[cfg(feature = "containers")]
    engine: Engine<Kernel>,
}

static MACHINE: Once<Machine> = Once::new();

fn machine() -> &'static Machine {
    MACHINE.call_once(|| Machine {
        pid_namespace: PidNamespace::first(),
        cgroup: Cgroup::root(),
        #[cfg(feature = "containers")]
        engine: Engine::new(Kernel, [random::u64(), random::u64()]),
    })
}

/// The first pid namespace: every process has a number there.
pub fn pid_namespace() -> &'static Arc<PidNamespace> {
    &machine().pid_namespace
}

/// The root of all control groups.
pub fn cgroup() -> &'static Arc<Cgroup> {
    &machine().cgroup
}

/// The container engine.
#[cfg(feature = "containers")]
pub fn engine() -> &'static Engine<Kernel> {
    &machine().engine
}

static COMMAND_LINE: Once<&'static str> = Once::new();

/// What the machine was started with.
pub fn command_line() -> &'static str {
    COMMAND_LINE.get().copied().unwrap_or("")
}

/// What CPU 0 runs once hal has set up the machine.
pub fn main(boot: BootInfo) -> ! {
    COMMAND_LINE.call_once(|| boot.command_line);
    let words = CommandLine::parse(boot.command_line);
    messages::init(words.level);
    mem::set_ledger(&Books);
    random::seed();
    let cpus = cpu::start_others(sched::run);
    log::info!("Veridian on {}: {cpus} CPUs, {} KiB of memory", boot.machine, boot.memory_bytes / 1024);
    match first_process(&boot, &words) {
        Ok(()) => sched::run(),
        Err((errno, reason)) => {
            log::error!("{}: {reason} ({errno})", words.init);
            // As when the kernel panics: no process has ended that could have given a status.
            power::exit(power::PANIC_STATUS)
        }
    }
}

/// The first process has ended: its status is the machine's.
pub fn machine_ends(status: WaitStatus) -> ! {
    log::debug!("the first process {status}");
    power::exit(status.shell_status())
}

/// Builds the root file system from the initial RAM disk and sets off init in it.
fn first_process(boot: &BootInfo, words: &CommandLine<'_>) -> Result<(), (Errno, String)> {
    let machine = machine();
    let plain = |reason: &'static str| move |errno| (errno, String::from(reason));
    let initrd = boot.initrd.ok_or((Errno::ENOENT, String::from("the machine has no initrd (initial RAM disk)")))?;
    if let Some(symbols) = fs::initrd::file(initrd.bytes(), b"boot/symbols") {
        veridian_hal::boot_info::set_symbols(symbols);
    }
    let fs = fs::Context::boot(initrd, &machine.cgroup.memory)?;
    let admission = machine.cgroup.admit().map_err(plain("no task"))?;
    let pid = machine.pid_namespace.allocate().map_err(plain("no pid"))?;
    let credentials = Arc::new(Credentials::root());
    let arguments = core::iter::once(&words.init).chain(&words.arguments).map(|word| word.as_bytes()).collect();
    let environment = words.environment.iter().map(|word| word.as_bytes()).collect();
    let memory = machine.cgroup.memory.clone();
    let caller = fs::Caller { context: &fs, credentials: &credentials, memory: &memory, thread: None };
    let time = Arc::new(TimeNamespace::first());
    let program = task::load(&caller, &time, words.init.as_bytes(), &arguments, &environment)
        .map_err(|error| (error.errno, error.reason.into()))?;
    let network = NetworkNamespace::new(UserNamespace::first());
    network.loopback.set_up(true);
    let files = fs::FdTable::with_console(&fs, &credentials, &memory).map_err(plain("no console"))?;
    let thread = Thread::new(NewThread {
        pid,
        admission,
        container: None,
        space: program.space,
        files: Arc::new(SpinLock::new(files)),
        fs: Arc::new(SpinLock::new(fs)),
        namespaces: Namespaces {
            uts: Arc::new(UtsNamespace::new(b"veridian")),
            pid_for_children: machine.pid_namespace.clone(),
            network: Arc::new(network),
            cgroup: CgroupNamespace::new(machine.cgroup.clone(), UserNamespace::first()),
            ipc: Arc::new(IpcNamespace::new(UserNamespace::first())),
            time_for_children: time.clone(),
            time,
        },
        kin: Kin::Process {
            guard: Guard::of_program(&credentials, false),
            parent: None,
            exit_signal: 0,
            on_exit: None,
            borrows_memory: false,
        },
        confinement: Confinement::new(&credentials, Bounds::default()).map_err(plain("no process"))?,
        credentials,
        signals: Signals::default(),
        name: program.name,
    });
    task::spawn(thread, program.context);
    sched::spawn(sched::keep_load_average(|| {
        pid_namespace().threads().iter().filter(|thread| thread.is_runnable()).count()
    }));
    Ok(())
}

struct CommandLine<'a> {
    init: &'a str,
    level: LevelFilter,
    environment: Vec<&'a str>,
    arguments: Vec<&'a str>,
}

impl<'a> CommandLine<'a> {
    fn parse(line: &'a str) -> Self {
        let mut parsed =
            Self { init: "/init", level: LevelFilter::Info, environment: Vec::new(), arguments: Vec::new() };
        let mut words = line.split_ascii_whitespace();
        while let Some(word) = words.next() {
            match word.split_once('=') {
                _ if word == "--" => parsed.arguments = words.by_ref().collect(),
                _ if word == "quiet" => parsed.level = LevelFilter::Error,
                Some(("init", path)) => parsed.init = path,
                Some(("loglevel", level)) => parsed.level = level.parse().unwrap_or(parsed.level),
                Some(_) => parsed.environment.push(word),
                None => log::warn!("the command line's word {word:?} means nothing here"),
            }
        }
        parsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_command_line_go_where_they_belong() {
        let line = CommandLine::parse("console=ttyS0 init=/bin/sh quiet config=/config.oci -- -c x=y");
        assert_eq!(line.init, "/bin/sh");
        assert_eq!(line.level, LevelFilter::Error);
        assert_eq!(line.environment, ["console=ttyS0", "config=/config.oci"]);
        assert_eq!(line.arguments, ["-c", "x=y"]);
    }
}
