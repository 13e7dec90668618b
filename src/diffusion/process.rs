//! What a model was trained on, and the limits of the lists that describe it.

use super::DiffusionError;
use serde::{Deserialize, Serialize};
use std::f64::consts::FRAC_PI_2;

/// Most steps a run may have. It bounds what one synthesis holds in memory.
pub const MAX_STEPS: usize = 1000;

/// Most noise levels a training table may have.
const MAX_TRAINING_STEPS: usize = 100_000;

/// How noise and data were mixed in training.
#[derive(Clone, Debug, PartialEq)]
pub enum Process {
    /// x_t = (1 - t) noise + t data, t from 0 (noise) to 1 (data).
    Flow,
    /// x_n = sqrt(abar_n) data + sqrt(1 - abar_n) noise, abar_n = product of (1 - beta) up to n (Ho et al. 2020).
    Ddpm {
        /// Noise level of each training step, in (0, 1).
        betas: Vec<f64>,
    },
}

impl Process {
    /// The word used for it in manifests and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Process::Flow => "flow",
            Process::Ddpm { .. } => "ddpm",
        }
    }
}

/// What the network answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Prediction {
    /// The noise in the state.
    Epsilon,
    /// The clean signal.
    Sample,
    /// Flow: data - noise. DDPM: sqrt(abar) noise - sqrt(1 - abar) data (Salimans and Ho 2022).
    Velocity,
}

impl Prediction {
    /// The word used for it in manifests and messages.
    pub fn name(self) -> &'static str {
        match self {
            Prediction::Epsilon => "epsilon",
            Prediction::Sample => "sample",
            Prediction::Velocity => "velocity",
        }
    }
}

/// `steps` values from `start` to `end`, both included, evenly spaced: the training table of DiffWave.
pub fn linear_betas(start: f64, end: f64, steps: usize) -> Vec<f64> {
    let last = steps.saturating_sub(1).max(1) as f64;
    (0..steps)
        .map(|i| start + (end - start) * i as f64 / last)
        .collect()
}

/// The betas of abar_n = f(n) / f(0), f(n) = cos^2((n / steps + s) / (1 + s) pi / 2), s = 0.008, none above 0.999 (Nichol and Dhariwal
/// 2021, equation 17).
pub fn cosine_betas(steps: usize) -> Vec<f64> {
    const OFFSET: f64 = 0.008;
    let level = |n: usize| {
        let angle = (n as f64 / steps as f64 + OFFSET) / (1.0 + OFFSET) * FRAC_PI_2;
        angle.cos().powi(2)
    };
    (0..steps)
        .map(|n| (1.0 - level(n + 1) / level(n)).min(0.999))
        .collect()
}

/// Refuses empty and overlong lists.
pub(super) fn check_length(
    what: &'static str,
    found: usize,
    limit: usize,
) -> Result<(), DiffusionError> {
    match found {
        0 => Err(DiffusionError::Empty { what }),
        n if n > limit => Err(DiffusionError::TooManySteps { what, found, limit }),
        _ => Ok(()),
    }
}

/// Products of (1 - beta) for a table whose every beta lies in (0, 1).
pub(super) fn signal_levels(what: &'static str, betas: &[f64]) -> Result<Vec<f64>, DiffusionError> {
    check_length(what, betas.len(), MAX_TRAINING_STEPS)?;
    let mut level = 1.0;
    let mut levels = Vec::with_capacity(betas.len());
    for (index, &found) in betas.iter().enumerate() {
        if !(found > 0.0 && found < 1.0) {
            return Err(DiffusionError::Beta { what, index, found });
        }
        level *= 1.0 - found;
        levels.push(level);
    }
    Ok(levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_betas_hit_both_ends() {
        let betas = linear_betas(1e-4, 0.05, 50);
        assert_eq!(betas.len(), 50);
        assert_eq!(betas[0], 1e-4);
        assert!((betas[49] - 0.05).abs() < 1e-15);
        assert_eq!(linear_betas(0.1, 0.2, 1), [0.1]);
        assert!(linear_betas(0.1, 0.2, 0).is_empty());
    }

    #[test]
    fn cosine_betas_have_the_published_levels() {
        let betas = cosine_betas(1000);
        let levels = signal_levels("t", &betas).unwrap();
        let f = |n: f64| ((n / 1000.0 + 0.008) / 1.008 * FRAC_PI_2).cos().powi(2);
        for n in [1, 10, 500, 999] {
            assert!((levels[n - 1] - f(n as f64) / f(0.0)).abs() < 1e-12);
        }
        assert!((betas[0] - 4.128422e-5).abs() < 1e-10);
        assert_eq!(betas[999], 0.999);
        assert!(cosine_betas(0).is_empty());
    }

    #[test]
    fn signal_level_of_the_published_tables() {
        let end = |betas: &[f64]| *signal_levels("t", betas).unwrap().last().unwrap();
        assert!((end(&linear_betas(1e-4, 0.05, 50)) - 0.279673).abs() < 5e-7);
        assert!((end(&linear_betas(1e-4, 0.02, 200)) - 0.132183).abs() < 5e-7);
    }

    #[test]
    fn betas_outside_the_open_interval_are_refused() {
        for bad in [0.0, 1.0, -0.1, 1.5, f64::NAN, f64::INFINITY] {
            let error = signal_levels("the schedule", &[0.1, bad]).unwrap_err();
            assert!(
                matches!(error, DiffusionError::Beta { index: 1, .. }),
                "{bad}: {error}"
            );
        }
    }
}
