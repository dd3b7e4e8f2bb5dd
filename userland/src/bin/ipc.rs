//! Driver: System V shared memory, semaphores and message queues, POSIX message queues; each ipc namespace has its own,
//! and they go with it.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::ffi::CStr;
use linux_raw_sys::general::{
    CLOCK_REALTIME, CLONE_NEWIPC, O_CREAT, O_EXCL, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY, POLLIN, POLLOUT, SIGKILL,
    SIGTERM,
};
use veridian_containers::Signal;
use veridian_containers::abi::{CreateFlags, Errno, WaitStatus};
use veridian_userland::check::{Checks, await_sleep, enter_scratch, in_child, read_text, until, wait_for, write_text};
use veridian_userland::sys::{self, IPC_CREAT, IPC_EXCL, IPC_NOWAIT, IPC_PRIVATE, Region, SEM_UNDO, Start};
use veridian_userland::{driver, program, text};

program!(main);

/// Nanoseconds in a millisecond.
const MILLISECOND: u64 = 1_000_000;
/// The key, and the name, that every namespace uses.
const KEY: i32 = 0x1234;
/// Bytes of the segment that the containers fill.
const SEGMENT: usize = 2 << 20;

const GETVAL: u32 = 12;
const GETNCNT: u32 = 14;
const SETVAL: u32 = 16;
const SHM_RDONLY: u32 = 0o10000;
const MSG_NOERROR: u32 = 0o10000;
const MSG_EXCEPT: u32 = 0o20000;

fn main(start: &Start) -> i32 {
    match start.arg(1) {
        Some("inside") => return inside(),
        Some("hog") => return hog(),
        Some("set") => return is_set(),
        Some("files") => return queue_files_inside(),
        _ => {}
    }
    let mut checks = Checks::new();
    enter_scratch();
    let procfs = sys::mkdir(c"/tmp/p", 0o755).and(sys::mount(c"proc", c"/tmp/p", c"proc", 0, None));
    checks.equal("procfs is mounted", procfs, Ok(()));
    memory(&mut checks);
    semaphores(&mut checks);
    messages(&mut checks);
    queues(&mut checks);
    rights(&mut checks);
    queue_files(&mut checks);
    texts(&mut checks);
    parameters(&mut checks);
    namespaces(&mut checks);
    containers(&mut checks);
    checks.finish()
}

fn memory(checks: &mut Checks) {
    checks.equal("no segment of a key: ENOENT", sys::shmget(KEY, 4096, 0), Err(Errno::ENOENT));
    checks.equal("no bytes are EINVAL", sys::shmget(KEY, 0, IPC_CREAT), Err(Errno::EINVAL));
    checks.equal("more than the machine has is ENOMEM", sys::shmget(KEY, 1 << 40, IPC_CREAT), Err(Errno::ENOMEM));
    let Some(id) = checks.value("a segment is made", sys::shmget(KEY, 10_000, IPC_CREAT | 0o600)) else { return };
    checks.equal("and found by its key", sys::shmget(KEY, 10_000, 0), Ok(id));
    checks.equal("not made twice", sys::shmget(KEY, 1, IPC_CREAT | IPC_EXCL), Err(Errno::EEXIST));
    checks.equal("nor found larger than it is", sys::shmget(KEY, 10_001, 0), Err(Errno::EINVAL));
    let Some(here) = checks.value("it is attached", Region::attach(id, 12_288, 0)) else { return };
    here.set(9_999, 7);
    checks.succeeds("a child sees what was written, and writes back", || {
        let again = Region::attach(id, 12_288, 0);
        let Ok(there) = again else { return 1 };
        let seen = there.get(9_999) == 7 && here.get(9_999) == 7;
        there.set(0, 42);
        i32::from(!seen || sys::shmstat(id).map(|status| status[11]) != Ok(3))
    });
    checks.equal("which is seen here", here.get(0), 42);
    checks.equal("the child's attachments are gone", sys::shmstat(id).map(|status| status[11]), Ok(1));
    let read_only = Region::attach(id, 12_288, SHM_RDONLY).expect("attached to read");
    checks.segfaults("an attachment to read is not written", || read_only.set(0, 1));
    let writable = linux_raw_sys::general::PROT_READ | linux_raw_sys::general::PROT_WRITE;
    checks.equal("nor made writable: EACCES", read_only.protect(0, 4096, writable), Err(Errno::EACCES));
    checks.equal("it is detached", read_only.detach(), Ok(()));
    checks.equal("once", read_only.detach(), Err(Errno::EINVAL));
    checks.segfaults("and gone", || {
        read_only.get(0);
    });
    checks.equal("a segment is removed", sys::shmrm(id), Ok(()));
    checks.equal("its key is free", sys::shmget(KEY, 1, 0), Err(Errno::ENOENT));
    checks.equal(
        "it lives while it is attached",
        (here.get(0), sys::shmstat(id).map(|status| status[11])),
        (42, Ok(1)),
    );
    checks.equal("and goes with the last", here.detach(), Ok(()));
    checks.equal("its id is nothing any more", sys::shmstat(id).map(drop), Err(Errno::EINVAL));
    let anonymous = Region::anonymous(4096).expect("memory");
    checks.equal("other memory is not detached", anonymous.detach(), Err(Errno::EINVAL));
}

