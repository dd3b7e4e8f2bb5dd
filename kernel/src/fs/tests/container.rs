use super::*;

fn host() -> World {
    let world = World::new();
    for directory in ["/bundle", "/bundle/rootfs", "/bundle/data", "/etc"] {
        world.mkdir(directory).expect("a directory");
    }
    world.write("/etc/secret", b"host").expect("a file");
    world.write("/bundle/rootfs/hello", b"hi").expect("a file");
    world.write("/bundle/data/file", b"data").expect("a file");
    world
}

fn container(world: &World) -> ContainerMounts {
    let root = world.find("/bundle/rootfs").expect("there");
    ContainerMounts::new(&world.caller(), &root, crate::namespace::UserNamespace::first()).expect("a namespace")
}

fn request(destination: &str, source: MountSource) -> MountRequest<'_> {
    MountRequest {
        destination: destination.as_bytes(),
        source,
        name: b"",
        flags: Reflag::default(),
        flags_beneath: Reflag::default(),
        superblock: SuperFlags::empty(),
        sharing: None,
    }
}

const PRIVATE: (Sharing, bool) = (Sharing::Private, false);

fn tmpfs() -> MountSource {
    MountSource::Tmpfs(TmpfsOptions::default())
}

#[test]
fn a_container_sees_its_root_and_its_mounts_alone() {
    let host = host();
    let mut mounts = container(&host);
    let bind = MountSource::Bind { source: host.find("/bundle/data").expect("there"), recursive: true };
    mounts.add(&host.caller(), request("/dev", MountSource::Dev)).expect("mounted");
    mounts.add(&host.caller(), request("/mnt/deep/data", bind)).expect("mounted");
    mounts.add(&host.caller(), request("/tmp/", tmpfs())).expect("mounted");
    mounts.complete(true, PRIVATE).expect("nobody writes");
    let inside = host.with_context(mounts.context());
    assert_eq!(inside.read("/hello"), Ok(b"hi".to_vec()));
    assert_eq!(inside.read("/mnt/deep/data/file"), Ok(b"data".to_vec()));
    assert_eq!(inside.read("/dev/null"), Ok(Vec::new()));
    assert_eq!(inside.write("/new", b""), Err(Errno::EROFS));
    inside.write("/tmp/new", b"").expect("a mount of its own is not read-only");
    assert_eq!(inside.find("/../../etc/secret").err(), Some(Errno::ENOENT));
    assert!(inside.find("..").expect("up") == inside.context.root);
    assert!(inside.context.root.mount.place().is_none());
    // Nothing of it is seen outside.
    assert_eq!(host.find("/bundle/rootfs/tmp/new").err(), Some(Errno::ENOENT));
    assert_eq!(host.context.namespace.mounts(), 1);
    host.write("/bundle/rootfs/hello", b"ho").expect("the bundle itself is not read-only");
}

#[test]
fn links_do_not_lead_a_mount_out_of_the_root() {
    let host = host();
    host.symlink("/etc", "/bundle/rootfs/absolute").expect("a link");
    host.symlink("../../../etc", "/bundle/rootfs/up").expect("a link");
    host.symlink("/nowhere/at/all", "/bundle/rootfs/dangling").expect("a link");
    let mut mounts = container(&host);
    // In the container there is no /etc: links that lead there lead nowhere, and are not made to lead somewhere.
    for destination in ["/absolute", "/up/x", "/dangling", "/absolute/secret"] {
        let refused = mounts.add(&host.caller(), request(destination, tmpfs()));
        assert_eq!(refused, Err(Errno::ENOENT), "{destination}");
    }
    mounts.add(&host.caller(), request("/etc", tmpfs())).expect("mounted");
    mounts.add(&host.caller(), request("/absolute/sub", tmpfs())).expect("beneath the container's own /etc");
    let inside = host.with_context(mounts.context());
    inside.write("/etc/sub/f", b"").expect("a file");
    assert_eq!(host.list("/etc"), [&b"."[..], b"..", b"secret"]);
    for wrong in ["/", "/..", "relative", ""] {
        assert_eq!(mounts.add(&host.caller(), request(wrong, tmpfs())), Err(Errno::EINVAL), "{wrong}");
    }
}

#[test]
fn what_is_undone_leaves_the_bundle_as_it_was() {
    let host = host();
    let before = (host.list("/bundle/rootfs"), host.memory().current_bytes());
    let mut mounts = container(&host);
    mounts.add(&host.caller(), request("/a/b/c", tmpfs())).expect("mounted");
    let file = MountSource::Bind { source: host.find("/etc/secret").expect("there"), recursive: false };
    mounts.add(&host.caller(), request("/x/file", file.clone())).expect("mounted");
    assert_eq!(host.with_context(mounts.context()).read("/x/file"), Ok(b"host".to_vec()));
    // A mount that fails at its last component takes back those before.
    assert_eq!(mounts.add(&host.caller(), request("/made/hello/x", tmpfs())), Ok(()));
    assert_eq!(mounts.add(&host.caller(), request("/hello/x", tmpfs())), Err(Errno::ENOTDIR));
    assert_eq!(mounts.add(&host.caller(), request("/late/../hello", tmpfs())), Err(Errno::ENOTDIR));
    assert_eq!(host.find("/bundle/rootfs/late").err(), Some(Errno::ENOENT));
    mounts.undo();
    drop(file);
    assert_eq!((host.list("/bundle/rootfs"), host.memory().current_bytes()), before);
}

