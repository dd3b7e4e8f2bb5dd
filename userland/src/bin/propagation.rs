//! Plain: how mounts spread between mount namespaces, and the flags that mounts and file systems have.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::ffi::CStr;

use linux_raw_sys::general::{
    AT_RECURSIVE, CLONE_NEWNS, MNT_DETACH, MOUNT_ATTR__ATIME, MOUNT_ATTR_NOATIME, MOUNT_ATTR_NOSYMFOLLOW,
    MOUNT_ATTR_RDONLY, MS_BIND, MS_DIRSYNC, MS_LAZYTIME, MS_MOVE, MS_NOSYMFOLLOW, MS_PRIVATE, MS_RDONLY, MS_REC,
    MS_REMOUNT, MS_SHARED, MS_SLAVE, MS_STRICTATIME, MS_SYNCHRONOUS, MS_UNBINDABLE, O_RDONLY, O_WRONLY,
    RENAME_EXCHANGE, SIGKILL,
};
use veridian_containers::abi::{CreateFlags, DeleteFlags, Errno, WaitStatus};
use veridian_userland::check::{Checks, enter_scratch, make_file, until, wait_for};
use veridian_userland::sys::{self, AT_FDCWD, Fd, Pid, Start};
use veridian_userland::{driver, program};

program!(main);

fn main(start: &Start) -> i32 {
    if start.arg(1) == Some("inside") {
        return inside();
    }
    let mut checks = Checks::new();
    checks.equal("a mount namespace of its own", sys::unshare(CLONE_NEWNS), Ok(()));
    enter_scratch();
    for directory in [c"s", c"t", c"u", c"f", c"g"] {
        sys::mkdir(directory, 0o755).expect("a directory");
    }
    peers(&mut checks);
    slaves(&mut checks);
    borders(&mut checks);
    flags(&mut checks);
    bombs(&mut checks);
    containers(&mut checks);
    race(&mut checks);
    checks.finish()
}

/// In a container: waits until the mounts that spread to it are there, and looks for those that must not.
fn inside() -> i32 {
    let arrived = until(|| exists(c"/slave/d/mark") && exists(c"/shared/d/mark") && exists(c"/sys/mark"));
    i32::from(!arrived) + 2 * i32::from(exists(c"/plain/d/mark")) + 4 * i32::from(exists(c"/private/d/mark"))
}

/// What configurations say of mounts and of the root.
fn containers(checks: &mut Checks) {
    tmpfs(c"t").and(share(c"t", MS_SHARED)).and(sys::mkdir(c"t/d", 0o755)).expect("a shared mount");
    share(c"/", MS_SHARED).expect("a shared root");
    let mounts = "rootfs_propagation=slave\nmount=/plain:bind:/tmp/t\nmount=/private:bind:/tmp/t:private\n\
        mount=/slave:bind:/tmp/t:slave\nmount=/shared:bind:/tmp/t:rshared\n";
    let config = driver::config(mounts, &["/bin/propagation", "inside"]);
    let container = driver::create("spread", &config, CreateFlags::empty()).expect("a container");
    checks.equal("no mount of a container is seen outside", exists(c"/bundle/rootfs/dev/null"), false);
    let mounted = tmpfs(c"t/d").and(make_file(c"t/d/mark", 0o644, b""));
    let mounted = mounted.and(tmpfs(c"/bundle/rootfs/sys")).and(make_file(c"/bundle/rootfs/sys/mark", 0o644, b""));
    checks.equal("mounts are made outside", mounted, Ok(()));
    checks.equal("the container starts", sys::container_start(container), Ok(()));
    let end = driver::wait(container).map(|end| end.status);
    checks.equal("they come where the configuration lets them", end, Ok(WaitStatus::Exited(0)));
    checks.equal("the container goes", driver::delete(container), Ok(()));
    let gone = sys::umount(c"/bundle/rootfs/sys", 0).and(sys::umount(c"t/d", 0));
    checks.equal("umount", gone.and(share(c"/", MS_PRIVATE)).and(sys::umount(c"t", 0)), Ok(()));
    let refused = |line: &str| {
        let made =
            driver::create("options", &driver::config(line, &["/bin/worker", "exit", "0"]), CreateFlags::empty());
        made.map_err(|(errno, _)| errno)
    };
    checks.equal("two kinds are refused", refused("mount=/x:bind:/tmp:shared,slave\n"), Err(Errno::EINVAL));
    let status = |lines: &str, path: &str| {
        let config = driver::config(lines, &["/bin/worker", "write", path]);
        driver::run("options", &config).map(|end| end.status.shell_status())
    };
    sys::mkdir(c"t/below", 0o755).and(tmpfs(c"t/below")).expect("a mount");
    checks.equal("ro is for the mount alone", status("mount=/x:rbind:/tmp/t:ro\n", "/x/below/new"), Ok(0));
    checks.equal("rro for those below", status("mount=/x:rbind:/tmp/t:rro\n", "/x/below/other"), Ok(30));
    let again = "mount=/x:bind:/tmp/t\nmount=/x:bind:/tmp/t:remount,ro\n";
    checks.equal("a mount is remounted", status(again, "/x/new"), Ok(30));
    let all = "mount=/x:tmpfs:t:async,atime,diratime,dirsync,exec,iversion,lazytime,loud,relatime,suid,nr_inodes=8,\
        uid=5,gid=6\nmount=/y:tmpfs:t:sync,strictatime,nolazytime\n";
    checks.equal("options without effect are taken", status(all, "/x/new"), Ok(0));
    checks.equal("umount", sys::umount(c"t/below", 0), Ok(()));
}

