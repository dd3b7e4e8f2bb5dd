//! Driver: every kind of wrong configuration is refused with its line and the reason, and nothing of it remains.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use veridian_containers::abi::{CreateFlags, Errno};
use veridian_containers::keys::{KEYS, Support};
use veridian_userland::check::Checks;
use veridian_userland::sys::{self, Start};
use veridian_userland::{driver, program, text};

program!(main);

/// Document, the line that is wrong (0: none), what the message says about it.
const WRONG: &[(&str, u32, &str)] = &[
    // Lines.
    ("process_arg=/bin/hello\nhostname\n", 2, "no `=`"),
    ("# comment\n\n  \n= value\n", 4, "no key"),
    ("process_arg=/bin/hello\nprocess_cwd=/\0\n", 2, "NUL"),
    ("process_arg=/bin/hello\r\nhostname\r\n", 2, "no `=`"),
    // Keys.
    ("memory_limits=4M\n", 1, "unknown key; did you mean memory_limit?"),
    ("process_arg=/bin/hello\nquite_something_else=1\n", 2, "unknown key"),
    ("Process_arg=/bin/hello\n", 1, "unknown key"),
    ("process_cwd=/\nprocess_arg=/bin/hello\nprocess_cwd=/tmp\n", 3, "given twice; first on line 1"),
    (
        "process_arg=/bin/hello\nprocess_args=[\"/bin/hello\"]\n",
        2,
        "cannot be given together with process_arg (line 1)",
    ),
    ("process_args=[\"/bin/hello\"]\nprocess_arg=x\n", 2, "cannot be given together with process_args (line 1)"),
    // Values.
    ("oci_version=one\n", 1, "is not a version"),
    ("oci_version=2.0.0\n", 1, "is not an OCI version"),
    ("root_path=\n", 1, "is an empty path"),
    ("root_readonly=True\n", 1, "neither true nor false"),
    ("root_readonly=yes\n", 1, "neither true nor false"),
    ("hostname=under_score\n", 1, "is not a host name"),
    ("hostname=-dash\n", 1, "is not a host name"),
    ("process_cwd=tmp\n", 1, "is not an absolute path"),
    ("process_uid=alice\n", 1, "is not an id"),
    ("process_uid=-1\n", 1, "is not an id"),
    ("process_gid=4294967295\n", 1, "is not an id"),
    ("process_gid=4294967296\n", 1, "is not an id"),
    ("process_env=PATH\n", 1, "has no `=`"),
    ("process_env==x\n", 1, "no proper name"),
    ("process_args=/bin/hello\n", 1, "process_args"),
    ("process_args=[\"/bin/hello\"\n", 1, "process_args"),
    ("process_args=[]\n", 1, "at least one argument"),
    ("memory_limit=64Q\n", 1, "is not a size"),
    ("memory_limit=-1\n", 1, "is not a size"),
    ("memory_limit=\n", 1, "is not a size"),
    ("memory_limit=0x1000\n", 1, "is not a size"),
    ("memory_limit=99999999999999999999G\n", 1, "size"),
    ("pids_limit=0\n", 1, "is not a limit on tasks"),
    ("pids_limit=many\n", 1, "is not a limit on tasks"),
    ("namespace=planet\n", 1, "is not a namespace"),
    ("namespace=pid\nnamespace=pid\n", 2, "given twice"),
    // Mounts.
    ("mount=/tmp:tmpfs\n", 1, "is not a mount"),
    ("mount=/tmp:tmpfs:tmpfs:ro:x\n", 1, "more than four fields"),
    ("mount=tmp:tmpfs:tmpfs\n", 1, "is not an absolute path"),
    ("mount=/a/../b:tmpfs:tmpfs\n", 1, "must not contain `..`"),
    ("mount=/:tmpfs:tmpfs\n", 1, "is the root itself"),
    ("mount=/tmp:floppyfs:x\n", 1, "is not a file system"),
    ("mount=/tmp:tmpfs:tmpfs:purple\n", 1, "is not a mount option"),
    ("mount=/tmp:tmpfs:tmpfs:ro,rw\n", 1, "says again, or otherwise"),
    ("mount=/tmp:tmpfs:tmpfs:mode=999\n", 1, "is not a mode"),
    ("mount=/tmp:tmpfs:tmpfs:size=big\n", 1, "is not a size"),
    ("mount=/tmp:bind:/bin:size=1M\n", 1, "is not an option of this type"),
    ("mount=/a\\b:tmpfs:tmpfs\n", 1, "backslash"),
    // Variables.
    ("process_arg=${NO_SUCH}\n", 1, "is not defined"),
    ("process_arg=${BUNDLE\n", 1, "without its `}`"),
    ("process_arg=${1}\n", 1, "is not the name of a variable"),
    // Settings that contradict each other.
    ("process_arg=/bin/hello\nhostname=x\n", 2, "needs namespace=uts"),
    ("process_arg=/bin/hello\nroot_path=rootfs\n", 2, "needs namespace=mount"),
    ("root_readonly=true\nprocess_arg=/bin/hello\n", 1, "needs namespace=mount"),
    ("process_arg=/bin/hello\nmount=/tmp:tmpfs:tmpfs\n", 2, "needs namespace=mount"),
    ("process_arg=\n", 1, "is empty"),
    ("", 0, "at least one is required"),
    ("namespace=pid\n", 0, "at least one is required"),
];

