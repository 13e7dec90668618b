//! `vocode inspect`: what is in a mel, a recording or a model.

mod args;
mod bundle;
mod findings;
mod mel;
mod plot;
mod recording;

use std::path::{Path, PathBuf};

use super::args::load_bundle;
use super::canvas::check_plot;
use super::error::CliError;
use super::jobs::Source;
use super::mel::MAX_AUDIO_BYTES;
use super::output::{Target, print};
use crate::bundle::Bundle;
pub use args::InspectArgs;
use findings::Findings;

/// Extensions of what people keep mels in, and how such files begin: what cannot be read is told by the reader of mels.
const MELS: [&str; 6] = ["npy", "npz", "pt", "pth", "pkl", "safetensors"];
const MEL_STARTS: [&[u8]; 3] = [b"\x93NUMPY", b"PK\x03\x04", b"\x80"];

/// Runs `vocode inspect`.
pub(super) fn run(args: &InspectArgs) -> Result<(), CliError> {
    if let Some(path) = &args.plot {
        check_plot(path, args.overwrite.force)?;
    }
    let findings = look(args)?;
    if let Some(path) = &args.plot {
        let picture = findings.picture.as_ref().ok_or_else(|| {
            CliError::usage("--plot draws mels and recordings; a model has nothing to draw")
        })?;
        Target::write_with(path, args.overwrite.force, |temp| {
            picture.draw(&args.title(), temp)
        })?;
    }
    if args.json {
        print(&format!("{:#}\n", findings.json))
    } else {
        print(&findings.text)
    }
}

fn look(args: &InspectArgs) -> Result<Findings, CliError> {
    let Some(path) = &args.path else {
        return bundle::inspect(&load_bundle(&args.model)?);
    };
    if let Some(folder) = bundle_folder(path) {
        return bundle::inspect(&Bundle::from_dir(&folder)?);
    }
    let source = Source::parse(path);
    let bytes = source.read_all(MAX_AUDIO_BYTES)?;
    let named_mel = path
        .extension()
        .is_some_and(|e| MELS.iter().any(|mel| e.eq_ignore_ascii_case(mel)));
    if MEL_STARTS.iter().any(|start| bytes.starts_with(start)) || named_mel {
        mel::inspect(&bytes, &source.label(), args)
    } else {
        recording::inspect(bytes, &source, args.length)
    }
}

/// The folder of the model that `path` names: itself, or the folder of the `bundle.toml` that it is.
fn bundle_folder(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        Some(path.to_owned())
    } else if path.file_name()? == "bundle.toml" {
        let parent = path.parent()?;
        Some(if parent.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            parent.to_owned()
        })
    } else {
        None
    }
}
