//! What makes, moves and ends a container.

use alloc::{format, string::String};

use veridian_containers::{
    Signal,
    abi::{CreateFlags, DeleteFlags, Errno, WaitStatus},
};

use super::{Outcome, id};
use crate::{
    containers::{
        bundle::Bundle,
        container::Container,
        file::{self, Existing},
        relay::Relay,
        words::Words,
    },
    sys,
};

pub(super) fn create(words: &Words) -> Outcome {
    let mut container = made(words, CreateFlags::empty())?;
    keep_no_terminal(&mut container).map(|()| 0)
}

/// The terminal would hang up with its master, which goes when this program ends.
fn keep_no_terminal(container: &mut Container) -> Result<(), String> {
    match container.take_terminal() {
        None => Ok(()),
        Some(_) => {
            Err(undone(container, "a container with a terminal needs somebody at it: run it without --detach".into()))
        }
    }
}

/// A created container whose number stands in the pid file, if one is wanted.
fn made(words: &Words, flags: CreateFlags) -> Result<Container, String> {
    let id = id(words)?;
    let bundle = Bundle::open(words.value("bundle").unwrap_or("."))?;
    let container = bundle.create(&id, flags).map_err(|refusal| match refusal.errno {
        Errno::EEXIST if Container::open(&id).is_ok() => format!("{id}: container with given ID already exists"),
        Errno::ENOSYS => "this kernel has no containers".into(),
        _ => refusal.message,
    })?;
    let Some(path) = words.value("pid-file") else { return Ok(container) };
    let written =
        container.state().and_then(|state| file::write(path, format!("{}", state.pid()).as_bytes(), Existing::Replace));
    match written {
        Ok(()) => Ok(container),
        Err(reason) => Err(undone(&container, reason)),
    }
}

/// Deletes what could not be made whole; the reason, and what went wrong besides.
fn undone(container: &Container, reason: String) -> String {
    match container.delete(DeleteFlags::FORCE) {
        Ok(()) => reason,
        Err(more) => format!("{reason}; it is still there: {more}"),
    }
}

pub(super) fn start(words: &Words) -> Outcome {
    Container::open(&id(words)?)?.start().map(|()| 0)
}

/// A container that is waited for and deleted lives no longer than the one who waits.
pub(super) fn run(words: &Words) -> Outcome {
    let (detach, keep) = (words.has("detach"), words.has("keep"));
    let flags = if detach || keep { CreateFlags::empty() } else { CreateFlags::KILL_ON_CLOSE };
    let mut container = made(words, flags)?;
    if detach {
        keep_no_terminal(&mut container)?;
    }
    let relay = container.take_terminal().map(Relay::new);
    container.start().map_err(|reason| undone(&container, reason))?;
    if detach {
        return Ok(0);
    }
    if let Some(relay) = relay {
        relay.run().map_err(|errno| format!("the terminal: {errno}"))?;
    }
    let end = container.wait()?;
    if !end.exit_flags().is_empty() {
        crate::io::print(2, format_args!("vctl: {}: out of memory\n", container.id()));
    }
    if !keep {
        container.delete(DeleteFlags::empty())?;
    }
    let status = WaitStatus::decode(end.status);
    status.map(WaitStatus::shell_status).ok_or_else(|| format!("{:#x} is no status of an ended process", end.status))
}

pub(super) fn kill(words: &Words) -> Outcome {
    let (id, signal) = match words.operands()[..] {
        [id] => (id, "TERM"),
        [id, signal] => (id, signal),
        _ => return Err("the id of a container is wanted, and a signal".into()),
    };
    let signal: Signal = signal.parse().map_err(|_| format!("{signal}: not a signal"))?;
    Container::open(id)?.kill(signal).map(|()| 0)
}

pub(super) fn delete(words: &Words) -> Outcome {
    let force = words.has("force");
    let flags = if force { DeleteFlags::FORCE } else { DeleteFlags::empty() };
    let ids = words.operands();
    if ids.is_empty() {
        return Err("the id of a container is wanted".into());
    }
    for id in ids {
        if force && sys::container_open(id) == Err(Errno::ENOENT) {
            continue;
        }
        Container::open(id)?.delete(flags)?;
    }
    Ok(0)
}

pub(super) fn pause(words: &Words) -> Outcome {
    Container::open(&id(words)?)?.pause().map(|()| 0)
}

pub(super) fn resume(words: &Words) -> Outcome {
    Container::open(&id(words)?)?.resume().map(|()| 0)
}
