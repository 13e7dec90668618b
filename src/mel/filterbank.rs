//! The filters of a convention, and how much they let through.

use ndarray::{Array2, ArrayView2};

use super::convention::{FilterNorm, MelConvention, MelScale};

/// The triangular filters of a convention, `[n_mels, n_fft / 2 + 1]`, as librosa and torchaudio define them.
pub fn filterbank(convention: &MelConvention) -> Array2<f32> {
    let n = convention.n_mels;
    let edges = edges(convention);
    let bin_width = f64::from(convention.sample_rate) / convention.n_fft as f64;
    Array2::from_shape_fn((n, convention.n_fft / 2 + 1), |(band, bin)| {
        let (left, centre, right) = (edges[band], edges[band + 1], edges[band + 2]);
        let hz = bin as f64 * bin_width;
        let triangle = ((hz - left) / (centre - left))
            .min((right - hz) / (right - centre))
            .max(0.0);
        let height = match convention.norm {
            FilterNorm::Slaney => 2.0 / (right - left),
            FilterNorm::None => 1.0,
        };
        (triangle * height) as f32
    })
}

/// The frequencies in Hz at which the triangles begin, peak and end: that of band `b` at `b`, `b + 1` and `b + 2`.
fn edges(convention: &MelConvention) -> Vec<f64> {
    let low = hz_to_mel(convention.f_min, convention.scale);
    let high = hz_to_mel(convention.f_max, convention.scale);
    let n = convention.n_mels;
    let edge = |i: usize| {
        mel_to_hz(
            low + (high - low) * i as f64 / (n + 1) as f64,
            convention.scale,
        )
    };
    (0..n + 2).map(edge).collect()
}

impl MelConvention {
    /// The frequencies in Hz at which the bands are widest open.
    pub fn band_centres(&self) -> Vec<f64> {
        let edges = edges(self);
        edges[1..=self.n_mels].to_vec()
    }

    /// What the squared magnitude in each band counts in the energy of a frame, to a common factor: the width of the band, over the square of
    /// what its filter sums up.
    pub(super) fn energy_weights(&self) -> Vec<f64> {
        let widths = edges(self)
            .windows(3)
            .map(|edges| edges[2] - edges[0])
            .collect::<Vec<_>>();
        match self.norm {
            FilterNorm::Slaney => widths,
            FilterNorm::None => widths.iter().map(|width| 1.0 / width).collect(),
        }
    }

    /// A mel value that audio within full scale cannot exceed: every window sample in phase in the widest band.
    pub fn ceiling_value(&self) -> f32 {
        let window_sum = self.win_length as f64 / 2.0;
        self.compress(self.widest_band() * window_sum.powf(self.power))
    }

    /// The largest sum of one band's filter weights.
    pub(super) fn widest_band(&self) -> f64 {
        filterbank(self)
            .rows()
            .into_iter()
            .map(|row| f64::from(row.sum()))
            .fold(0.0, f64::max)
    }
}

/// Where the weights of a row begin, and those from there to the last one that counts.
pub(crate) type SparseRow = (usize, Vec<f32>);

/// The rows of a matrix most of which is zero.
pub(crate) fn sparse_rows(matrix: ArrayView2<'_, f32>) -> Vec<SparseRow> {
    let sparse = |row: ndarray::ArrayView1<'_, f32>| {
        let first = row.iter().position(|w| *w > 0.0).unwrap_or(0);
        let last = row.iter().rposition(|w| *w > 0.0).map_or(first, |l| l + 1);
        (first, row.iter().take(last).skip(first).copied().collect())
    };
    matrix.rows().into_iter().map(sparse).collect()
}

/// Slaney's scale: 200/3 Hz a unit to 1 kHz (15 units), then 27 units to each factor 6.4.
const SLANEY_HZ: f64 = 200.0 / 3.0;
const SLANEY_KNEE: f64 = 15.0;

fn hz_to_mel(hz: f64, scale: MelScale) -> f64 {
    match scale {
        MelScale::Htk => 2595.0 * (1.0 + hz / 700.0).log10(),
        MelScale::Slaney if hz < 1000.0 => hz / SLANEY_HZ,
        MelScale::Slaney => SLANEY_KNEE + (hz / 1000.0).ln() * 27.0 / 6.4f64.ln(),
    }
}

fn mel_to_hz(mel: f64, scale: MelScale) -> f64 {
    match scale {
        MelScale::Htk => 700.0 * (10f64.powf(mel / 2595.0) - 1.0),
        MelScale::Slaney if mel < SLANEY_KNEE => mel * SLANEY_HZ,
        MelScale::Slaney => 1000.0 * ((mel - SLANEY_KNEE) * 6.4f64.ln() / 27.0).exp(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slaney_filters_have_unit_area_and_htk_filters_unit_peaks() {
        let bank = filterbank(&MelConvention::named("hifigan").unwrap());
        assert_eq!(bank.shape(), [80, 513]);
        let area = |row: usize| bank.row(row).sum() * 22_050.0 / 1024.0;
        assert!((area(60) - 1.0).abs() < 0.02 && (area(79) - 1.0).abs() < 0.02);
        let bank = filterbank(&MelConvention::named("vocos24k").unwrap());
        assert!(bank.iter().all(|w| (0.0..=1.0).contains(w)));
        assert!(bank.row(99).iter().copied().fold(0.0, f32::max) > 0.9);
    }
}
