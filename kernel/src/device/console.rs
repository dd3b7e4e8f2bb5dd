//! The console: bytes out as they are; bytes in by lines, with echo and erasing (a terminal in canonical mode).

use crate::{
    cgroup::MemoryGroup,
    fs::{
        FileObject, Readiness,
        io::{Sink, Source, moved},
    },
    sched::WaitQueue,
};
use alloc::{collections::VecDeque, vec::Vec};
use core::task::{Context, Poll};
use veridian_containers::abi::Errno;
use veridian_hal::{console, sync::SpinLock};

/// The longest line, its end included (MAX_CANON is no less).
const LINE_MAX: usize = 4096;
/// Lines that wait for a reader, at most; more input is refused with a bell.
const LINES_MAX: usize = 64;
/// Output goes out in pieces of this many bytes.
const PIECE_BYTES: usize = 256;

const END_OF_FILE: u8 = 4;
const BELL: u8 = 7;
const BACKSPACE: u8 = 8;
const KILL_LINE: u8 = 21;
const DELETE: u8 = 127;

#[derive(Debug)]
struct Input {
    /// The line that is being typed.
    typing: Vec<u8>,
    /// Lines that can be read; an empty one is an end of file.
    lines: VecDeque<Vec<u8>>,
}

static INPUT: SpinLock<Input> = SpinLock::new(Input { typing: Vec::new(), lines: VecDeque::new() });
static READERS: WaitQueue = WaitQueue::new();

/// Takes the bytes that have arrived. Called when hal raises [`veridian_hal::cpu::Events::CONSOLE`].
pub fn received() {
    let mut finished = false;
    {
        let mut input = INPUT.lock();
        while let Some(byte) = console::read_byte() {
            finished |= input.accept(byte, console::write_bytes);
        }
    }
    if finished {
        READERS.wake_all();
    }
}

impl Input {
    /// Takes a byte from the keyboard; tells whether a line can be read now that could not before.
    fn accept(&mut self, byte: u8, echo: impl Fn(&[u8])) -> bool {
        match byte {
            b'\r' | b'\n' => {
                if self.lines.len() == LINES_MAX {
                    echo(&[BELL]);
                    return false;
                }
                echo(b"\r\n");
                self.typing.push(b'\n');
                self.finish()
            }
            END_OF_FILE if self.lines.len() < LINES_MAX => self.finish(),
            BACKSPACE | DELETE => {
                if self.typing.pop().is_some() {
                    echo(b"\x08 \x08");
                }
                false
            }
            KILL_LINE => {
                core::mem::take(&mut self.typing).iter().for_each(|_| echo(b"\x08 \x08"));
                false
            }
            _ if self.typing.len() + 1 >= LINE_MAX => {
                echo(&[BELL]);
                false
            }
            _ => {
                echo(&[byte]);
                self.typing.push(byte);
                false
            }
        }
    }

    fn finish(&mut self) -> bool {
        self.lines.push_back(core::mem::take(&mut self.typing));
        true
    }

    /// Reads from the first line; never past its end.
    fn read(&mut self, sink: &mut dyn Sink) -> Option<Result<usize, Errno>> {
        let line = self.lines.front_mut()?;
        let before = sink.remaining();
        let result = sink.put(&line[..line.len().min(before)]);
        let done = before - sink.remaining();
        line.drain(..done);
        if line.is_empty() {
            self.lines.pop_front();
        }
        Some(moved(done, result))
    }
}

/// The console as an open file.
#[derive(Debug)]
pub struct Console;

impl FileObject for Console {
    fn poll_read(&self, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        if sink.remaining() == 0 {
            return Poll::Ready(Ok(0));
        }
        let mut input = INPUT.lock();
        match input.read(sink) {
            Some(result) => Poll::Ready(result),
            None => {
                READERS.register(cx);
                Poll::Pending
            }
        }
    }

    fn poll_write(&self, _: &mut Context<'_>, source: &mut dyn Source, _: &MemoryGroup) -> Poll<Result<usize, Errno>> {
        let before = source.remaining();
        let mut piece = [0; PIECE_BYTES];
        while source.remaining() > 0 {
            let length = source.remaining();
            let length = length.min(PIECE_BYTES);
            let left = source.remaining();
            let result = source.take(&mut piece[..length]);
            console::write_bytes(&piece[..left - source.remaining()]);
            if result.is_err() {
                return Poll::Ready(moved(before - source.remaining(), result));
            }
        }
        Poll::Ready(Ok(before))
    }

    fn poll_ready(&self, cx: &mut Context<'_>, interest: Readiness) -> Readiness {
        let input = INPUT.lock();
        let mut ready = Readiness::WRITABLE;
        if !input.lines.is_empty() {
            ready |= Readiness::READABLE;
        }
        if !ready.intersects(interest) {
            READERS.register(cx);
        }
        ready
    }

    fn readable_bytes(&self) -> Option<usize> {
        Some(INPUT.lock().lines.front().map_or(0, Vec::len))
    }

    fn is_terminal(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[u8]) -> Input {
        let mut input = Input { typing: Vec::new(), lines: VecDeque::new() };
        for &key in keys {
            input.accept(key, |_| {});
        }
        input
    }

    #[test]
    fn a_line_is_read_once_it_is_finished_and_not_past_its_end() {
        assert!(typed(b"abc").lines.is_empty());
        let mut input = typed(b"abX\x7fc\rnext\n");
        let mut bytes = [0; 16];
        assert_eq!(input.read(&mut &mut bytes[..2]), Some(Ok(2)));
        assert_eq!(input.read(&mut &mut bytes[2..]), Some(Ok(2)));
        assert_eq!(&bytes[..4], b"abc\n");
        assert_eq!(input.read(&mut &mut bytes[..]), Some(Ok(5)));
        assert_eq!(input.read(&mut &mut bytes[..]), None);
    }

    #[test]
    fn end_of_file_is_a_read_of_nothing() {
        let mut input = typed(b"\x04");
        let mut bytes = [0; 4];
        assert_eq!(input.read(&mut &mut bytes[..]), Some(Ok(0)));
        let mut input = typed(b"ab\x15c\x04");
        assert_eq!(input.read(&mut &mut bytes[..]), Some(Ok(1)));
        assert_eq!(input.read(&mut &mut bytes[..]), None);
    }

    #[test]
    fn input_that_nobody_reads_is_bounded() {
        let input = typed(&[b'x'; 3 * LINE_MAX]);
        assert!(input.typing.len() < LINE_MAX);
        let input = typed(&[b'\n'; 3 * LINES_MAX]);
        assert_eq!(input.lines.len(), LINES_MAX);
    }
}
