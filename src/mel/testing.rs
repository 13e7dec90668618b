//! Mels and fixtures for tests.

use ndarray::Array2;

use super::{Compression, Layout, Mel, MelConvention, NpyLimits, analyse, read_npy};

pub fn named(name: &str) -> MelConvention {
    MelConvention::named(name).unwrap()
}

/// Syllables of a buzz over faint noise, with digital silence at the end.
pub fn speechlike(rate: u32) -> Vec<f32> {
    let voice = |t: f32| {
        (1..30)
            .map(|k| (t * 130.0 * std::f32::consts::TAU * k as f32).sin() / k as f32)
            .sum::<f32>()
            * 0.12
    };
    let hiss = |n: usize| ((n * 7919 % 10_007) as f32 / 10_007.0 - 0.5) * 1e-3;
    let sample = |n: usize| {
        let t = n as f32 / rate as f32;
        let loud = (t * 4.0 * std::f32::consts::TAU).sin().max(0.0);
        if t < 0.8 {
            voice(t) * loud + hiss(n)
        } else {
            0.0
        }
    };
    (0..rate as usize).map(sample).collect()
}

/// White noise of this amplitude, a second of it at 22,050 Hz.
pub fn white_noise(amplitude: f32) -> Vec<f32> {
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..22_050).map(|_| amplitude * next()).collect()
}

pub fn mel_of(convention: &MelConvention) -> Mel {
    analyse(&speechlike(convention.sample_rate), convention).unwrap()
}

pub fn variant_of(base: &str, change: impl FnOnce(&mut Compression)) -> MelConvention {
    let mut convention = named(base);
    change(&mut convention.compression);
    convention
}

/// An array of `tests/fixtures`, such as `mel/hifigan`.
pub(crate) fn fixture(name: &str) -> Array2<f32> {
    let path = format!("{}/tests/fixtures/{name}.npy", env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::File::open(path).unwrap();
    let read = read_npy(file, None, Layout::BandsFirst, &NpyLimits::default());
    read.unwrap().into_values()
}

/// A signal of `tests/fixtures`, which is stored as one row.
pub(crate) fn signal(name: &str) -> Vec<f32> {
    fixture(name).into_raw_vec_and_offset().0
}
