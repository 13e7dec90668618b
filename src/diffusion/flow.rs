//! The noise levels of a flow on the straight path x_t = (1 - t) noise + t data.

use super::level::{Level, Mix};
use super::process::{MAX_STEPS, check_length};
use super::{DiffusionError, Grid, Prediction};

/// The clean signal from state and prediction. A velocity is data - noise, so that data = x + (1 - t) velocity. The noise alone would
/// say nothing of the data at time 0, where every run starts.
pub(super) fn estimate(prediction: Prediction, mix: Mix) -> Result<[f64; 2], DiffusionError> {
    match prediction {
        Prediction::Sample => Ok([0.0, 1.0]),
        Prediction::Velocity => Ok([1.0, mix.noise]),
        Prediction::Epsilon => Err(DiffusionError::PredictionKind {
            process: "flow",
            expected: "sample or velocity",
            found: prediction.name(),
        }),
    }
}

impl Level {
    /// The level of a flow at time `t`.
    pub fn flow(t: f64) -> Level {
        let (signal, noise) = (t, 1.0 - t);
        Level {
            t,
            mix: Mix { signal, noise },
        }
    }
}

/// The levels of a run, noisiest first.
pub(super) fn levels(grid: &Grid) -> Result<Vec<Level>, DiffusionError> {
    match grid {
        Grid::Times(times) => {
            check_times(times)?;
            Ok(times.iter().map(|&t| Level::flow(t)).collect())
        }
        Grid::Uniform(steps) => {
            check_length("the schedule", *steps, MAX_STEPS)?;
            let time = |i: usize| i as f64 / *steps as f64;
            Ok((0..*steps).map(|i| Level::flow(time(i))).collect())
        }
        Grid::Betas(_) | Grid::Full => Err(DiffusionError::ScheduleKind {
            process: "flow",
            expected: "a grid of times or a number of steps",
            found: grid.kind(),
        }),
    }
}

fn check_times(times: &[f64]) -> Result<(), DiffusionError> {
    check_length("the time grid", times.len(), MAX_STEPS)?;
    if times[0] != 0.0 {
        return Err(DiffusionError::Start { found: times[0] });
    }
    for (index, pair) in times.windows(2).enumerate() {
        let (previous, found) = (pair[0], pair[1]);
        if !(found > previous && found < 1.0) {
            return Err(DiffusionError::Time {
                index: index + 1,
                found,
                previous,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::{Plan, Process, plan};
    use proptest::prelude::*;

    /// Runs the plan on one number with a network that knows the answer.
    fn run(plan: &Plan, start: f64, answer: impl Fn(f64, f64) -> f64) -> f64 {
        plan.rows
            .iter()
            .fold(start, |x, row| row.a * x + row.b * answer(x, row.t))
    }

    #[test]
    fn sample_prediction_gives_the_written_out_euler_step() {
        let plan = plan(
            &Process::Flow,
            Prediction::Sample,
            &Grid::Times(vec![0.0, 0.2, 0.5]).into(),
        )
        .unwrap();
        let x = run(&plan, 0.7, |x, t| (x + t).sin());
        let mut y = 0.7f64;
        for (t, end) in [(0.0, 0.2), (0.2, 0.5)] {
            y += (end - t) * ((y + t).sin() - y) / (1.0 - t);
        }
        assert!((x - (y + 0.5f64).sin()).abs() < 1e-15);
        assert_eq!((plan.rows[2].a, plan.rows[2].b), (0.0, 1.0));
    }

    #[test]
    fn uniform_grid_starts_at_noise() {
        let plan = plan(&Process::Flow, Prediction::Sample, &Grid::Uniform(4).into()).unwrap();
        assert_eq!(
            plan.rows.iter().map(|r| r.t).collect::<Vec<_>>(),
            [0.0, 0.25, 0.5, 0.75]
        );
        let shares: Vec<f64> = plan.rows.iter().map(|r| r.b).collect();
        assert!(
            shares
                .iter()
                .zip([0.25, 1.0 / 3.0, 0.5, 1.0])
                .all(|(a, b)| (a - b).abs() < 1e-15)
        );
    }

    #[test]
    fn wrong_grids_are_refused() {
        let refuse = |times: &[f64]| {
            plan(
                &Process::Flow,
                Prediction::Sample,
                &Grid::Times(times.to_vec()).into(),
            )
            .unwrap_err()
        };
        assert!(matches!(refuse(&[]), DiffusionError::Empty { .. }));
        assert!(matches!(refuse(&[0.1, 0.5]), DiffusionError::Start { .. }));
        assert!(matches!(refuse(&[f64::NAN]), DiffusionError::Start { .. }));
        assert!(matches!(
            refuse(&[0.0, 0.5, 0.5]),
            DiffusionError::Time { index: 2, .. }
        ));
        assert!(matches!(
            refuse(&[0.0, 1.0]),
            DiffusionError::Time { index: 1, .. }
        ));
        assert!(matches!(
            refuse(&[0.0, f64::NAN]),
            DiffusionError::Time { index: 1, .. }
        ));
        assert!(matches!(
            refuse(&vec![0.0; MAX_STEPS + 1]),
            DiffusionError::TooManySteps { .. }
        ));
    }

    #[test]
    fn other_schedules_and_predictions_are_refused() {
        for grid in [Grid::Betas(vec![0.1]), Grid::Full] {
            assert!(matches!(
                plan(&Process::Flow, Prediction::Sample, &grid.into()),
                Err(DiffusionError::ScheduleKind { .. })
            ));
        }
        let result = plan(
            &Process::Flow,
            Prediction::Epsilon,
            &Grid::Uniform(2).into(),
        );
        assert!(matches!(result, Err(DiffusionError::PredictionKind { .. })));
        for steps in [0, MAX_STEPS + 1] {
            assert!(
                plan(
                    &Process::Flow,
                    Prediction::Sample,
                    &Grid::Uniform(steps).into()
                )
                .is_err()
            );
        }
    }

    proptest! {
        #[test]
        fn a_perfect_network_arrives_at_the_data(noise in -4.0..4.0f64, data in -4.0..4.0f64, steps in 1usize..20) {
            let sample = plan(&Process::Flow, Prediction::Sample, &Grid::Uniform(steps).into()).unwrap();
            prop_assert_eq!(run(&sample, noise, |_, _| data), data);
            let velocity = plan(&Process::Flow, Prediction::Velocity, &Grid::Uniform(steps).into()).unwrap();
            prop_assert!((run(&velocity, noise, |_, _| data - noise) - data).abs() < 1e-12);
        }
    }
}
