//! The reader of `bundle.toml`, and of the schedule files that are a part of it. A manifest that is taken survives being written and
//! read again; a refusal is short.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vocode::bundle::{Manifest, ScheduleSpec};

fuzz_target!(|text: &str| {
    let _ = ScheduleSpec::from_toml(text);
    let manifest = match Manifest::from_toml(text) {
        Ok(manifest) => manifest,
        Err(error) => return assert!(error.to_string().len() < 5000),
    };
    let written = toml::to_string(&manifest).expect("a manifest is a table");
    let again = Manifest::from_toml(&written).expect("a written manifest can be read");
    assert_eq!(again, manifest);
});
