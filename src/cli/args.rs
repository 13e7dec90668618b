//! Flags that several commands share.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args};

/// How much is said on standard error.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Verbosity {
    /// Say nothing but errors
    #[arg(short, long, env = "VOCODE_QUIET", value_parser = FalseyValueParser::new(), conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more of what happens; twice for all of it
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

impl Verbosity {
    /// Starts logging to standard error. `VOCODE_LOG` takes the filter syntax of `tracing` and beats the flags.
    pub(super) fn start_logging(self) {
        let level = match (self.quiet, self.verbose) {
            (true, _) => "error",
            (false, 0) => "warn",
            (false, 1) => "vocode=info,warn",
            (false, 2) => "vocode=debug,info",
            _ => "trace",
        };
        let filter = tracing_subscriber::EnvFilter::try_from_env("VOCODE_LOG")
            .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
        // A second start in one process (tests) keeps the first.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .without_time()
            .try_init();
    }
}

/// Whether existing files may be replaced.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Overwrite {
    /// Replace files that exist already
    #[arg(short, long, env = "VOCODE_FORCE", value_parser = FalseyValueParser::new())]
    pub force: bool,
}

/// The model, which the commands that need only its description take alone.
#[derive(Args, Clone, Debug, Default)]
pub struct ModelArgs {
    /// Folder of the model (bundle.toml and its graphs) [default: the one built in]
    #[arg(long, env = "VOCODE_MODEL", value_name = "DIR")]
    pub model: Option<PathBuf>,
}