/// Somebody swaps a directory for a link, again and again, while containers are made that mount on it.
fn race(checks: &mut Checks) {
    const TIMES: u32 = 200;
    for directory in [c"v", c"v/point", c"v/other"] {
        sys::mkdir(directory, 0o777).expect("a directory");
    }
    sys::symlink(c"/../../../tmp", c"v/link").expect("a link");
    make_file(c"marker", 0o644, b"as it was").expect("a file");
    let swapping = sys::spawn(|| {
        loop {
            let _ = sys::rename(c"v/point", c"v/link", RENAME_EXCHANGE);
        }
    });
    let swapping = swapping.expect("a child");
    let config = driver::config("mount=/v:bind:/tmp/v\nmount=/v/point/deep:tmpfs:t\n", &["/bin/worker", "exit", "0"]);
    let mut made = 0;
    for _ in 0..TIMES {
        if let Ok(container) = driver::create("raced", &config, CreateFlags::empty()) {
            made += 1;
            let _ = sys::container_delete(container, DeleteFlags::FORCE).and(sys::close(container));
        }
    }
    checks.equal("the swapping ends", sys::kill(swapping, SIGKILL).and(wait_for(swapping).map(drop)), Ok(()));
    checks.holds(format_args!("of {TIMES} containers some were made: {made}"), made > 0);
    let outside = [c"/tmp/deep", c"/deep", c"/bundle/deep", c"/bundle/rootfs/deep"];
    checks.equal("nothing came to be outside", outside.map(exists), [false; 4]);
    let (mut bytes, file) = ([0; 16], sys::open(c"marker", O_RDONLY).expect("open"));
    checks.equal(
        "a file outside is as it was",
        sys::read(file, &mut bytes).map(|n| &bytes[..n] == b"as it was"),
        Ok(true),
    );
    checks.equal("none is left", driver::count(), Ok(0));
}

fn tmpfs(target: &CStr) -> sys::Result {
    sys::mount(c"none", target, c"tmpfs", 0, None)
}

fn bind(source: &CStr, target: &CStr, flags: u32) -> sys::Result {
    sys::mount(source, target, c"", MS_BIND | flags, None)
}

fn share(target: &CStr, flags: u32) -> sys::Result {
    sys::mount(c"", target, c"", flags, None)
}

fn exists(path: &CStr) -> bool {
    sys::fstatat(AT_FDCWD, path, 0).is_ok()
}

/// A child in a mount namespace of its own, which waits between its steps.
struct Neighbour {
    pid: Pid,
    go: Fd,
    done: Fd,
}

impl Neighbour {
    /// Runs `steps` one after the other, each when asked for; the answers are theirs.
    fn new(steps: &[fn() -> bool]) -> Self {
        let ((go_read, go), (done, done_write)) = (sys::pipe(0).expect("a pipe"), sys::pipe(0).expect("a pipe"));
        let pid = sys::spawn(|| {
            let mut ready = sys::unshare(CLONE_NEWNS).is_ok();
            for step in steps {
                if sys::read(go_read, &mut [0; 1]) != Ok(1) {
                    return 1;
                }
                ready = ready && step();
                let _ = sys::write(done_write, &[u8::from(ready)]);
            }
            0
        });
        sys::close(go_read).and(sys::close(done_write)).expect("close");
        Self { pid: pid.expect("a child"), go, done }
    }

    fn step(&self) -> bool {
        let mut answer = [0];
        sys::write(self.go, b"g") == Ok(1) && sys::read(self.done, &mut answer) == Ok(1) && answer == [1]
    }

