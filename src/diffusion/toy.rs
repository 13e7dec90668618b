//! Gaussian data, whose best prediction and whose exact samples are known: the errors of the solvers, and their orders.

use super::level::{Level, Mix};
use super::process::signal_levels;
use super::{Coefficients, Corrector, Grid, Plan, Prediction, Process, Schedule, Solver, plan};

const MEAN: f64 = 0.4;
const DEVIATION: f64 = 0.8;

/// The expectation of the data given a state.
fn expected(mix: Mix, x: f64) -> f64 {
    let Mix { signal, noise } = mix;
    let spread = DEVIATION * DEVIATION;
    let gain = signal * spread / (signal * signal * spread + noise * noise);
    MEAN + gain * (x - signal * MEAN)
}

/// Where the probability flow takes a state: as many deviations from the mean as it is now.
fn exact(mix: Mix, x: f64) -> f64 {
    let Mix { signal, noise } = mix;
    MEAN + DEVIATION * (x - signal * MEAN) / (signal * DEVIATION).hypot(noise)
}

fn mix(process: &Process, t: f64) -> Mix {
    let Process::Ddpm { betas } = process else {
        return Level::flow(t).mix;
    };
    let roots: Vec<f64> = signal_levels("t", betas).unwrap();
    let (low, share) = (t.floor() as usize, t.fract());
    let above = roots.get(low + 1).unwrap_or(&0.0).sqrt();
    let signal = (1.0 - share) * roots[low].sqrt() + share * above;
    let noise = (1.0 - signal * signal).sqrt();
    Mix { signal, noise }
}

/// The answer of a perfect network.
fn answer(process: &Process, prediction: Prediction, t: f64, x: f64) -> f64 {
    let mix = mix(process, t);
    let data = expected(mix, x);
    let epsilon = (x - mix.signal * data) / mix.noise;
    match (prediction, process) {
        (Prediction::Epsilon, _) => epsilon,
        (Prediction::Sample, _) => data,
        (Prediction::Velocity, Process::Flow) => data - epsilon,
        (Prediction::Velocity, Process::Ddpm { .. }) => mix.signal * epsilon - mix.noise * data,
    }
}

/// Runs a plan without its noise on one number and a network.
fn through(plan: &Plan, start: f64, network: impl Fn(f64, f64) -> f64) -> f64 {
    let step = |(x, remembered): (f64, f64), row: &Coefficients| {
        let answer = network(row.t, x);
        (
            row.a * x + row.b * answer + row.d * remembered,
            row.u * x + row.v * answer,
        )
    };
    plan.rows.iter().fold((start, 0.0), step).0
}

fn run(process: &Process, prediction: Prediction, plan: &Plan, start: f64) -> f64 {
    through(plan, start, |t, x| answer(process, prediction, t, x))
}

fn schedule(grid: Grid, solver: Solver) -> Schedule {
    Schedule {
        grid,
        solver: Some(solver),
        passes: None,
    }
}

/// A table whose lambda falls evenly: there the order of solvers that count in lambda shows.
fn even_lambda() -> Process {
    let level = |i: i32| {
        let lambda = 6.0 - 7.5 * f64::from(i) / 2047.0;
        1.0 / (1.0 + (-2.0 * lambda).exp())
    };
    let before = |i| if i == 0 { 1.0 } else { level(i - 1) };
    Process::Ddpm {
        betas: (0..2048).map(|i| 1.0 - level(i) / before(i)).collect(),
    }
}

/// How often doubling the steps halves the error.
fn order(error: impl Fn(usize) -> f64) -> f64 {
    (error(64) / error(128)).abs().log2()
}

#[test]
fn errors_fall_at_the_order_of_the_solver() {
    use Prediction::{Epsilon, Sample, Velocity};
    let start = 0.9;
    let ddpm = even_lambda();
    let cases = [
        (&Process::Flow, Solver::Euler, vec![Sample, Velocity], 1.0),
        (&Process::Flow, Solver::Heun, vec![Sample, Velocity], 2.0),
        // The flow of Gaussian data goes as the root of a quadratic in t, where the midpoint rule's error of second order vanishes.
        (
            &Process::Flow,
            Solver::Midpoint,
            vec![Sample, Velocity],
            3.0,
        ),
        (
            &ddpm,
            Solver::Ddim { eta: 0.0 },
            vec![Epsilon, Sample, Velocity],
            1.0,
        ),
        (
            &ddpm,
            Solver::DpmSolverPp,
            vec![Epsilon, Sample, Velocity],
            2.0,
        ),
    ];
    for (process, solver, predictions, expected) in cases {
        for prediction in predictions {
            let error = |steps| {
                let schedule = schedule(Grid::Uniform(steps), solver);
                let plan = plan(process, prediction, &schedule).unwrap();
                let first = mix(process, plan.rows[0].t);
                run(process, prediction, &plan, start) - exact(first, start)
            };
            let found = order(error);
            assert!(
                (found - expected).abs() < 0.15,
                "{solver} with {}: order {found}",
                prediction.name()
            );
        }
    }
}

