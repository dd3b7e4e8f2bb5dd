//! The line discipline (N_TTY of Linux): bytes from the keyboard become lines with editing and echo, or signals; bytes
//! of programs get carriage returns. Pure: it knows no tasks and no devices.

use super::Termios;
use crate::fs::io::{Sink, moved};
use alloc::{collections::VecDeque, vec::Vec};
use linux_raw_sys::general as linux;
use veridian_containers::{Signal, abi::Errno};

/// Bytes of input that wait to be read, the line that is being typed included (N_TTY_BUF_SIZE).
pub(super) const INPUT_MAX: usize = 4096;
/// Columns from one tab stop to the next.
const TAB: usize = 8;

/// Takes the bytes that go to the screen.
pub(super) type Screen<'a> = dyn FnMut(&[u8]) + 'a;

/// One terminal's input and its place on the screen.
#[derive(Debug, Default)]
pub(super) struct Discipline {
    pub termios: Termios,
    /// The line that is being typed.
    typing: Vec<u8>,
    /// What can be read.
    ready: VecDeque<u8>,
    /// In canonical mode: lengths of the lines in `ready`; 0 is an end of file.
    lines: VecDeque<usize>,
    /// The next byte has no special meaning (VLNEXT).
    literal: bool,
    /// Output waits for VSTART.
    pub stopped: bool,
    /// Where the cursor is.
    column: usize,
    /// Where it was when the line that is being typed began.
    start_column: usize,
}

impl Discipline {
    /// Takes a byte from the keyboard; the signal that it stands for.
    pub fn accept(&mut self, byte: u8, screen: &mut Screen<'_>) -> Option<Signal> {
        let settings = self.termios;
        let mut byte = if settings.input(linux::ISTRIP) { byte & 0x7f } else { byte };
        if core::mem::take(&mut self.literal) {
            self.insert(byte, screen);
            return None;
        }
        if settings.local(linux::ISIG)
            && let Some(signal) = self.signal_of(byte)
        {
            self.stopped = false;
            self.echo(byte, screen);
            if !settings.local(linux::NOFLSH) {
                self.flush_input();
            }
            return Some(signal);
        }
        if settings.input(linux::IXON) {
            if settings.is(byte, linux::VSTART) || settings.is(byte, linux::VSTOP) {
                self.stopped = settings.is(byte, linux::VSTOP) && !settings.is(byte, linux::VSTART);
                return None;
            }
            self.stopped &= !settings.input(linux::IXANY);
        }
        match byte {
            b'\r' if settings.input(linux::IGNCR) => return None,
            b'\r' if settings.input(linux::ICRNL) => byte = b'\n',
            b'\n' if settings.input(linux::INLCR) => byte = b'\r',
            _ => {}
        }
        if !settings.is_canonical() || !self.edit(byte, screen) {
            self.insert(byte, screen);
        }
        None
    }

    fn signal_of(&self, byte: u8) -> Option<Signal> {
        [(linux::VINTR, Signal::SIGINT), (linux::VQUIT, Signal::SIGQUIT), (linux::VSUSP, Signal::SIGTSTP)]
            .into_iter()
            .find_map(|(index, signal)| self.termios.is(byte, index).then_some(signal))
    }

    /// Does what a special character of canonical mode asks; `false` if `byte` is none.
    fn edit(&mut self, byte: u8, screen: &mut Screen<'_>) -> bool {
        let settings = self.termios;
        let extended = settings.local(linux::IEXTEN);
        if byte == b'\n' || settings.is(byte, linux::VEOL) || extended && settings.is(byte, linux::VEOL2) {
            self.finish_line(Some(byte));
            if settings.local(linux::ECHO) || byte == b'\n' && settings.local(linux::ECHONL) {
                self.put(byte, screen);
            }
            self.start_column = self.column;
        } else if settings.is(byte, linux::VEOF) {
            self.finish_line(None);
        } else if settings.is(byte, linux::VERASE) {
            self.erase_character(screen);
        } else if settings.is(byte, linux::VKILL) {
            self.erase_line(screen);
        } else if extended && settings.is(byte, linux::VWERASE) {
            self.erase_word(screen);
        } else if extended && settings.is(byte, linux::VLNEXT) {
            self.literal = true;
            if settings.local(linux::ECHO) && settings.local(linux::ECHOCTL) {
                screen(b"^\x08");
            }
        } else if extended && settings.is(byte, linux::VREPRINT) {
            self.echo(byte, screen);
            self.put(b'\n', screen);
            self.start_column = self.column;
            let typed = self.typing.clone();
            typed.iter().for_each(|&byte| self.echo(byte, screen));
        } else {
            return false;
        }
        true
    }

