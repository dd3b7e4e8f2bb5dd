//! Namespaces: clone(2) and clone3(2), unshare(2), setns(2), and the descriptors that stand for namespaces.

use crate::{
    fs::{File, FileObject, OpenFlags, Readiness},
    namespace::{Namespaces, UserNamespace},
    security::Credentials,
    task::{self, CloneFlags, CloneRequest, Namespace, Thread},
};
use alloc::sync::Arc;
use linux_raw_sys::general;
use veridian_containers::{NamespaceSet, Signal, abi::Errno};
use veridian_hal::{PAGE_SIZE, UserAddr, user::UserContext};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The flags of clone(2) in their two parts; EINVAL for one that has no effect here.
fn split(bits: u64) -> Result<(CloneFlags, NamespaceSet), Errno> {
    let new = NamespaceSet::from_bits_truncate(bits as u32);
    let flags = CloneFlags::from_bits(bits & !u64::from(new.bits())).ok_or(Errno::EINVAL)?;
    if Namespaces::KINDS.contains(new) { Ok((flags, new)) } else { Err(Errno::EINVAL) }
}

/// fork(2).
pub fn fork(thread: &Arc<Thread>, context: &UserContext) -> Result<usize, Errno> {
    Ok(task::clone(thread, context, &CloneRequest::fork())? as usize)
}

/// clone(2). The low byte of the flags is the exit signal; the last two arguments stand in another order on
/// x86_64 than elsewhere.
pub fn clone(thread: &Arc<Thread>, context: &UserContext) -> Result<usize, Errno> {
    let [word, stack, parent_tid, fourth, fifth, _] = context.syscall_args();
    let (child_tid, tls) = if super::number::IS_X86_64 { (fourth, fifth) } else { (fifth, fourth) };
    let (flags, new) = split(u64::from(word as u32 & !general::CSIGNAL))?;
    let exit_signal = word as u32 & general::CSIGNAL;
    if exit_signal > Signal::MAX {
        return Err(Errno::EINVAL);
    }
    let request = CloneRequest {
        flags,
        new,
        exit_signal,
        stack: UserAddr(stack),
        parent_tid: UserAddr(parent_tid),
        child_tid: UserAddr(child_tid),
        tls: UserAddr(tls),
        numbers: &[],
    };
    Ok(task::clone(thread, context, &request)? as usize)
}

/// `struct clone_args`.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// The size that the structure had first.
const CLONE_ARGS_SIZE_MIN: usize = 64;
/// How many numbers a process can have: one a level of pid namespaces.
const NUMBERS_MAX: usize = 32;

/// clone3(2). The structure may be shorter than this kernel's, or longer if what is beyond is zero.
pub fn clone3(thread: &Arc<Thread>, context: &UserContext) -> Result<usize, Errno> {
    let [at, size, ..] = context.syscall_args();
    let args = read_clone_args(thread, UserAddr(at), size)?;
    let exit_signal = u32::try_from(args.exit_signal).ok().filter(|signal| *signal <= Signal::MAX);
    let exit_signal = exit_signal.ok_or(Errno::EINVAL)?;
    let (flags, new) = split(args.flags)?;
    if flags.contains(CloneFlags::PARENT) && exit_signal != 0 || (args.stack == 0) != (args.stack_size == 0) {
        return Err(Errno::EINVAL);
    }
    let stack = args.stack.checked_add(args.stack_size).ok_or(Errno::EINVAL)?;
    let mut numbers = [0u32; NUMBERS_MAX];
    let count = usize::try_from(args.set_tid_size).ok().filter(|count| *count <= NUMBERS_MAX).ok_or(Errno::EINVAL)?;
    if (args.set_tid == 0) != (count == 0) {
        return Err(Errno::EINVAL);
    }
    thread.space().read_bytes(UserAddr(args.set_tid as usize), numbers[..count].as_mut_bytes())?;
    let request = CloneRequest {
        flags,
        new,
        exit_signal,
        stack: UserAddr(stack as usize),
        parent_tid: UserAddr(args.parent_tid as usize),
        child_tid: UserAddr(args.child_tid as usize),
        tls: UserAddr(args.tls as usize),
        numbers: &numbers[..count],
    };
    Ok(task::clone(thread, context, &request)? as usize)
}

