//! What a mistyped command was meant to be, and variables that are there but empty.

use std::ffi::OsString;
use std::path::Path;

use clap::{Arg, Command};

use super::error::CliError;
use crate::text::quoted;

/// Letters that may be wrong, at most.
const SLIPS: usize = 2;

/// Refuses a first word that is neither a command nor a file and is all but a command: it would be taken for a mel otherwise.
///
/// # Errors
/// [`CliError::Usage`] with the command that was meant.
pub(super) fn check(arguments: &[OsString], program: &Command) -> Result<(), CliError> {
    let Some(word) = arguments.get(1).and_then(|word| word.to_str()) else {
        return Ok(());
    };
    let plain = word.chars().all(|c| c.is_ascii_alphabetic());
    let names = || program.get_subcommands().map(Command::get_name);
    if !plain || word == "help" || names().any(|name| name == word) || Path::new(word).exists() {
        return Ok(());
    }
    let distance = |name: &str| strsim::damerau_levenshtein(name, &word.to_lowercase());
    let nearest = names()
        .map(|name| (distance(name), name))
        .filter(|(slips, name)| *slips <= SLIPS && *slips < name.len().div_ceil(2))
        .min();
    match nearest {
        None => Ok(()),
        Some((_, name)) => Err(CliError::usage(format!(
            "there is no command {} and no such file: did you mean `vocode {name}`? (vocode --help lists the commands)",
            quoted(word)
        ))),
    }
}

/// The same command, to which variables that are set to nothing are not set.
pub(super) fn without_empty_variables(program: Command) -> Command {
    let unset = |arg: Arg| {
        let empty = arg
            .get_env()
            .and_then(std::env::var_os)
            .is_some_and(|value| value.is_empty());
        match empty {
            true => arg.env(None::<&str>),
            false => arg,
        }
    };
    program
        .mut_args(unset)
        .mut_subcommands(|command| command.mut_args(unset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command::Cli;
    use clap::CommandFactory;

    fn checked(word: &str) -> Result<(), String> {
        let arguments = ["vocode", word].map(OsString::from);
        check(&arguments, &Cli::command()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_slip_is_told_and_a_mel_is_left_alone() {
        for (word, command) in [
            ("serv", "serve"),
            ("docter", "doctor"),
            ("Setup", "setup"),
            ("isnpect", "inspect"),
        ] {
            let words = format!("did you mean `vocode {command}`");
            assert!(checked(word).unwrap_err().contains(&words), "{word}");
        }
        for word in [
            "setup", "help", "speech", "src", "a.npy", "-", "--help", "x",
        ] {
            assert_eq!(checked(word), Ok(()), "{word}");
        }
    }
}
