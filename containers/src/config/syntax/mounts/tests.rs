use super::*;

fn parse(value: &str) -> Result<Mount, String> {
    super::parse(value, &mut Variables::new(&[("COLON", "a:b\\"), ("OPTIONS", "ro,nosuid")]))
}

fn tmpfs(size: Option<Bytes>, mode: u16) -> Filesystem {
    Filesystem::Tmpfs(TmpfsOptions { size, mode, ..TmpfsOptions::default() })
}

#[test]
fn the_forms_of_a_bind_mount() {
    for (value, recursive) in [
        ("/d:bind:/s", false),
        ("/d:rbind:/s", true),
        ("/d:bind:/s:rbind", true),
        ("/d:bind:/s:bind", false),
        ("/d:none:/s:rbind", true),
        ("/d:rbind:/s:rbind", true),
    ] {
        let mount = parse(value).unwrap();
        assert_eq!(mount.filesystem, Filesystem::Bind { recursive }, "{value}");
        assert_eq!((mount.destination.as_str(), mount.source.as_str()), ("/d", "/s"));
    }
}

#[test]
fn options_set_and_clear_flags() {
    let mount = parse("/d:bind:/s:ro, suid ,nodev,exec").unwrap();
    assert_eq!(mount.set, MountFlags::READ_ONLY | MountFlags::NO_DEV);
    assert_eq!(mount.cleared, MountFlags::NO_SUID | MountFlags::NO_EXEC);
    let mount = parse("/d:tmpfs:tmpfs:rw,noexec,size=64m,mode=755").unwrap();
    assert_eq!((mount.set, mount.cleared), (MountFlags::NO_EXEC, MountFlags::empty()));
    assert_eq!(mount.filesystem, tmpfs(Some(Bytes(64 << 20)), 0o755));
    let mount = parse("/d:tmpfs:t:size=0").unwrap();
    assert_eq!(mount.filesystem, tmpfs(None, 0o1777));
    assert_eq!(parse("/dev:dev:dev:${OPTIONS}").unwrap().set, MountFlags::READ_ONLY | MountFlags::NO_SUID);
}

