//! Whatever stands in a config.json, at its top or in one of its objects: nothing panics, an error names no line, and
//! what is accepted asks for nothing that is not enforced and reads the same from its canonical text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use veridian_containers::config::{Config, is_enforced};

/// Documents that lack a text where the blank between the two is.
const FRAMES: [(&str, &str); 6] = [
    ("{", "}"),
    (r#"{"ociVersion":"1.0.2","root":{"path":"/"},"process":{"cwd":"/","args":["x"]},"#, "}"),
    (r#"{"ociVersion":"1.0.2","root":{"path":"/"},"process":{"cwd":"/","args":["x"],"#, "}}"),
    (r#"{"ociVersion":"1.0.2","root":{"path":"r"},"process":{"cwd":"/","args":["x"]},"linux":{"namespaces":[{"type":"mount"}],"#, "}}"),
    (r#"{"ociVersion":"1.0.2","root":{"path":"r"},"process":{"cwd":"/","args":["x"]},"linux":{"namespaces":[{"type":"mount"}]},"mounts":[{"#, "}]}"),
    (r#"{"ociVersion":"1.0.2","root":{"path":"/"},"process":{"cwd":"/","args":["x"]},"linux":{"resources":{"#, "}}}"),
];

fuzz_target!(|text: &[u8]| {
    let [frame, text @ ..] = text else { return };
    let (before, after) = FRAMES[usize::from(*frame) % FRAMES.len()];
    let document = [before.as_bytes(), text, after.as_bytes()].concat();
    match Config::parse(&document, &[]) {
        Ok(config) => {
            for demand in config.demands() {
                assert!(is_enforced(demand.key, &demand.word), "{demand:?} was accepted");
            }
            let again = Config::parse(config.to_string().as_bytes(), &[]);
            assert_eq!(again.expect("the canonical text reads"), config);
        }
        Err(error) => assert!(error.line().is_none() && !error.reason().is_empty()),
    }
    let _ = Config::parse_whole_language(&document, &[]);
});
