use super::*;
use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
};

const NONE: MountFlags = MountFlags::empty();
const NEVER: RenameFlags = RenameFlags::empty();

/// Three lower layers, the uppermost first: `/l1`, `/l2`, `/l3`; `/upper`, `/work`, and the mount point `/m`.
fn layers() -> World {
    let world = World::new();
    for directory in ["/l1", "/l2", "/l3", "/rw", "/rw/upper", "/rw/work", "/m"] {
        world.mkdir(directory).expect("a directory");
    }
    world
}

const OPTIONS: &str = "lowerdir=/l1:/l2:/l3,upperdir=/rw/upper,workdir=/rw/work";

fn overlay(world: &World) {
    world.mount("overlay", "/m", NONE, OPTIONS).expect("mounted");
}

fn whiteout(world: &World, path: &str) {
    let cwd = &world.context.cwd;
    world
        .caller()
        .mknod(cwd, path.as_bytes(), FileType::CharacterDevice, 0, DeviceNumber::new(0, 0))
        .expect("a whiteout");
}

fn opaque(world: &World, path: &str) {
    let place = world.find(path).expect("there");
    let name = b"trusted.overlay.opaque";
    world.caller().set_xattr(&place, name, b"y", XattrFlags::empty()).expect("set");
}

fn is_opaque(world: &World, path: &str) -> bool {
    let place = world.find(path).expect("there");
    world.caller().get_xattr(&place, b"trusted.overlay.opaque").as_deref() == Ok(b"y")
}

fn is_whiteout(world: &World, path: &str) -> bool {
    let status = world.find(path).expect("there").inode().status();
    status.file_type == FileType::CharacterDevice && status.special.to_bits() == 0
}

/// The names in a directory, sorted; look-up must agree with them.
fn names(world: &World, path: &str) -> Vec<String> {
    let mut names: Vec<String> = world.list(path).into_iter().map(|n| String::from_utf8(n).expect("text")).collect();
    names.retain(|name| name != "." && name != "..");
    for name in &names {
        assert!(
            world.caller().resolve(&world.context.cwd, format!("{path}/{name}").as_bytes(), false).is_ok(),
            "{name}"
        );
    }
    let unique: BTreeSet<&String> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "{names:?}");
    names.sort();
    names
}

#[test]
fn all_layers_are_merged_and_the_uppermost_wins() {
    let world = layers();
    for (layer, text) in [("/l1", "1"), ("/l2", "2"), ("/l3", "3")] {
        world.mkdir(&format!("{layer}/d")).expect("a directory");
        world.write(&format!("{layer}/d/common"), text.as_bytes()).expect("a file");
        world.write(&format!("{layer}/d/only{text}"), text.as_bytes()).expect("a file");
    }
    world.write("/l2/file", b"a file").expect("a file");
    world.mkdir("/l3/file").expect("a directory of that name, lower");
    world.write("/l3/file/hidden", b"").expect("a file");
    overlay(&world);
    assert_eq!(names(&world, "/m/d"), ["common", "only1", "only2", "only3"]);
    assert_eq!(world.read("/m/d/common"), Ok(b"1".to_vec()));
    assert_eq!(world.read("/m/d/only3"), Ok(b"3".to_vec()));
    assert_eq!(world.read("/m/file"), Ok(b"a file".to_vec()));
    assert_eq!(world.find("/m/file/hidden").err(), Some(Errno::ENOTDIR));
    assert_eq!(world.list("/rw/upper").len(), 2, "looking changes nothing");
}

#[test]
fn whiteouts_count_in_every_layer_and_opaque_directories_hide_what_is_below() {
    let world = layers();
    for layer in ["/l1", "/l2", "/l3"] {
        world.mkdir(&format!("{layer}/d")).expect("a directory");
    }
    world.write("/l3/gone", b"").expect("a file");
    whiteout(&world, "/l2/gone");
    world.write("/l3/d/gone", b"").expect("a file");
    whiteout(&world, "/l2/d/gone");
    world.write("/l2/d/back", b"2").expect("a file");
    whiteout(&world, "/l1/d/back");
    world.mkdir("/l2/o").expect("a directory");
    world.mkdir("/l3/o").expect("a directory");
    world.write("/l2/o/seen", b"").expect("a file");
    world.write("/l3/o/hidden", b"").expect("a file");
    opaque(&world, "/l2/o");
    world.mkdir("/l1/w").expect("a directory");
    whiteout(&world, "/l2/w");
    world.mkdir("/l3/w").expect("a directory");
    world.write("/l3/w/hidden", b"").expect("a file");
    overlay(&world);
    assert_eq!(names(&world, "/m"), ["d", "o", "w"]);
    assert_eq!(names(&world, "/m/d"), [""; 0]);
    assert_eq!(names(&world, "/m/o"), ["seen"]);
    assert_eq!(names(&world, "/m/w"), [""; 0]);
    for gone in ["/m/gone", "/m/d/gone", "/m/d/back", "/m/o/hidden", "/m/w/hidden"] {
        assert_eq!(world.find(gone).err(), Some(Errno::ENOENT), "{gone}");
    }
}