/// Documents in the form of config.json, and how the message begins: the path of what is wrong.
const WRONG_JSON: &[(&str, &str)] = &[
    ("{]", "line 1: column 2: "),
    (
        "{\"ociVersion\":\"1.3.0\",\n\"ociVersion\":\"1.3.0\"}",
        "line 2: column 12: the name \"ociVersion\" is given twice",
    ),
    ("{}", "ociVersion: is required"),
    (
        "{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"/\"},\"process\":{\"cwd\":\"/\",\"args\":[\"/bin/hello\",1]}}",
        "process.args[1]: is a number, not a string",
    ),
    (
        "{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"/\"},\"process\":{\"cwd\":\"/\",\"args\":[\"/bin/hello\"]},\
         \"linux\":{\"resources\":{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":5}]}}}",
        "linux.resources.hugepageLimits[0]: is known, but this kernel does not enforce it yet",
    ),
    (
        "{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"rootfs\"},\"process\":{\"cwd\":\"/\",\"args\":[\"/bin/hello\"]},\
         \"hostname\":\"web\"}",
        "root.path: any root but / needs namespace=mount",
    ),
    (
        "{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"/\"},\"process\":{\"cwd\":\"/\",\"args\":[\"x\"]},\"vm\":{}}",
        "vm: ",
    ),
];

/// A right one: its properties mean what the lines of the same names mean, `${…}` is nothing special, and what the
/// specification does not know is ignored.
const RIGHT_JSON: &str = "{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"/\"},\"x\":[1.5,null],\
    \"process\":{\"cwd\":\"/\",\"args\":[\"/bin/worker\",\"exit\",\"7\"],\"env\":[\"A=${NO_SUCH}\"],\"user\":{\"uid\":0,\"gid\":0}},\
    \"linux\":{\"namespaces\":[{\"type\":\"pid\"}],\"resources\":{\"pids\":{\"limit\":8},\"memory\":{\"limit\":8388608}}}}";

