//! What the numbers of a mel mean: rate, framing, filters and the logarithm, as one typed value.
//!
//! The same struct is a `--mel-convention` TOML file and the `[mel]` table of a bundle. A file may start from a preset:
//!
//! ```toml
//! base = "hifigan"
//! name = "espnet-style"
//! compression = { kind = "log10" }
//! ```

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::MelError;
use super::compression::{Compression, FloorMode, one};
use crate::rates::{MAX_SAMPLE_RATE, MIN_SAMPLE_RATE};
use crate::text::quoted;

/// Longest name in bytes.
const MAX_NAME: usize = 64;

/// Everything that decides the values of a mel spectrogram.
///
/// A mel value is `compress(gain * sum_k filter[band, k] * (|X[k]|^2 + magnitude_epsilon)^(power / 2))`, where `X` is the FFT of a
/// frame under a periodic Hann window of `win_length`, centred in `n_fft`, over audio whose full scale is 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MelConvention {
    /// Name in messages.
    pub name: String,
    /// Samples a second.
    pub sample_rate: u32,
    /// FFT length in samples.
    pub n_fft: usize,
    /// Window length in samples, at most `n_fft`.
    pub win_length: usize,
    /// Samples between frames.
    pub hop: usize,
    /// Mel bands.
    pub n_mels: usize,
    /// Lower edge of the lowest band, Hz.
    pub f_min: f64,
    /// Upper edge of the highest band, Hz.
    pub f_max: f64,
    /// The mel scale.
    pub scale: MelScale,
    /// How the filters are normalised.
    pub norm: FilterNorm,
    /// Where the frames lie.
    pub framing: Framing,
    /// Exponent of the magnitude before the filters: 1 or 2.
    #[serde(default = "one")]
    pub power: f64,
    /// Added to `|X|^2` before the root (HiFi-GAN: 1e-9).
    #[serde(default)]
    pub magnitude_epsilon: f64,
    /// Multiplies the band value before the logarithm (lmnt: 1 / sqrt(sum of the squared window)).
    #[serde(default = "one")]
    pub gain: f64,
    /// From band value to mel value.
    pub compression: Compression,
}

/// The mel scale of the filter edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MelScale {
    /// Linear below 1 kHz, logarithmic above (Slaney's Auditory Toolbox; librosa's default).
    Slaney,
    /// `2595 log10(1 + f / 700)` (HTK; torchaudio's default).
    Htk,
}

/// The normalisation of the triangular filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FilterNorm {
    /// Unit area over Hz (librosa's default).
    Slaney,
    /// Unit peak (torchaudio's default).
    None,
}

/// Where frames lie on the samples; both pad by reflection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Framing {
    /// Padded by `(n_fft - hop) / 2`: `samples / hop` frames, frame f centred on sample `f * hop + hop / 2` (HiFi-GAN).
    Hop,
    /// Padded by `n_fft / 2`: `1 + samples / hop` frames, frame f centred on sample `f * hop` (librosa, torchaudio, Tacotron 2).
    Center,
}

