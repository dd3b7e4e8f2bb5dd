//! Plain: each call with each of its addresses wrong in each way is EFAULT, and nothing happens; addresses that are
//! merely odd work.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general as linux;
use linux_raw_sys::general::{O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, PROT_READ, SIGUSR1, stat};
use linux_raw_sys::net::SOCK_DGRAM;
use linux_raw_sys::system::{new_utsname, sysinfo};
use veridian_containers::abi::{Errno, WaitStatus};
use veridian_userland::check::{Checks, enter_scratch, in_child};
use veridian_userland::program;
use veridian_userland::sys::{self, AT_FDCWD, Fd, PAGE, RawArg, Region, Start, Wild};

program!(main);

/// What a call expects at the address that is wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wants {
    /// A string.
    Text,
    /// A structure of so many bytes to read.
    Input(usize),
    /// A structure of so many bytes to write.
    Output(usize),
    /// A buffer to read from, of which a part may do.
    Source,
    /// A buffer to write to, of which a part may do.
    Target,
}
use Wants::{Input, Output, Source, Target, Text};

/// One argument of a row.
#[derive(Clone, Copy)]
enum Slot {
    /// A number.
    N(i64),
    /// A descriptor: an open file, a device that gives bytes, a directory, the write end of a pipe.
    File,
    Zero,
    Dir,
    Pipe,
    /// Sockets of datagrams: one that a packet waits at, and its other end. An epoll.
    Full,
    Other,
    Epoll,
    /// A string that is right: the name of nothing.
    Name,
    /// The address that is wrong.
    Bad,
    /// The same, where null means that there is none.
    BadOrNull,
}
use Slot::{Bad, BadOrNull, Dir, Epoll, File, Full, N, Name, Other, Pipe, Zero};

/// The working directory as a descriptor.
const HERE: Slot = N(AT_FDCWD as i64);

/// Name, number, what the wrong address should hold, arguments.
type Row = (&'static str, u32, Wants, &'static [Slot]);

