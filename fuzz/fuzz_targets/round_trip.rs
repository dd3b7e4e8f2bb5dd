//! What is read, of all the language and in either form, prints to a text that reads the same and has the same
//! identity; what is enforced of it passes every check again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use veridian_containers::config::{Config, Process, Resources};

fuzz_target!(|document: &[u8]| {
    let variables = [("CONTAINER_ID", "web"), ("BUNDLE", "/srv/a:b\"")];
    let _ = Process::parse(document, &variables);
    let _ = Resources::parse(document, &variables);
    if let Ok(config) = Config::parse_whole_language(document, &variables) {
        let printed = config.to_string();
        let again = Config::parse_whole_language(printed.as_bytes(), &[]);
        let again = again.expect("the canonical text reads");
        assert_eq!(again, config);
        assert_eq!(again.identity(), config.identity());
    }
    if let Ok(config) = Config::parse(document, &variables) {
        assert_eq!(Config::new(config.clone().into_settings()), Ok(config));
    }
});
