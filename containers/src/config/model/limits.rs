//! `process.rlimits`: getrlimit(2).

/// A resource limit. [`INFINITY`](Self::INFINITY) is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rlimit {
    /// What is enforced; at most `hard`.
    pub soft: u64,
    /// How far the process may raise it.
    pub hard: u64,
}

impl Rlimit {
    /// `RLIM_INFINITY`: no limit.
    pub const INFINITY: u64 = u64::MAX;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal $number:ident;)*) => {
        /// What is limited; the numbers are those of setrlimit(2).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum RlimitKind {
            $($(#[$doc])* $kind = linux_raw_sys::general::$number,)*
        }

        impl RlimitKind {
            /// Every kind.
            pub const ALL: [Self; linux_raw_sys::general::RLIM_NLIMITS as usize] = [$(Self::$kind),*];

            /// The word of the key=value form; OCI's is this in capitals after `RLIMIT_`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// Processor time in seconds.
    Cpu "cpu" RLIMIT_CPU;
    /// The size of a file in bytes.
    FileSize "fsize" RLIMIT_FSIZE;
    /// The data segment in bytes.
    Data "data" RLIMIT_DATA;
    /// The stack in bytes.
    Stack "stack" RLIMIT_STACK;
    /// The size of a core file in bytes.
    Core "core" RLIMIT_CORE;
    /// Resident pages; without effect, as on Linux.
    Rss "rss" RLIMIT_RSS;
    /// Processes of the user.
    Processes "nproc" RLIMIT_NPROC;
    /// One more than the highest descriptor.
    OpenFiles "nofile" RLIMIT_NOFILE;
    /// Locked memory in bytes.
    LockedMemory "memlock" RLIMIT_MEMLOCK;
    /// The address space in bytes.
    AddressSpace "as" RLIMIT_AS;
    /// File locks; without effect, as on Linux.
    Locks "locks" RLIMIT_LOCKS;
    /// Queued signals.
    PendingSignals "sigpending" RLIMIT_SIGPENDING;
    /// Bytes in message queues.
    MessageQueues "msgqueue" RLIMIT_MSGQUEUE;
    /// How far the nice value may be lowered.
    Nice "nice" RLIMIT_NICE;
    /// The highest real-time priority.
    RealTimePriority "rtprio" RLIMIT_RTPRIO;
    /// Microseconds of real-time work without a pause.
    RealTimeSpan "rttime" RLIMIT_RTTIME;
}

impl RlimitKind {
    /// The number of setrlimit(2).
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The kind of a word in lower case, `None` if it is none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
