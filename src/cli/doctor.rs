//! `vocode doctor`: whether synthesis can work on this machine, and if not, why.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::CliError;
use super::output::print;
use super::setup::LibraryArgs;
use crate::runtime::{Attempt, LoadOptions, Provider, Runtime, RuntimeError};

/// Arguments of `vocode doctor`.
#[derive(Args, Clone, Debug, Default)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub(super) library: LibraryArgs,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// What was found on this machine.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version of vocode.
    pub vocode: &'static str,
    /// Operating system and processor.
    pub platform: String,
    /// Processors that this process may use.
    pub processors: usize,
    /// Whether synthesis works.
    pub works: bool,
    /// ONNX Runtime, where one was loaded.
    pub runtime: Option<RuntimeReport>,
    /// Every place where ONNX Runtime was looked for, in order.
    pub tried: Vec<Place>,
    /// What keeps synthesis from working, with the way out.
    pub problems: Vec<String>,
}

/// The ONNX Runtime in use.
#[derive(Clone, Debug, Serialize)]
pub struct RuntimeReport {
    /// Its version.
    pub version: String,
    /// Its file.
    pub library: PathBuf,
    /// The execution providers that it was built with, of those that vocode can use.
    pub providers: Vec<&'static str>,
}

/// A place where ONNX Runtime was looked for.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    /// Why there.
    pub origin: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// Whether this is the library in use.
    pub ok: bool,
    /// The place and what was found there, in words.
    pub verdict: String,
}

/// Examines the machine and prints the report on standard output. The exit code is 1 when synthesis could not work.
///
/// # Errors
/// Only when the report cannot be printed.
pub fn run(args: &DoctorArgs) -> Result<ExitCode, CliError> {
    let report = examine(args);
    let text = if args.json {
        json(&report)
    } else {
        words(&report)
    };
    print(&text)?;
    Ok(if report.works {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Looks at everything that synthesis needs, and installs nothing.
pub fn examine(args: &DoctorArgs) -> Report {
    let mut report = Report {
        vocode: env!("CARGO_PKG_VERSION"),
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        works: false,
        runtime: None,
        tried: Vec::new(),
        problems: Vec::new(),
    };
    examine_runtime(args, &mut report);
    report.works = report.problems.is_empty();
    report
}

fn examine_runtime(args: &DoctorArgs, report: &mut Report) -> Option<Runtime> {
    match Runtime::load(&LoadOptions {
        library: args.library.ort_lib.clone(),
    }) {
        Ok(runtime) => {
            report.tried = places(runtime.attempts());
            report.runtime = Some(RuntimeReport {
                version: runtime.version().to_owned(),
                library: runtime.library().to_path_buf(),
                providers: runtime
                    .providers()
                    .into_iter()
                    .map(Provider::name)
                    .collect(),
            });
            Some(runtime)
        }
        Err(error) => {
            if let RuntimeError::NotFound { attempts, .. } = &error {
                report.tried = places(attempts);
            }
            report.problems.push(error.to_string());
            None
        }
    }
}

fn places(attempts: &[Attempt]) -> Vec<Place> {
    let place = |attempt: &Attempt| Place {
        origin: attempt.origin.id(),
        path: attempt.path.clone(),
        ok: attempt.verdict.is_ok(),
        verdict: attempt.to_string(),
    };
    attempts.iter().map(place).collect()
}

fn json(report: &Report) -> String {
    // A struct of strings and numbers always serialises.
    serde_json::to_string_pretty(report).unwrap_or_default() + "\n"
}

fn words(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<14}{value}");
    };
    line("vocode", report.vocode);
    line(
        "machine",
        &format!("{}, {} processors", report.platform, report.processors),
    );
    if let Some(runtime) = &report.runtime {
        line("ONNX Runtime", &runtime.version);
        for place in &report.tried {
            line("", &place.verdict);
        }
        line("providers", &runtime.providers.join(", "));
    }
    for problem in &report.problems {
        line("PROBLEM", problem);
    }
    line(
        "verdict",
        if report.works {
            "synthesis works"
        } else {
            "synthesis does not work"
        },
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_library(path: &str) -> DoctorArgs {
        DoctorArgs {
            library: LibraryArgs {
                ort_lib: Some(path.into()),
            },
            json: false,
        }
    }

    #[test]
    fn a_library_that_cannot_serve_is_a_problem_and_fails_the_report() {
        let report = examine(&with_library("/no/such/libonnxruntime.so"));
        assert!(!report.works);
        assert_eq!(report.problems.len(), 1);
        let text = words(&report);
        assert!(
            text.contains("PROBLEM") && text.contains("/no/such/libonnxruntime.so"),
            "{text}"
        );
        assert!(
            text.contains("vocode setup") && text.ends_with("does not work\n"),
            "{text}"
        );
    }

    #[test]
    fn the_report_is_json() {
        let report = examine(&with_library("/no/such/libonnxruntime.so"));
        let value: serde_json::Value = serde_json::from_str(&json(&report)).unwrap();
        assert_eq!(value["works"], false);
        assert!(value["runtime"].is_null());
        assert!(value["processors"].as_u64().unwrap() > 0);
    }
}
