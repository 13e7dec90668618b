//! What every pass over mels of one convention shares.

use std::sync::Arc;

use realfft::{ComplexToReal, RealToComplex};

use crate::mel::{MelConvention, SparseRow};

/// Made by [`ConsistencyFilter::new`](super::ConsistencyFilter::new).
pub(super) struct ConsistencyTables {
    pub(super) convention: MelConvention,
    /// Samples by which a frame's window begins before the frame's place, `f * hop`.
    pub(super) margin: usize,
    /// Analysis window, periodic Hann in the middle of the FFT.
    pub(super) window: Vec<f32>,
    /// The same with the overlap-add and inverse FFT scale taken in.
    pub(super) synthesis: Vec<f32>,
    /// Each band's filter.
    pub(super) bands: Vec<SparseRow>,
    /// For each bin the shares of the bands in it, which add up to 1; none where no band reaches.
    pub(super) bins: Vec<SparseRow>,
    pub(super) forward: Arc<dyn RealToComplex<f32>>,
    pub(super) inverse: Arc<dyn ComplexToReal<f32>>,
}
