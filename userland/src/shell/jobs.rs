//! Processes of the shell: pipelines, waiting, and jobs that are stopped or in the background.

use alloc::{ffi::CString, format, string::String, vec::Vec};

use linux_raw_sys::{
    general::{
        F_DUPFD_CLOEXEC, O_APPEND, O_CLOEXEC, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY, SIGCONT, SIGINT, SIGQUIT, SIGTSTP,
        SIGTTIN, SIGTTOU, WNOHANG, WUNTRACED,
    },
    ioctl::{TIOCGPGRP, TIOCSCTTY, TIOCSPGRP},
};
use veridian_containers::abi::{Errno, WaitStatus};

use super::{
    Shell, builtin,
    expand::Command,
    parse::{Item, RedirectionKind},
};
use crate::{
    io::print,
    sys::{self, AT_FDCWD, Fd, Pid},
};

/// Exit status of a command that is there and cannot be run.
const NOT_RUNNABLE: u8 = 126;
/// Exit status of a command that is not there.
const NOT_FOUND: u8 = 127;
/// Signals that the shell does not hear while it has a terminal.
const UNHEARD: [u32; 5] = [SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU];

/// The jobs, and the terminal that they are controlled by.
#[derive(Default)]
pub struct Jobs {
    /// The terminal, while the shell controls jobs.
    terminal: Option<Fd>,
    jobs: Vec<Job>,
    /// The process that was started last in the background (`$!` elsewhere).
    next_number: usize,
}

struct Job {
    number: usize,
    group: Pid,
    /// Processes that have not ended.
    alive: Vec<Pid>,
    /// The last one's status, once it has ended.
    status: u8,
    last: Pid,
    stopped: bool,
    text: String,
}

impl Jobs {
    /// Makes `input` the terminal of the shell's session if it is one; whether it is.
    pub fn take_terminal(&mut self, input: Fd) -> bool {
        let mut group = [0; 64];
        if sys::getsid(0) != Ok(sys::getpid()) {
            // A leader of a group of another session cannot have one of its own.
            let _ = sys::setsid();
        }
        let _ = sys::ioctl_number(input, TIOCSCTTY, 0);
        if sys::ioctl(input, TIOCGPGRP, &mut group).is_err() {
            return false;
        }
        for signal in UNHEARD {
            let _ = sys::ignore_signal(signal, true);
        }
        let _ = sys::setpgid(0, 0);
        self.terminal = sys::fcntl(input, F_DUPFD_CLOEXEC, 10).map(|fd| fd as Fd).ok();
        self.give_terminal(sys::getpgid(0).unwrap_or(0));
        self.terminal.is_some()
    }

    fn give_terminal(&self, group: Pid) {
        if let Some(terminal) = self.terminal {
            // A job that has ended meanwhile has no use for it.
            let mut number = [0; 64];
            number[..4].copy_from_slice(&group.to_ne_bytes());
            let _ = sys::ioctl(terminal, TIOCSPGRP, &mut number);
        }
    }

    /// Says what has become of the jobs in the background.
    pub fn report(&mut self) {
        while let Ok((pid @ 1.., status)) = sys::wait4(-1, WNOHANG | WUNTRACED) {
            self.note(pid, status);
        }
        for job in &self.jobs {
            if job.alive.is_empty() {
                print(2, format_args!("[{}] Done({})  {}\n", job.number, job.status, job.text));
            }
        }
        self.jobs.retain(|job| !job.alive.is_empty());
    }

    /// Lists them.
    pub fn list(&mut self) {
        self.report();
        for job in &self.jobs {
            let state = if job.stopped { "Stopped" } else { "Running" };
            print(1, format_args!("[{}] {state}  {}\n", job.number, job.text));
        }
    }

    fn note(&mut self, pid: Pid, status: i32) {
        let Some(job) = self.jobs.iter_mut().find(|job| job.alive.contains(&pid)) else { return };
        if status & 0xff == 0x7f {
            job.stopped = true;
            return;
        }
        job.alive.retain(|&alive| alive != pid);
        if pid == job.last {
            job.status = WaitStatus::decode(status).map_or(1, WaitStatus::shell_status);
        }
    }

    /// Brings a job to the foreground (`fg`), or lets it go on in the background (`bg`): `%n`, or the last one.
    pub fn resume(&mut self, which: Option<&str>, foreground: bool) -> u8 {
        let number: Option<usize> = which.and_then(|which| which.trim_start_matches('%').parse().ok());
        let found = match (which, number) {
            (None, _) => self.jobs.len().checked_sub(1),
            (Some(_), Some(number)) => self.jobs.iter().position(|job: &Job| job.number == number),
            (Some(_), None) => None,
        };
        let Some(index) = found else {
            print(2, format_args!("sh: no such job\n"));
            return 1;
        };
        let job = &mut self.jobs[index];
        job.stopped = false;
        let group = job.group;
        print(2, format_args!("{}\n", job.text));
        if foreground {
            self.give_terminal(group);
        }
        let _ = sys::kill(-group, SIGCONT);
        if foreground { self.wait_for(group) } else { 0 }
    }

    /// Waits for a job in the foreground: its status, 128 + n when a signal stopped it.
    fn wait_for(&mut self, group: Pid) -> u8 {
        let mut stopped_by = 0;
        loop {
            let Some(job) = self.jobs.iter().find(|job| job.group == group) else { return 0 };
            if job.alive.is_empty() || job.stopped {
                break;
            }
            match sys::wait4(-1, WUNTRACED) {
                Ok((pid, status)) => {
                    stopped_by = (status >> 8) as u8;
                    self.note(pid, status);
                }
                Err(_) => break,
            }
        }
        self.give_terminal(sys::getpgid(0).unwrap_or(0));
        let Some(index) = self.jobs.iter().position(|job| job.group == group) else { return 0 };
        if self.jobs[index].stopped {
            let job = &self.jobs[index];
            print(2, format_args!("\n[{}] Stopped  {}\n", job.number, job.text));
            return 128 + stopped_by;
        }
        self.jobs.remove(index).status
    }

