//! Streams that begin inside their clip: what was heard already is not made again.
//!
//! A sample depends on the noise, which is a function of its place in the clip, and on the mel and the states around it, as far as the
//! networks and filters reach. So whoever has the frames within that reach makes the same samples as whoever began with the clip.

use crate::audio::RESAMPLER_TAPS;
use crate::vocoder::error::VocoderError;

/// Where in its clip a stream begins; at its start by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamStart {
    /// Frame of the clip that the mel begins with.
    pub frame: u64,
    /// Sample of the clip's audio, at the rate that is asked for, that the answer begins with.
    pub sample: u64,
}

/// What lies between the samples of the model and those of the answer.
#[derive(Clone, Copy, Debug)]
pub(in crate::vocoder) struct Timing {
    pub hop: usize,
    /// As in [`Prepared::shift_samples`](crate::mel::Prepared).
    pub shift: i64,
    /// Sample rate of the model in hertz.
    pub from: u32,
    /// That of the answer.
    pub to: u32,
}

impl Timing {
    /// Frames before that of a sample of the answer which it depends on, where the networks and filters reach `reach` frames.
    pub fn lead(self, reach: usize) -> usize {
        let beside = RESAMPLER_TAPS as u64 + self.shift.unsigned_abs();
        reach
            + usize::try_from(beside)
                .unwrap_or(usize::MAX)
                .div_ceil(self.hop)
            + 1
    }
}

impl StreamStart {
    /// The first frame of the clip that has to be made, the networks and filters reaching `reach` frames.
    ///
    /// # Errors
    /// [`VocoderError::StartContext`] where the mel begins behind it.
    pub(in crate::vocoder) fn first_frame(
        self,
        timing: Timing,
        reach: usize,
    ) -> Result<u64, VocoderError> {
        let Timing { hop, from, to, .. } = timing;
        let at =
            u128::from(self.sample) * u128::from(from) / u128::from(to.max(1)) / hop.max(1) as u128;
        let at = u64::try_from(at).unwrap_or(u64::MAX);
        let needed = at.saturating_sub(timing.lead(reach) as u64);
        if self.frame > needed {
            let found = self.frame;
            return Err(VocoderError::StartContext { found, needed });
        }
        Ok(needed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing {
        hop: 256,
        shift: -384,
        from: 22_050,
        to: 44_100,
    };

    #[test]
    fn what_is_made_begins_as_far_before_a_sample_as_it_reaches() {
        let first = |frame, sample| StreamStart { frame, sample }.first_frame(TIMING, 20);
        // 256 taps and 384 samples are 3 frames, and a sample may lie anywhere in its own.
        assert_eq!(TIMING.lead(20), 24);
        assert_eq!(first(0, 0).unwrap(), 0);
        assert_eq!(first(0, 512 * 24).unwrap(), 0);
        assert_eq!(first(76, 512 * 100 + 511).unwrap(), 76);
        let error = first(77, 512 * 100 + 511).unwrap_err().to_string();
        assert!(
            error.contains("frame 77") && error.contains("from 76 on"),
            "{error}"
        );
        assert!(first(u64::MAX, u64::MAX).is_err());
    }
}
