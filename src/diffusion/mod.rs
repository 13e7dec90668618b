//! Sampling a diffusion model as a table of numbers.
//!
//! Every sampler offered here is affine in what it has at hand, so a whole run is planned as [`Coefficients`]s of coefficients in
//! f64 before the first graph call ([`plan`]), and the engine only applies them. Noise ([`Noise`]) is a pure function of
//! seed, step and absolute sample.
//!
//! ```
//! use vocode::diffusion::{Grid, Solver};
//! use vocode::{Bundle, ScheduleChoice};
//!
//! let manifest = Bundle::embedded()?.manifest;
//! let steps = ScheduleChoice::Custom(Grid::Times(vec![0.0, 0.4]).into());
//! assert_eq!(steps.resolve(&manifest, Some(Solver::Heun))?.plan.steps(), 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod coefficients;
mod ddpm;
mod error;
mod flow;
mod level;
mod noise;
mod plan;
mod process;
mod schedule;
mod solver;
#[cfg(test)]
mod toy;

pub use coefficients::Coefficients;
pub use error::DiffusionError;
pub use noise::Noise;
pub use plan::{Plan, plan};
pub use process::{MAX_STEPS, Prediction, Process, cosine_betas, linear_betas};
pub use schedule::{Grid, Schedule};
pub use solver::{Corrector, Solver, SolverKind};
