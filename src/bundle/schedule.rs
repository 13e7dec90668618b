//! The words of a schedule, in `bundle.toml` and in files of their own.

use super::BundleError;
use crate::diffusion::{Corrector, DiffusionError, Grid, Schedule, Solver, SolverKind};
use crate::text::toml_reason;
use serde::{Deserialize, Serialize};

/// One schedule: a grid, which is exactly one of `times`, `betas`, `full` and `steps`, the solver, where it is not the process's
/// default, and the passes of mel consistency, where they are not the model's. A schedule file of the command line is this table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpec {
    /// [`Grid::Times`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Vec<f64>>,
    /// [`Grid::Betas`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub betas: Option<Vec<f64>>,
    /// [`Grid::Full`], when true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<bool>,
    /// [`Grid::Uniform`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// [`Schedule::solver`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solver: Option<SolverKind>,
    /// Of [`Solver::Ddim`]; 0 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<f64>,
    /// Of [`Solver::PredictorCorrector`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrector: Option<Corrector>,
    /// [`Schedule::passes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passes: Option<usize>,
}

impl From<&Schedule> for ScheduleSpec {
    fn from(schedule: &Schedule) -> ScheduleSpec {
        let mut spec = ScheduleSpec {
            passes: schedule.passes,
            ..ScheduleSpec::default()
        };
        match &schedule.grid {
            Grid::Times(times) => spec.times = Some(times.clone()),
            Grid::Betas(betas) => spec.betas = Some(betas.clone()),
            Grid::Full => spec.full = Some(true),
            Grid::Uniform(steps) => spec.steps = Some(*steps),
        }
        spec.solver = schedule.solver.map(Solver::kind);
        match schedule.solver {
            Some(Solver::Ddim { eta }) => spec.eta = Some(eta),
            Some(Solver::PredictorCorrector(corrector)) => spec.corrector = Some(corrector),
            _ => {}
        }
        spec
    }
}

impl ScheduleSpec {
    /// The schedule it spells out.
    ///
    /// # Errors
    /// [`DiffusionError::OneGrid`]; the reasons of [`SolverKind::with`].
    pub fn schedule(&self) -> Result<Schedule, DiffusionError> {
        Ok(Schedule {
            grid: self.grid()?,
            solver: self.solver()?,
            passes: self.passes,
        })
    }

    fn grid(&self) -> Result<Grid, DiffusionError> {
        let given = [
            self.times.clone().map(Grid::Times),
            self.betas.clone().map(Grid::Betas),
            self.steps.map(Grid::Uniform),
            self.full.filter(|&full| full).map(|_| Grid::Full),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(grid), None) => Ok(grid),
            (None, _) => Err(DiffusionError::OneGrid { found: "none" }),
            (Some(_), Some(_)) => Err(DiffusionError::OneGrid { found: "several" }),
        }
    }

    fn solver(&self) -> Result<Option<Solver>, DiffusionError> {
        let setting = match (self.eta, self.corrector) {
            (Some(_), _) => Some(("eta", SolverKind::Ddim)),
            (None, Some(_)) => Some(("corrector", SolverKind::PredictorCorrector)),
            (None, None) => None,
        };
        match (self.solver, setting) {
            (Some(kind), _) => kind.with(self.eta, self.corrector).map(Some),
            (None, None) => Ok(None),
            (None, Some((setting, owner))) => Err(DiffusionError::SolverSetting {
                setting,
                owner: owner.name(),
                found: "not given",
            }),
        }
    }

    /// Reads a schedule file: TOML with the fields of this table.
    ///
    /// # Errors
    /// [`BundleError::ScheduleFile`] for other TOML, or where [`ScheduleSpec::schedule`] fails.
    pub fn from_toml(text: &str) -> Result<ScheduleSpec, BundleError> {
        let spec: ScheduleSpec =
            toml::from_str(text).map_err(|error| BundleError::ScheduleFile {
                reason: toml_reason(&error, text),
            })?;
        match spec.schedule() {
            Ok(_) => Ok(spec),
            Err(error) => Err(BundleError::ScheduleFile {
                reason: error.to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(text: &str) -> Schedule {
        ScheduleSpec::from_toml(text).unwrap().schedule().unwrap()
    }

    #[test]
    fn a_schedule_is_a_grid_and_a_solver_where_one_is_named() {
        assert_eq!(schedule("steps = 4"), Grid::Uniform(4).into());
        let solver = |text: &str| schedule(&format!("full = true\n{text}")).solver.unwrap();
        assert_eq!(solver("solver = \"dpm-solver++\""), Solver::DpmSolverPp);
        assert_eq!(solver("solver = \"ddim\""), Solver::Ddim { eta: 0.0 });
        assert_eq!(
            solver("solver = \"ddim\"\neta = 0.5"),
            Solver::Ddim { eta: 0.5 }
        );
        let corrector = "solver = \"predictor-corrector\"\ncorrector = { steps = 2 }";
        let steps = 2;
        assert_eq!(
            solver(corrector),
            Solver::PredictorCorrector(Corrector {
                steps,
                ..Corrector::default()
            })
        );
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        for (text, words) in [
            ("", "exactly one of times"),
            ("full = false", "has none"),
            ("steps = 4\ntimes = [0.0]", "has several"),
            ("steps = 4\nsolver = \"rk4\"", "dpm-solver++"),
            (
                "steps = 4\neta = 0.5",
                "eta is a setting of the solver ddim",
            ),
            ("steps = 4\nsolver = \"heun\"\neta = 0.5", "heun"),
            ("steps = 4\nsolver = \"ddim\"\neta = 2.0", "0 to 1"),
            (
                "steps = 4\ncorrector = { steps = 1 }",
                "predictor-corrector",
            ),
            ("steps = 4\ncorrector = { size = 1 }", "unknown field"),
        ] {
            let message = ScheduleSpec::from_toml(text).unwrap_err().to_string();
            assert!(message.contains(words), "{text:?}: {message}");
        }
    }

    #[test]
    fn a_schedule_comes_back_from_its_words() {
        for text in [
            "steps = 4",
            "full = true\nsolver = \"ddim\"\neta = 0.5",
            "betas = [0.1]\nsolver = \"predictor-corrector\"\ncorrector = { steps = 2 }",
            "times = [0.0, 0.5]\nsolver = \"heun\"\npasses = 6",
        ] {
            let found = schedule(text);
            assert_eq!(ScheduleSpec::from(&found).schedule().unwrap(), found);
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = "times = [0.0, 0.4]\nsolver = \"midpoint\"\n";
        let spec = ScheduleSpec::from_toml(text).unwrap();
        assert_eq!(toml::to_string(&spec).unwrap(), text);
    }
}