fn semaphores(checks: &mut Checks) {
    let Some(id) = checks.value("a set of two semaphores", sys::semget(KEY, 2, IPC_CREAT | 0o600)) else { return };
    checks.equal("a set of three of that key there is not", sys::semget(KEY, 3, 0), Err(Errno::EINVAL));
    checks.equal("up and down", sys::semop(id, &[(0, 3, 0), (0, -1, 0)], None), Ok(()));
    checks.equal("leaves the sum", sys::semctl(id, 0, GETVAL, 0), Ok(2));
    let refused = sys::semop(id, &[(0, -2, 0), (1, -1, IPC_NOWAIT)], None);
    checks.equal("operations are done together or not at all", refused, Err(Errno::EAGAIN));
    checks.equal("so that this is what it was", sys::semctl(id, 0, GETVAL, 0), Ok(2));
    let begin = sys::now();
    checks.equal("a wait ends at its time", sys::semop(id, &[(1, -1, 0)], Some(20 * MILLISECOND)), Err(Errno::EAGAIN));
    checks.holds("not before", sys::now() - begin >= 20 * MILLISECOND);
    checks.equal("no such semaphore: EFBIG", sys::semop(id, &[(2, 1, 0)], None), Err(Errno::EFBIG));
    checks.equal("a value past 32767: ERANGE", sys::semop(id, &[(0, 32767, 0)], None), Err(Errno::ERANGE));
    let waiter = sys::spawn(|| i32::from(sys::semop(id, &[(0, -3, 0), (1, 0, 0)], None).is_err())).expect("a child");
    await_waiter(id);
    checks.equal("one waits", sys::semctl(id, 0, GETNCNT, 0), Ok(1));
    checks.equal("is given what it waits for", sys::semop(id, &[(0, 1, 0)], None), Ok(()));
    checks.equal("and goes on", wait_for(waiter), Ok(WaitStatus::Exited(0)));
    checks.equal("with all taken", sys::semctl(id, 0, GETVAL, 0), Ok(0));
    checks.succeeds("a child takes with SEM_UNDO", || {
        i32::from(sys::semctl(id, 1, SETVAL, 5).is_err() || sys::semop(id, &[(1, -4, SEM_UNDO)], None).is_err())
    });
    checks.equal("which its end takes back", sys::semctl(id, 1, GETVAL, 0), Ok(5));
    let killed = sys::spawn(|| {
        let _ = sys::semop(id, &[(1, -1, SEM_UNDO)], None);
        i32::from(sys::semop(id, &[(0, -1, 0)], None).is_ok())
    });
    let killed = killed.expect("a child");
    await_waiter(id);
    checks.equal("who waits can be killed", sys::kill(killed, SIGKILL).and_then(|()| wait_for(killed)).is_ok(), true);
    checks.equal("waits no more", sys::semctl(id, 0, GETNCNT, 0), Ok(0));
    checks.equal("and gives back too", sys::semctl(id, 1, GETVAL, 0), Ok(5));
    let waiter = sys::spawn(|| i32::from(sys::semop(id, &[(0, -1, 0)], None) != Err(Errno::EIDRM))).expect("a child");
    await_waiter(id);
    checks.equal("a set is removed", sys::semctl(id, 0, sys::IPC_RMID, 0), Ok(0));
    checks.equal("who waits hears EIDRM", wait_for(waiter), Ok(WaitStatus::Exited(0)));
    checks.equal("its id is nothing any more", sys::semctl(id, 0, GETVAL, 0), Err(Errno::EINVAL));
}

