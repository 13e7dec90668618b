//! `vocode setup`, and the ONNX Runtime of every other command.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::args::{EngineArgs, Verbosity};
use super::error::CliError;
use super::interrupt::{self, Watch};
use super::output::say;
use super::threads;
use crate::runtime::{
    Flavour, Installed, Runtime, Search, SetupError, SetupEvent, SetupPolicy, data_folder, install,
    install_from,
};
use crate::text::visible;

/// Arguments of `vocode setup`.
#[derive(Args, Clone, Debug, Default)]
pub struct SetupArgs {
    /// Get the build for NVIDIA GPUs and the CUDA libraries that it needs: 3 GB instead of 30 MB
    #[arg(long)]
    pub(super) gpu: bool,
    /// A wheel of ONNX Runtime that is there already, instead of the network and Python; with --gpu again for each wheel of CUDA's libraries
    #[arg(long, value_name = "WHEEL")]
    from: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) verbosity: Verbosity,
}

/// Gets ONNX Runtime into vocode's data folder.
///
/// # Errors
/// A [`SetupError`], with the way out, or an interruption.
pub fn run(args: &SetupArgs) -> Result<(), CliError> {
    let mut announcer = Announcer::new(args.verbosity.quiet);
    let flavour = if args.gpu { Flavour::Gpu } else { Flavour::Cpu };
    let folder = data_folder();
    let folder = folder.as_deref();
    let mut tell = |event: SetupEvent<'_>| announcer.tell(event);
    let installed = match args.from.as_slice() {
        [] => install(flavour, folder, &mut tell),
        wheels => install_from(flavour, wheels, folder, &mut tell),
    };
    let installed = installed.map_err(|error| match error {
        SetupError::Cancelled => CliError::Interrupted,
        other => other.into(),
    })?;
    if installed.was_there {
        announcer.say(&format!(
            "ONNX Runtime {} is there already: {}",
            installed.version,
            installed.library.display()
        ));
    }
    if let Some((origin, path)) = Search::from_process(None).named.first() {
        announcer.say(&format!(
            "note: {origin} is set, so {} is used instead",
            path.display()
        ));
    }
    Ok(())
}

/// The ONNX Runtime for a command: found, or installed first where that is allowed (see [`SetupPolicy`]).
///
/// # Errors
/// A [`RuntimeError`](crate::runtime::RuntimeError) that names every place that was tried, or what went wrong in getting it; [`CliError::Threads`].
pub fn load_runtime(engine: &EngineArgs, quiet: bool) -> Result<Runtime, CliError> {
    threads::check(threads::of_model(engine.threads))?;
    let mut announcer = Announcer::new(quiet);
    let policy = SetupPolicy::from_process();
    let runtime = Runtime::load_or_install(&engine.library(), policy, &mut |event| {
        announcer.tell(event)
    })?;
    Ok(runtime)
}

/// Tells on stderr what an installation does: a line that moves on a terminal, plain lines elsewhere.
struct Announcer {
    quiet: bool,
    line: ProgressBar,
    watch: Option<Watch>,
}

impl Announcer {
    fn new(quiet: bool) -> Self {
        Self {
            quiet,
            line: ProgressBar::hidden(),
            watch: None,
        }
    }

    /// While an installation goes on, signals are heard here.
    fn tell(&mut self, event: SetupEvent<'_>) -> ControlFlow<()> {
        self.watch.get_or_insert_with(Watch::start);
        match event {
            SetupEvent::Waiting => {
                self.start("waiting for another vocode that is getting ONNX Runtime")
            }
            SetupEvent::Fetching { version, folder } => {
                self.say(&format!(
                    "getting ONNX Runtime {version}, once, into {}",
                    folder.display()
                ));
                self.start("asking the package index");
            }
            SetupEvent::Detail(line) => {
                tracing::info!("setup: {line}");
                self.line.set_message(visible(line).into_owned());
            }
            SetupEvent::Working => {}
            SetupEvent::Checking => self.line.set_message("checking that it loads"),
            SetupEvent::Done(installed) => self.finish(installed),
        }
        interrupt::go_on()
    }

    /// Shows the moving line; indicatif draws nothing where stderr is no terminal.
    fn start(&mut self, message: &str) {
        if self.quiet {
            return;
        }
        self.line.finish_and_clear();
        self.line = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
            self.line.set_style(style);
        }
        self.line.set_message(message.to_owned());
        self.line.enable_steady_tick(Duration::from_millis(120));
    }

    fn finish(&mut self, installed: &Installed) {
        self.watch = None;
        self.line.finish_and_clear();
        if !installed.was_there {
            self.say(&format!(
                "ONNX Runtime {} is ready: {}",
                installed.version,
                installed.library.display()
            ));
        }
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            self.line.suspend(|| say(text));
        }
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        self.line.finish_and_clear();
    }
}
