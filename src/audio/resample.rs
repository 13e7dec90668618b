//! Resampling, of a signal that comes in pieces; whole clips go through the same code, so pieces and wholes cannot differ.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, FixedAsync, Indexing, Resampler, SincInterpolationParameters, WindowFunction};

use super::AudioError;
use crate::rates::{MAX_SAMPLE_RATE, MIN_SAMPLE_RATE};

/// Taps of the anti-aliasing filter.
pub(crate) const TAPS: usize = 256;
/// Input samples that are resampled at a time, however they came.
const BLOCK: usize = 256;

/// The length of `len` samples at `from` Hz after resampling to `to` Hz: `len * to / from`, rounded to nearest (halves up).
#[must_use]
pub fn resampled_len(len: usize, from: u32, to: u32) -> usize {
    let (len, from, to) = (len as u128, u128::from(from.max(1)), u128::from(to));
    usize::try_from((2 * len * to + from) / (2 * from)).unwrap_or(usize::MAX)
}

/// Resamples a whole mono clip, with the filter's delay removed: sample `i` of the output lies at the time of sample
/// `i * from / to` of the input, to a hundredth of a sample. The output has exactly [`resampled_len`] samples. Equal rates return the input unchanged.
///
/// # Errors
/// [`AudioError::SampleRate`] when a rate is outside [`MIN_SAMPLE_RATE`]..=[`MAX_SAMPLE_RATE`], [`AudioError::Resample`] when
/// rubato refuses the pair.
pub fn resample(samples: Vec<f32>, from: u32, to: u32) -> Result<Vec<f32>, AudioError> {
    let mut resampler = StreamResampler::new(from, to)?;
    if from == to {
        return Ok(samples);
    }
    let mut output = Vec::with_capacity(resampled_len(samples.len(), from, to));
    resampler.push(&samples, &mut output)?;
    resampler.finish(&mut output)?;
    Ok(output)
}

/// [`resample`] for a signal that comes in pieces: the same samples, whatever the pieces. Half a filter (128 samples) and one block
/// (256 samples) of the input at most are held back.
pub struct StreamResampler {
    from: u32,
    to: u32,
    /// `None`: equal rates.
    filter: Option<Async<f32>>,
    /// Input that does not fill a block yet.
    pending: Vec<f32>,
    block: Vec<f32>,
    /// Samples at the start of the filter's output that lie before the signal.
    skip: usize,
    taken: usize,
    given: usize,
}

impl StreamResampler {
    /// A resampler at the start of a signal.
    ///
    /// # Errors
    /// As [`resample`].
    pub fn new(from: u32, to: u32) -> Result<StreamResampler, AudioError> {
        for rate in [from, to] {
            check_rate(rate)?;
        }
        let mut resampler = StreamResampler {
            from,
            to,
            filter: None,
            pending: Vec::new(),
            block: Vec::new(),
            skip: 0,
            taken: 0,
            given: 0,
        };
        if from == to {
            return Ok(resampler);
        }
        let filter = Async::<f32>::new_sinc(
            f64::from(to) / f64::from(from),
            1.0,
            &SincInterpolationParameters::new(TAPS, WindowFunction::BlackmanHarris2),
            BLOCK,
            1,
            FixedAsync::Input,
        )
        .map_err(|e| resampler.refused(&e))?;
        resampler.block = vec![0.0; filter.output_frames_max()];
        resampler.filter = Some(filter);
        // The filter's delay is a whole number of input samples. Silence in front makes it a whole number of output samples too, which
        // can then be dropped without moving the signal by a fraction of one. The filter steps once before its first output.
        let period = (from / greatest_common_divisor(from, to)) as usize;
        let delay = (TAPS / 2).next_multiple_of(period);
        resampler.pending = vec![0.0; delay - TAPS / 2];
        resampler.skip = delay / period * (to / greatest_common_divisor(from, to)) as usize - 1;
        Ok(resampler)
    }

    /// Takes further samples and appends to `out` those that are finished.
    ///
    /// # Errors
    /// [`AudioError::Resample`] when rubato fails.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<(), AudioError> {
        self.taken += samples.len();
        if self.filter.is_none() {
            self.given += samples.len();
            out.extend_from_slice(samples);
            return Ok(());
        }
        self.pending.extend_from_slice(samples);
        let whole = self.pending.len() / BLOCK * BLOCK;
        for start in (0..whole).step_by(BLOCK) {
            let block = self.pending[start..start + BLOCK].to_vec();
            self.filter_block(&block, out)?;
        }
        self.pending.drain(..whole);
        Ok(())
    }

    /// Ends the signal and appends what is left of it to `out`: [`resampled_len`] samples in all.
    ///
    /// # Errors
    /// [`AudioError::Resample`] when rubato fails.
    pub fn finish(mut self, out: &mut Vec<f32>) -> Result<(), AudioError> {
        let end = resampled_len(self.taken, self.from, self.to);
        while self.given < end {
            let mut block = std::mem::take(&mut self.pending);
            block.resize(BLOCK, 0.0);
            self.filter_block(&block, out)?;
        }
        out.truncate(out.len() - (self.given - end));
        Ok(())
    }

    fn filter_block(&mut self, input: &[f32], out: &mut Vec<f32>) -> Result<(), AudioError> {
        let Some(filter) = &mut self.filter else {
            return Ok(());
        };
        let room = self.block.len();
        let made = InterleavedSlice::new(input, 1, input.len())
            .map_err(|e| e.to_string())
            .and_then(|input| {
                let mut output = InterleavedSlice::new_mut(&mut self.block, 1, room)
                    .map_err(|e| e.to_string())?;
                let (_, made) = filter
                    .process_into_buffer(&input, &mut output, None::<&Indexing>)
                    .map_err(|e| e.to_string())?;
                Ok(made)
            })
            .map_err(|reason| self.refused(&reason))?;
        let fresh = &self.block[self.skip.min(made)..made];
        self.skip -= self.skip.min(made);
        self.given += fresh.len();
        out.extend_from_slice(fresh);
        Ok(())
    }

    fn refused(&self, reason: &impl ToString) -> AudioError {
        AudioError::Resample {
            from: self.from,
            to: self.to,
            reason: reason.to_string(),
        }
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
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
            // A hundredth of an input sample, at the steepest slope of the tone.
            let slope = 0.5 * TAU * 1_000.0 / f64::from(from);
            assert!(f64::from(worst) < 0.01 * slope, "{from} -> {to}: {worst}");
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

        #[test]
        fn pieces_change_nothing(pieces in prop::collection::vec(0usize..700, 1..12), to in prop::sample::select(vec![16_000u32, 22_050, 48_000, 22_051])) {
            let clip = tone(700.0, 22_050, pieces.iter().sum());
            let (mut resampler, mut out, mut rest) = (StreamResampler::new(22_050, to).unwrap(), Vec::new(), clip.as_slice());
            for piece in pieces {
                resampler.push(&rest[..piece], &mut out).unwrap();
                rest = &rest[piece..];
            }
            resampler.finish(&mut out).unwrap();
            prop_assert_eq!(out, resample(clip, 22_050, to).unwrap());
        }
    }
}
