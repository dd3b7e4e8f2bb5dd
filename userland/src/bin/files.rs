//! Plain: files, directories and links in a tmpfs.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::ffi::CStr;

use linux_raw_sys::general as linux;
use linux_raw_sys::general::{O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY};
use linux_raw_sys::general::{SEEK_CUR, SEEK_END, SEEK_SET};
use veridian_containers::abi::Errno;
use veridian_userland::check::{Checks, enter_scratch, make_file};
use veridian_userland::program;
use veridian_userland::sys::{self, AT_FDCWD, Fd, Start, fstatat};

program!(main);

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    enter_scratch();
    contents(&mut checks);
    opening(&mut checks);
    sizes(&mut checks);
    directories(&mut checks);
    names(&mut checks);
    links(&mut checks);
    permissions(&mut checks);
    listing(&mut checks);
    checks.finish()
}

fn open(path: &CStr, flags: u32) -> sys::Result<Fd> {
    sys::openat(AT_FDCWD, path, flags, 0o644)
}

fn size(path: &CStr) -> sys::Result<i64> {
    fstatat(AT_FDCWD, path, 0).map(|found| found.st_size)
}

fn contents(checks: &mut Checks) {
    let file = open(c"file", O_CREAT | O_RDWR).expect("a file");
    checks.equal("a new file is empty", sys::read(file, &mut [0; 8]), Ok(0));
    checks.equal("write", sys::write(file, b"hello, world"), Ok(12));
    checks.equal("the offset is after it", sys::lseek(file, 0, SEEK_CUR), Ok(12));
    checks.equal("lseek to the start", sys::lseek(file, 0, SEEK_SET), Ok(0));
    let mut buffer = [0; 32];
    checks.equal("read gives what there is", sys::read(file, &mut buffer), Ok(12));
    checks.equal("as it was written", &buffer[..12], b"hello, world");
    checks.equal("pwrite", sys::pwrite(file, b"W", 7), Ok(1));
    checks.equal("pread", sys::pread(file, &mut buffer[..5], 7), Ok(5));
    checks.equal("sees it", &buffer[..5], b"World");
    checks.equal("and neither moves the offset", sys::lseek(file, 0, SEEK_CUR), Ok(12));
    checks.equal("a negative offset is EINVAL", sys::pread(file, &mut buffer, -1), Err(Errno::EINVAL));
    checks.equal("before the start is EINVAL", sys::lseek(file, -1, SEEK_SET), Err(Errno::EINVAL));
    checks.equal("an unknown whence is EINVAL", sys::lseek(file, 0, 99), Err(Errno::EINVAL));
    checks.equal("from the end", sys::lseek(file, -5, SEEK_END), Ok(7));
    let (mut first, mut second) = ([0; 2], [0; 8]);
    checks.equal("readv fills buffers in order", sys::readv(file, &mut first, &mut second), Ok(5));
    checks.equal("each its part", (&first, &second[..3]), (b"Wo", b"rld".as_slice()));
    checks.equal("writev", sys::writev(file, b"!", b"!!"), Ok(3));
    checks.equal("makes it longer", size(c"file"), Ok(15));
    let copy = sys::dup(file).expect("dup");
    checks.equal("a duplicate shares the offset", sys::lseek(copy, 0, SEEK_CUR), Ok(15));
    checks.equal("close", sys::close(copy), Ok(()));
    let read_only = open(c"file", O_RDONLY).expect("open");
    checks.equal("another open has its own", sys::lseek(read_only, 0, SEEK_CUR), Ok(0));
    checks.equal("a write to what is open to read is EBADF", sys::write(read_only, b"x"), Err(Errno::EBADF));
    checks.equal("ftruncate of it is EINVAL", sys::ftruncate(read_only, 0), Err(Errno::EINVAL));
    let write_only = open(c"file", O_WRONLY).expect("open");
    checks.equal("a read of what is open to write is EBADF", sys::read(write_only, &mut buffer), Err(Errno::EBADF));
    let append = open(c"file", O_WRONLY | O_APPEND).expect("open");
    checks.equal("O_APPEND writes at the end", sys::write(append, b"#"), Ok(1));
    checks.equal("wherever that is", size(c"file"), Ok(16));
    checks.equal(
        "no terminal: ENOTTY",
        sys::ioctl(file, linux_raw_sys::ioctl::TCGETS, &mut [0; 64]),
        Err(Errno::ENOTTY),
    );
    for file in [file, read_only, write_only, append] {
        checks.equal("close", sys::close(file), Ok(()));
    }
    checks.equal("a second close is EBADF", sys::close(file), Err(Errno::EBADF));
}

