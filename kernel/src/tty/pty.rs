//! Pseudo-terminals (pty(7)): a terminal whose keyboard and screen are a program with the master side open.
//!
//! The master keeps the pair alive; its last close hangs the terminal up. An [`Instance`] is one devpts file system's
//! numbering.

use super::{
    Terminal, control,
    session::{self, Controlling},
    terminal::Output,
};
use crate::{
    cgroup::{MemoryGroup, memory::KernelCharge},
    fs::{
        Attempt, DeviceNumber, File, FileObject, OpenFlags, Readiness,
        io::{Sink, Source, moved},
        synthetic::Ownership,
    },
    task::Thread,
};
use alloc::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Weak},
    vec::Vec,
};
use core::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    task::{Context, Poll},
};
use linux_raw_sys::{general as linux, ioctl as requests};
use veridian_containers::abi::Errno;
use veridian_hal::{UserAddr, sync::SpinLock};

/// The slave sides' device major (UNIX98_PTY_SLAVE_MAJOR).
pub const MAJOR: u32 = 136;
/// The most pseudo-terminals of one instance (`/proc/sys/kernel/pty/max`).
pub const INSTANCE_MAX: u32 = 4096;
/// What a pair costs on the kernel heap, at most.
const PAIR_BYTES: usize = 16 << 10;

/// The pseudo-terminals of one devpts file system.
#[derive(Debug)]
pub struct Instance {
    pairs: SpinLock<BTreeMap<u32, Weak<Pair>>>,
    max: u32,
}

/// A master and its terminal.
#[derive(Debug)]
pub struct Pair {
    terminal: Terminal,
    number: u32,
    instance: Arc<Instance>,
    /// The slave side cannot be opened yet (TIOCSPTLCK).
    locked: AtomicBool,
    /// How often the slave side is open, and whether it ever was.
    slaves: AtomicUsize,
    was_open: AtomicBool,
    /// Who may open the slave side.
    ownership: SpinLock<Ownership>,
    _charge: KernelCharge,
}

/// The master side as an open file.
#[derive(Debug)]
pub struct Master(Arc<Pair>);

/// The slave side as an open file.
#[derive(Debug)]
pub struct Slave(Arc<Pair>);

impl Instance {
    /// Without any; at most `max` at one time (at most [`INSTANCE_MAX`]).
    pub fn new(max: u32) -> Arc<Self> {
        Arc::new(Self { pairs: SpinLock::new(BTreeMap::new()), max: max.min(INSTANCE_MAX) })
    }

    /// A new pair, paid for by `memory`, the slave side for whom `ownership` says: the master. ENOSPC at the
    /// limit.
    pub fn open_master(
        self: &Arc<Self>,
        memory: &Arc<MemoryGroup>,
        ownership: Ownership,
    ) -> Result<Arc<Master>, Errno> {
        let mut charge = memory.kernel_charge();
        charge.cover(PAIR_BYTES)?;
        let mut pairs = self.pairs.lock();
        let number = (0..self.max).find(|number| !pairs.contains_key(number)).ok_or(Errno::ENOSPC)?;
        let pair = Arc::new(Pair {
            terminal: Terminal::new(Output::Master(VecDeque::new())),
            number,
            instance: self.clone(),
            locked: AtomicBool::new(true),
            slaves: AtomicUsize::new(0),
            was_open: AtomicBool::new(false),
            ownership: SpinLock::new(ownership),
            _charge: charge,
        });
        pairs.insert(number, Arc::downgrade(&pair));
        drop(pairs);
        Ok(Arc::new(Master(pair)))
    }

    /// The pair of a number, while its master is open.
    pub fn pair(&self, number: u32) -> Option<Arc<Pair>> {
        self.pairs.lock().get(&number).and_then(Weak::upgrade)
    }

    /// The numbers in use.
    pub fn numbers(&self) -> Vec<u32> {
        self.pairs.lock().keys().copied().collect()
    }
}

impl Pair {
    /// Its number in its instance.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Who may open the slave side.
    pub fn ownership(&self) -> Ownership {
        *self.ownership.lock()
    }

