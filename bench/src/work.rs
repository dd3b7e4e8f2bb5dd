//! What is measured: the machines that are booted, and the figures in what they print.

use crate::results::{Measure, Results};
use std::{
    env, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};
use veridian_tests_qemu::{Arch, Exit, Initrd, Linux, Outcome, Vm};

/// The configuration of the container that is made here and by the runtimes.
const CONFIG: &str = include_str!("../config.json");
/// Its program, and that of the containers that are there besides.
const PROGRAM: &str = r#""/bin/micro", "exit""#;
const SLEEPER: &str = r#""/bin/floor", "sleep""#;
/// Its program, when what is asked is when it begins.
const SINCE_RESET: &str = r#""/bin/floor", "since-reset""#;

/// How many containers are there besides, here and on Linux.
const ALIVE: [u32; 4] = [10, 100, 1_000, 10_000];
const ALIVE_ON_LINUX: [u32; 3] = [10, 100, 1_000];
/// As many as here at most: each takes Linux longer than the one before.
const CROWD: u32 = 10_000;
/// How many containers tell what one takes of memory.
const IDLE: u32 = 100;
/// Sizes of memory, in MiB, of which the least that suffices is found.
const SIZES: [u32; 22] = [3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 32, 48, 64, 80, 96, 112, 128, 160, 192, 256];

/// Time for a machine that may have too little memory.
const LEAST_LIMIT: Duration = Duration::from_secs(40);
/// The memory of machines that are not measured for it.
const MEMORY: &str = "512M";
/// Longest time for a machine, on a busy host.
const TIME_LIMIT: Duration = Duration::from_secs(900);

/// Measures one architecture.
pub struct Bench {
    arch: Arch,
    linux: Linux,
    micro: Vec<u8>,
    floor: Vec<u8>,
}

