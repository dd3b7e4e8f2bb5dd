//! Hooks: processes that the engine runs around the life of a container, and waits for.

use super::{
    Kernel,
    process::end_with_its_namespace,
    program::{self, Birth, Tenant},
    runtime::Runtime,
};
use crate::{
    cgroup::Cgroup,
    fs::{self, FdTable, File, FileObject, OpenFlags, Readiness, io::Sink},
    namespace::Namespaces,
    sched::{self, WaitQueue},
    security::{Confinement, Credentials},
    task,
};
use alloc::{boxed::Box, format, sync::Arc, vec::Vec};
use core::{
    future::{Future, poll_fn},
    num::NonZeroU32,
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
};
use veridian_containers::{
    abi::{Errno, WaitStatus},
    engine::{Error, HookPlace, HookRun},
};
use veridian_hal::{clock, sync::SpinLock};

const NS_PER_S: u64 = 1_000_000_000;

/// Runs one hook to its end: it must exit with 0, in time. Dropped before, it is killed with all that it made.
pub async fn run(runtime: &Runtime, place: HookPlace<'_, Kernel>, run: HookRun<'_>) -> Result<(), Error> {
    let begin = clock::now_ns();
    let outcome = match Running::begin(runtime, place, run) {
        Ok(running) => running.end(run.hook.timeout).await,
        Err(error) => Err(error),
    };
    let (kind, path, id) = (run.kind.name(), &run.hook.path, run.id);
    let spent = clock::now_ns() - begin;
    match &outcome {
        Ok(()) => log::info!("hook {kind} {path} of {id}: {spent} ns"),
        Err(error) => log::warn!("hook {kind} {path} of {id} failed after {spent} ns: {error}"),
    }
    outcome
}

/// A hook that runs. Dropped before its end, it is killed.
struct Running {
    group: Group,
    end: Arc<End>,
}

/// How a hook ended, once it has.
#[derive(Default)]
struct End {
    status: SpinLock<Option<WaitStatus>>,
    changed: WaitQueue,
}

impl Running {
    fn begin(runtime: &Runtime, place: HookPlace<'_, Kernel>, run: HookRun<'_>) -> Result<Self, Error> {
        let group = Group::below(match place {
            HookPlace::Runtime => &runtime.cgroup,
            HookPlace::Create(house) | HookPlace::Start(house, _) => house.cgroup,
        })?;
        let tenant = Tenant { cgroup: group.0.clone(), ..tenant(runtime, place, run)? };
        let hook = run.hook;
        let program = tenant.load(hook.path.as_bytes(), &hook.args, &hook.env).map_err(program::error)?;
        let admission = tenant.cgroup.admit()?;
        let pid = tenant.namespaces.pid_for_children.allocate()?;
        let end = Arc::new(End::default());
        let told = end.clone();
        let on_exit: task::ExitObserver = Box::new(move |status| {
            *told.status.lock() = Some(status);
            told.changed.wake_all();
        });
        let thread = tenant.settle(program, Birth { pid, admission, parent: None, on_exit: Some(on_exit) });
        end_with_its_namespace(&thread);
        task::release(&thread);
        Ok(Self { group, end })
    }

    /// Waits for its end, at most so many seconds.
    async fn end(mut self, timeout: Option<NonZeroU32>) -> Result<(), Error> {
        let deadline = timeout.map(|seconds| clock::now_ns() + u64::from(seconds.get()) * NS_PER_S);
        let status = {
            let mut ended = pin!(self.end.changed.wait_until(|| *self.end.status.lock()));
            let mut late = pin!(deadline.map(sched::sleep_until));
            poll_fn(|context| match (ended.as_mut().poll(context), late.as_mut().as_pin_mut()) {
                (Poll::Ready(status), _) => Poll::Ready(Some(status)),
                (Poll::Pending, Some(sleep)) => sleep.poll(context).map(|()| None),
                (Poll::Pending, None) => Poll::Pending,
            })
            .await
        };
        let Some(status) = status else {
            return Err(Error::new(Errno::ETIMEDOUT).reason("the hook took longer than its timeout, and was killed"));
        };
        // What it left running goes on.
        self.group.1 = Fate::Spared;
        match status {
            WaitStatus::Exited(0) => Ok(()),
            _ => Err(Error::new(Errno::ECANCELED).reason(format!("the hook {status}"))),
        }
    }
}

