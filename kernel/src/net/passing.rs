//! Files that are passed from process to process (SCM_RIGHTS, unix(7)).
//!
//! A queue that holds a socket whose queue holds ... the first would keep itself alive for ever. One lock guards two
//! counts of each socket: how often it is in some queue, and how many sockets are in its own. A socket with the second is
//! not passed, and to a socket with the first no sockets are: no chain is longer than one, so there is no circle.

use super::Socket;
use crate::fs::File;
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicUsize, Ordering};
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// The most files that a message takes along (SCM_MAX_FD).
pub const FILES_MAX: usize = 253;

/// Files under way, by user on the whole machine. Held over every change of a [`Passage`].
static UNDER_WAY: SpinLock<BTreeMap<u32, usize>> = SpinLock::new(BTreeMap::new());

/// The counts of a socket. Changed under the passing lock alone.
#[derive(Debug, Default)]
pub struct Passage {
    /// In how many queues it is.
    under_way: AtomicUsize,
    /// How many sockets are in its own queue.
    sockets_held: AtomicUsize,
}

/// Files in a queue.
#[derive(Debug)]
pub struct Passed {
    files: Vec<Arc<File>>,
    uid: u32,
    /// Whose queue it is, if sockets are among the files.
    holder: Option<Arc<Passage>>,
}

fn socket_of(file: &File) -> Option<&Socket> {
    file.object::<Socket>().filter(|socket| socket.is_unix())
}

impl Passed {
    /// Sends `files` of the user `uid` to the queue of `to`; `waits` says that `to` stands in a listener's queue itself,
    /// `most` how many of the user's files may be under way.
    ///
    /// # Errors
    /// ETOOMANYREFS: too many of the user's files are under way, or the sockets among them would make a chain.
    pub fn new(files: Vec<Arc<File>>, uid: u32, to: &Arc<Passage>, waits: bool, most: usize) -> Result<Self, Errno> {
        let mut under_way = UNDER_WAY.lock();
        let sockets = || files.iter().filter_map(|file| socket_of(file));
        let count = sockets().count();
        let chained = |socket: &Socket| {
            Arc::ptr_eq(socket.passage(), to) || socket.passage().sockets_held.load(Ordering::Relaxed) > 0
        };
        if count > 0 && (waits || to.under_way.load(Ordering::Relaxed) > 0 || sockets().any(chained)) {
            return Err(Errno::ETOOMANYREFS);
        }
        let before = under_way.get(&uid).copied().unwrap_or(0);
        if before + files.len() > most {
            return Err(Errno::ETOOMANYREFS);
        }
        under_way.insert(uid, before + files.len());
        for socket in sockets() {
            socket.passage().under_way.fetch_add(1, Ordering::Relaxed);
        }
        to.sockets_held.fetch_add(count, Ordering::Relaxed);
        let holder = (count > 0).then(|| to.clone());
        Ok(Self { files, uid, holder })
    }

    /// The same files once more, for who only looks (MSG_PEEK): they are under way in no further queue.
    pub fn again(&self) -> Result<Self, Errno> {
        let unheld = Arc::new(Passage::default());
        Self::new(self.files.clone(), self.uid, &unheld, false, usize::MAX)
    }

    /// They have arrived.
    pub fn arrive(mut self) -> Vec<Arc<File>> {
        self.leave();
        core::mem::take(&mut self.files)
    }

    fn leave(&self) {
        let mut under_way = UNDER_WAY.lock();
        if let Some(count) = under_way.get_mut(&self.uid) {
            *count -= self.files.len();
            if *count == 0 {
                under_way.remove(&self.uid);
            }
        }
        if let Some(holder) = &self.holder {
            for socket in self.files.iter().filter_map(|file| socket_of(file)) {
                socket.passage().under_way.fetch_sub(1, Ordering::Relaxed);
                holder.sockets_held.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        if !self.files.is_empty() {
            self.leave();
        }
    }
}