#[test]
fn flags_are_set_and_cleared() {
    let host = host();
    let mut mounts = container(&host);
    let bind = MountSource::Bind { source: host.find("/bundle/data").expect("there"), recursive: false };
    let set = MountFlags::RDONLY | MountFlags::NOEXEC;
    mounts
        .add(&host.caller(), MountRequest { flags: Reflag { set, ..Reflag::default() }, ..request("/data", bind) })
        .expect("mounted");
    let inside = host.with_context(mounts.context());
    assert_eq!(inside.write("/data/file", b""), Err(Errno::EROFS));
    assert_eq!(inside.find("/data").expect("there").mount.flags(), set);
    assert_eq!(host.write("/bundle/data/file", b"new"), Ok(()));
}

#[test]
fn masked_paths_are_empty_and_refuse_writes_and_absent_ones_are_passed_over() {
    let host = host();
    host.mkdir("/bundle/rootfs/secrets").expect("made");
    host.write("/bundle/rootfs/secrets/key", b"secret").expect("written");
    host.symlink("/secrets", "/bundle/rootfs/way").expect("made");
    host.symlink("/../etc/secret", "/bundle/rootfs/out").expect("made");
    let mut mounts = container(&host);
    assert_eq!(mounts.mask(b"/hello", host.memory()), Ok(()));
    assert_eq!(mounts.mask(b"/way", host.memory()), Ok(()));
    assert_eq!(mounts.mask(b"/none", host.memory()), Ok(()));
    assert_eq!(mounts.mask(b"/hello/below", host.memory()), Ok(()));
    assert_eq!(mounts.mask(b"/out", host.memory()), Ok(()));
    let inside = host.with_context(mounts.context());
    assert_eq!(inside.read("/hello"), Ok(Vec::new()));
    assert_eq!(inside.write("/hello", b"x"), Err(Errno::EROFS));
    assert_eq!(inside.list("/secrets"), [&b"."[..], b".."]);
    assert_eq!(inside.write("/secrets/new", b""), Err(Errno::EROFS));
    assert_eq!(inside.read("/secrets/key"), Err(Errno::ENOENT));
    assert_eq!(host.read("/bundle/rootfs/hello"), Ok(b"hi".to_vec()));
    assert_eq!(host.read("/etc/secret"), Ok(b"host".to_vec()));
}

#[test]
fn read_only_paths_are_so_with_what_is_mounted_beneath() {
    let host = host();
    host.mkdir("/bundle/rootfs/settings").expect("made");
    host.mkdir("/bundle/rootfs/settings/below").expect("made");
    let mut mounts = container(&host);
    mounts.add(&host.caller(), request("/settings/below", tmpfs())).expect("mounted");
    assert_eq!(mounts.protect(b"/settings", host.memory()), Ok(()));
    assert_eq!(mounts.protect(b"/none", host.memory()), Ok(()));
    let inside = host.with_context(mounts.context());
    assert_eq!(inside.write("/settings/new", b""), Err(Errno::EROFS));
    assert_eq!(inside.write("/settings/below/new", b""), Err(Errno::EROFS));
    inside.write("/elsewhere", b"").expect("nothing else is");
    host.write("/bundle/rootfs/settings/new", b"").expect("the bundle itself is not");
}

#[test]
fn what_shows_kernel_objects_is_not_led_elsewhere_by_a_link() {
    let host = host();
    host.symlink("/tmp", "/bundle/rootfs/proc").expect("made");
    host.mkdir("/bundle/rootfs/tmp").expect("made");
    let mut mounts = container(&host);
    let tree = || {
        let superblock = Arc::new(Superblock::new("proc", 0, None, None));
        let attributes = crate::fs::inode::Attributes::new(0o555, 0, 0);
        let content = crate::fs::inode::Content::Directory(veridian_hal::sync::RwLock::new(dentry::Entries::new()));
        MountSource::Tree(Dentry::root(Inode::new(&superblock, attributes, content, host.memory()).expect("memory")))
    };
    for destination in ["/proc", "/proc/", "/proc//"] {
        assert_eq!(mounts.add(&host.caller(), request(destination, tree())), Err(Errno::ELOOP));
    }
    assert_eq!(mounts.add(&host.caller(), request("/tmp", tree())), Ok(()));
}
