//! The spectral envelope that a mel implies, and the filter that puts it on a white excitation or takes it off a signal.
//!
//! The Python twin is `models/training/vocode_training/envelope.py`; `tests/fixtures/envelope` holds the two together at 1e-4.
//! SpecGrad (Koizumi et al. 2022, arXiv:2203.16749) filters the diffusion noise by such an envelope; here it stands outside the diffusion.

mod gain;
mod stream;
mod tables;

use std::f64::consts::PI;
use std::sync::Arc;

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::bands::BandShares;
use super::transform::RealTransform;
use super::{DspError, MelFilter};
use crate::mel::{MelConvention, filterbank, sparse_rows};
use crate::stft::hann;
use gain::GainTrack;
pub use stream::{EnvelopeStream, Filtering};
use tables::EnvelopeTables;

/// The `[envelope]` table of a bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvelopeParameters {
    /// FFT length in samples.
    pub fft: usize,
    /// Analysis window in samples: a multiple of the hop, at least twice it.
    pub window: usize,
    /// Cepstral coefficients kept.
    pub lifter: usize,
    /// Frames of the triangular smoothing in power; odd.
    pub smooth: usize,
    /// Natural logarithm of the amplitude added at each of the `fft / 2 + 1` bins.
    pub log_equaliser: Vec<f32>,
}

impl Default for EnvelopeParameters {
    /// FFT 2048, window 1024, lifter 100, smoothing over 5 frames, no equaliser.
    fn default() -> EnvelopeParameters {
        EnvelopeParameters {
            fft: 2048,
            window: 1024,
            lifter: 100,
            smooth: 5,
            log_equaliser: vec![0.0; 1025],
        }
    }
}

/// The envelope filter of one convention and one set of parameters. Cheap to clone: the tables are shared.
#[derive(Clone)]
pub struct EnvelopeFilter {
    tables: Arc<EnvelopeTables>,
}

impl EnvelopeFilter {
    /// Makes the tables for mels of `convention`.
    ///
    /// # Errors
    /// [`DspError::Parameter`] for a parameter out of its range, [`DspError::EmptyBand`].
    pub fn new(
        convention: &MelConvention,
        parameters: &EnvelopeParameters,
    ) -> Result<EnvelopeFilter, DspError> {
        validate(convention, parameters)?;
        let EnvelopeParameters {
            fft,
            window,
            lifter,
            smooth,
            ..
        } = *parameters;
        let (shares, slope, log_sums) = interpolation(convention, fft)?;
        let hop = convention.hop;
        let overlap = window as f64 / 2.0 / hop as f64;
        let half = smooth / 2;
        let triangle =
            |i: usize| (half + 1 - i.abs_diff(half)) as f32 / ((half + 1) * (half + 1)) as f32;
        let keep = |n: usize| 0.5 + 0.5 * (PI * n as f64 / (lifter + 1) as f64).cos();
        let quefrency = |n: usize| n.min(fft - n);
        let taper = |n: usize| {
            if quefrency(n) <= lifter {
                keep(quefrency(n))
            } else {
                0.0
            }
        };
        let tables = EnvelopeTables {
            convention: convention.clone(),
            fft,
            hop,
            window: hann(window)
                .into_iter()
                .map(|w| (w / overlap / fft as f64) as f32)
                .collect(),
            edge: window / hop / 2,
            centre: convention.centre(),
            shares,
            slope,
            log_sums,
            kernel: (0..smooth).map(triangle).collect(),
            taper: (0..fft).map(|n| (taper(n) / fft as f64) as f32).collect(),
            log_equaliser: parameters.log_equaliser.clone(),
            transform: Arc::new(RealTransform::new(fft)),
        };
        Ok(EnvelopeFilter {
            tables: Arc::new(tables),
        })
    }

    /// Samples a frame.
    pub fn hop(&self) -> usize {
        self.tables.hop
    }

    /// Frames of mel and samples that must be there beyond a sample's own before [`EnvelopeStream`] gives it out.
    pub fn lookahead_frames(&self) -> usize {
        let t = &self.tables;
        // After `n` frames of both the last frame filtered is n - 1 - behind: for those after it samples or mel are missing.
        let behind = ((t.centre + t.window.len() / 2).div_ceil(t.hop) - 1).max(t.kernel.len() / 2);
        // What is given out then ends where the next frame's block begins.
        behind + (t.fft / 2 - t.centre).div_ceil(t.hop)
    }

    /// The amplitude gain at every bin of every frame of `mel` `[n_mels, frames]`: `[fft / 2 + 1, frames]`.
    ///
    /// # Errors
    /// [`DspError::Bands`].
    pub fn gains(&self, mel: ArrayView2<'_, f32>) -> Result<Array2<f32>, DspError> {
        self.check_bands(mel)?;
        let t = &self.tables;
        let (frames, half) = (mel.ncols(), t.kernel.len() / 2);
        let mut track = GainTrack::new(t.clone());
        let mut gains = Array2::zeros((t.transform.bins(), frames));
        for ahead in 0..frames + half {
            let bands = (ahead < frames).then(|| t.log_bands(mel.column(ahead)));
            let log_gain = track.next(bands.as_deref());
            if let Some(frame) = ahead.checked_sub(half) {
                gains
                    .column_mut(frame)
                    .iter_mut()
                    .zip(log_gain)
                    .for_each(|(g, l)| *g = l.exp());
            }
        }
        Ok(gains)
    }