    fn end(self) -> bool {
        sys::close(self.go).and(sys::close(self.done)).expect("close");
        wait_for(self.pid) == Ok(WaitStatus::Exited(0))
    }
}

fn peers(checks: &mut Checks) {
    tmpfs(c"s").and(share(c"s", MS_SHARED)).expect("a shared mount");
    for directory in [c"s/a", c"s/b"] {
        sys::mkdir(directory, 0o755).expect("a directory");
    }
    let neighbour = Neighbour::new(&[
        || true,
        || exists(c"s/a/from-first"),
        || tmpfs(c"s/b").is_ok() && make_file(c"s/b/from-second", 0o644, b"").is_ok(),
        || sys::umount(c"s/a", 0).is_ok(),
    ]);
    checks.holds("a neighbour has a copy of the mounts", neighbour.step());
    tmpfs(c"s/a").and(make_file(c"s/a/from-first", 0o644, b"")).expect("a mount");
    checks.holds("what is mounted on a shared mount comes to its peer", neighbour.step());
    checks.holds("the peer mounts", neighbour.step());
    checks.equal("and it comes back", exists(c"s/b/from-second"), true);
    checks.holds("the peer unmounts", neighbour.step());
    checks.equal("and it is gone here", exists(c"s/a/from-first"), false);
    checks.holds("the neighbour ends", neighbour.end());
    checks.equal("its end unmounts nothing here", exists(c"s/b/from-second"), true);
    checks.equal("umount", sys::umount(c"s/b", 0), Ok(()));
}

fn slaves(checks: &mut Checks) {
    let neighbour = Neighbour::new(&[
        || share(c"s", MS_SLAVE).is_ok(),
        || exists(c"s/a/down"),
        || tmpfs(c"s/b").is_ok() && make_file(c"s/b/up", 0o644, b"").is_ok(),
        || share(c"s", MS_PRIVATE).is_ok(),
        || !exists(c"s/b/later"),
    ]);
    checks.holds("a neighbour is a slave", neighbour.step());
    tmpfs(c"s/a").and(make_file(c"s/a/down", 0o644, b"")).expect("a mount");
    checks.holds("it receives", neighbour.step());
    checks.holds("it mounts", neighbour.step());
    checks.equal("which is not seen here", exists(c"s/b/up"), false);
    checks.holds("it becomes private", neighbour.step());
    tmpfs(c"s/b").and(make_file(c"s/b/later", 0o644, b"")).expect("a mount");
    checks.holds("and receives no more", neighbour.step());
    checks.holds("the neighbour ends", neighbour.end());
    checks.equal("umount", sys::umount(c"s/a", 0).and(sys::umount(c"s/b", 0)), Ok(()));
}

fn borders(checks: &mut Checks) {
    let inval = Err(Errno::EINVAL);
    tmpfs(c"s/a").expect("a mount");
    checks.equal("what peers have too is not moved", sys::mount(c"s/a", c"t", c"", MS_MOVE, None), inval);
    tmpfs(c"t").and(share(c"t", MS_UNBINDABLE)).expect("a mount");
    checks.equal("an unbindable mount is not bound", bind(c"t", c"u", 0), inval);
    checks.equal("nor moved to where it would be copied", sys::mount(c"t", c"s/b", c"", MS_MOVE, None), inval);
    checks.equal("two kinds at once are EINVAL", share(c"t", MS_SHARED | MS_SLAVE), inval);
    checks.equal("what is no mount is EINVAL", share(c"u", MS_SHARED), inval);
    checks.equal("pivot_root onto a shared mount is EINVAL", sys::pivot_root(c"s/a", c"s/a"), inval);
    checks.equal("umount", sys::umount(c"t", 0).and(sys::umount(c"s", MNT_DETACH)), Ok(()));
}

