//! Synthetic nodes: a small file system of counters. Each directory has a text `value`, a link `up`, a magic link `out`,
//! directories that mkdir(2) makes, and one that has no end, `deep`.

extern crate std;

use super::*;
use crate::fs::synthetic::{
    Changes, Directory, Entry, Link, Listed, Node, Opener, Ownership, Target, Text, list_names, tree,
};
use crate::namespace::UserNamespace;
use alloc::collections::BTreeMap;
use core::sync::atomic::{AtomicBool, Ordering};
use veridian_hal::sync::SpinLock;

const MAGIC: u64 = 0x1234;

/// What is shown.
#[derive(Debug)]
struct Counter {
    value: SpinLock<Vec<u8>>,
    ownership: SpinLock<Ownership>,
    below: SpinLock<BTreeMap<Vec<u8>, Arc<Counter>>>,
    gone: AtomicBool,
    changes: Arc<Changes>,
    /// Where its magic link leads.
    out: SpinLock<Option<Location>>,
}

impl Counter {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            value: SpinLock::new(b"0\n".to_vec()),
            ownership: SpinLock::new(Ownership::root(0o755)),
            below: SpinLock::new(BTreeMap::new()),
            gone: AtomicBool::new(false),
            changes: Arc::new(Changes::new()),
            out: SpinLock::new(None),
        })
    }
}

#[derive(Debug)]
struct Whole(Arc<Counter>);
#[derive(Debug)]
struct Value(Arc<Counter>);
#[derive(Debug)]
struct Up;
#[derive(Debug)]
struct Out(Arc<Counter>);

impl Entry for Whole {
    fn ownership(&self) -> Ownership {
        *self.0.ownership.lock()
    }

    fn set_ownership(&self, ownership: Ownership) -> Result<(), Errno> {
        *self.0.ownership.lock() = ownership;
        Ok(())
    }

    fn is_gone(&self) -> bool {
        self.0.gone.load(Ordering::Relaxed)
    }
}

impl Directory for Whole {
    fn look_up(&self, name: &[u8], _: &Caller<'_>) -> Result<Node, Errno> {
        match name {
            b"value" => Ok(Node::Text(Arc::new(Value(self.0.clone())))),
            b"up" => Ok(Node::Link(Arc::new(Up))),
            b"deep" => Ok(Node::Directory(Arc::new(Whole(Counter::new())))),
            b"out" => Ok(Node::Link(Arc::new(Out(self.0.clone())))),
            name => {
                let counter = self.0.below.lock().get(name).cloned().ok_or(Errno::ENOENT)?;
                Ok(Node::Directory(Arc::new(Whole(counter))))
            }
        }
    }

