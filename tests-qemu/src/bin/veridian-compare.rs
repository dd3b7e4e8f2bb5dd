//! Runs the same programs on Debian's Linux and here, and compares what they say, name by name: busybox's own test suite, the
//! contracts, or the tests of the crate `nix`. What both said lies in `target/compare`. What holds on Linux and not here must be listed with its reason, and nothing else may be.

use std::{collections::BTreeMap, fs, io, path::PathBuf, process::ExitCode, time::Duration};
use veridian_tests_qemu::{Arch, Exit, Initrd, Linux, Vm, status, target};

const USAGE: &str = "veridian-compare ARCH busybox|contracts|nix [SECONDS]";

/// Time for one run, unless another is told: these are long, and hosts are busy.
const SECONDS: u64 = 1800;

/// A container that is refused nothing, with what Linux's script finds mounted.
const CONFIG: &str = "root_path=rootfs\nhostname=inside\nprocess_env=PATH=/bin:/sbin:/usr/bin:/usr/sbin\n\
     process_env=HOME=/root\nnamespace=pid\nnamespace=mount\nnamespace=uts\nnamespace=ipc\nnamespace=network\n\
     namespace=cgroup\nmount=/proc:proc:proc\nmount=/sys:sysfs:sysfs\nmount=/dev:dev:dev\n\
     mount=/dev/pts:devpts:devpts:newinstance,ptmxmode=0666\nmount=/dev/shm:tmpfs:tmpfs\nmount=/tmp:tmpfs:tmpfs\n\
     mount=/dev/mqueue:mqueue:mqueue\nmasked_path=none\nreadonly_path=none\ncapability=all\nseccomp=unconfined\n\
     no_new_privileges=false\nprocess_args=[\"/bin/sh\",\"/script\"]\n";

/// What is run on both.
struct Subject {
    /// A directory of the host and where it lies in the root.
    files: (PathBuf, &'static str),
    script: &'static str,
    /// What a line says of whom: a name, and whether it holds.
    says: fn(&str) -> Option<(&str, bool)>,
    /// What need not hold here, with the reason.
    differences: BTreeMap<&'static str, &'static str>,
}

/// All of busybox's tests but those that only compute (calculators and hashes), which ask nothing of a kernel and take most
/// of the time.
const BUSYBOX: &str = "mount -t tmpfs none /tmp; cp -a /tests /tmp/; cp /bin/busybox /tmp/tests/busybox\n\
     cd /tmp/tests/testsuite && ./runtest $(busybox --list | grep -vxE 'bc|dc|md5sum|sha[0-9]*sum') </dev/null 2>&1\n";

/// Each of nix's tests in a process of its own, with a time of its own: some kill the process that they run in. One that
/// finds that it cannot run here says so, and has not run.
const NIX: &str = "mount -t tmpfs none /tmp; cd /tmp; export TMPDIR=/tmp\n\
     for program in /nix/*; do for name in $($program --list --format terse 2>/dev/null | sed -n 's/: test$//p'); do\n\
     timeout 30 $program --exact $name --nocapture --include-ignored --test-threads 1 </dev/null >/tmp/said 2>&1; status=$?\n\
     if grep -qi skipping /tmp/said; then echo \"SKIPPED: ${program##*/}: $name\"\n\
     elif [ $status = 0 ]; then echo \"PASS: ${program##*/}: $name\"\n\
     else grep -A 3 panicked /tmp/said; echo \"FAIL: ${program##*/}: $name\"; fi\n\
     done; done\n";

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("veridian-compare: {error}");
            ExitCode::from(status::NOT_STARTED)
        }
    }
}

fn run(words: &[String]) -> io::Result<bool> {
    let usage = || io::Error::other(format!("usage: {USAGE}"));
    let (arch, name, seconds) = match words {
        [arch, name] => (arch.parse()?, name, SECONDS),
        [arch, name, seconds] => (arch.parse()?, name, seconds.parse().map_err(|_| usage())?),
        _ => return Err(usage()),
    };
    let subject = subject(arch, name).ok_or_else(usage)?;
    let limit = Some(Duration::from_secs(seconds));
    let linux = on_linux(arch, &subject)?.time_limit(limit);
    let there = results(linux, &subject, &format!("{name}-{arch}-linux"))?;
    let here = results(here(arch, &subject)?.time_limit(limit), &subject, &format!("{name}-{arch}-here"))?;
    Ok(compare(&format!("{name}, {arch}"), &subject.differences, &there, &here))
}

fn subject(arch: Arch, name: &str) -> Option<Subject> {
    match name {
        "busybox" => Some(Subject {
            files: (target().join("programs/busybox-tests"), "tests"),
            script: BUSYBOX,
            says: busybox_says,
            differences: table("busybox", include_str!("../../../docs/linux-abi.md")),
        }),
        "nix" => Some(Subject {
            files: (target().join("nix").join(arch.name()).join("tests"), "nix"),
            script: NIX,
            says: busybox_says,
            differences: table("nix", include_str!("../../../docs/linux-abi.md")),
        }),
        "contracts" => Some(Subject {
            files: (target().join("contracts").join(arch.name()), "contracts"),
            script: "/contracts/contracts </dev/null 2>&1\n",
            says: contract_says,
            differences: list(include_str!("../../../contracts/differences.txt")),
        }),
        _ => None,
    }
}

/// `PASS: name` or `FAIL: name`; what is skipped says nothing.
fn busybox_says(line: &str) -> Option<(&str, bool)> {
    let name = |result| line.strip_prefix(result);
    name("PASS: ").map(|name| (name, true)).or_else(|| name("FAIL: ").map(|name| (name, false)))
}

