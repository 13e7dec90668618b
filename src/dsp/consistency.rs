//! Bringing a signal closer to the mel that it was made from.
//!
//! A vocoder hears the mel and is free not to follow it. Here each band of each frame is scaled by what the mel asks for over what is
//! there, and the phases are kept: the magnitude half of a Griffin-Lim iteration (Griffin and Lim 1984), with mel bands for magnitudes.
//! The Python twin is `models/training/vocode_training/consistency.py`; `tests/fixtures/consistency` holds the two together at 1e-4.

mod passes;
mod stream;
mod tables;

use std::sync::Arc;

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::{DspError, MelFilter};
use crate::mel::MelConvention;
pub use passes::ConsistencyPasses;
pub use stream::ConsistencyStream;
use tables::ConsistencyTables;

/// Most passes over one signal.
pub(crate) const MAX_PASSES: usize = 16;

/// The `[consistency]` table of a bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsistencyParameters {
    /// How many times the signal is brought closer; each makes it trail its mel by [`ConsistencyFilter::lookahead_frames`] more.
    pub passes: usize,
    /// How much of the change from one pass to the next is made once more, 0 to 1, as in the accelerated Griffin-Lim algorithm (Perraudin,
    /// Balazs and Soendergaard 2013).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub momentum: f32,
}

fn is_zero(momentum: &f32) -> bool {
    *momentum == 0.0
}

/// The filter for mels of one convention. Cheap to clone: the tables are shared.
#[derive(Clone)]
pub struct ConsistencyFilter {
    tables: Arc<ConsistencyTables>,
    passes: usize,
    momentum: f32,
}

impl ConsistencyFilter {
    /// Makes the tables for mels of `convention`.
    ///
    /// # Errors
    /// [`DspError::Consistency`] for a number of passes or a momentum out of its range, or a convention whose windows, squared, do not add up
    /// to a constant.
    pub fn new(
        convention: &MelConvention,
        parameters: &ConsistencyParameters,
    ) -> Result<ConsistencyFilter, DspError> {
        let ConsistencyParameters { passes, momentum } = *parameters;
        check_passes("consistency.passes", passes)?;
        if !(0.0..=1.0).contains(&momentum) {
            return fail("consistency.momentum", "0 to 1".into(), momentum);
        }
        validate(convention)?;
        Ok(ConsistencyFilter {
            tables: Arc::new(ConsistencyTables::new(convention)),
            passes,
            momentum,
        })
    }

    /// Frames of signal and mel that must be there beyond a sample's own before one pass gives it out.
    pub fn lookahead_frames(&self) -> usize {
        self.tables.pass.lookahead_frames()
    }

    /// The same filter with another number of passes.
    ///
    /// # Errors
    /// [`DspError::Consistency`] for a number out of its range.
    pub fn with_passes(&self, passes: usize) -> Result<ConsistencyFilter, DspError> {
        check_passes("passes", passes)?;
        Ok(ConsistencyFilter {
            passes,
            ..self.clone()
        })
    }

    /// How many passes there are.
    pub fn passes(&self) -> usize {
        self.passes
    }

    /// Starts the passes over a signal that comes in pieces.
    pub fn stream(&self) -> ConsistencyPasses {
        ConsistencyPasses::new(&self.tables, self.passes, self.momentum)
    }

    /// All passes over a whole signal of `frames * hop` samples with the mel `[n_mels, frames]` that it should have.
    ///
    /// # Errors
    /// [`DspError::Bands`], [`DspError::Length`].
    pub fn apply(&self, samples: &[f32], mel: ArrayView2<'_, f32>) -> Result<Vec<f32>, DspError> {
        let (mut stream, mut out) = (self.stream(), Vec::with_capacity(samples.len()));
        stream.push_mel(mel)?;
        stream.push_samples(samples, &mut out);
        stream.finish(&mut out)?;
        Ok(out)
    }
}

fn fail<T>(field: &'static str, expected: String, found: impl ToString) -> Result<T, DspError> {
    Err(DspError::Consistency {
        field,
        expected,
        found: found.to_string(),
    })
}

fn check_passes(field: &'static str, passes: usize) -> Result<(), DspError> {
    match (1..=MAX_PASSES).contains(&passes) {
        true => Ok(()),
        false => fail(field, format!("1 to {MAX_PASSES}"), passes),
    }
}

fn validate(convention: &MelConvention) -> Result<(), DspError> {
    let (hop, length) = (convention.hop, convention.win_length);
    if hop == 0 || !length.is_multiple_of(hop) || length / hop < 3 {
        let expected = format!("a multiple of the hop of {hop}, at least three times that");
        return fail("mel.win_length", expected, length);
    }
    if !convention.n_fft.is_multiple_of(2) || length > convention.n_fft {
        let expected = format!("an even number, at least win_length = {length}");
        return fail("mel.n_fft", expected, convention.n_fft);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
