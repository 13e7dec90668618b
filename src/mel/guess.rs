//! What the values of a mel are, and what that makes it.

use super::{Mel, MelConvention};

/// How the values of a mel are spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub std: f64,
    /// Share of the values within 0.001 of the smallest: a clamped logarithm piles them up there.
    pub at_min: f64,
}

impl Statistics {
    /// The statistics of every value of `mel`.
    pub fn of(mel: &Mel) -> Statistics {
        let values = mel.view();
        let count = values.len() as f64;
        let min = values.iter().copied().fold(f32::INFINITY, f32::min);
        let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
        let variance = values
            .iter()
            .map(|v| (f64::from(*v) - mean).powi(2))
            .sum::<f64>()
            / count;
        let at_min = values.iter().filter(|v| **v <= min + 1e-3).count() as f64 / count;
        Statistics {
            min,
            max,
            mean,
            std: variance.sqrt(),
            at_min,
        }
    }

    pub(super) fn within(&self, low: f32, high: f32) -> bool {
        self.min >= low && self.max <= high
    }
}

/// How much a guess is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likelihood {
    /// The values do not contradict it.
    Possible,
    /// The values show its mark.
    Strong,
}

/// A convention that a mel may be in.
#[derive(Clone, Debug, PartialEq)]
pub struct Guess {
    /// Its name: a preset, or words.
    pub name: String,
    /// The convention, where the values are enough to spell one out.
    pub convention: Option<MelConvention>,
    /// How sure.
    pub likelihood: Likelihood,
    /// What in the values says so.
    pub reason: String,
    /// What to set `mel_convention` to.
    pub advice: String,
}
