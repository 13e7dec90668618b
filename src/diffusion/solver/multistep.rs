//! Steps that look back at the estimate of the one before.

use crate::diffusion::level::{Level, Mix, Step, pairs};

/// DPM-Solver++(2M) (Lu et al. 2022, "DPM-Solver++", algorithm 2): second order with one call a step.
///
/// With lambda = ln(signal / noise) and h = lambda' - lambda: x' = noise' / noise x + (signal' - signal noise' / noise) D, where
/// D = (1 + w) data - w (data of the step before), w = h / (2 h of the step before). Of first order, w = 0, at the first step, which has
/// nothing to look back at, and at the last, whose h is infinite. Where a flow starts, lambda is infinite too, and w is 0 once more.
pub(super) fn dpm_solver_pp(levels: &[Level]) -> Vec<Step> {
    let lambda = |i: usize| levels[i].mix.lambda();
    let look_back = |i: usize| {
        if i == 0 || i + 1 == levels.len() {
            return 0.0;
        }
        (lambda(i + 1) - lambda(i)) / (2.0 * (lambda(i) - lambda(i - 1)))
    };
    pairs(levels)
        .enumerate()
        .map(|(i, (at, to))| step(at, to, look_back(i)))
        .collect()
}

fn step(at: Level, to: Mix, w: f64) -> Step {
    let kept = to.noise / at.mix.noise;
    let gain = to.signal - at.mix.signal * kept;
    Step {
        d: -gain * w,
        v: 1.0,
        ..Step::new(at, kept, gain * (1.0 + w))
    }
}
