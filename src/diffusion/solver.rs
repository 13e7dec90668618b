//! The solvers: each turns the noise levels of a run into rows of coefficients.

mod ancestral;
mod corrector;
mod multistep;
mod ode;

use super::level::{Level, Step};
use super::process::{MAX_STEPS, check_length};
use super::{DiffusionError, Process};
use crate::text::quoted;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

pub use corrector::Corrector;

/// Most Langevin steps after one step of the predictor.
const MAX_CORRECTIONS: usize = 16;
/// Largest `snr` of a corrector: there, half of a state's noise is exchanged in one Langevin step.
const MAX_SNR: f64 = 0.5;

/// How a run goes from one noise level to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Solver {
    /// DDPM: the posterior's mean and noise. With a list of betas, DiffWave's fast sampling.
    Ancestral,
    /// DDPM: without fresh noise at `eta` 0, with all of the ancestral sampler's at 1.
    Ddim {
        /// From 0 to 1.
        eta: f64,
    },
    /// Either process: second order, with a look back at the estimate of the step before.
    DpmSolverPp,
    /// Flow: first order.
    Euler,
    /// Flow: second order, two network calls a step but the last.
    Heun,
    /// Flow: second order, two network calls a step.
    Midpoint,
    /// Either process: its default solver, with Langevin steps between.
    PredictorCorrector(Corrector),
}

/// A solver without its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SolverKind {
    /// [`Solver::Ancestral`].
    Ancestral,
    /// [`Solver::Ddim`].
    Ddim,
    /// [`Solver::DpmSolverPp`].
    #[serde(rename = "dpm-solver++")]
    DpmSolverPp,
    /// [`Solver::Euler`].
    Euler,
    /// [`Solver::Heun`].
    Heun,
    /// [`Solver::Midpoint`].
    Midpoint,
    /// [`Solver::PredictorCorrector`].
    PredictorCorrector,
}

impl SolverKind {
    /// All of them.
    pub const ALL: [SolverKind; 7] = [
        SolverKind::Ancestral,
        SolverKind::Ddim,
        SolverKind::Euler,
        SolverKind::Heun,
        SolverKind::Midpoint,
        SolverKind::DpmSolverPp,
        SolverKind::PredictorCorrector,
    ];

    /// The word used for it in manifests, flags and messages.
    pub fn name(self) -> &'static str {
        match self {
            SolverKind::Ancestral => "ancestral",
            SolverKind::Ddim => "ddim",
            SolverKind::DpmSolverPp => "dpm-solver++",
            SolverKind::Euler => "euler",
            SolverKind::Heun => "heun",
            SolverKind::Midpoint => "midpoint",
            SolverKind::PredictorCorrector => "predictor-corrector",
        }
    }

    /// What it is, in a line.
    pub fn about(self) -> &'static str {
        match self {
            SolverKind::Ancestral => {
                "fresh noise at every step; with a list of betas, DiffWave's fast sampling"
            }
            SolverKind::Ddim => "no fresh noise with eta = 0, all of it with eta = 1",
            SolverKind::DpmSolverPp => {
                "DPM-Solver++(2M): second order, looking back at the step before"
            }
            SolverKind::Euler => "first order",
            SolverKind::Heun => {
                "second order, the mean of two slopes: two denoiser calls a step but the last"
            }
            SolverKind::Midpoint => {
                "second order, the slope half a step on: two denoiser calls a step"
            }
            SolverKind::PredictorCorrector => {
                "the default solver, and Langevin steps at each level that it reaches"
            }
        }
    }

    /// Whether models trained under `process` can be run with it.
    pub fn fits(self, process: &Process) -> bool {
        match self {
            SolverKind::Ancestral | SolverKind::Ddim => matches!(process, Process::Ddpm { .. }),
            SolverKind::Euler | SolverKind::Heun | SolverKind::Midpoint => {
                matches!(process, Process::Flow)
            }
            SolverKind::DpmSolverPp | SolverKind::PredictorCorrector => true,
        }
    }

    /// Those that fit `process`.
    pub fn fitting(process: &Process) -> impl Iterator<Item = SolverKind> + '_ {
        SolverKind::ALL
            .into_iter()
            .filter(|kind| kind.fits(process))
    }

    /// The solver, with the settings that are given and the defaults of those that are not.
    ///
    /// # Errors
    /// Settings of another solver, or out of range.
    pub fn with(
        self,
        eta: Option<f64>,
        corrector: Option<Corrector>,
    ) -> Result<Solver, DiffusionError> {
        let foreign = |setting, owner: SolverKind| DiffusionError::SolverSetting {
            setting,
            owner: owner.name(),
            found: self.name(),
        };
        if eta.is_some() && self != SolverKind::Ddim {
            return Err(foreign("eta", SolverKind::Ddim));
        }
        if corrector.is_some() && self != SolverKind::PredictorCorrector {
            return Err(foreign("corrector", SolverKind::PredictorCorrector));
        }
        let solver = match self {
            SolverKind::Ancestral => Solver::Ancestral,
            SolverKind::Ddim => Solver::Ddim {
                eta: eta.unwrap_or(0.0),
            },
            SolverKind::DpmSolverPp => Solver::DpmSolverPp,
            SolverKind::Euler => Solver::Euler,
            SolverKind::Heun => Solver::Heun,
            SolverKind::Midpoint => Solver::Midpoint,
            SolverKind::PredictorCorrector => {
                Solver::PredictorCorrector(corrector.unwrap_or_default())
            }
        };
        solver.check_settings()?;
        Ok(solver)
    }
}

