use super::*;
use crate::diffusion::{Coefficients, Grid, Plan, Prediction, Schedule, linear_betas, plan};

const FAST: [f64; 6] = [1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5];

fn ddpm() -> Process {
    Process::Ddpm {
        betas: linear_betas(1e-4, 0.05, 50),
    }
}

fn run(process: &Process, prediction: Prediction, grid: Grid, solver: Solver) -> Plan {
    let schedule = Schedule {
        grid,
        solver: Some(solver),
        passes: None,
    };
    plan(process, prediction, &schedule).unwrap()
}

/// DiffWave's fast schedule, epsilon prediction.
fn fast(solver: Solver) -> Vec<Coefficients> {
    let grid = Grid::Betas(FAST.to_vec());
    run(&ddpm(), Prediction::Epsilon, grid, solver).rows
}

fn flow(times: &[f64], prediction: Prediction, solver: Solver) -> Vec<Coefficients> {
    let grid = Grid::Times(times.to_vec());
    run(&Process::Flow, prediction, grid, solver).rows
}

fn assert_near(found: &[f64], expected: &[f64], slack: f64) {
    let near = |(x, y): (&f64, &f64)| (x - y).abs() < slack;
    assert_eq!(found.len(), expected.len());
    assert!(
        found.iter().zip(expected).all(near),
        "{found:?} is not {expected:?}"
    );
}

/// The values of these tables come from the papers' equations in terms of the noise, worked out apart from this code.
#[test]
#[allow(clippy::approx_constant)]
fn ddim_has_the_values_of_its_equations() {
    let golden = [
        [1.414214, -0.671596, 0.223043],
        [1.118034, -0.337368, 0.110379],
        [1.025978, -0.158626, 0.047852],
        [1.005038, -0.076647, 0.015747],
        [1.000500, -0.024391, 0.004768],
        [1.000050, -0.010001, 0.0],
    ];
    for (row, golden) in fast(Solver::Ddim { eta: 0.5 }).iter().zip(golden) {
        assert_near(&[row.a, row.b, row.c], &golden, 1e-6);
    }
}

#[test]
#[allow(clippy::approx_constant)]
fn dpm_solver_has_the_values_of_its_algorithm() {
    let golden = [
        [1.414214, -0.618905, 0.0, 1.631284, -1.288832],
        [1.434218, -0.468813, -0.274111, 1.153492, -0.574929],
        [1.345719, -0.225793, -0.309912, 1.031715, -0.253840],
        [1.463001, -0.120895, -0.455417, 1.005591, -0.105893],
        [1.361739, -0.035162, -0.361039, 1.000550, -0.033183],
        [1.000050, -0.010001, 0.0, 1.000050, -0.010001],
    ];
    for (row, golden) in fast(Solver::DpmSolverPp).iter().zip(golden) {
        assert_near(&[row.a, row.b, row.d, row.u, row.v], &golden, 1e-6);
        assert_eq!(row.c, 0.0);
    }
}

#[test]
fn two_call_solvers_have_the_values_of_their_rules() {
    let (heun, midpoint) = (Solver::Heun, Solver::Midpoint);
    let golden = [
        // t, a, b, d, u, v of velocity predictions: steps of 0.3, 0.3 and 0.4.
        [0.0, 1.0, 0.3, 0.0, 1.0, 0.15],
        [0.3, 0.0, 0.15, 1.0, 0.0, 0.0],
        [0.3, 1.0, 0.3, 0.0, 1.0, 0.15],
        [0.6, 0.0, 0.15, 1.0, 0.0, 0.0],
        [0.6, 1.0, 0.4, 0.0, 0.0, 0.0],
    ];
    let flat = |row: &Coefficients| [row.t, row.a, row.b, row.d, row.u, row.v];
    let rows = flow(&[0.0, 0.3, 0.6], Prediction::Velocity, heun);
    assert_eq!(rows.len(), golden.len());
    for (row, golden) in rows.iter().zip(golden) {
        assert_near(&flat(row), &golden, 1e-12);
    }
    let golden = [
        [0.0, 1.0, 0.2, 0.0, 1.0, 0.0],
        [0.2, 0.0, 0.4, 1.0, 0.0, 0.0],
        [0.4, 1.0, 0.3, 0.0, 1.0, 0.0],
        [0.7, 0.0, 0.6, 1.0, 0.0, 0.0],
    ];
    let rows = flow(&[0.0, 0.4], Prediction::Velocity, midpoint);
    assert_eq!(rows.len(), golden.len());
    for (row, golden) in rows.iter().zip(golden) {
        assert_near(&flat(row), &golden, 1e-12);
    }
}

#[test]
fn the_corrector_comes_after_each_step_but_the_last() {
    let corrector = Corrector { steps: 2, snr: 0.1 };
    let rows = fast(Solver::PredictorCorrector(corrector));
    let plain = fast(Solver::Ancestral);
    assert_eq!(rows.len(), 6 + 5 * 2);
    for (k, row) in rows.iter().enumerate() {
        if k % 3 == 0 {
            assert_eq!(*row, plain[k / 3]);
            continue;
        }
        let reached = plain[k / 3 + 1].t;
        let noise = (1.0 - abar(k / 3 + 1)).sqrt();
        // x' = x - 2 snr^2 noise eps + 2 snr noise z
        let golden = [reached, 1.0, -0.02 * noise, 0.2 * noise, 0.0];
        assert_near(&[row.t, row.a, row.b, row.c, row.d], &golden, 1e-12);
    }
}