impl MelConvention {
    /// Checks every field's range: a convention from outside is safe to allocate and compute with after this.
    ///
    /// # Errors
    /// [`MelError::ConventionField`] for the first field out of its range.
    pub fn validate(&self) -> Result<(), MelError> {
        let plain = !self.name.chars().any(char::is_control);
        if !plain || !(1..=MAX_NAME).contains(&self.name.len()) {
            return Err(MelError::ConventionName {
                limit: MAX_NAME,
                found: quoted(&self.name),
            });
        }
        let nyquist = f64::from(self.sample_rate) / 2.0;
        let n_fft = self.n_fft;
        // What audio can be written at.
        let rates = MIN_SAMPLE_RATE..=MAX_SAMPLE_RATE;
        self.require(
            "sample_rate",
            rates.contains(&self.sample_rate),
            format!("{MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE}"),
            self.sample_rate,
        )?;
        let even = (16..=65_536).contains(&n_fft) && n_fft.is_multiple_of(2);
        self.require("n_fft", even, "an even number from 16 to 65536", n_fft)?;
        let window = (2..=n_fft).contains(&self.win_length);
        self.require(
            "win_length",
            window,
            format!("2 to n_fft = {n_fft}"),
            self.win_length,
        )?;
        let hop = (1..=n_fft).contains(&self.hop);
        self.require("hop", hop, format!("1 to n_fft = {n_fft}"), self.hop)?;
        self.require(
            "n_mels",
            (1..=1_024).contains(&self.n_mels),
            "1 to 1024",
            self.n_mels,
        )?;
        let low = self.f_min >= 0.0 && self.f_min < nyquist;
        self.require("f_min", low, format!("0 to below {nyquist}"), self.f_min)?;
        let high = self.f_max > self.f_min && self.f_max <= nyquist;
        self.require(
            "f_max",
            high,
            format!("above f_min, up to {nyquist}"),
            self.f_max,
        )?;
        self.require(
            "power",
            self.power == 1.0 || self.power == 2.0,
            "1 or 2",
            self.power,
        )?;
        let epsilon = (0.0..=1.0).contains(&self.magnitude_epsilon);
        self.require(
            "magnitude_epsilon",
            epsilon,
            "0 to 1",
            self.magnitude_epsilon,
        )?;
        self.require(
            "gain",
            (1e-9..=1e9).contains(&self.gain),
            "1e-9 to 1e9",
            self.gain,
        )?;
        let c = &self.compression;
        let finite = |x: f64| x.abs() <= 1e9;
        self.require(
            "compression.floor",
            (1e-30..=1.0).contains(&c.floor),
            "1e-30 to 1",
            c.floor,
        )?;
        self.require(
            "compression.scale",
            (1e-9..=1e9).contains(&c.scale),
            "1e-9 to 1e9",
            c.scale,
        )?;
        self.require(
            "compression.offset",
            finite(c.offset),
            "-1e9 to 1e9",
            c.offset,
        )?;
        let clip = c
            .clip
            .is_none_or(|[low, high]| low < high && finite(low) && finite(high));
        self.require(
            "compression.clip",
            clip,
            "[low, high] with low < high",
            format!("{:?}", c.clip),
        )?;
        self.require("compression.mean", finite(c.mean), "-1e9 to 1e9", c.mean)?;
        self.require(
            "compression.std",
            (1e-9..=1e9).contains(&c.std),
            "1e-9 to 1e9",
            c.std,
        )?;
        self.validate_moments()
    }

    fn validate_moments(&self) -> Result<(), MelError> {
        let Some(moments) = &self.compression.per_band else {
            return Ok(());
        };
        let lists = [
            ("compression.mean", &moments.mean, -1e9),
            ("compression.std", &moments.std, 1e-9),
        ];
        for (field, list, least) in lists {
            let expected = format!("a number, or one for each of the {} bands", self.n_mels);
            let found = format!("a list of {}", list.len());
            self.require(field, list.len() == self.n_mels, expected, found)?;
            let odd = list.iter().find(|v| !(least..=1e9).contains(*v));
            let found = odd.copied().unwrap_or_default();
            self.require(field, odd.is_none(), format!("{least:e} to 1e9"), found)?;
        }
        Ok(())
    }

    /// The convention without a mean and a standard deviation for each band: what the others are applied to.
    pub(super) fn before_moments(&self) -> MelConvention {
        let mut plain = self.clone();
        plain.compression.per_band = None;
        plain
    }

    fn require(
        &self,
        field: &'static str,
        ok: bool,
        expected: impl Display,
        found: impl Display,
    ) -> Result<(), MelError> {
        if ok {
            return Ok(());
        }
        let (expected, found) = (expected.to_string(), found.to_string());
        Err(MelError::ConventionField {
            name: self.name.clone(),
            field,
            expected,
            found,
        })
    }

