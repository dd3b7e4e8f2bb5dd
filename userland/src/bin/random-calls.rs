//! Plain: system calls with arguments drawn at random, `calls=` of them (100,000 unless said) from `seed=` (1 unless said).
//! `from=` and `to=` draw the calls from a range of numbers; with `together=1` two make them at the same time that share
//! memory, open files and places. Every call and every number is drawn from the seed, so that the same seed makes the same
//! calls: where one never returns, another child goes on behind it. No call may stop the machine, or leave anything behind.
//! With counted instructions (`veridian-run --count`) time spent waiting costs nothing, and a run is the same each time.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::ops::Range;

use linux_raw_sys::general as linux;
use linux_raw_sys::general::{
    MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE, RLIMIT_AS, RLIMIT_NOFILE, SIGKILL, WNOHANG,
};
use veridian_userland::check::{Checks, enter_scratch, read_text, until};
use veridian_userland::sys::{self, PAGE, Region, Start};
use veridian_userland::world::world;
use veridian_userland::{println, program};

program!(main);

/// Calls that a child makes, if none of them ends it: then another one begins, with all that it needs.
const CALLS_OF_A_CHILD: u64 = 250;
/// Looks at a child, a millisecond apart, without another call made: it waits for something, and is ended.
const PATIENCE: u32 = 40;
/// Numbers that are tried: Linux's, and those of the container calls.
const NUMBERS: u64 = 520;
/// Those that end the child at once, one way or another.
const LAST_CALLS: &[u32] = &[linux::__NR_exit, linux::__NR_exit_group, linux::__NR_rt_sigreturn];
/// Those that make more processes, which go on with the same calls: tried one time in sixteen.
const RARE_CALLS: &[u32] = &[linux::__NR_clone, linux::__NR_clone3];

/// The child's namespaces, so that nothing is left of it when it is gone.
const NEW: u32 =
    linux::CLONE_NEWPID | linux::CLONE_NEWNS | linux::CLONE_NEWUTS | linux::CLONE_NEWIPC | linux::CLONE_NEWNET;

/// Spreads seeds that follow each other (the golden ratio's bits).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// xorshift64*: small, and good enough to reach odd corners.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// What programs pass, what they never should, and what lies between.
fn argument(random: &mut Random, memory: &Region) -> usize {
    const STRANGE: &[usize] = &[
        usize::MAX,
        usize::MAX - 99,
        1 << 31,
        (1 << 31) - 1,
        1 << 32,
        1 << 47,
        1 << 63,
        0x8000_0000_0000_0000 - 4096,
        0xffff_8000_0000_0000,
        0xffff_ffff_8000_0000,
        0x1000,
        0xdead_beef,
    ];
    let end = memory.len() - 1;
    match random.below(16) {
        0..4 => random.below(12) as usize,
        4 => 1 << random.below(24),
        5 => random.below(4097) as usize,
        6 => STRANGE[random.below(STRANGE.len() as u64) as usize],
        7 => random.next() as usize,
        // Its last bytes: what is longer reaches past the end.
        8 => memory.address(end - random.below(16) as usize),
        9 => memory.address(random.below(end as u64) as usize),
        _ => memory.address(random.below(64) as usize * 64),
    }
}

/// Strings, small numbers and noise, for the calls to read.
fn fill(random: &mut Random, memory: &Region) {
    const WORDS: &[&[u8]] = &[
        b"/\0",
        b"a\0",
        b"/tmp/b\0",
        b"/proc/self/mem\0",
        b"/dev/null\0",
        b"tmpfs\0",
        b"..\0",
        b"",
        b"/proc/self/fd/3\0",
        b"oci_version=1.0.2\n",
    ];
    for place in 0..64 {
        match random.below(4) {
            0 => memory.fill(place * 64, WORDS[random.below(WORDS.len() as u64) as usize]),
            1 => memory.fill(place * 64, &random.next().to_le_bytes()),
            2 => memory.fill(place * 64, &(memory.address(random.below(4000) as usize) as u64).to_le_bytes()),
            _ => memory.fill(place * 64, &random.below(9).to_le_bytes()),
        }
    }
}

/// Which calls are made, and how.
struct Plan {
    numbers: Range<u64>,
    /// By two that share what they have.
    together: bool,
}

/// Makes a child's calls from the one numbered `first` on; `progress` tells which is made.
fn make_calls(seed: u64, first: u64, Plan { numbers, together }: &Plan, progress: &Region) -> i32 {
    let kind = MAP_ANONYMOUS | if *together { MAP_SHARED } else { MAP_PRIVATE };
    let memory = Region::map(4 * PAGE, PROT_READ | PROT_WRITE, kind, None).expect("memory");
    // A page that is not there, behind the last one.
    let _ = memory.unmap(3 * PAGE, PAGE);
    for file in [c"/dev/null", c"/dev/zero", c"/tmp", c"/proc/self/status"] {
        let _ = sys::open(file, linux::O_RDONLY);
    }
    // What it makes goes with it.
    if sys::chroot(c"/tmp").is_err() || sys::chdir(c"/").is_err() {
        return 1;
    }
    // The other one goes when this one does, which is the first of its namespace.
    let other = *together && sys::fork_sharing(linux::CLONE_FILES | linux::CLONE_FS) == Ok(0);
    let seed = if other { !seed } else { seed };
    for call in first..CALLS_OF_A_CHILD {
        progress.set(usize::from(other), call as u8);
        let mut random = Random(seed.wrapping_add(call).wrapping_mul(GOLDEN) | 1);
        if call % 16 == 0 || call == first {
            fill(&mut random, &memory);
        }
        let number = (numbers.start + random.below(numbers.end - numbers.start)) as u32;
        let words = core::array::from_fn(|_| argument(&mut random, &memory));
        let rare = RARE_CALLS.contains(&number) && random.below(16) != 0;
        if !rare && !LAST_CALLS.contains(&number) {
            sys::any_call(number as usize, words);
        }
    }
    0
}

