//! Between the own terminal and that of a container's process: what is typed goes in, what it writes comes out.

use linux_raw_sys::general::{
    BRKINT, ECHO, ECHONL, ICANON, ICRNL, IEXTEN, IGNBRK, IGNCR, INLCR, ISIG, ISTRIP, IXON, OPOST, PARMRK, POLLHUP,
    POLLIN,
};
use linux_raw_sys::ioctl::{TCGETS, TCSETS, TIOCGWINSZ, TIOCSWINSZ};

use crate::sys::{self, Errno, Fd, Result};

/// Bytes that are carried at once.
const CHUNK: usize = 1024;

/// The own terminal, raw meanwhile, and the master side of the other.
pub struct Relay {
    master: Fd,
    /// The own settings as they were, if standard input is a terminal.
    before: Option<[u8; 64]>,
}

impl Relay {
    /// Makes the own terminal raw, so that the other one edits lines and sends signals, and gives that one its size unless
    /// it has one.
    pub fn new(master: Fd) -> Self {
        let mut settings = [0; 64];
        let mut size = [0; 64];
        let before = sys::ioctl(0, TCGETS, &mut settings).ok().map(|_| settings);
        if before.is_some() {
            make_raw(&mut settings);
            // Where it fails, the terminal is as it was: the user sees that.
            let _ = sys::ioctl(0, TCSETS, &mut settings);
            let sized = sys::ioctl(master, TIOCGWINSZ, &mut size).is_ok() && size[..4] != [0; 4];
            if !sized && sys::ioctl(0, TIOCGWINSZ, &mut size).is_ok() {
                let _ = sys::ioctl(master, TIOCSWINSZ, &mut size);
            }
        }
        Self { master, before }
    }

    /// Carries until nobody has the other terminal open.
    pub fn run(&self) -> Result {
        let mut typing = true;
        let mut buffer = [0; CHUNK];
        loop {
            let [typed, written] = sys::poll_both([if typing { 0 } else { -1 }, self.master], POLLIN)?;
            if written != 0 {
                match sys::read(self.master, &mut buffer) {
                    Ok(0) | Err(Errno::EIO) => return Ok(()),
                    Ok(count) => write_all(1, &buffer[..count])?,
                    Err(errno) => return Err(errno),
                }
            }
            if typed & (POLLIN | POLLHUP) != 0 {
                match sys::read(0, &mut buffer)? {
                    0 => typing = false,
                    count => write_all(self.master, &buffer[..count])?,
                }
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(mut before) = self.before {
            // There is nobody to tell.
            let _ = sys::ioctl(0, TCSETS, &mut before);
        }
        let _ = sys::close(self.master);
    }
}

fn write_all(fd: Fd, mut bytes: &[u8]) -> Result {
    while !bytes.is_empty() {
        let count = sys::write(fd, bytes)?;
        bytes = &bytes[count..];
    }
    Ok(())
}

/// As cfmakeraw(3).
fn make_raw(settings: &mut [u8; 64]) {
    let input = IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON;
    let local = ECHO | ECHONL | ICANON | ISIG | IEXTEN;
    for (word, flags) in [(0, input), (1, OPOST), (3, local)] {
        clear(settings, word, flags);
    }
}

/// Takes `flags` out of a word of a `struct termios`: 0 is input, 1 output, 2 control, 3 local.
pub fn clear(settings: &mut [u8; 64], word: usize, flags: u32) {
    let at = word * 4..word * 4 + 4;
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&settings[at.clone()]);
    settings[at].copy_from_slice(&(u32::from_ne_bytes(bytes) & !flags).to_ne_bytes());
}
