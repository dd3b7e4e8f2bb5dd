use super::*;
use crate::namespace::{UserNamespace, user::Creator};

const NONE: MountFlags = MountFlags::empty();
const PLAIN: UmountFlags = UmountFlags::empty();

/// A tmpfs on `/a` that is shared, with a directory `d` in it, and empty directories `/b` and `/c`.
fn shared() -> World {
    let world = World::new();
    for directory in ["/a", "/b", "/c"] {
        world.mkdir(directory).expect("a directory");
    }
    world.mount("tmpfs", "/a", NONE, "").expect("mounted");
    world.share("/a", Sharing::Shared).expect("shared");
    world.mkdir("/a/d").expect("a directory");
    world
}

fn tmpfs(world: &World, path: &str) -> Result<(), Errno> {
    world.mount("tmpfs", path, NONE, "")
}

/// Whether something is mounted at `path`.
fn is_mounted(world: &World, path: &str) -> bool {
    world.find(path).expect("there").is_mount_root()
}

fn mountinfo(world: &World) -> alloc::string::String {
    alloc::string::String::from_utf8(world.context.mountinfo_text()).expect("text")
}

/// The optional fields of the mount at `path`, with numbers from 1 on in the order of their first appearance.
fn fields(world: &World, path: &str) -> alloc::string::String {
    let info = mountinfo(world);
    let mut line = info.lines().rfind(|line| line.split(' ').nth(4) == Some(path)).expect("mounted").split(' ').skip(6);
    let fields: Vec<&str> = line.by_ref().take_while(|field| *field != "-").collect();
    fields.join(" ").chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[test]
fn a_mount_on_a_shared_mount_is_on_its_peers() {
    let world = shared();
    world.bind("/a", "/b", false).expect("bound");
    let other = world.unshared();
    tmpfs(&world, "/a/d").expect("mounted");
    world.write("/a/d/f", b"x").expect("a file");
    for (seer, path) in [(&world, "/b/d/f"), (&other, "/a/d/f"), (&other, "/b/d/f")] {
        assert_eq!(seer.read(path), Ok(b"x".to_vec()), "{path}");
    }
    // Back from the other namespace, and unmounting too.
    tmpfs(&other, "/b/d").expect("on top");
    assert_eq!(world.find("/a/d/f").err(), Some(Errno::ENOENT));
    other.umount("/a/d", PLAIN).expect("nobody uses any of the four");
    assert_eq!(world.read("/a/d/f"), Ok(b"x".to_vec()));
    let user = other.open("/a/d/f", OpenFlags::empty()).expect("open");
    assert_eq!(world.umount("/b/d", PLAIN), Err(Errno::EBUSY));
    assert!(is_mounted(&world, "/b/d") && is_mounted(&other, "/b/d"));
    drop(user);
    world.umount("/b/d", PLAIN).expect("nobody uses it");
    assert!(!is_mounted(&world, "/a/d") && !is_mounted(&other, "/a/d") && !is_mounted(&other, "/b/d"));
    assert_eq!((world.context.namespace.mounts(), other.context.namespace.mounts()), (3, 3));
}

#[test]
fn a_slave_receives_and_does_not_send() {
    let world = shared();
    let other = world.unshared();
    other.share("/a", Sharing::Slave).expect("slave");
    assert_eq!((fields(&world, "/a"), fields(&other, "/a")), ("shared:".into(), "master:".into()));
    tmpfs(&world, "/a/d").expect("mounted");
    assert!(is_mounted(&other, "/a/d"));
    tmpfs(&other, "/a/d").expect("its own, on top");
    other.write("/a/d/own", b"").expect("a file");
    assert_eq!(world.find("/a/d/own").err(), Some(Errno::ENOENT));
    world.umount("/a/d", PLAIN).expect("nobody uses it");
    // What came from the master goes from beneath; the slave's own stays.
    assert!(other.find("/a/d/own").is_ok());
    other.umount("/a/d", PLAIN).expect("nobody uses it");
    assert!(!is_mounted(&other, "/a/d"));
    // A mount of the master's comes beneath what the slave has mounted there.
    tmpfs(&other, "/a/d").expect("its own");
    other.write("/a/d/own", b"").expect("a file");
    tmpfs(&world, "/a/d").expect("mounted");
    assert!(other.find("/a/d/own").is_ok());
    other.umount("/a/d", PLAIN).expect("nobody uses it");
    assert!(is_mounted(&other, "/a/d"));
    assert_eq!(fields(&other, "/a/d"), "master:");
}

#[test]
fn a_shared_slave_hands_on_to_its_own_peers_and_slaves() {
    let world = shared();
    let middle = world.unshared();
    middle.share("/a", Sharing::Slave).expect("slave");
    middle.share("/a", Sharing::Shared).expect("shared");
    assert_eq!(fields(&middle, "/a"), "shared: master:");
    let last = middle.unshared();
    last.share("/a", Sharing::Slave).expect("slave");
    let peer = middle.unshared();
    tmpfs(&world, "/a/d").expect("mounted");
    for seer in [&middle, &last, &peer] {
        assert!(is_mounted(seer, "/a/d"));
    }
    assert_eq!(fields(&peer, "/a/d"), "shared: master:");
    assert_eq!(fields(&last, "/a/d"), "master:");
    tmpfs(&peer, "/a/d").expect("mounted");
    for (seer, count) in [(&world, 3), (&middle, 4), (&last, 4), (&peer, 4)] {
        assert_eq!(seer.context.namespace.mounts(), count);
    }
    // The group in the middle loses its members: what came through it still comes.
    drop(middle);
    drop(peer);
    world.mkdir("/a/e").expect("a directory");
    tmpfs(&world, "/a/e").expect("mounted");
    assert!(is_mounted(&last, "/a/e"));
    assert_eq!(fields(&last, "/a"), "master:");
    drop(world);
    assert_eq!(fields(&last, "/a"), "");
}

#[test]
fn private_and_unbindable_mounts_keep_to_themselves() {
    let world = shared();
    let other = world.unshared();
    other.share("/a", Sharing::Private).expect("private");
    tmpfs(&world, "/a/d").expect("mounted");
    assert!(!is_mounted(&other, "/a/d"));
    other.share("/a", Sharing::Unbindable).expect("unbindable");
    assert_eq!(fields(&other, "/a"), "unbindable");
    assert_eq!(other.bind("/a", "/b", false), Err(Errno::EINVAL));
    other.bind("/", "/b", true).expect("bound without what is unbindable");
    assert!(!is_mounted(&other, "/b/a"));
    // A copied namespace has it all the same.
    assert!(is_mounted(&other.unshared(), "/a"));
    let beneath_shared = World::new();
    beneath_shared.mkdir("/a").expect("a directory");
    beneath_shared.mkdir("/b").expect("a directory");
    tmpfs(&beneath_shared, "/b").expect("mounted");
    beneath_shared.share("/b", Sharing::Shared).expect("shared");
    beneath_shared.mkdir("/b/t").expect("a directory");
    tmpfs(&beneath_shared, "/a").expect("mounted");
    beneath_shared.share("/a", Sharing::Unbindable).expect("unbindable");
    let place = |path: &str| beneath_shared.find(path).expect("there");
    assert_eq!(beneath_shared.caller().move_mount(&place("/a"), place("/b/t")), Err(Errno::EINVAL));
}

#[test]
fn moves_of_and_onto_shared_mounts() {
    let world = shared();
    world.bind("/a", "/b", false).expect("bound");
    tmpfs(&world, "/a/d").expect("mounted");
    let place = |path: &str| world.find(path).expect("there");
    // Its parent's peers have it too.
    assert_eq!(world.caller().move_mount(&place("/a/d"), place("/c")), Err(Errno::EINVAL));
    tmpfs(&world, "/c").expect("mounted");
    world.write("/c/f", b"x").expect("a file");
    world.mkdir("/a/e").expect("a directory");
    world.caller().move_mount(&place("/c"), place("/a/e")).expect("moved");
    assert_eq!(world.read("/b/e/f"), Ok(b"x".to_vec()));
    assert!(!is_mounted(&world, "/c"));
    assert_eq!(fields(&world, "/a/e"), "shared:");
    assert_eq!(fields(&world, "/b/e"), "shared:");
    assert_eq!(world.context.namespace.mounts(), 7);
}

#[test]
fn a_bind_mount_of_part_of_a_tree_receives_what_it_shows() {
    let world = shared();
    world.mkdir("/a/d/deep").expect("a directory");
    world.bind("/a/d", "/b", false).expect("bound");
    tmpfs(&world, "/a/d/deep").expect("mounted");
    assert!(is_mounted(&world, "/b/deep"));
    world.mkdir("/a/aside").expect("a directory");
    tmpfs(&world, "/a/aside").expect("mounted");
    assert_eq!(world.context.namespace.mounts(), 6);
}

#[test]
fn a_copy_for_another_user_namespace_is_a_slave() {
    let world = shared();
    let creator = Creator { uid: 0, gid: 0, could_set_file_capabilities: true };
    let owner = UserNamespace::child(UserNamespace::first(), creator).expect("a namespace");
    let other = world.with_context(world.context.with_new_namespace(&owner, world.memory()).expect("copied"));
    assert_eq!(fields(&other, "/a"), "master:");
    tmpfs(&other, "/a/d").expect("mounted");
    assert!(!is_mounted(&world, "/a/d"));
}

#[test]
fn detaching_takes_the_copies_along_but_not_what_others_mounted_on_them() {
    let world = shared();
    let other = world.unshared();
    other.share("/a", Sharing::Slave).expect("slave");
    tmpfs(&world, "/a/d").expect("mounted");
    world.mkdir("/a/d/in").expect("a directory");
    tmpfs(&world, "/a/d/in").expect("mounted");
    world.umount("/a/d", UmountFlags::DETACH).expect("detached");
    assert_eq!((world.context.namespace.mounts(), other.context.namespace.mounts()), (2, 2));
    tmpfs(&world, "/a/d").expect("mounted");
    world.mkdir("/a/d/in").expect("a directory");
    tmpfs(&other, "/a/d/in").expect("its own, inside");
    world.umount("/a/d", UmountFlags::DETACH).expect("detached");
    assert!(is_mounted(&other, "/a/d") && is_mounted(&other, "/a/d/in"));
}

#[test]
fn too_many_mounts_are_refused_whole() {
    let world = shared();
    // Each doubles what is there: peers of the mount, each with all that the others have.
    let mut outcome = Ok(());
    for turn in 0..64 {
        let directory = alloc::format!("/a/{turn}");
        world.mkdir(&directory).expect("a directory");
        let before = world.context.namespace.mounts();
        outcome = world.bind("/a", &directory, true);
        if outcome.is_err() {
            assert_eq!(world.context.namespace.mounts(), before);
            assert!(before > 1000);
            break;
        }
    }
    assert_eq!(outcome, Err(Errno::ENOSPC));
    world.umount("/a", UmountFlags::DETACH).expect("all of it goes");
    assert_eq!(world.context.namespace.mounts(), 1);
}

#[test]
fn what_mounts_cost_is_paid_and_given_back() {
    let world = shared();
    let before = world.memory().current_bytes();
    let other = world.unshared();
    tmpfs(&world, "/a/d").expect("mounted");
    assert!(world.memory().current_bytes() > before);
    world.umount("/a/d", PLAIN).expect("nobody uses it");
    drop(other);
    assert_eq!(world.memory().current_bytes(), before);
    let poor = World::with_limit(Some(24 << 12));
    poor.mkdir("/m").expect("a directory");
    let refused = (0..1000).find_map(|_| poor.bind("/", "/m", false).err());
    assert_eq!(refused, Some(Errno::ENOMEM));
}

#[test]
fn mountinfo_has_linuxs_form() {
    let world = World::new();
    world.mkdir("/a b").expect("a directory");
    world.mkdir("/a b/#").expect("a directory");
    let new = NewMount {
        kind: b"tmpfs",
        source: b"x\ty",
        data: b"size=64k,mode=700,uid=5",
        flags: MountFlags::NOSUID | MountFlags::NOATIME | MountFlags::NOSYMFOLLOW,
        superblock: SuperFlags::SYNCHRONOUS | SuperFlags::LAZYTIME,
    };
    world.caller().mount(world.find("/a b").expect("there"), &new).expect("mounted");
    world.bind("/a b", "/a b", false).expect("bound");
    world.remount("/a b", MountFlags::RDONLY).expect("set");
    let info = mountinfo(&world);
    let lines: Vec<Vec<&str>> = info.lines().map(|line| line.split(' ').collect()).collect();
    assert_eq!(lines[0][3..6], ["/", "/", "rw,relatime"]);
    assert_eq!(lines[0][6..], ["-", "tmpfs", "rootfs", "rw"]);
    assert_eq!(lines[1][1], lines[0][0]);
    let rest = "/ /a\\040b rw,nosuid,noatime,nosymfollow - tmpfs x\\011y rw,sync,lazytime,size=64k,mode=700,uid=5";
    assert_eq!(lines[1][3..].join(" "), rest);
    assert_eq!(lines[2][1], lines[1][0]);
    assert_eq!(lines[2][4..8], ["/a\\040b", "ro,relatime", "-", "tmpfs"]);
    let mounts = alloc::string::String::from_utf8(world.context.mounts_text()).expect("text");
    let last = "x\\011y /a\\040b tmpfs ro,sync,lazytime,relatime,size=64k,mode=700,uid=5 0 0";
    assert_eq!(mounts.lines().last(), Some(last));
    // Who has another root sees what is beneath it, from there.
    world.mkdir("/jail").expect("a directory");
    tmpfs(&world, "/jail").expect("mounted");
    world.mkdir("/jail/in").expect("a directory");
    tmpfs(&world, "/jail/in").expect("mounted");
    let jail = world.with_context(world.caller().chroot(world.find("/jail").expect("there")).expect("root may"));
    let points: Vec<Vec<u8>> = jail.context.mounts_text().split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
    assert_eq!(points.len(), 3);
    assert!(points[0].starts_with(b"none / tmpfs") && points[1].starts_with(b"none /in tmpfs"));
}
