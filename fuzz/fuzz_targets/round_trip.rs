//! What is read prints to a text that reads the same, passes every check, and has the same identity.
#![no_main]

use libfuzzer_sys::fuzz_target;
use veridian_containers::config::Config;

fuzz_target!(|document: &[u8]| {
    let Ok(config) = Config::parse(
        document,
        &[("CONTAINER_ID", "web"), ("BUNDLE", "/srv/a:b\"")],
    ) else {
        return;
    };
    let printed = config.to_string();
    let again = Config::parse(printed.as_bytes(), &[]).expect("the canonical text reads");
    assert_eq!(again, config);
    assert_eq!(again.identity(), config.identity());
    assert_eq!(Config::new(config.clone().into_settings()), Ok(config));
});
