//! The reader of mel conventions. One that is taken has finite limits, and survives being written and read again; a refusal is
//! short.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vocode::mel::MelConvention;

fuzz_target!(|text: &str| {
    let convention = match MelConvention::from_toml(text) {
        Ok(convention) => convention,
        Err(error) => return assert!(error.to_string().len() < 5000),
    };
    let (floor, ceiling) = (convention.floor_value(), convention.ceiling_value());
    assert!(floor.is_finite() && ceiling.is_finite() && floor <= ceiling);
    let written = toml::to_string(&convention).expect("a convention is a table");
    let again = MelConvention::from_toml(&written).expect("a written convention can be read");
    assert_eq!(again, convention);
});
