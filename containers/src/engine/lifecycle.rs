//! The state machine of one container. Pure: events in, states out.
//!
//! ```text
//! creating -> created -> running -> stopped -> (deleted)
//!                 \_________________/   the process may end at any time
//! ```

use crate::Status;
use crate::abi::Errno;

/// Where a container stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifecycle {
    phase: Phase,
    /// Its last process has ended. Apart from the phase, because it may happen in each.
    ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Creating,
    Created,
    /// Being started: still `created`, but a second start and a delete must not come between.
    Starting,
    Started,
    Deleting,
    Deleted,
}

/// What happens to a container. A `Requested` event may be refused; the others report what is a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Every step of create has succeeded.
    Built,
    /// Somebody asks to start it.
    StartRequested,
    /// The process was let go.
    Started,
    /// The process could not be let go, or whoever asked is gone.
    StartFailed,
    /// Somebody asks to signal it, or to look at its process.
    SignalRequested,
    /// The last process has ended.
    Exited,
    /// Somebody asks to delete it.
    DeleteRequested,
    /// Everything is given back.
    Deleted,
}

/// A request that the state does not allow, in an errno and in words.
pub(super) type Refusal = (Errno, &'static str);

impl Lifecycle {
    pub(super) const fn new() -> Self {
        Self { phase: Phase::Creating, ended: false }
    }

    /// The OCI state; `None` once it is deleted.
    pub(super) const fn status(self) -> Option<Status> {
        Some(match (self.phase, self.ended) {
            (Phase::Creating, _) => Status::Creating,
            (Phase::Created | Phase::Starting, false) => Status::Created,
            (Phase::Started, false) => Status::Running,
            (Phase::Created | Phase::Starting | Phase::Started | Phase::Deleting, _) => Status::Stopped,
            (Phase::Deleted, _) => return None,
        })
    }

    /// Takes an event; a refused request changes nothing.
    pub(super) fn apply(&mut self, event: Event) -> Result<(), Refusal> {
        match event {
            Event::Built => self.phase = Phase::Created,
            Event::StartRequested => {
                self.may_start()?;
                self.phase = Phase::Starting;
            }
            Event::Started => self.phase = Phase::Started,
            Event::StartFailed => self.phase = Phase::Created,
            Event::SignalRequested => self.may_signal()?,
            Event::Exited => self.ended = true,
            Event::DeleteRequested => {
                self.may_delete()?;
                self.phase = Phase::Deleting;
            }
            Event::Deleted => self.phase = Phase::Deleted,
        }
        Ok(())
    }

    const fn may_start(self) -> Result<(), Refusal> {
        Err((
            Errno::EINVAL,
            match (self.phase, self.ended) {
                (Phase::Created, false) => return Ok(()),
                (Phase::Creating, _) => "it is being created",
                (Phase::Starting, false) => "it is being started",
                (Phase::Started, false) => "it is running already",
                (Phase::Created | Phase::Starting | Phase::Started, true) => "it has stopped",
                (Phase::Deleting | Phase::Deleted, _) => "it is deleted",
            },
        ))
    }

    const fn may_signal(self) -> Result<(), Refusal> {
        Err((
            Errno::ESRCH,
            match (self.phase, self.ended) {
                (Phase::Created | Phase::Starting | Phase::Started, false) => return Ok(()),
                (Phase::Creating, _) => "it is being created",
                (Phase::Created | Phase::Starting | Phase::Started, true) => "it has stopped",
                (Phase::Deleting | Phase::Deleted, _) => "it is deleted",
            },
        ))
    }

    const fn may_delete(self) -> Result<(), Refusal> {
        Err(match (self.phase, self.ended) {
            (Phase::Created | Phase::Started, true) => return Ok(()),
            (Phase::Creating, _) => (Errno::EBUSY, "it is being created"),
            (Phase::Starting, _) => (Errno::EBUSY, "it is being started"),
            (Phase::Created, false) => (Errno::EBUSY, "it is created, not stopped"),
            (Phase::Started, false) => (Errno::EBUSY, "it is running, not stopped"),
            (Phase::Deleting, _) => (Errno::EBUSY, "it is being deleted"),
            (Phase::Deleted, _) => (Errno::ENOENT, "it is deleted"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lifecycle after these events, each of which must be taken.
    fn after(events: &[Event]) -> Lifecycle {
        let mut lifecycle = Lifecycle::new();
        for &event in events {
            lifecycle.apply(event).unwrap();
        }
        lifecycle
    }

    use Event::{Built, DeleteRequested, Deleted, Exited, SignalRequested, StartFailed, StartRequested, Started};

    #[test]
    fn a_life_goes_from_creating_to_deleted() {
        let life = [
            (Built, Some(Status::Created)),
            (StartRequested, Some(Status::Created)),
            (Started, Some(Status::Running)),
            (Exited, Some(Status::Stopped)),
            (DeleteRequested, Some(Status::Stopped)),
            (Deleted, None),
        ];
        let mut lifecycle = Lifecycle::new();
        assert_eq!(lifecycle.status(), Some(Status::Creating));
        for (event, status) in life {
            lifecycle.apply(event).unwrap();
            assert_eq!(lifecycle.status(), status, "after {event:?}");
        }
    }

    #[test]
    fn a_refused_request_changes_nothing_and_says_the_errno_of_the_abi() {
        let (einval, esrch, ebusy, enoent) =
            (Some(Errno::EINVAL), Some(Errno::ESRCH), Some(Errno::EBUSY), Some(Errno::ENOENT));
        // State, then what start, signal and delete answer in it.
        let rows: &[(&[Event], [Option<Errno>; 3])] = &[
            (&[], [einval, esrch, ebusy]),
            (&[Exited], [einval, esrch, ebusy]),
            (&[Built], [None, None, ebusy]),
            (&[Exited, Built], [einval, esrch, None]),
            (&[Built, StartRequested], [einval, None, ebusy]),
            (&[Built, StartRequested, StartFailed], [None, None, ebusy]),
            (&[Built, StartRequested, Exited], [einval, esrch, ebusy]),
            (&[Built, StartRequested, Exited, Started], [einval, esrch, None]),
            (&[Built, StartRequested, Exited, StartFailed], [einval, esrch, None]),
            (&[Built, StartRequested, Started], [einval, None, ebusy]),
            (&[Built, StartRequested, Started, Exited], [einval, esrch, None]),
            (&[Built, Exited, DeleteRequested], [einval, esrch, ebusy]),
            (&[Built, Exited, DeleteRequested, Deleted], [einval, esrch, enoent]),
        ];
        for (events, answers) in rows {
            for (request, answer) in [StartRequested, SignalRequested, DeleteRequested].into_iter().zip(answers) {
                let before = after(events);
                let mut lifecycle = before;
                let refused = lifecycle.apply(request).err().map(|(errno, _)| errno);
                assert_eq!(refused, *answer, "{request:?} after {events:?}");
                if refused.is_some() {
                    assert_eq!(lifecycle, before, "{request:?} after {events:?}");
                }
            }
        }
    }
}
