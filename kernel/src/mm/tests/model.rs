//! Random sequences of calls against a model that knows one page at a time.

use super::*;
use alloc::collections::BTreeMap;
use proptest::prelude::*;

const START: usize = 0x100_0000;
const PAGES: usize = 10;

#[derive(Clone, Debug)]
enum Call {
    Map { page: usize, pages: usize, protection: Protection, file: bool },
    Unmap { page: usize, pages: usize },
    Protect { page: usize, pages: usize, protection: Protection },
    Discard { page: usize, pages: usize },
    Move { page: usize, pages: usize, new: usize, to: usize },
    Read { page: usize },
    Write { page: usize, value: u8 },
    Fork,
}

/// A page of the model: rights, what it comes from, what it holds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Page {
    protection: Protection,
    origin: u8,
    value: u8,
}

fn any_call() -> impl Strategy<Value = Call> {
    let page = 0..PAGES;
    let pages = 1..6usize;
    let protection = prop_oneof![Just(NONE), Just(Protection::READ), Just(RW), Just(RX)];
    prop_oneof![
        4 => (page.clone(), pages.clone(), protection.clone(), any::<bool>())
            .prop_map(|(page, pages, protection, file)| Call::Map { page, pages, protection, file }),
        2 => (page.clone(), pages.clone()).prop_map(|(page, pages)| Call::Unmap { page, pages }),
        3 => (page.clone(), pages.clone(), protection)
            .prop_map(|(page, pages, protection)| Call::Protect { page, pages, protection }),
        1 => (page.clone(), pages.clone()).prop_map(|(page, pages)| Call::Discard { page, pages }),
        2 => (page.clone(), pages.clone(), pages, page.clone())
            .prop_map(|(page, pages, new, to)| Call::Move { page, pages, new, to }),
        4 => page.clone().prop_map(|page| Call::Read { page }),
        6 => (page, 1..255u8).prop_map(|(page, value)| Call::Write { page, value }),
        2 => Just(Call::Fork),
    ]
}

fn at(page: usize) -> UserAddr {
    UserAddr(START + page * PAGE)
}

/// Byte of the test file's page `page`.
fn file_value(page: usize) -> u8 {
    100 + page as u8
}

fn apply(space: &AddressSpace, file: &Arc<TestFile>, model: &mut BTreeMap<usize, Page>, call: &Call) {
    match *call {
        Call::Map { page, pages, protection, file: from_file } => {
            let content = if from_file {
                Content::PrivateFile { source: file.clone(), first: page as u64 }
            } else {
                Content::Private
            };
            let mapping = Mapping { content, ..Mapping::private(Place::Fixed(at(page)), pages * PAGE, protection) };
            assert_eq!(space.map(mapping), Ok(at(page)));
            for n in page..page + pages {
                let origin = if from_file { file_value(n) } else { 0 };
                model.insert(n, Page { protection, origin, value: origin });
            }
        }
        Call::Unmap { page, pages } => {
            space.unmap(at(page), pages * PAGE).expect("never full");
            model.retain(|n, _| !(page..page + pages).contains(n));
        }
        Call::Protect { page, pages, protection } => {
            let whole = (page..page + pages).all(|n| model.contains_key(&n));
            let expected = if whole { Ok(()) } else { Err(Errno::ENOMEM) };
            assert_eq!(space.protect(at(page), pages * PAGE, protection), expected);
            if whole {
                model.range_mut(page..page + pages).for_each(|(_, p)| p.protection = protection);
            }
        }
        Call::Discard { page, pages } => {
            let whole = (page..page + pages).all(|n| model.contains_key(&n));
            assert_eq!(space.discard(at(page), pages * PAGE, Discard::Any).is_ok(), whole);
            model.range_mut(page..page + pages).for_each(|(_, p)| p.value = p.origin);
        }
        Call::Move { page, pages, new, to } => {
            // Only where the model can say what one area is: a single page.
            let pages = pages.min(1);
            let overlaps = (to..to + new).contains(&page);
            let target = Destination::Fixed(at(to));
            let result = space.remap(at(page), pages * PAGE, new * PAGE, target);
            match model.get(&page).copied() {
                _ if overlaps => assert_eq!(result, Err(Errno::EINVAL)),
                None => assert_eq!(result, Err(Errno::EFAULT)),
                Some(moved) => {
                    assert_eq!(result, Ok(at(to)));
                    model.remove(&page);
                    for n in 0..new {
                        let origin = if moved.origin == 0 { 0 } else { moved.origin + n as u8 };
                        let value = if n == 0 { moved.value } else { origin };
                        model.insert(to + n, Page { origin, value, ..moved });
                    }
                }
            }
        }
        Call::Read { page } => assert_eq!(byte(space, at(page)), expected(model, page)),
        Call::Write { page, value } => {
            let writable = model.get(&page).is_some_and(|p| p.protection.contains(Protection::WRITE));
            let in_file = model.get(&page).is_some_and(|p| usize::from(p.origin) < 100 + FILE_PAGES);
            let result = space.write(at(page), &value);
            assert_eq!(result.is_ok(), writable && in_file);
            if result.is_ok() {
                model.entry(page).and_modify(|p| p.value = value);
            }
        }
        Call::Fork => {}
    }
}

const FILE_PAGES: usize = 64;

/// What a read of page `n` answers.
fn expected(model: &BTreeMap<usize, Page>, n: usize) -> Result<u8, Errno> {
    match model.get(&n) {
        Some(page) if !page.protection.is_empty() && usize::from(page.origin) < 100 + FILE_PAGES => Ok(page.value),
        _ => Err(Errno::EFAULT),
    }
}

fn check(space: &AddressSpace, model: &BTreeMap<usize, Page>) {
    for n in 0..PAGES + 12 {
        let expected = expected(model, n);
        assert_eq!(byte(space, at(n)), expected, "page {n}");
        let executes = model.get(&n).is_some_and(|page| page.protection.contains(Protection::EXECUTE));
        if expected.is_ok() {
            assert_eq!(space.fault(at(n), Access::Execute).is_ok(), executes, "page {n}");
        }
    }
    assert_eq!(space.mapped_bytes(), model.len() * PAGE);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_calls_does_to_each_page_what_the_model_says(
        calls in proptest::collection::vec(any_call(), 1..60),
    ) {
        let memory = group(None);
        let contents = (0..FILE_PAGES * PAGE).map(|n| file_value(n / PAGE)).collect();
        let file = TestFile::new(contents);
        let mut space = space(&memory);
        let mut model = BTreeMap::new();
        let mut left_behind = Vec::new();
        for call in &calls {
            if matches!(call, Call::Fork) {
                let child = space.fork(memory.clone()).expect("memory");
                left_behind.push((core::mem::replace(&mut space, child), model.clone()));
                if left_behind.len() > 3 {
                    left_behind.remove(0);
                }
            }
            apply(&space, &file, &mut model, call);
        }
        check(&space, &model);
        for (parent, its_model) in &left_behind {
            check(parent, its_model);
        }
        drop((space, left_behind, file));
        assert_all_freed(&memory);
    }
}