#[test]
fn a_write_copies_the_file_and_its_directories_whole() {
    let world = layers();
    world.mkdir("/l2/a").expect("a directory");
    world.mkdir("/l2/a/b").expect("a directory");
    let text: Vec<u8> = (0..20000_u32).map(|n| n as u8).collect();
    world.write("/l2/a/b/f", &text).expect("a file");
    let lower = world.find("/l2/a/b/f").expect("there");
    world.caller().chown(&lower, Some(5), Some(6)).expect("root may");
    world.caller().chmod(&lower, 0o640).expect("root may");
    world.caller().set_xattr(&lower, b"user.k", b"v", XattrFlags::empty()).expect("set");
    let time = SetTime::To(Timestamp { seconds: 77, nanoseconds: 1 });
    world.caller().set_times(&lower, time, time).expect("root may");
    overlay(&world);
    let before = world.find("/m/a/b/f").expect("there").inode().status();
    let old = world.open("/m/a/b/f", OpenFlags::empty()).expect("open");
    let appended = world.open("/m/a/b/f", OpenFlags::WRONLY | OpenFlags::APPEND).expect("open");
    let copied = world.find("/rw/upper/a/b/f").expect("copied").inode().status();
    assert_eq!((copied.uid, copied.gid, copied.mode, copied.modified.seconds), (5, 6, 0o640, 77));
    let upper = world.find("/rw/upper/a/b/f").expect("copied");
    assert_eq!(world.caller().get_xattr(&upper, b"user.k"), Ok(b"v".to_vec()));
    world.write_to(&appended, b"more").expect("written");
    let expected = [&text[..], b"more"].concat();
    assert_eq!(world.read("/m/a/b/f").as_ref(), Ok(&expected));
    assert_eq!(world.read("/rw/upper/a/b/f").as_ref(), Ok(&expected));
    assert_eq!(world.read("/l2/a/b/f").as_ref(), Ok(&text));
    let after = world.find("/m/a/b/f").expect("there").inode().status();
    assert_eq!((before.inode, before.device), (after.inode, after.device));
    // Who had it open before reads the lower one.
    assert_eq!(old.read_at(20000, &mut [0; 8]), Ok(0));
    assert_eq!(names(&world, "/rw/upper/a/b"), ["f"]);
    let hidden = world.caller().list_xattrs(&world.find("/m/a/b/f").expect("there"));
    assert_eq!(hidden, b"user.k\0");
}

#[test]
fn truncation_attributes_and_links_copy_as_much_as_they_need() {
    let world = layers();
    for name in ["cut", "mode", "owner", "time", "xattr", "link", "opened"] {
        world.write(&format!("/l1/{name}"), &[7; 9000]).expect("a file");
    }
    overlay(&world);
    let caller = world.caller();
    let place = |name: &str| world.find(&format!("/m/{name}")).expect("there");
    world.open("/m/cut", OpenFlags::WRONLY | OpenFlags::TRUNC).expect("open");
    assert_eq!(world.read("/rw/upper/cut"), Ok(Vec::new()));
    caller.chmod(&place("mode"), 0o600).expect("root may");
    caller.chown(&place("owner"), Some(9), None).expect("root may");
    caller.set_times(&place("time"), SetTime::Now, SetTime::Omit).expect("root may");
    caller.set_xattr(&place("xattr"), b"user.a", b"b", XattrFlags::empty()).expect("set");
    caller.link(&place("link"), &world.context.cwd, b"/m/other").expect("linked");
    let reading = world.open("/m/opened", OpenFlags::empty()).expect("open");
    caller.chmod(&*reading, 0o604).expect("by a descriptor for reading");
    for name in ["mode", "owner", "time", "xattr", "link", "opened", "other"] {
        assert_eq!(world.read(&format!("/m/{name}")), Ok([7; 9000].to_vec()), "{name}");
        assert!(world.find(&format!("/rw/upper/{name}")).is_ok(), "{name}");
    }
    assert_eq!(place("opened").inode().status().mode, 0o604);
    assert_eq!(reading.inode().status().mode, 0o604);
    assert_eq!(place("owner").inode().status().uid, 9);
    assert_eq!(place("link").inode().status().links, 2);
    assert_eq!(place("link").inode().number(), place("other").inode().number());
    for name in ["cut", "mode", "owner", "link"] {
        let status = world.find(&format!("/l1/{name}")).expect("there").inode().status();
        assert_eq!((status.mode, status.uid, status.length_bytes, status.links), (0o644, 0, 9000, 1), "{name}");
    }
}

