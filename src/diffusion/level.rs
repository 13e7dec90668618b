//! Noise levels, and steps between them in the terms that solvers reason in: the estimate of the clean signal.

use super::Coefficients;

/// How much of the signal and of the noise is in a state: x = signal data + noise eps, eps standard Gaussian.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mix {
    pub signal: f64,
    pub noise: f64,
}

impl Mix {
    /// The end of every run.
    pub const CLEAN: Mix = Mix {
        signal: 1.0,
        noise: 0.0,
    };

    /// Half the logarithm of the signal-to-noise ratio, which DPM-Solver counts in: infinite without noise or without signal.
    pub fn lambda(self) -> f64 {
        (self.signal / self.noise).ln()
    }
}

/// A noise level at which the network is called: there is noise in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Level {
    /// The number given to the network.
    pub t: f64,
    pub mix: Mix,
}

/// Each level with the one that it leads to; the last leads to the clean signal.
pub(super) fn pairs(levels: &[Level]) -> impl Iterator<Item = (Level, Mix)> + '_ {
    let ends = levels.iter().skip(1).map(|level| level.mix);
    levels.iter().copied().zip(ends.chain([Mix::CLEAN]))
}

/// A [`Coefficients`] whose `b` and `v` weigh the estimate of the clean signal instead of the prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    pub at: Level,
    pub a: f64,
    pub b: f64,
    pub c: f64,
    pub d: f64,
    pub u: f64,
    pub v: f64,
}

impl Step {
    /// x' = a x + b estimate; nothing is remembered.
    pub fn new(at: Level, a: f64, b: f64) -> Step {
        Step {
            at,
            a,
            b,
            c: 0.0,
            d: 0.0,
            u: 0.0,
            v: 0.0,
        }
    }

    /// The same step in terms of the prediction, where estimate = `of_state` x + `of_prediction` prediction.
    pub fn row(self, [of_state, of_prediction]: [f64; 2]) -> Coefficients {
        Coefficients {
            t: self.at.t,
            a: self.a + self.b * of_state,
            b: self.b * of_prediction,
            c: self.c,
            d: self.d,
            u: self.u + self.v * of_state,
            v: self.v * of_prediction,
        }
    }
}
