//! Sharpening: the detail across bands that a mel has lost is brought out again.
//!
//! Acoustic models average over what could have been said, and their mels are blurred: the harmonics of low voices and the edges of formants
//! are flatter than those of a recording. A vocoder flattens them a little more. Unsharp masking undoes some of it. The Python twin is
//! `sharpened` in `models/training/vocode_training/reference.py`.

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::{MelConvention, MelError};

/// Bands on each side that a band is compared with: four times the width of the Gaussian, which is one band.
const REACH: usize = 4;
/// The strongest: detail of two bands' length becomes five times what it was.
const MOST: f32 = 4.0;

/// How much a mel is sharpened: the `[sharpening]` table of a bundle. Each frame is sharpened on its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sharpening {
    /// What is added to each band, as a multiple of how far it stands out of the bands around it (their average under a Gaussian of a standard
    /// deviation of one band); 0 to 4, 0 for nothing.
    pub bands: f32,
}

impl Sharpening {
    /// Refuses an amount out of its range.
    ///
    /// # Errors
    /// [`MelError::Sharpening`].
    pub fn check(self) -> Result<Sharpening, MelError> {
        match (0.0..=MOST).contains(&self.bands) {
            true => Ok(self),
            false => Err(MelError::Sharpening {
                most: MOST,
                found: self.bands,
            }),
        }
    }

    /// Sharpens the logarithmic `mel` `[n_mels, any]` of a convention. The energy of each frame stays, and so do frames that hold one value in
    /// every band; no value gets below that of digital silence.
    pub fn apply(self, mel: ArrayView2<'_, f32>, convention: &MelConvention) -> Array2<f32> {
        Sharpener::new(self, convention).apply(mel)
    }
}

/// A [`Sharpening`] of mels of one convention.
#[derive(Clone, Debug)]
pub(crate) struct Sharpener {
    amount: f32,
    floor: f32,
    /// Of the exponent that makes energies of mel values.
    exponent: f32,
    weights: Vec<f32>,
    kernel: [f32; 2 * REACH + 1],
}

impl Sharpener {
    pub fn new(sharpening: Sharpening, convention: &MelConvention) -> Sharpener {
        let weights = convention.energy_weights();
        Sharpener {
            amount: sharpening.bands,
            floor: convention.floor_value(),
            exponent: (2.0 / convention.units_per_neper()) as f32,
            weights: weights.into_iter().map(|weight| weight as f32).collect(),
            kernel: kernel(),
        }
    }

    /// As [`Sharpening::apply`].
    pub fn apply(&self, mel: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut sharp = mel.to_owned();
        if self.amount != 0.0 {
            for mut frame in sharp.columns_mut() {
                let values = frame.to_vec();
                let made = self.frame(&values);
                frame.iter_mut().zip(made).for_each(|(to, from)| *to = from);
            }
        }
        sharp
    }

    fn frame(&self, values: &[f32]) -> Vec<f32> {
        let last = values.len().saturating_sub(1);
        let raised = |band: usize| {
            let near = |k: usize| values[(band + k).saturating_sub(REACH).min(last)];
            let here = values[band];
            // Of differences, so that what is alike stays alike to the last bit.
            let kernel = self.kernel.iter().enumerate();
            let around: f32 = kernel.map(|(k, weight)| weight * (here - near(k))).sum();
            here + self.amount * around
        };
        let mut made: Vec<f32> = (0..values.len()).map(raised).collect();
        let louder = self.energy(&made) - self.energy(values);
        for value in &mut made {
            *value = (*value - louder).max(self.floor);
        }
        made
    }

    /// The logarithm of the energy of a frame, in the units of its values.
    fn energy(&self, values: &[f32]) -> f32 {
        let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let energies = values.iter().zip(&self.weights);
        let sum: f32 = energies
            .map(|(value, weight)| weight * (self.exponent * (value - most)).exp())
            .sum();
        most + sum.ln() / self.exponent
    }
}

