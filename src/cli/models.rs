//! `vocode models`: what `--model` can be without a folder.

use bytesize::ByteSize;
use clap::Args;
use clap::builder::FalseyValueParser;
use serde::Serialize;

use super::error::CliError;
use super::output::{columns, print};
use crate::bundle::BuiltIn;
use crate::text::counted;
use crate::vocoder::{Sampling, ScheduleChoice};

/// Arguments of `vocode models`.
#[derive(Args, Debug)]
pub struct ModelsArgs {
    /// Print JSON
    #[arg(long, env = "VOCODE_JSON", value_parser = FalseyValueParser::new())]
    json: bool,
}

/// A built-in model.
#[derive(Debug, Serialize)]
struct ModelLine {
    name: &'static str,
    /// Whether it is used where no other is named and the mel speaks for none.
    default: bool,
    version: String,
    mel: MelLine,
    /// The schedule that is used where none is named, and its denoiser calls.
    schedule: String,
    denoiser_calls: usize,
    /// Bytes of its files.
    bytes: usize,
    licence: String,
    description: String,
    training_data: String,
}

/// The mel that a model takes.
#[derive(Debug, Serialize)]
struct MelLine {
    convention: String,
    sample_rate: u32,
    hop: usize,
    n_mels: usize,
    f_min: f64,
    f_max: f64,
}

/// Runs `vocode models`.
pub(super) fn run(args: &ModelsArgs) -> Result<(), CliError> {
    let lines = BuiltIn::all().iter().map(|model| ModelLine::of(model));
    let lines = lines.collect::<Result<Vec<ModelLine>, CliError>>()?;
    if args.json {
        return print(&format!("{:#}\n", serde_json::json!({ "models": lines })));
    }
    let head = ["model", "version", "takes", "schedule", "size", "licence"];
    print(&columns(head, lines.iter().map(ModelLine::words)))
}

impl ModelLine {
    fn of(model: &BuiltIn) -> Result<ModelLine, CliError> {
        let manifest = model.manifest()?;
        let Sampling { name, plan, .. } = ScheduleChoice::Default.resolve(&manifest, None)?;
        let mel = manifest.mel;
        Ok(ModelLine {
            name: model.name(),
            default: model.name() == BuiltIn::default_model().name(),
            version: manifest.version,
            schedule: name,
            denoiser_calls: plan.steps(),
            bytes: model.bytes(),
            licence: manifest.licence,
            description: manifest.description,
            training_data: manifest.training_data,
            mel: MelLine {
                convention: mel.name,
                sample_rate: mel.sample_rate,
                hop: mel.hop,
                n_mels: mel.n_mels,
                f_min: mel.f_min,
                f_max: mel.f_max,
            },
        })
    }

    fn words(&self) -> [String; 6] {
        let mark = if self.default { " (default)" } else { "" };
        let mel = &self.mel;
        [
            format!("{}{mark}", self.name),
            self.version.clone(),
            format!(
                "{}: {} Hz, hop {}, {} bands over {}-{} Hz",
                mel.convention, mel.sample_rate, mel.hop, mel.n_mels, mel.f_min, mel.f_max
            ),
            format!(
                "{}, {}",
                self.schedule,
                counted(self.denoiser_calls, "step")
            ),
            ByteSize::b(self.bytes as u64).display().si().to_string(),
            self.licence.clone(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_a_model_takes() {
        let lines = BuiltIn::all()
            .iter()
            .map(|model| ModelLine::of(model).unwrap());
        let words: Vec<_> = lines.map(|line| line.words()).collect();
        assert_eq!(words[0][0], "default (default)");
        assert_eq!(
            words[0][2],
            "hifigan: 22050 Hz, hop 256, 80 bands over 0-8000 Hz"
        );
        assert_eq!(words[1][0], "vocos24k");
        assert_eq!(
            words[1][2],
            "vocos24k: 24000 Hz, hop 256, 100 bands over 0-12000 Hz"
        );
        assert!(words.iter().all(|line| line[4].ends_with(" MB")));
    }
}