fn opening(checks: &mut Checks) {
    for (what, path, flags, errno) in [
        ("a file that is not there", c"missing", O_RDONLY, Errno::ENOENT),
        ("in a directory that is not there", c"missing/file", O_CREAT | O_WRONLY, Errno::ENOENT),
        ("in a file", c"file/file", O_RDONLY, Errno::ENOTDIR),
        ("a file with a slash behind it", c"file/", O_RDONLY, Errno::ENOTDIR),
        ("O_EXCL of one that is there", c"file", O_CREAT | O_EXCL | O_WRONLY, Errno::EEXIST),
        ("O_DIRECTORY of a file", c"file", O_DIRECTORY | O_RDONLY, Errno::ENOTDIR),
        ("a directory to write", c".", O_WRONLY, Errno::EISDIR),
        ("an empty path", c"", O_RDONLY, Errno::ENOENT),
    ] {
        checks.equal(format_args!("open {what} is {}", errno.name()), open(path, flags), Err(errno));
    }
    checks.equal("openat of a descriptor that is none is EBADF", sys::openat(99, c"x", O_RDONLY, 0), Err(Errno::EBADF));
    let file = open(c"file", O_RDONLY).expect("open");
    checks.equal("of a file is ENOTDIR", sys::openat(file, c"x", O_RDONLY, 0), Err(Errno::ENOTDIR));
    checks.equal("with an absolute path it does not matter", sys::openat(99, c"/tmp/file", O_RDONLY, 0), Ok(file + 1));
    checks.equal("the lowest free number is taken", sys::close(file).and_then(|()| open(c"file", O_RDONLY)), Ok(file));
    checks.equal("close", sys::close(file).and(sys::close(file + 1)), Ok(()));
    checks.equal("O_TRUNC empties", open(c"file", O_WRONLY | O_TRUNC).and_then(sys::close), Ok(()));
    checks.equal("a file", size(c"file"), Ok(0));
}

fn sizes(checks: &mut Checks) {
    let file = open(c"sparse", O_CREAT | O_RDWR).expect("a file");
    checks.equal("a write past the end", sys::pwrite(file, b"end", 1_000_000), Ok(3));
    checks.equal("makes the file that long", size(c"sparse"), Ok(1_000_003));
    let mut buffer = [0xff; 64];
    checks.equal("the hole can be read", sys::pread(file, &mut buffer, 500_000), Ok(64));
    checks.equal("and is zero", buffer, [0; 64]);
    let blocks = sys::fstat(file).map(|found| found.st_blocks <= 64);
    checks.equal("it takes no blocks", blocks, Ok(true));
    checks.equal("ftruncate to less", sys::ftruncate(file, 999_999), Ok(()));
    checks.equal("and to more", sys::ftruncate(file, 1_000_003), Ok(()));
    checks.equal("what was cut", sys::pread(file, &mut buffer[..3], 1_000_000), Ok(3));
    checks.equal("is zero", &buffer[..3], &[0; 3]);
    checks.equal("truncate by path", sys::truncate(c"sparse", 5), Ok(()));
    checks.equal("does the same", size(c"sparse"), Ok(5));
    checks.equal("a negative length is EINVAL", sys::truncate(c"sparse", -1), Err(Errno::EINVAL));
    checks.equal("of a directory it is EISDIR", sys::truncate(c".", 0), Err(Errno::EISDIR));
    checks.equal("close", sys::close(file), Ok(()));
}

