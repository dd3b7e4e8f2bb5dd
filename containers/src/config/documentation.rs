//! Keeps docs/config.md and the tables together: what stands there between two marks is made here.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::{env, fs};

use super::VALUES;
use crate::keys::{KEYS, KeyId, Support};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/config.md");

/// Set it to rewrite the page: `VERIDIAN_WRITE_DOCS=1 cargo test -p veridian-containers documentation`.
const REWRITE: &str = "VERIDIAN_WRITE_DOCS";

/// The table of all keys.
fn keys() -> String {
    let mut table = String::from("| key | value | default |\n| --- | --- | --- |\n");
    for key in &KEYS {
        let times = if key.repeats { " (repeats)" } else { "" };
        table += &format!("| `{}`{times} | {} | {} |\n", key.name, key.value, key.default);
    }
    table
}

/// What belongs to the language and is refused.
fn not_yet() -> String {
    let quoted = |words: Vec<&str>| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let keys: Vec<_> = KEYS.iter().filter(|key| key.support == Support::NotYet).map(|key| key.name).collect();
    let mut list = String::new();
    if !keys.is_empty() {
        list += &format!("- keys: {}\n", quoted(keys));
    }
    for id in [KeyId::ProcessTerminal, KeyId::Namespace, KeyId::Mount, KeyId::Seccomp] {
        let refused = VALUES.iter().filter(|value| value.key == id && value.support == Support::NotYet);
        let words: Vec<_> = refused.map(|value| value.word).collect();
        if !words.is_empty() && id.key().support == Support::Enforced {
            list += &format!("- of `{}`: {}\n", id.name(), quoted(words));
        }
    }
    if list.is_empty() { "Nothing: all of the language is enforced.\n".to_string() } else { list }
}

/// Puts a text between its marks.
fn put(page: &str, mark: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- end of {mark} -->\n"));
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("docs/config.md lacks {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("docs/config.md lacks {end}"));
    format!("{before}{begin}\n{text}\n{end}{after}")
}

#[test]
fn the_documentation_has_what_the_tables_have() {
    let page = fs::read_to_string(FILE).unwrap();
    let made = put(&put(&page, "keys", &keys()), "not enforced yet", &not_yet());
    if env::var_os(REWRITE).is_some() {
        fs::write(FILE, made).unwrap();
    } else {
        assert!(page == made, "docs/config.md is not up to date; run with {REWRITE}=1 to make it so");
    }
}
