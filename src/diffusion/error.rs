use thiserror::Error;

/// Why a sampling run cannot be planned.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum DiffusionError {
    /// A schedule or a training table without a single step.
    #[error("{what} has no steps; give at least one")]
    Empty {
        /// What was empty, in words.
        what: &'static str,
    },
    /// More steps than the engine runs, or than the model was trained with.
    #[error("{what} has {found} steps; at most {limit} are possible")]
    TooManySteps {
        /// What was too long, in words.
        what: &'static str,
        /// Steps asked for.
        found: usize,
        /// Most steps allowed.
        limit: usize,
    },
    /// A number of passes of mel consistency that the model cannot make.
    #[error("passes is {found}, expected {expected}")]
    Passes {
        /// What is allowed.
        expected: String,
        /// Passes asked for.
        found: usize,
    },
    /// A noise level outside (0, 1).
    #[error(
        "{what}: beta number {index} is {found}; every beta must lie between 0 and 1, both excluded"
    )]
    Beta {
        /// Which table, in words.
        what: &'static str,
        /// Position in the table, from 0.
        index: usize,
        /// The value found there.
        found: f64,
    },
    /// A flow grid that does not start at 0.
    #[error("a time grid starts at 0 (pure noise), this one starts at {found}")]
    Start {
        /// The first time found.
        found: f64,
    },
    /// A flow time that does not increase or is not below 1.
    #[error(
        "time number {index} is {found}; times must increase from 0 and stay below 1 (the end, 1, is implied), and the one before is {previous}"
    )]
    Time {
        /// Position in the grid, from 0.
        index: usize,
        /// The value found there.
        found: f64,
        /// The value before it.
        previous: f64,
    },
    /// A fast schedule reaches a noise level that the model never saw in training.
    #[error(
        "the noise schedule does not fit the model: its step {step} reaches abar = {found:.6}, and training covers {lowest:.6} to {highest:.6}; {advice}"
    )]
    OutsideTraining {
        /// Position in the schedule, from 0.
        step: usize,
        /// Product of (1 - beta) up to this step.
        found: f64,
        /// Lowest product met in training (the noisiest level).
        lowest: f64,
        /// Highest product met in training (the cleanest level).
        highest: f64,
        /// Which betas fit, in words.
        advice: String,
    },
    /// A kind of schedule that this process does not know.
    #[error("a {process} model takes {expected}, not {found}")]
    ScheduleKind {
        /// "flow" or "ddpm".
        process: &'static str,
        /// The kinds it takes.
        expected: &'static str,
        /// The kind given.
        found: &'static str,
    },
    /// A solver that does not fit the process.
    #[error(
        "a {process} model cannot be run with the solver {found}; those that fit are {expected}"
    )]
    SolverKind {
        /// "flow" or "ddpm".
        process: &'static str,
        /// The names of those that fit.
        expected: String,
        /// The one given.
        found: &'static str,
    },
    /// A name that no solver has.
    #[error("there is no solver {found}; there are {known}")]
    UnknownSolver {
        /// The name, in quotes.
        found: String,
        /// The names of all.
        known: String,
    },
    /// A setting of another solver, or one without a solver.
    #[error("{setting} is a setting of the solver {owner}, and the solver here is {found}")]
    SolverSetting {
        /// The setting.
        setting: &'static str,
        /// The solver that has it.
        owner: &'static str,
        /// The solver given.
        found: &'static str,
    },
    /// A setting of a solver outside its range.
    #[error("the solver's {setting} is {found}; expected {expected}")]
    SettingRange {
        /// The setting.
        setting: &'static str,
        /// Its range, in words.
        expected: String,
        /// The value found.
        found: f64,
    },
    /// A noise level with so little signal that the clean one cannot be told from state and prediction.
    #[error("training step {t} holds no signal to speak of; end the training betas before it")]
    Level {
        /// The training step.
        t: f64,
    },
    /// A description of a schedule with none or several of the things that make one.
    #[error(
        "a schedule takes exactly one of times = [..], betas = [..], steps = N, full = true; this one has {found}"
    )]
    OneGrid {
        /// "none" or "several".
        found: &'static str,
    },
    /// A prediction that this process cannot use.
    #[error("a {process} model predicts {expected}, not {found}")]
    PredictionKind {
        /// "flow" or "ddpm".
        process: &'static str,
        /// The kinds it takes.
        expected: &'static str,
        /// The kind given.
        found: &'static str,
    },
    /// Clamp limits that are not a finite, non-empty range.
    #[error("clamp limits must be finite and increasing, found [{low}, {high}]")]
    Clamp {
        /// Lower limit.
        low: f64,
        /// Upper limit.
        high: f64,
    },
}