/// The group that a hook and all that it makes are in; it is removed when nobody is in it any more.
struct Group(Arc<Cgroup>, Fate);

/// What becomes of who is in a hook's group when the hook is over.
enum Fate {
    Killed,
    Spared,
}

impl Group {
    fn below(above: &Arc<Cgroup>) -> Result<Self, Errno> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let group = above.create(&format!("hook.{}", LAST.fetch_add(1, Ordering::Relaxed)))?;
        Ok(Self(group, Fate::Killed))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Self(group, fate) = self;
        if matches!(fate, Fate::Killed) {
            group.condemn();
        }
        if !group.is_populated() {
            group.remove_tree();
            return;
        }
        let group = group.clone();
        sched::spawn(async move {
            group.changes().wait_until(|| (!group.is_populated()).then_some(())).await;
            group.remove_tree();
        });
    }
}

/// Where a hook runs and as whom; its group is still to be named.
fn tenant(runtime: &Runtime, place: HookPlace<'_, Kernel>, run: HookRun<'_>) -> Result<Tenant, Error> {
    let files = files(runtime, run.state)?;
    let of_the_creator = |namespaces: Namespaces, fs: fs::Context, credentials: Credentials, container| {
        let confinement = Confinement::new(&credentials, runtime.bounds.clone())?;
        let (cgroup, files) = (runtime.cgroup.clone(), files.standard_streams());
        Ok::<_, Error>(Tenant { cgroup, namespaces, fs, files, credentials, confinement, container, terminal: None })
    };
    let tenant = match place {
        HookPlace::Runtime => {
            let (namespaces, fs) = (runtime.namespaces.clone(), runtime.fs.clone());
            of_the_creator(namespaces, fs, (*runtime.credentials).clone(), runtime.container)?
        }
        HookPlace::Create(house) => {
            let mut namespaces = house.namespaces.set.clone();
            namespaces.enter_time();
            let fs = match house.root {
                Some(root) => root.surrounded(&runtime.caller())?,
                None => house.namespaces.files(runtime),
            };
            let credentials = house.namespaces.creator(&runtime.credentials)?;
            of_the_creator(namespaces, fs, credentials, Some(run.key.into()))?
        }
        HookPlace::Start(house, program) => {
            Tenant { files, ..Tenant::of_container(runtime, house, run.key.into(), program)? }
        }
    };
    Ok(tenant)
}

/// Descriptor 0 reads the state; 1 and 2 are the creator's.
fn files(runtime: &Runtime, state: &str) -> Result<FdTable, Errno> {
    let mut files = runtime.files.standard_streams();
    let text = Arc::new(Text { bytes: Vec::from(state), read: SpinLock::new(0) });
    let who = &runtime.credentials;
    let file = File::of_object(text, OpenFlags::empty(), who.fsuid, who.fsgid)?;
    drop(files.close(0));
    files.insert(file, false)?;
    Ok(files)
}

/// A text to be read once, like a pipe whose writer is done.
#[derive(Debug)]
struct Text {
    bytes: Vec<u8>,
    read: SpinLock<usize>,
}

impl FileObject for Text {
    fn poll_read(&self, _cx: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        let (start, end) = {
            let mut read = self.read.lock();
            let start = *read;
            *read = self.bytes.len().min(start + sink.remaining());
            (start, *read)
        };
        Poll::Ready(sink.put(&self.bytes[start..end]).map(|()| end - start))
    }

    fn poll_ready(&self, _cx: &mut Context<'_>, _interest: Readiness) -> Readiness {
        Readiness::READABLE
    }
}