/// Until one waits for semaphore 0.
fn await_waiter(id: i32) {
    while sys::semctl(id, 0, GETNCNT, 0) == Ok(0) {
        sys::sched_yield();
    }
}

fn messages(checks: &mut Checks) {
    let Some(id) = checks.value("a message queue", sys::msgget(KEY, IPC_CREAT | 0o600)) else { return };
    for (kind, text) in [(3, "three"), (1, "one"), (2, "two"), (1, "uno")] {
        checks.equal(format_args!("{text} is sent"), sys::msgsnd(id, kind, text.as_bytes(), 0), Ok(()));
    }
    let receive = |kind, flags| sys::msgrcv(id, 64, kind, flags | IPC_NOWAIT).map(|(length, m)| (m.kind, length));
    checks.equal("the first of a type", receive(2, 0), Ok((2, 3)));
    checks.equal("the first of another type", receive(3, MSG_EXCEPT), Ok((1, 3)));
    checks.equal("the first of the lowest type", receive(-3, 0), Ok((1, 3)));
    checks.equal("none of a type: ENOMSG", receive(1, 0), Err(Errno::ENOMSG));
    checks.equal("one that is too long: E2BIG", sys::msgrcv(id, 2, 0, 0).map(drop), Err(Errno::E2BIG));
    checks.equal("is cut where that is wanted", sys::msgrcv(id, 2, 0, MSG_NOERROR).map(|(n, _)| n), Ok(2));
    checks.equal("a type below 1 is EINVAL", sys::msgsnd(id, 0, b"", 0), Err(Errno::EINVAL));
    let mut sent = 0;
    while sys::msgsnd(id, 1, &[7; 64], IPC_NOWAIT).is_ok() {
        sent += 1;
    }
    checks.equal("a queue holds 16384 bytes", sent, 256);
    let sender = sys::spawn(|| i32::from(sys::msgsnd(id, 9, b"late", 0).is_err())).expect("a child");
    checks.equal("room is made", receive(0, 0), Ok((1, 64)));
    checks.equal("for who waits for it", wait_for(sender), Ok(WaitStatus::Exited(0)));
    checks.equal("whose message came", receive(9, 0), Ok((9, 4)));
    let receiver = sys::spawn(|| i32::from(sys::msgrcv(id, 64, 77, 0).map(|(n, _)| n) != Ok(5))).expect("a child");
    checks.equal("a receiver waits", sys::msgsnd(id, 77, b"hello", 0), Ok(()));
    checks.equal("for what comes", wait_for(receiver), Ok(WaitStatus::Exited(0)));
    let receiver = sys::spawn(|| i32::from(sys::msgrcv(id, 64, 78, 0).err() != Some(Errno::EIDRM))).expect("a child");
    await_sleep("/tmp/p", receiver);
    checks.equal("a queue is removed", sys::msgrm(id), Ok(()));
    checks.equal("who waits hears of it", wait_for(receiver), Ok(WaitStatus::Exited(0)));
}