const ROWS: &[Row] = &[
    ("read", linux::__NR_read, Target, &[Zero, Bad, N(64)]),
    ("write to a file", linux::__NR_write, Source, &[File, Bad, N(64)]),
    ("write to a pipe", linux::__NR_write, Source, &[Pipe, Bad, N(64)]),
    ("pread64", linux::__NR_pread64, Target, &[File, Bad, N(16), N(0)]),
    ("pwrite64", linux::__NR_pwrite64, Source, &[File, Bad, N(16), N(0)]),
    ("readv", linux::__NR_readv, Input(16), &[Zero, Bad, N(1)]),
    ("writev", linux::__NR_writev, Input(16), &[File, Bad, N(1)]),
    ("getdents64", linux::__NR_getdents64, Target, &[Dir, Bad, N(512)]),
    ("openat", linux::__NR_openat, Text, &[HERE, Bad, N(0), N(0)]),
    ("newfstatat path", linux::__NR_newfstatat, Text, &[HERE, Bad, N(0), N(0)]),
    ("fstat", linux::__NR_fstat, Output(size_of::<stat>()), &[File, Bad]),
    ("pipe2", linux::__NR_pipe2, Output(8), &[Bad, N(0)]),
    ("ppoll", linux::__NR_ppoll, Input(8), &[Bad, N(1), N(0), N(0), N(8)]),
    ("socketpair", linux::__NR_socketpair, Output(8), &[N(1), N(1), N(0), Bad]),
    ("bind", linux::__NR_bind, Input(16), &[Other, Bad, N(16)]),
    ("connect", linux::__NR_connect, Input(16), &[Other, Bad, N(16)]),
    ("sendto", linux::__NR_sendto, Source, &[Other, Bad, N(64), N(0), N(0), N(0)]),
    ("recvfrom", linux::__NR_recvfrom, Target, &[Full, Bad, N(64), N(0x40), N(0), N(0)]),
    ("sendmsg", linux::__NR_sendmsg, Input(56), &[Other, Bad, N(0)]),
    ("recvmsg", linux::__NR_recvmsg, Input(56), &[Full, Bad, N(0x40)]),
    ("sendmmsg", linux::__NR_sendmmsg, Input(64), &[Other, Bad, N(1), N(0)]),
    ("recvmmsg", linux::__NR_recvmmsg, Input(64), &[Full, Bad, N(1), N(0x40), N(0)]),
    ("getsockopt", linux::__NR_getsockopt, Output(4), &[Other, N(1), N(3), Bad, Bad]),
    ("setsockopt", linux::__NR_setsockopt, Input(4), &[Other, N(1), N(2), Bad, N(4)]),
    ("epoll_ctl", linux::__NR_epoll_ctl, Input(12), &[Epoll, N(3), Full, Bad]),
    ("epoll_pwait", linux::__NR_epoll_pwait, Output(12), &[Epoll, Bad, N(1), N(0), N(0), N(8)]),
    ("semop", linux::__NR_semop, Input(6), &[N(0), Bad, N(1)]),
    ("mq_open", linux::__NR_mq_open, Text, &[Bad, N(0), N(0), N(0)]),
    ("mq_unlink", linux::__NR_mq_unlink, Text, &[Bad]),
    ("mkdirat", linux::__NR_mkdirat, Text, &[HERE, Bad, N(0o755)]),
    ("mknodat", linux::__NR_mknodat, Text, &[HERE, Bad, N(0o10644), N(0)]),
    ("unlinkat", linux::__NR_unlinkat, Text, &[HERE, Bad, N(0)]),
    ("symlinkat target", linux::__NR_symlinkat, Text, &[Bad, HERE, Name]),
    ("symlinkat path", linux::__NR_symlinkat, Text, &[Name, HERE, Bad]),
    ("linkat old", linux::__NR_linkat, Text, &[HERE, Bad, HERE, Name, N(0)]),
    ("renameat2 old", linux::__NR_renameat2, Text, &[HERE, Bad, HERE, Name, N(0)]),
    ("renameat2 new", linux::__NR_renameat2, Text, &[HERE, Name, HERE, Bad, N(0)]),
    ("readlinkat path", linux::__NR_readlinkat, Text, &[HERE, Bad, N(0), N(16)]),
    ("faccessat", linux::__NR_faccessat, Text, &[HERE, Bad, N(0)]),
    ("fchmodat", linux::__NR_fchmodat, Text, &[HERE, Bad, N(0o644)]),
    ("fchownat", linux::__NR_fchownat, Text, &[HERE, Bad, N(0), N(0), N(0)]),
    ("truncate", linux::__NR_truncate, Text, &[Bad, N(0)]),
    ("chdir", linux::__NR_chdir, Text, &[Bad]),
    ("chroot", linux::__NR_chroot, Text, &[Bad]),
    ("getcwd", linux::__NR_getcwd, Target, &[Bad, N(256)]),
    ("mount source", linux::__NR_mount, Text, &[BadOrNull, Name, Name, N(0), N(0)]),
    ("mount target", linux::__NR_mount, Text, &[Name, Bad, Name, N(0), N(0)]),
    ("mount type", linux::__NR_mount, Text, &[Name, Name, BadOrNull, N(0), N(0)]),
    ("umount2", linux::__NR_umount2, Text, &[Bad, N(0)]),
    ("pivot_root new", linux::__NR_pivot_root, Text, &[Bad, Name]),
    ("execve path", linux::__NR_execve, Text, &[Bad, N(0), N(0)]),
    ("rt_sigaction new", linux::__NR_rt_sigaction, Input(32), &[N(SIGUSR1 as i64), BadOrNull, N(0), N(8)]),
    ("rt_sigaction old", linux::__NR_rt_sigaction, Output(32), &[N(SIGUSR1 as i64), N(0), BadOrNull, N(8)]),
    ("rt_sigprocmask new", linux::__NR_rt_sigprocmask, Input(8), &[N(0), BadOrNull, N(0), N(8)]),
    ("rt_sigprocmask old", linux::__NR_rt_sigprocmask, Output(8), &[N(0), N(0), BadOrNull, N(8)]),
    ("setgroups", linux::__NR_setgroups, Input(8), &[N(2), Bad]),
    ("getgroups", linux::__NR_getgroups, Output(8), &[N(2), Bad]),
    ("uname", linux::__NR_uname, Output(size_of::<new_utsname>()), &[Bad]),
    ("sethostname", linux::__NR_sethostname, Input(8), &[Bad, N(8)]),
    ("nanosleep", linux::__NR_nanosleep, Input(16), &[Bad, N(0)]),
    ("clock_nanosleep", linux::__NR_clock_nanosleep, Input(16), &[N(1), N(0), Bad, N(0)]),
    ("clock_gettime", linux::__NR_clock_gettime, Output(16), &[N(1), Bad]),
    ("getrandom", linux::__NR_getrandom, Target, &[Bad, N(64), N(0)]),
    ("sysinfo", linux::__NR_sysinfo, Output(size_of::<sysinfo>()), &[Bad]),
];

