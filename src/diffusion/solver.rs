//! The plan of a run: one row of coefficients a step.

use super::{DiffusionError, Prediction, Process, Schedule, ddpm, flow};

/// One step: x' = a x + b prediction + c noise + d previous prediction, then the plan's clamp if it has one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// The number given to the network: flow, the time in [0, 1); DDPM, the training step, fractional where aligned.
    pub t: f64,
    /// Weight of the state.
    pub a: f64,
    /// Weight of this step's prediction.
    pub b: f64,
    /// Weight of fresh standard Gaussian noise; row k draws step k + 1 of [`Noise`](super::Noise).
    pub c: f64,
    /// Weight of the previous step's prediction; 0 in the first row.
    pub d: f64,
}

/// A checked run: the rows in the order in which they are applied to x = step 0 of [`Noise`](super::Noise).
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// At least one, at most [`MAX_STEPS`](super::MAX_STEPS).
    pub rows: Vec<Row>,
    /// Limits of the state after every row.
    pub clamp: Option<[f64; 2]>,
}

impl Plan {
    /// Number of network calls.
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
/// A schedule of another process, a grid out of order, betas outside (0, 1), or a fast schedule that leaves the range of
/// noise levels seen in training. A schedule that does not fit is never shortened.
pub fn plan(
    process: &Process,
    prediction: Prediction,
    schedule: &Schedule,
) -> Result<Plan, DiffusionError> {
    let rows = match process {
        Process::Flow => flow::rows(prediction, schedule)?,
        Process::Ddpm { betas } => ddpm::rows(betas, prediction, schedule)?,
    };
    Ok(Plan { rows, clamp: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clamp_limits_are_checked() {
        let plan = plan(&Process::Flow, Prediction::Sample, &Schedule::Uniform(2)).unwrap();
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
}