fn queues(checks: &mut Checks) {
    let made = sys::mq_open(c"queue", O_CREAT | O_EXCL | O_RDWR, 0o600, Some((4, 32)));
    let Some(queue) = checks.value("a POSIX queue", made) else { return };
    let again = sys::mq_open(c"queue", O_CREAT | O_EXCL | O_RDWR, 0o600, None);
    checks.equal("not made twice", again, Err(Errno::EEXIST));
    checks.equal("no other is there", sys::mq_open(c"other", O_RDWR, 0, None), Err(Errno::ENOENT));
    checks.equal("no name with a slash", sys::mq_open(c"a/b", O_RDWR | O_CREAT, 0, None), Err(Errno::EACCES));
    checks.equal("its attributes", sys::mq_attributes(queue), Ok([0, 4, 32, 0]));
    checks.equal("nothing to read", sys::poll(queue, POLLIN | POLLOUT, Some(0)), Ok(POLLOUT));
    for (text, priority) in [("low", 1), ("high", 9), ("low too", 1)] {
        checks.equal(format_args!("{text} is sent"), sys::mq_send(queue, text.as_bytes(), priority, None), Ok(()));
    }
    checks.equal("longer than it takes: EMSGSIZE", sys::mq_send(queue, &[0; 33], 0, None), Err(Errno::EMSGSIZE));
    let mut buffer = [0; 32];
    checks.equal(
        "a buffer shorter than that too",
        sys::mq_receive(queue, &mut buffer[..31], None),
        Err(Errno::EMSGSIZE),
    );
    checks.equal("the highest priority comes first", sys::mq_receive(queue, &mut buffer, None), Ok((4, 9)));
    checks.equal("then in order", sys::mq_receive(queue, &mut buffer, None), Ok((3, 1)));
    checks.equal("then in order", sys::mq_receive(queue, &mut buffer, None), Ok((7, 1)));
    let soon = || Some(sys::clock(CLOCK_REALTIME).unwrap_or(0) + 20 * MILLISECOND);
    checks.equal("a wait ends at its time", sys::mq_receive(queue, &mut buffer, soon()), Err(Errno::ETIMEDOUT));
    let receiver = sys::spawn(|| i32::from(sys::mq_receive(queue, &mut [0; 32], None) != Ok((4, 2)))).expect("a child");
    checks.equal("a receiver waits", sys::mq_send(queue, b"wake", 2, None), Ok(()));
    checks.equal("for what comes", wait_for(receiver), Ok(WaitStatus::Exited(0)));
    let only = sys::mq_open(c"queue", O_RDONLY | O_NONBLOCK, 0, None).expect("opened");
    checks.equal("who may only read does not send", sys::mq_send(only, b"x", 0, None), Err(Errno::EBADF));
    checks.equal("nor waits who must not", sys::mq_receive(only, &mut buffer, None), Err(Errno::EAGAIN));
    checks.ends("a notification is a signal", WaitStatus::Signaled(Signal::new(SIGTERM).expect("a signal")), || {
        let _ = sys::mq_notify(queue, SIGTERM);
        let _ = sys::mq_send(queue, b"told", 0, None);
        let _ = sys::sleep(1000 * MILLISECOND);
        0
    });
    checks.equal("what is no queue is EBADF", sys::mq_send(1, b"x", 0, None), Err(Errno::EBADF));
    checks.equal("it is unlinked", sys::mq_unlink(c"queue"), Ok(()));
    checks.equal("once", sys::mq_unlink(c"queue"), Err(Errno::ENOENT));
    checks.equal("and open still", sys::mq_attributes(queue), Ok([0, 4, 32, 1]));
    checks.equal("until it is closed", sys::close(queue).and(sys::close(only)), Ok(()));
    // 819200 bytes for a user's queues: a queue of 10 messages of 65536 bytes is over 655360.
    let large = |name| sys::mq_open(name, O_CREAT | O_WRONLY, 0o600, Some((10, 65536)));
    let first = large(c"first");
    checks.equal("a user's queues are bounded: EMFILE", large(c"second"), Err(Errno::EMFILE));
    checks.equal("all together", first.and_then(sys::close).and(sys::mq_unlink(c"first")), Ok(()));
    checks.equal("until one is gone", large(c"second").and_then(sys::close).and(sys::mq_unlink(c"second")), Ok(()));
}

