//! The table: a line for each call, with its number, its handler and the types of its arguments.
//!
//! Only the calls that need the thread's registers are served elsewhere, by [`super::begin_elsewhere`].

use super::{
    Outcome, allocation, anonymous,
    argument::{self, Argument, Arguments, Text},
    attribute, descriptor, directory, epoll, file, futex, identity, inotify, ipc, limits, lock, memory,
    memory_of_others, mount, mount_attributes, namespace,
    number::{self, legacy},
    pidfd, poll, privileges, process, scheduling, seccomp, select, signal, signalfd, socket, splice, system, time,
    timers, usage, vectored, xattr,
};
use crate::{mm::AddressSpace, task::Thread};
use alloc::{string::String, sync::Arc};
use core::task::{Context, Poll};
use veridian_containers::abi::Errno;
use veridian_hal::{UserAddr, sync::SpinLock, user::UserContext};

/// `number => handler, (what its arguments are read as);`. A handler is a function, called where the call is begun. One
/// that is said to be `waits` is an async function; `unless` names a function that is tried before it and may answer in
/// its stead. `once` is for a call that a signal's handler ends for good (signal(7), "Interruption of system calls and
/// library functions by signal handlers"). What a call lacks of Linux's is said behind it in words: docs/linux-abi.md is
/// made of this.
macro_rules! table {
    ($($number:path => $handler:path, ($($kind:ty),*) $($waits:ident $(unless $first:path)?)? $(, $once:ident)? $(, $lacks:literal)?;)*) => {
        /// Begins call `number`: answers it, if it need not wait. It is pending when [`wait`] has to end it.
        pub(super) fn begin(
            thread: &Arc<Thread>,
            context: &mut UserContext,
            cx: &mut Context<'_>,
            number: u32,
        ) -> Poll<Result<Outcome, Errno>> {
            let mut arguments = Arguments::new(context.syscall_args());
            let answer = match number {
                $($number => begin!([thread, cx, arguments] $handler, ($($kind),*) $($waits $(unless $first)?)?),)*
                _ => return super::begin_elsewhere(thread, context, number),
            };
            answer.map_ok(Outcome::Returns)
        }

        /// Ends call `number`, which has something to wait for.
        pub(super) async fn wait(thread: &Arc<Thread>, number: u32, words: [usize; 6]) -> Result<usize, Errno> {
            let mut arguments = Arguments::new(words);
            match number {
                $($number => wait!([thread, arguments] $handler, ($($kind),*) $($waits)?),)*
                _ => unreachable!("call {number} is not in the table"),
            }
        }

        /// Writes the arguments of call `number` as a trace shows them.
        pub(super) fn show(number: u32, space: &AddressSpace, words: [usize; 6], to: &mut String) {
            // Of a call that is served elsewhere, or is not there.
            const WORDS: &[argument::Show] = &[<usize as Argument>::show as argument::Show; 6];
            let kinds: &[argument::Show] = match number {
                $($number => &[$(<$kind as Argument>::show),*],)*
                _ => WORDS,
            };
            for (index, (show, word)) in kinds.iter().zip(words).enumerate() {
                to.push_str(if index > 0 { ", " } else { "" });
                show(word, space, to);
            }
        }

        /// Whether call `number` is over when a signal's handler has interrupted it, also one that asks for restarts.
        pub(super) fn is_made_once(number: u32) -> bool {
            match number {
                $($number => false $(|| stringify!($once) == "once")?,)*
                _ => false,
            }
        }

        /// The calls of the table, and what each lacks.
        #[cfg(test)]
        pub(super) const LINES: &[(u32, Option<&str>)] = &[$(($number, lacks!($($lacks)?)),)*];
    };
}

