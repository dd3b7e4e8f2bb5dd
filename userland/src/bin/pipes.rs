//! Plain: pipes, descriptors and poll.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL, FD_CLOEXEC, SEEK_CUR};
use linux_raw_sys::general::{
    O_ACCMODE, O_CLOEXEC, O_NONBLOCK, O_RDONLY, O_WRONLY, POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT,
};
use linux_raw_sys::general::{SIGKILL, SIGPIPE};
use veridian_containers::Signal;
use veridian_containers::abi::{Errno, WaitStatus};
use veridian_userland::check::{Checks, wait_for};
use veridian_userland::program;
use veridian_userland::sys::{self, Start, close, fcntl, pipe, poll, read, write};

program!(main);

/// 20 ms, in nanoseconds.
const SHORT: u64 = 20_000_000;

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    bytes(&mut checks);
    blocking(&mut checks);
    polling(&mut checks);
    descriptors(&mut checks);
    checks.finish()
}

fn bytes(checks: &mut Checks) {
    let (from, to) = pipe(0).expect("a pipe");
    let mut buffer = [0; 16];
    checks.equal("what is written", write(to, b"one").and_then(|_| write(to, b"two")), Ok(3));
    checks.equal("is read as one stream", read(from, &mut buffer), Ok(6));
    checks.equal("in order", &buffer[..6], b"onetwo");
    checks.equal("the read end is not written", write(from, b"x"), Err(Errno::EBADF));
    checks.equal("nor the write end read", read(to, &mut buffer), Err(Errno::EBADF));
    checks.equal("there is no offset: ESPIPE", sys::lseek(from, 0, SEEK_CUR), Err(Errno::ESPIPE));
    checks.equal("nor a place to read from", sys::pread(from, &mut buffer, 0), Err(Errno::ESPIPE));
    let _ = write(to, b"last");
    checks.equal("after the last writer is gone", close(to).and_then(|()| read(from, &mut buffer)), Ok(4));
    checks.equal("there is an end", read(from, &mut buffer), Ok(0));
    checks.equal("close", close(from), Ok(()));
    let (from, to) = pipe(0).expect("a pipe");
    close(from).expect("close");
    checks.ends("a write that no one can read is SIGPIPE", WaitStatus::Signaled(Signal::SIGPIPE), || {
        let _ = write(to, b"x");
        0
    });
    checks.succeeds("or, when that is ignored, EPIPE", || {
        i32::from(sys::ignore_signal(SIGPIPE, true).is_err() || write(to, b"x") != Err(Errno::EPIPE))
    });
    checks.equal("close", close(to), Ok(()));
    checks.equal("unknown flags are EINVAL", pipe(1).map(|_| ()), Err(Errno::EINVAL));
}

fn blocking(checks: &mut Checks) {
    let (from, to) = pipe(0).expect("a pipe");
    let child = sys::spawn(|| {
        let _ = sys::sleep(SHORT);
        i32::from(write(to, b"late") != Ok(4))
    });
    let mut buffer = [0; 4096];
    checks.equal("a read waits for a write", read(from, &mut buffer), Ok(4));
    checks.equal("by a child", wait_for(child.expect("a child")), Ok(WaitStatus::Exited(0)));
    // More than a pipe holds: the writer waits for the reader.
    let child = sys::spawn(|| {
        for piece in 0..64_u8 {
            if write(to, &[piece; 4096]) != Ok(4096) {
                return 1;
            }
        }
        0
    });
    let mut in_order = true;
    for piece in 0..64_u8 {
        let mut filled = 0;
        while filled < 4096 {
            filled += read(from, &mut buffer[filled..]).unwrap_or(4096);
        }
        in_order &= buffer == [piece; 4096];
    }
    checks.equal("256 KiB go through in order", in_order, true);
    checks.equal("and the writer ends", wait_for(child.expect("a child")), Ok(WaitStatus::Exited(0)));
    let child = sys::spawn(|| i32::from(read(from, &mut [0]).is_ok())).expect("a child");
    let _ = sys::sleep(SHORT);
    checks.equal("who waits in a read can be killed", sys::kill(child, SIGKILL), Ok(()));
    checks.equal("and is", wait_for(child), Ok(WaitStatus::Signaled(Signal::SIGKILL)));
    checks.equal("close", close(from).and(close(to)), Ok(()));

    let (from, to) = pipe(O_NONBLOCK).expect("a pipe");
    checks.equal("O_NONBLOCK: an empty pipe is EAGAIN", read(from, &mut buffer), Err(Errno::EAGAIN));
    let mut held = 0;
    while let Ok(written) = write(to, &buffer) {
        held += written;
    }
    checks.equal("a full one too", write(to, b"x"), Err(Errno::EAGAIN));
    checks.equal("it holds 64 KiB", held, 65536);
    checks.equal("close", close(from).and(close(to)), Ok(()));
}