#[test]
fn a_colon_is_escaped_and_one_in_a_variable_does_not_divide() {
    let mount = parse(r"/a\:b\\:bind:${COLON}").unwrap();
    assert_eq!((mount.destination.as_str(), mount.source.as_str()), (r"/a:b\", r"a:b\"));
}

#[test]
fn what_is_malformed_is_refused() {
    for value in [
        "",
        "/d",
        "/d:tmpfs",
        "/d:tmpfs:",
        ":tmpfs:t",
        "d:tmpfs:t",
        "/:tmpfs:t",
        "/d/..:tmpfs:t",
        "/d:tmpfs:t:ro:rw",
        "/d:tmpfs:t:",
        "/d:tmpfs:t:ro,",
        "/d:tmpfs:t:ro,ro",
        "/d:tmpfs:t:ro,rw",
        "/d:tmpfs:t:bogus",
        "/d:tmpfs:t:size=",
        "/d:tmpfs:t:size=max",
        "/d:tmpfs:t:size=x",
        "/d:tmpfs:t:size=-1",
        "/d:tmpfs:t:mode=9",
        "/d:tmpfs:t:size=1,size=2",
        "/d:tmpfs:t:bind",
        "/d:dev:t:mode=755",
        "/d:bind:s:size=1",
        "/d:rbind:s:bind",
        "/d:bind:s:bind,rbind",
        "/d:none:s",
        "/d:floppy:s",
        r"/d\x:tmpfs:t",
        r"/d:tmpfs:t\",
        "/d:tmpfs:t:ro\\",
        "/d:tmpfs:t:size",
        "/d::t",
    ] {
        assert!(parse(value).is_err(), "{value}");
    }
}

#[test]
fn known_but_not_enforced_sounds_different_from_unknown() {
    for value in ["/d:ext4:d", "/d:tmpfs:t:huge=always", "/d:bind:b:idmap", "/d:tmpfs:t:size=50%"] {
        assert!(parse(value).unwrap_err().contains("does not enforce"), "{value}");
    }
    assert!(!parse("/d:floppy:s").unwrap_err().contains("enforce"));
    assert!(!parse("/d:tmpfs:t:bogus").unwrap_err().contains("enforce"));
}

#[test]
fn every_type_has_its_settings_and_no_others() {
    for (value, printed) in [
        ("/p:proc:proc:defaults", "/p:proc:proc"),
        ("/s:sysfs:sysfs:ro,relatime,async", "/s:sysfs:sysfs:relatime,ro"),
        ("/t:tmpfs:t:uid=1,gid=0,nr_inodes=1k,tmpcopyup,loud", "/t:tmpfs:t:tmpcopyup,nr_inodes=1024,uid=1"),
        ("/d:devpts:d:newinstance,ptmxmode=0666,mode=0620,gid=5", "/d:devpts:d:gid=5,mode=620,ptmxmode=666"),
        ("/d:devpts:d:max=7,uid=0", "/d:devpts:d:max=7,uid=0"),
        ("/q:mqueue:q", "/q:mqueue:q"),
        ("/c:cgroup:cgroup:ro", "/c:cgroup2:cgroup:ro"),
        (r"/o:overlay:o:lowerdir=/a\:b", r"/o:overlay:o:lowerdir=/a\:b"),
        (
            r"/o:overlay:o:workdir=w,lowerdir=/a\:b\\\:c\\,d,upperdir=u\\\\",
            r"/o:overlay:o:lowerdir=/a\:b\\\:c\\,d,upperdir=u\\\\,workdir=w",
        ),
        ("/b:bind:b:rro,ratime,rslave,rw", "/b:bind:b:rw,ratime,rro,rslave"),
        ("/b:none:b:remount,bind,ro", "/b:bind:b:ro,remount"),
        ("/b:tmpfs:b:remount,dev", "/b:none:b:dev,remount"),
    ] {
        let mount = parse(value).unwrap_or_else(|reason| panic!("{value}: {reason}"));
        assert_eq!(std::format!("{}", Printed(&mount)), printed);
        assert_eq!(parse(printed), Ok(mount));
    }
    for value in [
        "/p:proc:p:mode=1",
        "/d:devpts:d:size=1",
        "/d:devpts:d:newinstances",
        "/d:devpts:d:ptmxmode",
        "/d:dev:d:tmpcopyup",
        "/t:tmpfs:t:gid=x",
        "/o:overlay:o",
        "/o:overlay:o:lowerdir=",
        r"/o:overlay:o:lowerdir=/a\:",
        "/o:overlay:o:lowerdir=/a,upperdir=/u",
        "/o:overlay:o:lowerdir=/a,workdir=/w",
        "/b:bind:b:remount,size=1",
        "/b:bind:b:private,shared",
        "/b:bind:b:private,rprivate",
    ] {
        assert!(parse(value).is_err(), "{value}");
    }
}

#[test]
fn of_contrary_options_of_config_json_the_last_counts() {
    let mount = |kind: &str, options: &[&str]| {
        from_parts("/d".into(), kind, "/s".into(), options.iter().copied())
            .map(|mount| std::format!("{}", Printed(&mount)))
    };
    assert_eq!(mount("bind", &["bind", "rprivate", "rbind", "ro", "rw"]).as_deref(), Ok("/d:rbind:/s:rw,rprivate"));
    assert_eq!(mount("rbind", &["rbind", "bind", "slave", "private"]).as_deref(), Ok("/d:rbind:/s:private"));
    assert_eq!(mount("proc", &["bind"]).as_deref(), Ok("/d:bind:/s"));
    assert_eq!(mount("tmpfs", &["size=1", "size=2"]).as_deref(), Ok("/d:tmpfs:/s:size=2"));
}
