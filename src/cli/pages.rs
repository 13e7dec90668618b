//! Shell completions and man pages, from the same definition as the command line itself.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use super::error::CliError;
use super::output::print;

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

pub(super) fn completions(args: &CompletionsArgs, mut command: Command) -> Result<(), CliError> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "vocode", &mut text);
    print(&String::from_utf8_lossy(&text))
}

pub(super) fn man(args: &ManArgs, command: Command) -> Result<(), CliError> {
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
