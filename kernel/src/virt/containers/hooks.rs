//! Hooks: processes that the engine runs around the life of a container, and waits for.

use super::{
    Kernel,
    process::end_with_its_namespace,
    program::{self, Birth, Tenant},
    runtime::Runtime,
};
use crate::{
    cgroup::Cgroup,
    fs::{File, FileObject, OpenFlags, Readiness, io::Sink},
    sched::{self, WaitQueue},
    task,
};
use alloc::{boxed::Box, format, sync::Arc, vec::Vec};
use core::{
    future::{Future, poll_fn},
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
    let outcome = run_to_end(runtime, place, run).await;
    let (kind, path, id) = (run.kind.name(), &run.hook.path, run.id);
    let spent = clock::now_ns() - begin;
    match &outcome {
        Ok(()) => log::info!("hook {kind} {path} of {id}: {spent} ns"),
        Err(error) => log::warn!("hook {kind} {path} of {id} failed after {spent} ns: {error}"),
    }
    outcome
}

async fn run_to_end(runtime: &Runtime, place: HookPlace<'_, Kernel>, run: HookRun<'_>) -> Result<(), Error> {
    let end = Arc::new(End::default());
    let group = spawn(runtime, place, run, end.clone())?;
    let mut killing = Killing(Some(group));
    let deadline = run.hook.timeout.map(|seconds| clock::now_ns() + u64::from(seconds.get()) * NS_PER_S);
    let status = {
        let mut ended = pin!(end.changed.wait_until(|| *end.status.lock()));
        let mut late = pin!(deadline.map(sched::sleep_until));
        poll_fn(|context| match ended.as_mut().poll(context) {
            Poll::Ready(status) => Poll::Ready(Some(status)),
            Poll::Pending => match late.as_mut().as_pin_mut() {
                Some(sleep) => sleep.poll(context).map(|()| None),
                None => Poll::Pending,
            },
        })
        .await
    };
    match status {
        Some(WaitStatus::Exited(0)) => {
            // What it left running goes on.
            killing.0 = None;
            Ok(())
        }
        Some(status) => {
            killing.0 = None;
            Err(Error::new(Errno::ECANCELED).reason(format!("the hook {status}")))
        }
        None => Err(Error::new(Errno::ETIMEDOUT).reason("the hook took longer than its timeout, and was killed")),
    }
}

/// How a hook ended, once it has.
#[derive(Default)]
struct End {
    status: SpinLock<Option<WaitStatus>>,
    changed: WaitQueue,
}

/// Kills all of a hook's group, unless disarmed.
struct Killing(Option<Arc<Cgroup>>);

impl Drop for Killing {
    fn drop(&mut self) {
        if let Some(group) = &self.0 {
            group.condemn();
        }
    }
}

/// Sets the hook off; gives the group that it and all that it makes are in.
fn spawn(
    runtime: &Runtime,
    place: HookPlace<'_, Kernel>,
    run: HookRun<'_>,
    end: Arc<End>,
) -> Result<Arc<Cgroup>, Error> {
    let hook = run.hook;
    let in_runtime = Tenant {
        cgroup: own_group(&runtime.cgroup)?,
        namespaces: runtime.namespaces.clone(),
        fs: runtime.fs.clone(),
        files: files(runtime, run.state)?,
        credentials: (*runtime.credentials).clone(),
        confinement: runtime.confinement.inherited(),
        container: runtime.container,
    };
    let load = |tenant: &Tenant| tenant.load(hook.path.as_bytes(), &hook.args, &hook.env).map_err(program::error);
    let (tenant, loaded) = match place {
        HookPlace::Runtime => {
            let loaded = load(&in_runtime)?;
            (in_runtime, loaded)
        }
        HookPlace::Create(..) | HookPlace::Start(..) => {
            return Err(Error::new(Errno::ENOSYS).reason("hooks in the container cannot be run yet"));
        }
    };
    let admission = tenant.cgroup.admit()?;
    let pid = tenant.namespaces.pid_for_children.allocate()?;
    let group = tenant.cgroup.clone();
    let on_exit: task::ExitObserver = Box::new(move |status| {
        *end.status.lock() = Some(status);
        end.changed.wake_all();
    });
    let thread = tenant.settle(loaded, Birth { pid, admission, parent: None, on_exit: Some(on_exit) });
    end_with_its_namespace(&thread);
    task::release(&thread);
    Ok(group)
}

/// A group for one hook and what it makes, below `above`.
fn own_group(above: &Arc<Cgroup>) -> Result<Arc<Cgroup>, Errno> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    above.create(&format!("hook.{}", LAST.fetch_add(1, Ordering::Relaxed)))
}

/// Descriptor 0 reads the state; 1 and 2 are the creator's.
fn files(runtime: &Runtime, state: &str) -> Result<crate::fs::FdTable, Errno> {
    let mut files = runtime.files.clone();
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