impl FromStr for SolverKind {
    type Err = DiffusionError;

    fn from_str(text: &str) -> Result<SolverKind, DiffusionError> {
        let found = SolverKind::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| DiffusionError::UnknownSolver {
            found: quoted(text),
            known: names(SolverKind::ALL.into_iter()),
        })
    }
}

fn names(kinds: impl Iterator<Item = SolverKind>) -> String {
    kinds.map(SolverKind::name).collect::<Vec<_>>().join(", ")
}

/// The name, and the settings where it has any: `ddim(eta=0.5)`.
impl fmt::Display for Solver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.kind().name();
        match self {
            Solver::Ddim { eta } => write!(f, "{name}(eta={eta})"),
            Solver::PredictorCorrector(Corrector { steps, snr }) => {
                write!(f, "{name}(steps={steps},snr={snr})")
            }
            _ => f.write_str(name),
        }
    }
}

impl Solver {
    /// The solver that is used where none is asked for: Euler's for flows, the ancestral one for DDPMs.
    pub fn default_of(process: &Process) -> Solver {
        match process {
            Process::Flow => Solver::Euler,
            Process::Ddpm { .. } => Solver::Ancestral,
        }
    }

    /// Which solver it is.
    pub fn kind(self) -> SolverKind {
        match self {
            Solver::Ancestral => SolverKind::Ancestral,
            Solver::Ddim { .. } => SolverKind::Ddim,
            Solver::DpmSolverPp => SolverKind::DpmSolverPp,
            Solver::Euler => SolverKind::Euler,
            Solver::Heun => SolverKind::Heun,
            Solver::Midpoint => SolverKind::Midpoint,
            Solver::PredictorCorrector(_) => SolverKind::PredictorCorrector,
        }
    }

    /// Network calls of a run of `steps` steps.
    pub fn calls(self, steps: usize) -> usize {
        let but_last = steps.saturating_sub(1);
        match self {
            Solver::Heun => steps.saturating_add(but_last),
            Solver::Midpoint => steps.saturating_mul(2),
            Solver::PredictorCorrector(Corrector { steps: each, .. }) => {
                steps.saturating_add(but_last.saturating_mul(each))
            }
            _ => steps,
        }
    }

    fn check_settings(self) -> Result<(), DiffusionError> {
        let outside = |setting, expected: String, found: f64| DiffusionError::SettingRange {
            setting,
            expected,
            found,
        };
        match self {
            Solver::Ddim { eta } if !(0.0..=1.0).contains(&eta) => {
                Err(outside("eta", "0 to 1".to_owned(), eta))
            }
            Solver::PredictorCorrector(Corrector { steps, .. })
                if !(1..=MAX_CORRECTIONS).contains(&steps) =>
            {
                let expected = format!("1 to {MAX_CORRECTIONS}");
                Err(outside("corrector.steps", expected, steps as f64))
            }
            Solver::PredictorCorrector(Corrector { snr, .. }) if !(snr > 0.0 && snr <= MAX_SNR) => {
                let expected = format!("above 0, at most {MAX_SNR}");
                Err(outside("corrector.snr", expected, snr))
            }
            _ => Ok(()),
        }
    }

    /// The rows of a run over `levels`, noisiest first, to the clean signal.
    pub(super) fn steps(
        self,
        process: &Process,
        levels: &[Level],
    ) -> Result<Vec<Step>, DiffusionError> {
        if !self.kind().fits(process) {
            return Err(DiffusionError::SolverKind {
                process: process.name(),
                expected: names(SolverKind::fitting(process)),
                found: self.kind().name(),
            });
        }
        self.check_settings()?;
        let calls = self.calls(levels.len());
        check_length("the schedule, counted in network calls,", calls, MAX_STEPS)?;
        Ok(match self {
            Solver::Ancestral => ancestral::ancestral(levels),
            Solver::Ddim { eta } => ancestral::ddim(levels, eta),
            Solver::DpmSolverPp => multistep::dpm_solver_pp(levels),
            Solver::Euler => ode::euler(levels),
            Solver::Heun => ode::heun(levels),
            Solver::Midpoint => ode::midpoint(levels),
            Solver::PredictorCorrector(corrector) => {
                let predictor = Solver::default_of(process).steps(process, levels)?;
                corrector::corrected(predictor, levels, corrector)
            }
        })
    }
}

#[cfg(test)]
mod tests;
