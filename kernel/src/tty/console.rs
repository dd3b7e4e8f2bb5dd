//! The machine's console as a terminal.

use super::{
    Terminal, control,
    session::{self, Controlling},
    terminal::Output,
};
use crate::{
    cgroup::MemoryGroup,
    device,
    fs::{
        Attempt, DeviceNumber, FileObject, OpenFlags, Readiness,
        io::{Sink, Source},
    },
    task::Thread,
};
use alloc::sync::Arc;
use core::task::{Context, Poll};
use veridian_containers::abi::Errno;
use veridian_hal::{UserAddr, console, sync::Once};

/// The console as an open file: one for all, so that it stays the controlling terminal while anybody has it.
#[derive(Debug)]
pub struct Console(Terminal);

/// The one console.
pub fn open() -> Arc<Console> {
    static CONSOLE: Once<Arc<Console>> = Once::new();
    CONSOLE.call_once(|| Arc::new(Console(Terminal::new(Output::Console)))).clone()
}

/// Takes the bytes that have arrived. Called when hal raises [`veridian_hal::cpu::Events::CONSOLE`].
pub fn received() {
    let console = open();
    // What has no room stays with the device for as long as that holds it.
    while console.0.receive(console::read_byte) > 0 {}
}

impl Controlling for Console {
    fn terminal(&self) -> &Terminal {
        &self.0
    }

    fn device(&self) -> DeviceNumber {
        device::CONSOLE
    }

    fn open(self: Arc<Self>) -> Result<Arc<dyn FileObject>, Errno> {
        Ok(self)
    }
}

impl FileObject for Console {
    fn opened(&self, thread: &Arc<Thread>, flags: OpenFlags) -> Result<Option<Arc<dyn FileObject>>, Errno> {
        let object: Arc<dyn Controlling> = open();
        session::control_by_open(thread, &object, flags);
        Ok(None)
    }

    fn stops(&self, thread: &Thread, attempt: Attempt) -> Result<bool, Errno> {
        control::stops(&self.0, thread, attempt)
    }

    fn ioctl(&self, thread: &Arc<Thread>, request: u32, argument: UserAddr) -> Result<usize, Errno> {
        let object: Arc<dyn Controlling> = open();
        control::ioctl(&object, thread, request, argument)
    }

    fn poll_read(&self, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        let result = self.0.poll_read(cx, sink);
        if result.is_ready() {
            received();
        }
        result
    }

    fn poll_write(&self, cx: &mut Context<'_>, source: &mut dyn Source, _: &MemoryGroup) -> Poll<Result<usize, Errno>> {
        self.0.poll_write(cx, source)
    }

    fn poll_ready(&self, cx: &mut Context<'_>, _: Readiness) -> Readiness {
        self.0.poll_ready(cx)
    }

    fn readable_bytes(&self) -> Option<usize> {
        Some(self.0.state.lock().discipline.readable_bytes())
    }
}
