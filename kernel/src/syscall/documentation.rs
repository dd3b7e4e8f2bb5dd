//! docs/linux-abi.md is held to the table of calls.

use super::{number, table};
extern crate std;

use alloc::{format, string::String, vec::Vec};
use std::{env, fs};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/linux-abi.md");

/// Set it to rewrite the page: `VERIDIAN_WRITE_DOCS=1 cargo test -p veridian-kernel documentation`.
const REWRITE: &str = "VERIDIAN_WRITE_DOCS";

/// Calls that are begun without the table, and what each lacks.
const ELSEWHERE: &[(&str, Option<&str>)] = &[
    ("arch_prctl", Some("ARCH_SET_FS and ARCH_GET_FS alone")),
    ("clone", Some("no tracing; CLONE_IO has nothing to share")),
    ("clone3", Some("no tracing; CLONE_IO has nothing to share")),
    ("execve", None),
    ("execveat", None),
    ("exit", None),
    ("exit_group", None),
    ("fork", None),
    ("rt_sigreturn", None),
    ("sigaltstack", None),
    ("vfork", None),
];

/// The calls that there are by name, and what each lacks.
fn served() -> Vec<(&'static str, Option<&'static str>)> {
    let named = |&(number, lacks): &(u32, Option<&'static str>)| Some((number::name(number as usize)?, lacks));
    let mut all: Vec<_> = table::LINES.iter().filter_map(named).chain(ELSEWHERE.iter().copied()).collect();
    all.sort_unstable();
    all
}

fn tables() -> String {
    let served = served();
    let (whole, partial): (Vec<_>, Vec<_>) = served.iter().copied().partition(|(_, lacks)| lacks.is_none());
    let list = |names: Vec<&str>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ");
    let absent: Vec<_> =
        number::all_names().filter(|name| served.binary_search_by_key(name, |(known, _)| known).is_err()).collect();
    let mut text = format!("{} calls are there whole:\n\n", whole.len());
    text += &list(whole.into_iter().map(|(name, _)| name).collect());
    text += &format!("\n\n{} are there in part:\n\n| call | what it lacks |\n| --- | --- |\n", partial.len());
    for (name, lacks) in partial {
        text += &format!("| `{name}` | {} |\n", lacks.unwrap_or_default());
    }
    text += &format!("\n{} are not there, and answer ENOSYS:\n\n{}\n", absent.len(), list(absent));
    text
}

#[test]
fn the_page_lists_the_calls_of_the_table() {
    let page = fs::read_to_string(FILE).expect("docs/linux-abi.md");
    let (begin, end) = ("<!-- calls -->\n", "<!-- end of calls -->\n");
    let (before, rest) = page.split_once(begin).expect("the mark of the list's begin");
    let (_, after) = rest.split_once(end).expect("the mark of the list's end");
    let made = format!("{before}{begin}\n{}\n{end}{after}", tables());
    if env::var_os(REWRITE).is_some() {
        fs::write(FILE, made).expect("written");
    } else {
        assert!(page == made, "docs/linux-abi.md is not up to date; run with {REWRITE}=1 to make it so");
    }
}
