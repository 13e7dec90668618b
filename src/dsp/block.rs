//! One block to its spectrum and back.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealToComplex};

/// The memory of an FFT block that is filtered in place, again and again.
pub(super) struct FilterBlock {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    /// The samples: what is to be filtered, then what came of it, times the length of the block.
    pub samples: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl FilterBlock {
    /// For transforms of one length.
    pub fn new(
        forward: &Arc<dyn RealToComplex<f32>>,
        inverse: &Arc<dyn ComplexToReal<f32>>,
    ) -> FilterBlock {
        let scratch = forward.get_scratch_len().max(inverse.get_scratch_len());
        FilterBlock {
            samples: forward.make_input_vec(),
            spectrum: forward.make_output_vec(),
            scratch: vec![Complex::default(); scratch],
            forward: forward.clone(),
            inverse: inverse.clone(),
        }
    }

    /// Filters the samples; `change` is given their spectrum.
    pub fn filter(&mut self, change: impl FnOnce(&mut [Complex<f32>])) {
        let forth = self.forward.process_with_scratch(
            &mut self.samples,
            &mut self.spectrum,
            &mut self.scratch,
        );
        change(&mut self.spectrum);
        // The ends of a real signal's spectrum are real; NaN input would make them fail the check for it.
        for end in [0, self.spectrum.len() - 1] {
            self.spectrum[end].im = 0.0;
        }
        let back = self.inverse.process_with_scratch(
            &mut self.spectrum,
            &mut self.samples,
            &mut self.scratch,
        );
        // Both fail only on buffers of a wrong length, and these were made by the plans themselves.
        debug_assert!(forth.is_ok() && back.is_ok());
    }
}
