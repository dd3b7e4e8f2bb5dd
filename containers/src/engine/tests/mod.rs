//! The engine over the mock platform: the life of a container, and what its states refuse.

mod failure;

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use super::*;
use crate::Signal;
use crate::abi::{CreateFlags, DeleteFlags, WaitResult, WaitStatus};
use crate::config::{Config, Device, DeviceNode, Limit, Process, Resources};
use crate::keys::KeyId;
use crate::mock::{FAILURE, Mock, MockPhase, World};
use crate::{NamespaceSet, Status};

/// A configuration that takes every step but those of hooks.
const FULL: &str = "root_path=rootfs\nroot_readonly=true\nhostname=web\nprocess_arg=/bin/hello\n\
    mount=/dev:dev:dev\nmount=/tmp:tmpfs:tmpfs:size=1M\nnamespace=pid\nnamespace=mount\nnamespace=uts\n\
    memory_limit=16M\npids_limit=8\n";
/// A configuration that takes as few as there can be.
const PLAIN: &str = "process_arg=/bin/hello\n";
/// The calls that can fail which a create of [`FULL`] makes, each with its step and operand.
const FULL_CALLS: [(Step, &str); 14] = [
    (Step::Reserve, "web"),
    (Step::Cgroup, "web"),
    (Step::Namespaces, "web"),
    (Step::Names, "web"),
    (Step::Sysctl, "kernel.domainname"),
    (Step::Root, "rootfs"),
    (Step::Mount, "/dev"),
    (Step::Mount, "/tmp"),
    (Step::Device, "/dev/fuse"),
    (Step::Process, "/bin/hello"),
    (Step::PivotRoot, "rootfs"),
    (Step::ReadonlyPath, "/proc/sys"),
    (Step::MaskedPath, "/proc/kcore"),
    (Step::Process, "/bin/hello"),
];

fn engine() -> Engine<Mock> {
    Engine::new(Mock::default(), [1, 2])
}

/// A configuration of this text; with [`FULL`], what needs a mount namespace and has no default besides.
fn config(text: &str) -> Config {
    let mut settings = Config::parse(text.as_bytes(), &[]).unwrap().into_settings();
    if text == FULL {
        settings.sysctl = [("kernel.domainname".to_string(), "x".to_string())].into();
        settings.masked_paths = Vec::from(["/proc/kcore".to_string()]);
        settings.readonly_paths = Vec::from(["/proc/sys".to_string()]);
        settings.devices = Vec::from([Device {
            path: "/dev/fuse".to_string(),
            node: DeviceNode::Character { major: 10, minor: 229 },
            mode: Device::MODE,
            uid: 0,
            gid: 0,
        }]);
    }
    Config::unchecked(settings)
}

fn request(id: &str, text: &str) -> CreateRequest<'static, Mock> {
    CreateRequest {
        id: ContainerId::new(id).unwrap(),
        config: config(text),
        flags: CreateFlags::empty(),
        bundle: &(),
        bundle_path: String::from("/bundle"),
        caller: &None,
    }
}

/// Runs a future; while it waits, reports the ends of processes.
fn run<F: Future>(engine: &Engine<Mock>, future: F) -> F::Output {
    drive(future, || report(engine))
}

/// What there is, but for the books of containers that a handle still leads to.
fn world(engine: &Engine<Mock>) -> World {
    World { charged: 0, ..engine.platform().world() }
}

/// Reports the ends of processes, and goes on with what was handed over.
fn report(engine: &Engine<Mock>) {
    for (key, exit) in engine.platform().take_exits() {
        engine.exited(key, exit);
    }
    for work in engine.platform().take_spawned() {
        drive(work, || report(engine));
    }
}

fn create(engine: &Engine<Mock>, id: &str, text: &str) -> Arc<Container<Mock>> {
    run(engine, engine.create(request(id, text))).unwrap()
}

