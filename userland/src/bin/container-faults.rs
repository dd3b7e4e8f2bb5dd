//! Driver: the container calls with descriptors that are none, addresses that are wild and structures of any size.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{O_DIRECTORY, O_RDONLY, PROT_READ};
use veridian_containers::abi::{
    ARGS_SIZE_MAX, Call, CreateArgs, CreateFlags, DeleteFlags, Errno, ListEntry, WaitResult,
};
use veridian_userland::check::Checks;
use veridian_userland::sys::{self, PAGE, RawArg, Region, Start, Wild};
use veridian_userland::{driver, program};

program!(main);

/// A document that is right, so that only the pointers are wrong.
const DOCUMENT: &[u8] = b"process_arg=/bin/hello\n";
/// Where in a page of memory the document lies, and where the id.
const DOCUMENT_AT: usize = 1024;
const ID_AT: usize = 2048;

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    let config = driver::config("", &["/bin/worker", "forever"]);
    let container = driver::create("held", &config, CreateFlags::empty()).expect("a container");
    let fd = RawArg::Number(container.into());
    descriptors(&mut checks);
    // Two pages, of which the second is gone: what begins in the first and goes on ends in a fault.
    let memory = Region::anonymous(2 * PAGE).expect("memory");
    memory.unmap(PAGE, PAGE).expect("unmap");
    create(&mut checks, &memory);

    checks.equal("the held container can be killed", sys::container_kill(container, 9), Ok(()));
    let bad_targets =
        [RawArg::Region(&memory, PAGE), RawArg::Region(&memory, PAGE - 4), RawArg::Region(&memory, PAGE - 8)];
    let wild = || Wild::ALL.into_iter().map(RawArg::Wild);
    memory.fill(PAGE - 8, &(size_of::<WaitResult>() as u64).to_le_bytes());
    for target in bad_targets.into_iter().chain(wild()) {
        let answer = sys::raw_container_call(Call::Wait, &[fd, target, RawArg::Number(0)]);
        checks.equal(format_args!("container_wait into {}", place(target)), answer, Err(Errno::EFAULT));
    }
    memory.fill(PAGE - 8, &(size_of::<ListEntry>() as u64).to_le_bytes());
    for target in bad_targets.into_iter().chain(wild()) {
        let answer = sys::raw_container_call(Call::List, &[RawArg::Number(0), target]);
        checks.equal(format_args!("container_list into {}", place(target)), answer, Err(Errno::EFAULT));
    }
    for target in bad_targets.into_iter().chain(wild()) {
        let answer = sys::raw_container_call(Call::State, &[fd, target, RawArg::Number(4096)]);
        checks.equal(format_args!("container_state into {}", place(target)), answer, Err(Errno::EFAULT));
    }
    sizes(&mut checks, &memory, fd);
    memory.protect(0, PAGE, PROT_READ).expect("mprotect");
    let answer = sys::raw_container_call(Call::Wait, &[fd, RawArg::Region(&memory, 0), RawArg::Number(0)]);
    checks
        .holds("container_wait into read-only memory is refused", matches!(answer, Err(Errno::EFAULT | Errno::EINVAL)));
    checks.equal("one container is there, as before", driver::count(), Ok(1));
    checks.equal("and can be deleted", sys::container_delete(container, DeleteFlags::FORCE), Ok(()));
    checks.finish()
}

