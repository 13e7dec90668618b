//! The command line: one file a command.

#![allow(dead_code)]

mod args;
pub mod doctor;
mod error;
mod interrupt;
mod jobs;
mod output;
mod pages;
pub mod setup;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use error::CliError;

const EXAMPLES: &str = "\
Examples:
  vocode mel.npy -o speech.wav              one mel to one file
  vocode mels/ -o out/                      every .npy of a folder
  tts | vocode - -o - | aplay               from one pipe into another
  vocode mel speech.wav -o mel.npy          the way back: a mel from a recording
  vocode inspect mel.npy                    what is in a file

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
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a completion script for a shell
    Completions(pages::CompletionsArgs),
    /// Print the man page, or write all of them
    Man(pages::ManArgs),
}

/// Runs the program on the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::say(&format!("error: {error}"));
            error.exit_code()
        }
    }
}

fn run(cli: Cli) -> Result<(), CliError> {
    match cli.command {
        Some(Command::Completions(args)) => pages::completions(&args),
        Some(Command::Man(args)) => pages::man(&args),
        None => Err(CliError::usage("nothing to do: see vocode --help")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
