//! What every pass over mels of one convention shares.

use std::sync::Arc;

use crate::dsp::pass::PassTables;
use crate::mel::{MelConvention, SparseRow};

/// Made by [`ConsistencyFilter::new`](super::ConsistencyFilter::new).
pub(super) struct ConsistencyTables {
    pub(super) convention: MelConvention,
    /// The frames of the convention.
    pub(super) pass: Arc<PassTables>,
    /// Each band's filter.
    pub(super) bands: Vec<SparseRow>,
    /// For each bin the shares of the bands in it, which add up to 1; none where no band reaches.
    pub(super) bins: Vec<SparseRow>,
}
