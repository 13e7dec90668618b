//! Ancestral sampling of a DDPM (Ho et al. 2020), with DiffWave's fast schedules (Kong et al. 2021).
//!
//! With alpha = 1 - beta, abar the product of alphas and abar' the one of the step before (1 at the last):
//! x' = (x - beta / sqrt(1 - abar) eps) / sqrt(alpha) + sigma z, sigma^2 = (1 - abar') / (1 - abar) beta, and no noise at the
//! last step. The posterior mean is the same number written with the clean sample or with the velocity.

use super::schedule::{MAX_STEPS, check_length, signal_levels};
use super::{DiffusionError, Prediction, Row, Schedule};

/// Relative slack in comparing products of alphas: rounding differs between a training table and a short schedule.
const TOLERANCE: f64 = 1e-9;

/// One noise level of a run.
struct Level {
    t: f64,
    beta: f64,
    abar: f64,
}

pub(super) fn rows(
    training: &[f64],
    prediction: Prediction,
    schedule: &Schedule,
) -> Result<Vec<Row>, DiffusionError> {
    let levels = levels(training, schedule)?;
    let rows = levels.iter().enumerate().map(|(n, level)| {
        let before = if n == 0 { 1.0 } else { levels[n - 1].abar };
        row(prediction, level, before)
    });
    Ok(rows.rev().collect())
}

fn row(prediction: Prediction, level: &Level, before: f64) -> Row {
    let Level { t, beta, abar } = *level;
    let alpha = 1.0 - beta;
    let c1 = 1.0 / alpha.sqrt();
    let c2 = beta / (1.0 - abar).sqrt();
    let (a, b) = match prediction {
        Prediction::Epsilon => (c1, -c1 * c2),
        Prediction::Sample => (
            alpha.sqrt() * (1.0 - before) / (1.0 - abar),
            before.sqrt() * beta / (1.0 - abar),
        ),
        // eps = sqrt(1 - abar) x + sqrt(abar) v
        Prediction::Velocity => (c1 * (1.0 - beta), -c1 * c2 * abar.sqrt()),
    };
    let c = ((1.0 - before) / (1.0 - abar) * beta).sqrt();
    Row { t, a, b, c, d: 0.0 }
}

/// The levels of a run in increasing order of noise.
fn levels(training: &[f64], schedule: &Schedule) -> Result<Vec<Level>, DiffusionError> {
    let trained = signal_levels("the training table", training)?;
    match schedule {
        Schedule::Betas(betas) => {
            check_length("the schedule", betas.len(), MAX_STEPS)?;
            let reached = signal_levels("the schedule", betas)?;
            let level = |(step, (&beta, &abar))| {
                Ok(Level {
                    t: align(&trained, step, abar)?,
                    beta,
                    abar,
                })
            };
            betas.iter().zip(&reached).enumerate().map(level).collect()
        }
        Schedule::Full => every(&trained, trained.len()),
        Schedule::Uniform(steps) => every(&trained, *steps),
        Schedule::Times(_) => Err(DiffusionError::ScheduleKind {
            process: "ddpm",
            expected: "a list of betas, a number of steps or the full training schedule",
            found: schedule.kind(),
        }),
    }
}

/// `steps` training steps, evenly spaced, the last one always among them; the betas follow from their signal levels.
fn every(trained: &[f64], steps: usize) -> Result<Vec<Level>, DiffusionError> {
    check_length("the schedule", steps, trained.len().min(MAX_STEPS))?;
    let mut before = 1.0;
    let level = |i: usize| {
        let t = (i + 1) * trained.len() / steps - 1;
        let abar = trained[t];
        let beta = 1.0 - abar / before;
        before = abar;
        Level {
            t: t as f64,
            beta,
            abar,
        }
    };
    Ok((0..steps).map(level).collect())
}