    /// Filters a whole signal of `frames * hop` samples by the envelope of `mel` `[n_mels, frames]`; the signal is zero outside, the mel
    /// at its floor. Equal to pushing it through [`EnvelopeFilter::stream`] in any pieces.
    ///
    /// # Errors
    /// [`DspError::Bands`], [`DspError::Length`].
    pub fn apply(
        &self,
        samples: &[f32],
        mel: ArrayView2<'_, f32>,
        filtering: Filtering,
    ) -> Result<Vec<f32>, DspError> {
        let mut out = Vec::with_capacity(samples.len());
        let mut stream = self.stream(filtering);
        stream.push_mel(mel)?;
        stream.push_samples(samples, &mut out);
        stream.finish(&mut out)?;
        Ok(out)
    }

    /// Starts filtering a signal that comes in pieces.
    pub fn stream(&self, filtering: Filtering) -> EnvelopeStream {
        EnvelopeStream::new(self.tables.clone(), filtering)
    }

    fn check_bands(&self, mel: ArrayView2<'_, f32>) -> Result<(), DspError> {
        self.tables.check_bands(mel)
    }
}

fn validate(convention: &MelConvention, p: &EnvelopeParameters) -> Result<(), DspError> {
    let hop = convention.hop;
    let bins = p.fft / 2 + 1;
    let fail = |field, expected: String, found: String| {
        Err(DspError::Parameter {
            field,
            expected,
            found,
        })
    };
    if !(16..=65_536).contains(&p.fft) || !p.fft.is_multiple_of(2) {
        return fail(
            "fft",
            "an even number from 16 to 65536".into(),
            p.fft.to_string(),
        );
    }
    if hop == 0
        || !p.window.is_multiple_of(2)
        || !p.window.is_multiple_of(hop)
        || p.window < 2 * hop
        || p.window > p.fft
    {
        return fail(
            "window",
            format!(
                "an even multiple of the hop of {hop}, from twice that to fft = {}",
                p.fft
            ),
            p.window.to_string(),
        );
    }
    if !(1..p.fft / 2).contains(&p.lifter) {
        return fail(
            "lifter",
            format!("1 to below {}", p.fft / 2),
            p.lifter.to_string(),
        );
    }
    if !(1..=31).contains(&p.smooth) || p.smooth.is_multiple_of(2) {
        return fail(
            "smooth",
            "an odd number from 1 to 31".into(),
            p.smooth.to_string(),
        );
    }
    if p.log_equaliser.len() != bins {
        return fail(
            "log_equaliser",
            format!("{bins} numbers"),
            format!("{} numbers", p.log_equaliser.len()),
        );
    }
    match p
        .log_equaliser
        .iter()
        .find(|v| v.is_nan() || v.abs() > 30.0)
    {
        Some(v) => fail(
            "log_equaliser",
            "numbers from -30 to 30".into(),
            v.to_string(),
        ),
        None => Ok(()),
    }
}

/// Along straight lines of the log magnitude between the centres of the bands: for each band its part in each bin, times two; for each bin what is
/// added beyond the last band, times two; and each band's log filter sum.
fn interpolation(
    convention: &MelConvention,
    fft: usize,
) -> Result<(BandShares, Vec<f32>, Vec<f32>), DspError> {
    let rate = f64::from(convention.sample_rate);
    let bank = filterbank(convention);
    let mut sums = Vec::with_capacity(bank.nrows());
    let mut centres = Vec::with_capacity(bank.nrows());
    for (band, row) in bank.rows().into_iter().enumerate() {
        let sum: f64 = row.iter().map(|w| f64::from(*w)).sum();
        let moment: f64 = row
            .iter()
            .enumerate()
            .map(|(k, w)| f64::from(*w) * k as f64)
            .sum();
        if sum <= 0.0 {
            return Err(DspError::EmptyBand { band });
        }
        sums.push((sum.ln() / convention.power) as f32);
        centres.push(moment / sum * rate / convention.n_fft as f64);
    }
    let last = centres.len() - 1;
    let bins = fft / 2 + 1;
    let (mut shares, mut slope) = (Array2::zeros((last + 1, bins)), vec![0.0; bins]);
    for bin in 0..bins {
        let hz = bin as f64 * rate / fft as f64;
        let above = centres.partition_point(|c| *c < hz);
        let (below, weight) = match above {
            0 => (0, 0.0),
            above if above > last => {
                slope[bin] = (-4.0 * (hz / centres[last]).ln()) as f32;
                (last, 0.0)
            }
            above => {
                let (low, high) = (centres[above - 1], centres[above]);
                (above - 1, (hz - low) / (high - low))
            }
        };
        shares[[below, bin]] = (2.0 * (1.0 - weight)) as f32;
        if weight > 0.0 {
            shares[[below + 1, bin]] = (2.0 * weight) as f32;
        }
    }
    let shares = BandShares::new(&sparse_rows(shares.view()), bins);
    Ok((shares, slope, sums))
}

#[cfg(test)]
mod tests;