/// The queues as files, in a directory of the probe's own.
fn queue_files(checks: &mut Checks) {
    let mounted = sys::mkdir(c"/tmp/q", 0o755).and(sys::mount(c"mqueue", c"/tmp/q", c"mqueue", 0, None));
    checks.equal("mqueue is mounted", mounted, Ok(()));
    let mode = sys::fstatat(sys::AT_FDCWD, c"/tmp/q", 0).map(|found| found.st_mode);
    checks.equal("everybody makes queues, and unlinks their own", mode, Ok(0o41777));
    let queue = sys::mq_open(c"queue", O_CREAT | O_EXCL | O_RDWR, 0o640, Some((4, 32))).expect("a queue");
    let mode = sys::fstatat(sys::AT_FDCWD, c"/tmp/q/queue", 0).map(|found| found.st_mode);
    checks.equal("a queue is a file", mode, Ok(0o100_640));
    checks.equal("5 bytes are in it", sys::mq_send(queue, b"hello", 1, None), Ok(()));
    let told = read_text::<128>(c"/tmp/q/queue");
    let empty = "QSIZE:5          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n";
    checks.equal("which it tells", told.as_deref(), Ok(empty));
    let mut buffer = [0; 32];
    let _ = sys::ignore_signal(SIGTERM, true);
    let emptied = sys::mq_receive(queue, &mut buffer, None).and(sys::mq_notify(queue, SIGTERM));
    checks.equal("and whom it notifies", emptied, Ok(()));
    let told = read_text::<128>(c"/tmp/q/queue");
    let expected = text!(128, "QSIZE:0          NOTIFY:0     SIGNO:15    NOTIFY_PID:{:<6}\n", sys::getpid());
    checks.equal("by which signal", told.as_deref(), Ok(expected.as_str()));
    let opened = sys::open(c"/tmp/q/queue", O_RDWR).expect("a queue that is opened");
    checks.equal("what is opened is a queue", sys::mq_send(opened, b"x", 0, None), Ok(()));
    let _ = sys::ignore_signal(SIGTERM, false);
    checks.equal("but no file to write", sys::write(opened, b"x"), Err(Errno::EINVAL));
    checks.equal("nor a directory to make others in", sys::mkdir(c"/tmp/q/d", 0o755), Err(Errno::EPERM));
    checks.succeeds("another user neither opens nor unlinks it", || {
        let other = sys::setgroups(&[]).and(sys::setresgid(7, 7, 7)).and(sys::setresuid(7, 7, 7));
        let refused = [
            sys::open(c"/tmp/q/queue", O_RDWR).map(drop),
            sys::mq_open(c"queue", O_RDWR, 0, None).map(drop),
            sys::mq_unlink(c"queue"),
        ];
        let unlinked = sys::unlink(c"/tmp/q/queue");
        let own = sys::open(c"/tmp/q/own", O_RDWR | O_CREAT).and_then(|queue| sys::mq_send(queue, b"x", 0, None));
        i32::from(
            other.is_err()
                || refused != [Err(Errno::EACCES); 3]
                || unlinked.is_ok()
                || own.and(sys::unlink(c"/tmp/q/own")).is_err(),
        )
    });
    checks.equal("unlinked as a file", sys::unlink(c"/tmp/q/queue"), Ok(()));
    checks.equal("it is no queue's name any more", sys::mq_open(c"queue", O_RDWR, 0, None), Err(Errno::ENOENT));
    checks.equal("and no file", sys::open(c"/tmp/q/queue", O_RDWR), Err(Errno::ENOENT));
    checks.equal("close", sys::close(queue).and(sys::close(opened)), Ok(()));
    checks.succeeds("of another namespace's queues nothing is seen", || {
        let other = sys::unshare(CLONE_NEWIPC).and_then(|()| sys::mq_open(c"other", O_CREAT | O_RDWR, 0o600, None));
        i32::from(other.is_err() || sys::open(c"/tmp/q/other", O_RDWR) != Err(Errno::ENOENT))
    });
}

/// In a container: its queues at the usual place.
fn queue_files_inside() -> i32 {
    let made = sys::mq_open(c"queue", O_CREAT | O_RDWR, 0o600, None);
    let found = sys::fstatat(sys::AT_FDCWD, c"/dev/mqueue/queue", 0).map(|found| found.st_mode & 0o777);
    i32::from(made.is_err() || found != Ok(0o600))
}

