//! The noise levels of a DDPM (Ho et al. 2020): those of its training table, and those of a short schedule aligned with it as in
//! DiffWave's fast sampling (Kong et al. 2021, appendix B).
//!
//! x = sqrt(abar) data + sqrt(1 - abar) eps, abar the product of 1 - beta up to the level.

use super::level::{Level, Mix};
use super::process::{MAX_STEPS, check_length, signal_levels};
use super::{DiffusionError, Grid, Prediction};

/// Relative slack in comparing products of alphas: rounding differs between a training table and a short schedule.
const TOLERANCE: f64 = 1e-9;

/// The clean signal from state and prediction. A velocity is sqrt(abar) eps - sqrt(1 - abar) data (Salimans and Ho 2022, appendix D).
pub(super) fn estimate(prediction: Prediction, Mix { signal, noise }: Mix) -> [f64; 2] {
    match prediction {
        Prediction::Epsilon => [1.0 / signal, -noise / signal],
        Prediction::Sample => [0.0, 1.0],
        Prediction::Velocity => [signal, -noise],
    }
}

/// The levels of a run, noisiest first.
pub(super) fn levels(training: &[f64], grid: &Grid) -> Result<Vec<Level>, DiffusionError> {
    let trained = signal_levels("the training table", training)?;
    let cleanest_first = match grid {
        Grid::Betas(betas) => aligned(&trained, betas)?,
        Grid::Full => evenly_spaced(&trained, trained.len())?,
        Grid::Uniform(steps) => evenly_spaced(&trained, *steps)?,
        Grid::Times(_) => {
            return Err(DiffusionError::ScheduleKind {
                process: "ddpm",
                expected: "a list of betas, a number of steps or the full training schedule",
                found: grid.kind(),
            });
        }
    };
    Ok(cleanest_first.into_iter().rev().collect())
}

fn level(t: f64, abar: f64) -> Level {
    Level {
        t,
        mix: Mix {
            signal: abar.sqrt(),
            noise: (1.0 - abar).sqrt(),
        },
    }
}

/// The levels of a short schedule of betas.
fn aligned(trained: &[f64], betas: &[f64]) -> Result<Vec<Level>, DiffusionError> {
    check_length("the schedule", betas.len(), MAX_STEPS)?;
    let reached = signal_levels("the schedule", betas)?;
    let level = |(step, &abar): (usize, &f64)| {
        let before = if step == 0 { 1.0 } else { reached[step - 1] };
        Ok(level(align(trained, step, abar, before)?, abar))
    };
    reached.iter().enumerate().map(level).collect()
}

/// `steps` training steps, evenly spaced, the last one always among them.
fn evenly_spaced(trained: &[f64], steps: usize) -> Result<Vec<Level>, DiffusionError> {
    check_length("the schedule", steps, trained.len().min(MAX_STEPS))?;
    let level = |i: usize| {
        let t = (i + 1) * trained.len() / steps - 1;
        level(t as f64, trained[t])
    };
    Ok((0..steps).map(level).collect())
}

/// The fractional training step whose sqrt(abar) is that of `abar`, by linear interpolation between its neighbours. `before` is the
/// signal level of the step before.
fn align(trained: &[f64], step: usize, abar: f64, before: f64) -> Result<f64, DiffusionError> {
    let (highest, lowest) = (trained[0], trained[trained.len() - 1]);
    if abar > highest * (1.0 + TOLERANCE) || abar < lowest * (1.0 - TOLERANCE) {
        return Err(DiffusionError::OutsideTraining {
            step,
            found: abar,
            lowest,
            highest,
            advice: fitting_betas(1.0 - highest / before, 1.0 - lowest / before),
        });
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

/// The betas that fit, in words, rounded inwards so that those printed fit too.
fn fitting_betas(least: f64, most: f64) -> String {
    let (least, most) = (
        (1e6 * least).ceil().max(1.0) / 1e6,
        (1e6 * most).floor() / 1e6,
    );
    match least <= most {
        true => format!("there, a beta of {least} to {most} fits"),
        false => "no beta fits there: end the schedule before it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::{Coefficients, Process, linear_betas, plan};
    use proptest::prelude::*;

    const FAST: [f64; 6] = [1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5];

    fn trained(steps: usize, end: f64) -> Process {
        Process::Ddpm {
            betas: linear_betas(1e-4, end, steps),
        }
    }

    fn fast(process: &Process, betas: &[f64]) -> Result<Vec<Coefficients>, DiffusionError> {
        plan(
            process,
            Prediction::Epsilon,
            &Grid::Betas(betas.to_vec()).into(),
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
        let full = plan(&process, Prediction::Epsilon, &Grid::Full.into())
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
        let rows = plan(&process, Prediction::Epsilon, &Grid::Uniform(8).into())
            .unwrap()
            .rows;
        assert_eq!(rows.len(), 8);
        assert_eq!((rows[0].t, rows[7].t, rows[7].c), (199.0, 24.0, 0.0));
        assert!(plan(&process, Prediction::Epsilon, &Grid::Uniform(201).into()).is_err());
        assert!(plan(&process, Prediction::Epsilon, &Grid::Uniform(0).into()).is_err());
    }

    #[test]
    fn times_are_refused() {
        let result = plan(
            &trained(50, 0.05),
            Prediction::Epsilon,
            &Grid::Times(vec![0.0]).into(),
        );
        assert!(matches!(result, Err(DiffusionError::ScheduleKind { .. })));
    }

    proptest! {
        /// The three predictions are the same step written in other words.
        #[test]
        fn predictions_agree(data in -2.0..2.0f64, noise in -3.0..3.0f64) {
            let process = trained(50, 0.05);
            let rows = |prediction| plan(&process, prediction, &Grid::Betas(FAST.to_vec()).into()).unwrap().rows;
            let (epsilon, sample, velocity) = (rows(Prediction::Epsilon), rows(Prediction::Sample), rows(Prediction::Velocity));
            let abars = signal_levels("t", &FAST).unwrap();
            for (k, abar) in abars.iter().rev().enumerate() {
                let (signal, rest) = (abar.sqrt(), (1.0 - abar).sqrt());
                let x = signal * data + rest * noise;
                let step = |row: &Coefficients, prediction: f64| row.a * x + row.b * prediction;
                let expected = step(&epsilon[k], noise);
                prop_assert!((step(&sample[k], data) - expected).abs() < 1e-9);
                prop_assert!((step(&velocity[k], signal * noise - rest * data) - expected).abs() < 1e-9);
            }
        }
    }
}
