//! Controlling terminals: which terminal a session has, and which of its process groups is in the foreground
//! (credentials(7), tty(4), tty_ioctl(4)). Sessions and groups are named by their leaders' numbers in the first pid
//! namespace.

use super::Terminal;
use crate::{
    fs::{DeviceNumber, FileObject, OpenFlags, Readiness},
    security::Capabilities,
    task::{self, Thread},
};
use alloc::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};
use core::task::Context;
use veridian_containers::{Signal, abi::Errno};
use veridian_hal::sync::SpinLock;

/// Whom a terminal controls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub session: u32,
    pub foreground: u32,
}

/// The controlling terminals, by session.
static TERMINALS: SpinLock<BTreeMap<u32, Weak<dyn Controlling>>> = SpinLock::new(BTreeMap::new());

/// What can be a controlling terminal: the console or a pseudo-terminal, open or not.
pub(super) trait Controlling: Send + Sync {
    fn terminal(&self) -> &Terminal;

    /// Its device number.
    fn device(&self) -> DeviceNumber;

    /// Opens it, as `/dev/tty`.
    fn open(self: Arc<Self>) -> Result<Arc<dyn FileObject>, Errno>;
}

/// The session's terminal is another's, or nobody's, now.
pub(super) fn forget(session: u32) {
    let gone = TERMINALS.lock().remove(&session);
    drop(gone);
}

/// The controlling terminal of a session: its device number, and its foreground group.
pub fn terminal_of(session: u32) -> Option<(DeviceNumber, u32)> {
    let object = of_session(session)?;
    let owner = object.terminal().state.lock().owner?;
    Some((object.device(), owner.foreground))
}

fn of_session(session: u32) -> Option<Arc<dyn Controlling>> {
    TERMINALS.lock().get(&session).and_then(Weak::upgrade)
}

/// Makes `object` the controlling terminal of the session that `thread` leads (TIOCSCTTY): EPERM where the session has
/// one, or the terminal is another session's and `steal` does not take it by force.
pub(super) fn control(thread: &Thread, object: &Arc<dyn Controlling>, steal: bool) -> Result<(), Errno> {
    let session = thread.session();
    let owner = object.terminal().state.lock().owner;
    if owner.is_some_and(|owner| owner.session == session) {
        return Ok(());
    }
    if session != thread.pid().global_number() || of_session(session).is_some() {
        return Err(Errno::EPERM);
    }
    if let Some(owner) = owner {
        if !steal || !thread.credentials().capable(Capabilities::SYS_ADMIN) {
            return Err(Errno::EPERM);
        }
        forget(owner.session);
    }
    object.terminal().state.lock().owner = Some(Owner { session, foreground: thread.group() });
    let old = TERMINALS.lock().insert(session, Arc::downgrade(object));
    drop(old);
    Ok(())
}

/// As [`control`], where opening alone does it: by a session's leader, of a terminal that is nobody's.
pub(super) fn control_by_open(thread: &Thread, object: &Arc<dyn Controlling>, flags: OpenFlags) {
    if !flags.contains(OpenFlags::NOCTTY) && object.terminal().state.lock().owner.is_none() {
        // Whoever may not simply has the file open.
        let _ = control(thread, object, false);
    }
}

/// The session of `thread` gives its terminal up (TIOCNOTTY by its leader).
pub(super) fn release(session: u32) {
    let Some(object) = of_session(session) else { return };
    forget(session);
    let owner = {
        let mut state = object.terminal().state.lock();
        state.owner.take_if(|owner| owner.session == session)
    };
    if let Some(owner) = owner {
        task::send_to_group(owner.foreground, Signal::SIGHUP);
        task::send_to_group(owner.foreground, Signal::SIGCONT);
    }
}

/// The leader of a session has ended: the terminal is free again, and its foreground hears of it (setsid(2)).
pub fn session_ends(thread: &Thread) {
    let session = thread.session();
    if session == thread.pid().global_number() && !TERMINALS.lock().is_empty() {
        release(session);
    }
}

/// Job control: whether `thread`, being in the background of `terminal`, was stopped for reading it, or else for writing or
/// changing it. EIO where it cannot be stopped: reads of who ignores SIGTTIN, and anything of a group that nobody could
/// continue.
pub(super) fn stops_background(terminal: &Terminal, thread: &Thread, reads: bool) -> Result<bool, Errno> {
    let owner = terminal.state.lock().owner;
    let Some(owner) = owner.filter(|owner| owner.session == thread.session()) else { return Ok(false) };
    if owner.foreground == thread.group() {
        return Ok(false);
    }
    let signal = if reads { Signal::SIGTTIN } else { Signal::SIGTTOU };
    let deaf = thread.signals().is_ignored(signal) || thread.signals().blocked().contains(signal);
    if deaf {
        return if reads { Err(Errno::EIO) } else { Ok(false) };
    }
    if task::group_is_orphaned(thread.group(), thread.session()) {
        return Err(Errno::EIO);
    }
    task::send_to_group(thread.group(), signal);
    Ok(true)
}

/// `/dev/tty`: the caller's own controlling terminal.
#[derive(Debug)]
pub struct Current;

impl FileObject for Current {
    fn opened(&self, thread: &Arc<Thread>, _: OpenFlags) -> Result<Option<Arc<dyn FileObject>>, Errno> {
        of_session(thread.session()).ok_or(Errno::ENXIO)?.open().map(Some)
    }

    fn poll_ready(&self, _: &mut Context<'_>, _: Readiness) -> Readiness {
        Readiness::ERR
    }
}