/// What the slots of the table stand for, and memory: a page to read and write, a page to read, a page that is gone.
struct World {
    file: Fd,
    zero: Fd,
    dir: Fd,
    pipe: Fd,
    sockets: (Fd, Fd),
    epoll: Fd,
    memory: Region,
}

impl World {
    fn new() -> Self {
        let file = sys::openat(AT_FDCWD, c"file", O_CREAT | O_RDWR, 0o644).expect("a file");
        sys::write(file, b"sixteen bytes.. and more").expect("write");
        let memory = Region::anonymous(3 * PAGE).expect("memory");
        (0..2 * PAGE).for_each(|offset| memory.set(offset, b'x'));
        memory.protect(PAGE, PAGE, PROT_READ).expect("mprotect");
        memory.unmap(2 * PAGE, PAGE).expect("unmap");
        let sockets = sys::socketpair(SOCK_DGRAM).expect("a pair of sockets");
        sys::write(sockets.0, &[b'x'; 64]).expect("a packet");
        let epoll = sys::epoll().expect("an epoll");
        let watched = sys::epoll_set(epoll, linux::EPOLL_CTL_ADD, sockets.1, linux::EPOLLIN, 0);
        watched.expect("a socket that is watched");
        Self {
            file,
            zero: sys::open(c"/dev/zero", O_RDONLY).expect("/dev/zero"),
            dir: sys::open(c"/", O_RDONLY | O_DIRECTORY).expect("the root"),
            pipe: sys::pipe(0).expect("a pipe").1,
            sockets,
            epoll,
            memory,
        }
    }

    /// Makes the call of a row with `bad` in the place that is wrong.
    fn call<'a>(&'a self, row: &Row, bad: RawArg<'a>) -> sys::Result<usize> {
        let mut args = [RawArg::Number(0); 6];
        for (arg, slot) in args.iter_mut().zip(row.3) {
            *arg = match *slot {
                N(number) => RawArg::Number(number),
                File => RawArg::Number(self.file.into()),
                Zero => RawArg::Number(self.zero.into()),
                Dir => RawArg::Number(self.dir.into()),
                Pipe => RawArg::Number(self.pipe.into()),
                Full => RawArg::Number(self.sockets.1.into()),
                Other => RawArg::Number(self.sockets.0.into()),
                Epoll => RawArg::Number(self.epoll.into()),
                Name => RawArg::Text(c"no-such-name"),
                Bad | BadOrNull => bad,
            };
        }
        sys::raw_call(row.1, &args)
    }

    /// A name for each way in which an address can be wrong for a row, and the address.
    fn wrongs(&self, row: &Row) -> impl Iterator<Item = (&'static str, RawArg<'_>)> {
        let nullable = row.3.iter().any(|slot| matches!(slot, BadOrNull));
        let wants = row.2;
        let region = move |name, offset, wrong: bool| wrong.then_some((name, RawArg::Region(&self.memory, offset)));
        let size = match wants {
            Input(size) | Output(size) => size,
            _ => 0,
        };
        let wild = [
            ("null", Wild::Null),
            ("the first page", Wild::Low),
            ("a non-canonical address", Wild::Noncanonical),
            ("the kernel", Wild::Kernel),
            ("the last bytes there are", Wild::Last),
        ];
        let wild = wild.into_iter().filter(move |(_, wild)| !(nullable && *wild == Wild::Null));
        wild.map(|(name, wild)| (name, RawArg::Wild(wild))).chain(
            [
                region("unmapped memory", 2 * PAGE, true),
                region("read-only memory", PAGE, matches!(wants, Output(_) | Target)),
                region("a string without an end", 2 * PAGE - 9, wants == Text),
                region("a structure that is cut", 2 * PAGE - size / 2, matches!(wants, Input(_))),
                region("a structure half of which is read-only", PAGE - size / 2, matches!(wants, Output(_))),
            ]
            .into_iter()
            .flatten(),
        )
    }
}

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    enter_scratch();
    sys::setgroups(&[1, 2]).expect("setgroups");
    let world = World::new();
    for row in ROWS {
        for (what, bad) in world.wrongs(row) {
            checks.equal(format_args!("{} with {what} is EFAULT", row.0), world.call(row, bad), Err(Errno::EFAULT));
        }
    }
    pointers_to_pointers(&mut checks, &world.memory);
    second_outputs(&mut checks, &world);
    statuses(&mut checks, &world.memory);
    odd_but_right(&mut checks, &world);
    checks.finish()
}