/// `name: holds`, or `name: [file:line: what] BROKEN`.
fn contract_says(line: &str) -> Option<(&str, bool)> {
    let (name, rest) = line.split_once(':')?;
    match rest.rsplit(' ').next()? {
        "holds" => Some((name, true)),
        "BROKEN" => Some((name, false)),
        _ => None,
    }
}

/// The rows of the page's table of a subject's tests: "| `name` | reason |".
fn table(subject: &str, page: &'static str) -> BTreeMap<&'static str, &'static str> {
    let (begin, end) = (format!("<!-- {subject} -->"), format!("<!-- end of {subject} -->"));
    let rows = page.split_once(&begin).and_then(|(_, rest)| rest.split_once(&end));
    let row = |line: &'static str| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | ");
    rows.map_or("", |(rows, _)| rows).lines().filter_map(row).collect()
}

/// Lines `name: reason`.
fn list(text: &'static str) -> BTreeMap<&'static str, &'static str> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(": ")).collect()
}

fn on_linux(arch: Arch, subject: &Subject) -> io::Result<Vm> {
    let linux = Linux::of(arch);
    let mut root = linux.root()?;
    root.tree(&subject.files.0, subject.files.1)?;
    Ok(linux.vm(root, subject.script))
}

fn here(arch: Arch, subject: &Subject) -> io::Result<Vm> {
    let mut initrd = Initrd::small(arch, &["init"])?;
    initrd.busybox(&target().join("programs").join(arch.name()).join("busybox"))?;
    for directory in ["dev/shm", "dev/mqueue"] {
        initrd.directory(&format!("bundle/rootfs/{directory}"));
    }
    initrd.tree(&subject.files.0, &format!("bundle/rootfs/{}", subject.files.1))?;
    initrd.file("bundle/rootfs/script", 0o755, format!("ip link set lo up; cd /root; {}", subject.script));
    initrd.config(CONFIG);
    let words = format!("{} loglevel=error", Initrd::RUN_CONFIG);
    Ok(Vm::new(arch).memory("512M").initrd(initrd.archive()).command_line(&words))
}

/// What each name came to in a run, whose console is kept in `log`. (Of several with one name, all must hold.)
fn results(vm: Vm, subject: &Subject, log: &str) -> io::Result<BTreeMap<String, bool>> {
    let outcome = vm.run()?;
    let logs = target().join("compare");
    fs::create_dir_all(&logs)?;
    fs::write(logs.join(log), &outcome.console)?;
    let mut results = BTreeMap::new();
    for (name, holds) in outcome.console.lines().filter_map(|line| (subject.says)(line.trim_end())) {
        *results.entry(name.to_owned()).or_insert(true) &= holds;
    }
    let ended = outcome.script_status().is_some()
        || matches!(outcome.exit, Exit::Status(status) if status != status::PANIC && status != status::REFUSED);
    if results.is_empty() || !ended {
        let last = outcome.last_lines(20);
        return Err(io::Error::other(format!("{log}: {}\n{last}\n{}", outcome.exit, outcome.errors)));
    }
    Ok(results)
}

/// Prints the table. Whether there is no difference but those that are listed, and all that are listed are there.
fn compare(
    title: &str,
    differences: &BTreeMap<&str, &str>,
    there: &BTreeMap<String, bool>,
    here: &BTreeMap<String, bool>,
) -> bool {
    let holding = |results: &BTreeMap<String, bool>| results.values().filter(|holds| **holds).count();
    println!("{title}: on Linux {} of {} hold, here {} of {}", holding(there), there.len(), holding(here), here.len());
    let mut right = true;
    for (name, _) in there.iter().filter(|(_, holds)| **holds) {
        let reason = differences.get(name.as_str());
        match (here.get(name), reason) {
            (Some(true), None) => {}
            (Some(true), Some(_)) => {
                println!("  {name}: holds here too, but is listed");
                right = false;
            }
            (_, Some(reason)) => println!("  {name}: not here: {reason}"),
            (result, None) => {
                println!(
                    "  {name}: {} here, and that is not listed",
                    if result.is_some() { "fails" } else { "did not run" }
                );
                right = false;
            }
        }
    }
    for (name, _) in there.iter().filter(|(_, holds)| !**holds) {
        let here = if here.get(name) == Some(&true) { "holds here" } else { "nor here" };
        println!("  {name}: not on Linux, {here}");
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        assert_eq!(busybox_says("PASS: sed: a b"), Some(("sed: a b", true)));
        assert_eq!(busybox_says("FAIL: du-k"), Some(("du-k", false)));
        assert_eq!(busybox_says("SKIPPED: x"), None);
        assert_eq!(contract_says("pipe_a: holds"), Some(("pipe_a", true)));
        assert_eq!(contract_says("pipe_a: [f.c:1: x (y)] BROKEN"), Some(("pipe_a", false)));
        assert_eq!(contract_says("contracts: 3 of 4 hold"), None);
    }

    #[test]
    fn a_difference_must_be_listed_and_be_one() {
        let results = |holds| BTreeMap::from([("one".to_owned(), true), ("two".to_owned(), holds)]);
        let (none, two) = (BTreeMap::new(), BTreeMap::from([("two", "why")]));
        assert!(compare("", &none, &results(true), &results(true)));
        assert!(!compare("", &none, &results(true), &results(false)));
        assert!(compare("", &two, &results(true), &results(false)));
        assert!(!compare("", &two, &results(true), &results(true)));
        assert!(compare("", &none, &results(false), &results(true)));
    }

    #[test]
    fn rows_of_the_page_are_read() {
        let page = "| `not` | this |\n<!-- busybox -->\n| test | why |\n| `a: b` | c |\n<!-- end of busybox -->\n";
        assert_eq!(table("busybox", page), BTreeMap::from([("a: b", "c")]));
    }
}
