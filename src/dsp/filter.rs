//! What the filters of this module have in common.

use ndarray::ArrayView2;

use super::DspError;

/// A filter that a mel steers, for a signal and a mel that come in pieces. The result does not depend on the pieces.
pub trait MelFilter: Send {
    /// Takes further mel frames, `[n_mels, any]`. The whole mel may be pushed at once.
    ///
    /// # Errors
    /// [`DspError::Bands`].
    fn push_mel(&mut self, mel: ArrayView2<'_, f32>) -> Result<(), DspError>;

    /// Says that the mel is complete: the frames after it are at the floor.
    fn end_mel(&mut self);

    /// Takes further samples and appends to `out` those that are finished.
    fn push_samples(&mut self, samples: &[f32], out: &mut Vec<f32>);

    /// Ends the signal and the mel, and appends the rest to `out`: as many samples came out as went in. Nothing may be pushed afterwards.
    ///
    /// # Errors
    /// [`DspError::Length`] unless the samples were `hop` times the mel frames; then nothing is appended.
    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), DspError>;
}