/// Addresses that lie in memory themselves: vectors and argument lists.
fn pointers_to_pointers(checks: &mut Checks, memory: &Region) {
    let zero = sys::open(c"/dev/zero", O_RDONLY).expect("/dev/zero");
    let file = sys::openat(AT_FDCWD, c"file", O_RDWR, 0).expect("a file");
    let all = Wild::ALL.map(Wild::address).into_iter().chain([memory.address(2 * PAGE)]);
    for address in all {
        memory.fill(0, &address.to_le_bytes());
        memory.fill(8, &64_u64.to_le_bytes());
        memory.fill(16, &[0; 8]);
        let list = RawArg::Region(memory, 0);
        let vector = |number, fd: Fd| sys::raw_call(number, &[RawArg::Number(fd.into()), list, RawArg::Number(1)]);
        checks.equal(
            format_args!("readv to {address:#x} is EFAULT"),
            vector(linux::__NR_readv, zero),
            Err(Errno::EFAULT),
        );
        checks.equal(
            format_args!("writev from {address:#x} is EFAULT"),
            vector(linux::__NR_writev, file),
            Err(Errno::EFAULT),
        );
        let program = RawArg::Text(c"/bin/worker");
        // A null pointer ends a list.
        if address != 0 {
            let args = sys::raw_call(linux::__NR_execve, &[program, list, RawArg::Number(0)]);
            checks.equal(format_args!("execve with an argument at {address:#x} is EFAULT"), args, Err(Errno::EFAULT));
            let env = sys::raw_call(linux::__NR_execve, &[program, RawArg::Number(0), list]);
            checks.equal(format_args!("execve with a variable at {address:#x} is EFAULT"), env, Err(Errno::EFAULT));
        }
    }
    for list in [
        RawArg::Wild(Wild::Low),
        RawArg::Wild(Wild::Kernel),
        RawArg::Wild(Wild::Last),
        RawArg::Region(memory, 2 * PAGE),
    ] {
        let program = RawArg::Text(c"/bin/worker");
        let refused = sys::raw_call(linux::__NR_execve, &[program, list, RawArg::Number(0)]);
        checks.equal("execve with a list of arguments that is not there is EFAULT", refused, Err(Errno::EFAULT));
    }
    checks.equal("close", sys::close(zero).and(sys::close(file)), Ok(()));
}

/// Calls that write a second thing, with the first right.
fn second_outputs(checks: &mut Checks, world: &World) {
    sys::symlink(c"file", c"link").expect("a link");
    let here = RawArg::Number(AT_FDCWD.into());
    let places = Wild::ALL.map(RawArg::Wild).into_iter();
    for bad in places.chain([RawArg::Region(&world.memory, 2 * PAGE), RawArg::Region(&world.memory, PAGE)]) {
        let stat = sys::raw_call(linux::__NR_newfstatat, &[here, RawArg::Text(c"file"), bad, RawArg::Number(0)]);
        checks.equal("newfstatat of a file into wrong memory is EFAULT", stat, Err(Errno::EFAULT));
        let link = sys::raw_call(linux::__NR_readlinkat, &[here, RawArg::Text(c"link"), bad, RawArg::Number(16)]);
        checks.equal("readlinkat of a link into wrong memory is EFAULT", link, Err(Errno::EFAULT));
    }
    let bad = RawArg::Region(&world.memory, 2 * PAGE);
    let link = sys::raw_call(linux::__NR_linkat, &[here, RawArg::Text(c"file"), here, bad, RawArg::Number(0)]);
    checks.equal("linkat of a file to a wrong name is EFAULT", link, Err(Errno::EFAULT));
    let ours = sys::raw_call(
        linux::__NR_ppoll,
        &[RawArg::Number(0), RawArg::Number(0), bad, RawArg::Number(0), RawArg::Number(8)],
    );
    checks.equal("ppoll with a wrong timeout is EFAULT", ours, Err(Errno::EFAULT));
    let ours = sys::raw_call(
        linux::__NR_ppoll,
        &[RawArg::Number(0), RawArg::Number(0), RawArg::Number(0), bad, RawArg::Number(8)],
    );
    checks.equal("ppoll with a wrong mask is EFAULT", ours, Err(Errno::EFAULT));
}

