use super::*;

fn world() -> World {
    let world = World::new();
    for directory in ["/a", "/a/b", "/a/b/c"] {
        world.mkdir(directory).expect("a directory");
    }
    world.write("/a/file", b"").expect("a file");
    world.symlink("b/c", "/a/relative").expect("a link");
    world.symlink("/a/b", "/absolute").expect("a link");
    world.symlink("loop", "/loop").expect("a link");
    world.symlink("nowhere", "/dangling").expect("a link");
    world.symlink("../../../../a", "/a/b/up").expect("a link");
    world
}

#[test]
fn paths_lead_where_path_resolution_says() {
    let world = world();
    let cases: &[(&str, Result<&str, Errno>)] = &[
        ("/", Ok("/")),
        ("//a///b//", Ok("/a/b")),
        ("/a/./b/../b/c/.", Ok("/a/b/c")),
        ("/../../a", Ok("/a")),
        ("a/b", Ok("/a/b")),
        (".", Ok("/")),
        ("..", Ok("/")),
        ("/a/relative", Ok("/a/b/c")),
        ("/a/relative/..", Ok("/a/b")),
        ("/absolute/c", Ok("/a/b/c")),
        ("/a/b/up/b", Ok("/a/b")),
        ("/a/file/", Err(Errno::ENOTDIR)),
        ("/a/file/.", Err(Errno::ENOTDIR)),
        ("/a/file/x", Err(Errno::ENOTDIR)),
        ("/a/none", Err(Errno::ENOENT)),
        ("/none/..", Err(Errno::ENOENT)),
        ("/dangling", Err(Errno::ENOENT)),
        ("/loop", Err(Errno::ELOOP)),
        ("/loop/x", Err(Errno::ELOOP)),
        ("", Err(Errno::ENOENT)),
    ];
    for (path, expected) in cases {
        let found = world.find(path).map(|location| world.context.path_of(&location).expect("linked"));
        let found = found.map(|path| alloc::string::String::from_utf8(path).expect("text"));
        assert_eq!(found.as_deref().map_err(|errno| *errno), *expected, "{path}");
    }
}

#[test]
fn names_and_paths_have_their_limits() {
    let world = World::new();
    let name = |length: usize| "n".repeat(length);
    world.mkdir(&name(255)).expect("255 bytes are a name");
    assert_eq!(world.mkdir(&name(256)), Err(Errno::ENAMETOOLONG));
    assert_eq!(world.find(&name(256)).err(), Some(Errno::ENAMETOOLONG));
    assert!(world.find(&"/".repeat(4095)).is_ok());
    assert_eq!(world.find(&"/".repeat(4096)).err(), Some(Errno::ENAMETOOLONG));
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let world = World::new();
    world.mkdir("/0").expect("a directory");
    for n in 1..=41 {
        world.symlink(&alloc::format!("{}", n - 1), &alloc::format!("/{n}")).expect("a link");
    }
    assert!(world.find("/40").is_ok());
    assert_eq!(world.find("/41").err(), Some(Errno::ELOOP));
}

#[test]
fn a_link_is_followed_at_the_end_only_if_asked_or_before_a_slash() {
    let world = world();
    let caller = world.caller();
    let root = &world.context.root;
    let link = caller.resolve(root, b"/absolute", false).expect("the link itself");
    assert_eq!(link.inode().file_type(), FileType::Symlink);
    assert!(caller.resolve(root, b"/absolute/", false).expect("followed").inode().is_directory());
    assert_eq!(world.open("/absolute", OpenFlags::NOFOLLOW).err(), Some(Errno::ELOOP));
    let path = world.open("/absolute", OpenFlags::NOFOLLOW | OpenFlags::PATH).expect("a place");
    assert_eq!(caller.read_link(path.location().expect("named")), Ok(b"/a/b".to_vec()));
    assert_eq!(read_from(&path, &mut [0; 4]), Err(Errno::EBADF));
}

#[test]
fn the_process_root_is_the_end_of_up() {
    let mut world = world();
    world.context = world.caller().chroot(world.find("/a/b").expect("it is there")).expect("root may");
    world.chdir("/c");
    assert_eq!(world.cwd(), "/c");
    assert!(world.find("../../../..").expect("the root") == world.context.root);
    // An absolute link starts at the process's root, where there is no /a.
    assert_eq!(world.find("/up").err(), Some(Errno::ENOENT));
}

#[test]
fn a_removed_working_directory_has_no_path_and_takes_no_entries() {
    let mut world = world();
    world.mkdir("/gone").expect("a directory");
    world.chdir("/gone");
    world.rmdir("/gone").expect("empty");
    assert_eq!(world.context.path_of(&world.context.cwd), Err(Errno::ENOENT));
    assert_eq!(world.mkdir("x"), Err(Errno::ENOENT));
    assert!(world.find("..").expect("where it was") == world.context.root);
}

#[test]
fn open_with_create_follows_the_table_of_its_errors() {
    let world = world();
    let create = OpenFlags::CREAT | OpenFlags::WRONLY;
    assert_eq!(world.open("/a/new/", create).err(), Some(Errno::EISDIR));
    assert_eq!(world.open("/a", create).err(), Some(Errno::EISDIR));
    assert_eq!(world.open("/", create).err(), Some(Errno::EISDIR));
    assert_eq!(world.open("/a/file", create | OpenFlags::EXCL).err(), Some(Errno::EEXIST));
    assert_eq!(world.open("/dangling", create | OpenFlags::EXCL).err(), Some(Errno::EEXIST));
    assert_eq!(world.open("/a/file", OpenFlags::DIRECTORY).err(), Some(Errno::ENOTDIR));
    assert_eq!(world.open("/a", OpenFlags::RDWR).err(), Some(Errno::EISDIR));
    // A dangling link is made to lead somewhere.
    world.open("/dangling", create).expect("made");
    assert!(world.find("/nowhere").is_ok());
}
