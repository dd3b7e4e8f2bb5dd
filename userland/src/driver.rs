//! What the probes share that make containers themselves: configurations, a whole life in one call, the list.

use core::fmt::Write;

use heapless::String;
use linux_raw_sys::general::{O_DIRECTORY, O_RDONLY};
use veridian_containers::Status;
use veridian_containers::abi::{CreateFlags, DeleteFlags, Errno, ExitFlags, ListEntry, WaitStatus};

use crate::sys::{self, Fd, Result};

/// A configuration text.
pub type Config = String<2048>;

/// What the kernel said when it refused a configuration.
pub type Message = String<512>;

/// The usual house: own root, pids, mounts and host name, with `/tmp` and `/dev`.
const HOUSE: &str = "root_path=rootfs\nnamespace=pid\nnamespace=mount\nnamespace=uts\nhostname=inside\n\
    mount=/tmp:tmpfs:tmpfs\nmount=/dev:dev:dev\n";

/// A configuration that runs a program with arguments in the usual house, and `more` lines.
pub fn config(more: &str, arguments: &[&str]) -> Config {
    let mut text = Config::new();
    text.push_str(HOUSE).expect("the configuration fits");
    text.push_str(more).expect("the configuration fits");
    for argument in arguments {
        writeln!(text, "process_arg={argument}").expect("the configuration fits");
    }
    text
}

/// The bundle directory.
pub fn bundle() -> Fd {
    sys::open(c"/bundle", O_RDONLY | O_DIRECTORY).expect("/bundle is a directory")
}

/// `container_create`, with the kernel's words when it fails.
#[expect(clippy::result_large_err, reason = "the message lies in it, without a heap")]
pub fn create(id: &str, config: &str, flags: CreateFlags) -> core::result::Result<Fd, (Errno, Message)> {
    let bundle = bundle();
    let mut buffer = [0; 512];
    let made = sys::container_create(config.as_bytes(), id.as_bytes(), bundle, flags, &mut buffer);
    sys::close(bundle).expect("the bundle closes");
    made.map_err(|(errno, len)| {
        let mut message = Message::new();
        for part in buffer[..len].utf8_chunks() {
            message.push_str(part.valid()).expect("the message fits");
        }
        (errno, message)
    })
}

/// As [`create`], of a configuration with a terminal: the master side too; ENOTTY where there is none.
pub fn create_with_terminal(id: &str, config: &str) -> Result<(Fd, Fd)> {
    let bundle = bundle();
    let flags = CreateFlags::empty();
    let made = sys::container_create_with_terminal(config.as_bytes(), id.as_bytes(), bundle, flags, &mut []);
    sys::close(bundle).expect("the bundle closes");
    let (container, terminal) = made.map_err(|(errno, _)| errno)?;
    Ok((container, terminal.ok_or(Errno::ENOTTY)?))
}

/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// How its process ended.
    pub status: WaitStatus,
    /// Whether it was killed for its memory.
    pub oom: bool,
    /// The most bytes it had.
    pub memory_peak: u64,
    /// The most tasks it had.
    pub tasks_peak: u64,
}

/// `container_wait`.
pub fn wait(container: Fd) -> Result<End> {
    let result = sys::container_wait(container)?;
    Ok(End {
        status: WaitStatus::decode(result.status).ok_or(Errno::EIO)?,
        oom: result.exit_flags().contains(ExitFlags::OOM_KILLED),
        memory_peak: result.memory_peak,
        tasks_peak: result.tasks_peak,
    })
}

/// `container_delete` and close.
pub fn delete(container: Fd) -> Result {
    sys::container_delete(container, DeleteFlags::empty())?;
    sys::close(container)
}

/// A whole life: create, start, wait, delete. A step that fails is printed.
pub fn run(id: &str, config: &str) -> Result<End> {
    let container = create(id, config, CreateFlags::empty()).map_err(|(errno, message)| {
        crate::println!("create {id}: {errno}: {message}");
        errno
    })?;
    sys::container_start(container)?;
    let end = wait(container)?;
    delete(container)?;
    Ok(end)
}

/// Visits every container in the list; how many there were.
pub fn list(mut visit: impl FnMut(&ListEntry)) -> Result<usize> {
    let mut count = 0;
    let mut cookie = 0;
    loop {
        let (next, entry) = sys::container_list(cookie)?;
        if next == 0 {
            return Ok(count);
        }
        visit(&entry);
        count += 1;
        cookie = next;
    }
}

/// How many containers there are.
pub fn count() -> Result<usize> {
    list(|_| ())
}

/// The state of the container with an id, from the list.
pub fn status(id: &str) -> Option<Status> {
    let mut found = None;
    list(|entry| {
        if sys::entry_id(entry) == id {
            found = Status::try_from(entry.status).ok();
        }
    })
    .ok()?;
    found
}
