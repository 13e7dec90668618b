//! A list of mels to make, one JSON object a line, and what became of each.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::CliError;
use super::jobs::{Job, Own, Source};
use super::output::{Target, shown};
use super::shard::Shard;

/// Bytes of a list that are read: some millions of lines.
const MAX_BYTES: u64 = 1 << 30;

/// One line. Paths are from the current folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    input: PathBuf,
    output: Option<PathBuf>,
    seed: Option<u64>,
    steps: Option<usize>,
}

/// Reads a list. A line without `output` gets its sound beside its mel.
///
/// # Errors
/// [`CliError::Read`], and [`CliError::Usage`] with the number of a line that cannot be used.
pub(super) fn read(path: &Path, extension: &str) -> Result<Vec<Job>, CliError> {
    let bytes = Source::parse(path).read_all(MAX_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|_| {
        let reason = io::Error::new(io::ErrorKind::InvalidData, "it is not text in UTF-8");
        CliError::read(shown(path), reason)
    })?;
    let mut jobs = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |reason: String| {
            CliError::usage(format!(
                "{}, line {}: {reason}; expected one object a line, as in {}",
                shown(path),
                index + 1,
                r#"{"input": "a.npy", "output": "a.wav", "seed": 1, "steps": 4}"#
            ))
        };
        let line: Line = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        let streams = [Some(&line.input), line.output.as_ref()];
        if streams
            .into_iter()
            .flatten()
            .any(|path| path.as_os_str() == "-")
        {
            return Err(wrong("- is no file".to_owned()));
        }
        let target = match line.output {
            Some(output) => output,
            None => line.input.with_extension(extension),
        };
        jobs.push(Job {
            source: Source::File(line.input),
            target: Target::File(target),
            own: Own {
                seed: line.seed,
                steps: line.steps,
            },
        });
    }
    if jobs.is_empty() {
        return Err(CliError::usage(format!("{} lists no mel", shown(path))));
    }
    Ok(jobs)
}

/// What became of a line.
#[derive(Debug, Serialize)]
pub(super) struct Outcome<'a> {
    pub(super) input: String,
    pub(super) output: String,
    /// `done` or `failed`.
    pub(super) status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary: Option<&'a serde_json::Value>,
}

/// The file to which outcomes are appended, each once its sound is complete.
pub(super) struct Results {
    path: PathBuf,
    file: File,
}

impl Results {
    /// Opens the file, which keeps what earlier runs wrote.
    ///
    /// # Errors
    /// [`CliError::Write`].
    pub(super) fn open(path: &Path) -> Result<Results, CliError> {
        let file = File::options().create(true).append(true).open(path);
        Ok(Results {
            path: path.to_owned(),
            file: file.map_err(|e| CliError::write(shown(path), e))?,
        })
    }

    /// Where the results of this list go unless another file is named.
    pub(super) fn beside(list: &Path, shard: Option<Shard>) -> PathBuf {
        match shard {
            None => list.with_extension("results.jsonl"),
            Some(shard) => list.with_extension(format!("{}.results.jsonl", shard.infix())),
        }
    }

    /// Appends one line.
    ///
    /// # Errors
    /// [`CliError::Write`].
    pub(super) fn append(&mut self, outcome: &Outcome<'_>) -> Result<(), CliError> {
        // Strings and JSON always serialise.
        let line = serde_json::to_string(outcome).unwrap_or_default();
        self.file
            .write_all(format!("{line}\n").as_bytes())
            .map_err(|e| CliError::write(shown(&self.path), e))
    }
}

/// Makes the folders of the results.
///
/// # Errors
/// [`CliError::Write`].
pub(super) fn make_folders(jobs: &[Job]) -> Result<(), CliError> {
    for job in jobs {
        if let Target::File(path) = &job.target
            && let Some(folder) = path.parent()
            && !folder.is_dir()
        {
            fs::create_dir_all(folder).map_err(|e| CliError::write(shown(folder), e))?;
        }
    }
    Ok(())
}
