//! Driver: what a container's processes may, and as whom, is what the configuration grants.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{CLOCK_BOOTTIME, CLOCK_MONOTONIC};
use veridian_containers::abi::{CreateFlags, Errno, WaitStatus};
use veridian_userland::check::{Checks, make_file};
use veridian_userland::sys::{self, Start};
use veridian_userland::{driver, program};

program!(main);

/// Docker's default capabilities, as `docker run` shows them in /proc/self/status.
const DOCKER: u64 = 0xa804_25fb;
const CHOWN: u64 = 1 << 0;
const SYS_ADMIN: u64 = 1 << 21;
const HOUR_NS: u64 = 3_600_000_000_000;

fn main(start: &Start) -> i32 {
    if let Some(word) = start.arg(1) {
        return i32::from(!inside(word));
    }
    let mut checks = Checks::new();
    sets(&mut checks);
    users(&mut checks);
    names_and_clocks(&mut checks);
    checks.finish()
}

/// Whether a container with these lines sees `word` hold.
fn held(checks: &mut Checks, sentence: &str, word: &str, more: &str) {
    let config = driver::config(more, &["/bin/granted", word]);
    checks.equal(sentence, driver::run("granted", &config).map(|end| end.status), Ok(WaitStatus::Exited(0)));
}

fn refused(checks: &mut Checks, sentence: &str, more: &str, errno: Errno, words: &str) {
    let config = driver::config(more, &["/bin/granted", "docker"]);
    let found = driver::create("granted", &config, CreateFlags::empty());
    let as_told = matches!(&found, Err((found, message)) if *found == errno && message.contains(words));
    checks.holds(sentence, as_told);
}

fn sets(checks: &mut Checks) {
    held(checks, "who says nothing gets Docker's fourteen, and no new privileges", "docker", "");
    held(checks, "none is none", "nothing", "capability=none\n");
    held(checks, "one more is there", "admin", "capability=default\ncapability=CAP_SYS_ADMIN\n");
    held(checks, "privileges may be new again", "newable", "no_new_privileges=false\n");
    held(checks, "a user keeps nothing through exec", "nothing effective", "process_uid=1000\n");
    let ambient =
        "process_uid=1000\ncapability=CAP_CHOWN\ncapability_inheritable=CAP_CHOWN\ncapability_ambient=CAP_CHOWN\n";
    held(checks, "but what is ambient", "ambient", ambient);
}

fn users(checks: &mut Checks) {
    let maps = "namespace=user\nuid_mapping=0:100000:1000\ngid_mapping=0:200000:1000\n";
    sys::mount(c"shared", c"/tmp", c"tmpfs", 0, None).expect("a tmpfs");
    make_file(c"/tmp/host", 0o600, b"the host's").expect("a file");
    sys::mkdir(c"/tmp/given", 0o777).expect("a directory");
    sys::chmod(c"/tmp/given", 0o777).expect("chmod");
    let more = [maps, "mount=/mnt:bind:/tmp\n"].concat();
    held(checks, "user 0 of a user namespace rules in it and nowhere else", "mapped", &more);
    let made = sys::fstatat(sys::AT_FDCWD, c"/tmp/given/made", 0).map(|status| (status.st_uid, status.st_gid));
    checks.equal("what it made is outside the mapped user's", made, Ok((100_000, 200_000)));
    let other = sys::fstatat(sys::AT_FDCWD, c"/tmp/given/other", 0).map(|status| (status.st_uid, status.st_gid));
    checks.equal("what it gave to user 5 is the fifth's", other, Ok((100_005, 200_005)));
    held(checks, "another user of it is mapped too", "other", &[maps, "process_uid=7\nprocess_gid=8\n"].concat());
    let unmapped = [maps, "process_uid=1000\n"].concat();
    refused(checks, "a user that it does not have is refused", &unmapped, Errno::EINVAL, "user 1000");
    let overlapping = "namespace=user\nuid_mapping=0:1:10\nuid_mapping=5:100:10\ngid_mapping=0:1:10\n";
    refused(checks, "maps that overlap are refused", overlapping, Errno::EINVAL, "");
    sys::umount(c"/tmp", 0).expect("umount");
}

fn names_and_clocks(checks: &mut Checks) {
    held(checks, "the domain name is set", "domain", "domainname=example.org\n");
    let offsets = "namespace=time\ntime_offset=monotonic:36000\ntime_offset=boottime:72000:5\n";
    held(checks, "clocks are ahead by their offsets", "clocks", offsets);
    checks.holds("and only inside", sys::clock(CLOCK_MONOTONIC).is_ok_and(|now| now < 9 * HOUR_NS));
    let back = "namespace=time\ntime_offset=monotonic:-999999999\n";
    refused(checks, "a clock before its beginning is refused", back, Errno::ERANGE, "clock");
}

/// Looks at itself, in a container.
fn inside(word: &str) -> bool {
    let sets = sys::capget(0).unwrap_or_default();
    let bounding = (0..41).filter(|&at| sys::bounding(at) == Ok(true)).fold(0, |set, at| set | 1 << at);
    let same = sets.effective == sets.permitted && sets.permitted == bounding;
    match word {
        "docker" => {
            let gives_up_for_good = sys::mount(c"none", c"/tmp", c"tmpfs", 0, None) == Err(Errno::EPERM);
            same && bounding == DOCKER && sys::no_new_privs() == Ok(true) && gives_up_for_good
        }
        "nothing" => same && bounding == 0,
        "nothing effective" => sets.effective == 0 && sets.permitted == 0 && bounding == DOCKER,
        "admin" => same && bounding == DOCKER | SYS_ADMIN && sys::mount(c"none", c"/tmp", c"tmpfs", 0, None).is_ok(),
        "newable" => sys::no_new_privs() == Ok(false),
        "ambient" => sets.effective == CHOWN && sys::getuid() == 1000 && sys::ambient(0) == Ok(true),
        "mapped" => mapped(),
        "other" => (sys::getuid(), sys::getgid(), sets.effective) == (7, 8, 0),
        "domain" => sys::uname().is_ok_and(|names| sys::text_of(&names.domainname) == "example.org"),
        "clocks" => {
            let ahead = |clock, hours: u64| {
                sys::clock(clock).is_ok_and(|now| (hours * HOUR_NS..(hours + 1) * HOUR_NS).contains(&now))
            };
            ahead(CLOCK_MONOTONIC, 10) && ahead(CLOCK_BOOTTIME, 20)
        }
        _ => false,
    }
}

fn mapped() -> bool {
    let ids = (sys::getuid(), sys::getgid()) == (0, 0);
    let stranger = sys::fstatat(sys::AT_FDCWD, c"/mnt/host", 0).map(|status| (status.st_uid, status.st_gid));
    let closed = sys::open(c"/mnt/host", 0) == Err(Errno::EACCES);
    let not_given = sys::chown(c"/mnt/host", 0, 0) == Err(Errno::EPERM);
    let made = make_file(c"/mnt/given/made", 0o600, b"x").is_ok();
    let other =
        make_file(c"/mnt/given/other", 0o600, b"x").and_then(|()| sys::chown(c"/mnt/given/other", 5, 5)).is_ok();
    let unmapped = sys::chown(c"/mnt/given/other", 5000, 5) == Err(Errno::EINVAL);
    let no_such_user = sys::setresuid(5000, 5000, 5000) == Err(Errno::EINVAL);
    let outside = sys::sethostname(b"own") == Err(Errno::EPERM) || sys::uname().is_ok();
    ids && stranger == Ok((65534, 65534)) && closed && not_given && made && other && unmapped && no_such_user && outside
}
