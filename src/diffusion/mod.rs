//! Sampling a diffusion model as a table of numbers.
//!
//! Every sampler offered here is affine in what it has at hand, so a whole run is planned as [`Row`]s of coefficients in
//! f64 before the first graph call ([`plan`]), and the engine only applies them. Noise ([`Noise`]) is a pure function of
//! seed, step and absolute sample.

mod ddpm;
mod error;
mod flow;
mod level;
mod noise;
mod plan;
mod schedule;
mod solver;
#[cfg(test)]
mod toy;

pub use error::DiffusionError;
pub use noise::Noise;
pub use plan::{Plan, Row, plan};
pub use schedule::{Grid, MAX_STEPS, Prediction, Process, Schedule, cosine_betas, linear_betas};
pub use solver::{Corrector, Solver, SolverKind};
