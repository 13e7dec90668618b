//! The gains of a watermark, for the frames of a short-time Fourier transform of any rate and length.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::key::Key;
use super::pattern::{BANDS, PERIOD, Pattern};
use super::payload::encode;

/// Rate at which a column has [`COLUMN`] samples.
const RATE: u64 = 22_050;
/// Samples of a column.
const COLUMN: u64 = 1_024;
/// Length of a column in seconds.
pub(crate) const COLUMN_SECONDS: f64 = COLUMN as f64 / RATE as f64;
/// Width of a band: four bins of an FFT of 1,024 at 22,050 Hz.
pub(crate) const BAND_HZ: f64 = RATE as f64 / 256.0;
/// Lower edge of the lowest band, between bins 41 and 42 of that FFT.
pub(crate) const LOWEST_HZ: f64 = 41.5 * RATE as f64 / 1024.0;
/// By how much a cell is louder or softer.
const STRENGTH_DB: f32 = 0.8;

/// A watermark to be put in: 32 bits under a key. Cheap to clone.
#[derive(Clone)]
pub struct Watermark {
    key: Key,
    pattern: Arc<Pattern>,
    payload: u32,
    /// Natural logarithms of the gains, `[PERIOD, BANDS]`.
    gains: Arc<[f32]>,
}

impl Watermark {
    /// The watermark that says `payload` to those who have `key`.
    pub fn new(key: &Key, payload: u32) -> Watermark {
        Watermark::of_pattern(key, Arc::new(Pattern::new(key)), payload)
    }

    /// The one with the same key that says something else, for a small part of the work.
    #[must_use]
    pub fn saying(&self, payload: u32) -> Watermark {
        Watermark::of_pattern(&self.key, self.pattern.clone(), payload)
    }

    /// [`Watermark::usual_payload`] of a model and this key.
    #[must_use]
    pub fn saying_usual(&self, model_sha256: &str) -> Watermark {
        self.saying(Watermark::usual_payload(model_sha256, &self.key))
    }

    fn of_pattern(key: &Key, pattern: Arc<Pattern>, payload: u32) -> Watermark {
        let strength = STRENGTH_DB * std::f32::consts::LN_10 / 20.0;
        let bits = encode(payload);
        let sign = |owner: u8| match bits.get(usize::from(owner)) {
            Some(true) => -strength,
            _ => strength,
        };
        let cells = pattern.signs.iter().zip(&pattern.owners);
        let gains = cells.map(|(s, owner)| s * sign(*owner)).collect();
        Watermark {
            key: key.clone(),
            pattern,
            payload,
            gains,
        }
    }

    /// The payload where none is chosen: the first 32 bits of the SHA-256 of the model's hash and of the key, which stands for the
    /// installation. Nothing else of the machine goes into it.
    pub fn usual_payload(model_sha256: &str, key: &Key) -> u32 {
        let installation = key.bytes("installation").take(32);
        let digest = Sha256::new()
            .chain_update(model_sha256.as_bytes())
            .chain_update(installation.collect::<Vec<u8>>())
            .finalize();
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
    }

    /// What it says.
    pub fn payload(&self) -> u32 {
        self.payload
    }
}

impl PartialEq for Watermark {
    fn eq(&self, other: &Watermark) -> bool {
        (&self.key, self.payload) == (&other.key, other.payload)
    }
}

impl fmt::Debug for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watermark({:08x})", self.payload)
    }
}

/// A watermark for frames of one rate and one length.
pub(crate) struct MarkGains {
    gains: Arc<[f32]>,
    sample_rate: u64,
    /// The first bin of the lowest band.
    first: usize,
    /// For that bin and each after it its band.
    bands: Vec<u8>,
    /// Sample of the clip that the signal begins with.
    origin: u64,
}

impl MarkGains {
    /// For spectra of `n_fft / 2 + 1` bins of a signal at `sample_rate`.
    pub fn new(watermark: &Watermark, sample_rate: u32, n_fft: usize) -> MarkGains {
        let bin_hz = f64::from(sample_rate) / n_fft as f64;
        let band = |bin: usize| ((bin as f64 * bin_hz - LOWEST_HZ) / BAND_HZ).floor();
        let end = n_fft / 2 + 1;
        let first = (0..end).find(|bin| band(*bin) >= 0.0).unwrap_or(end);
        let bands = (first..end).map(band);
        MarkGains {
            gains: watermark.gains.clone(),
            sample_rate: u64::from(sample_rate),
            first,
            bands: bands
                .take_while(|band| *band < BANDS as f64)
                .map(|band| band as u8)
                .collect(),
            origin: 0,
        }
    }

    /// The same for a signal that begins with sample `origin` of its clip.
    pub fn starting_at(self, origin: u64) -> MarkGains {
        MarkGains { origin, ..self }
    }

    /// Adds the logarithms of the gains at sample `centre` of the signal to those of a spectrum's bins.
    pub fn add(&self, centre: u64, ln_gains: &mut [f32]) {
        let centre = self.origin + centre;
        let column = (centre * RATE / (COLUMN * self.sample_rate)) as usize % PERIOD;
        let column = &self.gains[column * BANDS..][..BANDS];
        for (gain, band) in ln_gains.iter_mut().skip(self.first).zip(&self.bands) {
            *gain += column[usize::from(*band)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(watermark: &Watermark, rate: u32, n_fft: usize, seconds: f64) -> Vec<f32> {
        let mut gains = vec![0.0; n_fft / 2 + 1];
        let centre = (seconds * f64::from(rate)) as u64;
        MarkGains::new(watermark, rate, n_fft).add(centre, &mut gains);
        gains
    }

    #[test]
    fn the_pattern_lies_at_the_same_places_at_any_rate() {
        let watermark = Watermark::new(&Key::public(), 0x1234_5678);
        for seconds in [0.01, 0.2, 4.0, 4.5, 100.0] {
            let usual = at(&watermark, 22_050, 1024, seconds);
            assert!(usual[42].abs() > 0.09 && usual[41] == 0.0 && usual[42 + 4 * BANDS] == 0.0);
            for (rate, n_fft) in [
                (16_000, 768),
                (24_000, 1152),
                (44_100, 2048),
                (48_000, 2240),
            ] {
                let other = at(&watermark, rate, n_fft, seconds);
                for band in 0..BANDS {
                    let hertz = LOWEST_HZ + (band as f64 + 0.5) * BAND_HZ;
                    let bin = (hertz * n_fft as f64 / f64::from(rate)).round() as usize;
                    assert_eq!(
                        other[bin],
                        usual[42 + 4 * band + 1],
                        "{rate} Hz, band {band}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_usual_payload_goes_by_model_and_key() {
        let (one, other) = (Key::public(), Key::new(&[3; 16]).unwrap());
        let payload = Watermark::usual_payload("aa", &one);
        assert_eq!(payload, Watermark::usual_payload("aa", &one));
        assert_ne!(payload, Watermark::usual_payload("ab", &one));
        assert_ne!(payload, Watermark::usual_payload("aa", &other));
    }

    #[test]
    fn a_rate_below_the_pattern_has_the_part_of_it_that_fits() {
        let watermark = Watermark::new(&Key::public(), 0);
        assert!(at(&watermark, 8_000, 384, 0.0)[192].abs() > 0.09);
        assert!(
            at(&watermark, 1_000, 48, 0.0)
                .iter()
                .all(|gain| *gain == 0.0)
        );
    }
}
