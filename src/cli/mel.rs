//! `vocode mel`: recordings to mels.

use std::path::{Path, PathBuf};

use clap::Args;

use super::args::{ConventionArg, Overwrite, Verbosity};
use super::error::CliError;
use super::jobs::each;
use super::jobs::{self, Job, Kinds, Source};
use crate::audio::{AudioError, DecodeLimits, DecodedAudio, decode, resample};
use crate::mel::{Mel, MelConvention, analyse, write_npy};

/// Bytes of an audio file that are read, compressed or not.
pub(super) const MAX_AUDIO_BYTES: u64 = 2 << 30;

/// Extensions of recordings.
pub(super) const AUDIO: &[&str] = &[
    "wav", "flac", "mp3", "ogg", "opus", "aiff", "aif", "m4a", "au",
];

const KINDS: Kinds = Kinds {
    inputs: AUDIO,
    output: "npy",
    others: &[],
};

/// Arguments of `vocode mel`.
#[derive(Args, Debug)]
pub struct MelArgs {
    /// Recordings: WAV, FLAC, MP3, Ogg Vorbis, Opus, AIFF, .au or M4A files of any rate, folders of them, or - for standard input
    #[arg(required = true, value_name = "AUDIO")]
    inputs: Vec<PathBuf>,
    /// The .npy file to write, or a folder for several inputs, or - for standard output
    #[arg(short, long, env = "VOCODE_OUTPUT", value_name = "FILE")]
    output: PathBuf,
    /// What the mel's numbers mean: hifigan, tacotron2, matcha and others of conventions/, or a TOML file that spells it out
    #[arg(
        long = "mel-convention",
        visible_alias = "convention",
        env = "VOCODE_MEL_CONVENTION",
        value_name = "NAME|FILE",
        default_value = "hifigan"
    )]
    convention: ConventionArg,
    #[command(flatten)]
    length: LengthArg,
    #[command(flatten)]
    overwrite: Overwrite,
    #[command(flatten)]
    verbosity: Verbosity,
}

/// Runs `vocode mel`.
pub(super) fn run(args: &MelArgs) -> Result<(), CliError> {
    args.verbosity.start_logging();
    let convention = args.convention.load()?;
    let jobs = jobs::plan(&args.inputs, Some(&args.output), &KINDS, false)?;
    each(&jobs, |job| one(job, &convention, args))
}

fn one(job: &Job, convention: &MelConvention, args: &MelArgs) -> Result<(), CliError> {
    job.target.check(args.overwrite.force)?;
    let clip = read_clip(&job.source, args.length)?;
    let name = job.source.label();
    for warning in &clip.warnings {
        args.verbosity.warn(&format!("{name}: {warning}"));
    }
    let (seconds, rate) = (clip.seconds(), clip.sample_rate);
    let mel = mel_of(clip, convention, &name)?;
    let mut bytes = Vec::new();
    write_npy(&mut bytes, &mel).map_err(|e| CliError::mel(&name, e))?;
    job.target.write(&bytes, args.overwrite.force)?;
    args.verbosity.tell(&format!(
        "{}: {} bands x {} frames ({}) from {seconds:.2} s at {rate} Hz",
        job.target.label(),
        mel.n_mels(),
        mel.frames(),
        convention.name
    ));
    Ok(())
}

fn mel_of(clip: DecodedAudio, convention: &MelConvention, name: &str) -> Result<Mel, CliError> {
    let samples = resample(clip.samples, clip.sample_rate, convention.sample_rate)
        .map_err(|e| CliError::audio(name, e))?;
    analyse(&samples, convention).map_err(|e| CliError::mel(name, e))
}

/// How long a recording may be.
#[derive(Args, Clone, Copy, Debug)]
pub struct LengthArg {
    /// Longest recording in seconds: a small compressed file can hold hours
    #[arg(
        long = "max-seconds",
        env = "VOCODE_MAX_SECONDS",
        default_value_t = 3600.0,
        value_name = "S"
    )]
    seconds: f64,
}

impl LengthArg {
    /// The limits of the decoder. The seconds alone count where they are more than the decoder's own limit of samples.
    fn limits(self) -> Result<DecodeLimits, CliError> {
        if !(self.seconds > 0.0 && self.seconds.is_finite()) {
            return Err(CliError::usage(format!(
                "--max-seconds {}: expected a positive number of seconds",
                self.seconds
            )));
        }
        let usual = DecodeLimits::default();
        let asked = self.seconds * 48_000.0;
        Ok(DecodeLimits {
            max_seconds: self.seconds,
            max_samples: usual.max_samples.max(asked as usize),
        })
    }
}

/// Reads and decodes one recording.
pub(super) fn read_clip(source: &Source, length: LengthArg) -> Result<DecodedAudio, CliError> {
    let bytes = source.read_all(MAX_AUDIO_BYTES)?;
    decode_clip(bytes, source, length)
}

/// Decodes a recording that has been read.
pub(super) fn decode_clip(
    bytes: Vec<u8>,
    source: &Source,
    length: LengthArg,
) -> Result<DecodedAudio, CliError> {
    let extension = match source {
        Source::File(path) => extension(path),
        Source::Stdin => None,
    };
    decode(bytes, extension.as_deref(), &length.limits()?).map_err(|e| match e {
        AudioError::TooLong { .. } => CliError::TooLong {
            path: source.label(),
            source: e,
        },
        _ => CliError::audio(source.label(), e),
    })
}

fn extension(path: &Path) -> Option<String> {
    Some(path.extension()?.to_string_lossy().to_lowercase())
}