fn running(engine: &Engine<Mock>, id: &str) -> Arc<Container<Mock>> {
    let container = create(engine, id, FULL);
    run(engine, engine.start(&container)).unwrap();
    container
}

fn stopped(engine: &Engine<Mock>, id: &str) -> Arc<Container<Mock>> {
    let container = running(engine, id);
    engine.platform().end(container.key(), WaitStatus::Exited(3));
    report(engine);
    container
}

fn errno<T>(result: Result<T, Error>) -> Option<Errno> {
    result.err().map(|error| error.errno())
}

/// Polls once and drops the future there, having checked that it waits.
fn poll_times<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..times {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
    }
    None
}

#[test]
fn create_takes_its_steps_in_order_and_delete_undoes_them_in_reverse() {
    let engine = engine();
    let container = create(&engine, "web", FULL);
    assert_eq!(container.status(), Some(Status::Created));
    assert_eq!(
        engine.platform().take_calls(),
        [
            "charge true",
            "create_cgroup \"web\"",
            &std::format!("create_namespaces {}", container.config().namespaces.new.bits()),
            "set_names (Some(\"web\"), None)",
            "set_sysctl \"kernel.domainname\"",
            "open_root \"rootfs\"",
            "mount \"/dev\"",
            "mount \"/tmp\"",
            "make_device \"/dev/fuse\"",
            "create_process 1",
            "pivot_root true",
            "protect_path \"/proc/sys\"",
            "mask_path \"/proc/kcore\"",
            "load_process [\"/bin/hello\"]",
        ]
    );
    let there = world(&engine);
    let process = there.processes.values().next().unwrap();
    assert_eq!(process.phase, MockPhase::Held);
    assert_eq!(
        there.cgroups[&process.house.0].resources[0].pids,
        Some(Limit::At(core::num::NonZeroU32::new(8).unwrap()))
    );
    assert_eq!(there.namespaces[&process.house.1].mounts.len(), 2);

    run(&engine, engine.start(&container)).unwrap();
    assert_eq!(container.status(), Some(Status::Running));
    engine.platform().end(container.key(), WaitStatus::Exited(0));
    report(&engine);
    assert_eq!(container.status(), Some(Status::Stopped));
    let _ = engine.platform().take_calls();
    run(&engine, engine.delete(&container, DeleteFlags::empty())).unwrap();
    let calls = engine.platform().take_calls();
    let names: Vec<_> = calls.iter().map(|call| call.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["discard_process", "close_root", "remove_namespaces", "remove_cgroup"]);
    assert_eq!(world(&engine), World::default());
    assert_eq!(container.status(), None);
}

#[test]
fn without_a_mount_namespace_no_root_is_touched() {
    let engine = engine();
    let container = create(&engine, "plain", PLAIN);
    let calls = engine.platform().take_calls();
    assert_eq!(
        calls,
        [
            "charge true",
            "create_cgroup \"plain\"",
            "create_namespaces 0",
            "create_process 1",
            "load_process [\"/bin/hello\"]",
        ]
    );
    run(&engine, engine.delete(&container, DeleteFlags::FORCE)).unwrap();
    assert_eq!(world(&engine), World::default());
}

#[test]
fn requests_that_the_state_does_not_allow_are_refused_and_change_nothing() {
    let engine = engine();
    let refused = |container: &Arc<Container<Mock>>, expected: [Option<Errno>; 3]| {
        let before = (container.status(), world(&engine));
        let _ = engine.platform().take_calls();
        if expected[0].is_some() {
            assert_eq!(errno(run(&engine, engine.start(container))), expected[0]);
        }
        if expected[1].is_some() {
            assert_eq!(errno(engine.kill(container, Signal::SIGKILL)), expected[1]);
        }
        if expected[2].is_some() {
            assert_eq!(errno(run(&engine, engine.delete(container, DeleteFlags::empty()))), expected[2]);
        }
        assert_eq!((container.status(), world(&engine)), before);
        assert_eq!(engine.platform().take_calls(), [""; 0]);
    };
    refused(&create(&engine, "created", FULL), [None, None, Some(Errno::EBUSY)]);
    refused(&running(&engine, "running"), [Some(Errno::EINVAL), None, Some(Errno::EBUSY)]);
    let container = stopped(&engine, "stopped");
    refused(&container, [Some(Errno::EINVAL), Some(Errno::ESRCH), None]);
    run(&engine, engine.delete(&container, DeleteFlags::empty())).unwrap();
    refused(&container, [Some(Errno::EINVAL), Some(Errno::ESRCH), Some(Errno::ENOENT)]);
    assert_eq!(errno(run(&engine, engine.delete(&container, DeleteFlags::FORCE))), Some(Errno::ENOENT));

    let error = run(&engine, engine.start(&running(&engine, "again"))).unwrap_err();
    assert_eq!(error.to_string(), "\"again\": EINVAL: it is running already");
}

