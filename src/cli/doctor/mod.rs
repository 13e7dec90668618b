//! `vocode doctor`: whether synthesis works on this machine, how fast, and if not, why.

mod gpu;
mod report;
mod trial;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::args::SessionArgs;
use super::args::load_bundle;
use super::error::CliError;
use super::output::print;
use super::threads;
use crate::bundle::Bundle;
use crate::runtime::{FindError, Runtime, RuntimeError};
pub use gpu::GpuReport;
pub use report::{ModelReport, Place, Report, RuntimeReport, Speed};

/// Arguments of `vocode doctor`.
#[derive(Args, Clone, Debug, Default)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub session: SessionArgs,
    /// Print the report as JSON
    #[arg(long, env = "VOCODE_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,
}

/// Examines the machine and prints the report on standard output. The exit code is 1 when synthesis does not work.
///
/// # Errors
/// Only when the report cannot be printed.
pub fn run(args: &DoctorArgs) -> Result<u8, CliError> {
    args.session.verbosity.start_logging();
    let report = examine(args);
    print(&if args.json {
        report.json()
    } else {
        report.words()
    })?;
    Ok(u8::from(!report.works))
}

/// Looks at everything that synthesis needs and tries it. Installs nothing.
pub fn examine(args: &DoctorArgs) -> Report {
    let mut report = Report::new();
    let runtime = load_runtime(&args.session, &mut report);
    let bundle = read_model(&args.session, &mut report);
    if let (Some(runtime), Some(bundle)) = (runtime, bundle) {
        let hidden = args.session.verbosity.quiet || args.json;
        match trial::run(bundle, &runtime, &args.session, hidden) {
            Ok(speed) => report.speed = Some(speed),
            Err(error) => report.problem(&error),
        }
    }
    report.works = report.speed.is_some();
    report
}

fn load_runtime(args: &SessionArgs, report: &mut Report) -> Option<Runtime> {
    if let Err(error) = threads::check(threads::of_model(args.engine.threads)) {
        report.problem(&error);
        return None;
    }
    match Runtime::load(&args.engine.library()) {
        Ok(runtime) => {
            report.tried = Place::list(runtime.attempts());
            report.runtime = Some(RuntimeReport::new(&runtime));
            report.gpu = Some(GpuReport::new(&runtime, &args.engine));
            Some(runtime)
        }
        Err(error) => {
            if let RuntimeError::Find(FindError::NotFound { attempts, .. }) = &error {
                report.tried = Place::list(attempts);
            }
            report.problem(&error);
            None
        }
    }
}

fn read_model(args: &SessionArgs, report: &mut Report) -> Option<Bundle> {
    match load_bundle(&args.model) {
        Ok(bundle) => {
            report.model = Some(ModelReport::new(&bundle, args.model.folder()));
            Some(bundle)
        }
        Err(error) => {
            report.problem(&error);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::EngineArgs;

    fn without_a_library() -> Report {
        let session = SessionArgs {
            engine: EngineArgs {
                ort_lib: Some("/no/such/libonnxruntime.so".into()),
                ..EngineArgs::default()
            },
            ..SessionArgs::default()
        };
        examine(&DoctorArgs {
            session,
            json: false,
        })
    }

    #[test]
    fn a_library_that_cannot_serve_is_a_problem_and_fails_the_report() {
        let report = without_a_library();
        assert!(!report.works);
        assert_eq!(report.problems.len(), 1);
        let text = report.words();
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
        let value: serde_json::Value = serde_json::from_str(&without_a_library().json()).unwrap();
        assert_eq!(value["works"], false);
        assert!(value["runtime"].is_null() && value["speed"].is_null());
        assert_eq!(value["model"]["name"], "default");
        assert!(value["processors"].as_u64().unwrap() > 0);
    }
}
