//! A container's file descriptor: it can be polled (readable once the container has stopped), passed on and closed.

use super::{Container, process::Process};
use crate::{
    boot,
    fs::{File, FileObject, OpenFlags, Readiness},
    security::Capabilities,
    syscall::trace,
    task::Thread,
    tty::pty::Master,
};
use alloc::sync::Arc;
use core::{num::NonZeroU64, task::Context};
use veridian_containers::abi::{Errno, TRACE_REQUEST};
use veridian_hal::UserAddr;

/// What stands behind the descriptor. Its drop is the last close.
#[derive(Debug)]
struct Descriptor(Arc<Container>);

impl FileObject for Descriptor {
    fn poll_ready(&self, cx: &mut Context<'_>, interest: Readiness) -> Readiness {
        let asked = interest.intersects(Readiness::READABLE);
        let stopped = if asked { self.0.poll_stopped(cx).is_ready() } else { self.0.exit().is_some() };
        if stopped { Readiness::READABLE } else { Readiness::empty() }
    }

    fn ioctl(&self, thread: &Arc<Thread>, request: u32, argument: UserAddr) -> Result<usize, Errno> {
        if request != TRACE_REQUEST {
            return Err(Errno::ENOTTY);
        }
        if !thread.credentials().capable(Capabilities::SYS_ADMIN) {
            return Err(Errno::EPERM);
        }
        let key = NonZeroU64::new(self.0.key().cookie()).ok_or(Errno::EINVAL)?;
        trace::set(key, argument.0 != 0);
        Ok(0)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        boot::engine().closed(&self.0);
    }
}

/// A new descriptor of the caller for `container`, closed on exec; EMFILE.
pub fn descriptor_for(thread: &Thread, container: &Arc<Container>) -> Result<usize, Errno> {
    let who = thread.credentials();
    container.opened();
    let object = Arc::new(Descriptor(container.clone()));
    let file = File::of_object(object, OpenFlags::empty(), who.euid, who.egid)?;
    let descriptor = thread.with_files(|files| files.insert(file, true))?;
    Ok(descriptor as usize)
}

/// The first process of the container that a file stands for: ESRCH while it has none; `None` when it is another file.
pub fn process_of(file: &File) -> Option<Result<Arc<Thread>, Errno>> {
    let Descriptor(container) = file.object::<Descriptor>()?;
    Some(container.with_process(Process::thread).flatten().ok_or(Errno::ESRCH))
}

/// The master side of the terminal of a container's first process, for whoever asks first.
pub fn take_terminal(container: &Container) -> Option<Arc<Master>> {
    container.with_process(Process::take_terminal).flatten()
}

/// The container of a descriptor: EBADF when it is not open, EINVAL when it is another kind of file.
pub fn container_of(thread: &Thread, descriptor: i32) -> Result<Arc<Container>, Errno> {
    let file = thread.with_files(|files| files.get(descriptor))?;
    file.object::<Descriptor>().map(|descriptor| descriptor.0.clone()).ok_or(Errno::EINVAL)
}