#[test]
fn a_container_that_is_being_created_is_seen_and_left_alone() {
    let engine = engine();
    engine.platform().wait_once(true);
    let mut creating = pin!(engine.create(request("web", FULL)));
    let mut context = Context::from_waker(Waker::noop());
    assert!(creating.as_mut().poll(&mut context).is_pending());

    let container = engine.open(&None, "web").unwrap();
    assert_eq!(container.status(), Some(Status::Creating));
    assert!(engine.state_json(&container, &None).unwrap().contains("\"status\":\"creating\""));
    assert_eq!(errno(run(&engine, engine.start(&container))), Some(Errno::EINVAL));
    assert_eq!(errno(engine.kill(&container, Signal::SIGKILL)), Some(Errno::ESRCH));
    assert_eq!(errno(run(&engine, engine.delete(&container, DeleteFlags::FORCE))), Some(Errno::EBUSY));
    let error = poll_times(engine.create(request("web", PLAIN)), 1).unwrap().unwrap_err();
    assert_eq!((error.errno(), error.step()), (Errno::EEXIST, Some(Step::Reserve)));

    let created = run(&engine, creating).unwrap();
    assert!(Arc::ptr_eq(&created, &container));
    assert_eq!(created.status(), Some(Status::Created));
}

#[test]
fn while_a_start_waits_nobody_else_starts_or_deletes() {
    let engine = engine();
    let container = create(&engine, "web", FULL);
    engine.platform().wait_once(true);
    let mut starting = pin!(engine.start(&container));
    let mut context = Context::from_waker(Waker::noop());
    assert!(starting.as_mut().poll(&mut context).is_pending());
    assert_eq!(container.status(), Some(Status::Created));
    assert_eq!(errno(poll_times(engine.start(&container), 1).unwrap()), Some(Errno::EINVAL));
    engine.kill(&container, Signal::SIGKILL).unwrap();
    report(&engine);
    assert_eq!(container.status(), Some(Status::Stopped));
    let delete = poll_times(engine.delete(&container, DeleteFlags::FORCE), 1).unwrap();
    assert_eq!(errno(delete), Some(Errno::EBUSY));
    assert_eq!(errno(run(&engine, starting)), Some(Errno::ESRCH));
    run(&engine, engine.delete(&container, DeleteFlags::empty())).unwrap();
    assert_eq!(world(&engine), World::default());
}

#[test]
fn a_process_that_is_killed_while_it_is_held_stops_the_container() {
    let engine = engine();
    let container = create(&engine, "web", FULL);
    engine.kill(&container, Signal::SIGKILL).unwrap();
    report(&engine);
    assert_eq!(container.status(), Some(Status::Stopped));
    assert_eq!(container.exit().unwrap().status, WaitStatus::Signaled(Signal::SIGKILL));
    assert_eq!(errno(run(&engine, engine.start(&container))), Some(Errno::EINVAL));
}

