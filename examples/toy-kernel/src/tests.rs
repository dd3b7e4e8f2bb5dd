use super::*;

#[test]
fn containers_live_within_their_bounds_and_leave_nothing() {
    let told = transcript().unwrap();
    let told: Vec<_> = told.iter().map(String::as_str).collect();
    assert!(
        told[0].starts_with("created: {\"ociVersion\":") && told[0].contains("\"status\":\"created\""),
        "{}",
        told[0]
    );
    let expected = [
        "    web",
        "    a page",
        "    write /www/page: EROFS",
        "    read /../../etc/secret: ENOENT",
        "    fork: EAGAIN",
        "    fork: EAGAIN",
        "runs: 2 tasks of 2",
        "paused: nothing is said",
        "    hello from inside",
        "ended: killed by SIGKILL",
        "    write /log: EROFS",
        "config.json ended: exited with status 3",
        "refused: \"namespace\": EINVAL: cgroup is known, but this kernel does not enforce it yet",
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
    let all = [
        "reserve id)",
        "cgroup)",
        "namespaces)",
        "hostname)",
        "root)",
        "mount)",
        "process)",
        "pivot_root)",
        "process)",
    ];
    assert_eq!(names, all);
}

#[test]
fn what_is_not_enforced_is_refused_whether_it_is_said_or_holds_by_default() {
    let engine = boot();
    let before = engine.platform().lock().world.clone();
    for (document, key) in [
        (WEB.replace("seccomp=unconfined\n", ""), "seccomp"),
        (WEB.replace("masked_path=none\n", ""), "masked_path"),
        (WEB.replace(":ro\n", ":ro,nosuid\n"), "mount"),
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
fn a_hog_is_killed_at_its_limit() {
    let engine = boot();
    let hog = create(&engine, "hog", &WEB.replace("server", "hog")).unwrap();
    drive(engine.start(&hog), || {}).unwrap();
    let exit = drive(hog.stopped(), || tick(&engine));
    assert!(exit.oom_killed && exit.memory_peak == 40_000, "{exit:?}");
}
