//! Whole-clip resampling.

use rubato::audioadapter_buffers::owned::InterleavedOwned;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

use super::AudioError;

/// Lowest sample rate that is accepted anywhere, in hertz.
pub const MIN_SAMPLE_RATE: u32 = 1_000;
/// Highest sample rate that is accepted anywhere, in hertz.
pub const MAX_SAMPLE_RATE: u32 = 384_000;

/// Input frames in one FFT block. Longer blocks make a steeper anti-aliasing filter; a whole clip has no use for low delay.
const BLOCK: usize = 4096;

/// The length of `len` samples at `from` Hz after resampling to `to` Hz: `len * to / from`, rounded to nearest (halves up).
#[must_use]
pub fn resampled_len(len: usize, from: u32, to: u32) -> usize {
    let (len, from, to) = (len as u128, u128::from(from.max(1)), u128::from(to));
    usize::try_from((2 * len * to + from) / (2 * from)).unwrap_or(usize::MAX)
}

/// Resamples a whole mono clip, with the filter's delay removed: sample `i` of the output lies at the same time as sample
/// `i * from / to` of the input. The output has exactly [`resampled_len`] samples. Equal rates return the input unchanged.
///
/// # Errors
/// [`AudioError::SampleRate`] when a rate is outside [`MIN_SAMPLE_RATE`]..=[`MAX_SAMPLE_RATE`], [`AudioError::Resample`] when
/// rubato refuses the pair.
pub fn resample(samples: Vec<f32>, from: u32, to: u32) -> Result<Vec<f32>, AudioError> {
    for rate in [from, to] {
        check_rate(rate)?;
    }
    if from == to || samples.is_empty() {
        return Ok(samples);
    }
    let failed = |reason: String| AudioError::Resample { from, to, reason };
    let len = samples.len();
    let mut resampler = Fft::<f32>::new_custom(
        from as usize,
        to as usize,
        BLOCK,
        1,
        1,
        WindowFunction::BlackmanHarris2,
        FixedSync::Both,
    )
    .map_err(|e| failed(e.to_string()))?;
    let input = InterleavedOwned::new_from(samples, 1, len).map_err(|e| failed(e.to_string()))?;
    let output = resampler
        .process_all(&input, len, None)
        .map_err(|e| failed(e.to_string()))?;
    let mut output = output.take_data();
    output.resize(resampled_len(len, from, to), 0.0);
    Ok(output)
}

/// Refuses sample rates that no speech model or sound card uses, before anything is sized by them.
pub(super) fn check_rate(rate: u32) -> Result<(), AudioError> {
    if (MIN_SAMPLE_RATE..=MAX_SAMPLE_RATE).contains(&rate) {
        Ok(())
    } else {
        Err(AudioError::SampleRate {
            found: rate,
            min: MIN_SAMPLE_RATE,
            max: MAX_SAMPLE_RATE,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::f64::consts::TAU;

    fn tone(hz: f64, rate: u32, len: usize) -> Vec<f32> {
        (0..len)
            .map(|i| (0.5 * (TAU * hz * i as f64 / f64::from(rate)).sin()) as f32)
            .collect()
    }

    #[test]
    fn a_tone_keeps_its_pitch_amplitude_and_time() {
        for (from, to) in [(22_050, 16_000), (22_050, 48_000), (44_100, 22_050)] {
            let len = from as usize;
            let out = resample(tone(1_000.0, from, len), from, to).unwrap();
            assert_eq!(out.len(), to as usize);
            let want = tone(1_000.0, to, out.len());
            let inside = out.len() / 4..out.len() * 3 / 4;
            let worst = out[inside.clone()]
                .iter()
                .zip(&want[inside])
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst < 1e-4, "{from} -> {to}: {worst}");
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_hold_is_removed() {
        let out = resample(tone(10_000.0, 44_100, 44_100), 44_100, 16_000).unwrap();
        let peak = out[2_000..14_000].iter().fold(0f32, |m, v| m.max(v.abs()));
        assert!(peak < 1e-4, "{peak}");
    }

    #[test]
    fn equal_rates_change_nothing() {
        let clip = tone(440.0, 22_050, 777);
        assert_eq!(resample(clip.clone(), 22_050, 22_050).unwrap(), clip);
    }

    #[test]
    fn absurd_rates_are_refused() {
        for (from, to) in [(0, 22_050), (22_050, 0), (22_050, u32::MAX), (999, 22_050)] {
            assert!(matches!(
                resample(vec![0.0; 10], from, to),
                Err(AudioError::SampleRate { .. })
            ));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_length_is_exact(len in 1usize..20_000, pair in prop::sample::select(vec![
            (22_050u32, 16_000u32), (22_050, 48_000), (16_000, 22_050), (22_050, 24_000), (48_000, 8_000), (22_050, 22_051),
        ])) {
            let (from, to) = pair;
            let out = resample(vec![0.1; len], from, to).unwrap();
            let exact = len as f64 * f64::from(to) / f64::from(from);
            prop_assert!((out.len() as f64 - exact).abs() <= 0.5);
        }
    }
}
