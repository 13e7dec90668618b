//! What every stream of one envelope filter shares.

use std::sync::Arc;

use ndarray::ArrayView2;

use crate::dsp::DspError;
use crate::dsp::bands::BandShares;
use crate::dsp::transform::RealTransform;
use crate::mel::MelConvention;

/// Made by [`EnvelopeFilter::new`](super::EnvelopeFilter::new).
pub(super) struct EnvelopeTables {
    pub(super) convention: MelConvention,
    pub(super) fft: usize,
    pub(super) hop: usize,
    /// Analysis window, periodic Hann, with the overlap-add and inverse FFT scale taken in.
    pub(super) window: Vec<f32>,
    /// The sample that frame 0 is centred on.
    pub(super) centre: usize,
    /// Most frames outside the clip on either side whose windows reach into it.
    pub(super) edge: usize,
    /// For each band its part in the log magnitude of each bin, times two.
    pub(super) shares: BandShares,
    /// For each bin what is added to its log power beyond the last band.
    pub(super) slope: Vec<f32>,
    /// Natural logarithm of each band's filter sum.
    pub(super) log_sums: Vec<f32>,
    /// Triangular smoothing weights along frames.
    pub(super) kernel: Vec<f32>,
    /// Cepstral window, with the inverse FFT scale taken in.
    pub(super) taper: Vec<f32>,
    pub(super) log_equaliser: Vec<f32>,
    pub(super) transform: Arc<RealTransform>,
}

impl EnvelopeTables {
    /// Refuses a mel of another number of bands.
    ///
    /// # Errors
    /// [`DspError::Bands`].
    pub(super) fn check_bands(&self, mel: ArrayView2<'_, f32>) -> Result<(), DspError> {
        let (expected, found) = (self.convention.n_mels, mel.nrows());
        if expected == found {
            Ok(())
        } else {
            Err(DspError::Bands { expected, found })
        }
    }

    /// Log magnitude of every band: the mel's linear value over the sum of the filter.
    pub(super) fn log_bands<'a>(&self, mel: impl IntoIterator<Item = &'a f32>) -> Vec<f32> {
        let level = |(v, sum): (&f32, &f32)| self.convention.ln_magnitude(*v) as f32 - sum;
        mel.into_iter().zip(&self.log_sums).map(level).collect()
    }
}