fn directories(checks: &mut Checks) {
    checks.equal("mkdir", sys::mkdir(c"dir", 0o755), Ok(()));
    checks.equal("again is EEXIST", sys::mkdir(c"dir", 0o755), Err(Errno::EEXIST));
    checks.equal("below nothing is ENOENT", sys::mkdir(c"no/dir", 0o755), Err(Errno::ENOENT));
    checks.equal("a directory inside", sys::mkdir(c"dir/sub/", 0o755), Ok(()));
    let links = fstatat(AT_FDCWD, c"dir", 0).map(|found| found.st_nlink);
    checks.equal("counts as a link of the outer", links, Ok(3));
    checks.equal("rmdir of one that is not empty", sys::rmdir(c"dir"), Err(Errno::ENOTEMPTY));
    checks.equal("rmdir of `.` is EINVAL", sys::rmdir(c"dir/."), Err(Errno::EINVAL));
    checks.equal("rmdir of a file is ENOTDIR", sys::rmdir(c"file"), Err(Errno::ENOTDIR));
    checks.equal("unlink of a directory is EISDIR", sys::unlink(c"dir"), Err(Errno::EISDIR));
    checks.equal("rmdir of nothing is ENOENT", sys::rmdir(c"missing"), Err(Errno::ENOENT));
    let read = open(c"dir", O_RDONLY).and_then(|dir| sys::read(dir, &mut [0; 8]));
    checks.equal("read of a directory is EISDIR", read, Err(Errno::EISDIR));
    checks.equal("chdir", sys::chdir(c"dir/sub"), Ok(()));
    let mut path = [0; 64];
    checks.equal("getcwd", sys::getcwd(&mut path), Ok(13));
    checks.equal("tells where", &path[..13], b"/tmp/dir/sub\0");
    checks.equal("in too small a buffer: ERANGE", sys::getcwd(&mut path[..12]), Err(Errno::ERANGE));
    checks.equal("`..` leads up", sys::chdir(c"..").and_then(|()| sys::getcwd(&mut path)), Ok(9));
    checks.equal("chdir to a file is ENOTDIR", sys::chdir(c"../file"), Err(Errno::ENOTDIR));
    checks.equal("fchdir of a file is ENOTDIR", open(c"../file", O_RDONLY).and_then(sys::fchdir), Err(Errno::ENOTDIR));
    checks.equal("rmdir of the inner one", sys::rmdir(c"sub"), Ok(()));
    checks.equal("and of the one this process is in", sys::rmdir(c"../dir"), Ok(()));
    checks.equal("nothing can be made in it then", sys::mkdir(c"new", 0o755), Err(Errno::ENOENT));
    checks.equal("and it has no path", sys::getcwd(&mut path), Err(Errno::ENOENT));
    checks.equal("back", sys::chdir(c"/tmp"), Ok(()));
}

fn names(checks: &mut Checks) {
    make_file(c"a", 0o644, b"A").expect("a file");
    make_file(c"b", 0o644, b"BB").expect("a file");
    sys::mkdir(c"d", 0o755).expect("a directory");
    sys::mkdir(c"d/e", 0o755).expect("a directory");
    checks.equal("rename onto a file takes its place", sys::rename(c"a", c"b", 0), Ok(()));
    checks.equal("it is the other now", size(c"b"), Ok(1));
    checks.equal("and the old name is free", size(c"a"), Err(Errno::ENOENT));
    let kept = sys::rename(c"b", c"file", linux::RENAME_NOREPLACE);
    checks.equal("RENAME_NOREPLACE keeps what is there", kept, Err(Errno::EEXIST));
    checks.equal("a file does not replace a directory", sys::rename(c"b", c"d", 0), Err(Errno::EISDIR));
    checks.equal("nor the other way", sys::rename(c"d", c"b", 0), Err(Errno::ENOTDIR));
    checks.equal("a directory does not go into itself", sys::rename(c"d", c"d/e/f", 0), Err(Errno::EINVAL));
    checks.equal("one that is not empty is not replaced", rename_onto_full(), Err(Errno::ENOTEMPTY));
    checks.equal("into another directory", sys::rename(c"b", c"d/e/b", 0), Ok(()));
    checks.equal("it is there", size(c"d/e/b"), Ok(1));
    checks.equal("rename to itself does nothing", sys::rename(c"d/e/b", c"d/e/b", 0), Ok(()));
    checks.equal("a missing one is ENOENT", sys::rename(c"missing", c"x", 0), Err(Errno::ENOENT));
    let long = [b'n'; 256];
    let mut name = [0; 257];
    name[..256].copy_from_slice(&long);
    let too_long = CStr::from_bytes_until_nul(&name).expect("a string");
    checks.equal("a name of 256 bytes is ENAMETOOLONG", sys::mkdir(too_long, 0o755), Err(Errno::ENAMETOOLONG));
    let fits = CStr::from_bytes_until_nul(&name[1..]).expect("a string");
    checks.equal("one of 255 is none", sys::mkdir(fits, 0o755).and_then(|()| sys::rmdir(fits)), Ok(()));
    let mut path = [b'/'; 4097];
    path[4096] = 0;
    let too_long = CStr::from_bytes_until_nul(&path).expect("a string");
    checks.equal("a path of 4096 bytes is ENAMETOOLONG", open(too_long, O_RDONLY), Err(Errno::ENAMETOOLONG));

    let file = open(c"open", O_CREAT | O_RDWR).expect("a file");
    checks.equal("an open file can be unlinked", sys::unlink(c"open"), Ok(()));
    checks.equal("its name is gone", size(c"open"), Err(Errno::ENOENT));
    checks.equal("the file is not", sys::pwrite(file, b"still", 0), Ok(5));
    checks.equal("it has no links", sys::fstat(file).map(|found| found.st_nlink), Ok(0));
    checks.equal("close", sys::close(file), Ok(()));
}