    /// Gives the slave side to others (chmod(2), chown(2)).
    pub fn set_ownership(&self, ownership: Ownership) {
        *self.ownership.lock() = ownership;
    }

    /// The terminal.
    pub fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    /// The slave side's device number.
    pub fn device_number(&self) -> DeviceNumber {
        DeviceNumber::new(MAJOR, self.number)
    }

    /// Makes it the controlling terminal of the session that `thread` leads: EPERM where it has one.
    pub fn control(self: &Arc<Self>, thread: &Thread) -> Result<(), Errno> {
        let object: Arc<dyn Controlling> = self.clone();
        session::control(thread, &object, false)
    }

    /// Opens the slave side: EIO while it is locked.
    pub fn open_slave(self: &Arc<Self>) -> Result<Arc<Slave>, Errno> {
        if self.locked.load(Ordering::Acquire) || self.terminal.state.lock().hung_up {
            return Err(Errno::EIO);
        }
        self.slaves.fetch_add(1, Ordering::AcqRel);
        self.was_open.store(true, Ordering::Release);
        Ok(Arc::new(Slave(self.clone())))
    }

    /// The slave side was open and is not any more.
    fn is_abandoned(&self) -> bool {
        self.was_open.load(Ordering::Acquire) && self.slaves.load(Ordering::Acquire) == 0
    }
}

impl Master {
    /// The pair.
    pub fn pair(&self) -> &Arc<Pair> {
        &self.0
    }

    /// Lets the slave side be opened (unlockpt(3)).
    pub fn unlock(&self) {
        self.0.locked.store(false, Ordering::Release);
    }
}

impl FileObject for Master {
    fn poll_read(&self, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        let pair = &*self.0;
        let before = sink.remaining();
        if before == 0 {
            return Poll::Ready(Ok(0));
        }
        let result = {
            let mut state = pair.terminal.state.lock();
            pair.terminal.masters.register(cx);
            if let Some(told) = state.packet.as_mut().filter(|told| **told != 0) {
                return Poll::Ready(sink.put(&[core::mem::take(told) as u8]).map(|()| 1));
            }
            let packet = state.packet.is_some();
            let Output::Master(bytes) = &mut state.output else { return Poll::Ready(Err(Errno::EIO)) };
            if bytes.is_empty() {
                return if pair.is_abandoned() { Poll::Ready(Err(Errno::EIO)) } else { Poll::Pending };
            }
            if packet {
                sink.put(&[linux::TIOCPKT_DATA as u8])?;
            }
            let room = sink.remaining();
            let count = bytes.len().min(room);
            let result = sink.put(&bytes.make_contiguous()[..count]);
            bytes.drain(..room - sink.remaining());
            result
        };
        pair.terminal.writers.wake_all();
        Poll::Ready(moved(before - sink.remaining(), result))
    }

    fn poll_write(&self, cx: &mut Context<'_>, source: &mut dyn Source, _: &MemoryGroup) -> Poll<Result<usize, Errno>> {
        let pair = &*self.0;
        let before = source.remaining();
        if before == 0 {
            return Poll::Ready(Ok(0));
        }
        pair.terminal.masters.register(cx);
        let mut result = Ok(());
        pair.terminal.receive(|| {
            let mut byte = [0];
            if source.remaining() == 0 {
                return None;
            }
            result = source.take(&mut byte);
            result.is_ok().then_some(byte[0])
        });
        let done = before - source.remaining();
        if done == 0 && result.is_ok() { Poll::Pending } else { Poll::Ready(moved(done, result)) }
    }

    fn poll_ready(&self, cx: &mut Context<'_>, _: Readiness) -> Readiness {
        let pair = &*self.0;
        let state = pair.terminal.state.lock();
        pair.terminal.masters.register(cx);
        let mut ready = Readiness::empty();
        if matches!(&state.output, Output::Master(bytes) if !bytes.is_empty()) {
            ready |= Readiness::READABLE;
        }
        if state.packet.is_some_and(|told| told != 0) {
            ready |= Readiness::READABLE | Readiness::PRI;
        }
        if pair.is_abandoned() {
            ready |= Readiness::HUP | Readiness::READABLE;
        }
        if state.discipline.has_room() {
            ready |= Readiness::WRITABLE;
        }
        ready
    }

