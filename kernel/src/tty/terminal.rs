//! A terminal: its settings, its input, its place among sessions. What shows its output is the console or the master
//! side of a pseudo-terminal.

use super::{Termios, discipline::Discipline, session::Owner};
use crate::{
    fs::{
        Readiness,
        io::{Sink, Source, moved},
    },
    sched::{self, Sleep, WaitQueue},
    task,
};
use alloc::collections::VecDeque;
use core::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};
use linux_raw_sys::general as linux;
use veridian_containers::{Signal, abi::Errno};
use veridian_hal::{clock, console, sync::SpinLock};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Output of a pseudo-terminal that its master has not read, at most.
const OUTPUT_MAX: usize = 8192;
/// Output is taken from programs in pieces of this many bytes.
const PIECE_BYTES: usize = 256;
/// The most that one byte of output becomes: a tab as spaces.
const EXPANSION_MAX: usize = 8;
/// The unit of VTIME.
const TENTH_NS: u64 = 100_000_000;

/// `struct winsize`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct WindowSize {
    /// Rows of characters.
    pub rows: u16,
    /// Columns of characters.
    pub columns: u16,
    /// Width in pixels; nobody uses it.
    pub width: u16,
    /// Height in pixels; nobody uses it.
    pub height: u16,
}

/// Where output goes.
#[derive(Debug)]
pub(super) enum Output {
    /// The machine's console.
    Console,
    /// To whoever reads the master side.
    Master(VecDeque<u8>),
}

#[derive(Debug)]
pub(super) struct State {
    pub discipline: Discipline,
    pub output: Output,
    pub window: WindowSize,
    /// The session that it controls and the group in the foreground.
    pub owner: Option<Owner>,
    /// The other side is gone: reads end, writes fail.
    pub hung_up: bool,
    /// Packet mode (TIOCPKT): what has happened that the master is told of before it is given more output.
    pub packet: Option<u32>,
    /// Wakes a read that waits no longer than VTIME.
    timer: Option<(u64, Sleep)>,
}

/// A terminal.
#[derive(Debug)]
pub struct Terminal {
    pub(super) state: SpinLock<State>,
    /// Woken when input can be read, or the terminal is hung up.
    pub(super) readers: WaitQueue,
    /// Woken when output has room.
    pub(super) writers: WaitQueue,
    /// Woken when the master side can read or write.
    pub(super) masters: WaitQueue,
}

impl Terminal {
    pub(super) fn new(output: Output) -> Self {
        let state = State {
            discipline: Discipline::default(),
            output,
            window: WindowSize::default(),
            owner: None,
            hung_up: false,
            packet: None,
            timer: None,
        };
        Self {
            state: SpinLock::new(state),
            readers: WaitQueue::new(),
            writers: WaitQueue::new(),
            masters: WaitQueue::new(),
        }
    }

    /// Takes bytes from the keyboard, as far as there is room; tells how many.
    pub(super) fn receive(&self, mut next: impl FnMut() -> Option<u8>) -> usize {
        let mut count = 0;
        let mut signals = heapless::Vec::<Signal, 8>::new();
        let owner = {
            let mut state = self.state.lock();
            let stopped = state.discipline.stopped;
            let State { discipline, output, owner, .. } = &mut *state;
            while !signals.is_full()
                && discipline.has_room()
                && let Some(byte) = next()
            {
                count += 1;
                let signal = discipline.accept(byte, &mut |bytes| output.echo(bytes));
                // Room was made sure of.
                signals.extend(signal);
            }
            let (owner, flushes) = (*owner, !signals.is_empty() && !discipline.termios.local(linux::NOFLSH));
            state.tell_flow(stopped);
            if flushes {
                state.tell(linux::TIOCPKT_FLUSHREAD);
            }
            owner
        };
        for signal in signals {
            owner.inspect(|owner| task::send_to_group(owner.foreground, signal));
        }
        self.wake();
        count
    }

    /// Wakes all who may have something to do now.
    pub(super) fn wake(&self) {
        self.readers.wake_all();
        self.writers.wake_all();
        self.masters.wake_all();
    }