/// A Gaussian of a standard deviation of 1, whose values add up to 1.
fn kernel() -> [f32; 2 * REACH + 1] {
    let mut kernel = [0.0; 2 * REACH + 1];
    for (k, weight) in kernel.iter_mut().enumerate() {
        let away = k as f32 - REACH as f32;
        *weight = (-0.5 * away * away).exp();
    }
    let sum: f32 = kernel.iter().sum();
    kernel.map(|weight| weight / sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mel::testing::{mel_of, named};

    fn sharpened(bands: f32, column: &[f32]) -> Vec<f32> {
        let mel = ArrayView2::from_shape((column.len(), 1), column).unwrap();
        let found = Sharpening { bands }.apply(mel, &named("hifigan"));
        found.into_raw_vec_and_offset().0
    }

    #[test]
    fn what_stands_out_stands_out_more() {
        let mut column = [-4.0; 80];
        column[10] = -2.0;
        let found = sharpened(1.0, &column);
        // 0.3989 is the Gaussian's own weight, 0.2420 that of the next bands; of all the same is taken.
        let (peak, foot, far) = (found[10] - found[40], found[11] - found[40], found[40]);
        assert!((peak - 2.0 - 2.0 * (1.0 - 0.3990)).abs() < 1e-3);
        assert!((foot + 2.0 * 0.2420).abs() < 1e-3);
        assert!(far < -4.0 && found[60] == far);
    }

    #[test]
    fn the_energy_of_a_frame_stays_in_every_convention() {
        for name in ["hifigan", "lmnt", "vocos24k", "matcha", "rayhane"] {
            let convention = named(name);
            let mel = mel_of(&convention);
            let sharp = Sharpening { bands: 1.0 }.apply(mel.view(), &convention);
            // By the filters themselves.
            let bank = crate::mel::filterbank(&convention);
            let weight = |band: usize| {
                let filter = bank.row(band).mapv(f64::from);
                1.0 / (filter.sum() * filter.fold(0.0, |a: f64, b| a.max(*b)))
            };
            // Filters narrower than a bin are not what the formula takes them for.
            let energy = |frame: ndarray::ArrayView1<'_, f32>| -> f64 {
                let bands = frame
                    .iter()
                    .enumerate()
                    .filter(|(band, _)| bank.row(*band).sum() > 0.0);
                bands
                    .map(|(band, v)| weight(band) * (2.0 * convention.ln_magnitude(*v)).exp())
                    .sum()
            };
            let loudest = mel
                .view()
                .columns()
                .into_iter()
                .map(energy)
                .fold(0.0, f64::max);
            for (frame, sharp) in mel.view().columns().into_iter().zip(sharp.columns()) {
                let (before, after) = (energy(frame), energy(sharp));
                if before > 1e-4 * loudest {
                    let decibels = 10.0 * (after / before).log10();
                    assert!(decibels.abs() < 0.3, "{name}: {decibels} dB");
                }
            }
        }
    }

    #[test]
    fn what_is_alike_and_what_is_at_the_floor_stay_and_nothing_is_the_mel_itself() {
        let floor = named("hifigan").floor_value();
        assert_eq!(sharpened(4.0, &[-3.3; 80]), [-3.3; 80]);
        let mut column = [floor; 80];
        assert_eq!(sharpened(4.0, &column), column);
        column[40] = 0.0;
        let found = sharpened(4.0, &column);
        assert!(found.iter().all(|v| *v >= floor) && found[39] == floor);
        assert_eq!(sharpened(0.0, &column), column);
    }

    #[test]
    fn frames_are_sharpened_each_on_its_own() {
        let hifigan = named("hifigan");
        let mel = Array2::from_shape_fn((80, 7), |(b, f)| ((b * 7 + f * 13) % 11) as f32 - 9.0);
        let sharpening = Sharpening { bands: 0.7 };
        let whole = sharpening.apply(mel.view(), &hifigan);
        for (frame, column) in mel.axis_chunks_iter(ndarray::Axis(1), 1).enumerate() {
            let alone = sharpening.apply(column, &hifigan);
            assert_eq!(alone.column(0), whole.column(frame));
        }
    }

    #[test]
    fn amounts_out_of_the_range_are_refused() {
        for bands in [0.0, 0.3, 4.0] {
            assert!(Sharpening { bands }.check().is_ok());
        }
        for bands in [-0.1, 4.1, f32::NAN] {
            let message = Sharpening { bands }.check().unwrap_err().to_string();
            assert!(message.contains("expected 0 to 4"), "{message}");
        }
    }
}
