//! A container by its descriptor. What the kernel says in numbers is said in runc's words here.

use alloc::{format, string::String, string::ToString, vec};

use serde_json::Value;
use veridian_containers::{
    Signal, Status,
    abi::{DeleteFlags, Errno, Stats, TRACE_REQUEST, WaitResult},
};

use crate::sys::{self, Fd};

/// An open container.
pub struct Container {
    id: String,
    fd: Fd,
    /// The master side of its terminal, until it is taken.
    terminal: Option<Fd>,
}

/// The kernel's message, or the error's own words if it has none.
pub(super) fn message_of(errno: Errno, said: &[u8]) -> String {
    match core::str::from_utf8(said) {
        Ok("") | Err(_) => errno.to_string(),
        Ok(said) => said.to_string(),
    }
}

/// The words for a call that failed for no reason of its own.
fn other(what: &str, errno: Errno) -> String {
    match errno {
        Errno::ENOSYS => format!("this kernel does not have container_{what} yet"),
        errno => format!("container_{what}: {errno}"),
    }
}

impl Container {
    pub(super) fn new(id: &str, fd: Fd, terminal: Option<Fd>) -> Self {
        Self { id: id.to_string(), fd, terminal }
    }

    /// `container_open`.
    pub fn open(id: &str) -> Result<Self, String> {
        match sys::container_open(id) {
            Ok(fd) => Ok(Self::new(id, fd, None)),
            Err(Errno::ENOENT) => Err(format!("{id}: container does not exist")),
            Err(errno) => Err(other("open", errno)),
        }
    }

    /// The master side of its terminal, if it was created with one here; once.
    pub fn take_terminal(&mut self) -> Option<Fd> {
        self.terminal.take()
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its descriptor, readable once it is stopped.
    pub fn fd(&self) -> Fd {
        self.fd
    }

    /// Gives the descriptor back.
    pub fn close(self) -> sys::Result {
        sys::close(self.fd)
    }

    /// `container_start`.
    pub fn start(&self) -> Result<(), String> {
        sys::container_start(self.fd).map_err(|errno| match (errno, self.status()) {
            (Errno::EINVAL, Some(Status::Running | Status::Paused)) => {
                "cannot start an already running container".into()
            }
            (Errno::EINVAL, Some(Status::Stopped)) => "cannot start a container that has stopped".into(),
            _ => other("start", errno),
        })
    }

    /// `container_wait`.
    pub fn wait(&self) -> Result<WaitResult, String> {
        sys::container_wait(self.fd).map_err(|errno| other("wait", errno))
    }

    /// Has the system calls of its processes told on the console, or no more.
    pub fn trace(&self, on: bool) -> Result<(), String> {
        let told = sys::ioctl_number(self.fd, TRACE_REQUEST, on.into());
        told.map(drop).map_err(|errno| format!("cannot trace container {}: {errno}", self.id))
    }

    /// `container_kill`.
    pub fn kill(&self, signal: Signal) -> Result<(), String> {
        sys::container_kill(self.fd, signal.number()).map_err(|errno| match errno {
            Errno::ESRCH => "container not running".into(),
            _ => other("kill", errno),
        })
    }

    /// `container_pause`.
    pub fn pause(&self) -> Result<(), String> {
        sys::container_pause(self.fd).map_err(|errno| match (errno, self.status()) {
            (Errno::EINVAL, Some(Status::Paused)) => "container paused already".into(),
            (Errno::EINVAL, Some(status)) if status != Status::Running => "container not running".into(),
            _ => other("pause", errno),
        })
    }

    /// `container_resume`.
    pub fn resume(&self) -> Result<(), String> {
        sys::container_resume(self.fd).map_err(|errno| match (errno, self.status()) {
            (Errno::EINVAL, Some(status)) if status != Status::Paused => "container not paused".into(),
            _ => other("resume", errno),
        })
    }

    /// `container_delete`.
    pub fn delete(&self, flags: DeleteFlags) -> Result<(), String> {
        sys::container_delete(self.fd, flags).map_err(|errno| match (errno, self.status()) {
            (Errno::EBUSY, Some(status)) if status != Status::Stopped => {
                format!("cannot delete container {} that is not stopped: {status}", self.id)
            }
            _ => other("delete", errno),
        })
    }

    /// `container_exec`: a descriptor of the process, and the master side of its terminal.
    pub fn exec(&self, process: &[u8]) -> Result<(Fd, Option<Fd>), String> {
        let mut buffer = [0; 1024];
        let made = sys::container_exec_with_terminal(self.fd, process, &mut buffer);
        made.map_err(|(errno, length)| match (errno, self.status()) {
            (Errno::ENOSYS, _) => other("exec", errno),
            (_, Some(Status::Paused)) => "cannot exec in a paused container".into(),
            (_, Some(status)) if status != Status::Running => "container not running".into(),
            _ => message_of(errno, &buffer[..length]),
        })
    }

    /// `container_update`.
    pub fn update(&self, resources: &[u8]) -> Result<(), String> {
        let mut buffer = [0; 1024];
        sys::container_update(self.fd, resources, &mut buffer).map_err(|(errno, length)| match errno {
            Errno::ENOSYS => other("update", errno),
            _ => message_of(errno, &buffer[..length]),
        })
    }

    /// `container_stats`.
    pub fn stats(&self) -> Result<Stats, String> {
        sys::container_stats(self.fd).map_err(|errno| other("stats", errno))
    }

    /// `container_state`.
    pub fn state(&self) -> Result<State, String> {
        let text = grown(|buffer| sys::container_state(self.fd, buffer)).map_err(|errno| other("state", errno))?;
        let value =
            serde_json::from_str(&text).map_err(|error| format!("{}: the state is no JSON: {error}", self.id))?;
        Ok(State { text, value })
    }

    fn status(&self) -> Option<Status> {
        self.state().ok()?.status()
    }
}

/// `container_features`.
pub fn features() -> Result<String, String> {
    grown(sys::container_features).map_err(|errno| other("features", errno))
}

/// The text of a call that tells its length, into a buffer that is large enough: what is described may grow meanwhile.
fn grown(call: impl Fn(&mut [u8]) -> sys::Result<usize>) -> sys::Result<String> {
    loop {
        let mut buffer = vec![0; call(&mut [])?];
        match call(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return String::from_utf8(buffer).map_err(|_| Errno::EIO);
            }
            Err(Errno::ERANGE) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// The state of a container as the OCI runtime specification has it.
pub struct State {
    /// On one line.
    pub text: String,
    value: Value,
}

impl State {
    /// A member that is a text; empty if it is not there.
    pub fn member(&self, name: &str) -> &str {
        self.value.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// The process, 0 without one.
    pub fn pid(&self) -> u64 {
        self.value.get("pid").and_then(Value::as_u64).unwrap_or(0)
    }

    /// `None` for a word that this program does not know.
    pub fn status(&self) -> Option<Status> {
        let known = [Status::Creating, Status::Created, Status::Running, Status::Paused, Status::Stopped];
        known.into_iter().find(|status| status.name() == self.member("status"))
    }
}
