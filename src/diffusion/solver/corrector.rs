//! Corrections between the steps of another solver.

use crate::diffusion::level::{Level, Step};
use serde::{Deserialize, Serialize};

/// The Langevin steps of [`Solver::PredictorCorrector`](super::Solver::PredictorCorrector).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Corrector {
    /// How many after each step of the predictor but the last; 1 to 16.
    pub steps: usize,
    /// How far each goes: r of Song et al. 2021, above 0, at most 0.5.
    pub snr: f64,
}

impl Default for Corrector {
    /// One step, as far as in Song et al. 2021.
    fn default() -> Corrector {
        Corrector {
            steps: 1,
            snr: 0.16,
        }
    }
}

/// Predictor-corrector sampling (Song et al. 2021, "Score-based generative modeling", algorithms 1, 4 and 5): after each step of the
/// predictor but the last, Langevin steps at the level that it reached.
///
/// x' = x + e score + sqrt(2 e) z, score = (signal data - x) / noise^2. Their e = 2 (snr |z| / |score|)^2 takes norms of the whole
/// signal; here they stand at what is expected of them, |z| / |score| = noise, so that e = 2 snr^2 noise^2 is known beforehand and a
/// sample does not depend on those far away. `predictor` holds one row a level.
pub(super) fn corrected(
    predictor: Vec<Step>,
    levels: &[Level],
    Corrector { steps, snr }: Corrector,
) -> Vec<Step> {
    let langevin = |&at: &Level| Step {
        c: 2.0 * snr * at.mix.noise,
        ..Step::new(at, 1.0 - 2.0 * snr * snr, 2.0 * snr * snr * at.mix.signal)
    };
    let mut rows = Vec::with_capacity(predictor.len() * (1 + steps));
    for (i, step) in predictor.into_iter().enumerate() {
        rows.push(step);
        if let Some(reached) = levels.get(i + 1) {
            rows.extend(std::iter::repeat_n(langevin(reached), steps));
        }
    }
    rows
}
