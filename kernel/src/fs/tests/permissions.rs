use super::*;

#[test]
fn owner_group_and_others_are_told_apart() {
    let root = World::new();
    root.write("/f", b"x").expect("a file");
    let file = root.find("/f").expect("there");
    root.caller().chown(&file, Some(10), Some(20)).expect("root may");
    root.caller().chmod(&file, 0o640).expect("root may");
    let owner = root.as_user(10);
    let member = World { credentials: Credentials::of(11, 20, Arc::default()), ..root.as_user(11) };
    let other = root.as_user(12);
    assert!(owner.open("/f", OpenFlags::RDWR).is_ok());
    assert!(member.open("/f", OpenFlags::empty()).is_ok());
    assert_eq!(member.open("/f", OpenFlags::RDWR).err(), Some(Errno::EACCES));
    assert_eq!(other.open("/f", OpenFlags::empty()).err(), Some(Errno::EACCES));
    assert_eq!(other.caller().chmod(&file, 0o777), Err(Errno::EPERM));
    assert_eq!(owner.caller().chown(&file, Some(11), None), Err(Errno::EPERM));
    assert_eq!(owner.caller().chown(&file, None, Some(99)), Err(Errno::EPERM));
    assert_eq!(root.caller().access(&file, &root.credentials, Access::EXECUTE), Err(Errno::EACCES));
}

#[test]
fn a_directory_without_search_permission_is_closed() {
    let root = World::new();
    root.mkdir("/d").expect("a directory");
    root.write("/d/f", b"").expect("a file");
    root.caller().chmod(&root.find("/d").expect("there"), 0o700).expect("root may");
    let user = root.as_user(1);
    assert_eq!(user.find("/d/f").err(), Some(Errno::EACCES));
    assert_eq!(user.find("/d/none").err(), Some(Errno::EACCES));
    assert_eq!(user.write("/d/new", b""), Err(Errno::EACCES));
    assert_eq!(user.unlink("/d/f"), Err(Errno::EACCES));
    assert_eq!(user.caller().chroot(user.find("/").expect("root")).err(), Some(Errno::EPERM));
}

#[test]
fn in_a_sticky_directory_only_owners_remove() {
    let root = World::new();
    // The root of a tmpfs is sticky and open to all.
    let (one, two) = (root.as_user(1), root.as_user(2));
    one.write("/f", b"").expect("a file");
    assert_eq!(two.unlink("/f"), Err(Errno::EPERM));
    assert_eq!(two.rename("/f", "/g", RenameFlags::empty()), Err(Errno::EPERM));
    one.unlink("/f").expect("its owner");
}

#[test]
fn set_group_id_directories_hand_their_group_down() {
    let root = World::new();
    root.mkdir("/d").expect("a directory");
    let directory = root.find("/d").expect("there");
    root.caller().chown(&directory, None, Some(7)).expect("root may");
    root.caller().chmod(&directory, 0o2777).expect("root may");
    let user = root.as_user(1);
    user.mkdir("/d/sub").expect("a directory");
    user.write("/d/f", b"").expect("a file");
    let sub = user.find("/d/sub").expect("there").inode().status();
    assert_eq!((sub.gid, sub.mode & 0o2000), (7, 0o2000));
    assert_eq!(user.find("/d/f").expect("there").inode().status().gid, 7);
}

#[test]
fn set_id_bits_go_when_somebody_else_writes() {
    let root = World::new();
    root.write("/f", b"x").expect("a file");
    let file = root.find("/f").expect("there");
    let mode = || file.inode().status().mode;
    root.caller().chmod(&file, 0o6777).expect("root may");
    root.write_to(&root.open("/f", OpenFlags::WRONLY).expect("open"), b"y").expect("written");
    assert_eq!(mode(), 0o6777);
    let user = root.as_user(1);
    user.write_to(&user.open("/f", OpenFlags::WRONLY).expect("open"), b"z").expect("written");
    assert_eq!(mode(), 0o777);
}

#[test]
fn umask_masks_what_is_made() {
    let mut world = World::new();
    world.context.umask = 0o027;
    world.mkdir("/d").expect("a directory");
    world.open("/f", OpenFlags::CREAT | OpenFlags::WRONLY).expect("a file");
    assert_eq!(world.find("/d").expect("there").inode().status().mode, 0o750);
    assert_eq!(world.find("/f").expect("there").inode().status().mode, 0o640);
}

#[test]
fn devices_need_a_capability_to_be_made() {
    let root = World::new();
    let make = |world: &World, path: &str| {
        let null = DeviceNumber::new(1, 3);
        world.caller().mknod(&world.context.cwd, path.as_bytes(), FileType::CharacterDevice, 0o666, null)
    };
    assert_eq!(make(&root.as_user(1), "/null"), Err(Errno::EPERM));
    make(&root, "/null").expect("root may");
    root.write("/null", b"gone").expect("taken");
    assert_eq!(root.read("/null"), Ok(Vec::new()));
    assert_eq!(root.find("/null").expect("there").inode().status().special.to_bits(), 0x103);
}