/// The fractional training step whose sqrt(abar) is that of `abar`, by linear interpolation between its neighbours.
fn align(trained: &[f64], step: usize, abar: f64) -> Result<f64, DiffusionError> {
    let (highest, lowest) = (trained[0], trained[trained.len() - 1]);
    let outside = |advice| DiffusionError::OutsideTraining {
        step,
        found: abar,
        lowest,
        highest,
        advice,
    };
    if abar > highest * (1.0 + TOLERANCE) {
        return Err(outside(
            "its first betas are too small: start with the first beta of training or a larger one",
        ));
    }
    if abar < lowest * (1.0 - TOLERANCE) {
        return Err(outside("its betas are too large: lower the last ones"));
    }
    let above = trained.iter().take_while(|&&level| level > abar).count();
    if above == 0 {
        return Ok(0.0);
    }
    if above == trained.len() {
        return Ok((trained.len() - 1) as f64);
    }
    let (high, low) = (trained[above - 1].sqrt(), trained[above].sqrt());
    Ok((above - 1) as f64 + (high - abar.sqrt()) / (high - low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::{Process, linear_betas, plan};
    use proptest::prelude::*;

    const FAST: [f64; 6] = [1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5];

    fn trained(steps: usize, end: f64) -> Process {
        Process::Ddpm {
            betas: linear_betas(1e-4, end, steps),
        }
    }

    fn fast(process: &Process, betas: &[f64]) -> Result<Vec<Row>, DiffusionError> {
        plan(
            process,
            Prediction::Epsilon,
            &Schedule::Betas(betas.to_vec()),
        )
        .map(|plan| plan.rows)
    }

    #[test]
    #[allow(clippy::approx_constant)]
    fn fast_sampling_of_50_steps_has_the_published_values() {
        // t, c1, c2, sigma for n = 5 .. 0, in the order of the run.
        let golden = [
            (42.918643, 1.414214, 0.632854, 0.446086),
            (22.992493, 1.118034, 0.401264, 0.220758),
            (10.451817, 1.025978, 0.203221, 0.095704),
            (4.086654, 1.005038, 0.094963, 0.031494),
            (0.894134, 1.0005, 0.030153, 0.009535),
            (0.0, 1.00005, 0.01, 0.0),
        ];
        let rows = fast(&trained(50, 0.05), &FAST).unwrap();
        assert_eq!(rows.len(), golden.len());
        for (row, (t, c1, c2, sigma)) in rows.iter().zip(golden) {
            let found = [row.t, row.a, -row.b / row.a, row.c, row.d];
            for (found, expected) in found.into_iter().zip([t, c1, c2, sigma, 0.0]) {
                assert!(
                    (found - expected).abs() < 1e-6,
                    "{row:?}: {found} is not {expected}"
                );
            }
        }
    }

    #[test]
    fn fast_sampling_of_200_steps_has_the_published_times() {
        let rows = fast(&trained(200, 0.02), &[1e-4, 1e-3, 0.01, 0.05, 0.2, 0.7]).unwrap();
        let golden = [170.60513, 73.98246, 33.82029, 13.43028, 3.20068, 0.0];
        for (row, t) in rows.iter().zip(golden) {
            assert!((row.t - t).abs() < 1e-5, "{} is not {t}", row.t);
        }
    }

    #[test]
    fn a_schedule_below_the_training_range_names_it() {
        let error = fast(&trained(50, 0.05), &[0.05, 0.5, 0.9]).unwrap_err();
        assert!(
            matches!(error, DiffusionError::OutsideTraining { step: 2, .. }),
            "{error}"
        );
        let message = error.to_string();
        assert!(
            message.contains("0.279673") && message.contains("0.047500"),
            "{message}"
        );
    }

    #[test]
    fn a_schedule_above_the_training_range_is_refused() {
        let error = fast(&trained(50, 0.05), &[1e-5, 1e-3]).unwrap_err();
        assert!(
            matches!(error, DiffusionError::OutsideTraining { step: 0, .. }),
            "{error}"
        );
    }

    #[test]
    fn the_first_beta_of_training_aligns_in_spite_of_rounding() {
        for slack in [1.0 - 1e-12, 1.0, 1.0 + 1e-12] {
            let rows = fast(&trained(50, 0.05), &[1e-4 * slack]).unwrap();
            assert!(rows[0].t.abs() < 1e-6);
        }
    }

    #[test]
    fn the_training_table_as_a_fast_schedule_is_the_full_run() {
        let process = trained(50, 0.05);
        let full = plan(&process, Prediction::Epsilon, &Schedule::Full)
            .unwrap()
            .rows;
        let aligned = fast(&process, &linear_betas(1e-4, 0.05, 50)).unwrap();
        assert_eq!(full.len(), 50);
        for (full, aligned) in full.iter().zip(&aligned) {
            let pairs = [
                (full.t, aligned.t),
                (full.a, aligned.a),
                (full.b, aligned.b),
                (full.c, aligned.c),
            ];
            assert!(
                pairs.iter().all(|(x, y)| (x - y).abs() < 1e-9),
                "{full:?} {aligned:?}"
            );
        }
    }

    #[test]
    fn uniform_steps_reach_from_the_last_training_step_to_clean() {
        let process = trained(200, 0.02);
        let rows = plan(&process, Prediction::Epsilon, &Schedule::Uniform(8))
            .unwrap()
            .rows;
        assert_eq!(rows.len(), 8);
        assert_eq!((rows[0].t, rows[7].t, rows[7].c), (199.0, 24.0, 0.0));
        assert!(plan(&process, Prediction::Epsilon, &Schedule::Uniform(201)).is_err());
        assert!(plan(&process, Prediction::Epsilon, &Schedule::Uniform(0)).is_err());
    }

    #[test]
    fn times_are_refused() {
        let result = plan(
            &trained(50, 0.05),
            Prediction::Epsilon,
            &Schedule::Times(vec![0.0]),
        );
        assert!(matches!(result, Err(DiffusionError::ScheduleKind { .. })));
    }

    proptest! {
        /// The three predictions are the same step written in other words.
        #[test]
        fn predictions_agree(data in -2.0..2.0f64, noise in -3.0..3.0f64) {
            let process = trained(50, 0.05);
            let rows = |prediction| plan(&process, prediction, &Schedule::Betas(FAST.to_vec())).unwrap().rows;
            let (epsilon, sample, velocity) = (rows(Prediction::Epsilon), rows(Prediction::Sample), rows(Prediction::Velocity));
            let abars = signal_levels("t", &FAST).unwrap();
            for (k, abar) in abars.iter().rev().enumerate() {
                let (signal, rest) = (abar.sqrt(), (1.0 - abar).sqrt());
                let x = signal * data + rest * noise;
                let step = |row: &Row, prediction: f64| row.a * x + row.b * prediction;
                let expected = step(&epsilon[k], noise);
                prop_assert!((step(&sample[k], data) - expected).abs() < 1e-9);
                prop_assert!((step(&velocity[k], signal * noise - rest * data) - expected).abs() < 1e-9);
            }
        }
    }
}
