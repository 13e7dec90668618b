//! Shell completions and man pages, from the same definition as the command line itself.

use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::output::print;
use super::{Cli, CliError};

/// Arguments of `vocode completions`.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell to write for
    #[arg(value_enum)]
    shell: Shell,
}

/// Arguments of `vocode man`.
#[derive(Args, Debug)]
pub struct ManArgs {
    /// Write vocode.1 and one page for each command into this folder, which is made
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<(), CliError> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "vocode", &mut text);
    print(&String::from_utf8_lossy(&text))
}

pub(super) fn man(args: &ManArgs) -> Result<(), CliError> {
    let command = Cli::command();
    let Some(folder) = &args.output else {
        let mut text = Vec::new();
        clap_mangen::Man::new(command)
            .render(&mut text)
            .map_err(|e| CliError::write("standard output", e))?;
        return print(&String::from_utf8_lossy(&text));
    };
    let failed = |e| CliError::write(folder.display().to_string(), e);
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(command, folder).map_err(failed)
}