    /// Adds a plain byte to what can be read, or to the line that is being typed.
    fn insert(&mut self, byte: u8, screen: &mut Screen<'_>) {
        let canonical = self.termios.is_canonical();
        // One place is kept for the end of the line.
        if self.waiting() + 1 >= INPUT_MAX {
            if self.termios.input(linux::IMAXBEL) {
                screen(b"\x07");
            }
            return;
        }
        if canonical {
            if self.typing.is_empty() {
                self.start_column = self.column;
            }
            self.typing.push(byte);
        } else {
            self.ready.push_back(byte);
        }
        self.echo(byte, screen);
    }

    fn finish_line(&mut self, end: Option<u8>) {
        // An end of line that finds no room at all is lost with its bell unheard; the line stays to be finished.
        if self.waiting() >= INPUT_MAX || self.lines.len() >= INPUT_MAX {
            return;
        }
        self.typing.extend(end);
        self.lines.push_back(self.typing.len());
        self.ready.extend(self.typing.drain(..));
    }

    fn erase_character(&mut self, screen: &mut Screen<'_>) {
        let Some(mut last) = self.typing.pop() else { return };
        // A character of UTF-8 goes whole.
        while self.termios.input(linux::IUTF8)
            && last & 0xc0 == 0x80
            && let Some(before) = self.typing.pop()
        {
            last = before;
        }
        if self.termios.local(linux::ECHO) {
            if self.termios.local(linux::ECHOE) {
                self.retreat(screen);
            } else {
                self.echo(self.termios.character(linux::VERASE), screen);
            }
        }
    }

    fn erase_word(&mut self, screen: &mut Screen<'_>) {
        let blank = |byte: &u8| byte.is_ascii_whitespace();
        let end = self.typing.iter().rposition(|byte| !blank(byte)).map_or(0, |at| at + 1);
        let start = self.typing[..end].iter().rposition(blank).map_or(0, |at| at + 1);
        self.typing.truncate(start);
        if self.termios.local(linux::ECHO) {
            self.retreat(screen);
        }
    }

    fn erase_line(&mut self, screen: &mut Screen<'_>) {
        self.typing.clear();
        let settings = self.termios;
        if !settings.local(linux::ECHO) {
            return;
        }
        if settings.local(linux::ECHOKE) && settings.local(linux::ECHOE) {
            self.retreat(screen);
        } else {
            self.echo(settings.character(linux::VKILL), screen);
            if settings.local(linux::ECHOK) {
                self.put(b'\n', screen);
            }
        }
    }

    /// Wipes the screen back to where the line that is being typed now ends.
    fn retreat(&mut self, screen: &mut Screen<'_>) {
        let mut end = self.start_column;
        for &byte in &self.typing {
            end = self.column_after(end, byte);
        }
        while self.column > end {
            screen(b"\x08 \x08");
            self.column -= 1;
        }
    }

    /// Where the cursor stands after the echo of `byte`.
    fn column_after(&self, column: usize, byte: u8) -> usize {
        match byte {
            b'\t' => (column / TAB + 1) * TAB,
            _ if byte.is_ascii_control() => column + 2 * usize::from(self.termios.local(linux::ECHOCTL)),
            _ if self.termios.input(linux::IUTF8) && byte & 0xc0 == 0x80 => column,
            _ => column + 1,
        }
    }

