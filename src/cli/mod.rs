//! The command line: one file a command.

mod args;
mod batch;
#[cfg(feature = "server")]
mod bench;
mod beside;
mod canvas;
mod choice;
#[cfg(feature = "server")]
mod client;
mod command;
#[cfg(feature = "server")]
mod config;
mod container;
mod detect;
pub mod doctor;
mod error;
#[cfg(feature = "server")]
mod expected;
mod flags;
mod inspect;
mod interrupt;
mod jobs;
#[cfg(feature = "server")]
mod listening;
#[cfg(feature = "server")]
mod load;
mod maker;
mod manifest;
mod mel;
mod models;
#[cfg(feature = "server")]
mod otlp;
mod output;
mod pages;
mod pipe;
mod piped;
#[cfg(feature = "server")]
mod remote;
mod sample;
mod sampling;
mod schedules;
#[cfg(feature = "server")]
mod serve;
pub mod setup;
mod shard;
mod suggest;
mod summary;
mod synth;
mod synth_args;
mod threads;
mod tune;
mod warm;
mod watermark;

use std::ffi::OsString;

use clap::CommandFactory;
#[cfg(not(feature = "server"))]
use clap::FromArgMatches;

use error::CliError;

use crate::audio::DECODER_THREAD;
use command::{Cli, Command};

/// Runs the program on these arguments, the first of which is its own name, and gives its exit code.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    leave_out_decoders();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let program = suggest::without_empty_variables(Cli::command());
    let parsed = suggest::check(&arguments, &program).and_then(|()| parse(&arguments, program));
    match parsed.and_then(run) {
        Ok(code) => code,
        Err(error) => {
            output::say(&format!("error: {error}"));
            error.exit_code()
        }
    }
}

/// Parses the arguments. On `--help` and on mistakes it prints what there is to say and exits.
fn parse(arguments: &[OsString], program: clap::Command) -> Result<Cli, CliError> {
    #[cfg(feature = "server")]
    return config::parse(arguments, program);
    #[cfg(not(feature = "server"))]
    {
        let parsed = program.try_get_matches_from(arguments);
        let parsed = parsed.and_then(|matches| Cli::from_arg_matches(&matches));
        Ok(parsed.unwrap_or_else(|error| error.exit()))
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

fn run(cli: Cli) -> Result<u8, CliError> {
    threads::check(threads::FEW)?;
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
        Some(Command::Models(args)) => models::run(&args)?,
        Some(Command::Schedules(args)) => schedules::run(&args)?,
        Some(Command::Tune(args)) => tune::run(&args)?,
        Some(Command::Setup(args)) => setup::run(&args)?,
        Some(Command::Warm(args)) => warm::run(&args)?,
        Some(Command::Detect(args)) => return detect::run(&args),
        Some(Command::Doctor(args)) => return doctor::run(&args),
        #[cfg(feature = "server")]
        Some(Command::Serve(args)) => serve::run(&args)?,
        #[cfg(feature = "server")]
        Some(Command::Client(args)) => client::run(&args)?,
        #[cfg(feature = "server")]
        Some(Command::Load(args)) => load::run(&args)?,
        #[cfg(feature = "server")]
        Some(Command::Bench(args)) => bench::run(&args)?,
        Some(Command::Version) => output::print(&format!("{}\n", command::VERSION))?,
        Some(Command::Completions(args)) => pages::completions(&args, Cli::command())?,
        Some(Command::Man(args)) => pages::man(&args, Cli::command())?,
        None => synth::run(&cli.synth)?,
    }
    Ok(0)
}