/// `/proc/sysvipc`.
fn texts(checks: &mut Checks) {
    let shm = sys::shmget(IPC_PRIVATE, 5000, 0o640).expect("a segment");
    let sem = sys::semget(IPC_PRIVATE, 3, 0o640).expect("a set");
    let msg = sys::msgget(IPC_PRIVATE, 0o640).expect("a queue");
    checks.equal("a message is in it", sys::msgsnd(msg, 1, b"hello", 0), Ok(()));
    let of = |name: &CStr, id: i32, want: &[&str]| {
        read_text::<4096>(name).is_ok_and(|told| {
            let id = text!(16, "{id}");
            let line = told.lines().find(|line| line.split_ascii_whitespace().nth(1) == Some(id.as_str()));
            line.is_some_and(|line| line.split_ascii_whitespace().skip(2).zip(want).all(|(word, want)| word == *want))
        })
    };
    checks.holds("segments are listed", of(c"/tmp/p/sysvipc/shm", shm, &["640", "5000"]));
    checks.holds("sets are listed", of(c"/tmp/p/sysvipc/sem", sem, &["640", "3", "0", "0"]));
    checks.holds("queues are listed", of(c"/tmp/p/sysvipc/msg", msg, &["640", "5", "1"]));
    checks.succeeds("another namespace's are not", || {
        let left = sys::unshare(CLONE_NEWIPC);
        let lines = read_text::<512>(c"/tmp/p/sysvipc/shm").map_or(0, |told| told.lines().count());
        i32::from(left.is_err() || lines != 1)
    });
    let gone = sys::shmrm(shm).and(sys::semctl(sem, 0, sys::IPC_RMID, 0)).and(sys::msgrm(msg));
    checks.equal("all are removed", gone, Ok(()));
}

/// The limits, which are sysctls.
fn parameters(checks: &mut Checks) {
    checks.equal("a limit is read", read_text::<16>(c"/tmp/p/sys/kernel/msgmax").as_deref(), Ok("8192\n"));
    checks.succeeds("and set in a namespace of one's own, where it binds", || {
        let Ok(()) = sys::unshare(CLONE_NEWIPC) else { return 1 };
        let set = [
            write_text(c"/tmp/p/sys/kernel/msgmax", "10\n"),
            write_text(c"/tmp/p/sys/kernel/shmmni", "1"),
            write_text(c"/tmp/p/sys/kernel/sem", "3 10 5 2"),
            write_text(c"/tmp/p/sys/fs/mqueue/msg_max", "3"),
        ];
        let Ok(queue) = sys::msgget(IPC_PRIVATE, 0o600) else { return 2 };
        let sent = [sys::msgsnd(queue, 1, &[0; 10], 0), sys::msgsnd(queue, 1, &[0; 11], 0)];
        let segments = [(); 2].map(|()| sys::shmget(IPC_PRIVATE, 1, 0o600).map(drop));
        let sets = [3, 4].map(|count| sys::semget(IPC_PRIVATE, count, 0o600).map(drop));
        let bound = set == [Ok(()); 4]
            && sent == [Ok(()), Err(Errno::EINVAL)]
            && segments == [Ok(()), Err(Errno::ENOSPC)]
            && sets == [Ok(()), Err(Errno::EINVAL)];
        i32::from(!bound) * 3
    });
    checks.equal("not here", read_text::<16>(c"/tmp/p/sys/kernel/msgmax").as_deref(), Ok("8192\n"));
    checks.equal("a value that it does not take", write_text(c"/tmp/p/sys/kernel/shmmni", "-1"), Err(Errno::EINVAL));
    checks.succeeds("nor does one without rights set it", || {
        let other = sys::setresuid(7, 7, 7);
        i32::from(other.is_err() || write_text(c"/tmp/p/sys/kernel/msgmax", "10").is_ok())
    });
}

