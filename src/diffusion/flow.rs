//! Euler steps on the straight path x_t = (1 - t) noise + t data.
//!
//! dx/dt = data - noise. From a prediction of the data, data - noise = (data - x) / (1 - t); from a velocity, it is the
//! prediction itself.

use super::schedule::{MAX_STEPS, check_length};
use super::{DiffusionError, Prediction, Row, Schedule};

pub(super) fn rows(
    prediction: Prediction,
    schedule: &Schedule,
) -> Result<Vec<Row>, DiffusionError> {
    let times = times(schedule)?;
    let ends = times.iter().skip(1).copied().chain([1.0]);
    times
        .iter()
        .zip(ends)
        .map(|(&t, end)| row(prediction, t, end))
        .collect()
}

fn row(prediction: Prediction, t: f64, end: f64) -> Result<Row, DiffusionError> {
    let (a, b) = match prediction {
        // The last step returns the prediction itself, with nothing left of the state by rounding.
        Prediction::Sample if end == 1.0 => (0.0, 1.0),
        Prediction::Sample => {
            let share = (end - t) / (1.0 - t);
            (1.0 - share, share)
        }
        Prediction::Velocity => (1.0, end - t),
        Prediction::Epsilon => {
            return Err(DiffusionError::PredictionKind {
                process: "flow",
                expected: "sample or velocity",
                found: prediction.name(),
            });
        }
    };
    Ok(Row {
        t,
        a,
        b,
        c: 0.0,
        d: 0.0,
    })
}

fn times(schedule: &Schedule) -> Result<Vec<f64>, DiffusionError> {
    match schedule {
        Schedule::Times(times) => check_times(times).map(|()| times.clone()),
        Schedule::Uniform(steps) => {
            check_length("the schedule", *steps, MAX_STEPS)?;
            Ok((0..*steps).map(|i| i as f64 / *steps as f64).collect())
        }
        Schedule::Betas(_) | Schedule::Full => Err(DiffusionError::ScheduleKind {
            process: "flow",
            expected: "a grid of times or a number of steps",
            found: schedule.kind(),
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
            &Schedule::Times(vec![0.0, 0.2, 0.5]),
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
        let plan = plan(&Process::Flow, Prediction::Sample, &Schedule::Uniform(4)).unwrap();
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
                &Schedule::Times(times.to_vec()),
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
        for schedule in [Schedule::Betas(vec![0.1]), Schedule::Full] {
            assert!(matches!(
                plan(&Process::Flow, Prediction::Sample, &schedule),
                Err(DiffusionError::ScheduleKind { .. })
            ));
        }
        let result = plan(&Process::Flow, Prediction::Epsilon, &Schedule::Uniform(2));
        assert!(matches!(result, Err(DiffusionError::PredictionKind { .. })));
        for steps in [0, MAX_STEPS + 1] {
            assert!(
                plan(
                    &Process::Flow,
                    Prediction::Sample,
                    &Schedule::Uniform(steps)
                )
                .is_err()
            );
        }
    }

    proptest! {
        #[test]
        fn a_perfect_network_arrives_at_the_data(noise in -4.0..4.0f64, data in -4.0..4.0f64, steps in 1usize..20) {
            let sample = plan(&Process::Flow, Prediction::Sample, &Schedule::Uniform(steps)).unwrap();
            prop_assert_eq!(run(&sample, noise, |_, _| data), data);
            let velocity = plan(&Process::Flow, Prediction::Velocity, &Schedule::Uniform(steps)).unwrap();
            prop_assert!((run(&velocity, noise, |_, _| data - noise) - data).abs() < 1e-12);
        }
    }
}
