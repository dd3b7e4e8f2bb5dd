//! The profile of a configuration that says nothing: what Docker's default lets through, by subject.
//!
//! It lists what is allowed; all else is EPERM. What it leaves out: calls that change the machine, that reach other
//! processes or kernel memory, that only few programs need and many exploits used (keyrings, io_uring, userfaultfd),
//! and what makes namespaces and mounts, unless the container has the capability for it anyway. A name that a machine
//! does not have is skipped when the profile is compiled.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::abi::{Call, Errno};
use crate::config::{
    CapabilitySet, SeccompAction, SeccompCondition, SeccompFlags, SeccompOperator, SeccompProfile, SeccompRule,
};

/// What every container may call, whatever the arguments.
const ALLOWED: &[&str] = &[
    // Files by path, and what names them.
    "access chdir chmod chown creat faccessat faccessat2 fchdir fchmodat fchmodat2 fchownat futimesat getcwd lchown \
     link linkat lstat mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 readlink readlinkat \
     rename renameat renameat2 rmdir stat statfs statx symlink symlinkat truncate umask unlink unlinkat utime utimensat \
     utimes",
    // Open files.
    "close close_range copy_file_range dup dup2 dup3 fadvise64 fallocate fchmod fchown fcntl fdatasync flock fstat \
     fstatfs fsync ftruncate getdents getdents64 ioctl lseek memfd_create memfd_secret pipe pipe2 pread64 preadv preadv2 \
     pwrite64 pwritev pwritev2 read readahead readv sendfile splice sync sync_file_range syncfs tee vmsplice write \
     writev",
    // Extended attributes.
    "fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr listxattrat llistxattr \
     lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat",
    // Waiting for files.
    "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd \
     eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy \
     io_getevents io_pgetevents io_setup io_submit poll ppoll pselect6 select signalfd signalfd4",
    // Sockets, but for making them, which looks at the family.
    "accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg sendmsg \
     sendto setsockopt shutdown socketpair",
    // System V and POSIX inter-process communication.
    "mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd semctl semget \
     semop semtimedop shmat shmctl shmdt shmget",
    // Memory.
    "brk cachestat madvise map_shadow_stack membarrier mincore mlock mlock2 mlockall mmap mprotect mremap mseal msync \
     munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages",
    // Processes and threads.
    "execve execveat exit exit_group fork futex futex_requeue futex_wait futex_waitv futex_wake get_robust_list \
     get_thread_area getcpu getpgid getpgrp getpid getppid getsid gettid pidfd_open pidfd_send_signal prctl \
     process_mrelease restart_syscall rseq set_robust_list set_thread_area set_tid_address setpgid setsid uretprobe \
     vfork wait4 waitid",
    // Reading and writing the memory of processes that ptrace(2) would let at it.
    "process_vm_readv process_vm_writev ptrace",
    // Signals.
    "kill pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait \
     rt_tgsigqueueinfo sigaltstack tgkill tkill",
    // Who a process is, and what it gives up.
    "capget capset getegid geteuid getgid getgroups getresgid getresuid getuid landlock_add_rule \
     landlock_create_ruleset landlock_restrict_self seccomp setfsgid setfsuid setgid setgroups setregid setresgid \
     setresuid setreuid setuid",
    // Scheduling and limits.
    "getpriority getrlimit getrusage ioprio_get ioprio_set prlimit64 sched_get_priority_max sched_get_priority_min \
     sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity \
     sched_setattr sched_setparam sched_setscheduler sched_yield setpriority setrlimit",
    // Time. What sets clocks is refused without CAP_SYS_TIME by the calls themselves.
    "adjtimex alarm clock_adjtime clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep setitimer \
     time timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime \
     timerfd_settime times",
    // The machine and the mounts, to look at.
    "getrandom listmount statmount sysinfo uname",
    // Of one architecture.
    "arch_prctl modify_ldt riscv_flush_icache riscv_hwprobe",
];

