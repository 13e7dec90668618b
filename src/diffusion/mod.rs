//! Sampling a diffusion model as a table of numbers.
//!
//! Every sampler offered here is affine in what it has at hand, so a whole run is planned as [`Row`]s of coefficients in
//! f64 before the first graph call ([`plan`]), and the engine only applies them. Noise ([`Noise`]) is a pure function of
//! seed, step and absolute sample.

mod ddpm;
mod error;
mod flow;
mod noise;
mod schedule;
mod solver;

pub use error::DiffusionError;
pub use noise::Noise;
pub use schedule::{MAX_STEPS, Prediction, Process, Schedule, linear_betas};
pub use solver::{Plan, Row, plan};