/// One child in its own namespaces, to its end or until it makes no more calls; the number of its last one.
fn round(seed: u64, first: u64, plan: &Plan, progress: &Region) -> sys::Result<u64> {
    progress.set(0, first as u8);
    let outer = sys::spawn(|| {
        if sys::unshare(NEW).is_err() {
            return 1;
        }
        // The console is not its own: it could stop all output.
        for descriptor in 0..3 {
            let _ = sys::close(descriptor);
            let _ = sys::open(c"/dev/null", linux::O_RDWR);
        }
        // Files of its own, which go when it does.
        if sys::mount(c"own", c"/tmp", c"tmpfs", 0, None).is_err() {
            return 1;
        }
        // What it may take of the machine.
        for (kind, most) in [(RLIMIT_AS, 64 << 20), (RLIMIT_NOFILE, 64)] {
            if sys::setrlimit(kind, most, most).is_err() {
                return 1;
            }
        }
        let Ok(child) = sys::spawn(|| make_calls(seed, first, plan, progress)) else { return 1 };
        let (mut last, mut patience) = (progress.get(0), PATIENCE);
        while sys::wait4(child, WNOHANG) == Ok((0, 0)) {
            let _ = sys::sleep(1_000_000);
            let now = progress.get(0);
            patience = if now == last { patience - 1 } else { PATIENCE };
            last = now;
            if patience == 0 {
                let _ = sys::kill(child, SIGKILL);
                let _ = sys::wait4(child, 0);
                break;
            }
        }
        0
    })?;
    let (_, status) = sys::wait4(outer, 0)?;
    if status == 0 {
        Ok(u64::from(progress.get(0)).clamp(first, CALLS_OF_A_CHILD - 1))
    } else {
        Err(sys::Errno::ECHILD)
    }
}

fn main(start: &Start) -> i32 {
    let number = |name, otherwise| start.var(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (seed, calls): (u64, u64) = (number("seed", 1), number("calls", 100_000));
    let plan = Plan { numbers: number("from", 0)..number("to", NUMBERS), together: number("together", 0) != 0 };
    let mut checks = Checks::new();
    enter_scratch();
    sys::mkdir(c"proc", 0o755).and_then(|()| sys::mount(c"proc", c"proc", c"proc", 0, None)).expect("proc");
    let progress = Region::map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, None).expect("memory");
    // For what the kernel makes when it is first asked for.
    for index in 0..WARM_UP {
        let _ = round(!seed.wrapping_sub(index * CALLS_OF_A_CHILD), 0, &plan, &progress);
    }
    let before = heap_bytes();
    let (free_before, processes) = world();
    let (mut made, mut told, mut failed) = (0, 0, 0);
    let mut index = 0;
    while made < calls && failed == 0 {
        let mut first = 0;
        while first < CALLS_OF_A_CHILD && failed == 0 {
            match round(seed.wrapping_mul(GOLDEN).wrapping_add(index * CALLS_OF_A_CHILD), first, &plan, &progress) {
                Ok(last) => {
                    made += last + 1 - first;
                    first = last + 1;
                }
                Err(_) => failed += 1,
            }
        }
        index += 1;
        if made / TELL_EVERY > told {
            told = made / TELL_EVERY;
            println!("{made} calls");
        }
    }
    checks.holds(
        format_args!("{made} random calls from seed {seed} are survived by who makes others make them"),
        failed == 0,
    );
    let slack = if made < TELL_EVERY { HEAP_SLACK } else { HEAP_SLACK_OF_MILLIONS };
    let kept = || heap_bytes().saturating_sub(before);
    // Another CPU may not be done with the last of them; what leaks stays.
    until(|| world().1 == processes && kept() <= slack);
    let ((free, left), kept) = (world(), kept());
    checks.equal("they leave no process behind", left, processes);
    checks.holds(format_args!("the kernel's heap keeps nothing of them ({kept} bytes)"), kept <= slack);
    let lost = free_before.saturating_sub(free);
    checks.holds(format_args!("they leave no frame behind ({lost} bytes, the heap's own growth)"), lost <= HEAP_GROWTH);
    checks.finish()
}

/// Calls between two lines that tell how many have been made.
const TELL_EVERY: u64 = 1_000_000;
/// Rounds before the machine is looked at.
const WARM_UP: u64 = 20;
/// What the heap may have in use more than before, and after millions of calls, when a table that doubles takes 10 KiB.
const HEAP_SLACK: u64 = 8192;
const HEAP_SLACK_OF_MILLIONS: u64 = 16 << 10;
/// What the heap may have taken of the machine's frames, which it keeps: it is in pieces after all sorts of calls.
const HEAP_GROWTH: u64 = 512 << 10;

/// Bytes in use on the kernel's heap.
fn heap_bytes() -> u64 {
    let text = read_text::<2048>(c"/tmp/proc/meminfo").expect("meminfo");
    let line = text.lines().find_map(|line| line.strip_prefix("Slab:")).expect("Slab");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}