/// In a container: what its configuration has set.
fn is_set() -> i32 {
    let Ok(queue) = sys::msgget(IPC_PRIVATE, 0o600) else { return 1 };
    let sent = [50, 51].map(|length| sys::msgsnd(queue, 1, &[0; 51][..length], 0));
    i32::from(sent != [Ok(()), Err(Errno::EINVAL)]) * 2
}

fn rights(checks: &mut Checks) {
    let id = sys::shmget(KEY, 4096, IPC_CREAT | 0o640).expect("a segment");
    checks.succeeds("another user's wishes are refused", || {
        let other = sys::setgroups(&[]).and(sys::setresgid(7, 7, 7)).and(sys::setresuid(7, 7, 7));
        let refused = [
            sys::shmget(KEY, 0, 0o004).map(drop),
            Region::attach(id, 4096, 0).map(drop),
            sys::shmstat(id).map(drop),
            sys::shmrm(id),
        ];
        let expected = [Err(Errno::EACCES), Err(Errno::EACCES), Err(Errno::EACCES), Err(Errno::EPERM)];
        i32::from(other.is_err() || refused != expected)
    });
    checks.equal("the owner removes it", sys::shmrm(id), Ok(()));
}

/// Whether none of the objects of the key and the name is here.
fn nothing_is_here() -> bool {
    let found = [
        sys::shmget(KEY, 0, 0).map(drop),
        sys::semget(KEY, 0, 0).map(drop),
        sys::msgget(KEY, 0).map(drop),
        sys::mq_open(c"queue", O_RDWR, 0, None).map(drop),
    ];
    found == [Err(Errno::ENOENT); 4]
}

/// One of each kind, the segment filled.
fn make_all() -> sys::Result<Region> {
    let id = sys::shmget(KEY, SEGMENT, IPC_CREAT | IPC_EXCL | 0o666)?;
    let region = Region::attach(id, SEGMENT, 0)?;
    for page in (0..SEGMENT).step_by(4096) {
        region.set(page, 1);
    }
    sys::semget(KEY, 1, IPC_CREAT | IPC_EXCL | 0o666)?;
    let queue = sys::msgget(KEY, IPC_CREAT | IPC_EXCL | 0o666)?;
    sys::msgsnd(queue, 1, b"secret", 0)?;
    sys::mq_open(c"queue", O_CREAT | O_EXCL | O_RDWR, 0o666, None)?;
    Ok(region)
}

fn namespaces(checks: &mut Checks) {
    let id = sys::semget(IPC_PRIVATE, 1, 0o600).expect("a set");
    checks.equal("a set outside", sys::semctl(id, 0, SETVAL, 1), Ok(0));
    checks.succeeds("a new ipc namespace is empty", || {
        // What is to be undone is undone when the namespace is left.
        let taken = sys::semop(id, &[(0, -1, SEM_UNDO)], None);
        let left = sys::unshare(CLONE_NEWIPC);
        let unknown = sys::semctl(id, 0, GETVAL, 0) == Err(Errno::EINVAL);
        i32::from(taken.is_err() || left.is_err() || !unknown || !nothing_is_here() || make_all().is_err())
    });
    checks.equal("what was taken before is given back", sys::semctl(id, 0, GETVAL, 0), Ok(1));
    checks.holds("what was made in there is not here", nothing_is_here());
    let removed = sys::semctl(id, 0, sys::IPC_RMID, 0);
    checks.equal("the set outside is removed", removed, Ok(0));
    checks.succeeds("an unprivileged process makes no namespace", || {
        let other = sys::setresuid(7, 7, 7);
        i32::from(other.is_err() || sys::unshare(CLONE_NEWIPC) != Err(Errno::EPERM))
    });
}

/// In a container: nothing is here, and then something is until the end.
fn inside() -> i32 {
    if !nothing_is_here() {
        return 1;
    }
    if make_all().is_err() {
        return 2;
    }
    println_ready();
    let _ = sys::sleep(50 * MILLISECOND);
    0
}

fn println_ready() {
    veridian_userland::println!("made");
}

/// In a container: messages until its memory is gone.
fn hog() -> i32 {
    loop {
        let Ok(queue) = sys::msgget(IPC_PRIVATE, 0o600) else { return 3 };
        while sys::msgsnd(queue, 1, &[7; 64], IPC_NOWAIT).is_ok() {}
    }
}

