//! From the model's samples to those that were asked for: placed in time, then resampled.

use crate::audio::{AudioError, StreamResampler};

/// The last stage of a synthesis, for a signal that comes in pieces. Whole clips go through it as one piece.
pub struct Output {
    /// Samples still to be dropped at the start.
    skip: usize,
    /// Samples to be dropped at the end, and so held back.
    hold: usize,
    held: Vec<f32>,
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
            resampler: StreamResampler::new(from, to)?,
        })
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
        self.resampler.push(&self.held[..ready], out)?;
        self.held.drain(..ready);
        Ok(())
    }

    /// Ends the signal and appends what is left of it to `out`.
    ///
    /// # Errors
    /// [`AudioError::Resample`].
    pub fn finish(self, out: &mut Vec<f32>) -> Result<(), AudioError> {
        self.resampler.finish(out)
    }
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
}
