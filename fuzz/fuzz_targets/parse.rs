//! No document panics the line reader or the parser, and both agree on what the lines are, unless it is config.json.
#![no_main]

use libfuzzer_sys::fuzz_target;
use veridian_containers::config::Config;
use veridian_containers::line::Lines;

fuzz_target!(|document: &[u8]| {
    let bad_line = Lines::new(document).find_map(Result::err);
    let parsed = Config::parse(
        document,
        &[("CONTAINER_ID", "web"), ("BUNDLE", "/srv/a:b\"")],
    );
    let is_json = document.trim_ascii_start().first() == Some(&b'{');
    if let Some(bad) = bad_line.filter(|_| !is_json) {
        let error = parsed.expect_err("a line that cannot be read is never skipped");
        assert!(
            error.line().is_some_and(|line| line.get() <= bad.line),
            "the first error wins"
        );
    }
});