#[test]
fn removal_leaves_a_whiteout_only_where_one_is_needed() {
    let world = layers();
    world.mkdir("/l3/d").expect("a directory");
    world.write("/l3/d/f", b"3").expect("a file");
    overlay(&world);
    assert_eq!(world.rmdir("/m/d"), Err(Errno::ENOTEMPTY));
    world.unlink("/m/d/f").expect("removed");
    assert!(is_whiteout(&world, "/rw/upper/d/f"));
    assert_eq!(names(&world, "/m/d"), [""; 0]);
    world.rmdir("/m/d").expect("nothing is seen in it");
    assert!(is_whiteout(&world, "/rw/upper/d"));
    assert_eq!(world.unlink("/m/d"), Err(Errno::ENOENT));
    world.write("/m/mine", b"").expect("a file");
    world.unlink("/m/mine").expect("removed");
    assert_eq!(names(&world, "/rw/upper"), ["d"]);
    // Made anew, what was below stays hidden.
    world.mkdir("/m/d").expect("a directory");
    assert!(is_opaque(&world, "/rw/upper/d"));
    assert_eq!(names(&world, "/m/d"), [""; 0]);
    world.write("/m/d/f", b"new").expect("a file");
    assert_eq!(world.read("/m/d/f"), Ok(b"new".to_vec()));
    assert_eq!(world.read("/l3/d/f"), Ok(b"3".to_vec()));
    // All of it is in the layers: another mount of them shows the same.
    world.umount("/m", UmountFlags::empty()).expect("nobody uses it");
    overlay(&world);
    assert_eq!((names(&world, "/m"), names(&world, "/m/d")), (["d".to_string()].into(), ["f".to_string()].into()));
}

#[test]
fn renames_leave_whiteouts_and_directories_of_lower_layers_stay() {
    let world = layers();
    world.mkdir("/l1/low").expect("a directory");
    world.write("/l1/f", b"f").expect("a file");
    world.write("/l1/g", b"g").expect("a file");
    world.mkdir("/l1/target").expect("a directory");
    world.write("/l1/target/below", b"").expect("a file");
    overlay(&world);
    assert_eq!(world.rename("/m/low", "/m/moved", NEVER), Err(Errno::EXDEV));
    world.rename("/m/f", "/m/low/f", NEVER).expect("renamed");
    assert!(is_whiteout(&world, "/rw/upper/f"));
    assert_eq!(world.find("/m/f").err(), Some(Errno::ENOENT));
    assert_eq!(world.read("/m/low/f"), Ok(b"f".to_vec()));
    world.rename("/m/low/f", "/m/f", NEVER).expect("and back");
    assert_eq!((names(&world, "/m/low"), world.read("/m/f")), (Vec::new(), Ok(b"f".to_vec())));
    world.rename("/m/f", "/m/g", RenameFlags::EXCHANGE).expect("exchanged");
    assert_eq!((world.read("/m/f"), world.read("/m/g")), (Ok(b"g".to_vec()), Ok(b"f".to_vec())));
    world.rename("/m/f", "/m/g", NEVER).expect("replaced");
    assert_eq!(world.find("/m/f").err(), Some(Errno::ENOENT));
    assert_eq!(world.read("/m/g"), Ok(b"g".to_vec()));
    // A new directory that comes to the name of a lower one is not merged with it.
    world.mkdir("/m/new").expect("a directory");
    world.write("/m/new/inside", b"").expect("a file");
    assert_eq!(world.rename("/m/new", "/m/target", NEVER), Err(Errno::ENOTEMPTY));
    world.unlink("/m/target/below").expect("removed");
    world.rename("/m/new", "/m/target", NEVER).expect("renamed");
    assert_eq!(names(&world, "/m/target"), ["inside"]);
    assert!(is_opaque(&world, "/rw/upper/target"));
    assert_eq!(world.read("/m/target/inside"), Ok(Vec::new()));
    let mut inside = world.with_context(world.context.clone());
    inside.chdir("/m/target");
    assert_eq!(inside.cwd(), "/m/target");
}

