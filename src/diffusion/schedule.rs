//! Which noise levels a run visits, and how it goes from one to the next.

use super::{Process, Solver};

/// Which noise levels a run visits.
#[derive(Clone, Debug, PartialEq)]
pub enum Grid {
    /// Flow: the times at which the network is called, increasing from 0; the end, 1, is implied.
    Times(Vec<f64>),
    /// DDPM: DiffWave's fast sampling, the betas of a short schedule in increasing order of noise, each aligned with a
    /// fractional training step.
    Betas(Vec<f64>),
    /// DDPM: every training step.
    Full,
    /// This many evenly spaced levels: flow times i / n, or DDPM training steps.
    Uniform(usize),
}

impl Grid {
    /// The kind in words, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Grid::Times(_) => "a grid of times",
            Grid::Betas(_) => "a list of betas",
            Grid::Full => "the full training schedule",
            Grid::Uniform(_) => "a number of steps",
        }
    }

    /// Steps of a run, each of which is a network call or, with some solvers, several.
    pub fn steps(&self, process: &Process) -> usize {
        match (self, process) {
            (Grid::Times(list) | Grid::Betas(list), _) => list.len(),
            (Grid::Uniform(steps), _) => *steps,
            (Grid::Full, Process::Ddpm { betas }) => betas.len(),
            (Grid::Full, Process::Flow) => 0,
        }
    }
}

/// Which noise levels a run visits, and how it goes from one to the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The noise levels.
    pub grid: Grid,
    /// The solver; that of the process, [`Solver::default_of`], when `None`.
    pub solver: Option<Solver>,
    /// Passes that bring the finished audio closer to its mel; those of the model when `None`.
    pub passes: Option<usize>,
}

impl Schedule {
    /// The solver of a run under `process`.
    pub fn solver(&self, process: &Process) -> Solver {
        self.solver.unwrap_or_else(|| Solver::default_of(process))
    }
}

impl From<Grid> for Schedule {
    fn from(grid: Grid) -> Schedule {
        Schedule {
            grid,
            solver: None,
            passes: None,
        }
    }
}
