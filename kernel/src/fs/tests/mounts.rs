use super::*;

const NONE: MountFlags = MountFlags::empty();
const CREATE: OpenFlags = OpenFlags::CREAT.union(OpenFlags::RDWR);
const PLAIN: UmountFlags = UmountFlags::empty();
const TMPFS: NewMount<'static> =
    NewMount { kind: b"tmpfs", source: b"", data: b"", flags: NONE, superblock: SuperFlags::empty() };

fn mounted() -> World {
    let world = World::new();
    world.mkdir("/m").expect("a directory");
    world.write("/m/under", b"").expect("a file");
    world.mount("tmpfs", "/m", NONE, "").expect("mounted");
    world
}

#[test]
fn a_mount_covers_and_umount_uncovers() {
    let mut world = mounted();
    assert_eq!(world.find("/m/under").err(), Some(Errno::ENOENT));
    world.mkdir("/m/d").expect("a directory");
    world.chdir("/m/d");
    assert_eq!(world.cwd(), "/m/d");
    assert!(world.find("../..").expect("up over the mount point") == world.context.root);
    assert_eq!(world.umount("/m", PLAIN), Err(Errno::EBUSY));
    world.chdir("/");
    assert_eq!(world.umount("/m/d", PLAIN), Err(Errno::EINVAL));
    let file = world.open("/m/f", CREATE).expect("a file");
    assert_eq!(world.umount("/m", PLAIN), Err(Errno::EBUSY));
    drop(file);
    world.umount("/m", PLAIN).expect("nobody uses it");
    assert!(world.find("/m/under").is_ok());
    assert_eq!(world.umount("/m", PLAIN), Err(Errno::EINVAL));
    assert_eq!(world.umount("/", UmountFlags::DETACH), Err(Errno::EINVAL));
}

#[test]
fn a_mount_point_is_neither_removed_nor_renamed() {
    let world = mounted();
    assert_eq!(world.rmdir("/m"), Err(Errno::EBUSY));
    assert_eq!(world.rename("/m", "/n", RenameFlags::empty()), Err(Errno::EBUSY));
    world.mkdir("/n").expect("a directory");
    assert_eq!(world.rename("/n", "/m", RenameFlags::empty()), Err(Errno::EBUSY));
    assert_eq!(world.rename("/m/../n", "/m/n", RenameFlags::empty()), Err(Errno::EXDEV));
}

#[test]
fn a_detached_mount_serves_its_holders_and_leads_nowhere() {
    let mut world = mounted();
    world.mkdir("/m/d").expect("a directory");
    world.mkdir("/m/sub").expect("a directory");
    world.mount("tmpfs", "/m/sub", NONE, "").expect("mounted");
    world.write("/m/d/f", b"kept").expect("a file");
    world.chdir("/m/d");
    world.umount("/m", UmountFlags::DETACH).expect("detached");
    assert_eq!(world.read("f"), Ok(b"kept".to_vec()));
    let top = world.find("../../../..").expect("the root of the mount");
    assert!(top.is_mount_root() && top != world.context.root);
    assert_eq!(world.context.path_of(&top), Ok(b"(unreachable)/".to_vec()));
    assert_eq!(world.context.namespace.mounts(), 1);
    assert_eq!(world.mount("tmpfs", "../sub", NONE, ""), Err(Errno::EINVAL));
}

