//! `linux.seccomp`: which system calls the container may make.

use alloc::string::String;
use alloc::vec::Vec;
use bitflags::bitflags;

/// `linux.seccomp`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Seccomp {
    /// The kernel's default profile, which a configuration gets that says nothing.
    #[default]
    Default,
    /// Every call is allowed.
    Unconfined,
    /// These rules.
    Profile(SeccompProfile),
}

/// A profile of seccomp rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeccompProfile {
    /// What becomes of a call that no rule is about.
    pub default_action: SeccompAction,
    /// The architectures whose calls the rules are about, beside the native one, in order, each once.
    pub architectures: Vec<SeccompArch>,
    /// How the filter is set.
    pub flags: SeccompFlags,
    /// The rules.
    pub rules: Vec<SeccompRule>,
}

/// A rule: what becomes of some calls if their arguments are as said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeccompRule {
    /// The names of the calls, at least one. Those that the kernel does not know are skipped.
    pub names: Vec<String>,
    /// What becomes of them.
    pub action: SeccompAction,
    /// What must hold, all of it, for the rule to match.
    pub conditions: Vec<SeccompCondition>,
}

/// What becomes of a call; seccomp(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeccompAction {
    /// `SCMP_ACT_KILL_PROCESS`: the process is killed.
    KillProcess,
    /// `SCMP_ACT_KILL_THREAD` and `SCMP_ACT_KILL`: the thread is killed.
    KillThread,
    /// `SCMP_ACT_TRAP`: SIGSYS.
    Trap,
    /// `SCMP_ACT_ERRNO`: the call fails with this number, at most 4095.
    Errno(u16),
    /// `SCMP_ACT_NOTIFY`: another process decides.
    Notify,
    /// `SCMP_ACT_TRACE`: the tracer decides, which is told this number.
    Trace(u16),
    /// `SCMP_ACT_LOG`: allowed, and logged.
    Log,
    /// `SCMP_ACT_ALLOW`: allowed.
    Allow,
}

/// A comparison of one argument of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeccompCondition {
    /// Which argument, 0 to 5.
    pub index: u8,
    /// How it is compared.
    pub operator: SeccompOperator,
    /// With what.
    pub value: u64,
}

/// How an argument is compared with the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeccompOperator {
    /// `SCMP_CMP_NE`
    NotEqual,
    /// `SCMP_CMP_LT`
    Less,
    /// `SCMP_CMP_LE`
    LessOrEqual,
    /// `SCMP_CMP_EQ`
    Equal,
    /// `SCMP_CMP_GE`
    GreaterOrEqual,
    /// `SCMP_CMP_GT`
    Greater,
    /// `SCMP_CMP_MASKED_EQ`: equal once all bits but these are cleared in the argument.
    MaskedEqual {
        /// The bits that are compared (`value` of OCI, whose `valueTwo` is the value here).
        mask: u64,
    },
}

bitflags! {
    /// `linux.seccomp.flags`; the bits are those of seccomp(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct SeccompFlags: u32 {
        /// `SECCOMP_FILTER_FLAG_TSYNC`: for all threads; there is one when it is set, so nothing to do.
        const TSYNC = 1 << 0;
        /// `SECCOMP_FILTER_FLAG_LOG`: every action but allow is logged.
        const LOG = 1 << 1;
        /// `SECCOMP_FILTER_FLAG_SPEC_ALLOW`: speculation is not mitigated.
        const SPEC_ALLOW = 1 << 2;
        /// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`: while a call is decided only SIGKILL interrupts it.
        const WAIT_KILLABLE_RECV = 1 << 5;
    }
}

macro_rules! architectures {
    ($($name:ident)*) => {
        /// `linux.seccomp.architectures`: libseccomp's names, without `SCMP_ARCH_`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the names are those of the specification")]
        pub enum SeccompArch {
            $($name,)*
        }

        impl SeccompArch {
            /// Every one that runtime-spec 1.3 names.
            pub const ALL: [Self; 23] = [$(Self::$name),*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

architectures! {
    NATIVE X86 X86_64 X32 ARM AARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32
    PPC PPC64 PPC64LE S390 S390X PARISC PARISC64 RISCV64 LOONGARCH64 M68K SH
}