#[test]
fn two_overlays_of_the_same_lower_layers_do_not_see_each_other_and_share_pages() {
    let world = layers();
    world.write("/l1/f", b"lower").expect("a file");
    let cwd = &world.context.cwd;
    world.caller().mknod(cwd, b"/l1/fifo", FileType::Fifo, 0o666, DeviceNumber::new(0, 0)).expect("a fifo");
    for directory in ["/rw/upper2", "/rw/work2", "/m2"] {
        world.mkdir(directory).expect("a directory");
    }
    overlay(&world);
    let second = "lowerdir=/l1:/l2:/l3,upperdir=/rw/upper2,workdir=/rw/work2";
    world.mount("overlay", "/m2", NONE, second).expect("mounted");
    let page = |path: &str| {
        let file = world.open(path, OpenFlags::empty()).expect("open");
        crate::mm::PageSource::page(&*file, 0, world.memory()).expect("a page").address()
    };
    assert_eq!(page("/m/f"), page("/m2/f"));
    world.write("/m/f", b"mine").expect("written");
    assert_eq!(world.read("/m2/f"), Ok(b"lower".to_vec()));
    world.unlink("/m2/f").expect("removed");
    assert_eq!(world.read("/m/f"), Ok(b"mine".to_vec()));
    let both = OpenFlags::RDWR | OpenFlags::NONBLOCK;
    let (one, other) = (world.open("/m/fifo", both).expect("open"), world.open("/m2/fifo", both).expect("open"));
    world.write_to(&one, b"x").expect("written");
    assert_eq!(read_from(&other, &mut [0; 4]), Err(Errno::EAGAIN));
    assert_eq!(read_from(&one, &mut [0; 4]), Ok(1));
}

#[test]
fn what_is_asked_of_the_layers() {
    let world = layers();
    world.write("/file", b"").expect("a file");
    world.mkdir("/proc").expect("a directory");
    world.mkdir("/l1/inner").expect("a directory");
    let mount = |options: &str| world.mount("overlay", "/m", NONE, options);
    for wrong in [
        "",
        "upperdir=/rw/upper,workdir=/rw/work",
        "lowerdir=",
        "lowerdir=/l1,upperdir=/rw/upper",
        "lowerdir=/l1,workdir=/rw/work",
        "lowerdir=/l1,lowerdir=/l2",
        "lowerdir=/l1,redirect_dir=on",
        "lowerdir=/l1,metacopy=on",
        "lowerdir=/l1,volatile",
        "lowerdir=/l1,upperdir=/rw/upper,workdir=/rw/upper",
        "lowerdir=/l1,size=5",
    ] {
        assert_eq!(mount(wrong), Err(Errno::EINVAL), "{wrong}");
    }
    assert_eq!(mount("lowerdir=/nothing"), Err(Errno::ENOENT));
    assert_eq!(mount("lowerdir=/file"), Err(Errno::ENOTDIR));
    assert_eq!(mount("lowerdir=/l1,upperdir=/l1/inner,workdir=/rw/work"), Err(Errno::ELOOP));
    mount(&format!("{OPTIONS},redirect_dir=off,index=off,xino=off,userxattr")).expect("mounted");
    world.mkdir("/m3").expect("a directory");
    assert_eq!(world.mount("overlay", "/m3", NONE, OPTIONS), Err(Errno::EBUSY));
    assert_eq!(world.mount("overlay", "/m3", NONE, "lowerdir=/m"), Err(Errno::EINVAL));
    world.umount("/m", UmountFlags::empty()).expect("nobody uses it");
    world.mount("overlay", "/m3", NONE, OPTIONS).expect("free again");
    // Without an upper layer nothing can be written, and it cannot be made so.
    world.write("/l1/f", b"x").expect("a file");
    mount("lowerdir=/l1:/l2").expect("mounted");
    assert_eq!(world.write("/m/f", b""), Err(Errno::EROFS));
    assert_eq!(world.mkdir("/m/new"), Err(Errno::EROFS));
    assert_eq!(world.unlink("/m/f"), Err(Errno::EROFS));
    let flags = Reflag::default();
    let rw = world.caller().remount(&world.find("/m").expect("there"), flags, Some(SuperFlags::empty()), b"");
    assert_eq!(rw, Err(Errno::EROFS));
    assert_eq!(world.read("/m/f"), Ok(b"x".to_vec()));
}