#[test]
fn a_read_only_mount_refuses_every_change() {
    let world = World::new();
    world.mkdir("/d").expect("a directory");
    world.write("/d/f", b"x").expect("a file");
    world.mkdir("/ro").expect("a directory");
    world.bind("/d", "/ro", false).expect("bound");
    world.remount("/ro", MountFlags::RDONLY).expect("nobody writes");
    let caller = world.caller();
    let cwd = &world.context.cwd;
    let file = world.find("/ro/f").expect("there");
    assert_eq!(world.read("/ro/f"), Ok(b"x".to_vec()));
    let refusals = [
        world.mkdir("/ro/new"),
        world.write("/ro/new", b""),
        world.open("/ro/f", OpenFlags::RDWR).map(drop),
        world.open("/ro/f", OpenFlags::TRUNC).map(drop),
        world.unlink("/ro/f"),
        world.rename("/ro/f", "/ro/g", RenameFlags::empty()),
        world.symlink("x", "/ro/link"),
        caller.link(&file, cwd, b"/ro/g"),
        caller.mknod(cwd, b"/ro/n", FileType::Fifo, 0o666, DeviceNumber::new(0, 0)),
        caller.chmod(&file, 0o777),
        caller.chown(&file, Some(1), None),
        caller.set_times(&file, SetTime::Now, SetTime::Now),
        caller.truncate(&file, 0, u64::MAX),
        caller.access(&file, &world.credentials, Access::WRITE),
    ];
    for (index, refusal) in refusals.into_iter().enumerate() {
        assert_eq!(refusal, Err(Errno::EROFS), "{index}");
    }
    // The other mount of the same directory is not touched.
    world.write("/d/f", b"y").expect("written");
    let writing = world.open("/d/f", OpenFlags::WRONLY).expect("open");
    assert_eq!(world.remount("/", MountFlags::RDONLY), Err(Errno::EBUSY));
    drop(writing);
    world.remount("/", MountFlags::RDONLY).expect("nobody writes any more");
    assert_eq!(world.write("/d/f", b"z"), Err(Errno::EROFS));
}

#[test]
fn nodev_noexec_and_nosuid_forbid_what_they_say() {
    let world = World::new();
    world.mkdir("/dev").expect("a directory");
    world.mount("dev", "/dev", NONE, "").expect("mounted");
    world.open("/dev/null", OpenFlags::RDWR).expect("a device");
    let remount = |flags| world.remount("/dev", flags).expect("set");
    remount(MountFlags::NODEV);
    assert_eq!(world.open("/dev/null", OpenFlags::RDWR).err(), Some(Errno::EACCES));
    world.write("/dev/program", b"#").expect("a file");
    world.caller().chmod(&world.find("/dev/program").expect("there"), 0o4755).expect("root may");
    let open = || world.caller().open_executable(&world.context.cwd, b"/dev/program");
    assert_eq!(open().expect("executable").set_ids.uid, Some(0));
    remount(MountFlags::NOSUID);
    assert_eq!(open().expect("executable").set_ids.uid, None);
    remount(MountFlags::NOEXEC);
    assert_eq!(open().err(), Some(Errno::EACCES));
    let file = world.open("/dev/program", OpenFlags::empty()).expect("readable");
    assert_eq!(file.permit_mapping(true), Err(Errno::EPERM));
    assert_eq!(world.caller().open_executable(&world.context.cwd, b"/dev").err(), Some(Errno::EACCES));
}

#[test]
fn access_times_are_kept_as_the_mount_says() {
    let world = World::new();
    world.write("/f", b"x").expect("a file");
    let old = SetTime::To(Timestamp { seconds: 1, nanoseconds: 0 });
    let accessed = |flags| {
        world.remount("/", flags).expect("set");
        world.caller().set_times(&world.find("/f").expect("there"), old, old).expect("root may");
        world.read("/f").expect("read");
        world.find("/f").expect("there").inode().status().accessed.seconds
    };
    assert_eq!(accessed(MountFlags::NOATIME), 1);
    assert_ne!(accessed(MountFlags::STRICTATIME), 1);
    assert_ne!(accessed(NONE), 1);
}

#[test]
fn a_recursive_bind_takes_what_is_mounted_beneath() {
    let world = mounted();
    world.mkdir("/m/inner").expect("a directory");
    world.mount("tmpfs", "/m/inner", NONE, "").expect("mounted");
    world.write("/m/inner/f", b"").expect("a file");
    world.mkdir("/plain").expect("a directory");
    world.mkdir("/whole").expect("a directory");
    world.bind("/m", "/plain", false).expect("bound");
    world.bind("/m", "/whole", true).expect("bound");
    assert_eq!(world.find("/plain/inner/f").err(), Some(Errno::ENOENT));
    assert!(world.find("/whole/inner/f").is_ok());
    world.write("/file", b"").expect("a file");
    assert_eq!(world.bind("/file", "/plain", false), Err(Errno::ENOTDIR));
    world.bind("/file", "/whole/inner/f", false).expect("a file on a file");
}

