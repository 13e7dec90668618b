//! The reader of `.npy` mels, in every layout, with and without a model that says how many bands there are.
//! A mel that is taken survives being written and read again; a refusal is short.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vocode::mel::{Layout, NpyLimits, read_npy, write_npy};

fuzz_target!(|data: &[u8]| {
    let limits = NpyLimits::default();
    for layout in [Layout::Auto, Layout::BandsFirst, Layout::FramesFirst] {
        for n_mels in [None, Some(80), Some(3)] {
            let mel = match read_npy(data, n_mels, layout, &limits) {
                Ok(mel) => mel,
                Err(error) => {
                    assert!(error.to_string().len() < 5000);
                    continue;
                }
            };
            assert!(n_mels.is_none_or(|n| n == mel.n_mels()));
            let mut bytes = Vec::new();
            write_npy(&mut bytes, &mel).expect("a vector takes every byte");
            let again = read_npy(bytes.as_slice(), n_mels, Layout::BandsFirst, &limits);
            assert_eq!(again.expect("a written mel can be read"), mel);
        }
    }
});
