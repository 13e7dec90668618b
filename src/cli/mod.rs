//! The command line: one file a command.

mod args;
#[cfg(feature = "server")]
mod bench;
mod canvas;
#[cfg(feature = "server")]
mod client;
#[cfg(feature = "server")]
mod config;
pub mod doctor;
mod error;
mod flags;
mod inspect;
mod interrupt;
mod jobs;
#[cfg(feature = "server")]
mod listening;
#[cfg(feature = "server")]
mod load;
mod mel;
#[cfg(feature = "server")]
mod otlp;
mod output;
mod pages;
#[cfg(feature = "server")]
mod remote;
mod sample;
mod sampling;
mod schedules;
#[cfg(feature = "server")]
mod serve;
pub mod setup;
mod summary;
mod synth;
mod tune;
mod warm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use error::CliError;

use crate::audio::DECODER_THREAD;
use crate::bundle::Bundle;
use jobs::Job;

const EXAMPLES: &str = "\
Examples:
  vocode mel.npy -o speech.wav              one mel to one file
  vocode mels/ -o out/                      every .npy of a folder
  tts | vocode - -o - | aplay               from one pipe into another
  vocode mel speech.wav -o mel.npy          the way back: a mel from a recording
  vocode inspect mel.npy                    what is in a file
  vocode serve                              a gRPC server for this machine

A mel that is called like a command is given with its folder: vocode ./mel -o speech.wav
Every flag can be set by the variable in brackets; the flag beats the variable.
Exit codes: 0 done, 1 the run failed, 2 the command line is wrong, 130 interrupted.";

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
    command: Option<Command>,
    #[command(flatten)]
    synth: synth::SynthArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the mel of a recording
    Mel(mel::MelArgs),
    /// Tell what is in a mel, a recording or a model
    Inspect(inspect::InspectArgs),
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
    /// Serve the models over gRPC
    #[cfg(feature = "server")]
    Serve(serve::ServeArgs),
    /// Send a mel to a server and write what comes back
    #[cfg(feature = "server")]
    Client(client::ClientArgs),
    /// Measure how many streams a server plays without a gap
    #[cfg(feature = "server")]
    Load(load::LoadArgs),
    /// Measure speed and time to first audio on this machine
    #[cfg(feature = "server")]
    Bench(bench::BenchArgs),
    /// Print a completion script for a shell
    Completions(pages::CompletionsArgs),
    /// Print the man page, or write all of them
    Man(pages::ManArgs),
}

/// Runs the program on the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    leave_out_decoders();
    #[cfg(feature = "server")]
    let parsed = config::parse(std::env::args_os());
    #[cfg(not(feature = "server"))]
    let parsed = Ok(Cli::parse());
    match parsed.and_then(run) {
        Ok(code) => code,
        Err(error) => {
            output::say(&format!("error: {error}"));
            error.exit_code()
        }
    }
}

/// A decoder that panics on a damaged file is reported as an error of that file, and not as a panic of the program too.
fn leave_out_decoders() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() == Some(DECODER_THREAD) {
            tracing::debug!("{panic}");
        } else {
            usual(panic);
        }
    }));
}

fn run(cli: Cli) -> Result<ExitCode, CliError> {
    // A server does other things at a signal, and takes them itself.
    #[cfg(feature = "server")]
    let server = matches!(cli.command, Some(Command::Serve(_)));
    #[cfg(not(feature = "server"))]
    let server = false;
    if !server {
        interrupt::install();
    }
    match cli.command {
        Some(Command::Mel(args)) => mel::run(&args)?,
        Some(Command::Inspect(args)) => inspect::run(&args)?,
        Some(Command::Schedules(args)) => schedules::run(&args)?,
        Some(Command::Tune(args)) => tune::run(&args)?,
        Some(Command::Setup(args)) => setup::run(&args)?,
        Some(Command::Warm(args)) => warm::run(&args)?,
        Some(Command::Doctor(args)) => return doctor::run(&args),
        #[cfg(feature = "server")]
        Some(Command::Serve(args)) => serve::run(&args)?,
        #[cfg(feature = "server")]
        Some(Command::Client(args)) => client::run(&args)?,
        #[cfg(feature = "server")]
        Some(Command::Load(args)) => load::run(&args)?,
        #[cfg(feature = "server")]
        Some(Command::Bench(args)) => bench::run(&args)?,
        Some(Command::Completions(args)) => pages::completions(&args)?,
        Some(Command::Man(args)) => pages::man(&args)?,
        None => synth::run(&cli.synth)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The model that the flags name, or the one built in.
fn load_bundle(args: &args::ModelArgs) -> Result<Bundle, CliError> {
    Ok(match &args.model {
        Some(folder) => Bundle::from_dir(folder)?,
        None => Bundle::embedded()?,
    })
}

/// Runs `work` on each job. With several, one that fails is reported and does not stop the others.
fn each(jobs: &[Job], mut work: impl FnMut(&Job) -> Result<(), CliError>) -> Result<(), CliError> {
    if let [job] = jobs {
        return work(job);
    }
    let mut failed = Vec::new();
    for job in jobs {
        match work(job) {
            Ok(()) => {}
            Err(CliError::Interrupted) => return Err(CliError::Interrupted),
            Err(error) => {
                output::say(&format!("error: {error}"));
                failed.push(job.source.label());
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let total = jobs.len();
    Err(CliError::Several { failed, total })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