#[test]
fn a_listing_survives_copies_removals_and_new_names() {
    let world = layers();
    for number in 0..200 {
        world.write(&format!("/l2/{number}"), b"").expect("a file");
    }
    overlay(&world);
    let directory = world.open("/m", OpenFlags::DIRECTORY).expect("a directory");
    let mut seen = Vec::new();
    for turn in 0.. {
        let before = seen.len();
        directory
            .read_directory(|entry| {
                let taken = seen.len() < before + 7;
                if taken {
                    seen.push(String::from_utf8(entry.name.to_vec()).expect("text"));
                }
                taken
            })
            .expect("readable");
        if seen.len() == before {
            break;
        }
        world.write(&format!("/m/{}", turn * 7 % 200), b"copied").expect("written");
        if turn < 10 {
            world.write(&format!("/m/new{turn}"), b"").expect("a file");
        }
    }
    let unique: BTreeSet<&String> = seen.iter().collect();
    assert_eq!(unique.len(), seen.len());
    assert!((0..200).all(|number| unique.contains(&number.to_string())));
}

#[test]
fn a_copy_that_cannot_be_paid_for_leaves_nothing() {
    let world = layers();
    world.mkdir("/l1/d").expect("a directory");
    world.write("/l1/d/big", &[1; 100 << 12]).expect("a file");
    overlay(&world);
    let poor = World::with_limit(Some(40 << 12));
    let caller = Caller { memory: poor.memory(), ..world.caller() };
    let opened = caller.open(&world.context.cwd, b"/m/d/big", OpenFlags::WRONLY, 0);
    assert_eq!(opened.err(), Some(Errno::ENOMEM));
    assert_eq!(names(&world, "/rw/upper/d"), [""; 0]);
    assert_eq!(world.read("/m/d/big").map(|bytes| bytes.len()), Ok(1 << 16));
}

/// What a path is, in the model.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Thing {
    Directory,
    File(Vec<u8>),
}

