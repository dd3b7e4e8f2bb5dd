//! # veridian-bench: the same work here and on Linux
//!
//! Owns: what is measured ([`work`]), where the figures are kept ([`results`]), and how they are shown ([`table`],
//! [`chart`]), where instructions go ([`profile`]). Called by: `scripts/bench.sh`, which builds what is booted. Calls: `veridian-tests-qemu`, which boots it.
//!
//! The figures of record are the guest's instructions: QEMU's clock counts them, so that they are the same on every run.

mod chart;
mod profile;
mod results;
mod table;
mod work;

use results::{Measure, Results, WALL};
use std::{fs, io, path::Path, process::ExitCode};
use veridian_tests_qemu::{Arch, Images};
use work::Bench;

const USAGE: &str = "veridian-bench [--counted | --wall | --small | --crowd | --ours | --check | --quick | --profile WORK] \
                     [--arch x86_64|aarch64|riscv64]; or veridian-bench --chart";

/// What is asked for.
enum Task {
    /// Here and on Linux, and the results written: what does not depend on how busy the host is, what does, or both.
    Compare { counted: bool, wall: bool },
    /// What the small Linux takes, written beside what was measured of the others.
    Small,
    /// What a container costs Linux when there are as many as here at most, written beside what was measured.
    Crowd,
    /// The figures of record, here alone, written beside those of Linux that were.
    Ours,
    /// The figures of record, here alone, compared with the results that were written.
    Check,
    /// The figures of record, here alone, shown.
    Quick,
    /// Where the instructions of a micro-benchmark go, or of the container `cycle`.
    Profile(String),
    /// The chart and the page of tables, of the results that were written.
    Chart,
}

fn main() -> ExitCode {
    match options().and_then(|(task, arch)| run(task, arch)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> io::Result<(Task, Arch)> {
    use lexopt::prelude::*;
    let wrong = |error: lexopt::Error| io::Error::other(format!("{error}\nusage: {USAGE}"));
    let (mut task, mut arch) = (Task::Compare { counted: true, wall: true }, Arch::X86_64);
    let mut words = lexopt::Parser::from_env();
    while let Some(word) = words.next().map_err(wrong)? {
        match word {
            Long("counted") => task = Task::Compare { counted: true, wall: false },
            Long("wall") => task = Task::Compare { counted: false, wall: true },
            Long("small") => task = Task::Small,
            Long("crowd") => task = Task::Crowd,
            Long("ours") => task = Task::Ours,
            Long("check") => task = Task::Check,
            Long("quick") => task = Task::Quick,
            Long("profile") => task = Task::Profile(words.value().and_then(ValueExt::string).map_err(wrong)?),
            Long("chart") => task = Task::Chart,
            Long("arch") => arch = words.value().and_then(ValueExt::string).map_err(wrong)?.parse()?,
            other => return Err(wrong(other.unexpected())),
        }
    }
    Ok((task, arch))
}

/// Draws and tabulates what is in the directory of results.
fn show(directory: &Path) -> io::Result<()> {
    let mut all = Vec::new();
    for arch in Arch::ALL {
        let file = directory.join(format!("{arch}.json"));
        if file.exists() {
            all.push((arch, Results::read(&file)?));
        }
    }
    fs::write(directory.join("chart.svg"), chart::svg(&all))?;
    fs::write(directory.join("README.md"), table::page(&all))
}

/// Whether all is well.
fn run(task: Task, arch: Arch) -> io::Result<bool> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    let file = directory.join(format!("{arch}.json"));
    let mut results = Results::default();
    match task {
        Task::Compare { counted, wall } => {
            let bench = Bench::of(arch)?;
            if !counted {
                results = Results::read(&file)?;
            }
            results.linux = bench.linux_version()?;
            let mut measures = if counted { vec![Measure::Instructions] } else { Vec::new() };
            measures.extend(WALL.into_iter().filter(|measure| wall && bench.can(*measure)));
            let mut failures = Vec::new();
            for measure in measures {
                failures.extend(bench.ours(measure, &mut results).err());
                failures.extend(bench.linux(measure, &mut results).err());
                // What was measured is kept, whatever comes.
                results.write(&file)?;
            }
            if counted {
                failures.extend(bench.memory(&mut results).err());
                failures.extend(bench.memory_on_linux(&mut results).err());
                failures.extend(bench.small_linux(&mut results).err());
                results.write(&file)?;
            }
            print!("{}", table::text(arch, &results));
            show(&directory)?;
            failures.iter().for_each(|error| eprintln!("bench: {error}"));
            return Ok(failures.is_empty());
        }
        Task::Small => {
            results = Results::read(&file)?;
            Bench::of(arch)?.small_linux(&mut results)?;
            results.write(&file)?;
            print!("{}", table::text(arch, &results));
            show(&directory)?;
        }
        Task::Crowd => {
            results = Results::read(&file)?;
            Bench::of(arch)?.crowd_on_linux(&mut results)?;
            results.write(&file)?;
            print!("{}", table::text(arch, &results));
            show(&directory)?;
        }
        Task::Ours => {
            results = Results::read(&file)?;
            let bench = Bench::of(arch)?;
            bench.ours(Measure::Instructions, &mut results)?;
            bench.memory(&mut results)?;
            results.write(&file)?;
            print!("{}", table::text(arch, &results));
            show(&directory)?;
        }
        Task::Quick => {
            Bench::of(arch)?.ours(Measure::Instructions, &mut results)?;
            print!("{}", table::text(arch, &results));
        }
        Task::Check => {
            let recorded = Results::read(&file)?;
            Bench::of(arch)?.ours(Measure::Instructions, &mut results)?;
            return Ok(results.no_worse_than(&recorded));
        }
        Task::Profile(work) => {
            profile::print(Bench::of(arch)?.profiled(&work), &Images::of(arch).kernel())?;
        }
        Task::Chart => show(&directory)?,
    }
    Ok(true)
}