#[test]
fn a_directory_moved_out_of_a_bind_mount_has_no_parent_in_it() {
    let mut world = World::new();
    for directory in ["/host", "/host/root", "/host/root/d", "/view"] {
        world.mkdir(directory).expect("a directory");
    }
    world.bind("/host/root", "/view", false).expect("bound");
    let host = world.with_context(world.context.clone());
    world.chdir("/view/d");
    host.rename("/host/root/d", "/host/d", RenameFlags::empty()).expect("moved out");
    assert_eq!(world.find("..").err(), Some(Errno::ENOENT));
    assert_eq!(world.find("../../host").err(), Some(Errno::ENOENT));
}

#[test]
fn moves_and_their_errors() {
    let world = mounted();
    world.mkdir("/n").expect("a directory");
    world.mkdir("/m/d").expect("a directory");
    let place = |path: &str| world.find(path).expect("there");
    let caller = world.caller();
    assert_eq!(caller.move_mount(&place("/m"), place("/m/d")), Err(Errno::ELOOP));
    assert_eq!(caller.move_mount(&place("/n"), place("/m")), Err(Errno::EINVAL));
    caller.move_mount(&place("/m"), place("/n")).expect("moved");
    assert!(world.find("/n/d").is_ok() && world.find("/m/under").is_ok());
}

#[test]
fn mount_flags_that_are_not_enforced_are_refused() {
    use MountCall::{Bind, Move, New, Remount, Share};
    let new = |flags, superblock| {
        let superblock = SuperFlags::from_bits_retain(superblock);
        Ok(New { flags: MountFlags::from_bits_retain(flags), superblock })
    };
    let bind = |recursive| Ok(Bind { recursive, flags: NONE });
    let times = MountFlags::NOATIME | MountFlags::NODIRATIME | MountFlags::STRICTATIME;
    let readonly = |clear| Reflag { clear, set: MountFlags::RDONLY };
    let cases: &[(u64, Result<MountCall, Errno>)] = &[
        (0, new(0, 0)),
        (0xc0ed_0000 | 1, new(1, 1)),
        (1 | 2 | 4 | 8 | 1 << 15 | 1 << 21, new(15, 1)),
        (16 | 64 | 128 | 1 << 8 | 1 << 23 | 1 << 25, new(1 << 8, 16 | 64 | 128 | 1 << 23 | 1 << 25)),
        // Of the ways to keep access times, the strict one wins.
        (1 << 10 | 1 << 24, new(1 << 24, 0)),
        (4096, bind(false)),
        (4096 | 16384, bind(true)),
        (4096 | 32 | 1, Ok(Remount { flags: readonly(MountFlags::all() - times), superblock: None })),
        (4096 | 32 | 1 | 1 << 21, Ok(Remount { flags: readonly(MountFlags::all()), superblock: None })),
        (
            32 | 1 | 16,
            Ok(Remount {
                flags: readonly(MountFlags::all() - times),
                superblock: Some(SuperFlags::RDONLY | SuperFlags::SYNCHRONOUS),
            }),
        ),
        (8192, Ok(Move)),
        (1 << 17, Ok(Share { sharing: Sharing::Unbindable, recursive: false })),
        (1 << 18 | 16384, Ok(Share { sharing: Sharing::Private, recursive: true })),
        (1 << 19 | 16384 | 1 << 15, Ok(Share { sharing: Sharing::Slave, recursive: true })),
        (1 << 20, Ok(Share { sharing: Sharing::Shared, recursive: false })),
        (1 << 18 | 1 << 19, Err(Errno::EINVAL)),
        (1 << 18 | 1, Err(Errno::EINVAL)),
        (1 << 18 | 16, Err(Errno::EINVAL)),
        (8192 | 1, Err(Errno::EINVAL)),
        (8192 | 4096, Err(Errno::EINVAL)),
        (16384, Err(Errno::EINVAL)),
        (1 << 16, Err(Errno::EINVAL)),
        (1 << 40, Err(Errno::EINVAL)),
    ];
    for (bits, expected) in cases {
        assert_eq!(MountCall::from_flags(*bits), *expected, "{bits:#x}");
    }
    let world = mounted();
    assert_eq!(world.mount("ext4", "/m", NONE, ""), Err(Errno::ENODEV));
    assert_eq!(world.mount("dev", "/m", NONE, "size=1m"), Err(Errno::EINVAL));
    assert_eq!(world.as_user(1).mount("tmpfs", "/m", NONE, ""), Err(Errno::EPERM));
    assert_eq!(world.as_user(1).umount("/m", PLAIN), Err(Errno::EPERM));
}