    /// A program reads.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        if sink.remaining() == 0 {
            return Poll::Ready(Ok(0));
        }
        let result = {
            let mut state = self.state.lock();
            self.readers.register(cx);
            state.poll_read(cx, sink)
        };
        if result.is_ready() {
            // The master may write again, and another reader find what is left.
            self.masters.wake_all();
            self.readers.wake_all();
        }
        result
    }

    /// A program writes: at least a byte, or it waits.
    pub(super) fn poll_write(&self, cx: &mut Context<'_>, source: &mut dyn Source) -> Poll<Result<usize, Errno>> {
        let before = source.remaining();
        let result = {
            let mut state = self.state.lock();
            self.writers.register(cx);
            state.write(source)
        };
        let done = before - source.remaining();
        if done > 0 {
            self.masters.wake_all();
        }
        match result {
            Ok(()) if done == 0 && before > 0 => Poll::Pending,
            result => Poll::Ready(moved(done, result)),
        }
    }

    /// What of a program's reads and writes would not wait.
    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> Readiness {
        let state = self.state.lock();
        self.readers.register(cx);
        self.writers.register(cx);
        if state.hung_up {
            return Readiness::HUP | Readiness::ERR | Readiness::READABLE | Readiness::WRITABLE;
        }
        let mut ready = Readiness::empty();
        if state.discipline.is_readable(state.least()) {
            ready |= Readiness::READABLE;
        }
        if state.has_room() {
            ready |= Readiness::WRITABLE;
        }
        ready
    }

    /// Ends it for all who have it open (a modem's hang-up): SIGHUP to its session, then reads end and writes fail.
    pub(super) fn hang_up(&self) {
        // Signals first: who reads must not see the end and go on before it is killed.
        while let Some(owner) = self.hang_up_unowned() {
            super::session::forget(owner.session);
            for group in [owner.session, owner.foreground] {
                task::send_to_group(group, Signal::SIGHUP);
                task::send_to_group(group, Signal::SIGCONT);
            }
        }
        self.wake();
    }

    /// Ends it if no session has it; else takes it from its session.
    fn hang_up_unowned(&self) -> Option<Owner> {
        let mut state = self.state.lock();
        let owner = state.owner.take();
        if owner.is_none() {
            state.hung_up = true;
            state.discipline.flush_input();
        }
        owner
    }

    /// The settings.
    pub fn settings(&self) -> Termios {
        self.state.lock().discipline.termios
    }

    /// Changes the settings; `flush` forgets the input that was not read.
    pub fn set_settings(&self, termios: Termios, flush: bool) {
        {
            let mut state = self.state.lock();
            if flush {
                state.discipline.flush_input();
                state.tell(linux::TIOCPKT_FLUSHREAD);
            }
            let (stopped, usual) = (state.discipline.stopped, state.discipline.termios.has_usual_flow());
            state.discipline.set(termios);
            state.tell_flow(stopped);
            if termios.has_usual_flow() != usual {
                state.tell(if usual { linux::TIOCPKT_NOSTOP } else { linux::TIOCPKT_DOSTOP });
            }
        }
        self.wake();
    }

    /// Its size.
    pub fn window(&self) -> WindowSize {
        self.state.lock().window
    }

    /// Changes its size; SIGWINCH tells the foreground if it is another.
    pub fn set_window(&self, window: WindowSize) {
        let foreground = {
            let mut state = self.state.lock();
            let changed = core::mem::replace(&mut state.window, window) != window;
            state.owner.filter(|_| changed).map(|owner| owner.foreground)
        };
        if let Some(group) = foreground {
            task::send_to_group(group, Signal::SIGWINCH);
        }
    }
}