fn flags(checks: &mut Checks) {
    const ST_RDONLY: u64 = 1;
    const ST_SYNCHRONOUS: u64 = 16;
    const ST_NOATIME: u64 = 1024;
    let told = |path, bit| sys::statfs_flags(path).map(|flags| flags & bit != 0);
    let quiet = MS_SYNCHRONOUS | MS_DIRSYNC | MS_LAZYTIME | MS_STRICTATIME;
    checks.equal("flags without effect are taken", sys::mount(c"x", c"f", c"tmpfs", quiet, Some(c"size=0")), Ok(()));
    checks.equal("and told", told(c"f", ST_SYNCHRONOUS), Ok(true));
    sys::symlink(c"target", c"f/link").and(make_file(c"f/target", 0o644, b"")).expect("a link");
    checks.equal("a link is followed", sys::open(c"f/link", O_RDONLY).and_then(sys::close), Ok(()));
    sys::mount(c"", c"f", c"", MS_REMOUNT | MS_BIND | MS_NOSYMFOLLOW, None).expect("remounted");
    checks.equal("with nosymfollow ELOOP", sys::open(c"f/link", O_RDONLY), Err(Errno::ELOOP));
    sys::mount(c"", c"f", c"", MS_REMOUNT | MS_BIND, None).expect("remounted");
    bind(c"f", c"g", 0).expect("a mount");
    let file = sys::open(c"g/target", O_WRONLY).expect("open");
    let whole = |flags, data| sys::mount(c"", c"f", c"", MS_REMOUNT | flags, data);
    checks.equal("a file system that is written to is not made read-only", whole(MS_RDONLY, None), Err(Errno::EBUSY));
    sys::close(file).expect("close");
    checks.equal("afterwards it is", whole(MS_RDONLY, None), Ok(()));
    checks.equal("for every mount of it", make_file(c"g/new", 0o644, b""), Err(Errno::EROFS));
    checks.equal("and told", (told(c"f", ST_RDONLY), told(c"g", ST_RDONLY)), (Ok(true), Ok(true)));
    sys::mount(c"", c"g", c"", MS_REMOUNT | MS_BIND, None).expect("remounted");
    checks.equal("which a mount alone cannot undo", make_file(c"g/new", 0o644, b""), Err(Errno::EROFS));
    checks.equal("the file system can", whole(0, None).and(make_file(c"g/new", 0o644, b"")), Ok(()));
    checks.equal("no limit is set where there was none", whole(0, Some(c"size=1m")), Err(Errno::EINVAL));
    tmpfs(c"f/target").expect_err("no directory");
    sys::mkdir(c"f/d", 0o755).and(tmpfs(c"f/d")).expect("a mount");
    let set = |flags, set, clear| sys::mount_setattr(c"f", flags, set, clear, 0);
    let file = sys::openat(AT_FDCWD, c"f/d/file", linux_raw_sys::general::O_CREAT | O_WRONLY, 0o644).expect("a file");
    checks.equal("a tree is made read-only whole or not", set(AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0), Err(Errno::EBUSY));
    checks.equal("not", make_file(c"f/still", 0o644, b""), Ok(()));
    sys::close(file).expect("close");
    checks.equal("whole", set(AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0), Ok(()));
    checks.equal("with what is beneath", make_file(c"f/d/new", 0o644, b""), Err(Errno::EROFS));
    checks.equal("and back", set(AT_RECURSIVE, MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_RDONLY), Ok(()));
    checks.equal("with another", sys::open(c"f/link", O_RDONLY), Err(Errno::ELOOP));
    checks.equal("a time alone is EINVAL", set(0, MOUNT_ATTR_NOATIME, 0), Err(Errno::EINVAL));
    checks.equal("it replaces all times", set(0, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME), Ok(()));
    checks.equal("and is told", told(c"f", ST_NOATIME), Ok(true));
    checks.equal("an unknown attribute is EINVAL", set(0, 0x400, 0), Err(Errno::EINVAL));
    checks.equal("umount", sys::umount(c"g", 0).and(sys::umount(c"f", MNT_DETACH)), Ok(()));
}

fn bombs(checks: &mut Checks) {
    tmpfs(c"u").expect("a mount");
    sys::mkdir(c"u/x", 0o755).expect("a directory");
    let mut outcome = Ok(());
    for _ in 0..64 {
        outcome = bind(c"u", c"u/x", MS_REC);
        if outcome.is_err() {
            break;
        }
    }
    checks.equal("trees that double are bounded", outcome, Err(Errno::ENOSPC));
    checks.equal("and go at once", sys::umount(c"u", MNT_DETACH), Ok(()));
    tmpfs(c"u").and(share(c"u", MS_SHARED)).expect("a mount");
    let names =
        [c"u/a", c"u/b", c"u/c", c"u/d", c"u/e", c"u/f", c"u/g", c"u/h", c"u/i", c"u/j", c"u/k", c"u/l", c"u/m"];
    for name in names {
        sys::mkdir(name, 0o755).expect("a directory");
    }
    let refused = names.iter().find_map(|name| bind(c"u", name, MS_REC).err());
    checks.equal("mounts that spread are bounded", refused, Some(Errno::ENOSPC));
    checks.equal("and go at once", sys::umount(c"u", MNT_DETACH), Ok(()));
    checks.equal("there is room again", tmpfs(c"u").and(sys::umount(c"u", 0)), Ok(()));
}
