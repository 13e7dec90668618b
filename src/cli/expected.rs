//! The audio that a client waits for: whether what a server sends can be that of the mel.

use crate::audio::resampled_len;
use crate::client::ClientError;
use crate::mel::MelConvention;
use crate::proto;

/// Samples by which a resampled length may differ from the ideal one.
const ROUNDING: usize = 2;

/// The audio that a mel makes, by what the server tells of its model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// Fewest and most samples at the model's own rate.
    least: usize,
    most: usize,
    sample_rate: u32,
}

impl Expected {
    /// The audio of `frames` frames by a model that takes `model`. `said` is the name of the convention that the mel is said to be of, empty for the
    /// model's own; `trimmed` where the server may cut the ends of the mel.
    pub(super) fn of(
        frames: usize,
        model: &proto::MelConvention,
        said: &str,
        trimmed: bool,
    ) -> Expected {
        let hop = model.hop as usize;
        let made = match MelConvention::named(said) {
            Some(said) => {
                let seconds = frames as f64 * said.hop as f64 / f64::from(said.sample_rate);
                (seconds * f64::from(model.sample_rate_hz)) as usize
            }
            None => frames.saturating_mul(hop),
        };
        // Frames of another convention may lie half a hop off, and be one more or less.
        let slack = if said.is_empty() { 0 } else { 2 * hop };
        Expected {
            least: match trimmed {
                true => 0,
                false => made.saturating_sub(slack),
            },
            most: made.saturating_add(slack),
            sample_rate: model.sample_rate_hz,
        }
    }

    /// The fewest and the most samples in the audio of this header, the rounding of a resampler included.
    ///
    /// # Errors
    /// [`ClientError::Broken`] for audio that is not what was asked for.
    fn samples(self, header: &proto::StreamHeader) -> Result<(usize, usize), ClientError> {
        if header.encoding() != proto::AudioEncoding::PcmF32le || header.channels != 1 {
            let reason = "its audio is not one channel of floats".to_owned();
            return Err(ClientError::Broken { reason });
        }
        let at = |samples| resampled_len(samples, self.sample_rate, header.sample_rate_hz);
        Ok((
            at(self.least).saturating_sub(ROUNDING),
            at(self.most) + ROUNDING,
        ))
    }

    /// Whether `samples` so far are no more than the mel makes.
    ///
    /// # Errors
    /// [`ClientError::Broken`].
    pub(super) fn allows(
        self,
        header: &proto::StreamHeader,
        samples: usize,
    ) -> Result<(), ClientError> {
        let (_, most) = self.samples(header)?;
        if samples <= most {
            return Ok(());
        }
        let reason = format!("it has more than the {most} samples that its mel makes");
        Err(ClientError::Broken { reason })
    }

    /// Whether `samples` are the whole audio of the mel.
    ///
    /// # Errors
    /// [`ClientError::Broken`].
    pub(super) fn is_met(
        self,
        header: &proto::StreamHeader,
        samples: usize,
    ) -> Result<(), ClientError> {
        self.allows(header, samples)?;
        let (least, _) = self.samples(header)?;
        if samples >= least {
            return Ok(());
        }
        let reason = format!("it has {samples} samples, and its mel makes {least} or more");
        Err(ClientError::Broken { reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(rate: u32) -> proto::StreamHeader {
        proto::StreamHeader {
            sample_rate_hz: rate,
            channels: 1,
            encoding: proto::AudioEncoding::PcmF32le.into(),
            ..proto::StreamHeader::default()
        }
    }

    #[test]
    fn audio_is_as_long_as_its_mel_unless_the_server_changes_that() {
        let model = proto::MelConvention {
            sample_rate_hz: 22_050,
            hop: 256,
            ..proto::MelConvention::default()
        };
        let of = |said: &str, trimmed| Expected::of(100, &model, said, trimmed);
        let takes =
            |expected: Expected, samples, rate| expected.is_met(&header(rate), samples).is_ok();
        assert!(takes(of("", false), 25_600, 22_050));
        assert!(takes(of("", false), 51_200, 44_100));
        for samples in [25_344, 25_856] {
            assert!(!takes(of("", false), samples, 22_050), "{samples}");
            assert!(takes(of("tacotron2", false), samples, 22_050), "{samples}");
        }
        // 100 hops of 256 at 24,000 Hz.
        assert!(takes(of("vocos24k", false), 92 * 256, 22_050));
        assert!(!takes(of("vocos24k", false), 98 * 256, 22_050));
        assert!(takes(of("", true), 10 * 256, 22_050));
        assert!(!takes(of("", true), 101 * 256, 22_050));
        let mut stereo = header(22_050);
        stereo.channels = 2;
        assert!(of("", false).is_met(&stereo, 25_600).is_err());
    }
}
