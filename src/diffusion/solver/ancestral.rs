//! One call a step on a DDPM's levels, with fresh noise or without.

use crate::diffusion::level::{Level, Mix, Step, pairs};

/// Ancestral sampling (Ho et al. 2020, equations 6 and 7): the mean of the posterior q(x' | x, data), and noise of its variance.
///
/// With alpha = abar / abar' and beta = 1 - alpha: mean = sqrt(alpha) (1 - abar') / (1 - abar) x + sqrt(abar') beta / (1 - abar) data,
/// variance = (1 - abar') / (1 - abar) beta. On levels that skip training steps, alpha and beta are those of the stride. On levels
/// aligned with the betas of a short schedule, this is DiffWave's fast sampling (Kong et al. 2021, appendix B).
pub(super) fn ancestral(levels: &[Level]) -> Vec<Step> {
    let step = |(at, to): (Level, Mix)| {
        let root_alpha = at.mix.signal / to.signal;
        let beta = 1.0 - root_alpha * root_alpha;
        let (left, variance) = (to.noise * to.noise, at.mix.noise * at.mix.noise);
        Step {
            c: (left / variance * beta).sqrt(),
            ..Step::new(
                at,
                root_alpha * left / variance,
                to.signal * beta / variance,
            )
        }
    };
    pairs(levels).map(step).collect()
}

/// DDIM (Song, Meng and Ermon 2021, equations 12 and 16).
///
/// x' = sqrt(abar') data + sqrt(1 - abar' - sigma^2) eps + sigma z, sigma = eta sqrt((1 - abar') / (1 - abar)) sqrt(1 - abar / abar'),
/// with eps = (x - sqrt(abar) data) / sqrt(1 - abar). At `eta` 0 there is no noise; at 1 it is [`ancestral`].
pub(super) fn ddim(levels: &[Level], eta: f64) -> Vec<Step> {
    let step = |(at, to): (Level, Mix)| {
        let root_alpha = at.mix.signal / to.signal;
        let sigma = eta * to.noise / at.mix.noise * (1.0 - root_alpha * root_alpha).sqrt();
        let kept = (to.noise * to.noise - sigma * sigma).max(0.0).sqrt() / at.mix.noise;
        Step {
            c: sigma,
            ..Step::new(at, kept, to.signal - at.mix.signal * kept)
        }
    };
    pairs(levels).map(step).collect()
}