/// An argument as a sentence names it.
fn place(arg: RawArg<'_>) -> &'static str {
    match arg {
        RawArg::Wild(Wild::Null) => "null is EFAULT",
        RawArg::Wild(Wild::Low) => "the first page is EFAULT",
        RawArg::Wild(Wild::Noncanonical) => "a non-canonical address is EFAULT",
        RawArg::Wild(Wild::Kernel) => "the kernel is EFAULT",
        RawArg::Wild(Wild::Last) => "the last bytes there are is EFAULT",
        RawArg::Region(region, offset) if offset == region.len() / 2 => "unmapped memory is EFAULT",
        _ => "memory that ends too soon is EFAULT",
    }
}

/// Calls on descriptors that are no container.
fn descriptors(checks: &mut Checks) {
    let directory = sys::open(c"/", O_RDONLY | O_DIRECTORY).expect("the root");
    for call in [Call::Start, Call::Kill, Call::Delete, Call::Wait, Call::State] {
        for (what, fd) in [("-1", -1), ("an unused number", 999), ("i32::MAX", i64::from(i32::MAX))] {
            let answer = sys::raw_container_call(call, &[RawArg::Number(fd), RawArg::Number(0), RawArg::Number(0)]);
            checks.equal(format_args!("{} of {what} is EBADF", call.name()), answer, Err(Errno::EBADF));
        }
        for fd in [0, directory] {
            let answer =
                sys::raw_container_call(call, &[RawArg::Number(fd.into()), RawArg::Number(0), RawArg::Number(0)]);
            let refused = matches!(answer, Err(Errno::EBADF | Errno::EINVAL));
            checks.holds(format_args!("{} of descriptor {fd} is refused: {answer:?}", call.name()), refused);
        }
    }
    sys::close(directory).expect("the root closes");
}

/// `container_create` with each of its addresses wrong.
fn create(checks: &mut Checks, memory: &Region) {
    memory.fill(DOCUMENT_AT, DOCUMENT);
    memory.fill(ID_AT, b"faulty");
    let right = CreateArgs {
        size: size_of::<CreateArgs>() as u64,
        config: memory.address(DOCUMENT_AT) as u64,
        config_len: DOCUMENT.len() as u64,
        id: memory.address(ID_AT) as u64,
        id_len: 6,
        bundle_fd: sys::AT_FDCWD,
        ..CreateArgs::default()
    };
    let unmapped = memory.address(PAGE) as u64;
    let all = Wild::ALL.map(|wild| wild.address() as u64);
    for address in all.into_iter().chain([unmapped, unmapped - 4]) {
        for (what, args) in [
            ("config", CreateArgs { config: address, ..right }),
            ("id", CreateArgs { id: address, ..right }),
            // Only an error is told, so there must be one.
            ("message", CreateArgs { message: address, message_size: 64, id_len: 0, ..right }),
        ] {
            let answer = call_create(memory, &args);
            let holds = match what {
                // A message that cannot be told must not hide the error, or is itself one.
                "message" => matches!(answer, Err(Errno::EFAULT | Errno::EINVAL)),
                _ => answer == Err(Errno::EFAULT),
            };
            checks.holds(format_args!("container_create with {what} at {address:#x} is refused: {answer:?}"), holds);
        }
    }
    for (what, args, errno) in [
        ("a config_len that wraps", CreateArgs { config_len: u64::MAX, ..right }, Errno::E2BIG),
        ("a config_len past the bound", CreateArgs { config_len: 1 << 40, ..right }, Errno::E2BIG),
        ("an id_len past the bound", CreateArgs { id_len: 1 << 40, ..right }, Errno::EINVAL),
        ("a bundle that is no descriptor", CreateArgs { bundle_fd: 999, ..right }, Errno::EBADF),
        ("a size of 0", CreateArgs { size: 0, ..right }, Errno::EINVAL),
        ("a size of 71", CreateArgs { size: 71, ..right }, Errno::EINVAL),
        ("a size of 4096", CreateArgs { size: 4096, ..right }, Errno::E2BIG),
    ] {
        let answer = call_create(memory, &args);
        let holds = answer == Err(errno) || (errno == Errno::E2BIG && answer == Err(Errno::EINVAL));
        checks.holds(format_args!("container_create with {what} is refused: {answer:?}"), holds);
    }
    for target in
        [RawArg::Region(memory, PAGE), RawArg::Region(memory, PAGE - 8)].into_iter().chain(Wild::ALL.map(RawArg::Wild))
    {
        memory.fill(PAGE - 8, &right.size.to_le_bytes());
        let answer = sys::raw_container_call(Call::Create, &[target]);
        checks.equal(
            format_args!("container_create with its arguments in {}", place(target)),
            answer,
            Err(Errno::EFAULT),
        );
    }
    checks.equal("none of these made a container", driver::count(), Ok(1));
}

fn call_create(memory: &Region, args: &CreateArgs) -> sys::Result<usize> {
    let words = [args.size, args.config, args.config_len, args.id, args.id_len];
    for (at, word) in words.into_iter().enumerate() {
        memory.fill(8 * at, &word.to_le_bytes());
    }
    memory.fill(40, &args.bundle_fd.to_le_bytes());
    memory.fill(44, &args.flags.to_le_bytes());
    memory.fill(48, &args.message.to_le_bytes());
    memory.fill(56, &args.message_size.to_le_bytes());
    memory.fill(64, &0_u64.to_le_bytes());
    sys::raw_container_call(Call::Create, &[RawArg::Region(memory, 0)])
}

/// Structures that say other sizes than this program's.
fn sizes(checks: &mut Checks, memory: &Region, fd: RawArg<'_>) {
    let ask = |call: Call, size: u64, first: RawArg<'_>| {
        memory.fill(0, &size.to_le_bytes());
        memory.fill(8, &[0xee; 128]);
        sys::raw_container_call(call, &[first, RawArg::Region(memory, 0), RawArg::Number(0)])
    };
    let cookie = RawArg::Number(0);
    for size in [0, 1, 31] {
        checks.equal(
            format_args!("a wait result of {size} bytes is EINVAL"),
            ask(Call::Wait, size, fd),
            Err(Errno::EINVAL),
        );
        checks.equal(
            format_args!("a list entry of {size} bytes is EINVAL"),
            ask(Call::List, size, cookie),
            Err(Errno::EINVAL),
        );
    }
    checks.equal("a wait result of a newer program is filled", ask(Call::Wait, 64, fd), Ok(0));
    checks.equal("as far as this kernel knows it", memory.get(0), size_of::<WaitResult>() as u8);
    checks.equal("and not further", memory.get(size_of::<WaitResult>()), 0xee);
    checks.equal("ARGS_SIZE_MAX is what the probe thinks", ARGS_SIZE_MAX, 256);
}
