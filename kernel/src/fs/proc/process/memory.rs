//! What a process's memory shows: its arguments, its environment, what is mapped.

use super::{Process, text};
use crate::{
    fs::{
        File, FileObject, Positioned, Readiness,
        io::{Sink, Source, moved},
        synthetic::Opener,
    },
    mm::{AddressSpace, Landmarks, PageSource, Residence, Stretch, filled},
};
use alloc::{
    string::String,
    sync::{Arc, Weak},
    vec,
    vec::Vec,
};
use core::{
    any::Any,
    fmt::{self, Write},
    ops::Range,
    task::Context,
};
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, UserAddr, mem::Protection};

/// The open file that `source` is; `None` for memory that is shared and no file.
pub(super) fn file(source: &Arc<dyn PageSource>) -> Option<&File> {
    let source: &dyn Any = &**source;
    source.downcast_ref()
}

/// The bytes of a part of the process's memory; nothing once it has ended.
fn bytes(process: &Process, part: impl FnOnce(&Landmarks) -> Range<usize>) -> Result<Vec<u8>, Errno> {
    let Some(space) = process.live()?.try_space() else { return Ok(Vec::new()) };
    let range = part(&space.landmarks());
    let mut bytes = filled(0, range.len())?;
    let (count, _) = space.read_up_to(UserAddr(range.start), &mut bytes);
    bytes.truncate(count);
    Ok(bytes)
}

/// `cmdline`: the arguments, each with its NUL. A program that has written over the last NUL shows its title instead,
/// up to the end of the environment (setproctitle(3)).
pub fn arguments(process: &Process, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut length = 0;
    let mut bytes = bytes(process, |landmarks| {
        length = landmarks.arguments.len();
        landmarks.arguments.start..landmarks.environment.end.max(landmarks.arguments.end)
    })?;
    if bytes.get(length.wrapping_sub(1)).is_none_or(|&last| last == 0) {
        bytes.truncate(length);
    } else {
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        bytes.truncate(end);
    }
    Ok(bytes)
}

/// `environ`.
pub fn environment(process: &Process, _: &Opener) -> Result<Vec<u8>, Errno> {
    bytes(process, |landmarks| landmarks.environment.clone())
}

/// `auxv`.
pub fn auxiliary(process: &Process, _: &Opener) -> Result<Vec<u8>, Errno> {
    bytes(process, |landmarks| landmarks.auxiliary.clone())
}

/// `mem`: the memory itself, by its addresses.
pub fn memory(process: &Process) -> Result<Arc<dyn FileObject>, Errno> {
    let space = process.live()?.try_space().ok_or(Errno::ESRCH)?;
    Ok(Arc::new(Memory(Arc::downgrade(&space))))
}

/// The memory of the program that ran when it was opened; there is nothing in it once that is gone. What the program may
/// not read or write is not there for others either.
#[derive(Debug)]
struct Memory(Weak<AddressSpace>);

/// Bytes that are copied at once, and in one call.
const CHUNK: usize = 1024;
const COPIED_MAX: usize = 1 << 20;

impl Positioned for Memory {
    fn read_at(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize, Errno> {
        let Some(space) = self.0.upgrade() else { return Ok(0) };
        let (mut done, mut chunk) = (0, [0; CHUNK]);
        let result = loop {
            let step = sink.remaining().min(CHUNK);
            if step == 0 || done >= COPIED_MAX {
                break Ok(());
            }
            let at = UserAddr((offset as usize).wrapping_add(done));
            let (count, there) = space.read_up_to(at, &mut chunk[..step]);
            let before = sink.remaining();
            let put = sink.put(&chunk[..count]);
            done += before - sink.remaining();
            if let Err(errno) = put.and(there.map_err(|_| Errno::EIO)) {
                break Err(errno);
            }
        };
        moved(done, result)
    }

    fn write_at(&self, offset: u64, source: &mut dyn Source) -> Result<usize, Errno> {
        let Some(space) = self.0.upgrade() else { return Ok(0) };
        let (mut done, mut chunk) = (0, [0; CHUNK]);
        let result = loop {
            let before = source.remaining();
            let step = before.min(CHUNK);
            if step == 0 || done >= COPIED_MAX {
                break Ok(());
            }
            let taken = source.take(&mut chunk[..step]);
            let at = UserAddr((offset as usize).wrapping_add(done));
            let (count, there) = space.write_up_to(at, &chunk[..before - source.remaining()]);
            done += count;
            if let Err(errno) = there.map_err(|_| Errno::EIO).and(taken) {
                break Err(errno);
            }
        };
        moved(done, result)
    }
}

impl FileObject for Memory {
    fn positioned(&self) -> Option<&dyn Positioned> {
        Some(self)
    }