/// Of the fast schedule, noisiest first.
fn abar(step: usize) -> f64 {
    FAST[..6 - step].iter().map(|beta| 1.0 - beta).product()
}

fn assert_same(a: &[Coefficients], b: &[Coefficients]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        let weights = |row: &Coefficients| [row.t, row.a, row.b, row.c, row.d];
        assert_near(&weights(a), &weights(b), 1e-9);
    }
}

#[test]
fn ddim_with_all_of_the_noise_is_the_ancestral_sampler() {
    for prediction in [
        Prediction::Epsilon,
        Prediction::Sample,
        Prediction::Velocity,
    ] {
        for grid in [Grid::Uniform(7), Grid::Full, Grid::Betas(FAST.to_vec())] {
            let rows = |solver| run(&ddpm(), prediction, grid.clone(), solver).rows;
            assert_same(&rows(Solver::Ddim { eta: 1.0 }), &rows(Solver::Ancestral));
        }
    }
}

#[test]
fn dpm_solver_of_first_order_is_ddim_without_noise_and_euler() {
    // Two steps leave nothing to look back at: the first and the last are of first order.
    let rows = |solver| run(&ddpm(), Prediction::Epsilon, Grid::Uniform(2), solver).rows;
    assert_same(&rows(Solver::DpmSolverPp), &rows(Solver::Ddim { eta: 0.0 }));
    let rows = |solver| flow(&[0.0, 0.3], Prediction::Sample, solver);
    assert_same(&rows(Solver::DpmSolverPp), &rows(Solver::Euler));
}

#[test]
fn on_flows_the_second_step_cannot_look_back_past_the_start() {
    let rows = flow(
        &[0.0, 0.3, 0.5, 0.7],
        Prediction::Sample,
        Solver::DpmSolverPp,
    );
    assert_eq!([rows[0].d, rows[1].d, rows[3].d], [0.0; 3]);
    assert!(rows[2].d < -0.01);
}

#[test]
fn one_step_to_the_end_is_the_estimate_itself() {
    for solver in [Solver::Euler, Solver::Heun, Solver::DpmSolverPp] {
        let rows = flow(&[0.0, 0.7], Prediction::Sample, solver);
        let last = rows.last().unwrap();
        assert_eq!([last.a, last.b, last.d], [0.0, 1.0, 0.0], "{solver}");
    }
}

#[test]
fn a_solver_of_the_other_process_names_those_that_fit() {
    let error = |process: &Process, solver| {
        let schedule = Schedule {
            grid: Grid::Uniform(4),
            solver: Some(solver),
            passes: None,
        };
        let error = plan(process, Prediction::Sample, &schedule).unwrap_err();
        assert!(matches!(error, DiffusionError::SolverKind { .. }));
        error.to_string()
    };
    for solver in [Solver::Ancestral, Solver::Ddim { eta: 0.0 }] {
        assert!(error(&Process::Flow, solver).contains("euler, heun, midpoint"));
    }
    for solver in [Solver::Euler, Solver::Heun, Solver::Midpoint] {
        assert!(error(&ddpm(), solver).contains("ancestral, ddim, dpm-solver++"));
    }
}

#[test]
fn settings_are_checked() {
    let corrector = |steps, snr| Some(Corrector { steps, snr });
    let wrong = [
        (SolverKind::Heun, Some(0.5), None),
        (SolverKind::Ddim, Some(1.5), None),
        (SolverKind::Ddim, Some(f64::NAN), None),
        (SolverKind::Ddim, None, corrector(1, 0.1)),
        (SolverKind::PredictorCorrector, None, corrector(0, 0.1)),
        (
            SolverKind::PredictorCorrector,
            None,
            corrector(usize::MAX, 0.1),
        ),
        (SolverKind::PredictorCorrector, None, corrector(1, 0.0)),
        (
            SolverKind::PredictorCorrector,
            None,
            corrector(1, f64::INFINITY),
        ),
    ];
    for (kind, eta, corrector) in wrong {
        assert!(
            kind.with(eta, corrector).is_err(),
            "{kind:?} {eta:?} {corrector:?}"
        );
    }
    let unchecked = Schedule {
        grid: Grid::Uniform(4),
        solver: Some(Solver::Ddim { eta: 2.0 }),
        passes: None,
    };
    assert!(plan(&ddpm(), Prediction::Sample, &unchecked).is_err());
}

#[test]
fn the_calls_of_a_run_are_bounded() {
    let calls = |steps, solver| {
        let schedule = Schedule {
            grid: Grid::Uniform(steps),
            solver: Some(solver),
            passes: None,
        };
        plan(&Process::Flow, Prediction::Sample, &schedule).map(|plan| plan.steps())
    };
    for (steps, solver) in [(500, Solver::Heun), (500, Solver::Midpoint)] {
        assert_eq!(calls(steps, solver).unwrap(), solver.calls(steps));
        assert!(matches!(
            calls(steps + 1, solver),
            Err(DiffusionError::TooManySteps {
                limit: MAX_STEPS,
                ..
            })
        ));
    }
}

#[test]
fn names_are_read_as_they_are_written() {
    for kind in SolverKind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
        let written = toml::Value::try_from(kind).unwrap();
        assert_eq!(written.as_str(), Some(kind.name()));
        assert!(
            kind.with(None, None)
                .unwrap()
                .to_string()
                .starts_with(kind.name())
        );
    }
    let message = "rk4".parse::<SolverKind>().unwrap_err().to_string();
    assert!(
        message.contains("\"rk4\"") && message.contains("heun"),
        "{message}"
    );
}
