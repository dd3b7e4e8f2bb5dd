use veridian_containers::abi::{Errno, WaitStatus};
use veridian_containers::config::{Process, Resources};
use veridian_containers::engine::{ExecRequest, Exit};

use super::*;

/// Another container of the same kind, as config.json.
const JSON: &str = r#"{"ociVersion": "1.0.2", "root": {"path": "/srv/web/rootfs"},
    "process": {"cwd": "/", "args": ["/bin/other"], "user": {"uid": 0, "gid": 0}},
    "linux": {"namespaces": [{"type": "mount"}], "maskedPaths": [], "readonlyPaths": [],
              "resources": {"memory": {"limit": 65536}}, "seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}}}"#;

#[test]
fn a_container_lives_within_its_bounds_and_leaves_nothing() {
    let told = transcript().unwrap();
    let told: Vec<_> = told.iter().map(String::as_str).collect();
    assert!(
        told[0].starts_with("created: {\"ociVersion\":") && told[0].contains("\"status\":\"created\""),
        "{}",
        told[0]
    );
    let expected = [
        "web",
        "a page",
        "read /../../etc/secret: ENOENT",
        "write /log: EROFS",
        "fork: EAGAIN",
        "fork: EAGAIN",
        "runs: 2 tasks of 2",
        "ended: killed by SIGKILL",
        "refused: \"namespace\": EINVAL: network is known, but this kernel does not enforce it yet",
        "left behind: nothing",
    ];
    assert_eq!(told[1..], expected);
}

#[test]
fn what_fails_at_any_operation_leaves_nothing_and_is_told() {
    let engine = boot();
    let before = engine.platform().lock().world.clone();
    let mut steps = Vec::new();
    for successes in 0.. {
        engine.platform().lock().fails_after = Some(successes);
        let outcome = create(&engine, "web", WEB);
        if engine.platform().lock().fails_after.take().is_some() {
            drive(engine.delete(&outcome.unwrap(), DeleteFlags::FORCE), || tick(&engine)).unwrap();
            break;
        }
        steps.push(outcome.unwrap_err().to_string());
        assert_eq!(engine.platform().lock().world, before, "{steps:?}");
    }
    assert_eq!(engine.platform().lock().world, before);
    let names: Vec<_> = steps.iter().filter_map(|step| step.rsplit('(').next()).collect();
    let all = ["reserve id)", "cgroup)", "namespaces)", "hostname)", "root)", "process)", "pivot_root)", "process)"];
    assert_eq!(names, all);
}

#[test]
fn what_is_not_enforced_is_refused_whether_it_is_said_or_holds_by_default() {
    let engine = boot();
    let before = engine.platform().lock().world.clone();
    for (document, key) in [
        (WEB.replace("seccomp=unconfined\n", ""), "seccomp"),
        (WEB.replace("masked_path=none\n", ""), "masked_path"),
        (format!("{WEB}mount=/www:bind:/data:ro\n"), "mount"),
        (format!("{WEB}namespace=pid\n"), "namespace"),
        (format!("{WEB}process_uid=5\n"), "process_uid"),
        (format!("{WEB}cpu_shares=5\n"), "cpu_shares"),
        (format!("{WEB}hook_poststop=/bin/x\n"), "hook_poststop"),
    ] {
        let error = create(&engine, "web", &document).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{key:?}: EINVAL: ")) && error.contains("does not enforce"), "{error}");
    }
    assert_eq!(engine.platform().lock().world, before);
}

#[test]
fn calls_that_this_kernel_does_not_have_are_refused_and_change_nothing() {
    let engine = boot();
    let web = create(&engine, "web", WEB).unwrap();
    drive(engine.start(&web), || {}).unwrap();
    let before = engine.platform().lock().world.clone();
    let process = Process::parse(b"process_args=[\"server\"]\n", &[]).unwrap();
    let exec = drive(engine.exec(&web, ExecRequest { process: &process, caller: &() }), || {}).map(drop);
    let update = drive(engine.update(&web, &Resources::parse(b"pids_limit=3\n", &[]).unwrap()), || {});
    for refused in [exec, update, drive(engine.pause(&web), || {})] {
        assert_eq!(refused.unwrap_err().errno(), Errno::ENOSYS);
    }
    assert_eq!(engine.kill(&web, Signal::SIGHUP).unwrap_err().errno(), Errno::EOPNOTSUPP);
    assert_eq!(engine.platform().lock().world, before);
    engine.kill(&web, Signal::SIGKILL).unwrap();
    drive(web.stopped(), || tick(&engine));
}

/// Runs a program to its end in a container of config.json.
fn end_of(program: &str, engine: &Engine<Toy>) -> Exit {
    engine.platform().lock().world.files.insert("/srv/web/rootfs/bin/other".into(), program.into());
    let container = create(engine, "json", JSON).unwrap();
    drive(engine.start(&container), || {}).unwrap();
    let exit = drive(container.stopped(), || tick(engine));
    drive(engine.delete(&container, DeleteFlags::empty()), || tick(engine)).unwrap();
    exit
}

#[test]
fn config_json_is_understood_and_its_limits_hold() {
    let engine = boot();
    let exit = end_of("write /log\nexit 3", &engine);
    assert_eq!(exit.status, WaitStatus::Exited(3));
    assert!(engine.platform().lock().world.files.contains_key("/srv/web/rootfs/log"), "its root can be written");
    let hog = end_of("fork\ntake 40000\ntake 40000", &engine);
    assert!(hog.oom_killed && hog.memory_peak == 40_000 && hog.tasks_peak == 2, "{hog:?}");
    assert!(engine.platform().lock().world.tasks.is_empty(), "what it had forked ended with it");
}
