//! How much of a cell may be noise that covers the watermark.

use super::cells::{MARGIN, WIDTH};
use super::whiten::EDGE;
use crate::dsp::mark::BANDS;

/// The part of a band's cells that is quieter than what counts as its noise.
const QUIET: f64 = 0.1;
/// The mean of noise above that, in the logarithm of the cells.
const ABOVE: f32 = 0.17;
/// What turns the logarithm of a cell, which is one of square roots of magnitudes, into that of its power.
const POWER: f32 = 4.0;

/// The noise in each band of a stretch, as steady noise would be: so loud as the band ever gets when it is quiet.
///
/// A gain on a sound of power `S` beside noise of power `N` moves the logarithm of their sum by `S / (S + N)` of what it moves that of the sound alone, so
/// a cell is weighed by that. Nothing here knows the key: the bound on the false-alarm probability holds whatever the weights are.
pub(super) struct Trust {
    /// The noise, in the logarithm of the cells.
    noise: [f32; BANDS],
}

impl Trust {
    /// Learns from cells, `[columns, WIDTH]`.
    pub fn learn(cells: &[f32]) -> Trust {
        let mut of_band = Vec::with_capacity(cells.len() / WIDTH);
        Trust {
            noise: std::array::from_fn(|band| {
                of_band.clear();
                of_band.extend(cells.chunks_exact(WIDTH).map(|row| row[MARGIN + band]));
                if of_band.is_empty() {
                    return 0.0;
                }
                let rank = (QUIET * of_band.len() as f64) as usize;
                *of_band.select_nth_unstable_by(rank, f32::total_cmp).1 + ABOVE
            }),
        }
    }

    /// Weighs whitened cells `[columns, BANDS]` by the cells `[columns + 2 EDGE, WIDTH]` that they come from.
    pub fn weigh(&self, cells: &[f32], white: &[f32], out: &mut Vec<f32>) {
        out.clear();
        let rows = cells.chunks_exact(WIDTH).skip(EDGE);
        for (row, white) in rows.zip(white.chunks_exact(BANDS)) {
            let cells = row[MARGIN..].iter().zip(&self.noise);
            out.extend(white.iter().zip(cells).map(|(value, (cell, noise))| {
                let share_of_noise = (POWER * (noise - cell)).exp();
                value * (1.0 - share_of_noise).max(0.0)
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_louder_than_the_noise_counts_for_nothing() {
        let rows = 40;
        // Every fifth column is 10 dB above the noise, which is louder from band to band.
        let loud = 10f32 / 20.0 * std::f32::consts::LN_10 / 2.0;
        let of = |n: usize| {
            let above = if (n / WIDTH).is_multiple_of(5) {
                loud
            } else {
                0.0
            };
            (n % WIDTH) as f32 / 10.0 + above
        };
        let cells: Vec<f32> = (0..rows * WIDTH).map(of).collect();
        let mut out = Vec::new();
        let white = vec![1.0; (rows - 2 * EDGE) * BANDS];
        Trust::learn(&cells).weigh(&cells, &white, &mut out);
        assert_eq!(out.len(), white.len());
        for (n, weight) in out.iter().enumerate() {
            let is_loud = (n / BANDS + EDGE).is_multiple_of(5);
            let expected = if is_loud { 0.8..1.0 } else { 0.0..1e-6 };
            assert!(expected.contains(weight), "{n}: {weight}");
        }
    }

    #[test]
    fn nothing_gives_nothing() {
        let mut out = vec![1.0];
        Trust::learn(&[]).weigh(&[], &[], &mut out);
        assert!(out.is_empty());
    }
}