fn polling(checks: &mut Checks) {
    let (from, to) = pipe(0).expect("a pipe");
    checks.equal("nothing to read", poll(from, POLLIN, Some(0)), Ok(0));
    let begin = sys::now();
    checks.equal("however long it waits", poll(from, POLLIN, Some(SHORT)), Ok(0));
    checks.holds("which is as long as it was told", sys::now() - begin >= SHORT);
    checks.equal("there is room to write", poll(to, POLLOUT, Some(0)), Ok(POLLOUT));
    let _ = write(to, b"x");
    checks.equal("now there is something", poll(from, POLLIN, None), Ok(POLLIN));
    let _ = read(from, &mut [0; 8]);
    let child = sys::spawn(|| {
        let _ = sys::sleep(SHORT);
        i32::from(write(to, b"x") != Ok(1))
    });
    checks.equal("poll wakes when something comes", poll(from, POLLIN, None), Ok(POLLIN));
    checks.equal("from a child", wait_for(child.expect("a child")), Ok(WaitStatus::Exited(0)));
    let _ = read(from, &mut [0; 8]);
    checks.equal("without a writer it hangs up", close(to).and_then(|()| poll(from, POLLIN, None)), Ok(POLLHUP));
    checks.equal("close", close(from), Ok(()));
    let (from, to) = pipe(0).expect("a pipe");
    checks.equal(
        "without a reader it is an error",
        close(from).and_then(|()| poll(to, POLLOUT, None)),
        Ok(POLLOUT | POLLERR),
    );
    checks.equal("close", close(to), Ok(()));
    checks.equal("no descriptor at all", poll(99, POLLIN, None), Ok(POLLNVAL));
    checks.equal("a negative one is passed over", poll(-1, POLLIN, Some(0)), Ok(0));
}

fn descriptors(checks: &mut Checks) {
    let (from, to) = pipe(O_CLOEXEC).expect("a pipe");
    checks.equal("O_CLOEXEC is FD_CLOEXEC", fcntl(from, F_GETFD, 0), Ok(FD_CLOEXEC as usize));
    checks.equal(
        "dup clears it",
        sys::dup(from).and_then(|copy| fcntl(copy, F_GETFD, 0).and(close(copy).map(|()| 0))),
        Ok(0),
    );
    checks.equal("F_SETFD", fcntl(from, F_SETFD, 0).and_then(|_| fcntl(from, F_GETFD, 0)), Ok(0));
    let access = |fd| fcntl(fd, F_GETFL, 0).map(|flags| flags as u32 & (O_ACCMODE | O_NONBLOCK));
    checks.equal("F_GETFL of the ends", (access(from), access(to)), (Ok(O_RDONLY), Ok(O_WRONLY)));
    let set = fcntl(from, F_SETFL, O_NONBLOCK).and_then(|_| read(from, &mut [0]));
    checks.equal("F_SETFL sets O_NONBLOCK", set, Err(Errno::EAGAIN));
    checks.equal("F_DUPFD takes the lowest from a number on", fcntl(from, F_DUPFD, 50), Ok(50));
    checks.equal("F_DUPFD_CLOEXEC too", fcntl(from, F_DUPFD_CLOEXEC, 50), Ok(51));
    checks.equal("with the flag", fcntl(51, F_GETFD, 0), Ok(FD_CLOEXEC as usize));
    checks.equal("an unknown command is EINVAL", fcntl(from, 9999, 0), Err(Errno::EINVAL));
    checks.equal("dup3 onto one that is open replaces it", sys::dup3(to, 50, O_CLOEXEC), Ok(50));
    checks.equal("by the other", write(50, b"z"), Ok(1));
    checks.equal("dup3 of one to itself is EINVAL", sys::dup3(to, to, 0), Err(Errno::EINVAL));
    checks.equal("of none is EBADF", sys::dup3(99, 50, 0), Err(Errno::EBADF));
    checks.equal("to a number too large too", sys::dup3(to, i32::MAX, 0), Err(Errno::EBADF));
    checks.equal("close", [from, to, 50, 51].map(close), [Ok(()); 4]);
    for number in [-1, 99, i32::MAX] {
        let answers = [
            read(number, &mut [0]).map(drop),
            write(number, b"x").map(drop),
            close(number),
            sys::dup(number).map(drop),
            sys::fchdir(number),
        ];
        checks.equal(format_args!("descriptor {number} is EBADF everywhere"), answers, [Err(Errno::EBADF); 5]);
    }
    // As many as there may be, and one more.
    let mut last = 0;
    let refused = loop {
        match sys::dup(1) {
            Ok(fd) => last = fd,
            Err(errno) => break errno,
        }
    };
    checks.equal("after the last descriptor comes EMFILE", refused, Errno::EMFILE);
    checks.holds("not before 256", last >= 255);
    for fd in 3..=last {
        let _ = close(fd);
    }
}
