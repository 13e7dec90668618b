//! One block to its spectrum and back.

use std::sync::Arc;

use super::transform::{RealTransform, Spectrum, TransformMemory};

/// The memory of an FFT block that is filtered in place, again and again.
pub(super) struct FilterBlock {
    transform: Arc<RealTransform>,
    /// The samples: what is to be filtered, then what came of it, times the length of the block.
    pub samples: Vec<f32>,
    spectrum: Spectrum,
    memory: TransformMemory,
}

impl FilterBlock {
    /// For blocks of the transform's length.
    pub fn new(transform: &Arc<RealTransform>) -> FilterBlock {
        FilterBlock {
            samples: vec![0.0; transform.length()],
            spectrum: transform.spectrum(),
            memory: transform.memory(),
            transform: transform.clone(),
        }
    }

    /// Filters the samples; `change` is given their spectrum.
    pub fn filter(&mut self, change: impl FnOnce(&mut Spectrum)) {
        let transform = &self.transform;
        transform.forward(&self.samples, &mut self.spectrum, &mut self.memory);
        change(&mut self.spectrum);
        transform.inverse(&self.spectrum, &mut self.samples, &mut self.memory);
    }
}