#[test]
fn waiting_ends_with_the_container_and_a_dropped_wait_is_forgotten() {
    let engine = engine();
    let container = running(&engine, "web");
    assert!(poll_times(container.stopped(), 3).is_none());
    assert_eq!(container.waiting(), 0);
    let mut waiting = pin!(container.stopped());
    let mut context = Context::from_waker(Waker::noop());
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    assert_eq!(container.waiting(), 1);

    engine.platform().end(container.key(), WaitStatus::Exited(3));
    report(&engine);
    assert_eq!(container.waiting(), 0);
    let exit = run(&engine, waiting);
    let result = WaitResult::from(exit);
    assert_eq!((result.status, result.flags, result.memory_peak, result.tasks_peak), (0x300, 0, 4096, 1));

    let second = Exit { status: WaitStatus::Exited(9), ..exit };
    engine.exited(container.key(), second);
    assert_eq!(container.exit(), Some(exit), "an end is reported once");
    run(&engine, engine.delete(&container, DeleteFlags::empty())).unwrap();
    assert_eq!(run(&engine, container.stopped()), exit, "and outlives the container");
    engine.exited(container.key(), second);
}

#[test]
fn a_walk_survives_what_is_created_and_deleted_meanwhile() {
    let engine = engine();
    let [a, b, c] = ["a", "b", "c"].map(|id| create(&engine, id, PLAIN));
    let first = engine.next_after(&None, 0).unwrap();
    assert_eq!(first.id().as_str(), "a");
    run(&engine, engine.delete(&a, DeleteFlags::FORCE)).unwrap();
    run(&engine, engine.delete(&b, DeleteFlags::FORCE)).unwrap();
    let d = create(&engine, "a", PLAIN);
    let second = engine.next_after(&None, first.key().cookie()).unwrap();
    assert!(Arc::ptr_eq(&second, &c));
    let third = engine.next_after(&None, second.key().cookie()).unwrap();
    assert!(Arc::ptr_eq(&third, &d));
    assert!(engine.next_after(&None, third.key().cookie()).is_none());
    assert!(engine.next_after(&None, u64::MAX).is_none());
}

#[test]
fn the_state_is_that_of_the_runtime_specification() {
    let engine = engine();
    let container = running(&engine, "web");
    let identity = container.config().identity();
    let pid = *world(&engine).processes.keys().next().unwrap();
    let json = |pid: u32, status: &str| {
        std::format!(
            "{{\"ociVersion\":\"1.0.2\",\"id\":\"web\",\"status\":\"{status}\",\"pid\":{pid},\
             \"bundle\":\"/bundle\",\"rootfs\":\"/bundle/rootfs\",\"created\":\"2000-02-29T00:00:00Z\",\
             \"annotations\":{{}},\"owner\":\"#1000\",\"identity\":\"{identity}\"}}"
        )
    };
    assert_eq!(engine.state_json(&container, &None).unwrap(), json(pid, "running"));
    engine.platform().end(container.key(), WaitStatus::Exited(0));
    report(&engine);
    assert_eq!(engine.state_json(&container, &None).unwrap(), json(0, "stopped"));
    run(&engine, engine.delete(&container, DeleteFlags::empty())).unwrap();
    assert_eq!(errno(engine.state_json(&container, &None)), Some(Errno::ENOENT));
}

#[test]
fn the_last_close_kills_only_where_that_was_asked_for() {
    let engine = engine();
    for (flags, kills) in [(CreateFlags::empty(), false), (CreateFlags::KILL_ON_CLOSE, true)] {
        let asked = CreateRequest { flags, ..request("web", PLAIN) };
        let container = run(&engine, engine.create(asked)).unwrap();
        container.opened();
        engine.open(&None, "web").unwrap().opened();
        engine.closed(&container);
        report(&engine);
        assert_eq!(container.status(), Some(Status::Created), "one is still open");
        engine.closed(&container);
        report(&engine);
        assert_eq!(container.status().is_none(), kills, "it is killed and deleted");
        if !kills {
            assert!(Arc::ptr_eq(&engine.open(&None, "web").unwrap(), &container), "it can be opened again");
            run(&engine, engine.delete(&container, DeleteFlags::FORCE)).unwrap();
        }
        assert_eq!(world(&engine), World::default());
    }
    assert_eq!(engine.platform().world(), World::default(), "and nothing is charged when the handles are gone");
}

