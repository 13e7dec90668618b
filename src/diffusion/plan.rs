//! The plan of a run: one row of coefficients a denoiser call.

use super::level::{Level, Mix};
use super::{Coefficients, DiffusionError, Grid, Prediction, Process, Schedule, ddpm, flow};

/// A checked run: the rows in the order in which they are applied to x = step 0 of [`Noise`](super::Noise).
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// At least one, at most [`MAX_STEPS`](super::MAX_STEPS).
    pub rows: Vec<Coefficients>,
    /// Limits of the state after every row.
    pub clamp: Option<[f64; 2]>,
}

impl Plan {
    /// Number of network calls, which is more than the schedule's steps where the solver makes several a step.
    pub fn steps(&self) -> usize {
        self.rows.len()
    }

    /// The same plan with the state held within `[low, high]` after every row.
    pub fn with_clamp(mut self, clamp: Option<[f64; 2]>) -> Result<Plan, DiffusionError> {
        if let Some([low, high]) = clamp
            && !(low.is_finite() && high.is_finite() && low < high)
        {
            return Err(DiffusionError::Clamp { low, high });
        }
        self.clamp = clamp;
        Ok(self)
    }
}

/// Plans a run of `schedule` for a model trained under `process` that answers `prediction`.
///
/// # Errors
/// A grid of another process, one out of order, betas outside (0, 1), a fast schedule that leaves the range of noise levels seen in
/// training, or a solver that does not fit the process. A schedule that does not fit is never shortened.
pub fn plan(
    process: &Process,
    prediction: Prediction,
    schedule: &Schedule,
) -> Result<Plan, DiffusionError> {
    let levels = process.levels(&schedule.grid)?;
    let steps = schedule.solver(process).steps(process, &levels)?;
    let row = |step: &super::level::Step| {
        let estimate = process.estimate(prediction, step.at.mix)?;
        let row = step.row(estimate);
        match row.is_finite() {
            true => Ok(row),
            false => Err(DiffusionError::Level { t: row.t }),
        }
    };
    let rows = steps.iter().map(row).collect::<Result<_, _>>()?;
    Ok(Plan { rows, clamp: None })
}

impl Process {
    /// The levels of a run, noisiest first.
    fn levels(&self, grid: &Grid) -> Result<Vec<Level>, DiffusionError> {
        match self {
            Process::Flow => flow::levels(grid),
            Process::Ddpm { betas } => ddpm::levels(betas, grid),
        }
    }

    /// The clean signal as `[of_state, of_prediction]`: estimate = of_state x + of_prediction prediction.
    fn estimate(&self, prediction: Prediction, mix: Mix) -> Result<[f64; 2], DiffusionError> {
        match self {
            Process::Flow => flow::estimate(prediction, mix),
            Process::Ddpm { .. } => Ok(ddpm::estimate(prediction, mix)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clamp_limits_are_checked() {
        let plan = plan(&Process::Flow, Prediction::Sample, &Grid::Uniform(2).into()).unwrap();
        assert_eq!(
            plan.clone().with_clamp(Some([-1.0, 1.0])).unwrap().clamp,
            Some([-1.0, 1.0])
        );
        for bad in [
            [1.0, -1.0],
            [0.0, 0.0],
            [f64::NAN, 1.0],
            [-1.0, f64::INFINITY],
        ] {
            assert!(matches!(
                plan.clone().with_clamp(Some(bad)),
                Err(DiffusionError::Clamp { .. })
            ));
        }
    }

    #[test]
    fn levels_without_any_signal_are_refused() {
        let process = Process::Ddpm {
            betas: vec![0.999; 200],
        };
        for prediction in [Prediction::Epsilon, Prediction::Sample] {
            assert!(matches!(
                plan(&process, prediction, &Grid::Full.into()),
                Err(DiffusionError::Level { t: 199.0 })
            ));
        }
    }
}