fn rename_onto_full() -> sys::Result {
    sys::mkdir(c"other", 0o755)?;
    let refused = sys::rename(c"other", c"d", 0);
    sys::rmdir(c"other")?;
    refused
}

fn links(checks: &mut Checks) {
    make_file(c"target", 0o644, b"target").expect("a file");
    checks.equal("symlink", sys::symlink(c"target", c"link"), Ok(()));
    checks.equal("again is EEXIST", sys::symlink(c"target", c"link"), Err(Errno::EEXIST));
    checks.equal("it leads to the file", size(c"link"), Ok(6));
    let mut text = [0; 64];
    checks.equal("readlink", sys::readlink(c"link", &mut text), Ok(6));
    checks.equal("tells its text", &text[..6], b"target");
    checks.equal("cut at the buffer", sys::readlink(c"link", &mut text[..3]), Ok(3));
    checks.equal("readlink of a file is EINVAL", sys::readlink(c"target", &mut text), Err(Errno::EINVAL));
    let kind = fstatat(AT_FDCWD, c"link", linux::AT_SYMLINK_NOFOLLOW).map(|found| found.st_mode & linux::S_IFMT);
    checks.equal("AT_SYMLINK_NOFOLLOW sees the link", kind, Ok(linux::S_IFLNK));
    checks.equal("O_NOFOLLOW refuses it", open(c"link", O_RDONLY | O_NOFOLLOW), Err(Errno::ELOOP));
    let dangling = sys::symlink(c"nowhere", c"dangling").and_then(|()| open(c"dangling", O_RDONLY));
    checks.equal("one to nothing is ENOENT", dangling, Err(Errno::ENOENT));
    checks.equal("O_CREAT makes what it names", open(c"dangling", O_CREAT | O_WRONLY).and_then(sys::close), Ok(()));
    checks.equal("namely this", size(c"nowhere"), Ok(0));
    let loops = sys::symlink(c"ping", c"pong").and(sys::symlink(c"pong", c"ping"));
    checks.equal("two links to each other", loops, Ok(()));
    checks.equal("are ELOOP", open(c"ping", O_RDONLY), Err(Errno::ELOOP));
    checks.equal("an empty text is ENOENT", sys::symlink(c"", c"none"), Err(Errno::ENOENT));
    checks.equal("unlink takes the link", sys::unlink(c"link"), Ok(()));
    checks.equal("not the file", size(c"target"), Ok(6));

    checks.equal("a hard link", sys::link(c"target", c"second"), Ok(()));
    let same = fstatat(AT_FDCWD, c"second", 0).map(|found| (found.st_ino, found.st_nlink));
    let inode = fstatat(AT_FDCWD, c"target", 0).map(|found| found.st_ino);
    checks.equal("is the same file with two names", same, inode.map(|inode| (inode, 2)));
    checks.equal("of a directory it is EPERM", sys::link(c"d", c"d2"), Err(Errno::EPERM));
    checks.equal("onto a name that is there EEXIST", sys::link(c"target", c"second"), Err(Errno::EEXIST));
    checks.equal("to another file system EXDEV", sys::link(c"target", c"/dev/x"), Err(Errno::EXDEV));
    checks.equal("rename to another file system EXDEV", sys::rename(c"target", c"/dev/x", 0), Err(Errno::EXDEV));
    checks.equal("one name goes", sys::unlink(c"target"), Ok(()));
    checks.equal("the file stays", size(c"second"), Ok(6));
}