#[test]
fn random_changes_are_those_of_one_file_system() {
    for seed in 0..40_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = move |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 11) % below
        };
        let world = layers();
        // The layers, from below, and the model of what is seen.
        let mut model: BTreeMap<String, Thing> = BTreeMap::new();
        for layer in ["/l3", "/l2", "/l1"] {
            for _ in 0..12 {
                let path = random_path(&mut next);
                let at = format!("{layer}{path}");
                let parents: Vec<String> =
                    path.match_indices('/').skip(1).map(|(end, _)| path[..end].to_string()).collect();
                if parents.iter().any(|parent| model.get(parent) != Some(&Thing::Directory)) {
                    continue;
                }
                for parent in &parents {
                    let _ = world.mkdir(&format!("{layer}{parent}"));
                }
                if world.find(&at).is_ok() {
                    continue;
                }
                let below =
                    |model: &mut BTreeMap<String, Thing>| model.retain(|p, _| !p.starts_with(&format!("{path}/")));
                match next(4) {
                    0 => {
                        whiteout(&world, &at);
                        below(&mut model);
                        model.remove(&path);
                    }
                    1 => {
                        let text = format!("{layer}{path}").into_bytes();
                        world.write(&at, &text).expect("a file");
                        below(&mut model);
                        model.insert(path, Thing::File(text));
                    }
                    kind => {
                        world.mkdir(&at).expect("a directory");
                        if model.get(&path) != Some(&Thing::Directory) || kind == 3 {
                            if kind == 3 {
                                opaque(&world, &at);
                            }
                            below(&mut model);
                        }
                        model.insert(path, Thing::Directory);
                    }
                }
            }
        }
        let lower: Vec<_> = ["/l1", "/l2", "/l3"].map(|layer| tree(&world, layer)).into();
        overlay(&world);
        assert_eq!(tree(&world, "/m"), model, "seed {seed}");
        for step in 0..120 {
            let (path, other) = (random_path(&mut next), random_path(&mut next));
            let at = format!("/m{path}");
            match next(6) {
                0 | 1 => {
                    let text = format!("{seed} {step}").into_bytes();
                    let written = world.write(&at, &text).is_ok();
                    assert_eq!(written, writable(&model, &path), "seed {seed} step {step} write {path}");
                    if written {
                        model.insert(path, Thing::File(text));
                    }
                }
                2 => {
                    let made = world.mkdir(&at).is_ok();
                    assert_eq!(made, absent(&model, &path), "seed {seed} step {step} mkdir {path}");
                    if made {
                        model.insert(path, Thing::Directory);
                    }
                }
                3 => {
                    let removed = world.unlink(&at).is_ok();
                    assert_eq!(removed, matches!(model.get(&path), Some(Thing::File(_))), "seed {seed} {step} {path}");
                    if removed {
                        model.remove(&path);
                    }
                }
                4 => {
                    let empty = !model.keys().any(|p| p.starts_with(&format!("{path}/")));
                    let removed = world.rmdir(&at).is_ok();
                    let expected = model.get(&path) == Some(&Thing::Directory) && empty;
                    assert_eq!(removed, expected, "seed {seed} step {step} rmdir {path}");
                    if removed {
                        model.remove(&path);
                    }
                }
                _ => {
                    let from = model.get(&path).cloned();
                    match (world.rename(&at, &format!("/m{other}"), NEVER), from) {
                        (Ok(()), Some(thing)) if path != other => {
                            model.remove(&other);
                            let prefix = format!("{path}/");
                            let moved: Vec<_> = model.keys().filter(|p| p.starts_with(&prefix)).cloned().collect();
                            for old in moved {
                                let thing = model.remove(&old).expect("there");
                                model.insert(format!("{other}/{}", &old[prefix.len()..]), thing);
                            }
                            model.remove(&path);
                            model.insert(other, thing);
                        }
                        (outcome, _) => assert!(outcome != Ok(()) || path == other),
                    }
                }
            }
            if step % 10 == 0 {
                assert_eq!(tree(&world, "/m"), model, "seed {seed} step {step}");
            }
        }
        assert_eq!(tree(&world, "/m"), model, "seed {seed}");
        world.umount("/m", UmountFlags::empty()).expect("nobody uses it");
        let after: Vec<_> = ["/l1", "/l2", "/l3"].map(|layer| tree(&world, layer)).into();
        assert_eq!(after, lower, "seed {seed}: lower layers are not changed");
        overlay(&world);
        assert_eq!(tree(&world, "/m"), model, "seed {seed}: all is in the layers");
    }
}

fn random_path(next: &mut impl FnMut(u64) -> u64) -> String {
    let depth = 1 + next(3);
    (0..depth).map(|_| format!("/{}", ["a", "b", "c"][next(3) as usize])).collect()
}

fn parent_is_directory(model: &BTreeMap<String, Thing>, path: &str) -> bool {
    let parent = &path[..path.rfind('/').unwrap_or(0)];
    parent.is_empty() || model.get(parent) == Some(&Thing::Directory)
}

fn absent(model: &BTreeMap<String, Thing>, path: &str) -> bool {
    parent_is_directory(model, path) && !model.contains_key(path)
}

fn writable(model: &BTreeMap<String, Thing>, path: &str) -> bool {
    parent_is_directory(model, path) && model.get(path) != Some(&Thing::Directory)
}

/// All that is seen beneath `root`.
fn tree(world: &World, root: &str) -> BTreeMap<String, Thing> {
    let (mut found, mut next) = (BTreeMap::new(), alloc::vec![String::new()]);
    while let Some(directory) = next.pop() {
        for name in names(world, &format!("{root}{directory}")) {
            let path = format!("{directory}/{name}");
            let at = format!("{root}{path}");
            let file_type = world.find(&at).expect("listed").inode().file_type();
            if file_type == FileType::Directory {
                next.push(path.clone());
                found.insert(path, Thing::Directory);
            } else if file_type == FileType::Regular {
                found.insert(path, Thing::File(world.read(&at).expect("readable")));
            } else {
                found.insert(path, Thing::File(b"whiteout".to_vec()));
            }
        }
    }
    found
}
