//! Every failure and every dropped future leaves the world as it was.

use super::*;

#[test]
fn a_create_that_fails_at_any_call_leaves_the_world_as_it_was() {
    let engine = engine();
    let neighbour = running(&engine, "neighbour");
    let before = world(&engine);
    for (successes, (step, operand)) in FULL_CALLS.into_iter().enumerate() {
        engine.platform().fail_after(Some(successes));
        let error = run(&engine, engine.create(request("web", FULL))).unwrap_err();
        assert!(!engine.platform().failure_is_due());
        assert_eq!((error.errno(), error.step()), (FAILURE, Some(step)));
        assert_eq!(error.to_string(), std::format!("{operand:?}: EIO: Input/output error ({})", step.name()));
        assert_eq!(world(&engine), before, "after a failure of {step:?}");
        assert!(engine.open(&None, "web").is_err());
        assert_eq!(engine.next_after(&None, 0).unwrap().key(), neighbour.key());
        assert!(engine.next_after(&None, neighbour.key().cookie()).is_none());
    }
    engine.platform().fail_after(Some(FULL_CALLS.len()));
    create(&engine, "web", FULL);
    assert!(engine.platform().failure_is_due(), "there is a call that no test failed");
}

#[test]
fn a_create_that_is_dropped_at_any_wait_leaves_the_world_as_it_was() {
    let engine = engine();
    engine.platform().wait_once(true);
    // All but the charge may wait.
    let waits = FULL_CALLS.len() - 1;
    for polls in 1..=waits {
        assert!(poll_times(engine.create(request("web", FULL)), polls).is_none());
        assert_eq!(world(&engine), World::default(), "dropped after {polls} polls");
        assert!(engine.next_after(&None, 0).is_none());
    }
    assert!(poll_times(engine.create(request("web", FULL)), waits + 1).is_some());
}

#[test]
fn a_start_that_fails_or_is_dropped_leaves_the_container_created() {
    let engine = engine();
    let container = create(&engine, "web", FULL);
    let before = world(&engine);
    engine.platform().fail_after(Some(0));
    let error = run(&engine, engine.start(&container)).unwrap_err();
    assert_eq!((error.errno(), error.step()), (FAILURE, Some(Step::Start)));
    assert_eq!((container.status(), world(&engine)), (Some(Status::Created), before.clone()));

    engine.platform().wait_once(true);
    assert!(poll_times(engine.start(&container), 1).is_none());
    assert_eq!((container.status(), world(&engine)), (Some(Status::Created), before));

    run(&engine, engine.start(&container)).unwrap();
    assert_eq!(container.status(), Some(Status::Running));
}

#[test]
fn a_kill_that_fails_changes_nothing() {
    let engine = engine();
    let container = running(&engine, "web");
    let before = world(&engine);
    engine.platform().fail_after(Some(0));
    assert_eq!(errno(engine.kill(&container, Signal::SIGKILL)), Some(FAILURE));
    assert_eq!((container.status(), world(&engine)), (Some(Status::Running), before));
    engine.kill(&container, Signal::SIGTERM).unwrap();
    assert_eq!(world(&engine).processes.values().next().unwrap().signals, [Signal::SIGTERM]);
}

#[test]
fn a_forced_delete_that_fails_changes_nothing_and_one_that_succeeds_leaks_nothing() {
    for start in [false, true] {
        let engine = engine();
        let container = if start { running(&engine, "web") } else { create(&engine, "web", FULL) };
        let (status, before) = (container.status(), world(&engine));
        engine.platform().fail_after(Some(0));
        assert_eq!(errno(run(&engine, engine.delete(&container, DeleteFlags::FORCE))), Some(FAILURE));
        assert_eq!((container.status(), world(&engine)), (status, before));

        engine.platform().fail_after(Some(1));
        run(&engine, engine.delete(&container, DeleteFlags::FORCE)).unwrap();
        assert!(engine.platform().failure_is_due(), "there is a call that no test failed");
        assert_eq!(world(&engine), World::default());
        assert!(engine.next_after(&None, 0).is_none());
    }
}

#[test]
fn a_forced_delete_that_is_dropped_while_it_waits_has_killed_and_no_more() {
    let engine = engine();
    let container = running(&engine, "web");
    assert!(poll_times(engine.delete(&container, DeleteFlags::FORCE), 3).is_none());
    assert_eq!(container.status(), Some(Status::Running));
    report(&engine);
    assert_eq!(container.status(), Some(Status::Stopped));
    run(&engine, engine.delete(&container, DeleteFlags::empty())).unwrap();
    assert_eq!(world(&engine), World::default());
}

#[test]
fn a_forced_delete_waits_for_an_end_that_is_not_reported_yet() {
    let engine = engine();
    let container = running(&engine, "web");
    engine.platform().end(container.key(), WaitStatus::Exited(7));
    run(&engine, engine.delete(&container, DeleteFlags::FORCE)).unwrap();
    assert_eq!(container.exit().unwrap().status, WaitStatus::Exited(7));
    assert_eq!(world(&engine), World::default());
}