/// On another flow than a Gaussian's: dx/dt = x cos 5 t, which ends at x exp(sin(5) / 5).
#[test]
fn errors_fall_at_the_order_of_the_solver_on_any_flow() {
    for (solver, expected) in [
        (Solver::Euler, 1.0),
        (Solver::Heun, 2.0),
        (Solver::Midpoint, 2.0),
    ] {
        let error = |steps| {
            let schedule = schedule(Grid::Uniform(steps), solver);
            let plan = plan(&Process::Flow, Prediction::Velocity, &schedule).unwrap();
            let end = through(&plan, 0.9, |t, x| x * (5.0 * t).cos());
            end - 0.9 * (5f64.sin() / 5.0).exp()
        };
        let found = order(error);
        assert!((found - expected).abs() < 0.15, "{solver}: order {found}");
    }
}

/// On a flow's times the look back of the multistep solver is not of second order at either end, and still worth having.
#[test]
fn on_a_flow_the_multistep_solver_beats_euler_at_the_same_calls() {
    for steps in [8, 16, 32, 64] {
        let error = |solver| {
            let schedule = schedule(Grid::Uniform(steps), solver);
            let plan = plan(&Process::Flow, Prediction::Sample, &schedule).unwrap();
            let end = run(&Process::Flow, Prediction::Sample, &plan, 0.9);
            (end - exact(Level::flow(0.0).mix, 0.9)).abs()
        };
        let (two, one) = (error(Solver::DpmSolverPp), error(Solver::Euler));
        assert!(two < 0.15 * one, "{steps} steps: {two}, Euler {one}");
    }
}

/// Mean and variance of what a run makes of Gaussian noise, for rows that look back at nothing.
fn moments(process: &Process, plan: &Plan, mut mean: f64, mut variance: f64) -> (f64, f64) {
    for row in &plan.rows {
        assert_eq!(row.d, 0.0);
        let next = |x: f64| row.a * x + row.b * answer(process, Prediction::Sample, row.t, x);
        let gain = next(1.0) - next(0.0);
        mean = next(mean);
        variance = gain * gain * variance + row.c * row.c;
    }
    (mean, variance)
}

/// The error in the variance of what a run makes of the exact states at its first level.
fn spread_error(process: &Process, steps: usize, solver: Solver) -> f64 {
    let schedule = schedule(Grid::Uniform(steps), solver);
    let plan = plan(process, Prediction::Sample, &schedule).unwrap();
    let Mix { signal, noise } = mix(process, plan.rows[0].t);
    let variance = (signal * DEVIATION).powi(2) + noise * noise;
    let (mean, found) = moments(process, &plan, signal * MEAN, variance);
    assert!((mean - MEAN).abs() < 1e-9, "{solver}: mean {mean}");
    found - DEVIATION * DEVIATION
}

#[test]
fn samplers_with_noise_approach_the_distribution_of_the_data() {
    let process = even_lambda();
    for solver in [Solver::Ancestral, Solver::Ddim { eta: 0.5 }] {
        let found = order(|steps| spread_error(&process, steps, solver));
        assert!((found - 1.0).abs() < 0.1, "{solver}: order {found}");
    }
}

#[test]
fn langevin_steps_bring_a_run_nearer_to_the_distribution_of_the_data() {
    let error = |process: &Process, solver| spread_error(process, 8, solver).abs();
    for process in [even_lambda(), Process::Flow] {
        let none = error(&process, Solver::default_of(&process));
        let with = |steps| {
            error(
                &process,
                Solver::PredictorCorrector(Corrector { steps, snr: 0.16 }),
            )
        };
        assert!(with(1) < none && with(4) < with(1), "{}", process.name());
    }
}

/// A level's Langevin steps, repeated, settle at the distribution of its states, and wider by what their length adds: for variance V of
/// the states, V / (1 - e / (2 V)) with e = 2 snr^2 noise^2.
#[test]
fn langevin_steps_settle_at_the_distribution_of_their_level() {
    let snr = 0.16;
    let corrector = Solver::PredictorCorrector(Corrector { steps: 1, snr });
    let schedule = schedule(Grid::Times(vec![0.0, 0.4]), corrector);
    let mut plan = plan(&Process::Flow, Prediction::Sample, &schedule).unwrap();
    let langevin = plan.rows[1];
    assert_eq!(langevin.t, 0.4);
    plan.rows = vec![langevin; 4000];
    let (mean, variance) = moments(&Process::Flow, &plan, 3.0, 9.0);
    let Mix { signal, noise } = Level::flow(0.4).mix;
    let states = (signal * DEVIATION).powi(2) + noise * noise;
    let length = 2.0 * snr * snr * noise * noise;
    assert!((mean - signal * MEAN).abs() < 1e-9, "{mean}");
    assert!((variance - states / (1.0 - 0.5 * length / states)).abs() < 1e-9);
}