/// The status of a child, to be written where it cannot be.
fn statuses(checks: &mut Checks, memory: &Region) {
    let places = [Wild::Low, Wild::Noncanonical, Wild::Kernel, Wild::Last].map(RawArg::Wild).into_iter();
    for bad in places.chain([RawArg::Region(memory, 2 * PAGE), RawArg::Region(memory, PAGE)]) {
        let waited = |number, args: &[RawArg<'_>]| {
            sys::spawn(|| 0).expect("a child");
            let answer = sys::raw_call(number, args);
            // Whether the child was taken is the kernel's affair; it must not stay for the next.
            let _ = sys::wait4(-1, 0);
            answer
        };
        let zero = RawArg::Number(0);
        let answer = waited(linux::__NR_wait4, &[RawArg::Number(-1), bad, zero, zero]);
        checks.equal("wait4 with a wrong address is EFAULT", answer, Err(Errno::EFAULT));
        let exited = RawArg::Number(linux::WEXITED.into());
        let answer = waited(linux::__NR_waitid, &[RawArg::Number(linux::P_ALL.into()), zero, bad, exited, zero]);
        checks.equal("waitid with a wrong address is EFAULT", answer, Err(Errno::EFAULT));
    }
}

/// Odd addresses and what ends exactly where memory does.
fn odd_but_right(checks: &mut Checks, world: &World) {
    let memory = &world.memory;
    memory.protect(PAGE, PAGE, PROT_READ | linux::PROT_WRITE).expect("mprotect");
    let at = |offset| RawArg::Region(memory, offset);
    let number = |number: i64| RawArg::Number(number);
    for offset in [1, 3, PAGE - 5, PAGE - 1] {
        let name = sys::raw_call(linux::__NR_uname, &[at(offset)]);
        checks.equal(format_args!("uname to byte {offset} of a page"), name, Ok(0));
        let file = sys::raw_call(linux::__NR_fstat, &[number(world.file.into()), at(offset)]);
        checks.equal(format_args!("fstat to byte {offset} of a page"), file, Ok(0));
        let time = sys::raw_call(linux::__NR_clock_gettime, &[number(1), at(offset)]);
        checks.equal(format_args!("clock_gettime to byte {offset} of a page"), time, Ok(0));
        memory.fill(offset, &[0; 16]);
        let slept = sys::raw_call(linux::__NR_nanosleep, &[at(offset), number(0)]);
        checks.equal(format_args!("nanosleep from byte {offset} of a page"), slept, Ok(0));
        let random = sys::raw_call(linux::__NR_getrandom, &[at(offset), number(33), number(0)]);
        checks.equal(format_args!("getrandom to byte {offset} of a page"), random, Ok(33));
    }
    let end = 2 * PAGE;
    memory.fill(end - 5, b"none\0");
    let opened = sys::raw_call(linux::__NR_openat, &[number(AT_FDCWD.into()), at(end - 5), number(0), number(0)]);
    checks.equal("a string that ends where memory does is read", opened, Err(Errno::ENOENT));
    let read = sys::raw_call(linux::__NR_read, &[number(world.zero.into()), at(end - 64), number(64)]);
    checks.equal("a buffer that ends there is filled", read, Ok(64));
    let size = size_of::<stat>();
    let file = sys::raw_call(linux::__NR_fstat, &[number(world.file.into()), at(end - size)]);
    checks.equal("so is a structure", file, Ok(0));
    let file = sys::raw_call(linux::__NR_fstat, &[number(world.file.into()), at(end - size + 1)]);
    checks.equal("one byte further it is not", file, Err(Errno::EFAULT));
    let read = sys::raw_call(linux::__NR_pread64, &[number(world.file.into()), at(end - 8), number(16), number(0)]);
    checks.equal("a buffer of which half is there is half filled", read, Ok(8));
    checks.equal(
        "nothing at all needs no memory",
        sys::raw_call(linux::__NR_write, &[number(world.file.into()), at(end), number(0)]),
        Ok(0),
    );
    checks.equal("after all this a process can be made", in_child(|| 8), Ok(WaitStatus::Exited(8)));
}
