//! Structures of System V IPC (linux/ipc.h and the `*id64_ds` of asm-generic), byte for byte, and of POSIX queues.

use crate::{
    ipc::{Id, Permissions, message, semaphore, shared_memory},
    syscall::number::IS_X86_64,
    task::Thread,
};
use veridian_containers::abi::Errno;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `struct ipc64_perm`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct IpcPermissions {
    key: i32,
    uid: u32,
    gid: u32,
    creator_uid: u32,
    creator_gid: u32,
    mode: u32,
    sequence: u16,
    _pad: [u16; 3],
    _unused: [u64; 2],
}

impl IpcPermissions {
    /// Owner, group and mode as IPC_SET sets them: EINVAL for ids that the caller's user namespace does not map.
    pub fn read(&self, caller: &Thread) -> Result<[u32; 3], Errno> {
        let users = &caller.credentials().user_namespace;
        Ok([users.user(self.uid)?, users.group(self.gid)?, self.mode])
    }

    fn new(permissions: &Permissions, id: Id, viewer: &Thread) -> Self {
        let users = &viewer.credentials().user_namespace;
        Self {
            key: permissions.key,
            uid: users.shown_user(permissions.uid),
            gid: users.shown_group(permissions.gid),
            creator_uid: users.shown_user(permissions.creator_uid),
            creator_gid: users.shown_group(permissions.creator_gid),
            mode: permissions.mode,
            sequence: id.sequence(),
            _pad: [0; 3],
            _unused: [0; 2],
        }
    }
}

/// `struct shmid64_ds`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct SegmentStatus {
    /// Who may what.
    pub permissions: IpcPermissions,
    bytes: u64,
    times: [i64; 3],
    creator: u32,
    last: u32,
    attachments: u64,
    _unused: [u64; 2],
}

impl SegmentStatus {
    /// As `viewer` sees it.
    pub fn new(status: &shared_memory::Status, viewer: &Thread) -> Self {
        Self {
            permissions: IpcPermissions::new(&status.permissions, status.id, viewer),
            bytes: status.bytes,
            times: status.times,
            creator: status.creator.number_for(viewer),
            last: status.last.number_for(viewer),
            attachments: status.attachments,
            _unused: [0; 2],
        }
    }
}

/// `struct semid64_ds` of x86_64.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct SetStatusX86_64 {
    /// Who may what.
    pub permissions: IpcPermissions,
    operated: i64,
    _unused_operated: u64,
    changed: i64,
    _unused_changed: u64,
    count: u64,
    _unused: [u64; 2],
}

/// `struct semid64_ds` of the other architectures.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct SetStatusGeneric {
    permissions: IpcPermissions,
    times: [i64; 2],
    count: u64,
    _unused: [u64; 2],
}

/// The bytes of a set's status on this architecture, as `viewer` sees it.
pub fn set_status(status: &semaphore::Status, viewer: &Thread) -> heapless::Vec<u8, { size_of::<SetStatusX86_64>() }> {
    let permissions = IpcPermissions::new(&status.permissions, status.id, viewer);
    let [operated, changed] = status.times;
    let count = status.count as u64;
    let mut bytes = heapless::Vec::new();
    let fitted = if IS_X86_64 {
        let status = SetStatusX86_64 {
            permissions,
            operated,
            _unused_operated: 0,
            changed,
            _unused_changed: 0,
            count,
            _unused: [0; 2],
        };
        bytes.extend_from_slice(status.as_bytes())
    } else {
        let status = SetStatusGeneric { permissions, times: [operated, changed], count, _unused: [0; 2] };
        bytes.extend_from_slice(status.as_bytes())
    };
    debug_assert!(fitted.is_ok());
    bytes
}

/// `struct msqid64_ds`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct QueueStatus {
    /// Who may what.
    pub permissions: IpcPermissions,
    times: [i64; 3],
    bytes: u64,
    count: u64,
    /// Bytes that it holds at most.
    pub bytes_max: u64,
    last_sender: u32,
    last_receiver: u32,
    _unused: [u64; 2],
}

impl QueueStatus {
    /// As `viewer` sees it.
    pub fn new(status: &message::Status, viewer: &Thread) -> Self {
        let [bytes, count, bytes_max] = status.fill;
        Self {
            permissions: IpcPermissions::new(&status.permissions, status.id, viewer),
            times: status.times,
            bytes,
            count,
            bytes_max,
            last_sender: status.last_sender.number_for(viewer),
            last_receiver: status.last_receiver.number_for(viewer),
            _unused: [0; 2],
        }
    }
}

/// `struct shm_info`.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
#[repr(C)]
pub struct SegmentUsage {
    /// Segments.
    pub count: i32,
    /// Nothing.
    pub _pad: i32,
    /// Pages of all.
    pub pages: u64,
    /// Pages that take memory.
    pub resident: u64,
    /// Swapped pages, swap attempts and successes.
    pub swap: [u64; 3],
}

/// `struct sembuf`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct SemaphoreOperation {
    /// Which of the set.
    pub index: u16,
    /// What is added.
    pub change: i16,
    /// IPC_NOWAIT, SEM_UNDO.
    pub flags: u16,
}

/// `struct msginfo`.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
#[repr(C)]
pub struct MessageInformation {
    /// msgpool, msgmap, msgmax, msgmnb, msgmni, msgssz, msgtql.
    pub words: [i32; 7],
    /// msgseg.
    pub segments: u16,
    /// Nothing.
    pub _pad: u16,
}

/// `struct mq_attr`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct QueueAttributes {
    /// O_NONBLOCK or nothing.
    pub flags: i64,
    /// The most messages.
    pub messages_max: i64,
    /// The most bytes of a message.
    pub message_bytes_max: i64,
    /// Messages now.
    pub messages: i64,
    /// Nothing.
    pub _reserved: [i64; 4],
}

/// The beginning of `struct sigevent`, as far as a notification without threads needs it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct SignalEvent {
    /// What a handler would be given.
    pub value: u64,
    /// The signal.
    pub signal: i32,
    /// SIGEV_SIGNAL, SIGEV_NONE.
    pub how: i32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn the_layouts_are_those_of_the_headers() {
        // asm-generic/{ipcbuf,shmbuf,msgbuf,sembuf}.h and x86's sembuf.h with 64-bit longs.
        assert_eq!((size_of::<IpcPermissions>(), offset_of!(IpcPermissions, sequence)), (48, 24));
        assert_eq!((size_of::<SegmentStatus>(), offset_of!(SegmentStatus, attachments)), (112, 88));
        assert_eq!((size_of::<SetStatusX86_64>(), offset_of!(SetStatusX86_64, count)), (104, 80));
        assert_eq!((size_of::<SetStatusGeneric>(), offset_of!(SetStatusGeneric, count)), (88, 64));
        assert_eq!((size_of::<QueueStatus>(), offset_of!(QueueStatus, bytes_max)), (120, 88));
        assert_eq!((size_of::<SegmentUsage>(), size_of::<MessageInformation>()), (48, 32));
        assert_eq!((size_of::<QueueAttributes>(), size_of::<SemaphoreOperation>()), (64, 6));
    }
}
