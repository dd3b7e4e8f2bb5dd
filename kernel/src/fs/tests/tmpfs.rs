use super::*;
use crate::mm::PageSource;
use proptest::prelude::*;
use veridian_hal::PAGE_SIZE;

const CREATE: OpenFlags = OpenFlags::CREAT.union(OpenFlags::RDWR);

#[test]
fn a_hole_takes_no_memory_and_reads_as_zeros() {
    let world = World::new();
    let file = world.open("/f", CREATE).expect("a file");
    let before = world.memory().current_bytes();
    file.truncate(1 << 40, u64::MAX).expect("a hole");
    file.seek(Whence::Set, (1 << 40) - 2).expect("an offset");
    assert_eq!(world.write_to(&file, b"abcd"), Ok(4));
    assert_eq!(world.memory().current_bytes() - before, 2 * PAGE_SIZE as u64);
    assert_eq!(file.length_bytes(), (1 << 40) + 2);
    let mut bytes = [1; 6];
    assert_eq!(file.read_at((1 << 40) - 4, &mut bytes), Ok(6));
    assert_eq!(&bytes, b"\0\0abcd");
    assert_eq!(file.inode().status().blocks, 16);
}

#[test]
fn what_was_cut_off_does_not_come_back() {
    let world = World::new();
    let file = world.open("/f", CREATE).expect("a file");
    world.write_to(&file, &[7; 6000]).expect("written");
    file.truncate(100, u64::MAX).expect("cut");
    file.truncate(6000, u64::MAX).expect("lengthened");
    let mut bytes = [1; 6000];
    assert_eq!(file.read_at(0, &mut bytes), Ok(6000));
    assert!(bytes[..100].iter().all(|&byte| byte == 7) && bytes[100..].iter().all(|&byte| byte == 0));
}

#[test]
fn size_and_inode_limits_are_enospc() {
    let world = World::new();
    world.mkdir("/t").expect("a directory");
    world.mount("tmpfs", "/t", MountFlags::empty(), "size=8k,nr_inodes=4,mode=0700").expect("mounted");
    assert_eq!(world.find("/t").expect("there").inode().status().mode, 0o700);
    let file = world.open("/t/f", CREATE).expect("a file");
    assert_eq!(world.write_to(&file, &[1; 10_000]), Ok(8192));
    assert_eq!(world.write_to(&file, &[1; 10]), Err(Errno::ENOSPC));
    file.truncate(0, u64::MAX).expect("cut");
    world.open("/t/g", CREATE).expect("a file");
    world.open("/t/h", CREATE).expect("a file");
    assert_eq!(world.open("/t/i", CREATE).err(), Some(Errno::ENOSPC));
    world.unlink("/t/h").expect("removed");
    world.open("/t/i", CREATE).expect("room again");
    for wrong in ["size=", "size=1x", "mode=8", "mode=+7", "what=1", "size", "nr_inodes=-1"] {
        assert_eq!(world.mount("tmpfs", "/t", MountFlags::empty(), wrong), Err(Errno::EINVAL), "{wrong}");
    }
}

#[test]
fn data_and_names_are_charged_and_freed() {
    let world = World::with_limit(Some(64 * PAGE_SIZE as u64));
    let file = world.open("/f", CREATE).expect("a file");
    let written = world.write_to(&file, &vec![1; 100 * PAGE_SIZE]).expect("some fit");
    assert!(written < 64 * PAGE_SIZE && written > 32 * PAGE_SIZE, "{written}");
    assert_eq!(world.write_to(&file, &[1; PAGE_SIZE]), Err(Errno::ENOMEM));
    world.unlink("/f").expect("removed");
    // An unlinked file lives as long as it is open.
    assert_eq!(file.read_at(0, &mut [0; 8]), Ok(8));
    drop(file);
    let made = (0..).take_while(|n| world.mkdir(&alloc::format!("/{n}")).is_ok()).count();
    assert!((100..1000).contains(&made), "{made} directories in 256 KiB");
    let World { context, group, .. } = world;
    drop(context);
    assert_eq!(group.memory.current_bytes(), 0);
}

#[test]
fn appends_go_to_the_end_and_share_no_byte() {
    let world = World::new();
    let one = world.open("/log", CREATE | OpenFlags::APPEND).expect("a file");
    let two = world.open("/log", OpenFlags::WRONLY | OpenFlags::APPEND).expect("a file");
    for (file, line) in [(&one, b"one\n"), (&two, b"two\n"), (&one, b"end\n")] {
        file.seek(Whence::Set, 0).expect("an offset");
        world.write_to(file, line).expect("written");
    }
    assert_eq!(world.read("/log"), Ok(b"one\ntwo\nend\n".to_vec()));
}

#[test]
fn seeks_are_bounded() {
    let world = World::new();
    let file = world.open("/f", CREATE).expect("a file");
    assert_eq!(file.seek(Whence::Set, -1), Err(Errno::EINVAL));
    assert_eq!(file.seek(Whence::End, i64::MAX), Ok(i64::MAX as u64));
    assert_eq!(file.seek(Whence::Current, 1), Err(Errno::EINVAL));
    assert_eq!(world.write_to(&file, b"x"), Err(Errno::EFBIG));
    assert_eq!(file.truncate(u64::MAX, u64::MAX), Err(Errno::EFBIG));
}

#[test]
fn a_mapped_page_is_the_file_s_own() {
    let world = World::new();
    let file = world.open("/f", CREATE).expect("a file");
    world.write_to(&file, b"before").expect("written");
    let frame = file.page(0, world.memory()).expect("a page");
    assert!(file.permit_shared_writing().is_ok() && file.permit_mapping(false).is_ok());
    frame.write(0, b"mapped");
    assert_eq!(world.read("/f"), Ok(b"mapped".to_vec()));
    assert!(file.resident_page(1).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_file_is_what_a_vector_would_be(
        steps in prop::collection::vec((0u8..3, 0usize..20_000, 0usize..9_000, any::<u8>()), 1..30)
    ) {
        let world = World::new();
        let file = world.open("/f", CREATE).expect("a file");
        let mut model: Vec<u8> = Vec::new();
        for (what, offset, length, byte) in steps {
            match what {
                0 => {
                    let bytes = vec![byte; length];
                    file.seek(Whence::Set, offset as i64).expect("an offset");
                    prop_assert_eq!(world.write_to(&file, &bytes), Ok(length));
                    if length > 0 {
                        model.resize(model.len().max(offset + length), 0);
                        model[offset..offset + length].copy_from_slice(&bytes);
                    }
                }
                1 => {
                    file.truncate(offset as u64, u64::MAX).expect("cut");
                    model.resize(offset, 0);
                }
                _ => {
                    let mut bytes = vec![byte; length];
                    let count = file.read_at(offset as u64, &mut bytes).expect("read");
                    let end = (offset + length).min(model.len());
                    prop_assert_eq!(&bytes[..count], &model[offset.min(end)..end]);
                }
            }
            prop_assert_eq!(file.length_bytes(), model.len() as u64);
        }
    }
}