    fn poll_ready(&self, _: &mut Context<'_>, _: Readiness) -> Readiness {
        Readiness::READABLE | Readiness::WRITABLE
    }
}

/// `maps`.
pub fn maps(process: &Process, opener: &Opener) -> Result<Vec<u8>, Errno> {
    told_maps(process, opener, |_, _, _| Ok(()))
}

/// `smaps`: as `maps`, and behind each line what of it is in memory. What is nowhere else is dirty.
pub fn detailed_maps(process: &Process, opener: &Opener) -> Result<Vec<u8>, Errno> {
    told_maps(process, opener, |to, stretch, residence| {
        let line = |to: &mut String, name: &str, bytes: usize| writeln!(to, "{name:<16}{:8} kB", bytes / 1024);
        line(to, "Size:", stretch.range.len())?;
        line(to, "KernelPageSize:", PAGE_SIZE)?;
        line(to, "MMUPageSize:", PAGE_SIZE)?;
        residence_lines(to, residence)
    })
}

/// `smaps_rollup`: the sums of `smaps`.
pub fn summed_maps(process: &Process, _: &Opener) -> Result<Vec<u8>, Errno> {
    let Some(space) = process.live()?.try_space() else { return Ok(Vec::new()) };
    let stretches = space.stretches();
    let start = stretches.first().map_or(0, |first| first.range.start);
    let end = stretches.last().map_or(0, |last| last.range.end);
    let mut sum = Residence::default();
    space.residences().into_iter().for_each(|residence| sum += residence);
    Ok(text(|to| {
        writeln!(to, "{start:08x}-{end:08x} ---p 00000000 00:00 0                                  [rollup]")?;
        residence_lines(to, &sum)
    }))
}

fn residence_lines(to: &mut String, residence: &Residence) -> fmt::Result {
    let private = residence.resident - residence.shared;
    let private_dirty = residence.anonymous.min(private);
    let shared_dirty = residence.anonymous - private_dirty;
    let lines = [
        ("Rss:", residence.resident),
        ("Pss:", residence.proportional),
        ("Shared_Clean:", residence.shared - shared_dirty),
        ("Shared_Dirty:", shared_dirty),
        ("Private_Clean:", private - private_dirty),
        ("Private_Dirty:", private_dirty),
        ("Anonymous:", residence.anonymous),
        ("Swap:", 0),
        ("SwapPss:", 0),
        ("Locked:", 0),
    ];
    lines.iter().try_for_each(|(name, bytes)| writeln!(to, "{name:<16}{:8} kB", bytes / 1024))
}

/// A line for each stretch, and what `more` tells of it.
fn told_maps(
    process: &Process,
    opener: &Opener,
    more: impl Fn(&mut String, &Stretch, &Residence) -> fmt::Result,
) -> Result<Vec<u8>, Errno> {
    let Some(space) = process.live()?.try_space() else { return Ok(Vec::new()) };
    let (heap, landmarks) = (space.heap(), space.landmarks());
    let viewer = opener.thread.upgrade().and_then(|thread| thread.try_with_fs(|fs| fs.clone()));
    let mut lines = Vec::new();
    for (stretch, residence) in space.stretches().into_iter().zip(space.residences()) {
        let file = stretch.source.as_ref().and_then(|(source, first)| Some((file(source)?, *first)));
        let place = file.and_then(|(file, first)| Some((file, file.location()?, first)));
        let (offset, device, inode) = place.map_or((0, 0, 0), |(_, location, first)| {
            let inode = location.inode();
            (first * PAGE_SIZE as u64, inode.superblock().device(), inode.number())
        });
        let name = match (place, &viewer) {
            (Some((_, location, _)), Some(viewer)) => viewer.describe(location),
            (Some(_), None) => Vec::new(),
            (None, _) => name(&stretch, &heap, &landmarks).to_vec(),
        };
        let start = lines.len();
        lines.extend(text(|to| head(to, &stretch, offset, device, inode)));
        if !name.is_empty() {
            // The name stands in column 73, after all that can come before it.
            lines.resize((start + 73).max(lines.len() + 1), b' ');
            lines.extend(name.iter().flat_map(|&byte| if byte == b'\n' { b"\\012".to_vec() } else { vec![byte] }));
        } else {
            lines.push(b' ');
        }
        lines.push(b'\n');
        lines.extend(text(|to| more(to, &stretch, &residence)));
    }
    Ok(lines)
}

fn head(to: &mut String, stretch: &Stretch, offset: u64, device: u64, inode: u64) -> fmt::Result {
    let may = |right, letter| if stretch.protection.contains(right) { letter } else { '-' };
    let device = crate::fs::DeviceNumber::from_bits(device);
    write!(
        to,
        "{:08x}-{:08x} {}{}{}{} {:08x} {:02x}:{:02x} {}",
        stretch.range.start,
        stretch.range.end,
        may(Protection::READ, 'r'),
        may(Protection::WRITE, 'w'),
        may(Protection::EXECUTE, 'x'),
        if stretch.shared { 's' } else { 'p' },
        offset,
        device.major,
        device.minor,
        inode,
    )
}

/// What is mapped where there is no file.
fn name(stretch: &Stretch, heap: &Range<usize>, landmarks: &Landmarks) -> &'static [u8] {
    if stretch.range.start == landmarks.vdso.0 {
        b"[vdso]"
    } else if stretch.source.is_some() {
        b"/dev/zero (deleted)"
    } else if stretch.range.contains(&landmarks.stack) {
        b"[stack]"
    } else if !heap.is_empty() && stretch.range.start < heap.end && heap.start < stretch.range.end {
        b"[heap]"
    } else {
        b""
    }
}

