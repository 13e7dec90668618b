//! From the model's samples to those that were asked for: placed in time, then resampled.

use crate::audio::{AudioError, StreamResampler, resampled_len};

/// The last stage of a synthesis, for a signal that comes in pieces. Whole clips go through it as one piece.
pub struct Output {
    /// Samples still to be dropped at the start.
    skip: usize,
    /// Samples to be dropped at the end, and so held back.
    hold: usize,
    held: Vec<f32>,
    /// Finished samples that are not wanted: those before the one that the answer begins with.
    unwanted: u64,
    resampler: StreamResampler,
}

impl Output {
    /// `shift` as in [`Prepared::shift_samples`](crate::mel::Prepared): samples to drop at the start (and the frame that is then too much
    /// at the end), or, negative, silence to put there. `from` and `to` are sample rates in hertz.
    ///
    /// # Errors
    /// [`AudioError::SampleRate`], [`AudioError::Resample`].
    pub fn new(shift: i64, from: u32, to: u32) -> Result<Output, AudioError> {
        let size = usize::try_from(shift.unsigned_abs()).unwrap_or(usize::MAX);
        let drop = if shift > 0 { size } else { 0 };
        Ok(Output {
            skip: drop,
            hold: drop,
            held: vec![0.0; size - drop],
            unwanted: 0,
            resampler: StreamResampler::new(from, to)?,
        })
    }

    /// Samples that come of `made` samples of the model in all.
    #[must_use]
    pub fn samples(made: usize, shift: i64, from: u32, to: u32) -> usize {
        // A positive shift takes from both ends; a negative one adds silence in front.
        let placed = usize::try_from(made as i64 - shift.max(2 * shift)).unwrap_or(0);
        resampled_len(placed, from, to)
    }

    /// Goes on inside a clip, to be called first: `made` samples of the clip lie before the first that will be pushed, and what is given
    /// out begins with finished sample `first`. Silence is pushed for what was made, so that the resampler stands where it would stand;
    /// that takes a hundredth of the time that making it did.
    ///
    /// # Errors
    /// [`AudioError::Resample`].
    pub fn resume(&mut self, made: u64, first: u64) -> Result<(), AudioError> {
        const SILENCE: [f32; 4096] = [0.0; 4096];
        self.unwanted = first;
        let (mut left, mut nothing) = (made, Vec::new());
        while left > 0 {
            let piece = left.min(SILENCE.len() as u64);
            self.push(&SILENCE[..piece as usize], &mut nothing)?;
            left -= piece;
            nothing.clear();
        }
        Ok(())
    }

    /// Takes further samples and appends to `out` those that are finished.
    ///
    /// # Errors
    /// [`AudioError::Resample`].
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<(), AudioError> {
        let skipped = self.skip.min(samples.len());
        self.skip -= skipped;
        self.held.extend_from_slice(&samples[skipped..]);
        let ready = self.held.len().saturating_sub(self.hold);
        let before = out.len();
        self.resampler.push(&self.held[..ready], out)?;
        self.held.drain(..ready);
        drop_unwanted(&mut self.unwanted, before, out);
        Ok(())
    }

    /// Ends the signal and appends what is left of it to `out`.
    ///
    /// # Errors
    /// [`AudioError::Resample`].
    pub fn finish(mut self, out: &mut Vec<f32>) -> Result<(), AudioError> {
        let before = out.len();
        self.resampler.finish(out)?;
        drop_unwanted(&mut self.unwanted, before, out);
        Ok(())
    }
}

/// Takes the first of the samples from place `before` on out of `out`, as long as any are unwanted.
fn drop_unwanted(unwanted: &mut u64, before: usize, out: &mut Vec<f32>) {
    let count =
        usize::try_from(*unwanted).map_or(out.len() - before, |u| u.min(out.len() - before));
    out.drain(before..before + count);
    *unwanted -= count as u64;
}

#[cfg(test)]
mod tests {
    use super::Output;

    fn shifted(pieces: &[&[f32]], shift: i64) -> Vec<f32> {
        let mut output = Output::new(shift, 22_050, 22_050).unwrap();
        let mut out = Vec::new();
        for piece in pieces {
            output.push(piece, &mut out).unwrap();
        }
        output.finish(&mut out).unwrap();
        let made = pieces.iter().map(|piece| piece.len()).sum();
        assert_eq!(out.len(), Output::samples(made, shift, 22_050, 22_050));
        out
    }

    #[test]
    fn a_shift_moves_the_audio() {
        let samples: Vec<f32> = (0..8).map(|v| v as f32).collect();
        assert_eq!(shifted(&[&samples], 0), samples);
        assert_eq!(shifted(&[&samples], 2), [2.0, 3.0, 4.0, 5.0]);
        assert_eq!(
            shifted(&[&samples[..1], &samples[1..7], &samples[7..]], 2),
            [2.0, 3.0, 4.0, 5.0]
        );
        assert_eq!(shifted(&[&[1.0]], -2), [0.0, 0.0, 1.0]);
        assert!(shifted(&[&[1.0]], 128).is_empty());
    }

    #[test]
    fn an_answer_that_begins_inside_its_clip_is_the_end_of_the_whole_one() {
        let samples: Vec<f32> = (0..40_000).map(|v| (0.01 * v as f32).sin()).collect();
        for (shift, to) in [
            (0, 22_050),
            (384, 22_050),
            (-128, 16_000),
            (384, 24_000),
            (0, 48_000),
        ] {
            let mut whole = Vec::new();
            let mut output = Output::new(shift, 22_050, to).unwrap();
            output.push(&samples, &mut whole).unwrap();
            output.finish(&mut whole).unwrap();
            for (made, beyond) in [(0, 7), (5_120, 600), (20_480, 9_000), (20_480, 1 << 40)] {
                // Not before the resampler sees nothing but samples that were pushed.
                let first = (made + beyond) * u64::from(to) / 22_050 + 512;
                let mut rest = Vec::new();
                let mut output = Output::new(shift, 22_050, to).unwrap();
                output.resume(made, first).unwrap();
                output.push(&samples[made as usize..], &mut rest).unwrap();
                output.finish(&mut rest).unwrap();
                assert_eq!(
                    rest,
                    whole[whole.len().min(first as usize)..],
                    "{shift} {to} {made} {first}"
                );
            }
        }
    }
}