fn read_clone_args(thread: &Thread, at: UserAddr, size: usize) -> Result<CloneArgs, Errno> {
    let space = thread.space();
    let own = size_of::<CloneArgs>();
    if size > PAGE_SIZE {
        return Err(Errno::E2BIG);
    }
    if size < CLONE_ARGS_SIZE_MIN {
        return Err(Errno::EINVAL);
    }
    let mut rest = [0u8; 64];
    let mut done = own;
    while done < size {
        let step = (size - done).min(rest.len());
        space.read_bytes(at.checked_add(done).ok_or(Errno::EFAULT)?, &mut rest[..step])?;
        if rest[..step].iter().any(|byte| *byte != 0) {
            return Err(Errno::E2BIG);
        }
        done += step;
    }
    let mut args = CloneArgs::default();
    space.read_bytes(at, &mut args.as_mut_bytes()[..size.min(own)])?;
    Ok(args)
}

/// unshare(2). The flags that end the sharing of what a process of one thread shares with nobody have no effect.
pub async fn unshare(thread: &Thread, flags: u64) -> Result<usize, Errno> {
    const UNSHARED_ANYWAY: u64 =
        (general::CLONE_FS | general::CLONE_FILES | general::CLONE_SYSVSEM | general::CLONE_SIGHAND) as u64
            | general::CLONE_VM as u64
            | general::CLONE_THREAD as u64;
    let kinds = u32::try_from(flags & !UNSHARED_ANYWAY).ok().and_then(NamespaceSet::from_bits).ok_or(Errno::EINVAL)?;
    task::unshare(thread, kinds)?;
    Ok(0)
}

/// setns(2): into the namespace that a descriptor stands for; `kind` 0 takes any.
pub async fn setns(thread: &Thread, fd: i32, kind: u32) -> Result<usize, Errno> {
    let file = thread.with_files(|files| files.get(fd))?;
    let kinds = NamespaceSet::from_bits(kind).ok_or(Errno::EINVAL)?;
    let NamespaceFile(namespace) = file.object::<NamespaceFile>().ok_or(Errno::EINVAL)?;
    if !kinds.is_empty() && kinds != namespace.kind().flag() {
        return Err(Errno::EINVAL);
    }
    task::join(thread, namespace.clone())?;
    Ok(0)
}

/// What stands behind a descriptor of a namespace (`/proc/<pid>/ns/*`, ioctl_ns(2)). It keeps the namespace.
#[derive(Debug)]
pub struct NamespaceFile(pub Namespace);

impl FileObject for NamespaceFile {
    fn poll_ready(&self, _: &mut core::task::Context<'_>, _: Readiness) -> Readiness {
        Readiness::READABLE | Readiness::WRITABLE
    }

    /// ioctl_ns(2).
    fn ioctl(&self, thread: &Arc<Thread>, request: u32, argument: UserAddr) -> Result<usize, Errno> {
        const NS_GET_USERNS: u32 = 0xb701;
        const NS_GET_PARENT: u32 = 0xb702;
        const NS_GET_NSTYPE: u32 = 0xb703;
        const NS_GET_OWNER_UID: u32 = 0xb704;
        let who = thread.credentials();
        match request {
            NS_GET_NSTYPE => Ok(self.0.kind().flag().bits() as usize),
            NS_GET_USERNS => {
                let owner = self.0.owner().filter(|owner| who.user_namespace.contains(owner));
                descriptor(thread, Namespace::User(owner.ok_or(Errno::EPERM)?.clone()), &who)
            }
            NS_GET_PARENT => descriptor(thread, self.parent(thread, &who.user_namespace)?, &who),
            NS_GET_OWNER_UID => {
                let Namespace::User(namespace) = &self.0 else { return Err(Errno::EINVAL) };
                let uid = who.user_namespace.shown_user(namespace.creator().uid);
                thread.space().write(argument, &uid)?;
                Ok(0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }
}

impl NamespaceFile {
    /// The one above: EINVAL for a kind that has none, EPERM for one that is outside of the caller's own.
    fn parent(&self, thread: &Thread, home: &UserNamespace) -> Result<Namespace, Errno> {
        match &self.0 {
            Namespace::User(namespace) => {
                let parent = namespace.parent().filter(|parent| home.contains(parent));
                parent.cloned().map(Namespace::User).ok_or(Errno::EPERM)
            }
            Namespace::Pid(namespace) => {
                let parent = namespace.parent().filter(|parent| thread.pid().namespace().contains(parent));
                parent.cloned().map(Namespace::Pid).ok_or(Errno::EPERM)
            }
            _ => Err(Errno::EINVAL),
        }
    }
}

/// A new descriptor for `namespace`, closed on exec.
fn descriptor(thread: &Thread, namespace: Namespace, who: &Credentials) -> Result<usize, Errno> {
    let file = File::of_object(Arc::new(NamespaceFile(namespace)), OpenFlags::empty(), who.fsuid, who.fsgid)?;
    Ok(thread.with_files(|files| files.insert(file, true))? as usize)
}