/// Sizes in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    pub mapped: usize,
    pub resident: usize,
    pub peak_resident: usize,
    /// Mapped from files or shared.
    pub shared: usize,
    /// Private and writable, the stack aside.
    pub data: usize,
    pub stack: usize,
    pub code: usize,
}

impl Sizes {
    pub fn of(space: &AddressSpace) -> Self {
        let landmarks = space.landmarks();
        let mut sizes = Self {
            mapped: space.mapped_bytes(),
            resident: space.resident_bytes(),
            peak_resident: space.peak_resident_bytes(),
            code: landmarks.code.len().next_multiple_of(PAGE_SIZE),
            ..Self::default()
        };
        for stretch in space.stretches() {
            let bytes = stretch.range.len();
            if stretch.grows_down {
                sizes.stack += bytes;
            } else if stretch.protection.contains(Protection::WRITE) && !stretch.shared {
                sizes.data += bytes;
            }
        }
        sizes.shared = space.residences().iter().map(|residence| residence.resident - residence.anonymous).sum();
        sizes
    }
}

/// `statm`, in pages: size, resident, resident from files and shared memory, code, 0, data and stack, 0.
pub fn statm(process: &Process, _: &Opener) -> Result<Vec<u8>, Errno> {
    let sizes = process.live()?.try_space().map(|space| Sizes::of(&space)).unwrap_or_default();
    let Sizes { mapped, resident, shared, data, stack, code, .. } = sizes;
    let [mapped, resident, shared, code, data] = [mapped, resident, shared, code, data + stack].map(|n| n / PAGE_SIZE);
    Ok(text(|to| writeln!(to, "{mapped} {resident} {shared} {code} 0 {data} 0")))
}
