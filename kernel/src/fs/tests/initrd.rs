use super::*;
use crate::fs::initrd::{UnpackError, cpio, file, unpack_bytes};
use proptest::prelude::*;

const DIRECTORY: u32 = 0o040755;
const REGULAR: u32 = 0o100644;

/// Writes an archive as cpio does.
#[derive(Default)]
struct Archive(Vec<u8>);

impl Archive {
    fn add(self, name: &str, mode: u32, data: &[u8]) -> Self {
        self.add_linked(name, mode, data, 1, 0)
    }

    fn add_linked(mut self, name: &str, mode: u32, data: &[u8], links: u32, inode: u32) -> Self {
        let fields = [inode, mode, 7, 8, links, 1000, data.len() as u32, 3, 1, 1, 3, name.len() as u32 + 1, 0];
        self.0.extend_from_slice(b"070701");
        for field in fields {
            self.0.extend_from_slice(alloc::format!("{field:08x}").as_bytes());
        }
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(0);
        self.pad();
        self.0.extend_from_slice(data);
        self.pad();
        self
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn end(self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, b"").0
    }
}

fn whole() -> Vec<u8> {
    Archive::default()
        .add(".", DIRECTORY, b"")
        .add("etc", DIRECTORY, b"")
        .add("etc/hostname", REGULAR, b"veridian\n")
        .add("./bin/init", 0o100755, &[0x7f; 5000])
        .add("/link", 0o120777, b"etc/hostname")
        .add("null", 0o020666, b"")
        .add_linked("one", REGULAR, b"", 2, 9)
        .add_linked("two", REGULAR, b"shared", 2, 9)
        .end()
}

fn unpacked(archive: Vec<u8>) -> Result<World, UnpackError> {
    let mut world = World::new();
    let namespace = unpack_bytes(archive.leak(), None, world.memory())?;
    world.context = Context::at_root_of(namespace);
    Ok(world)
}

#[test]
fn an_archive_becomes_a_file_system() {
    let world = unpacked(whole()).expect("well formed");
    assert_eq!(world.read("/link"), Ok(b"veridian\n".to_vec()));
    assert_eq!(world.read("/bin/init"), Ok(vec![0x7f; 5000]));
    assert_eq!(world.read("/one"), Ok(b"shared".to_vec()));
    assert_eq!(world.find("/two").expect("there").inode().status().links, 2);
    assert_eq!(world.read("/null"), Ok(Vec::new()));
    let status = world.find("/etc/hostname").expect("there").inode().status();
    assert_eq!((status.uid, status.gid, status.mode, status.modified.seconds), (7, 8, 0o644, 1000));
    assert_eq!(world.find("/bin").expect("made on the way").inode().status().mode, 0o755);
    assert_eq!(file(&whole(), b"/etc/hostname"), Some(&b"veridian\n"[..]));
    assert_eq!(file(&whole(), b"etc"), None);
}

#[test]
fn a_file_of_the_archive_takes_memory_only_where_it_is_written() {
    let world = unpacked(whole()).expect("well formed");
    let before = world.memory().current_bytes();
    let init = world.open("/bin/init", OpenFlags::RDWR).expect("a file");
    assert_eq!(world.read("/bin/init").expect("read").len(), 5000);
    assert_eq!(world.memory().current_bytes(), before);
    init.seek(Whence::Set, 4990).expect("an offset");
    world.write_to(&init, &[1; 20]).expect("written");
    assert_eq!(world.memory().current_bytes(), before + 4096);
    let bytes = world.read("/bin/init").expect("read");
    assert_eq!((bytes.len(), bytes[4989], bytes[4990], bytes[5009]), (5010, 0x7f, 1, 1));
    init.truncate(10, u64::MAX).expect("cut");
    init.truncate(4096, u64::MAX).expect("lengthened");
    assert_eq!(world.read("/bin/init").expect("read")[9..12], [0x7f, 0, 0]);
}

#[test]
fn an_archive_cut_anywhere_is_refused_and_leaves_nothing() {
    let whole = whole();
    let world = World::new();
    let before = world.memory().current_bytes();
    for length in 0..whole.len() {
        // Behind the trailer's name there is only padding.
        let cut: &'static [u8] = whole[..length].to_vec().leak();
        let complete = length > whole.len() - 4 && cpio::entries(cut).all(|entry| entry.is_ok());
        assert_eq!(unpack_bytes(cut, None, world.memory()).is_ok(), complete, "cut at {length}");
    }
    assert_eq!(world.memory().current_bytes(), before);
}

#[test]
fn malformed_archives_are_told_where() {
    let bad = |archive: Vec<u8>| match unpacked(archive).err() {
        Some(error) => alloc::format!("{error}"),
        None => panic!("accepted"),
    };
    let start = || Archive::default().add("etc", DIRECTORY, b"");
    assert!(bad(Vec::new()).contains("byte 0: ends without a trailer"));
    assert!(bad(start().add("../escape", REGULAR, b"").end()).contains("`..`"));
    assert!(bad(start().add("a/../../b", REGULAR, b"").end()).contains("`..`"));
    assert!(bad(start().add("", REGULAR, b"").end()).contains("a name is empty"));
    assert!(bad(start().add(&"n".repeat(256), REGULAR, b"").end()).contains("too long"));
    assert!(bad(start().add("what", 0o150000, b"").end()).contains("unknown type"));
    assert!(bad(start().add("link", 0o120777, b"").end()).contains("no path"));
    assert!(bad(start().add("etc", REGULAR, b"").end()).contains("EEXIST"));
    assert!(bad(start().add("f", REGULAR, b"").add("f/x", REGULAR, b"").end()).contains("ENOTDIR"));
    assert!(bad(start().add("l", 0o120777, b"/").add("l/x", REGULAR, b"").end()).contains("ENOTDIR"));
    let mut huge = start().add("big", REGULAR, b"abc").end();
    let size_at = huge.windows(3).position(|bytes| bytes == b"big").expect("there") - 110 + 6 + 6 * 8;
    huge[size_at..size_at + 8].copy_from_slice(b"ffffffff");
    assert!(bad(huge.clone()).contains("the data are cut off"));
    huge[size_at] = b'x';
    assert!(bad(huge).contains("not hexadecimal"));
}

proptest! {
    #[test]
    fn no_bytes_panic_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        cpio::entries(&bytes).for_each(drop);
    }

    #[test]
    fn no_changed_byte_panics_the_unpacking(position in 0usize..2000, value in any::<u8>()) {
        let mut bytes = whole();
        let index = position % bytes.len();
        bytes[index] = value;
        let _ = unpacked(bytes);
    }
}