/// What a container may call that has a capability.
const WITH_CAPABILITY: &[(CapabilitySet, &str)] = &[
    (CapabilitySet::DAC_READ_SEARCH, "open_by_handle_at"),
    (
        CapabilitySet::SYS_ADMIN,
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr \
         lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl \
         quotactl_fd setdomainname sethostname setns syslog umount2 unshare",
    ),
    (CapabilitySet::SYS_BOOT, "reboot"),
    (CapabilitySet::SYS_CHROOT, "chroot"),
    (CapabilitySet::SYS_MODULE, "delete_module finit_module init_module"),
    (CapabilitySet::SYS_PACCT, "acct"),
    (CapabilitySet::SYS_PTRACE, "kcmp pidfd_getfd process_madvise"),
    (CapabilitySet::SYS_RAWIO, "ioperm iopl"),
    (CapabilitySet::SYS_TIME, "clock_settime settimeofday"),
    (CapabilitySet::SYS_TTY_CONFIG, "vhangup"),
    (CapabilitySet::SYS_NICE, "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    (CapabilitySet::SYSLOG, "syslog"),
    (CapabilitySet::BPF, "bpf"),
    (CapabilitySet::PERFMON, "perf_event_open"),
];

/// The capabilities that the profile depends on: two sets that agree on these have the same profile.
pub const DEFAULT_CONDITIONS: CapabilitySet = {
    let mut all = CapabilitySet::empty();
    let mut index = 0;
    while index < WITH_CAPABILITY.len() {
        all = all.union(WITH_CAPABILITY[index].0);
        index += 1;
    }
    all
};

/// AF_VSOCK, whose sockets reach the host of a virtual machine and know no network namespace.
const VSOCK: u64 = 40;

/// Flags of clone(2) that make namespaces.
const NAMESPACE_FLAGS: u64 = 0x7e02_0000;

/// What personality(2) may be asked for: PER_LINUX and PER_LINUX32, with UNAME26 or without, and to tell what is set.
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The profile of a container with these capabilities in its bounding set.
#[must_use]
pub fn default_profile(capabilities: CapabilitySet) -> SeccompProfile {
    let allow = |names: &str, conditions| rule(names, SeccompAction::Allow, conditions);
    let argument = |index, operator, value| vec![SeccompCondition { index, operator, value }];
    let mut rules: Vec<SeccompRule> = ALLOWED.iter().map(|names| allow(names, Vec::new())).collect();
    rules.push(allow("socket", argument(0, SeccompOperator::NotEqual, VSOCK)));
    rules.extend(PERSONALITIES.map(|value| allow("personality", argument(0, SeccompOperator::Equal, value))));
    let granted = WITH_CAPABILITY.iter().filter(|(needed, _)| capabilities.contains(*needed));
    rules.extend(granted.map(|(_, names)| allow(names, Vec::new())));
    let container_calls = Call::ALL.iter().map(|call| String::from(call.name())).collect();
    if capabilities.contains(CapabilitySet::SYS_ADMIN) {
        rules.push(SeccompRule { names: container_calls, action: SeccompAction::Allow, conditions: Vec::new() });
    } else {
        let mask = SeccompOperator::MaskedEqual { mask: NAMESPACE_FLAGS };
        rules.push(allow("clone", argument(0, mask, 0)));
        // Its flags lie in memory, where no filter can look; programs then fall back to clone.
        rules.push(rule("clone3", SeccompAction::Errno(Errno::ENOSYS.get()), Vec::new()));
        let refused = SeccompAction::Errno(Errno::EPERM.get());
        rules.push(SeccompRule { names: container_calls, action: refused, conditions: Vec::new() });
    }
    SeccompProfile {
        default_action: SeccompAction::Errno(Errno::EPERM.get()),
        architectures: Vec::new(),
        flags: SeccompFlags::empty(),
        rules,
    }
}

fn rule(names: &str, action: SeccompAction, conditions: Vec<SeccompCondition>) -> SeccompRule {
    SeccompRule { names: names.split(' ').map(String::from).collect(), action, conditions }
}
