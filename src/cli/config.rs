//! The command line of the process, with the file of `vocode serve --config` beneath it.
//!
//! What the file says becomes the defaults of the flags: so a flag beats a variable, a variable beats the file, and the file is read by the
//! same rules as the flags.

use std::ffi::OsString;
use std::path::Path;

use clap::{Arg, ArgAction, Command, CommandFactory, FromArgMatches};

use super::args::read_toml;
use super::command::{Cli, Command as Chosen};
use super::error::CliError;
use crate::text::{quoted, toml_reason};

/// Flags that a file cannot hold.
const NOT_SETTINGS: [&str; 4] = ["config", "check", "verbose", "help"];

/// Parses the arguments by `program`. On `--help` and on mistakes it prints what there is to say and exits.
pub(super) fn parse(arguments: &[OsString], program: Command) -> Result<Cli, CliError> {
    let parse = |command: Command| {
        let parsed = command.try_get_matches_from(arguments);
        parsed.and_then(|matches| Cli::from_arg_matches(&matches))
    };
    let cli = parse(program.clone()).unwrap_or_else(|error| error.exit());
    let Some(Chosen::Serve(serve)) = &cli.command else {
        return Ok(cli);
    };
    let Some(path) = &serve.config else {
        return Ok(cli);
    };
    let settings = Settings::read(path)?;
    Ok(parse(settings.beneath(program)).unwrap_or_else(|error| error.exit()))
}

/// The settings of a file: flags by their ids, each with its values.
struct Settings(Vec<(String, Vec<String>)>);

impl Settings {
    fn read(path: &Path) -> Result<Settings, CliError> {
        let label = path.display().to_string();
        let text = read_toml(&label)?;
        Settings::parse(&text).map_err(|reason| CliError::usage(format!("{label}: {reason}")))
    }

    fn parse(text: &str) -> Result<Settings, String> {
        let table: toml::Table = toml::from_str(text).map_err(|e| toml_reason(&e, text))?;
        let command = Cli::command();
        let flags: Vec<&Arg> = command
            .find_subcommand("serve")
            .map_or_else(Vec::new, |serve| {
                let setting = |arg: &&Arg| {
                    arg.get_long()
                        .is_some_and(|long| !NOT_SETTINGS.contains(&long))
                };
                serve.get_arguments().filter(setting).collect()
            });
        let mut settings = Vec::new();
        for (key, value) in &table {
            let flag = flags
                .iter()
                .find(|flag| flag.get_long() == Some(key))
                .ok_or_else(|| {
                    let known: Vec<&str> =
                        flags.iter().filter_map(|flag| flag.get_long()).collect();
                    format!(
                        "there is no setting {}; there is {}",
                        quoted(key),
                        known.join(", ")
                    )
                })?;
            let values = words(value).ok_or_else(|| {
                format!("{key} must be a text, a number, true or false, or a list of texts")
            })?;
            check(flag, key, &values)?;
            settings.push((flag.get_id().to_string(), values));
        }
        Ok(Settings(settings))
    }

    /// The command with these settings as the defaults of its flags.
    fn beneath(self, command: Command) -> Command {
        command.mut_subcommand("serve", |serve| {
            self.0.into_iter().fold(serve, |serve, (id, values)| {
                serve.mut_arg(id, |arg| arg.default_values(values))
            })
        })
    }
}

fn words(value: &toml::Value) -> Option<Vec<String>> {
    use toml::Value;
    Some(match value {
        Value::String(text) => vec![text.clone()],
        Value::Integer(number) => vec![number.to_string()],
        Value::Boolean(yes) => vec![yes.to_string()],
        Value::Array(list) => {
            let texts = list.iter().map(|item| item.as_str().map(str::to_owned));
            texts.collect::<Option<Vec<String>>>()?
        }
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => return None,
    })
}

/// Whether the flag itself would take the values.
fn check(flag: &Arg, key: &str, values: &[String]) -> Result<(), String> {
    let takes = |several: bool| if several { "values" } else { "one value" };
    match flag.get_action() {
        ArgAction::SetTrue => match values {
            [value] if value == "true" || value == "false" => return Ok(()),
            _ => return Err(format!("{key} must be true or false")),
        },
        ArgAction::Append if !values.is_empty() => {}
        action if values.len() != 1 => {
            let several = matches!(action, ArgAction::Append);
            return Err(format!(
                "{key} takes {}, found {}",
                takes(several),
                values.len()
            ));
        }
        _ => {}
    }
    let line = ["vocode", "serve"].map(str::to_owned).into_iter();
    let line = line.chain(values.iter().map(|value| format!("--{key}={value}")));
    Cli::command()
        .try_get_matches_from(line)
        .map(|_| ())
        .map_err(|error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Settings::parse(text).map(|_| ()).unwrap_err()
    }

    #[test]
    fn the_file_lies_beneath_the_flags() {
        let settings = Settings::parse(
            "max-streams = 3\nmodel = [\"a=x\", \"y\"]\nmax-connections = 7\nquiet = true\nlog-format = \"json\"",
        )
        .unwrap();
        let line = ["vocode", "serve", "--max-connections", "9", "--model", "z"];
        let matches = settings
            .beneath(Cli::command())
            .try_get_matches_from(line)
            .unwrap();
        let serve = matches.subcommand_matches("serve").unwrap();
        let streams = serve.get_one::<crate::server::MaxStreams>("max_streams");
        assert_eq!(streams, Some(&crate::server::MaxStreams::Fixed(3)));
        assert_eq!(serve.get_one::<usize>("max_connections"), Some(&9));
        assert_eq!(serve.get_one::<bool>("quiet"), Some(&true));
        assert_eq!(
            serve
                .get_many::<crate::server::ModelSource>("models")
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn what_the_file_cannot_hold_is_named() {
        let cases = [
            ("max-stream = 3", "\"max-stream\"; there is listen"),
            ("check = true", "no setting"),
            ("max-streams = 0", "--max-streams"),
            ("max-streams = \"many\"", "many"),
            ("max-streams = [\"1\", \"2\"]", "one value"),
            ("max-streams = 1.5", "must be a text"),
            ("quiet = 1", "true or false"),
            ("model = []", "takes values"),
            ("listen = \"nowhere\"", "HOST:PORT"),
            ("[limits]\nmax-streams = 3", "no setting"),
            ("max-streams", "line 1"),
        ];
        for (text, word) in cases {
            let message = refused(text);
            assert!(message.contains(word), "{text}: {message}");
        }
    }
}