/// Lines that are added to the usual house, the errno of the step that fails, what the message names.
const FAILING: &[(&str, &str, Errno, &str)] = &[
    ("", "/bin/missing", Errno::ENOENT, "(process)"),
    ("", "/bin", Errno::EACCES, "(process)"),
    ("", "missing-in-path", Errno::ENOENT, "(process)"),
    ("process_cwd=/nowhere\n", "/bin/hello", Errno::ENOENT, "/nowhere"),
    ("mount=/sys:bind:no-such-source\n", "/bin/hello", Errno::ENOENT, "(mount)"),
];

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    for &(document, line, reason) in WRONG {
        let refused = driver::create("wrong", document, CreateFlags::empty());
        let named = first_wrong_line(document, line);
        let Err((errno, message)) = refused else {
            checks.holds(format_args!("{named} is refused"), false);
            continue;
        };
        let place = text!(16, "line {line}: ");
        let on_line = if line == 0 { !message.starts_with("line ") } else { message.starts_with(place.as_str()) };
        let holds = errno == Errno::EINVAL && on_line && message.contains(reason);
        checks.holds(format_args!("{named} is refused: {errno:?} {message}"), holds);
    }
    for key in KEYS.iter().filter(|key| key.support == Support::NotYet) {
        let refused = driver::create("wrong", text!(64, "{}=x\n", key.name).as_str(), CreateFlags::empty());
        let words = matches!(&refused, Err((Errno::EINVAL, message)) if message.contains("not enforce"));
        checks.holds(format_args!("{}, which is not enforced, is not accepted", key.name), words);
    }
    for &(document, begins) in WRONG_JSON {
        let refused = driver::create("wrong", document, CreateFlags::empty());
        let said = refused.as_ref().err().map_or("", |(_, message)| message.as_str());
        let holds = matches!(&refused, Err((Errno::EINVAL, _))) && said.starts_with(begins);
        checks.holds(format_args!("config.json is refused: {said}"), holds);
    }
    let end = driver::run("json", RIGHT_JSON);
    checks.equal("a right config.json runs", end.map(|end| end.status.shell_status()).ok(), Some(7));
    raw_documents(&mut checks);
    for &(more, path, errno, named) in FAILING {
        let refused = driver::create("failing", &driver::config(more, &[path]), CreateFlags::empty());
        let found = refused.as_ref().map_err(|(errno, _)| *errno).map(|_| ());
        let said = refused.as_ref().err().map_or("", |(_, message)| message.as_str());
        checks.equal(format_args!("{more:?} with {path} is {}: {said}", errno.name()), found, Err(errno));
        checks.holds(format_args!("and the message has {named}"), said.contains(named));
    }
    let rootless = "root_path=no-such-root\nnamespace=mount\nprocess_arg=/bin/hello\n";
    let refused = driver::create("rootless", rootless, CreateFlags::empty()).map_err(|(errno, _)| errno);
    checks.equal("a root that is not there is ENOENT", refused, Err(Errno::ENOENT));
    let escaping = "root_path=../../bundle\nnamespace=mount\nprocess_arg=/bin/hello\n";
    let refused = driver::create("escaping", escaping, CreateFlags::empty()).map_err(|(errno, _)| errno);
    checks.equal("a root outside the bundle is EXDEV", refused, Err(Errno::EXDEV));
    checks.equal("nothing of all these remains", driver::count(), Ok(0));
    let end = driver::run("wrong", &driver::config("", &["/bin/worker", "exit", "0"]));
    checks.equal("the id is free and a right one runs", end.is_ok_and(|end| end.status.shell_status() == 0), true);
    checks.finish()
}

/// The text of the line that is wrong, for a message.
fn first_wrong_line(document: &str, line: u32) -> &str {
    document.split('\n').nth((line.max(1) - 1) as usize).unwrap_or("").trim_end_matches(['\r', '\0'])
}

/// Documents that are no `str`, or too long for a table.
fn raw_documents(checks: &mut Checks) {
    let bundle = driver::bundle();
    let mut message = [0; 256];
    let mut refused = |document: &[u8]| {
        let made = sys::container_create(document, b"raw", bundle, CreateFlags::empty(), &mut message);
        made.map_err(|(errno, len)| (errno, len, message[..len].windows(5).any(|part| part == b"UTF-8")))
    };
    let not_text = refused(b"process_arg=/bin/hello\nprocess_env=A=\xff\n");
    checks.holds(
        "a document that is not UTF-8 is refused with that reason",
        matches!(not_text, Err((Errno::EINVAL, _, true))),
    );
    let long = sys::buffer(65537).expect("memory");
    long.fill(b'\n');
    let too_long = refused(long);
    checks.holds(
        "one of 65537 bytes is refused with a reason",
        matches!(too_long, Err((Errno::EINVAL | Errno::E2BIG, 1.., _))),
    );
    let empty = refused(&long[..65536]);
    checks.holds("one of 65536 empty lines lacks arguments", matches!(empty, Err((Errno::EINVAL, 1.., _))));
    sys::close(bundle).expect("the bundle closes");
}
