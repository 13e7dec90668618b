//! What comes of a decoded file, and how much of it there may be.

use crate::setters::setters;

/// Bounds on what a file may make the reader allocate.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DecodeLimits {
    /// Longest recording in seconds. The default is one hour.
    pub max_seconds: f64,
    /// Most samples of the mono result, whatever their rate. The default is two hours at 48 kHz.
    pub max_samples: usize,
}

setters!(DecodeLimits {
    max_seconds: f64,
    max_samples: usize,
});

impl DecodeLimits {
    /// Samples that a clip of that rate may have.
    pub(super) fn most(&self, sample_rate: u32) -> usize {
        let longest = self.max_seconds * f64::from(sample_rate);
        self.max_samples.min(longest as usize)
    }
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            max_seconds: 3_600.0,
            max_samples: 2 * 3_600 * 48_000,
        }
    }
}

/// A decoded file.
#[derive(Clone, Debug)]
pub struct DecodedAudio {
    /// Mono samples, full scale -1 to 1: the mean over the channels.
    pub samples: Vec<f32>,
    /// Samples a second.
    pub sample_rate: u32,
    /// Channels that the file has.
    pub channels: usize,
    /// The texts stored in the file (software, comment and the like), in file order.
    pub tags: Vec<(String, String)>,
    /// What was wrong with the file but did not stop the reading.
    pub warnings: Vec<String>,
}

impl DecodedAudio {
    /// Length in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.sample_rate.max(1))
    }
}