    /// Samples by which the FFT frame of mel frame 0 begins before the clip: what reflection pads on each side. Frame `f` begins `f * hop` later.
    pub(crate) fn padding(&self) -> usize {
        match self.framing {
            Framing::Hop => self.n_fft.saturating_sub(self.hop) / 2,
            Framing::Center => self.n_fft / 2,
        }
    }

    /// The sample that mel frame 0 is centred on: half a hop (rounded up) in hop framing, 0 in centred framing. Frame `f` is centred `f * hop`
    /// samples later.
    pub fn centre(&self) -> usize {
        self.n_fft / 2 - self.padding()
    }

    /// The mel value of digital silence.
    pub fn floor_value(&self) -> f32 {
        self.compression.compress(0.0, self.power) as f32
    }

    /// The linear band value (without gain) below which the convention tells nothing apart.
    pub(super) fn lowest_band(&self) -> f64 {
        let c = &self.compression;
        let clipped = c
            .clip
            .map_or(0.0, |[low, _]| c.expand((low - c.mean) / c.std, self.power));
        clipped.max(c.floor) / self.gain
    }

    /// Mel units that a change of amplitude by the factor e makes.
    pub fn units_per_neper(&self) -> f64 {
        let c = &self.compression;
        self.power * c.scale / (c.nepers_per_unit(self.power) * c.std)
    }

    /// Linear band value (without gain) of one mel value, to the convention's `power`.
    pub fn expand(&self, value: f32) -> f64 {
        self.compression.expand(f64::from(value), self.power) / self.gain
    }

    /// Natural logarithm of the band's magnitude (without gain, to the power 1) behind one mel value, at least ln 1e-30.
    pub fn ln_magnitude(&self, value: f32) -> f64 {
        let ln = match self.compression.floor_mode {
            FloorMode::Clamp => {
                self.compression.undo_affine(f64::from(value), self.power) - self.gain.ln()
            }
            FloorMode::Add => self.expand(value).max(1e-30).ln(),
        };
        ln / self.power
    }

    /// What a bin of squared magnitude `squared` counts for in its bands, to the convention's `power`.
    pub fn bin_magnitude(&self, squared: f64) -> f64 {
        let squared = squared + self.magnitude_epsilon;
        if self.power == 2.0 {
            squared
        } else {
            squared.sqrt()
        }
    }

    /// Mel value of a linear band value (without gain), to the convention's `power`.
    pub fn compress(&self, band: f64) -> f32 {
        self.compression.compress(band * self.gain, self.power) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mel::analyse;

    #[test]
    fn a_click_is_loudest_in_the_frame_that_is_centred_on_it() {
        for name in ["hifigan", "tacotron2", "vocos24k", "rayhane"] {
            for hop in [256, 255] {
                let mut convention = MelConvention::named(name).unwrap();
                (convention.hop, convention.n_fft, convention.win_length) = (hop, 1024, 1024);
                let mut audio = vec![0.0; 20 * hop];
                audio[8 * hop + convention.centre()] = 1.0;
                let mel = analyse(&audio, &convention).unwrap();
                let level = |frame: usize| mel.view().column(frame).sum();
                assert!((0..18).all(|f| f == 8 || level(f) < level(8)), "{name}");
                // On the very sample: the frames beside it see the click equally far from their middles.
                assert!((level(7) - level(9)).abs() < 1e-3, "{name} {hop}");
            }
        }
    }

    #[test]
    fn a_sample_rate_that_no_output_has_is_refused() {
        let mut convention = MelConvention::named("hifigan").unwrap();
        convention.sample_rate = MAX_SAMPLE_RATE + 1;
        let error = convention.validate().unwrap_err().to_string();
        assert!(error.contains("1000 to 384000"), "{error}");
    }
}
