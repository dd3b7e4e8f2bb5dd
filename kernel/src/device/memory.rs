//! null, zero and full (mem(4)).

use crate::{
    cgroup::MemoryGroup,
    fs::{
        FileObject, Readiness,
        io::{Sink, Source},
    },
};
use core::task::{Context, Poll};
use veridian_containers::abi::Errno;

/// Takes everything, gives nothing.
#[derive(Debug)]
pub(super) struct Null;
/// Takes everything, gives zeros.
#[derive(Debug)]
pub(super) struct Zero;
/// Takes nothing, gives zeros.
#[derive(Debug)]
pub(super) struct Full;

const ALWAYS_READY: Readiness = Readiness::READABLE.union(Readiness::WRITABLE);

/// Takes all bytes of `source` without looking at them.
fn discard(source: &mut dyn Source) -> Poll<Result<usize, Errno>> {
    Poll::Ready(Ok(source.remaining()))
}

/// Zeros, at most this many at a time, so that a read ends before long.
const ZEROS_AT_ONCE: usize = 1 << 20;

fn zeros(sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
    let before = sink.remaining();
    let result = sink.put_zeros(before.min(ZEROS_AT_ONCE));
    Poll::Ready(crate::fs::io::moved(before - sink.remaining(), result))
}

impl FileObject for Null {
    fn is_atomic(&self) -> bool {
        true
    }

    fn poll_read(&self, _: &mut Context<'_>, _: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        Poll::Ready(Ok(0))
    }

    fn poll_write(&self, _: &mut Context<'_>, source: &mut dyn Source, _: &MemoryGroup) -> Poll<Result<usize, Errno>> {
        discard(source)
    }

    fn poll_ready(&self, _: &mut Context<'_>, _: Readiness) -> Readiness {
        ALWAYS_READY
    }

    fn ignores_offsets(&self) -> bool {
        true
    }
}

impl FileObject for Zero {
    fn is_atomic(&self) -> bool {
        true
    }

    fn poll_read(&self, _: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        zeros(sink)
    }

    fn poll_write(&self, _: &mut Context<'_>, source: &mut dyn Source, _: &MemoryGroup) -> Poll<Result<usize, Errno>> {
        discard(source)
    }

    fn poll_ready(&self, _: &mut Context<'_>, _: Readiness) -> Readiness {
        ALWAYS_READY
    }

    fn ignores_offsets(&self) -> bool {
        true
    }
}

impl FileObject for Full {
    fn poll_read(&self, _: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        zeros(sink)
    }

    fn poll_write(&self, _: &mut Context<'_>, _: &mut dyn Source, _: &MemoryGroup) -> Poll<Result<usize, Errno>> {
        Poll::Ready(Err(Errno::ENOSPC))
    }

    fn poll_ready(&self, _: &mut Context<'_>, _: Readiness) -> Readiness {
        ALWAYS_READY
    }

    fn ignores_offsets(&self) -> bool {
        true
    }
}