    fn add(&mut self, group: Pid, alive: Vec<Pid>, text: &str) -> usize {
        if self.jobs.is_empty() {
            self.next_number = 0;
        }
        self.next_number += 1;
        let last = alive.last().copied().unwrap_or(group);
        let text = String::from(text);
        self.jobs.push(Job { number: self.next_number, group, alive, status: 0, last, stopped: false, text });
        self.next_number
    }
}

/// Runs the commands of a pipeline, each in a process; the last one's status.
pub fn run(shell: &mut Shell, commands: &[Command], item: &Item) -> u8 {
    let mut input = None;
    let mut group = 0;
    let mut started = Vec::new();
    for (index, command) in commands.iter().enumerate() {
        let is_last = index + 1 == commands.len();
        let pipe = if is_last { None } else { sys::pipe(O_CLOEXEC).ok() };
        let output = pipe.map(|(_, write)| write);
        let child = sys::fork();
        match child {
            Ok(0) => {
                let status = child_runs(shell, command, group, input, output, item.background);
                sys::exit(i32::from(status));
            }
            Ok(pid) => {
                if group == 0 {
                    group = pid;
                }
                if shell.jobs.terminal.is_some() {
                    // The child does the same: whoever comes first.
                    let _ = sys::setpgid(pid, group);
                }
                started.push(pid);
            }
            Err(errno) => print(2, format_args!("sh: fork: {errno}\n")),
        }
        let ended = [input.take(), output];
        ended.into_iter().flatten().for_each(close);
        input = pipe.map(|(read, _)| read);
        if child.is_err() {
            break;
        }
    }
    input.into_iter().for_each(close);
    if started.is_empty() {
        return 1;
    }
    let number = shell.jobs.add(group, started, &item.text);
    if item.background {
        print(2, format_args!("[{number}] {group}\n"));
        return 0;
    }
    shell.jobs.give_terminal(group);
    shell.jobs.wait_for(group)
}

fn child_runs(
    shell: &mut Shell,
    command: &Command,
    group: Pid,
    input: Option<Fd>,
    output: Option<Fd>,
    background: bool,
) -> u8 {
    if shell.jobs.terminal.is_some() {
        let _ = sys::setpgid(0, group);
        if !background {
            shell.jobs.give_terminal(sys::getpgid(0).unwrap_or(0));
        }
        for signal in UNHEARD {
            let _ = sys::ignore_signal(signal, false);
        }
    }
    for (from, to) in [(input, 0), (output, 1)] {
        if let Some(from) = from
            && let Err(errno) = sys::dup3(from, to, 0)
        {
            print(2, format_args!("sh: {errno}\n"));
            return 1;
        }
    }
    if let Err(reason) = redirect(command) {
        print(2, format_args!("sh: {reason}\n"));
        return 1;
    }
    shell.variables.extend(command.assignments.iter().cloned());
    if let Some(status) = builtin::in_a_child(shell, command) {
        return status;
    }
    match command.words.first() {
        Some(name) => execute(shell, name, &command.words),
        None => 0,
    }
}

fn redirect(command: &Command) -> Result<(), String> {
    for (fd, kind, target) in &command.redirections {
        let failed = |errno: Errno| format!("{target}: {errno}");
        let from = match kind {
            RedirectionKind::Duplicate => {
                let from = target.parse().map_err(|_| format!("{target}: not a descriptor"))?;
                if from != *fd {
                    sys::dup3(from, *fd, 0).map_err(failed)?;
                }
                continue;
            }
            RedirectionKind::Read => O_RDONLY,
            RedirectionKind::Write => O_WRONLY | O_CREAT | O_TRUNC,
            RedirectionKind::Append => O_WRONLY | O_CREAT | O_APPEND,
        };
        let path = CString::new(target.as_str()).map_err(|_| failed(Errno::EINVAL))?;
        let opened = sys::openat(AT_FDCWD, &path, from, 0o666).map_err(failed)?;
        if opened != *fd {
            sys::dup3(opened, *fd, 0).map_err(failed)?;
            let _ = sys::close(opened);
        }
    }
    Ok(())
}

fn close(fd: Fd) {
    // It was open.
    let _ = sys::close(fd);
}

/// Becomes the program; returns only with the status of a failure.
fn execute(shell: &Shell, name: &str, words: &[String]) -> u8 {
    let c_string = |text: &String| CString::new(text.as_str()).ok();
    let args: Vec<_> = words.iter().filter_map(c_string).collect();
    let env: Vec<_> =
        shell.variables.iter().filter_map(|(name, value)| CString::new(format!("{name}={value}")).ok()).collect();
    let mut outcome = Errno::ENOENT;
    let path = shell.variables.get("PATH").map_or("", String::as_str);
    let directories = if name.contains('/') { "" } else { path };
    for directory in directories.split(':') {
        let candidate = if directory.is_empty() { String::from(name) } else { format!("{directory}/{name}") };
        let Ok(candidate) = CString::new(candidate) else { break };
        match sys::execve_lists(&candidate, &args, &env) {
            Errno::ENOENT | Errno::ENOTDIR => {}
            errno => outcome = errno,
        }
    }
    match outcome {
        Errno::ENOENT => {
            print(2, format_args!("sh: {name}: not found\n"));
            NOT_FOUND
        }
        errno => {
            print(2, format_args!("sh: {name}: {errno}\n"));
            NOT_RUNNABLE
        }
    }
}
