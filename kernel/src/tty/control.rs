//! ioctl_tty(2): settings, window, queues, sessions.

use super::{
    Terminal, Termios, WindowSize,
    session::{self, Controlling, Owner},
    terminal::Output,
};
use crate::{
    boot,
    fs::Attempt,
    task::{self, Thread},
};
use alloc::sync::Arc;
use linux_raw_sys::{general as linux, ioctl as requests};
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;

/// See [`crate::fs::FileObject::stops`]: a write is held back only with TOSTOP, a change always.
pub(super) fn stops(terminal: &Terminal, thread: &Thread, attempt: Attempt) -> Result<bool, Errno> {
    let held_back = match attempt {
        Attempt::Read => true,
        Attempt::Write => terminal.settings().local(linux::TOSTOP),
        Attempt::Control(request) => matches!(
            request,
            requests::TCSETS
                | requests::TCSETSW
                | requests::TCSETSF
                | requests::TCFLSH
                | requests::TCSBRK
                | requests::TCXONC
                | requests::TIOCSPGRP
        ),
    };
    if held_back { session::stops_background(terminal, thread, attempt == Attempt::Read) } else { Ok(false) }
}

/// Serves an ioctl on a terminal.
pub(super) fn ioctl(
    object: &Arc<dyn Controlling>,
    thread: &Arc<Thread>,
    request: u32,
    argument: UserAddr,
) -> Result<usize, Errno> {
    let terminal = object.terminal();
    let space = thread.space();
    match request {
        requests::TIOCGPGRP => {
            let owner = owner_of(terminal, thread)?;
            space.write(argument, &number_in(thread, owner.foreground))?;
        }
        requests::TIOCSPGRP => set_foreground(terminal, thread, space.read(argument)?)?,
        requests::TIOCGSID => {
            let owner = owner_of(terminal, thread)?;
            space.write(argument, &number_in(thread, owner.session))?;
        }
        requests::TIOCSCTTY => session::control(thread, object, argument.0 == 1)?,
        requests::TIOCNOTTY => {
            let owner = owner_of(terminal, thread)?;
            if owner.session == thread.pid().global_number() {
                session::release(owner.session);
            }
        }
        // To put words into another program's mouth is an old hole: Linux refuses it too (dev.tty.legacy_tiocsti).
        requests::TIOCSTI => return Err(Errno::EIO),
        _ => return ioctl_of_master(terminal, thread, request, argument),
    }
    Ok(0)
}

/// What both sides of a pseudo-terminal answer: settings, size, queues.
pub(super) fn ioctl_of_master(
    terminal: &Terminal,
    thread: &Thread,
    request: u32,
    argument: UserAddr,
) -> Result<usize, Errno> {
    let space = thread.space();
    match request {
        requests::TCGETS => space.write(argument, &terminal.settings())?,
        requests::TCSETS | requests::TCSETSW | requests::TCSETSF => {
            let termios: Termios = space.read(argument)?;
            terminal.set_settings(termios, request == requests::TCSETSF);
        }
        requests::TIOCGWINSZ => space.write(argument, &terminal.window())?,
        requests::TIOCSWINSZ => terminal.set_window(space.read::<WindowSize>(argument)?),
        requests::TCFLSH => flush(terminal, argument.0)?,
        // Output is shown as soon as it is taken; there is no line to send a break on.
        requests::TCSBRK | requests::TCSBRKP => {}
        requests::TCXONC => hold(terminal, argument.0)?,
        requests::TIOCOUTQ => {
            let waiting = match &terminal.state.lock().output {
                Output::Console => 0,
                Output::Master(bytes) => bytes.len(),
            };
            space.write(argument, &(waiting as i32))?;
        }
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
}

fn flush(terminal: &Terminal, queue: usize) -> Result<(), Errno> {
    let (input, output) = match queue as u32 {
        linux::TCIFLUSH => (true, false),
        linux::TCOFLUSH => (false, true),
        linux::TCIOFLUSH => (true, true),
        _ => return Err(Errno::EINVAL),
    };
    {
        let mut state = terminal.state.lock();
        if input {
            state.discipline.flush_input();
            state.tell(linux::TIOCPKT_FLUSHREAD);
        }
        if let Output::Master(bytes) = &mut state.output
            && output
        {
            bytes.clear();
            state.tell(linux::TIOCPKT_FLUSHWRITE);
        }
    }
    terminal.wake();
    Ok(())
}

fn hold(terminal: &Terminal, action: usize) -> Result<(), Errno> {
    let stops = match action as u32 {
        linux::TCOOFF => true,
        linux::TCOON => false,
        // Nobody on the other side would listen to the characters that these send.
        linux::TCIOFF | linux::TCION => return Ok(()),
        _ => return Err(Errno::EINVAL),
    };
    {
        let mut state = terminal.state.lock();
        let before = core::mem::replace(&mut state.discipline.stopped, stops);
        state.tell_flow(before);
    }
    terminal.wake();
    Ok(())
}

/// ENOTTY unless the terminal controls the caller's session.
fn owner_of(terminal: &Terminal, thread: &Thread) -> Result<Owner, Errno> {
    let owner = terminal.state.lock().owner;
    owner.filter(|owner| owner.session == thread.session()).ok_or(Errno::ENOTTY)
}

/// The number, as `viewer` sees it, of the process or group that is `global` in the first pid namespace; 0 for none.
fn number_in(viewer: &Thread, global: u32) -> i32 {
    let namespace = viewer.pid().namespace();
    let leader = boot::pid_namespace().pid(global);
    leader.and_then(|leader| leader.number_in(namespace)).unwrap_or(0) as i32
}

/// tcsetpgrp(3): a group of the caller's session.
fn set_foreground(terminal: &Terminal, thread: &Thread, number: i32) -> Result<(), Errno> {
    owner_of(terminal, thread)?;
    let number = u32::try_from(number).map_err(|_| Errno::EINVAL)?;
    let group = thread.pid().namespace().pid(number).ok_or(Errno::ESRCH)?.global_number();
    if !task::group_is_in_session(group, thread.session()) {
        return Err(Errno::EPERM);
    }
    if let Some(owner) = &mut terminal.state.lock().owner {
        owner.foreground = group;
    }
    Ok(())
}
