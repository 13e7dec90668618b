//! The definition of the command line.

use clap::{Parser, Subcommand};

#[cfg(feature = "server")]
use super::{bench, client, load, serve};
use super::{
    detect, doctor, inspect, mel, models, pages, schedules, setup, synth_args, tune, warm,
};

const EXAMPLES: &str = "\
Examples:
  vocode mel.npy                            one mel to mel.wav beside it
  vocode mel.npy -o speech.flac             to another file: .wav, .flac, .opus or .raw
  vocode mels/ -o out/                      every .npy of a folder
  tts | vocode - -o - | aplay               from one pipe into another
  vocode mel speech.wav -o mel.npy          the way back: a mel from a recording
  vocode inspect mel.npy                    what is in a file
  vocode models                             the models that are built in
  vocode detect speech.mp3                  whether vocode --watermark made it
  vocode serve                              a gRPC server for this machine

A mel that is called like a command is given with its folder: vocode ./mel -o speech.wav
Every flag can be set by the variable in brackets; the flag beats the variable.
Exit codes: 0 done, 1 the run failed, 2 the command line is wrong, 130 interrupted.";

/// The program and its version.
pub(super) const VERSION: &str = concat!("vocode ", env!("CARGO_PKG_VERSION"));

/// A diffusion vocoder: turns mel spectrograms into speech.
#[derive(Debug, Parser)]
#[command(
    name = "vocode",
    version,
    about,
    after_help = EXAMPLES,
    arg_required_else_help = true,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) synth: synth_args::SynthArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make the mel of a recording
    Mel(mel::MelArgs),
    /// Tell whether audio holds a watermark of `vocode --watermark`
    Detect(detect::DetectArgs),
    /// Tell what is in a mel, a recording or a model
    Inspect(inspect::InspectArgs),
    /// List the models that are built in, and what each takes
    Models(models::ModelsArgs),
    /// List the schedules of a model and the solvers that fit it
    Schedules(schedules::SchedulesArgs),
    /// Search better schedules for a model, by recordings
    Tune(tune::TuneArgs),
    /// Get ONNX Runtime, which runs the models
    Setup(setup::SetupArgs),
    /// Load a model and prepare all that takes time at first, such as a GPU's engines
    Warm(warm::WarmArgs),
    /// Tell whether synthesis works here, with what, and how fast
    Doctor(doctor::DoctorArgs),
    /// Serve the models over gRPC, and over HTTP with a page
    #[cfg(feature = "server")]
    Serve(Box<serve::ServeArgs>),
    /// Send a mel to a server and write what comes back
    #[cfg(feature = "server")]
    Client(client::ClientArgs),
    /// Measure how many streams a server plays without a gap
    #[cfg(feature = "server")]
    Load(load::LoadArgs),
    /// Measure speed and time to first audio on this machine
    #[cfg(feature = "server")]
    Bench(bench::BenchArgs),
    /// Print the version
    Version,
    /// Print a completion script for a shell
    Completions(pages::CompletionsArgs),
    /// Print the man page, or write all of them
    Man(pages::ManArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
