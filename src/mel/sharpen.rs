//! Sharpening: the detail across bands that a mel has lost is brought out again.
//!
//! Acoustic models average over what could have been said, and their mels are blurred: the harmonics of low voices and the edges of formants
//! are flatter than those of a recording. A vocoder flattens them a little more. Unsharp masking undoes some of it. The Python twin is
//! `sharpened` in `models/training/vocode_training/reference.py`.

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::MelError;

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

    /// Sharpens the logarithmic `mel` `[n_mels, any]`; `floor` is the value of digital silence, which nothing gets below. Frames that hold one
    /// value in every band stay as they are.
    pub fn apply(self, mel: ArrayView2<'_, f32>, floor: f32) -> Array2<f32> {
        if self.bands == 0.0 {
            return mel.to_owned();
        }
        let kernel = kernel();
        let last = mel.nrows().saturating_sub(1);
        Array2::from_shape_fn(mel.raw_dim(), |(band, frame)| {
            let near = |k: usize| mel[[(band + k).saturating_sub(REACH).min(last), frame]];
            let here = mel[[band, frame]];
            // Of differences, so that what is alike stays alike to the last bit.
            let around: f32 = kernel
                .iter()
                .enumerate()
                .map(|(k, weight)| weight * (here - near(k)))
                .sum();
            (here + self.bands * around).max(floor)
        })
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

    const FLOOR: f32 = -11.5;

    fn sharpened(bands: f32, column: &[f32]) -> Vec<f32> {
        let mel = ArrayView2::from_shape((column.len(), 1), column).unwrap();
        let found = Sharpening { bands }.apply(mel, FLOOR);
        found.into_raw_vec_and_offset().0
    }

    #[test]
    fn what_stands_out_stands_out_more() {
        let mut column = [-4.0; 20];
        column[10] = -2.0;
        let found = sharpened(1.0, &column);
        // 0.3989 is the Gaussian's own weight, 0.2420 that of the next bands.
        assert!((found[10] + 2.0 - 2.0 * (1.0 - 0.3990)).abs() < 1e-3);
        assert!((found[11] + 4.0 + 2.0 * 0.2420).abs() < 1e-3);
        assert_eq!(found[15..], column[15..]);
    }

    #[test]
    fn what_is_alike_and_what_is_at_the_floor_stay_and_nothing_is_the_mel_itself() {
        assert_eq!(sharpened(4.0, &[-3.3; 80]), [-3.3; 80]);
        let mut column = [FLOOR; 80];
        assert_eq!(sharpened(4.0, &column), column);
        column[40] = 0.0;
        let found = sharpened(4.0, &column);
        assert!(found.iter().all(|v| *v >= FLOOR) && found[39] == FLOOR);
        assert_eq!(sharpened(0.0, &column), column);
        assert!(sharpened(1.0, &[]).is_empty());
    }

    #[test]
    fn frames_are_sharpened_each_on_its_own() {
        let mel = Array2::from_shape_fn((80, 7), |(b, f)| ((b * 7 + f * 13) % 11) as f32 - 9.0);
        let sharpening = Sharpening { bands: 0.7 };
        let whole = sharpening.apply(mel.view(), FLOOR);
        for (frame, column) in mel.axis_chunks_iter(ndarray::Axis(1), 1).enumerate() {
            let alone = sharpening.apply(column, FLOOR);
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
