use super::*;

#[test]
fn rename_follows_the_table_of_its_errors() {
    let world = World::new();
    for directory in ["/d", "/d/e", "/full", "/full/x", "/empty"] {
        world.mkdir(directory).expect("a directory");
    }
    world.write("/f", b"f").expect("a file");
    world.write("/g", b"g").expect("a file");
    let none = RenameFlags::empty();
    let cases: &[(&str, &str, RenameFlags, Errno)] = &[
        ("/none", "/x", none, Errno::ENOENT),
        ("/f", "/f/x", none, Errno::ENOTDIR),
        ("/f", "/d", none, Errno::EISDIR),
        ("/d", "/f", none, Errno::ENOTDIR),
        ("/f/", "/x", none, Errno::ENOTDIR),
        ("/f", "/x/", none, Errno::ENOTDIR),
        ("/d", "/d/e/x", none, Errno::EINVAL),
        ("/d/e", "/d", none, Errno::ENOTEMPTY),
        ("/d", "/full", none, Errno::ENOTEMPTY),
        ("/d/.", "/x", none, Errno::EBUSY),
        ("/", "/x", none, Errno::EBUSY),
        ("/f", "/g", RenameFlags::NOREPLACE, Errno::EEXIST),
        ("/f", "/x", RenameFlags::EXCHANGE, Errno::ENOENT),
        ("/f", "/g", RenameFlags::all(), Errno::EINVAL),
    ];
    for (old, new, flags, errno) in cases {
        assert_eq!(world.rename(old, new, *flags), Err(*errno), "{old} -> {new}");
    }
    assert_eq!(world.read("/f"), Ok(b"f".to_vec()));
    world.rename("/f", "/g", none).expect("replaces");
    assert_eq!(world.read("/g"), Ok(b"f".to_vec()));
    assert_eq!(world.find("/f").err(), Some(Errno::ENOENT));
    world.rename("/d", "/empty", none).expect("onto an empty directory");
    assert!(world.find("/empty/e").is_ok());
}

#[test]
fn exchange_swaps_and_counts_links() {
    let world = World::new();
    world.mkdir("/a").expect("a directory");
    world.mkdir("/a/sub").expect("a directory");
    world.mkdir("/b").expect("a directory");
    world.write("/b/file", b"content").expect("a file");
    let links = |path: &str| world.find(path).expect("there").inode().status().links;
    assert_eq!((links("/"), links("/a"), links("/b")), (4, 3, 2));
    world.rename("/a/sub", "/b/file", RenameFlags::EXCHANGE).expect("swapped");
    assert_eq!(world.read("/a/sub"), Ok(b"content".to_vec()));
    assert!(world.find("/b/file").expect("there").inode().is_directory());
    assert_eq!((links("/"), links("/a"), links("/b")), (4, 2, 3));
    let moved = world.find("/b/file").expect("there");
    assert_eq!(world.context.path_of(&moved), Ok(b"/b/file".to_vec()));
}

#[test]
fn hard_links_share_and_keep_the_file() {
    let world = World::new();
    world.write("/one", b"data").expect("a file");
    let one = world.find("/one").expect("there");
    world.caller().link(&one, &world.context.cwd, b"/two").expect("linked");
    assert_eq!(one.inode().status().links, 2);
    world.rename("/one", "/two", RenameFlags::empty()).expect("two names of one file: nothing happens");
    world.unlink("/one").expect("removed");
    assert_eq!(one.inode().status().links, 1);
    assert_eq!(world.read("/two"), Ok(b"data".to_vec()));
    world.mkdir("/d").expect("a directory");
    let directory = world.find("/d").expect("there");
    assert_eq!(world.caller().link(&directory, &world.context.cwd, b"/e"), Err(Errno::EPERM));
    world.unlink("/two").expect("removed");
    assert_eq!(world.caller().link(&one, &world.context.cwd, b"/back"), Err(Errno::ENOENT));
}

#[test]
fn removal_follows_the_table_of_its_errors() {
    let world = World::new();
    world.mkdir("/d").expect("a directory");
    world.write("/d/f", b"").expect("a file");
    assert_eq!(world.unlink("/d"), Err(Errno::EISDIR));
    assert_eq!(world.unlink("/d/f/"), Err(Errno::ENOTDIR));
    assert_eq!(world.rmdir("/d/f"), Err(Errno::ENOTDIR));
    assert_eq!(world.rmdir("/d"), Err(Errno::ENOTEMPTY));
    assert_eq!(world.rmdir("/d/."), Err(Errno::EINVAL));
    assert_eq!(world.rmdir("/d/.."), Err(Errno::ENOTEMPTY));
    assert_eq!(world.rmdir("/"), Err(Errno::EBUSY));
    world.unlink("/d/f").expect("removed");
    world.rmdir("/d/").expect("removed");
    assert_eq!(world.find("/d").err(), Some(Errno::ENOENT));
}

#[test]
fn reading_a_directory_survives_changes() {
    let world = World::new();
    for n in 0..10 {
        world.write(&alloc::format!("/{n}"), b"").expect("a file");
    }
    let directory = world.open("/", OpenFlags::DIRECTORY).expect("a directory");
    let mut seen: Vec<Vec<u8>> = Vec::new();
    let mut some = |count: usize| {
        let mut left = count;
        directory
            .read_directory(|entry| {
                if left == 0 {
                    return false;
                }
                left -= 1;
                seen.push(entry.name.to_vec());
                true
            })
            .expect("readable");
    };
    some(5);
    for gone in ["/0", "/3", "/7"] {
        world.unlink(gone).expect("removed");
    }
    world.write("/late", b"").expect("a file");
    some(100);
    let names: Vec<&str> = seen.iter().map(|name| core::str::from_utf8(name).expect("text")).collect();
    assert_eq!(names, [".", "..", "0", "1", "2", "4", "5", "6", "8", "9", "late"]);
}

#[test]
fn a_tree_of_any_depth_is_freed_without_recursion() {
    let world = World::new();
    let mut deepest = world.context.clone();
    for _ in 0..20_000 {
        let caller = Caller { context: &deepest, ..world.caller() };
        caller.mkdir(&deepest.cwd, b"d", 0o755).expect("a directory");
        let next = caller.resolve(&deepest.cwd, b"d", true).expect("just made");
        deepest.cwd = next;
    }
    drop(deepest);
    let World { context, group, .. } = world;
    assert!(group.memory.current_bytes() > 0);
    drop(context);
    assert_eq!(group.memory.current_bytes(), 0);
}
