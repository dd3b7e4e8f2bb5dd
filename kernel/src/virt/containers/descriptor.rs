//! A container's file descriptor: it can be polled (readable once the container has stopped), passed on and closed.

use super::Container;
use crate::{
    boot,
    fs::{File, FileObject, OpenFlags, Readiness},
    sched,
    task::Thread,
};
use alloc::sync::Arc;
use core::task::Context;
use veridian_containers::abi::{CreateFlags, DeleteFlags, Errno};

/// What stands behind the descriptor. Its drop is the last close.
#[derive(Debug)]
struct Descriptor(Arc<Container>);

impl FileObject for Descriptor {
    fn poll_ready(&self, cx: &mut Context<'_>, interest: Readiness) -> Readiness {
        if interest.intersects(Readiness::READABLE) {
            boot::engine().platform().exits().register(cx);
        }
        if self.0.exit().is_some() { Readiness::READABLE } else { Readiness::empty() }
    }
}

impl Drop for Descriptor {
    /// With KILL_ON_CLOSE the container goes too: nobody could delete it any more.
    fn drop(&mut self) {
        let container = self.0.clone();
        if !container.flags().contains(CreateFlags::KILL_ON_CLOSE) {
            return;
        }
        boot::engine().closed(&container);
        sched::spawn(async move {
            // The only refusal is that somebody deletes it already.
            let _ = boot::engine().delete(&container, DeleteFlags::FORCE).await;
        });
    }
}

/// A new descriptor of the caller for `container`, closed on exec; EMFILE.
pub fn descriptor_for(thread: &Thread, container: &Arc<Container>) -> Result<usize, Errno> {
    let who = thread.credentials();
    let object = Arc::new(Descriptor(container.clone()));
    let file = File::of_object(object, OpenFlags::empty(), who.euid, who.egid)?;
    let descriptor = thread.with_files(|files| files.insert(file, true))?;
    Ok(descriptor as usize)
}

/// The container of a descriptor: EBADF when it is not open, EINVAL when it is another kind of file.
pub fn container_of(thread: &Thread, descriptor: i32) -> Result<Arc<Container>, Errno> {
    let file = thread.with_files(|files| files.get(descriptor))?;
    file.object::<Descriptor>().map(|descriptor| descriptor.0.clone()).ok_or(Errno::EINVAL)
}
