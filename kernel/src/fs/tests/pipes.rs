use super::*;
use crate::fs::pipe::{ATOMIC_BYTES, CAPACITY};
use alloc::task::Wake;
use core::sync::atomic::{AtomicUsize, Ordering};

#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn pipe(flags: OpenFlags) -> (Arc<File>, Arc<File>) {
    File::pipe(flags, 0, 0).expect("a pipe")
}

#[test]
fn a_pipe_gives_back_what_was_written_and_then_its_end() {
    let world = World::new();
    let (read, write) = pipe(OpenFlags::empty());
    let mut bytes = [0; 16];
    assert!(read.poll_read(&mut task(), &mut &mut bytes[..]).is_pending());
    assert_eq!(world.write_to(&write, b"hello"), Ok(5));
    assert_eq!(read_from(&read, &mut bytes[..2]), Ok(2));
    assert_eq!(read_from(&read, &mut bytes[2..]), Ok(3));
    assert_eq!(&bytes[..5], b"hello");
    drop(write);
    assert_eq!(read_from(&read, &mut bytes), Ok(0));
    assert_eq!(read.inode().status().file_type, FileType::Fifo);
    assert_eq!(read.seek(Whence::Set, 0), Err(Errno::ESPIPE));
}

#[test]
fn a_full_pipe_waits_and_a_small_write_is_whole_or_not_at_all() {
    let world = World::new();
    let (read, write) = pipe(OpenFlags::NONBLOCK);
    assert_eq!(world.write_to(&write, &vec![1; CAPACITY + 1]), Ok(CAPACITY));
    assert_eq!(world.write_to(&write, b"x"), Err(Errno::EAGAIN));
    let mut bytes = vec![0; ATOMIC_BYTES - 1];
    read_from(&read, &mut bytes).expect("bytes");
    assert_eq!(world.write_to(&write, &[2; ATOMIC_BYTES]), Err(Errno::EAGAIN));
    assert_eq!(world.write_to(&write, &[2; ATOMIC_BYTES - 1]), Ok(ATOMIC_BYTES - 1));
}

#[test]
fn a_pipe_without_readers_is_broken() {
    let world = World::new();
    let (read, write) = pipe(OpenFlags::empty());
    drop(read);
    assert_eq!(world.write_to(&write, b"x"), Err(Errno::EPIPE));
    assert!(write.poll_ready(&mut task(), Readiness::OUT).contains(Readiness::ERR));
}

#[test]
fn who_waits_is_woken_by_the_other_end() {
    let world = World::new();
    let (read, write) = pipe(OpenFlags::empty());
    let counter = Arc::new(Counter::default());
    let waker = Waker::from(counter.clone());
    let mut cx = TaskContext::from_waker(&waker);
    assert_eq!(read.poll_ready(&mut cx, Readiness::IN), Readiness::empty());
    world.write_to(&write, b"x").expect("written");
    assert_eq!(counter.0.load(Ordering::Relaxed), 1);
    assert!(read.poll_ready(&mut cx, Readiness::IN).contains(Readiness::IN));
    drop(write);
    assert!(read.poll_ready(&mut cx, Readiness::empty()).contains(Readiness::HUP));
}

#[test]
fn a_frame_that_was_read_is_filled_again_by_who_pays_for_it_alone() {
    let (world, other) = (World::new(), World::new());
    let before = [&world, &other].map(|world| world.memory().current_bytes());
    let charged = |at: usize| [&world, &other][at].memory().current_bytes() - before[at];
    let (read, write) = pipe(OpenFlags::empty());
    let mut bytes = [0; 16];
    for text in [&b"longer"[..], b"short"] {
        world.write_to(&write, text).expect("written");
        assert_eq!((read_from(&read, &mut bytes), &bytes[..text.len()]), (Ok(text.len()), text));
        assert_eq!(charged(0), 4096);
    }
    other.write_to(&write, b"x").expect("written");
    assert_eq!((charged(0), charged(1)), (0, 4096));
    assert_eq!((read_from(&read, &mut bytes), &bytes[..1]), (Ok(1), &b"x"[..]));
    drop((read, write));
    assert_eq!((charged(0), charged(1)), (0, 0));
}

#[test]
fn what_is_in_a_pipe_is_charged_to_who_wrote_it_and_freed_with_it() {
    let world = World::new();
    let before = world.memory().current_bytes();
    let (read, write) = pipe(OpenFlags::empty());
    world.write_to(&write, &[1; 10_000]).expect("written");
    assert_eq!(world.memory().current_bytes() - before, 3 * 4096);
    drop((read, write));
    assert_eq!(world.memory().current_bytes(), before);
}

#[test]
fn a_fifo_waits_for_its_other_end() {
    let world = World::new();
    let none = DeviceNumber::new(0, 0);
    world.caller().mknod(&world.context.cwd, b"/fifo", FileType::Fifo, 0o666, none).expect("a fifo");
    let refused = world.open("/fifo", OpenFlags::WRONLY | OpenFlags::NONBLOCK);
    assert_eq!(refused.err(), Some(Errno::ENXIO));
    let read = world.open("/fifo", OpenFlags::empty()).expect("opening");
    assert!(read.poll_opened(&mut task()).is_pending());
    let write = world.open("/fifo", OpenFlags::WRONLY).expect("opening");
    assert!(read.poll_opened(&mut task()).is_ready() && write.poll_opened(&mut task()).is_ready());
    world.write_to(&write, b"through").expect("written");
    let mut bytes = [0; 7];
    assert_eq!(read_from(&read, &mut bytes), Ok(7));
    // A writer that came and went has opened the reader all the same.
    drop(read);
    drop(write);
    let read = world.open("/fifo", OpenFlags::empty()).expect("opening");
    drop(world.open("/fifo", OpenFlags::WRONLY).expect("opening"));
    assert!(read.poll_opened(&mut task()).is_ready());
    assert_eq!(read_from(&read, &mut bytes), Ok(0));
    // So has one that was there first, and is gone before the reader looks.
    drop(read);
    let write = world.open("/fifo", OpenFlags::WRONLY).expect("opening");
    let read = world.open("/fifo", OpenFlags::empty()).expect("opening");
    drop(write);
    assert!(read.poll_opened(&mut task()).is_ready());
}
