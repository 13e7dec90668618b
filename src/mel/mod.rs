//! Mel spectrograms: the typed array, its file format, the conventions that give its numbers meaning, and the way to make one.
//!
//! ```
//! use vocode::mel::{self, MelConvention};
//!
//! let hifigan = MelConvention::named("hifigan").ok_or("no such preset")?;
//! let tone: Vec<f32> = (0..22_050).map(|n| 0.3 * (0.05 * n as f32).sin()).collect();
//! let mel = mel::analyse(&tone, &hifigan)?;
//! assert_eq!((mel.n_mels(), mel.frames()), (80, 86));
//!
//! let mut file = Vec::new();
//! mel::write_npy(&mut file, &mel)?;
//! let again = mel::read_npy(&file[..], Some(80), Default::default(), &Default::default())?;
//! let prepared = mel::prepare(again, &hifigan, &hifigan)?;
//! assert_eq!(prepared.mel, mel);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod analysis;
pub mod approximate;
pub mod check;
pub mod compression;
pub mod convention;
pub mod convert;
pub mod detect;
mod differences;
mod envelope;
mod error;
mod filterbank;
mod frames;
mod guess;
pub mod layout;
mod losses;
mod moments;
pub mod npy;
mod npz;
pub mod padding;
mod presets;
mod refused;
mod restore;
mod scales;
mod sharpen;
#[cfg(test)]
pub(crate) mod testing;
mod traits;

use ndarray::{Array2, ArrayView2};

pub use analysis::analyse;
pub use approximate::{Approximation, prepare_approximately};
pub use check::check;
pub use compression::{Compression, FloorMode, LogKind};
pub use convention::{FilterNorm, Framing, MelConvention, MelScale};
pub use convert::{Conversion, Prepared, prepare};
pub use detect::{detect, detect_for_model};
pub use error::MelError;
pub use filterbank::filterbank;
pub(crate) use filterbank::{SparseRow, sparse_rows};
pub use guess::{Guess, Likelihood, Statistics};
pub use layout::{Layout, may_have_bands};
pub use moments::BandMoments;
#[cfg(feature = "server")]
pub(crate) use moments::Moment;
pub use npy::{NpyLimits, read_npy, read_npy_by_shape, write_npy};
pub use padding::{Padding, padding, trim_padding};
pub use refused::takes_refused;
pub use restore::{Blur, restore};
pub(crate) use sharpen::Sharpener;
pub use sharpen::Sharpening;

/// A mel spectrogram of shape `[n_mels, frames]`, both at least one, every value finite, in row-major order.
///
/// What the values mean (sample rate, bands, logarithm) is not part of the type: that is a [`MelConvention`].
#[derive(Clone, Debug, PartialEq)]
pub struct Mel {
    values: Array2<f32>,
}

impl Mel {
    /// Takes values of shape `[n_mels, frames]`.
    ///
    /// # Errors
    /// [`MelError::Empty`] without bands or frames, [`MelError::NonFinite`] with the place of the first NaN or infinity.
    pub fn new(values: Array2<f32>) -> Result<Mel, MelError> {
        if values.is_empty() {
            return Err(MelError::Empty {
                shape: values.shape().to_vec(),
            });
        }
        let mut bad = values.indexed_iter().filter(|(_, v)| !v.is_finite());
        if let Some(((band, frame), &value)) = bad.next() {
            let count = 1 + bad.count();
            return Err(MelError::NonFinite {
                count,
                total: values.len(),
                value,
                band,
                frame,
            });
        }
        let values = if values.is_standard_layout() {
            values
        } else {
            values.as_standard_layout().into_owned()
        };
        Ok(Mel { values })
    }

    /// Number of mel bands.
    pub fn n_mels(&self) -> usize {
        self.values.nrows()
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.values.ncols()
    }

    /// The values, `[n_mels, frames]`.
    pub fn view(&self) -> ArrayView2<'_, f32> {
        self.values.view()
    }

    /// Gives the values up, `[n_mels, frames]`, row-major.
    pub fn into_values(self) -> Array2<f32> {
        self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn refuses_wrong_states() {
        assert!(matches!(
            Mel::new(Array2::zeros((0, 4))),
            Err(MelError::Empty { .. })
        ));
        assert!(matches!(
            Mel::new(Array2::zeros((4, 0))),
            Err(MelError::Empty { .. })
        ));
        let bad = array![[0.0, 1.0], [f32::NAN, f32::INFINITY]];
        match Mel::new(bad) {
            Err(MelError::NonFinite {
                count: 2,
                total: 4,
                band: 1,
                frame: 0,
                value,
            }) => assert!(value.is_nan()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn keeps_row_major_order_whatever_it_was_given() {
        let columns = array![[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0]];
        let mel = Mel::new(columns.t().to_owned()).unwrap();
        assert_eq!((mel.n_mels(), mel.frames()), (2, 3));
        assert!(mel.view().is_standard_layout());
        assert_eq!(mel.into_values(), array![[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]);
    }
}