    /// Shows a byte that was typed.
    fn echo(&mut self, byte: u8, screen: &mut Screen<'_>) {
        if !self.termios.local(linux::ECHO) {
            return;
        }
        if byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n') && self.termios.local(linux::ECHOCTL) {
            screen(&[b'^', byte ^ 0x40]);
            self.column += 2;
        } else {
            self.put(byte, screen);
        }
    }

    /// Sends a byte of a program, or of an echo, to the screen.
    pub fn put(&mut self, byte: u8, screen: &mut Screen<'_>) {
        let settings = self.termios;
        match byte {
            b'\n' if settings.output(linux::ONLCR) => {
                self.column = 0;
                screen(b"\r\n");
            }
            b'\n' => {
                if settings.output(linux::ONLRET) {
                    self.column = 0;
                }
                screen(b"\n");
            }
            b'\r' if settings.output(linux::OCRNL) => screen(b"\n"),
            b'\r' if settings.output(linux::ONOCR) && self.column == 0 => {}
            b'\r' => {
                self.column = 0;
                screen(b"\r");
            }
            b'\t' => {
                let next = (self.column / TAB + 1) * TAB;
                if settings.output(linux::TABDLY) && settings.output & linux::TABDLY == linux::XTABS {
                    screen(&[b' '; TAB][..next - self.column]);
                } else {
                    screen(b"\t");
                }
                self.column = next;
            }
            8 => {
                self.column = self.column.saturating_sub(1);
                screen(&[byte]);
            }
            _ => {
                let is_continuation = settings.input(linux::IUTF8) && byte & 0xc0 == 0x80;
                if !byte.is_ascii_control() && !is_continuation {
                    self.column += 1;
                }
                screen(&[byte]);
            }
        }
    }

    /// Bytes that a read would give at most.
    pub fn readable_bytes(&self) -> usize {
        if self.termios.is_canonical() { self.lines.front().copied().unwrap_or(0) } else { self.ready.len() }
    }

    /// Whether a read would not wait: for a line, or for `least` bytes.
    pub fn is_readable(&self, least: usize) -> bool {
        if self.termios.is_canonical() { !self.lines.is_empty() } else { self.ready.len() >= least.max(1) }
    }

    /// Reads of the first line, never past its end; or, without lines, what there is. `None` when nothing can be read.
    pub fn read(&mut self, sink: &mut dyn Sink) -> Option<Result<usize, Errno>> {
        let canonical = self.termios.is_canonical();
        let most = if canonical { *self.lines.front()? } else { self.ready.len() };
        if !canonical && most == 0 {
            return None;
        }
        let count = most.min(sink.remaining());
        let before = sink.remaining();
        let (front, back) = self.ready.as_slices();
        let first = &front[..count.min(front.len())];
        let result = sink.put(first).and_then(|()| sink.put(&back[..count - first.len()]));
        let done = before - sink.remaining();
        self.ready.drain(..done);
        if canonical {
            if done == most {
                self.lines.pop_front();
            } else if let Some(line) = self.lines.front_mut() {
                *line -= done;
            }
        }
        Some(moved(done, result))
    }

    /// Changes the settings. What was typed can be read by the new rules.
    pub fn set(&mut self, termios: Termios) {
        let was_canonical = core::mem::replace(&mut self.termios, termios).is_canonical();
        if was_canonical && !termios.is_canonical() {
            self.lines.clear();
            self.ready.extend(self.typing.drain(..));
        } else if !was_canonical && termios.is_canonical() && !self.ready.is_empty() {
            self.lines.push_back(self.ready.len());
        }
        if !termios.input(linux::IXON) {
            self.stopped = false;
        }
    }

    /// Forgets all input.
    pub fn flush_input(&mut self) {
        self.typing.clear();
        self.ready.clear();
        self.lines.clear();
    }

    /// Whether more input has a place. A full line that is not finished yet must be let go on: its end is to come.
    pub fn has_room(&self) -> bool {
        self.waiting() < INPUT_MAX / 2 || self.termios.is_canonical() && self.lines.is_empty()
    }

    fn waiting(&self) -> usize {
        self.typing.len() + self.ready.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    struct Typed {
        discipline: Discipline,
        screen: Vec<u8>,
        signals: Vec<Signal>,
    }

    impl Typed {
        fn with(change: impl FnOnce(&mut Termios)) -> Self {
            let mut discipline = Discipline::default();
            change(&mut discipline.termios);
            Self { discipline, screen: Vec::new(), signals: Vec::new() }
        }

        fn new() -> Self {
            Self::with(|_| {})
        }

        fn keys(mut self, keys: &[u8]) -> Self {
            for &key in keys {
                let screen = &mut self.screen;
                let signal = self.discipline.accept(key, &mut |bytes| screen.extend_from_slice(bytes));
                self.signals.extend(signal);
            }
            self
        }

        fn read(&mut self, most: usize) -> Option<Vec<u8>> {
            let mut bytes = alloc::vec![0; most];
            let count = self.discipline.read(&mut &mut bytes[..])?.expect("memory of the test");
            bytes.truncate(count);
            Some(bytes)
        }

        fn screen(&self) -> String {
            String::from_utf8_lossy(&self.screen).into_owned()
        }
    }

    #[test]
    fn a_line_is_read_once_it_is_finished_and_not_past_its_end() {
        let mut typed = Typed::new().keys(b"abc");
        assert_eq!(typed.read(9), None);
        typed = typed.keys(b"X\x7fd\rnext\n");
        assert_eq!(typed.read(2).as_deref(), Some(&b"ab"[..]));
        assert_eq!(typed.read(9).as_deref(), Some(&b"cd\n"[..]));
        assert_eq!(typed.read(9).as_deref(), Some(&b"next\n"[..]));
        assert_eq!(typed.read(9), None);
        assert_eq!(typed.screen(), "abcX\x08 \x08d\r\nnext\r\n");
    }

    #[test]
    fn end_of_file_is_a_read_of_nothing_and_ends_a_line_without_a_newline() {
        let mut typed = Typed::new().keys(b"\x04ab\x04");
        assert_eq!(typed.read(4).as_deref(), Some(&b""[..]));
        assert_eq!(typed.read(2).as_deref(), Some(&b"ab"[..]));
        assert_eq!(typed.read(4), None);
    }

    #[test]
    fn words_lines_tabs_and_control_characters_are_erased_from_the_screen_as_wide_as_they_are() {
        let typed = Typed::new().keys(b"one two  \x17");
        assert_eq!(typed.screen(), alloc::format!("one two  {}", "\x08 \x08".repeat(5)));
        let typed = Typed::new().keys(b"a\t\x7f");
        assert_eq!(typed.screen(), alloc::format!("a\t{}", "\x08 \x08".repeat(7)));
        let mut typed = Typed::new().keys(b"\x16\x03\x7fb\n");
        assert_eq!(typed.read(9).as_deref(), Some(&b"b\n"[..]));
        assert!(typed.signals.is_empty());
        let mut typed = Typed::new().keys(b"gone\x15kept\n");
        assert_eq!(typed.read(9).as_deref(), Some(&b"kept\n"[..]));
    }

    #[test]
    fn a_character_of_utf8_is_erased_whole() {
        let mut typed = Typed::with(|termios| termios.input |= linux::IUTF8).keys("aé€\x7f\x7fz\n".as_bytes());
        assert_eq!(typed.read(9).as_deref(), Some(&b"az\n"[..]));
        assert_eq!(typed.screen(), "aé€\x08 \x08\x08 \x08z\r\n");
    }

    #[test]
    fn interrupt_quit_and_suspend_are_signals_and_forget_the_input() {
        let mut typed = Typed::new().keys(b"old\nab\x03\x1c\x1anew\n");
        assert_eq!(typed.signals, [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTSTP]);
        assert_eq!(typed.read(9).as_deref(), Some(&b"new\n"[..]));
        assert_eq!(typed.screen(), "old\r\nab^C^\\^Znew\r\n");
        let kept = Typed::with(|termios| termios.local |= linux::NOFLSH).keys(b"ab\x03\n").read(9);
        assert_eq!(kept.as_deref(), Some(&b"ab\n"[..]));
        let plain = Typed::with(|termios| termios.local &= !linux::ISIG).keys(b"\x03\n");
        assert!(plain.signals.is_empty());
    }

    #[test]
    fn raw_input_is_read_as_it_comes_and_as_it_was_typed_before() {
        let mut typed = Typed::new().keys(b"ab");
        let raw = Termios { local: 0, input: 0, ..Termios::default() };
        typed.discipline.set(raw);
        let mut typed = typed.keys(b"\r\x03\x7f");
        assert!(typed.discipline.is_readable(5) && !typed.discipline.is_readable(6));
        assert_eq!(typed.read(9).as_deref(), Some(&b"ab\r\x03\x7f"[..]));
        assert_eq!(typed.read(9), None);
        assert_eq!(typed.screen(), "ab");
    }

    #[test]
    fn stop_holds_the_output_and_start_lets_it_go() {
        assert!(Typed::new().keys(b"\x13").discipline.stopped);
        assert!(!Typed::new().keys(b"\x13\x11").discipline.stopped);
        assert!(!Typed::new().keys(b"\x13\x03").discipline.stopped);
    }

    #[test]
    fn input_that_nobody_reads_is_bounded_and_its_line_can_still_be_finished() {
        let mut typed = Typed::new().keys(&[b'x'; 3 * INPUT_MAX]);
        assert!(typed.discipline.waiting() < INPUT_MAX);
        typed = typed.keys(b"\n");
        assert_eq!(typed.read(2 * INPUT_MAX).map(|line| line.len()), Some(INPUT_MAX));
        let typed = Typed::new().keys(&[b'\n'; 3 * INPUT_MAX]);
        assert_eq!(typed.discipline.lines.len(), INPUT_MAX);
        let typed = Typed::new().keys(&[4; 3 * INPUT_MAX]);
        assert_eq!(typed.discipline.lines.len(), INPUT_MAX);
    }
}
