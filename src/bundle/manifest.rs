//! The words of `bundle.toml`.

use super::{BundleError, ScheduleSpec};
use crate::diffusion::{Prediction, Process, cosine_betas, linear_betas};
use crate::dsp::{ConsistencyParameters, EnvelopeParameters};
use crate::mel::{MelConvention, Sharpening};
use crate::text::toml_reason;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The manifest format that this version reads and writes.
pub const FORMAT: u32 = 1;

/// `bundle.toml`. Sample rate and hop are those of `mel`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always [`FORMAT`].
    pub format: u32,
    /// Short name: letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// Version of the model, in the same characters.
    pub version: String,
    /// Licence of the weights, an SPDX expression or a sentence.
    pub licence: String,
    /// What it is, in a sentence.
    pub description: String,
    /// What it was trained on, in words.
    pub training_data: String,
    /// The mel convention of the input.
    pub mel: MelConvention,
    /// What the denoiser was trained to do.
    pub diffusion: DiffusionSpec,
    /// Named schedules.
    pub schedules: Schedules,
    /// What one graph call sees beyond its own frames.
    pub context: Context,
    /// The spectral envelope; with the excitation domain only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<EnvelopeParameters>,
    /// Passes that bring the audio closer to its mel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<ConsistencyParameters>,
    /// How mels are sharpened before all else, where nobody asks for another amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharpening: Option<Sharpening>,
    /// Hashes of the graphs.
    pub sha256: Hashes,
}

/// `[diffusion]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiffusionSpec {
    /// `flow` or `ddpm`.
    pub process: ProcessKind,
    /// Training betas; `ddpm` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub betas: Option<Betas>,
    /// What the denoiser answers.
    pub prediction: Prediction,
    /// What the state is.
    pub domain: Domain,
    /// Limits of the state after every step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clamp: Option<[f64; 2]>,
}

/// How noise and data are mixed: [`Process`] in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProcessKind {
    /// [`Process::Flow`].
    Flow,
    /// [`Process::Ddpm`].
    Ddpm,
}

/// What the diffusion runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Domain {
    /// Samples.
    Waveform,
    /// A spectrally whitened signal; the mel's envelope is put back at the end.
    Excitation,
}

/// Training betas: `{ start = .., end = .., steps = .. }`, `{ cosine = .. }` or a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "betas must be a list of numbers, { start = .., end = .., steps = .. } or { cosine = .. }"
)]
pub enum Betas {
    /// Evenly spaced.
    Linear(LinearBetas),
    /// Those of [`cosine_betas`].
    Cosine(CosineBetas),
    /// Spelled out.
    List(Vec<f64>),
}

/// Evenly spaced betas, both ends included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearBetas {
    /// The first beta.
    pub start: f64,
    /// The last beta.
    pub end: f64,
    /// How many.
    pub steps: usize,
}

/// The betas of the cosine schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CosineBetas {
    /// How many.
    pub cosine: usize,
}

/// `[schedules]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedules {
    /// Name of the one used when none is asked for.
    pub default: String,
    /// All of them.
    pub named: BTreeMap<String, ScheduleSpec>,
}

/// `[context]`: frames on each side that a call sees beyond the frames it is right about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Of one denoiser call.
    pub denoiser: usize,
    /// Of the conditioner.
    pub conditioner: usize,
}

/// `[sha256]`: of the graph files, in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hashes {
    /// Of `conditioner.onnx`.
    pub conditioner: String,
    /// Of `denoiser.onnx`.
    pub denoiser: String,
    /// Of `denoiser.int8.onnx`, where the bundle has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denoiser_int8: Option<String>,
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`BundleError::Syntax`] for TOML of another shape, unknown fields among it; [`BundleError::Format`] for another
    /// format; the rest for numbers and texts out of their range and for schedules that cannot run.
    pub fn from_toml(text: &str) -> Result<Manifest, BundleError> {
        let syntax = |error: toml::de::Error| BundleError::Syntax {
            reason: toml_reason(&error, text),
        };
        let table: toml::Table = toml::from_str(text).map_err(syntax)?;
        let found = match table.get("format") {
            Some(toml::Value::Integer(format)) => format.to_string(),
            Some(other) => format!("of type {}", other.type_str()),
            None => "missing".to_owned(),
        };
        if found != FORMAT.to_string() {
            return Err(BundleError::Format {
                expected: FORMAT,
                found,
            });
        }
        let manifest: Manifest = toml::from_str(text).map_err(syntax)?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// [`Manifest::from_toml`] of the bytes of a file.
    ///
    /// # Errors
    /// [`BundleError::Syntax`] for bytes that are no text, and those of [`Manifest::from_toml`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Manifest, BundleError> {
        let text = std::str::from_utf8(bytes).map_err(|error| BundleError::Syntax {
            reason: format!("it is not UTF-8: {error}"),
        })?;
        Manifest::from_toml(text)
    }

    /// The training process. Betas are those of a validated manifest.
    pub fn process(&self) -> Process {
        match (self.diffusion.process, &self.diffusion.betas) {
            (ProcessKind::Flow, _) => Process::Flow,
            (ProcessKind::Ddpm, Some(Betas::Linear(table))) => Process::Ddpm {
                betas: linear_betas(table.start, table.end, table.steps),
            },
            (ProcessKind::Ddpm, Some(Betas::Cosine(table))) => Process::Ddpm {
                betas: cosine_betas(table.cosine),
            },
            (ProcessKind::Ddpm, Some(Betas::List(betas))) => Process::Ddpm {
                betas: betas.clone(),
            },
            (ProcessKind::Ddpm, None) => Process::Ddpm { betas: Vec::new() },
        }
    }
}