macro_rules! begin {
    ([$thread:ident, $cx:ident, $arguments:ident] $handler:path, ($($kind:ty),*)) => {
        Poll::Ready($handler($thread $(, $arguments.next::<$kind>())*))
    };
    ([$thread:ident, $cx:ident, $arguments:ident] $handler:path, ($($kind:ty),*) waits) => {
        Poll::Pending
    };
    ([$thread:ident, $cx:ident, $arguments:ident] $handler:path, ($($kind:ty),*) waits unless $first:path) => {
        $first($thread, $cx $(, $arguments.next::<$kind>())*)
    };
}

macro_rules! wait {
    ([$thread:ident, $arguments:ident] $handler:path, ($($kind:ty),*)) => {
        unreachable!("answered where it was begun")
    };
    ([$thread:ident, $arguments:ident] $handler:path, ($($kind:ty),*) waits) => {
        $handler($thread $(, $arguments.next::<$kind>())*).await
    };
}

#[cfg(test)]
macro_rules! lacks {
    () => {
        None
    };
    ($text:literal) => {
        Some($text)
    };
}

table! {
    number::__NR_getpid => process::getpid, ();
    number::__NR_gettid => process::gettid, ();
    number::__NR_getppid => process::getppid, ();
    number::__NR_getpgid => process::getpgid, (u32);
    legacy::GETPGRP => process::getpgrp, ();
    number::__NR_setpgid => process::setpgid, (u32, u32);
    number::__NR_getsid => process::getsid, (u32);
    number::__NR_setsid => process::setsid, ();
    number::__NR_wait4 => process::wait4, (i32, UserAddr, u32, UserAddr) waits;
    number::__NR_waitid => process::waitid, (u32, u32, UserAddr, u32, UserAddr) waits;
    number::__NR_pidfd_open => pidfd::pidfd_open, (i32, u32), "no PIDFD_THREAD";
    number::__NR_pidfd_getfd => pidfd::pidfd_getfd, (i32, i32, u32);
    number::__NR_pidfd_send_signal => pidfd::pidfd_send_signal, (i32, u32, UserAddr, u32);
    number::__NR_set_tid_address => process::set_tid_address, (UserAddr);
    number::__NR_set_robust_list => futex::set_robust_list, (UserAddr, usize);
    number::__NR_get_robust_list => futex::get_robust_list, (u32, UserAddr, UserAddr);
    number::__NR_futex => futex::futex, (UserAddr, u32, u32, UserAddr, UserAddr, u32) waits unless futex::futex_at_once, "FUTEX_LOCK_PI and what goes with it (priority inheritance): ENOSYS";
    number::__NR_getrusage => usage::getrusage, (i32, UserAddr);
    number::__NR_times => usage::times, (UserAddr);
    number::__NR_getpriority => usage::getpriority, (u32, u32);
    number::__NR_setpriority => usage::setpriority, (u32, u32, i32);
    number::__NR_sched_setaffinity => usage::sched_setaffinity, (u32, usize, UserAddr) waits;
    number::__NR_sched_getaffinity => usage::sched_getaffinity, (u32, usize, UserAddr);
    number::__NR_sched_yield => process::sched_yield, () waits;
    number::__NR_sched_setscheduler => scheduling::sched_setscheduler, (i32, i32, UserAddr), "SCHED_OTHER, BATCH (as OTHER) and IDLE; EPERM for real time";
    number::__NR_sched_getscheduler => scheduling::sched_getscheduler, (i32);
    number::__NR_sched_setparam => scheduling::sched_setparam, (i32, UserAddr);
    number::__NR_sched_getparam => scheduling::sched_getparam, (i32, UserAddr);
    number::__NR_sched_setattr => scheduling::sched_setattr, (i32, UserAddr, u32), "as sched_setscheduler; no clamps";
    number::__NR_sched_getattr => scheduling::sched_getattr, (i32, UserAddr, u32, u32);
    number::__NR_sched_get_priority_max => scheduling::sched_get_priority_max, (u32);
    number::__NR_sched_get_priority_min => scheduling::sched_get_priority_min, (u32);
    number::__NR_sched_rr_get_interval => scheduling::sched_rr_get_interval, (i32, UserAddr);
    number::__NR_ioprio_set => scheduling::ioprio_set, (u32, u32, u32), "kept and inherited, without effect: there is no disk";
    number::__NR_ioprio_get => scheduling::ioprio_get, (u32, u32);
    number::__NR_getcpu => scheduling::getcpu, (UserAddr, UserAddr, usize);
    number::__NR_unshare => namespace::unshare, (u64);
    number::__NR_setns => namespace::setns, (i32, u32);
    number::__NR_capget => privileges::capget, (UserAddr, UserAddr);
    number::__NR_capset => privileges::capset, (UserAddr, UserAddr);
    number::__NR_prctl => process::prctl, (u32, usize, usize, usize, usize), "options of rights, names, filters and dumps; others: EINVAL";
    number::__NR_getrlimit => limits::getrlimit, (u32, UserAddr);
    number::__NR_setrlimit => limits::setrlimit, (u32, UserAddr);
    number::__NR_prlimit64 => limits::prlimit64, (u32, u32, UserAddr, UserAddr);
    number::__NR_seccomp => seccomp::seccomp, (u32, u32, UserAddr), "no SECCOMP_FILTER_FLAG_NEW_LISTENER, no supervisor";
    number::__NR_kill => signal::kill, (i32, u32);
    number::__NR_tkill => signal::tkill, (i32, u32);
    number::__NR_tgkill => signal::tgkill, (i32, i32, u32);
    number::__NR_rt_sigaction => signal::rt_sigaction, (u32, UserAddr, UserAddr, usize);
    number::__NR_rt_sigprocmask => signal::rt_sigprocmask, (u32, UserAddr, UserAddr, usize);
    number::__NR_rt_sigpending => signal::rt_sigpending, (UserAddr, usize);
    number::__NR_rt_sigsuspend => signal::rt_sigsuspend, (UserAddr, usize) waits, once;
    number::__NR_rt_sigtimedwait => signal::rt_sigtimedwait, (UserAddr, UserAddr, UserAddr, usize) waits, once;
    number::__NR_rt_sigqueueinfo => signal::rt_sigqueueinfo, (i32, u32, UserAddr);
    number::__NR_rt_tgsigqueueinfo => signal::rt_tgsigqueueinfo, (i32, i32, u32, UserAddr);
    legacy::PAUSE => signal::pause, () waits, once;
    number::__NR_signalfd4 => signalfd::signalfd4, (i32, UserAddr, usize, u32), "epoll(7) tells of the signals of the process that made it, whoever waits";
    legacy::SIGNALFD => signalfd::signalfd, (i32, UserAddr, usize);
    number::__NR_setitimer => timers::setitimer, (u32, UserAddr, UserAddr);
    number::__NR_getitimer => timers::getitimer, (u32, UserAddr);
    legacy::ALARM => timers::alarm, (u32);
    number::__NR_timer_create => timers::timer_create, (i32, UserAddr, UserAddr), "of CPU time, clocks of the caller's own process alone: EOPNOTSUPP";
    number::__NR_timer_settime => timers::timer_settime, (u32, u32, UserAddr, UserAddr);
    number::__NR_timer_gettime => timers::timer_gettime, (u32, UserAddr);
    number::__NR_timer_getoverrun => timers::timer_getoverrun, (u32);
    number::__NR_timer_delete => timers::timer_delete, (u32);
    number::__NR_getuid => identity::getuid, ();
    number::__NR_geteuid => identity::geteuid, ();
    number::__NR_getgid => identity::getgid, ();
    number::__NR_getegid => identity::getegid, ();
    number::__NR_getresuid => identity::getresuid, (UserAddr, UserAddr, UserAddr);
    number::__NR_getresgid => identity::getresgid, (UserAddr, UserAddr, UserAddr);
    number::__NR_setuid => identity::setuid, (u32);
    number::__NR_setgid => identity::setgid, (u32);
    number::__NR_setreuid => identity::setreuid, (u32, u32);
    number::__NR_setregid => identity::setregid, (u32, u32);
    number::__NR_setresuid => identity::setresuid, (u32, u32, u32);
    number::__NR_setresgid => identity::setresgid, (u32, u32, u32);
    number::__NR_setfsuid => identity::setfsuid, (u32);
    number::__NR_setfsgid => identity::setfsgid, (u32);
    number::__NR_getgroups => identity::getgroups, (i32, UserAddr);
    number::__NR_setgroups => identity::setgroups, (i32, UserAddr);
    number::__NR_mmap => memory::mmap, (UserAddr, usize, usize, usize, i32, u64) waits;
    number::__NR_munmap => memory::munmap, (UserAddr, usize);
    number::__NR_mprotect => memory::mprotect, (UserAddr, usize, usize);
    number::__NR_mremap => memory::mremap, (UserAddr, usize, usize, usize, UserAddr);
    number::__NR_brk => memory::brk, (UserAddr);
    number::__NR_madvise => memory::madvise, (UserAddr, usize, u32), "hints, DONTNEED, FREE and what concerns fork; others EINVAL";
    number::__NR_msync => memory::msync, (UserAddr, usize, u32);
    number::__NR_mlock => memory::mlock, (UserAddr, usize) waits;
    number::__NR_mlock2 => memory::mlock2, (UserAddr, usize, u32) waits;
    number::__NR_munlock => memory::munlock, (UserAddr, usize);
    number::__NR_mlockall => memory::mlockall, (u32) waits, "nothing is swapped out";
    number::__NR_munlockall => memory::munlockall, ();
    number::__NR_mincore => memory::mincore, (UserAddr, usize, UserAddr);
    number::__NR_process_vm_readv => memory_of_others::process_vm_readv, (i32, UserAddr, usize, UserAddr, usize, usize) waits;
    number::__NR_process_vm_writev => memory_of_others::process_vm_writev, (i32, UserAddr, usize, UserAddr, usize, usize) waits;
    number::__NR_membarrier => system::membarrier, (u32, u32, u32) waits, "no SYNC_CORE, no RSEQ";
    number::__NR_uname => system::uname, (UserAddr);
    number::__NR_sethostname => system::sethostname, (UserAddr, isize);
    number::__NR_setdomainname => system::setdomainname, (UserAddr, isize);
    number::__NR_sysinfo => system::sysinfo, (UserAddr);
    number::__NR_getrandom => system::getrandom, (UserAddr, usize, u32);
    number::__NR_personality => system::personality, (u32), "PER_LINUX alone";
    number::__NR_syslog => system::forbidden, ();
    number::__NR_reboot => system::forbidden, ();
    number::__NR_swapon => system::forbidden, ();
    number::__NR_swapoff => system::forbidden, ();
    number::__NR_vhangup => system::forbidden, ();
    legacy::SYSFS => system::sysfs, (u32, usize, UserAddr);
    number::__NR_clock_gettime => time::clock_gettime, (i32, UserAddr);
    number::__NR_clock_getres => time::clock_getres, (i32, UserAddr);
    number::__NR_clock_nanosleep => time::clock_nanosleep, (i32, u32, UserAddr, UserAddr) waits, once, "of CPU time, what was left is not told";
    number::__NR_nanosleep => time::nanosleep, (UserAddr, UserAddr) waits, once;
    number::__NR_gettimeofday => time::gettimeofday, (UserAddr, UserAddr);
    legacy::TIME => time::time, (UserAddr);
    number::__NR_clock_settime => time::clock_settime, (i32, UserAddr), "EPERM for everybody";
    number::__NR_settimeofday => time::settimeofday, (UserAddr, UserAddr), "EPERM for everybody";
    number::__NR_adjtimex => time::adjtimex, (UserAddr), "EPERM for who would change it";
    number::__NR_clock_adjtime => time::clock_adjtime, (i32, UserAddr), "EPERM for who would change it";
    number::__NR_openat => file::openat, (i32, Text, u32, u32) waits, "O_ASYNC does nothing";
    legacy::OPEN => file::open, (Text, u32, u32) waits, "O_ASYNC does nothing";
    legacy::CREAT => file::creat, (Text, u32) waits;
    number::__NR_openat2 => file::openat2, (i32, Text, UserAddr, usize) waits, "RESOLVE_CACHED never misses but for O_CREAT and O_TRUNC";
    number::__NR_name_to_handle_at => system::name_to_handle_at, (), "EOPNOTSUPP always";
    number::__NR_close => file::close, (i32);
    number::__NR_read => file::read, (i32, UserAddr, usize) waits unless file::read_at_once;
    number::__NR_readv => vectored::readv, (i32, UserAddr, i32) waits;
    number::__NR_pread64 => file::pread64, (i32, UserAddr, usize, i64) waits;
    number::__NR_write => file::write, (i32, UserAddr, usize) waits unless file::write_at_once;
    number::__NR_writev => vectored::writev, (i32, UserAddr, i32) waits;
    number::__NR_pwrite64 => file::pwrite64, (i32, UserAddr, usize, i64) waits;
    number::__NR_preadv => vectored::preadv, (i32, UserAddr, i32, i64, usize) waits;
    number::__NR_pwritev => vectored::pwritev, (i32, UserAddr, i32, i64, usize) waits;
    number::__NR_preadv2 => vectored::preadv2, (i32, UserAddr, i32, i64, usize, u32) waits, "RWF_HIPRI, DSYNC, SYNC, NOWAIT alone";
    number::__NR_pwritev2 => vectored::pwritev2, (i32, UserAddr, i32, i64, usize, u32) waits, "RWF_HIPRI, DSYNC, SYNC, NOWAIT and APPEND alone";
    number::__NR_lseek => file::lseek, (i32, i64, u32);
    number::__NR_ftruncate => file::ftruncate, (i32, i64);
    number::__NR_truncate => file::truncate, (Text, i64);
    number::__NR_fallocate => allocation::fallocate, (i32, u32, i64, i64), "modes 0, KEEP_SIZE and PUNCH_HOLE alone, as tmpfs has them";
    number::__NR_fadvise64 => allocation::fadvise64, (i32, i64, i64, u32);
    number::__NR_readahead => allocation::readahead, (i32, i64, usize);
    number::__NR_sync_file_range => allocation::sync_file_range, (i32, i64, i64, u32);
    number::__NR_memfd_create => anonymous::memfd_create, (Text, u32), "no huge pages";
    number::__NR_eventfd2 => anonymous::eventfd2, (u32, u32);
    legacy::EVENTFD => anonymous::eventfd, (u32);
    number::__NR_inotify_init1 => inotify::inotify_init1, (u32);
    legacy::INOTIFY_INIT => inotify::inotify_init, ();
    number::__NR_inotify_add_watch => inotify::inotify_add_watch, (i32, Text, u32), "IN_UNMOUNT is not told";
    number::__NR_inotify_rm_watch => inotify::inotify_rm_watch, (i32, i32);
    number::__NR_timerfd_create => anonymous::timerfd_create, (i32, u32);
    number::__NR_timerfd_settime => anonymous::timerfd_settime, (i32, u32, UserAddr, UserAddr);
    number::__NR_timerfd_gettime => anonymous::timerfd_gettime, (i32, UserAddr);
    number::__NR_sendfile => splice::sendfile, (i32, i32, UserAddr, usize) waits;
    number::__NR_copy_file_range => splice::copy_file_range, (i32, UserAddr, i32, UserAddr, usize, u32) waits, "within one file system";
    number::__NR_splice => splice::splice, (i32, UserAddr, i32, UserAddr, usize, u32) waits, "copies pages; 64 KiB at most between a file and a pipe";
    number::__NR_tee => splice::tee, (i32, i32, usize, u32) waits;
    number::__NR_vmsplice => splice::vmsplice, (i32, UserAddr, usize, u32) waits, "copies pages";
    number::__NR_sync => file::sync, ();
    number::__NR_syncfs => file::syncfs, (i32);
    number::__NR_fsync => file::fsync, (i32);
    number::__NR_fdatasync => file::fsync, (i32);
    number::__NR_pipe2 => file::pipe2, (UserAddr, u32);
    legacy::PIPE => file::pipe, (UserAddr);
    number::__NR_dup => descriptor::dup, (i32);
    legacy::DUP2 => descriptor::dup2, (i32, i32);
    number::__NR_dup3 => descriptor::dup3, (i32, i32, u32);
    number::__NR_close_range => descriptor::close_range, (u32, u32, u32);
    number::__NR_fcntl => descriptor::fcntl, (i32, u32, usize) waits, "no leases, F_SETOWN, F_SETSIG, F_NOTIFY";
    number::__NR_flock => lock::flock, (i32, u32) waits;
    number::__NR_ioctl => descriptor::ioctl, (i32, u32, UserAddr) waits;
    number::__NR_mkdirat => directory::mkdirat, (i32, Text, u32);
    legacy::MKDIR => directory::mkdir, (Text, u32);
    number::__NR_mknodat => directory::mknodat, (i32, Text, u32, u64);
    legacy::MKNOD => directory::mknod, (Text, u32, u64);
    number::__NR_unlinkat => directory::unlinkat, (i32, Text, u32);
    legacy::UNLINK => directory::unlink, (Text);
    legacy::RMDIR => directory::rmdir, (Text);
    number::__NR_symlinkat => directory::symlinkat, (Text, i32, Text);
    legacy::SYMLINK => directory::symlink, (Text, Text);
    number::__NR_linkat => directory::linkat, (i32, Text, i32, Text, u32);
    legacy::LINK => directory::link, (Text, Text);
    number::__NR_renameat2 => directory::renameat2, (i32, Text, i32, Text, u32);
    number::RENAMEAT => directory::renameat, (i32, Text, i32, Text);
    legacy::RENAME => directory::rename, (Text, Text);
    number::__NR_readlinkat => directory::readlinkat, (i32, Text, UserAddr, i32);
    legacy::READLINK => directory::readlink, (Text, UserAddr, i32);
    number::__NR_getdents64 => directory::getdents64, (i32, UserAddr, u32);
    legacy::GETDENTS => directory::getdents, (i32, UserAddr, u32);
    number::__NR_getcwd => directory::getcwd, (UserAddr, usize);
    number::__NR_chdir => directory::chdir, (Text);
    number::__NR_fchdir => directory::fchdir, (i32);
    number::__NR_chroot => directory::chroot, (Text);
    number::__NR_fstat => attribute::fstat, (i32, UserAddr);
    number::__NR_newfstatat => attribute::newfstatat, (i32, Text, UserAddr, u32);
    legacy::STAT => attribute::stat, (Text, UserAddr);
    legacy::LSTAT => attribute::lstat, (Text, UserAddr);
    number::__NR_statx => attribute::statx, (i32, Text, u32, u32, UserAddr);
    number::__NR_statfs => attribute::statfs, (Text, UserAddr);
    number::__NR_fstatfs => attribute::fstatfs, (i32, UserAddr);
    number::__NR_fchmod => attribute::fchmod, (i32, u32);
    number::__NR_fchmodat => attribute::fchmodat, (i32, Text, u32);
    number::__NR_fchmodat2 => attribute::fchmodat2, (i32, Text, u32, u32);
    legacy::CHMOD => attribute::chmod, (Text, u32);
    number::__NR_fchown => attribute::fchown, (i32, u32, u32);
    number::__NR_fchownat => attribute::fchownat, (i32, Text, u32, u32, u32);
    legacy::CHOWN => attribute::chown, (Text, u32, u32);
    legacy::LCHOWN => attribute::lchown, (Text, u32, u32);
    number::__NR_utimensat => attribute::utimensat, (i32, Text, UserAddr, u32);
    legacy::UTIME => attribute::utime, (Text, UserAddr);
    legacy::UTIMES => attribute::utimes, (Text, UserAddr);
    legacy::FUTIMESAT => attribute::futimesat, (i32, Text, UserAddr);
    number::__NR_faccessat => attribute::faccessat, (i32, Text, u32);
    number::__NR_faccessat2 => attribute::faccessat2, (i32, Text, u32, u32);
    legacy::ACCESS => attribute::access, (Text, u32);
    number::__NR_umask => attribute::umask, (u32);
    number::__NR_mount => mount::mount, (Text, Text, Text, u64, UserAddr), "the types of /proc/filesystems";
    number::__NR_umount2 => mount::umount2, (Text, u32);
    number::__NR_setxattr => xattr::setxattr, (Text, Text, UserAddr, usize, u32);
    number::__NR_lsetxattr => xattr::lsetxattr, (Text, Text, UserAddr, usize, u32);
    number::__NR_fsetxattr => xattr::fsetxattr, (i32, Text, UserAddr, usize, u32);
    number::__NR_getxattr => xattr::getxattr, (Text, Text, UserAddr, usize);
    number::__NR_lgetxattr => xattr::lgetxattr, (Text, Text, UserAddr, usize);
    number::__NR_fgetxattr => xattr::fgetxattr, (i32, Text, UserAddr, usize);
    number::__NR_listxattr => xattr::listxattr, (Text, UserAddr, usize);
    number::__NR_llistxattr => xattr::llistxattr, (Text, UserAddr, usize);
    number::__NR_flistxattr => xattr::flistxattr, (i32, UserAddr, usize);
    number::__NR_removexattr => xattr::removexattr, (Text, Text);
    number::__NR_lremovexattr => xattr::lremovexattr, (Text, Text);
    number::__NR_fremovexattr => xattr::fremovexattr, (i32, Text);
    number::__NR_mount_setattr => mount_attributes::mount_setattr, (i32, Text, u32, UserAddr, usize);
    number::__NR_pivot_root => mount::pivot_root, (Text, Text);
    number::__NR_socket => socket::socket, (u32, u32, u32), "Unix, IPv4 loopback (TCP, UDP, ICMP), NETLINK_ROUTE";
    number::__NR_socketpair => socket::socketpair, (u32, u32, u32, UserAddr);
    number::__NR_bind => socket::bind, (i32, UserAddr, u32);
    number::__NR_listen => socket::listen, (i32, i32);
    number::__NR_connect => socket::connect, (i32, UserAddr, u32) waits;
    number::__NR_accept => socket::accept, (i32, UserAddr, UserAddr) waits;
    number::__NR_accept4 => socket::accept4, (i32, UserAddr, UserAddr, u32) waits;
    number::__NR_getsockname => socket::getsockname, (i32, UserAddr, UserAddr);
    number::__NR_getpeername => socket::getpeername, (i32, UserAddr, UserAddr);
    number::__NR_shutdown => socket::shutdown, (i32, u32);
    number::__NR_sendto => socket::message::sendto, (i32, UserAddr, usize, u32, UserAddr, u32) waits;
    number::__NR_sendmsg => socket::message::sendmsg, (i32, UserAddr, u32) waits;
    number::__NR_recvfrom => socket::message::recvfrom, (i32, UserAddr, usize, u32, UserAddr, UserAddr) waits;
    number::__NR_recvmsg => socket::message::recvmsg, (i32, UserAddr, u32) waits;
    number::__NR_sendmmsg => socket::message::sendmmsg, (i32, UserAddr, u32, u32) waits;
    number::__NR_recvmmsg => socket::message::recvmmsg, (i32, UserAddr, u32, u32, UserAddr) waits;
    number::__NR_setsockopt => socket::option::setsockopt, (i32, u32, u32, UserAddr, u32);
    number::__NR_getsockopt => socket::option::getsockopt, (i32, u32, u32, UserAddr, UserAddr);
    number::__NR_shmget => ipc::shared_memory::shmget, (i32, u64, u32);
    number::__NR_shmat => ipc::shared_memory::shmat, (i32, UserAddr, u32);
    number::__NR_shmdt => ipc::shared_memory::shmdt, (UserAddr);
    number::__NR_shmctl => ipc::shared_memory::shmctl, (i32, u32, UserAddr);
    number::__NR_semget => ipc::semaphore::semget, (i32, i32, u32);
    number::__NR_semop => ipc::semaphore::semop, (i32, UserAddr, usize) waits, once;
    number::__NR_semtimedop => ipc::semaphore::semtimedop, (i32, UserAddr, usize, UserAddr) waits, once;
    number::__NR_semctl => ipc::semaphore::semctl, (i32, i32, u32, usize);
    number::__NR_msgget => ipc::message::msgget, (i32, u32);
    number::__NR_msgsnd => ipc::message::msgsnd, (i32, UserAddr, usize, u32) waits, once;
    number::__NR_msgrcv => ipc::message::msgrcv, (i32, UserAddr, usize, i64, u32) waits, once;
    number::__NR_msgctl => ipc::message::msgctl, (i32, u32, UserAddr);
    number::__NR_mq_open => ipc::posix::mq_open, (Text, u32, u32, UserAddr);
    number::__NR_mq_unlink => ipc::posix::mq_unlink, (Text);
    number::__NR_mq_timedsend => ipc::posix::mq_timedsend, (i32, UserAddr, usize, u32, UserAddr) waits;
    number::__NR_mq_timedreceive => ipc::posix::mq_timedreceive, (i32, UserAddr, usize, UserAddr, UserAddr) waits;
    number::__NR_mq_notify => ipc::posix::mq_notify, (i32, UserAddr);
    number::__NR_mq_getsetattr => ipc::posix::mq_getsetattr, (i32, UserAddr, UserAddr);
    number::__NR_ppoll => poll::ppoll, (UserAddr, u32, UserAddr, UserAddr, usize) waits, once, "the time that is left is not told";
    legacy::POLL => poll::poll, (UserAddr, u32, i32) waits, once;
    number::__NR_pselect6 => select::pselect6, (i32, UserAddr, UserAddr, UserAddr, UserAddr, UserAddr) waits, once, "the time that is left is not told";
    legacy::SELECT => select::select, (i32, UserAddr, UserAddr, UserAddr, UserAddr) waits, once;
    number::__NR_epoll_create1 => epoll::epoll_create1, (u32);
    legacy::EPOLL_CREATE => epoll::epoll_create, (i32);
    number::__NR_epoll_ctl => epoll::epoll_ctl, (i32, u32, i32, UserAddr);
    number::__NR_epoll_pwait => epoll::epoll_pwait, (i32, UserAddr, i32, i32, UserAddr, usize) waits, once;
    number::__NR_epoll_pwait2 => epoll::epoll_pwait2, (i32, UserAddr, i32, UserAddr, UserAddr, usize) waits, once;
    legacy::EPOLL_WAIT => epoll::epoll_wait, (i32, UserAddr, i32, i32) waits, once;
}

/// Says once for each number what is missing.
pub(super) fn unknown(number: u32) -> Errno {
    static SAID: SpinLock<[u64; 16]> = SpinLock::new([0; 16]);
    let index = (number / 64) as usize;
    let mut said = SAID.lock();
    let first = said.get_mut(index).is_none_or(|word| {
        let bit = 1 << (number % 64);
        core::mem::replace(word, *word | bit) & bit == 0
    });
    drop(said);
    if first && index < 16 {
        log::info!(
            "system call {number} ({}) is not there: ENOSYS",
            number::name(number as usize).unwrap_or("no name")
        );
    }
    Errno::ENOSYS
}