fn pivoted() -> World {
    let mut world = World::new();
    world.write("/secret", b"old").expect("a file");
    world.mkdir("/new").expect("a directory");
    world.mount("tmpfs", "/new", NONE, "").expect("mounted");
    world.mkdir("/new/old").expect("a directory");
    let place = |path: &str| world.find(path).expect("there");
    let context = world.caller().pivot_root(place("/new"), place("/new/old")).expect("pivoted");
    world.context = context;
    world
}

#[test]
fn pivot_root_follows_the_table_of_its_errors() {
    let world = mounted();
    for directory in ["/plain", "/m/old", "/m/d"] {
        world.mkdir(directory).expect("a directory");
    }
    world.write("/m/file", b"").expect("a file");
    let pivot =
        |world: &World, new: &str, old: &str| world.caller().pivot_root(world.find(new)?, world.find(old)?).map(drop);
    assert_eq!(pivot(&world, "/", "/m"), Err(Errno::EBUSY));
    assert_eq!(pivot(&world, "/m", "/"), Err(Errno::EBUSY));
    assert_eq!(pivot(&world, "/m", "/plain"), Err(Errno::EBUSY));
    assert_eq!(pivot(&world, "/plain", "/m/old"), Err(Errno::EBUSY));
    assert_eq!(pivot(&world, "/m/d", "/m/old"), Err(Errno::EINVAL));
    assert_eq!(pivot(&world, "/m", "/m/file"), Err(Errno::ENOTDIR));
    assert_eq!(pivot(&world.as_user(1), "/m", "/m/old"), Err(Errno::EPERM));
    world.mkdir("/other").expect("a directory");
    world.mount("tmpfs", "/other", NONE, "").expect("mounted");
    assert_eq!(pivot(&world, "/m", "/other"), Err(Errno::EINVAL));
    let jail = world.with_context(world.caller().chroot(world.find("/plain").expect("there")).expect("root may"));
    let (new, old) = (world.find("/m").expect("there"), world.find("/m/old").expect("there"));
    assert_eq!(jail.caller().pivot_root(new, old).err(), Some(Errno::EINVAL));
    pivot(&world, "/m", "/m/old").expect("pivoted");
}