fn permissions(checks: &mut Checks) {
    let mode = |path| fstatat(AT_FDCWD, path, 0).map(|found| found.st_mode & 0o7777);
    checks.equal("the mask is what it was set to", (sys::umask(0o027), sys::umask(0o027)), (0o022, 0o027));
    checks.equal("a new file", sys::openat(AT_FDCWD, c"masked", O_CREAT | O_RDWR, 0o666).and_then(sys::close), Ok(()));
    checks.equal("has what the mask leaves", mode(c"masked"), Ok(0o640));
    checks.equal("a new directory too", sys::mkdir(c"masked-dir", 0o777).and_then(|()| mode(c"masked-dir")), Ok(0o750));
    sys::umask(0o022);
    checks.equal("chmod", sys::chmod(c"masked", 0o4711).and_then(|()| mode(c"masked")), Ok(0o4711));
    checks.equal("chown", sys::chown(c"masked", 5, 6), Ok(()));
    let owner = fstatat(AT_FDCWD, c"masked", 0).map(|found| (found.st_uid, found.st_gid));
    checks.equal("gives it away", owner, Ok((5, 6)));
    checks.equal("and takes the set-user-id bit", mode(c"masked"), Ok(0o711));
    checks.equal("access to what is there", sys::access(c"masked", linux::R_OK), Ok(()));
    checks.equal("and what is not", sys::access(c"missing", linux::F_OK), Err(Errno::ENOENT));
    checks.equal("not even root executes without an x", sys::access(c"second", linux::X_OK), Err(Errno::EACCES));
    let modes = [(c"fifo", linux::S_IFIFO), (c"null", linux::S_IFCHR)];
    for (path, kind) in modes {
        let found = sys::mknod(path, kind | 0o600, 0x103).and_then(|()| fstatat(AT_FDCWD, path, 0));
        checks.equal(format_args!("mknod {path:?}"), found.map(|found| found.st_mode), Ok(kind | 0o600));
    }
    let device = fstatat(AT_FDCWD, c"null", 0).map(|found| found.st_rdev);
    checks.equal("a device has its number", device, Ok(0x103));
    let null = open(c"null", O_RDWR).and_then(|null| sys::write(null, b"gone"));
    checks.equal("and is that device", null, Ok(4));
}

/// Every entry exactly once, `.` and `..` among them, in whatever order and however small the buffer.
fn listing(checks: &mut Checks) {
    sys::mkdir(c"/tmp/list", 0o755).expect("a directory");
    sys::chdir(c"/tmp/list").expect("chdir");
    for index in 0..100_u8 {
        make_file(file_name(index, &mut [0; 8]), 0o644, b"").expect("a file");
    }
    let dir = open(c".", O_RDONLY | O_DIRECTORY).expect("a directory");
    let mut seen = [0; 100];
    let mut others = 0;
    let mut buffer = [0; 256];
    let result = loop {
        match sys::getdents(dir, &mut buffer) {
            Ok(0) => break Ok(()),
            Err(errno) => break Err(errno),
            Ok(len) => {
                let mut rest = &buffer[..len];
                while rest.len() > 19 {
                    let (entry, after) = rest.split_at(usize::from(u16::from_le_bytes([rest[16], rest[17]])));
                    match entry_index(&entry[19..]) {
                        Some(index) => seen[index] += 1,
                        None => others += 1,
                    }
                    rest = after;
                }
            }
        }
    };
    checks.equal("getdents64 goes to the end", result, Ok(()));
    checks.equal("each of 100 files is listed once", seen, [1; 100]);
    checks.equal("and `.` and `..`", others, 2);
    checks.equal("at the start again", sys::lseek(dir, 0, SEEK_SET), Ok(0));
    checks.holds("it begins anew", sys::getdents(dir, &mut buffer).is_ok_and(|len| len > 0));
    checks.equal("a buffer too small for any is EINVAL", sys::getdents(dir, &mut buffer[..8]), Err(Errno::EINVAL));
    let file = open(c"f0", O_RDONLY).expect("a file");
    checks.equal("of a file it is ENOTDIR", sys::getdents(file, &mut buffer), Err(Errno::ENOTDIR));
}

fn file_name(index: u8, buffer: &mut [u8; 8]) -> &CStr {
    *buffer = [b'f', b'0' + index / 10, b'0' + index % 10, 0, 0, 0, 0, 0];
    if index < 10 {
        *buffer = [b'f', b'0' + index, 0, 0, 0, 0, 0, 0];
    }
    CStr::from_bytes_until_nul(buffer).expect("a string")
}

fn entry_index(name: &[u8]) -> Option<usize> {
    let name = CStr::from_bytes_until_nul(name).ok()?.to_str().ok()?;
    name.strip_prefix('f')?.parse().ok().filter(|&index| index < 100)
}
