//! Runge-Kutta steps on a flow's ordinary differential equation dx/dt = velocity = (data - x) / (1 - t).

use crate::diffusion::level::{Level, Mix, Step, pairs};

/// Euler (Liu et al. 2023, "Rectified flow", section 2): x' = x + h velocity.
pub(super) fn euler(levels: &[Level]) -> Vec<Step> {
    pairs(levels)
        .map(|(at, to)| advance(at, to.signal))
        .collect()
}

/// The state at time `end` along the velocity at `at`. To the end of the flow it is the estimate itself, with nothing left of the state
/// by rounding.
fn advance(at: Level, end: f64) -> Step {
    let share = (end - at.mix.signal) / at.mix.noise;
    Step::new(at, 1.0 - share, share)
}

/// Heun's trapezoid (Karras et al. 2022, algorithm 1): x' = x + h / 2 (velocity at x + velocity at the Euler step's end).
///
/// Two rows a step. The first is the Euler step, and it remembers x + h / 2 velocity, to which the second adds its own half: so the state
/// at the start of the step need not be worked back from the Euler step's result. The last step is Euler's, as the network is not
/// defined at time 1.
pub(super) fn heun(levels: &[Level]) -> Vec<Step> {
    let step = |pair: &[Level]| {
        let (at, next) = (pair[0], pair[1]);
        let end = next.mix.signal;
        let middle = 0.5 * (at.mix.signal + end);
        [remembering(at, end, middle), leap(next, end - middle)]
    };
    let two_calls = levels.windows(2).flat_map(step);
    let last = levels.last().map(|&at| advance(at, 1.0));
    two_calls.chain(last).collect()
}

/// The midpoint rule (Runge 1895): x' = x + h velocity at x + h / 2 velocity, half a step on.
///
/// Two rows a step: the first goes half way and remembers x, the second leaps from there. The last step is no exception, as its middle
/// lies before time 1.
pub(super) fn midpoint(levels: &[Level]) -> Vec<Step> {
    let step = |(at, to): (Level, Mix)| {
        let start = at.mix.signal;
        let middle = 0.5 * (start + to.signal);
        [
            remembering(at, middle, start),
            leap(Level::flow(middle), to.signal - start),
        ]
    };
    pairs(levels).flat_map(step).collect()
}

/// Goes to time `end` and remembers the state at time `kept`, both along the velocity at `at`.
fn remembering(at: Level, end: f64, kept: f64) -> Step {
    let kept = advance(at, kept);
    Step {
        u: kept.a,
        v: kept.b,
        ..advance(at, end)
    }
}

/// What was remembered and `length` times the velocity at `at`.
fn leap(at: Level, length: f64) -> Step {
    let slope = length / at.mix.noise;
    Step {
        d: 1.0,
        ..Step::new(at, -slope, slope)
    }
}