impl State {
    /// In raw mode: how many bytes make a read worth while.
    fn least(&self) -> usize {
        let termios = &self.discipline.termios;
        let least = usize::from(termios.character(linux::VMIN));
        if termios.is_canonical() || termios.character(linux::VTIME) > 0 { 1 } else { least }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        let termios = self.discipline.termios;
        let (least, tenths) = (termios.character(linux::VMIN), termios.character(linux::VTIME));
        let enough = usize::from(least).min(sink.remaining());
        let readable = self.discipline.is_readable(enough);
        if readable || self.hung_up || !termios.is_canonical() && least == 0 && tenths == 0 {
            self.timer = None;
            return Poll::Ready(self.discipline.read(sink).unwrap_or(Ok(0)));
        }
        if termios.is_canonical() || tenths == 0 {
            return Poll::Pending;
        }
        // Noncanonical mode with VTIME (termios(3)): from the call on where VMIN is 0, else from each byte on.
        let had = self.discipline.readable_bytes();
        if least > 0 && had == 0 {
            self.timer = None;
            return Poll::Pending;
        }
        let (seen, timer) = self.timer.get_or_insert_with(|| (had as u64, sleep(tenths)));
        if *seen != had as u64 {
            (*seen, *timer) = (had as u64, sleep(tenths));
        }
        if Pin::new(timer).poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.timer = None;
        Poll::Ready(self.discipline.read(sink).unwrap_or(Ok(0)))
    }

    fn write(&mut self, source: &mut dyn Source) -> Result<(), Errno> {
        let mut piece = [0; PIECE_BYTES];
        while source.remaining() > 0 {
            if self.hung_up {
                return Err(Errno::EIO);
            }
            let room = self.room() / EXPANSION_MAX;
            let left = source.remaining();
            let length = left.min(PIECE_BYTES).min(room);
            if length == 0 {
                return Ok(());
            }
            let result = source.take(&mut piece[..length]);
            self.show(&piece[..left - source.remaining()]);
            result?;
        }
        Ok(())
    }

    /// Puts what a program wrote on the screen. Plain stretches go out in one piece.
    fn show(&mut self, bytes: &[u8]) {
        let Self { discipline, output, .. } = self;
        let mut shown = heapless::Vec::<u8, { PIECE_BYTES * EXPANSION_MAX }>::new();
        for &byte in bytes {
            // Room for the whole of every piece.
            discipline.put(byte, &mut |bytes| drop(shown.extend_from_slice(bytes)));
        }
        output.echo(&shown);
    }

    /// Tells the master of something, in packet mode: the last of two that exclude each other.
    pub fn tell(&mut self, what: u32) {
        let undone = match what {
            linux::TIOCPKT_STOP => linux::TIOCPKT_START,
            linux::TIOCPKT_START => linux::TIOCPKT_STOP,
            linux::TIOCPKT_NOSTOP => linux::TIOCPKT_DOSTOP,
            linux::TIOCPKT_DOSTOP => linux::TIOCPKT_NOSTOP,
            _ => 0,
        };
        self.packet = self.packet.map(|told| told & !undone | what);
    }

    /// Tells the master whether output was stopped or goes on, if that is another than before.
    pub fn tell_flow(&mut self, before: bool) {
        let now = self.discipline.stopped;
        if now != before {
            self.tell(if now { linux::TIOCPKT_STOP } else { linux::TIOCPKT_START });
        }
    }

    fn room(&self) -> usize {
        match &self.output {
            _ if self.discipline.stopped => 0,
            Output::Console => PIECE_BYTES * EXPANSION_MAX,
            Output::Master(bytes) => OUTPUT_MAX.saturating_sub(bytes.len()),
        }
    }

    fn has_room(&self) -> bool {
        self.room() >= EXPANSION_MAX
    }
}

impl Output {
    /// Shows bytes that are ready for the screen. An echo that finds no room is lost.
    fn echo(&mut self, bytes: &[u8]) {
        match self {
            Self::Console => console::write_bytes(bytes),
            Self::Master(waiting) if waiting.len() + bytes.len() <= OUTPUT_MAX => waiting.extend(bytes),
            Self::Master(_) => {}
        }
    }
}

fn sleep(tenths: u8) -> Sleep {
    sched::sleep_until(clock::now_ns() + u64::from(tenths) * TENTH_NS)
}
