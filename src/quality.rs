//! How far audio is from the recording that it should be, in the two distances by which vocoders are compared.
//!
//! ```
//! use vocode::mel::MelConvention;
//! use vocode::quality::Recording;
//!
//! let hifigan = MelConvention::named("hifigan").ok_or("no such preset")?;
//! let tone: Vec<f32> = (0..22_050).map(|n| 0.3 * (0.05 * n as f32).sin()).collect();
//! let quieter: Vec<f32> = tone.iter().map(|v| 0.5 * v).collect();
//! let recording = Recording::new(&tone, &hifigan)?;
//! assert_eq!(recording.compare(&tone)?.log_mel, 0.0);
//! assert!(recording.compare(&quieter)?.log_mel > 0.1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::mel::{Mel, MelConvention, MelError, analyse};
use crate::stft::{Stft, reflect};

/// FFT length, hop and window of each resolution, in samples (Yamamoto et al. 2020, arXiv:1910.11480).
const RESOLUTIONS: [(usize, usize, usize); 3] =
    [(512, 50, 240), (1024, 120, 600), (2048, 240, 1200)];
/// Least power of a bin: that of the published tables, to which the distance is sensitive.
const POWER_FLOOR: f64 = 1e-8;

/// The two distances; 0 for the recording itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Distances {
    /// Mean absolute difference of the mels, in nepers.
    pub log_mel: f64,
    /// Multi-resolution STFT distance: spectral convergence plus mean absolute difference of log magnitudes, the mean of three resolutions.
    pub mr_stft: f64,
}

/// A recording, analysed once to be compared with many.
pub struct Recording {
    convention: MelConvention,
    length: usize,
    mel: Mel,
    /// The magnitudes of every resolution, frame after frame.
    spectra: Vec<Vec<f64>>,
}

impl Recording {
    /// `samples` are mono at the convention's rate, full scale 1.
    ///
    /// # Errors
    /// Those of [`analyse`]: a recording shorter than a frame, or with a sample that is not finite.
    pub fn new(samples: &[f32], convention: &MelConvention) -> Result<Recording, MelError> {
        Ok(Recording {
            convention: convention.clone(),
            length: samples.len(),
            mel: analyse(samples, convention)?,
            spectra: RESOLUTIONS
                .iter()
                .map(|&resolution| magnitudes(samples, resolution))
                .collect(),
        })
    }

    /// Samples of the recording.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it has no samples, which [`Recording::new`] refuses.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How far `samples`, as many as the recording has, are from it.
    ///
    /// # Errors
    /// [`MelError::AudioLength`], [`MelError::AudioNonFinite`].
    pub fn compare(&self, samples: &[f32]) -> Result<Distances, MelError> {
        if samples.len() != self.length {
            return Err(MelError::AudioLength {
                expected: self.length,
                found: samples.len(),
            });
        }
        let mel = analyse(samples, &self.convention)?;
        let ln = |value: &f32| self.convention.ln_magnitude(*value);
        let pairs = mel.view().into_iter().zip(self.mel.view());
        let differences = pairs.map(|(a, b)| (ln(a) - ln(b)).abs());
        let spectra = RESOLUTIONS.iter().zip(&self.spectra);
        let distance = |(resolution, wanted): (&_, &Vec<f64>)| {
            spectral_distance(&magnitudes(samples, *resolution), wanted)
        };
        Ok(Distances {
            log_mel: differences.sum::<f64>() / mel.view().len() as f64,
            mr_stft: spectra.map(distance).sum::<f64>() / RESOLUTIONS.len() as f64,
        })
    }
}

/// Magnitudes of centred frames, the signal reflected at both ends.
fn magnitudes(samples: &[f32], (n_fft, hop, window): (usize, usize, usize)) -> Vec<f64> {
    let mut stft = Stft::new(n_fft, window);
    let mut all = Vec::with_capacity((1 + samples.len() / hop) * stft.bins());
    for frame in 0..=samples.len() / hop {
        let start = (frame * hop) as i64 - (n_fft / 2) as i64;
        let sample = |n: usize| f64::from(samples[reflect(start + n as i64, samples.len())]);
        let spectrum = stft.spectrum(sample).iter();
        all.extend(spectrum.map(|bin| bin.norm_sqr().max(POWER_FLOOR).sqrt()));
    }
    all
}

fn spectral_distance(found: &[f64], wanted: &[f64]) -> f64 {
    let (mut error, mut energy, mut logs) = (0.0, 0.0, 0.0);
    for (a, b) in found.iter().zip(wanted) {
        error += (a - b) * (a - b);
        energy += b * b;
        logs += (a / b).ln().abs();
    }
    (error / energy).sqrt() + logs / wanted.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mel::testing;

    fn fixture(name: &str) -> Vec<f32> {
        testing::signal(&format!("consistency/{name}"))
    }

    fn recording() -> Recording {
        let hifigan = MelConvention::named("hifigan").unwrap();
        Recording::new(&fixture("audio"), &hifigan).unwrap()
    }

    /// The numbers that `tests/fixtures/consistency/make.py` prints.
    #[test]
    fn agrees_with_the_evaluation_of_the_training_code() {
        let found = recording().compare(&fixture("once")).unwrap();
        assert!((found.log_mel - LOG_MEL).abs() < 1e-4, "{found:?}");
        assert!((found.mr_stft - MR_STFT).abs() < 1e-4, "{found:?}");
    }

    const LOG_MEL: f64 = 1.076_069;
    const MR_STFT: f64 = 1.594_247;

    #[test]
    fn a_recording_is_at_no_distance_from_itself() {
        let found = recording().compare(&fixture("audio")).unwrap();
        assert_eq!(found, Distances::default());
    }

    #[test]
    fn other_lengths_are_refused() {
        let error = recording().compare(&[0.0; 100]).unwrap_err();
        assert_eq!(error.to_string(), "expected 5120 samples, found 100");
    }
}
