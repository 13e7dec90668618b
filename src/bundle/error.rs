use crate::diffusion::DiffusionError;
use crate::dsp::DspError;
use crate::mel::MelError;
use crate::text::quoted;
use std::{io, path::PathBuf};
use thiserror::Error;

/// Why a bundle is refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The path is not a folder.
    #[error("{} is not a model folder; a model is a folder with bundle.toml, conditioner.onnx and denoiser.onnx", path.display())]
    NotAFolder {
        /// The path given.
        path: PathBuf,
    },
    /// A word that is neither a built-in model nor a folder.
    #[error(
        "there is no model {}: built in are {}, and another is named by its folder, which holds bundle.toml, conditioner.onnx and denoiser.onnx",
        quoted(&name.to_string_lossy()),
        known.join(", ")
    )]
    UnknownName {
        /// The word given.
        name: PathBuf,
        /// The names of the built-in models.
        known: Vec<&'static str>,
    },
    /// A file of the bundle cannot be read.
    #[error("cannot read {}: {source}; a model folder holds bundle.toml, conditioner.onnx and denoiser.onnx", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the bundle is larger than any bundle's.
    #[error("{file} is larger than {limit} bytes, the most that is read")]
    TooLarge {
        /// Its name.
        file: &'static str,
        /// Most bytes allowed.
        limit: u64,
    },
    /// The manifest is not the TOML that is expected.
    #[error("bundle.toml cannot be read: {reason}")]
    Syntax {
        /// Where and what, from the parser.
        reason: String,
    },
    /// A manifest of another format.
    #[error(
        "bundle.toml has format {found}; this version of vocode reads format {expected}: use a matching version of vocode or export the model again"
    )]
    Format {
        /// The format this version reads.
        expected: u32,
        /// The format found, in words.
        found: String,
    },
    /// A field outside what is allowed.
    #[error("bundle.toml: {field} is {found}; expected {expected}")]
    Field {
        /// Its path in the file.
        field: String,
        /// What is allowed.
        expected: String,
        /// What was found.
        found: String,
    },
    /// The `[mel]` table is not a usable convention.
    #[error("bundle.toml, [mel]: {0}")]
    Mel(#[source] MelError),
    /// The `[envelope]` table is not usable.
    #[error("bundle.toml, [envelope]: {0}")]
    Envelope(#[source] DspError),
    /// The `[consistency]` table is not usable.
    #[error("bundle.toml: {0}")]
    Consistency(#[source] DspError),
    /// A named schedule cannot be run with this model.
    #[error("bundle.toml, schedule {name:?}: {source}")]
    Schedule {
        /// Its name.
        name: String,
        /// Why.
        source: DiffusionError,
    },
    /// A schedule file that cannot be read.
    #[error("the schedule file cannot be used: {reason}")]
    ScheduleFile {
        /// Where and what.
        reason: String,
    },
    /// A graph is not the one that the manifest was written for.
    #[error(
        "{file} does not match bundle.toml: its sha256 is {found}, expected {expected}; the model is damaged or mixed from two exports; copy it again or export it again"
    )]
    Hash {
        /// The graph's file.
        file: &'static str,
        /// The hash in the manifest.
        expected: String,
        /// The hash of the bytes.
        found: String,
    },
    /// A graph whose weights lie in another file.
    #[error(
        "{file} keeps data in a file beside it, which the model's hash does not cover; save the graph with its data inside \
         (onnx.save with save_as_external_data=False) and export the bundle again"
    )]
    ExternalData {
        /// The graph's file.
        file: &'static str,
    },
    /// A graph that is no ONNX model.
    #[error("{file} is not an ONNX model: {reason}; export the model again")]
    NotAGraph {
        /// The graph's file.
        file: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// A graph without the inputs and outputs that the contract asks for.
    #[error("{file}: expected {expected}, found {found}")]
    Interface {
        /// The graph's file.
        file: &'static str,
        /// What the contract asks for.
        expected: String,
        /// What the graph has.
        found: String,
    },
}