#[test]
fn ten_thousand_lives_leave_nothing_behind() {
    let engine = engine();
    let kept = running(&engine, "kept");
    let before = world(&engine);
    for _ in 0..10_000 {
        let container = running(&engine, "web");
        engine.kill(&container, Signal::SIGKILL).unwrap();
        run(&engine, container.stopped());
        run(&engine, engine.delete(&container, DeleteFlags::empty())).unwrap();
        let _ = engine.platform().take_calls();
    }
    assert_eq!(world(&engine), before);
    assert_eq!(kept.status(), Some(Status::Running));
}

#[test]
fn every_future_can_move_between_cpus() {
    fn check(_: impl Send) {}
    let engine = engine();
    let container = create(&engine, "web", PLAIN);
    check(engine.create(request("x", PLAIN)));
    check(engine.start(&container));
    check(engine.delete(&container, DeleteFlags::empty()));
    check(container.stopped());
    assert!(container.config().namespaces.new == NamespaceSet::empty());
}

#[test]
fn what_the_platform_does_not_enforce_is_refused_before_anything_is_done() {
    let engine = engine();
    let container = running(&engine, "web");
    let _ = engine.platform().take_calls();
    let before = world(&engine);
    for (key, word, message) in [
        (KeyId::PidsLimit, "", "\"pids_limit\": EINVAL: is known, but this kernel does not enforce it yet"),
        (KeyId::Namespace, "pid", "\"namespace\": EINVAL: pid is known, but this kernel does not enforce it yet"),
        (
            KeyId::Mount,
            "tmpfs size=",
            "\"mount\": EINVAL: tmpfs size= is known, but this kernel does not enforce it yet",
        ),
    ] {
        engine.platform().enforce_all_but(key, word);
        let error = run(&engine, engine.create(request("other", FULL))).unwrap_err();
        assert_eq!((error.errno(), error.step()), (Errno::EINVAL, None));
        assert_eq!(error.to_string(), message);
        assert_eq!(world(&engine), before);
        assert_eq!(engine.platform().take_calls(), [""; 0]);
    }
    engine.platform().enforce_all_but(KeyId::PidsLimit, "");
    let limits = Resources::parse(b"memory_limit=1M\npids_limit=3\n", &[]).unwrap();
    assert_eq!(errno(run(&engine, engine.update(&container, &limits))), Some(Errno::EINVAL));
    engine.platform().enforce_all_but(KeyId::NoNewPrivileges, "");
    let process = Process::parse(b"process_arg=/bin/sh\n", &[]).unwrap();
    let exec = ExecRequest { process: &process, caller: &None };
    assert_eq!(errno(run(&engine, engine.exec(&container, exec))), Some(Errno::EINVAL));
    assert_eq!(world(&engine), before);
}

#[test]
fn who_is_inside_of_whom_is_known_over_any_number_of_levels() {
    let engine = engine();
    let create = |id, caller: &Option<ContainerKey>| {
        run(&engine, engine.create(CreateRequest { caller, ..request(id, PLAIN) })).unwrap()
    };
    let outer = create("a", &None);
    let middle = create("b", &Some(outer.key()));
    let inner = create("c", &Some(middle.key()));
    let neighbour = create("d", &None);
    assert!(engine.is_inside(&inner, outer.key()) && engine.is_inside(&inner, middle.key()));
    assert!(engine.is_inside(&middle, outer.key()));
    for (container, other) in [(&outer, &outer), (&outer, &inner), (&middle, &inner), (&inner, &neighbour)] {
        assert!(!engine.is_inside(container, other.key()), "{} in {}", container.id(), other.id());
    }
    assert_eq!(engine.find(middle.key()).map(|found| found.key()), Some(middle.key()));
}