#[test]
fn after_pivot_root_and_detach_nothing_leads_to_the_old_root() {
    let mut world = pivoted();
    assert_eq!(world.read("/old/secret"), Ok(b"old".to_vec()));
    assert!(world.find("/old/..").expect("up") == world.context.root);
    world.symlink("/old/secret", "/link").expect("a link");
    let kept = world.open("/old", OpenFlags::PATH).expect("a descriptor on the old root");
    world.umount("/old", UmountFlags::DETACH).expect("detached");
    assert_eq!(world.find("/link").err(), Some(Errno::ENOENT));
    assert_eq!(world.find("/../secret").err(), Some(Errno::ENOENT));
    // Chroot twice: a working directory above the root climbs no further than the new root.
    world.mkdir("/jail").expect("a directory");
    world.context.root = world.find("/jail").expect("there");
    assert!(world.find("../../..").expect("up") == world.context.namespace.root());
    // Who kept a descriptor sees the old tree and cannot get from it into the new one, nor mount there.
    let base = kept.location().expect("named");
    assert!(world.caller().resolve(base, b"secret", true).is_ok());
    let up = world.caller().resolve(base, b"../..", true).expect("stays");
    assert!(up == *base);
    assert_eq!(world.caller().mount(base.clone(), &TMPFS), Err(Errno::EINVAL));
    assert_eq!(world.caller().bind(base, world.find(".").expect("here"), false, NONE), Err(Errno::EINVAL));
}

#[test]
fn the_old_root_can_be_stacked_on_the_new_and_detached() {
    // pivot_root(".", ".") and umount2(".", MNT_DETACH), as the manual page has it.
    let mut world = World::new();
    world.write("/secret", b"old").expect("a file");
    world.mkdir("/new").expect("a directory");
    world.mount("tmpfs", "/new", NONE, "").expect("mounted");
    world.write("/new/mine", b"new").expect("a file");
    world.chdir("/new");
    let here = world.find(".").expect("here");
    world.context = world.caller().pivot_root(here.clone(), here).expect("pivoted");
    world.umount(".", UmountFlags::DETACH).expect("the old root lies on top");
    assert_eq!(world.read("/mine"), Ok(b"new".to_vec()));
    assert_eq!(world.find("/secret").err(), Some(Errno::ENOENT));
    assert_eq!(world.context.namespace.mounts(), 1);
}

#[test]
fn a_copied_namespace_lives_its_own_life() {
    let mut world = mounted();
    world.mkdir("/m/d").expect("a directory");
    world.chdir("/m/d");
    let copy = world.unshared();
    assert_eq!(copy.cwd(), "/m/d");
    assert!(copy.context.cwd != world.context.cwd);
    copy.mount("tmpfs", "/m/d", NONE, "").expect("mounted");
    copy.write("/m/d/f", b"").expect("a file");
    assert_eq!(world.find("/m/d/f").err(), Some(Errno::ENOENT));
    // The files are the same, the mounts are not; nor may one namespace's mounts be changed from the other.
    copy.write("/m/shared", b"").expect("a file");
    assert!(world.find("/m/shared").is_ok());
    let foreign = world.find("/m").expect("there");
    assert_eq!(copy.caller().umount(foreign.clone(), UmountFlags::DETACH), Err(Errno::EINVAL));
    assert_eq!(copy.caller().bind(&foreign, copy.find("/m").expect("there"), false, NONE), Err(Errno::EINVAL));
    assert_eq!(copy.caller().mount(foreign, &TMPFS), Err(Errno::EINVAL));
}

#[test]
fn a_dropped_namespace_frees_its_mounts_and_their_files() {
    let world = World::new();
    let before = world.memory().current_bytes();
    let copy = world.unshared();
    world.mkdir("/m").expect("a directory");
    let with_directory = world.memory().current_bytes();
    for _ in 0..50 {
        copy.mount("tmpfs", "/m", NONE, "").expect("stacked");
        copy.write("/m/f", &[1; 5000]).expect("a file");
    }
    assert_eq!(world.rmdir("/m"), Err(Errno::EBUSY));
    let file = copy.open("/m/f", OpenFlags::empty()).expect("open");
    let watch = Arc::downgrade(copy.context.namespace.root().mount.superblock());
    drop(copy);
    assert!(watch.upgrade().is_some());
    assert!(world.memory().current_bytes() > with_directory, "the open file keeps its mount");
    assert_eq!(file.read_at(0, &mut [0; 8]), Ok(8));
    drop(file);
    assert_eq!(world.memory().current_bytes(), with_directory);
    world.rmdir("/m").expect("nothing is mounted there any more");
    assert_eq!(world.memory().current_bytes(), before);
}