    fn readable_bytes(&self) -> Option<usize> {
        match &self.0.terminal.state.lock().output {
            Output::Master(bytes) => Some(bytes.len()),
            Output::Console => None,
        }
    }

    /// The terminal's requests but for those about sessions, and the master's own (ioctl_tty(2)).
    fn ioctl(&self, thread: &Arc<Thread>, request: u32, argument: UserAddr) -> Result<usize, Errno> {
        let space = thread.space();
        match request {
            requests::TIOCGPTN => space.write(argument, &self.0.number)?,
            requests::TIOCSPTLCK => {
                let locked = space.read::<i32>(argument)? != 0;
                self.0.locked.store(locked, Ordering::Release);
            }
            requests::TIOCGPTLCK => space.write(argument, &i32::from(self.0.locked.load(Ordering::Acquire)))?,
            requests::TIOCPKT => {
                let on = space.read::<i32>(argument)? != 0;
                let mut state = self.0.terminal.state.lock();
                state.packet = on.then(|| state.packet.unwrap_or(0));
            }
            requests::TIOCGPKT => {
                let on = self.0.terminal.state.lock().packet.is_some();
                space.write(argument, &i32::from(on))?;
            }
            requests::TIOCGPTPEER => {
                let flags = u32::try_from(argument.0).ok().and_then(OpenFlags::from_bits).ok_or(Errno::EINVAL)?;
                let slave = self.0.open_slave()?;
                let who = thread.credentials();
                let file = File::of_object(slave, flags - OpenFlags::NOCTTY, who.fsuid, who.fsgid)?;
                let file = file.opened_by(thread, flags)?;
                let fd = thread.with_files(|files| files.insert(file, flags.contains(OpenFlags::CLOEXEC)))?;
                return Ok(fd as usize);
            }
            _ => return control::ioctl_of_master(&self.0.terminal, thread, request, argument),
        }
        Ok(0)
    }
}

impl Drop for Master {
    /// The terminal is gone for all who have it open, and its number is free.
    fn drop(&mut self) {
        let gone = self.0.instance.pairs.lock().remove(&self.0.number);
        drop(gone);
        self.0.terminal.hang_up();
    }
}

impl Controlling for Pair {
    fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    fn open(self: Arc<Self>) -> Result<Arc<dyn FileObject>, Errno> {
        Ok(self.open_slave()?)
    }

    fn device(&self) -> DeviceNumber {
        self.device_number()
    }
}

impl Slave {
    fn controlling(&self) -> Arc<dyn Controlling> {
        self.0.clone()
    }
}

impl FileObject for Slave {
    fn opened(&self, thread: &Arc<Thread>, flags: OpenFlags) -> Result<Option<Arc<dyn FileObject>>, Errno> {
        session::control_by_open(thread, &self.controlling(), flags);
        Ok(None)
    }

    fn stops(&self, thread: &Thread, attempt: Attempt) -> Result<bool, Errno> {
        control::stops(&self.0.terminal, thread, attempt)
    }

    fn ioctl(&self, thread: &Arc<Thread>, request: u32, argument: UserAddr) -> Result<usize, Errno> {
        control::ioctl(&self.controlling(), thread, request, argument)
    }

    fn poll_read(&self, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        self.0.terminal.poll_read(cx, sink)
    }

    fn poll_write(&self, cx: &mut Context<'_>, source: &mut dyn Source, _: &MemoryGroup) -> Poll<Result<usize, Errno>> {
        self.0.terminal.poll_write(cx, source)
    }

    fn poll_ready(&self, cx: &mut Context<'_>, _: Readiness) -> Readiness {
        self.0.terminal.poll_ready(cx)
    }

    fn readable_bytes(&self) -> Option<usize> {
        Some(self.0.terminal.state.lock().discipline.readable_bytes())
    }
}

impl Drop for Slave {
    fn drop(&mut self) {
        self.0.slaves.fetch_sub(1, Ordering::AcqRel);
        // A master that waits for output learns that none will come.
        self.0.terminal.masters.wake_all();
    }
}
