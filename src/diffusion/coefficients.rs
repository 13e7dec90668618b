//! One denoiser call as coefficients.

/// One denoiser call: x' = a x + b prediction + c noise + d remembered, then the plan's clamp if it has one.
///
/// What the next row finds remembered is u x + v prediction, of the state before this row. So a solver can come back to an earlier state
/// or estimate: the engine keeps one more number a sample, and only where the next row has d other than 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coefficients {
    /// The number given to the network: flow, the time in [0, 1); DDPM, the training step, fractional where aligned.
    pub t: f64,
    /// Weight of the state.
    pub a: f64,
    /// Weight of this call's prediction.
    pub b: f64,
    /// Weight of fresh standard Gaussian noise; row k draws step k + 1 of [`Noise`](super::Noise).
    pub c: f64,
    /// Weight of what the previous row remembered; 0 in the first row.
    pub d: f64,
    /// Weight of the state in what is remembered.
    pub u: f64,
    /// Weight of this call's prediction in what is remembered.
    pub v: f64,
}

impl Coefficients {
    /// The next state of one sample, before the plan's clamp; from state, prediction, fresh noise and what the row before remembered.
    pub(crate) fn next(&self, [state, prediction, noise, remembered]: [f32; 4]) -> f64 {
        self.a * f64::from(state)
            + self.b * f64::from(prediction)
            + self.c * f64::from(noise)
            + self.d * f64::from(remembered)
    }

    /// What the row after finds remembered of one sample.
    pub(crate) fn remember(&self, state: f32, prediction: f32) -> f32 {
        (self.u * f64::from(state) + self.v * f64::from(prediction)) as f32
    }

    /// Whether every coefficient is a number.
    pub(super) fn is_finite(&self) -> bool {
        [self.t, self.a, self.b, self.c, self.d, self.u, self.v]
            .iter()
            .all(|value| value.is_finite())
    }
}