impl Bench {
    /// With the programs that `scripts/bench.sh` built.
    pub fn of(arch: Arch) -> io::Result<Self> {
        let program = |name: &str| {
            let target = env::var_os("CARGO_TARGET_DIR")
                .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")), PathBuf::from);
            let path = target.join("bench").join(arch.name()).join(name);
            fs::read(&path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
        };
        Ok(Self { arch, linux: Linux::of(arch), micro: program("micro")?, floor: program("floor")? })
    }

    /// Package and version of the Linux.
    pub fn linux_version(&self) -> io::Result<String> {
        self.linux.version()
    }

    /// Whether this host can measure so: KVM is tried.
    pub fn can(&self, measure: Measure) -> bool {
        if measure != Measure::Virtualized {
            return true;
        }
        let vm = self.veridian(measure, PROGRAM, Initrd::RUN_CONFIG).time_limit(Some(LEAST_LIMIT));
        let works = Path::new("/dev/kvm").exists() && vm.run().is_ok_and(|run| run.exit == Exit::Status(0));
        if !works {
            eprintln!("bench: {}: KVM runs no guest of this architecture here: not measured", self.arch);
        }
        works
    }

    /// All that is measured of this kernel: boot, container cycles, micro-benchmarks.
    pub fn ours(&self, measure: Measure, results: &mut Results) -> io::Result<()> {
        let mut put = |work: &str, value: f64| results.put(work, measure, "veridian", value);
        if measure == Measure::Instructions {
            let run = self.boot("boot, here", self.veridian(measure, SINCE_RESET, Initrd::RUN_CONFIG))?;
            put("boot", number(&run, "since reset: ")?);
        }
        if !several(measure) {
            let run = self.boot(&step("container cycle, here", measure), self.cycle(measure, 0))?;
            put("cycle", number(&run, "bench cycle: ")?);
            for part in ["create", "start", "wait", "delete"] {
                put(&format!("cycle: {part}"), number(&run, &format!("{part} "))?);
            }
        }
        let run =
            self.boot(&step("micro-benchmarks, here", measure), self.veridian(measure, PROGRAM, "probe=micro"))?;
        micro(&run, &mut put)?;
        if measure == Measure::Instructions {
            for alive in ALIVE {
                let run =
                    self.boot(&format!("container cycle with {alive} alive, here"), self.cycle(measure, alive))?;
                number(&run, "bench alive: ")?;
                put(&format!("cycle, {alive} alive"), number(&run, "bench cycle: ")?);
                put(&format!("create, {alive} alive"), number(&run, "bench cycle: create ")?);
            }
        }
        Ok(())
    }

    /// The same of Linux and its runtimes.
    pub fn linux(&self, measure: Measure, results: &mut Results) -> io::Result<()> {
        if measure == Measure::Instructions {
            results.put("boot", measure, "linux", self.boot_of(&self.linux, "boot, Linux")?);
        }
        if !several(measure) {
            for (who, mode, count) in [("floor", "hand", 100), ("crun", "crun", 100), ("runc", "runc", 100)] {
                let name = step(&format!("container cycle, {who}"), measure);
                let run = self.boot(&name, self.on_linux(measure, &format!("floor {mode} {count}"), true)?)?;
                // A whole life by one command, where there is such.
                let whole = run.number_after(&format!("floor: {mode} run "));
                let cycle = whole.or(run.number_after(&format!("floor: {mode} cycle ")));
                results.put("cycle", measure, who, cycle.map(|value| value as f64).ok_or_else(|| lacking(&run, who))?);
                // By hand all is one step.
                for part in ["create", "start", "wait", "delete"].into_iter().filter(|_| mode != "hand") {
                    let value = number(&run, &format!("floor: {mode} {part} "))?;
                    results.put(&format!("cycle: {part}"), measure, who, value);
                }
            }
        }
        if measure == Measure::Instructions {
            for alive in ALIVE_ON_LINUX {
                self.cycle_on_linux(alive, "1G", TIME_LIMIT, results)?;
            }
        }
        let run = self.boot(&step("micro-benchmarks, Linux", measure), self.on_linux(measure, "micro", false)?)?;
        micro(&run, |name, value| results.put(name, measure, "linux", value))
    }

    /// What a container costs Linux beside [`CROWD`] others.
    pub fn crowd_on_linux(&self, results: &mut Results) -> io::Result<()> {
        self.cycle_on_linux(CROWD, "6G", 4 * TIME_LIMIT, results)
    }

    /// What a container costs Linux beside so many others.
    fn cycle_on_linux(&self, alive: u32, memory: &str, limit: Duration, results: &mut Results) -> io::Result<()> {
        let measure = Measure::Instructions;
        eprintln!("bench: {}: container cycle with {alive} alive, floor", self.arch);
        let vm = self.on_linux(measure, &format!("floor hand 50 {alive}"), false)?;
        let run = vm.memory(memory).time_limit(Some(limit)).run()?;
        results.put(&format!("cycle, {alive} alive"), measure, "floor", number(&run, "floor: hand cycle ")?);
        Ok(())
    }

    /// How long a Linux takes from reset to its first program.
    fn boot_of(&self, linux: &Linux, step: &str) -> io::Result<f64> {
        let mut initrd = Initrd::default();
        initrd.directory("dev").file("init", 0o755, self.floor.clone());
        let vm = linux.bare(&initrd, "-- since-reset").memory(MEMORY);
        number(&self.boot(step, counted(vm, Measure::Instructions))?, "since reset: ")
    }

    /// What a small Linux takes to boot and of memory, if there is one for this architecture.
    pub fn small_linux(&self, results: &mut Results) -> io::Result<()> {
        let Some(small) = Linux::small().filter(|_| self.arch == Arch::X86_64) else { return Ok(()) };
        results.put("boot", Measure::Instructions, "small", self.boot_of(&small, "boot, small Linux")?);
        self.memory_of(&small, "small", results)
    }

    /// The least memory for one container here, and what each further one takes.
    pub fn memory(&self, results: &mut Results) -> io::Result<()> {
        let run = self.boot("idle containers, here", self.cycle(Measure::Instructions, IDLE))?;
        results.put("idle container", Measure::Bytes, "veridian", number(&run, "bench alive: ")?);
        self.least_memory("veridian", results, |size| {
            let vm = self.veridian(Measure::Wall(1), PROGRAM, Initrd::RUN_CONFIG);
            Ok(vm.memory(size).time_limit(Some(LEAST_LIMIT)).run()?.exit == Exit::Status(0))
        })
    }

    /// The same by the floor on Linux.
    pub fn memory_on_linux(&self, results: &mut Results) -> io::Result<()> {
        self.memory_of(&self.linux, "floor", results)
    }

    fn memory_of(&self, linux: &Linux, who: &str, results: &mut Results) -> io::Result<()> {
        let vm = self.on(linux, Measure::Instructions, &format!("floor memory {IDLE}"), false)?;
        let run = self.boot(&format!("idle containers, {who}"), vm)?;
        results.put("idle container", Measure::Bytes, who, number(&run, "floor: memory ")?);
        self.least_memory(who, results, |size| {
            let vm = self.on(linux, Measure::Wall(1), "floor hand 1", false)?;
            Ok(vm.memory(size).time_limit(Some(LEAST_LIMIT)).run()?.script_status() == Some(0))
        })
    }

    /// Finds the least size in which `suffices`.
    fn least_memory(
        &self,
        who: &str,
        results: &mut Results,
        suffices: impl Fn(&str) -> io::Result<bool>,
    ) -> io::Result<()> {
        let least = least(|mib| {
            eprintln!("bench: {}: least memory, {who}, {mib} MiB", self.arch);
            suffices(&format!("{mib}M"))
        })?;
        if let Some(mib) = least {
            results.put("least memory", Measure::Bytes, who, f64::from(mib) * f64::from(1 << 20));
        }
        Ok(())
    }

    /// The machine whose instructions are looked at: it does one of the micro-benchmarks, or the container `cycle`.
    pub fn profiled(&self, work: &str) -> Vm {
        let vm = match work {
            "cycle" => self.cycle(Measure::Instructions, 0),
            name => self.veridian(Measure::Instructions, PROGRAM, "probe=micro").add_words(&format!("-- {name}")),
        };
        vm.time_limit(Some(TIME_LIMIT))
    }

    /// A machine of ours whose container has these arguments.
    fn veridian(&self, measure: Measure, arguments: &str, words: &str) -> Vm {
        let mut initrd = Initrd::small(self.arch, &[]).unwrap_or_default();
        for directory in ["bin", "bundle/rootfs/bin"] {
            initrd.file(&format!("{directory}/micro"), 0o755, self.micro.clone());
            initrd.file(&format!("{directory}/floor"), 0o755, self.floor.clone());
        }
        initrd.config(&CONFIG.replace(PROGRAM, arguments));
        initrd.file("bundle/alive.json", 0o644, CONFIG.replace(PROGRAM, SLEEPER));
        let vm = Vm::new(self.arch).memory(MEMORY).initrd(initrd.archive());
        counted(vm.command_line(&format!("{words} loglevel=error")), measure)
    }

    /// A machine of ours that measures the container cycle.
    fn cycle(&self, measure: Measure, alive: u32) -> Vm {
        let words =
            format!("{} bench=cycle count=100 alive={alive} alive_config=/bundle/alive.json", Initrd::RUN_CONFIG);
        let vm = self.veridian(measure, PROGRAM, &words);
        if alive > 1_000 { vm.memory("3G") } else { vm }
    }

    /// A machine with Linux that runs a command.
    fn on_linux(&self, measure: Measure, command: &str, runtimes: bool) -> io::Result<Vm> {
        self.on(&self.linux, measure, command, runtimes)
    }

    fn on(&self, linux: &Linux, measure: Measure, command: &str, runtimes: bool) -> io::Result<Vm> {
        let mut root = linux.root()?;
        if runtimes {
            linux.add_runtimes(&mut root)?;
        }
        for directory in ["bin", "bundle/rootfs/bin"] {
            root.file(&format!("{directory}/micro"), 0o755, self.micro.clone());
            root.file(&format!("{directory}/floor"), 0o755, self.floor.clone());
        }
        for directory in ["dev", "proc", "sys", "tmp"] {
            root.directory(&format!("bundle/rootfs/{directory}"));
        }
        root.file("bundle/config.json", 0o644, CONFIG);
        Ok(counted(linux.vm(root, command).memory(MEMORY), measure))
    }

    fn boot(&self, step: &str, vm: Vm) -> io::Result<Outcome> {
        eprintln!("bench: {}: {step}", self.arch);
        vm.time_limit(Some(TIME_LIMIT)).run()
    }
}

/// Whether there are several CPUs: then only the micro-benchmarks are run.
fn several(measure: Measure) -> bool {
    matches!(measure, Measure::Wall(2..))
}

fn step(what: &str, measure: Measure) -> String {
    format!("{what}, {measure}")
}

/// The machine, with a clock and CPUs as the measure wants them.
fn counted(vm: Vm, measure: Measure) -> Vm {
    match measure {
        Measure::Wall(cpus) => vm.cpus(cpus),
        Measure::Virtualized => vm.virtualized(),
        Measure::Instructions | Measure::Bytes => vm.count_instructions(),
    }
}

/// The number after a text, which must be there.
fn number(run: &Outcome, text: &str) -> io::Result<f64> {
    run.number_after(text).map(|value| value as f64).ok_or_else(|| lacking(run, text))
}

fn lacking(run: &Outcome, what: &str) -> io::Error {
    io::Error::other(format!("no figure for {what:?}: {}\n{}{}", run.exit, run.last_lines(20), run.errors))
}

/// The figures of the micro-benchmarks.
fn micro(run: &Outcome, mut put: impl FnMut(&str, f64)) -> io::Result<()> {
    for line in run.console.lines().filter_map(|line| line.strip_prefix("micro: ")) {
        let mut words = line.split(' ');
        if let (Some(name), Some(Ok(value)), Some("ns")) = (words.next(), words.next().map(str::parse), words.next()) {
            put(name, value);
        }
    }
    if run.has_line("micro: done") { Ok(()) } else { Err(lacking(run, "micro: done")) }
}

/// The least of [`SIZES`] that suffices, if one does; more of it always suffices too.
fn least(mut suffices: impl FnMut(u32) -> io::Result<bool>) -> io::Result<Option<u32>> {
    let (mut low, mut high) = (0, SIZES.len());
    while low < high {
        let middle = (low + high) / 2;
        if suffices(SIZES[middle])? { high = middle } else { low = middle + 1 }
    }
    Ok(SIZES.get(low).copied())
}