fn containers(checks: &mut Checks) {
    checks.equal("objects are made outside", make_all().map(|region| region.detach()), Ok(Ok(())));
    let before = free_bytes();
    let own = "namespace=ipc\nmemory_limit=16M\n";
    let run = || driver::run("own", &driver::config(own, &["/bin/ipc", "inside"])).map(|end| end.status);
    checks.equal("a container with its own sees none of them", run(), Ok(WaitStatus::Exited(0)));
    let pair = ["one", "two"].map(|id| {
        let config = driver::config(own, &["/bin/ipc", "inside"]);
        let container = driver::create(id, &config, CreateFlags::empty()).map_err(|(errno, _)| errno)?;
        sys::container_start(container).map(|()| container)
    });
    for container in pair {
        let end = container.and_then(|fd| driver::wait(fd).and_then(|end| driver::delete(fd).map(|()| end.status)));
        checks.equal("of two at once each has its own", end, Ok(WaitStatus::Exited(0)));
    }
    for _ in 0..8 {
        let _ = run();
    }
    let lost = || before.saturating_sub(free_bytes());
    // What ended a moment ago on another CPU gives its last frames back there.
    until(|| lost() < SEGMENT as u64);
    let lost = lost();
    checks.holds(format_args!("their memory is back: {lost} bytes are not"), lost < SEGMENT as u64);
    let set = driver::config("namespace=ipc\nsysctl=kernel.msgmax=50\n", &["/bin/ipc", "set"]);
    let set = driver::run("set", &set).map(|end| end.status);
    checks.equal("a configuration sets its limits", set, Ok(WaitStatus::Exited(0)));
    for (name, words) in [("kernel.shm_rmid_forced=1", "no such variable"), ("kernel.shmmni=-1", "does not take")] {
        let config = driver::config(&text!(128, "namespace=ipc\nsysctl={name}\n"), &["/bin/ipc", "set"]);
        let refused = driver::create("refused", &config, CreateFlags::empty()).map_err(|(_, message)| message);
        checks.holds("not what there is not", refused.is_err_and(|message| message.contains(words)));
    }
    let mounted =
        driver::config("namespace=ipc\nmount=/dev/mqueue:mqueue:mqueue:nosuid,noexec,nodev\n", &["/bin/ipc", "files"]);
    let mounted = driver::run("mounted", &mounted).map(|end| end.status);
    checks.equal("and its queues are in /dev/mqueue", mounted, Ok(WaitStatus::Exited(0)));
    let shared = driver::config("namespace=ipc:/tmp/p/self/ns/ipc\n", &["/bin/ipc", "inside"]);
    let shared = driver::run("joined", &shared).map(|end| end.status);
    checks.equal("one that joins this namespace sees its objects", shared, Ok(WaitStatus::Exited(1)));
    let hog = driver::run("hog", &driver::config("namespace=ipc\nmemory_limit=4M\n", &["/bin/ipc", "hog"]));
    checks.equal("messages count against the memory limit", hog.map(|end| end.oom), Ok(true));
    let shared = driver::run("shared", &driver::config("", &["/bin/ipc", "inside"])).map(|end| end.status);
    checks.equal("without namespace=ipc they are seen", shared, Ok(WaitStatus::Exited(1)));
    let (segment, set, queue) = (sys::shmget(KEY, 0, 0), sys::semget(KEY, 0, 0), sys::msgget(KEY, 0));
    let gone = segment.and_then(sys::shmrm).and(set.and_then(|id| sys::semctl(id, 0, sys::IPC_RMID, 0)).map(drop));
    checks.equal(
        "those outside are removed",
        gone.and(queue.and_then(sys::msgrm)).and(sys::mq_unlink(c"queue")),
        Ok(()),
    );
    checks.equal("children left nothing", in_child(|| i32::from(!nothing_is_here())), Ok(WaitStatus::Exited(0)));
}

fn free_bytes() -> u64 {
    sys::sysinfo().map_or(0, |info| info.freeram)
}