    fn list(&self, from: u64, _: &Opener, tell: &mut dyn FnMut(Listed<'_>) -> bool) -> Result<(), Errno> {
        let fixed = [(&b"value"[..], FileType::Regular), (b"up", FileType::Symlink), (b"out", FileType::Symlink)];
        let below: Vec<Vec<u8>> = self.0.below.lock().keys().cloned().collect();
        let below = below.iter().map(|name| (&name[..], FileType::Directory));
        list_names(fixed.into_iter().chain(below), from, tell);
        Ok(())
    }

    fn make_directory(&self, name: &[u8], _: u16, _: &Caller<'_>) -> Result<Node, Errno> {
        let counter = Counter::new();
        self.0.below.lock().insert(name.to_vec(), counter.clone());
        Ok(Node::Directory(Arc::new(Whole(counter))))
    }

    fn remove_directory(&self, name: &[u8], _: &Caller<'_>) -> Result<(), Errno> {
        let gone = self.0.below.lock().remove(name).ok_or(Errno::ENOENT)?;
        gone.gone.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Entry for Value {
    fn ownership(&self) -> Ownership {
        Ownership::root(0o644)
    }
}

impl Text for Value {
    fn permit(&self, caller: &Caller<'_>, access: Access) -> Result<(), Errno> {
        let forbidden = access.contains(Access::WRITE) && caller.credentials.uid == 7;
        if forbidden { Err(Errno::EPERM) } else { Ok(()) }
    }

    fn read(&self, _: &Opener) -> Result<Vec<u8>, Errno> {
        if self.0.gone.load(Ordering::Relaxed) { Err(Errno::ESRCH) } else { Ok(self.0.value.lock().clone()) }
    }

    fn write(&self, bytes: &[u8], _: &Opener) -> Result<(), Errno> {
        *self.0.value.lock() = bytes.to_vec();
        self.0.changes.notify();
        Ok(())
    }

    fn changes(&self) -> Option<Arc<Changes>> {
        Some(self.0.changes.clone())
    }
}

impl Entry for Up {
    fn ownership(&self) -> Ownership {
        Ownership::root(0o777)
    }
}

impl Link for Up {
    fn target(&self, _: &Caller<'_>) -> Result<Vec<u8>, Errno> {
        Ok(b"..".to_vec())
    }
}

impl Entry for Out {
    fn ownership(&self) -> Ownership {
        Ownership::root(0o777)
    }
}

impl Link for Out {
    fn target(&self, _: &Caller<'_>) -> Result<Vec<u8>, Errno> {
        Ok(b"somewhere else".to_vec())
    }

    fn follow(&self, _: &Caller<'_>) -> Result<Target, Errno> {
        self.0.out.lock().clone().map(Target::Place).ok_or(Errno::ENOENT)
    }
}

/// A world with the file system at `/c`, and its root.
fn counters() -> (World, Arc<Counter>) {
    let world = World::new();
    let root = Counter::new();
    world.mkdir("/c").expect("a mount point");
    let tree = tree("counters", MAGIC, UserNamespace::first(), Arc::new(Whole(root.clone())));
    let at = world.find("/c").expect("there");
    let namespace = &world.context.namespace;
    let mount = Mount::of_tree(tree, b"", MountFlags::empty(), world.memory()).expect("memory");
    namespace.attach(mount, at, world.memory()).expect("mounted");
    (world, root)
}

fn number(world: &World, path: &str) -> u64 {
    world.find(path).expect("there").inode().number()
}

#[test]
fn names_are_looked_up_and_listed_alike() {
    let (world, _) = counters();
    world.mkdir("/c/a").expect("made");
    assert_eq!(world.list("/c"), [&b"."[..], b"..", b"value", b"up", b"out", b"a"]);
    assert_eq!(world.find("/c/none"), Err(Errno::ENOENT));
    assert_eq!(world.find("/c/a/up/a/up").expect("up and down"), world.find("/c").expect("there"));
    let status = world.find("/c/a").expect("there").inode().status();
    assert_eq!((status.file_type, status.mode), (FileType::Directory, 0o755));
    assert_eq!(world.find("/c").expect("there").mount.superblock().statistics().magic, MAGIC);
}

#[test]
fn a_dentry_stays_as_long_as_it_is_used_and_numbers_stay_for_ever() {
    let (world, _) = counters();
    world.mkdir("/c/a").expect("made");
    let held = world.find("/c/a/value").expect("there");
    assert_eq!(world.find("/c/a/value").expect("there"), held);
    let numbers = ["/c", "/c/a", "/c/a/value", "/c/value"].map(|path| number(&world, path));
    assert_eq!(numbers.iter().collect::<alloc::collections::BTreeSet<_>>().len(), 4);
    drop(held);
    assert!(world.find("/c").expect("there").dentry.made_child(b"a").is_none());
    assert_eq!(["/c", "/c/a", "/c/a/value", "/c/value"].map(|path| number(&world, path)), numbers);
    let listed = world.open("/c/a", OpenFlags::DIRECTORY).expect("open");
    let mut told = None;
    listed
        .read_directory(|entry| {
            told = told.or((entry.name == b"value").then_some(entry.inode));
            true
        })
        .expect("readable");
    assert_eq!(told, Some(numbers[2]));
}

#[test]
fn a_working_directory_there_has_a_path_and_a_parent() {
    let (mut world, _) = counters();
    world.mkdir("/c/a").expect("made");
    world.mkdir("/c/a/b").expect("made");
    world.chdir("/c/a/b");
    assert_eq!(world.cwd(), "/c/a/b");
    world.chdir("../..");
    assert_eq!(world.cwd(), "/c");
}

#[test]
fn a_mount_on_such_a_directory_or_file_stays() {
    let (world, _) = counters();
    world.mkdir("/c/a").expect("made");
    world.mount("tmpfs", "/c/a", MountFlags::empty(), "").expect("mounted");
    world.write("/c/a/file", b"on it").expect("written");
    assert_eq!(world.read("/c/a/file"), Ok(b"on it".to_vec()));
    assert_eq!(world.rmdir("/c/a"), Err(Errno::EBUSY));
    world.write("/masked", b"").expect("written");
    world.bind("/masked", "/c/value", false).expect("bound");
    assert_eq!(world.read("/c/value"), Ok(b"".to_vec()));
    world.umount("/c/value", UmountFlags::empty()).expect("unmounted");
    assert_eq!(world.read("/c/value"), Ok(b"0\n".to_vec()));
}

#[test]
fn a_text_is_made_when_it_is_read_from_the_beginning() {
    let (world, root) = counters();
    let long: Vec<u8> = (0..10_000_u32).map(|n| b'a' + (n % 26) as u8).collect();
    *root.value.lock() = long.clone();
    let file = world.open("/c/value", OpenFlags::empty()).expect("open");
    let mut part = vec![0; 6000];
    assert_eq!(read_from(&file, &mut part), Ok(6000));
    *root.value.lock() = b"new".to_vec();
    assert_eq!(read_from(&file, &mut part[..5000]), Ok(4000));
    assert_eq!(part[..4000], long[6000..]);
    assert_eq!(read_from(&file, &mut part), Ok(0));
    assert_eq!(file.seek(Whence::Set, 0), Ok(0));
    assert_eq!(read_from(&file, &mut part), Ok(3));
    assert_eq!(file.seek(Whence::End, 0), Err(Errno::EINVAL));
}

#[test]
fn a_text_is_written_whole_or_not_at_all() {
    let (world, root) = counters();
    world.write("/c/value", b"12").expect("written");
    assert_eq!(*root.value.lock(), b"12");
    let file = world.open("/c/value", OpenFlags::WRONLY).expect("open");
    assert_eq!(world.write_to(&file, &[b'x'; 4097]), Err(Errno::E2BIG));
    assert_eq!(*root.value.lock(), b"12");
    assert_eq!(world.as_user(1).open("/c/value", OpenFlags::WRONLY).err(), Some(Errno::EACCES));
    assert_eq!(world.open("/c/new", OpenFlags::CREAT | OpenFlags::WRONLY).err(), Some(Errno::EACCES));
    assert_eq!(world.unlink("/c/value"), Err(Errno::EPERM));
    assert_eq!(world.rename("/c/value", "/c/other", RenameFlags::empty()), Err(Errno::EPERM));
    assert_eq!(world.symlink("value", "/c/link"), Err(Errno::EPERM));
}

#[test]
fn an_open_text_for_writing_keeps_the_mount_writable_and_a_read_only_one_refuses() {
    let (world, _) = counters();
    let file = world.open("/c/value", OpenFlags::WRONLY).expect("open");
    assert_eq!(world.remount("/c", MountFlags::RDONLY), Err(Errno::EBUSY));
    drop(file);
    world.remount("/c", MountFlags::RDONLY).expect("nobody writes");
    assert_eq!(world.open("/c/value", OpenFlags::WRONLY).err(), Some(Errno::EROFS));
    assert_eq!(world.mkdir("/c/a"), Err(Errno::EROFS));
}

#[test]
fn who_watches_a_text_hears_of_changes_until_it_is_read_again() {
    let (world, root) = counters();
    let file = world.open("/c/value", OpenFlags::empty()).expect("open");
    let changed = |file: &File| file.poll_ready(&mut task(), Readiness::PRI).contains(Readiness::PRI | Readiness::ERR);
    assert!(!changed(&file));
    root.changes.notify();
    assert!(changed(&file) && changed(&file));
    read_from(&file, &mut [0; 8]).expect("read");
    assert!(!changed(&file));
}

#[test]
fn what_has_gone_is_not_found_and_its_name_can_come_again() {
    let (world, _) = counters();
    world.mkdir("/c/a").expect("made");
    world.mkdir("/c/a/b").expect("made");
    let (old, file) = (world.find("/c/a").expect("there"), world.open("/c/a/value", OpenFlags::empty()).expect("open"));
    let inside = World { context: Context { cwd: old.clone(), ..world.context.clone() }, ..world.as_user(0) };
    world.rmdir("/c/a").expect("removed");
    assert_eq!(world.find("/c/a"), Err(Errno::ENOENT));
    assert_eq!(inside.find("b"), Err(Errno::ENOENT));
    assert_eq!(inside.context.path_of(&inside.context.cwd), Err(Errno::ENOENT));
    assert_eq!(read_from(&file, &mut [0; 8]), Err(Errno::ESRCH));
    world.mkdir("/c/a").expect("again");
    assert_ne!(world.find("/c/a").expect("there"), old);
}

#[test]
fn its_owner_is_asked_each_time_and_may_be_changed_where_that_means_something() {
    let (world, root) = counters();
    let at = world.find("/c").expect("there");
    world.caller().chown(&at, Some(5), Some(6)).expect("may be given away");
    assert_eq!(*root.ownership.lock(), Ownership { mode: 0o755, uid: 5, gid: 6 });
    world.as_user(5).mkdir("/c/own").expect("the owner may");
    root.ownership.lock().uid = 9;
    assert_eq!(world.as_user(5).mkdir("/c/more"), Err(Errno::EACCES));
    let value = world.find("/c/value").expect("there");
    assert_eq!(world.caller().chmod(&value, 0o600), Err(Errno::EPERM));
}

#[test]
fn no_walk_of_the_kernels_own_follows_a_magic_link() {
    let (world, root) = counters();
    world.mkdir("/elsewhere").expect("made");
    *root.out.lock() = Some(world.find("/elsewhere").expect("there"));
    assert_eq!(world.find("/c/out"), Err(Errno::ELOOP));
    assert_eq!(world.find("/c/out/.."), Err(Errno::ELOOP));
    let beneath = world.find("/c").expect("there");
    assert_eq!(world.caller().resolve_beneath(&beneath, b"out"), Err(Errno::EXDEV));
    let link = world.caller().resolve(&beneath, b"out", false).expect("the link itself");
    assert_eq!(world.caller().read_link(&link), Ok(b"somewhere else".to_vec()));
}

#[test]
fn deep_trees_are_freed_without_recursion() {
    const DEPTH: usize = 2000;
    let (world, _) = counters();
    let mut at = world.find("/c").expect("there");
    for _ in 0..DEPTH {
        at = world.caller().resolve(&at, b"deep", true).expect("there");
    }
    std::thread::Builder::new().stack_size(64 << 10).spawn(move || drop(at)).expect("a thread").join().expect("freed");
}
