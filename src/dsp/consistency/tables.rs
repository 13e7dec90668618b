//! What every pass over mels of one convention shares, and the sums over bins and bands that need it.

use std::sync::Arc;

use ndarray::Axis;

use crate::dsp::bands::{BandShares, BandSums};
use crate::dsp::pass::PassTables;
use crate::dsp::transform::Spectrum;
use crate::dsp::vector;
use crate::mel::{MelConvention, filterbank, sparse_rows};

/// Most that a band is scaled by, up or down, as a natural logarithm.
const LIMIT: f32 = 2.0;

/// Made by [`ConsistencyFilter::new`](super::ConsistencyFilter::new).
pub(super) struct ConsistencyTables {
    pub(super) convention: MelConvention,
    /// The frames of the convention.
    pub(super) pass: Arc<PassTables>,
    /// Each band's filter.
    bands: BandSums,
    /// For each band its share in each bin; those of a bin add up to 1, or are none where no band reaches.
    shares: BandShares,
    /// What is added to the squared magnitude of a bin.
    epsilon: f32,
    /// Bins count by their squared magnitudes.
    squared: bool,
    /// The logarithms of the least and of the greatest band magnitude that the convention tells apart from others.
    range: [f32; 2],
}

impl ConsistencyTables {
    /// For a convention whose sizes were checked.
    pub(super) fn new(convention: &MelConvention) -> ConsistencyTables {
        let bank = filterbank(convention);
        let sums = bank.sum_axis(Axis(0)).mapv(|sum| sum.max(1e-12));
        let bins = bank.ncols();
        // What a mel of this value would be heard as: floors and clipping make it other than the logarithm of the band.
        let heard = |band| convention.ln_magnitude(convention.compress(band)) as f32;
        ConsistencyTables {
            pass: Arc::new(PassTables::new(
                convention.n_fft,
                convention.win_length,
                convention.hop,
                convention.padding(),
            )),
            bands: BandSums::new(&sparse_rows(bank.view()), bins),
            shares: BandShares::new(&sparse_rows((&bank / &sums).view()), bins),
            epsilon: convention.magnitude_epsilon as f32,
            squared: convention.power == 2.0,
            range: [heard(0.0), heard(f64::from(f32::MAX))],
            convention: convention.clone(),
        }
    }

    /// Writes for each band the logarithm of what is wanted over what the spectrum holds, within [`LIMIT`]. `magnitudes` is memory for one
    /// number a bin.
    pub(super) fn log_ratios(
        &self,
        spectrum: &Spectrum,
        wanted: &[f32],
        magnitudes: &mut [f32],
        ratios: &mut [f32],
    ) {
        vector::powers(spectrum.parts(), self.epsilon, magnitudes);
        if !self.squared {
            magnitudes.iter_mut().for_each(|m| *m = m.sqrt());
        }
        self.bands.write(magnitudes, ratios);
        // The least positive number: ln of 0 is to be below the range.
        ratios
            .iter_mut()
            .for_each(|r| *r = r.max(f32::MIN_POSITIVE));
        vector::ln(ratios);
        let ([low, high], power) = (self.range, 1.0 / self.convention.power as f32);
        for (ratio, wanted) in ratios.iter_mut().zip(wanted) {
            *ratio = (wanted - (power * *ratio).clamp(low, high)).clamp(-LIMIT, LIMIT);
        }
    }

    /// Writes for each bin the mean of the bands' logarithmic ratios, weighted by their shares in it.
    pub(super) fn spread(&self, ratios: &[f32], bins: &mut [f32]) {
        bins.fill(0.0);
        self.shares.add(ratios, bins);
    }
}
