//! The state machine of one container. Pure: events in, states out.
//!
//! ```text
//! creating -> created -> running <-> paused
//!                 \_________\__________\__-> stopped -> (deleted)   the process may end at any time
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
    /// Its process runs, and it is still being started.
    Released,
    Started,
    /// Being frozen: still `running`.
    Pausing,
    Paused,
    /// Being thawed: still `paused`.
    Resuming,
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
    Released,
    /// The start is over: all that belongs to it is done.
    Started,
    /// The process was not let go.
    StartFailed,
    /// Somebody asks to signal it.
    SignalRequested,
    /// Somebody asks to freeze its processes.
    PauseRequested,
    /// They are frozen.
    Paused,
    /// They could not be frozen, or whoever asked is gone.
    PauseFailed,
    /// Somebody asks to thaw its processes.
    ResumeRequested,
    /// They run again.
    Resumed,
    /// They could not be thawed, or whoever asked is gone.
    ResumeFailed,
    /// Somebody asks for a further process in it.
    ExecRequested,
    /// Somebody asks for other limits, or what it uses.
    LimitsRequested,
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
            (Phase::Released | Phase::Started | Phase::Pausing, false) => Status::Running,
            (Phase::Paused | Phase::Resuming, false) => Status::Paused,
            (Phase::Deleted, _) => return None,
            _ => Status::Stopped,
        })
    }

    /// Takes an event; a refused request changes nothing.
    pub(super) fn apply(&mut self, event: Event) -> Result<(), Refusal> {
        match event {
            Event::Built | Event::StartFailed => self.phase = Phase::Created,
            Event::StartRequested => {
                self.may_start()?;
                self.phase = Phase::Starting;
            }
            Event::Released => self.phase = Phase::Released,
            Event::Started | Event::PauseFailed | Event::Resumed => self.phase = Phase::Started,
            Event::SignalRequested => self.may_signal()?,
            Event::PauseRequested => {
                self.may_pause()?;
                self.phase = Phase::Pausing;
            }
            Event::Paused | Event::ResumeFailed => self.phase = Phase::Paused,
            Event::ResumeRequested => {
                self.may_resume()?;
                self.phase = Phase::Resuming;
            }
            Event::ExecRequested => self.may_exec()?,
            Event::LimitsRequested => self.may_limit()?,
            Event::Exited => self.ended = true,
            Event::DeleteRequested => {
                self.may_delete()?;
                self.phase = Phase::Deleting;
            }
            Event::Deleted => self.phase = Phase::Deleted,
        }
        Ok(())
    }

    /// What it is doing, as a refusal says it.
    const fn words(self) -> &'static str {
        match (self.phase, self.ended) {
            (Phase::Creating, _) => "it is being created",
            (Phase::Deleting, _) => "it is being deleted",
            (Phase::Deleted, _) => "it is deleted",
            (_, true) => "it has stopped",
            (Phase::Created, false) => "it is created, and not started",
            (Phase::Starting | Phase::Released, false) => "it is being started",
            (Phase::Started, false) => "it is running",
            (Phase::Pausing, false) => "it is being paused",
            (Phase::Paused, false) => "it is paused",
            (Phase::Resuming, false) => "it is being resumed",
        }
    }

    const fn may_start(self) -> Result<(), Refusal> {
        match (self.phase, self.ended) {
            (Phase::Created, false) => Ok(()),
            (Phase::Started, false) => Err((Errno::EINVAL, "it is running already")),
            _ => Err((Errno::EINVAL, self.words())),
        }
    }

    const fn may_signal(self) -> Result<(), Refusal> {
        match (self.phase, self.ended) {
            (Phase::Creating | Phase::Deleting | Phase::Deleted, _) | (_, true) => Err((Errno::ESRCH, self.words())),
            _ => Ok(()),
        }
    }

    const fn may_pause(self) -> Result<(), Refusal> {
        match (self.phase, self.ended) {
            (Phase::Started, false) => Ok(()),
            _ => Err((Errno::EINVAL, self.words())),
        }
    }

    const fn may_resume(self) -> Result<(), Refusal> {
        match (self.phase, self.ended) {
            (Phase::Paused, false) => Ok(()),
            _ => Err((Errno::EINVAL, self.words())),
        }
    }

    const fn may_exec(self) -> Result<(), Refusal> {
        self.may_pause()
    }

    /// In every state in which it has a group: from created to stopped.
    const fn may_limit(self) -> Result<(), Refusal> {
        match self.phase {
            Phase::Creating | Phase::Deleting | Phase::Deleted => Err((Errno::EINVAL, self.words())),
            _ => Ok(()),
        }
    }

    const fn may_delete(self) -> Result<(), Refusal> {
        match (self.phase, self.ended) {
            (Phase::Deleted, _) => Err((Errno::ENOENT, self.words())),
            (Phase::Starting | Phase::Released, true) => Err((Errno::EBUSY, "it is being started")),
            (Phase::Pausing | Phase::Resuming, true) => Err((Errno::EBUSY, "it is being paused or resumed")),
            (Phase::Created | Phase::Started | Phase::Paused, true) => Ok(()),
            _ => Err((Errno::EBUSY, self.words())),
        }
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

    use Event::{
        Built, DeleteRequested, Deleted, ExecRequested, Exited, LimitsRequested, PauseFailed, PauseRequested, Paused,
        Released, ResumeFailed, ResumeRequested, Resumed, SignalRequested, StartFailed, StartRequested, Started,
    };

    #[test]
    fn a_life_goes_from_creating_to_deleted() {
        let life = [
            (Built, Some(Status::Created)),
            (StartRequested, Some(Status::Created)),
            (Released, Some(Status::Running)),
            (Started, Some(Status::Running)),
            (PauseRequested, Some(Status::Running)),
            (PauseFailed, Some(Status::Running)),
            (PauseRequested, Some(Status::Running)),
            (Paused, Some(Status::Paused)),
            (ResumeRequested, Some(Status::Paused)),
            (ResumeFailed, Some(Status::Paused)),
            (ResumeRequested, Some(Status::Paused)),
            (Resumed, Some(Status::Running)),
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
        // State, then what start, signal, pause, resume, exec, update and delete answer in it.
        let requests = [
            StartRequested,
            SignalRequested,
            PauseRequested,
            ResumeRequested,
            ExecRequested,
            LimitsRequested,
            DeleteRequested,
        ];
        let rows: &[(&[Event], [Option<Errno>; 7])] = &[
            (&[], [einval, esrch, einval, einval, einval, einval, ebusy]),
            (&[Exited], [einval, esrch, einval, einval, einval, einval, ebusy]),
            (&[Built], [None, None, einval, einval, einval, None, ebusy]),
            (&[Exited, Built], [einval, esrch, einval, einval, einval, None, None]),
            (&[Built, StartRequested], [einval, None, einval, einval, einval, None, ebusy]),
            (&[Built, StartRequested, StartFailed], [None, None, einval, einval, einval, None, ebusy]),
            (&[Built, StartRequested, Exited], [einval, esrch, einval, einval, einval, None, ebusy]),
            (&[Built, StartRequested, Exited, Started], [einval, esrch, einval, einval, einval, None, None]),
            (&[Built, StartRequested, Exited, StartFailed], [einval, esrch, einval, einval, einval, None, None]),
            (&[Built, StartRequested, Released], [einval, None, einval, einval, einval, None, ebusy]),
            (&[Built, StartRequested, Released, Exited], [einval, esrch, einval, einval, einval, None, ebusy]),
            (&[Built, StartRequested, Started], [einval, None, None, einval, None, None, ebusy]),
            (&[Built, StartRequested, Started, Exited], [einval, esrch, einval, einval, einval, None, None]),
            (&[Built, Started, PauseRequested], [einval, None, einval, einval, einval, None, ebusy]),
            (&[Built, Started, PauseRequested, Exited], [einval, esrch, einval, einval, einval, None, ebusy]),
            (&[Built, Started, PauseRequested, Paused], [einval, None, einval, None, einval, None, ebusy]),
            (&[Built, Started, PauseRequested, Paused, Exited], [einval, esrch, einval, einval, einval, None, None]),
            (
                &[Built, Started, PauseRequested, Paused, ResumeRequested],
                [einval, None, einval, einval, einval, None, ebusy],
            ),
            (&[Built, Exited, DeleteRequested], [einval, esrch, einval, einval, einval, einval, ebusy]),
            (&[Built, Exited, DeleteRequested, Deleted], [einval, esrch, einval, einval, einval, einval, enoent]),
        ];
        for (events, answers) in rows {
            for (request, answer) in requests.into_iter().zip(answers) {
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
