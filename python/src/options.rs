//! The arguments that several methods share.

use std::ffi::CString;

use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;
use vocode::diffusion::{Process, SolverKind};
use vocode::mel::Layout;
use vocode::watermark::{Key, Watermark};
use vocode::{Grid, Manifest, ScheduleChoice, SynthesisOptions};

use crate::errors;

/// A schedule as a caller gives it.
#[derive(FromPyObject)]
pub enum ScheduleArgument {
    /// One of the model's.
    Named(String),
    /// Times of a flow model, betas of a DDPM.
    Values(Vec<f64>),
}

/// The steps, the solver and the seed that these arguments ask for; they fit the model.
pub fn sampling(
    manifest: &Manifest,
    steps: Option<usize>,
    schedule: Option<ScheduleArgument>,
    solver: Option<&str>,
    seed: u64,
) -> PyResult<SynthesisOptions> {
    let choice = match (schedule, steps) {
        (Some(_), Some(_)) => {
            return Err(errors::option(
                "`steps` and `schedule` both say how many steps to take: give one of them",
            ));
        }
        (None, Some(steps)) => ScheduleChoice::Steps(steps),
        (None, None) => ScheduleChoice::Default,
        (Some(ScheduleArgument::Named(name)), _) => ScheduleChoice::Named(name),
        (Some(ScheduleArgument::Values(values)), _) => {
            let grid = match manifest.process() {
                Process::Flow => Grid::Times(values),
                Process::Ddpm { .. } => Grid::Betas(values),
            };
            ScheduleChoice::Custom(grid.into())
        }
    };
    let solver = match solver {
        Some(name) => {
            let kind: SolverKind = name.parse().map_err(errors::option)?;
            Some(kind.with(None, None).map_err(errors::option)?)
        }
        None => None,
    };
    choice.resolve(manifest, solver).map_err(errors::vocoder)?;
    Ok(SynthesisOptions::default()
        .seed(seed)
        .schedule(choice)
        .solver(solver))
}

/// A watermark as a caller gives it.
#[derive(FromPyObject)]
pub enum WatermarkArgument {
    /// Whether there is one; what it says goes by the model and the key.
    Whether(bool),
    /// What it says.
    Payload(u32),
}

/// The key of these bytes, or that of everybody.
pub fn watermark_key(secret: Option<&[u8]>) -> PyResult<Key> {
    secret.map_or_else(
        || Ok(Key::public()),
        |secret| Key::new(secret).map_err(errors::option),
    )
}

/// The watermark that these arguments ask for.
pub fn watermark(
    sha256: &str,
    watermark: Option<WatermarkArgument>,
    key: Option<&[u8]>,
) -> PyResult<Option<Watermark>> {
    let key = watermark_key(key)?;
    let payload = match watermark {
        None | Some(WatermarkArgument::Whether(false)) => return Ok(None),
        Some(WatermarkArgument::Whether(true)) => Watermark::usual_payload(sha256, &key),
        Some(WatermarkArgument::Payload(payload)) => payload,
    };
    Ok(Some(Watermark::new(&key, payload)))
}

/// Which axis of a mel holds the bands.
pub fn layout(name: &str) -> PyResult<Layout> {
    match name {
        "bands-first" => Ok(Layout::BandsFirst),
        "frames-first" => Ok(Layout::FramesFirst),
        "auto" => Ok(Layout::Auto),
        _ => Err(errors::option(format!(
            "`layout` {name:?}: expected \"bands-first\", \"frames-first\" or \"auto\""
        ))),
    }
}

/// Remarks that are no errors, as Python's warnings.
pub fn warn(py: Python<'_>, notes: &[String]) -> PyResult<()> {
    for note in notes {
        let text = CString::new(note.replace('\0', " "))?;
        PyErr::warn(py, &py.get_type::<PyUserWarning>(), &text, 1)?;
    }
    Ok(())
}
