//! The one ONNX Runtime of this process.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;

use super::error::{Cause, RuntimeError};
use super::locate::{Attempt, FindError, Flavour, Found, Origin, Search, data_folder};
use super::provider::Nvidia;
use super::provider_name::Provider;
use super::setup::{OnSetupEvent, SetupPolicy, install, offline};
use crate::setters::setters;

/// What to load.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LoadOptions {
    /// A library file, or a folder that holds one. It is used or is an error.
    pub library: Option<PathBuf>,
}

setters!(LoadOptions {
    library: Option<PathBuf>,
});

/// A loaded ONNX Runtime. Cheap to clone.
///
/// ONNX Runtime allows one environment in a process, for as long as the process lives. Loading again gives the same
/// runtime back; naming another library then is an error.
#[derive(Clone, Debug)]
pub struct Runtime(Arc<Loaded>);

#[derive(Debug)]
struct Loaded {
    environment: Environment,
    library: PathBuf,
    version: String,
    origin: Origin,
    attempts: Vec<Attempt>,
    nvidia: OnceLock<Nvidia>,
}

static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

impl Runtime {
    /// Finds the library (see [`Search`]) and starts it. Installs nothing.
    ///
    /// # Errors
    /// [`RuntimeError::Find`], [`RuntimeError::AlreadyLoaded`] or
    /// [`RuntimeError::Start`].
    pub fn load(options: &LoadOptions) -> Result<Runtime, RuntimeError> {
        Self::load_or_install(options, SetupPolicy::Never, &mut |_| {
            ControlFlow::Continue(())
        })
    }

    /// As [`Runtime::load`], and where no library is found and `policy` allows it, installs one first.
    /// `on_event` is told what is going on, and can end it.
    ///
    /// # Errors
    /// Those of [`Runtime::load`], and [`RuntimeError::Setup`].
    pub fn load_or_install(
        options: &LoadOptions,
        policy: SetupPolicy,
        on_event: &mut OnSetupEvent<'_>,
    ) -> Result<Runtime, RuntimeError> {
        // The slot is only written as a whole, so a panic elsewhere cannot have left it half-made.
        let mut slot = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*slot {
            return runtime.clone().unless_another(options);
        }
        let search = Search::from_process(options.library.as_deref());
        let found = match search.find() {
            Err(FindError::NotFound { .. }) if policy.allows() => {
                install(Flavour::Cpu, search.data_folder.as_deref(), on_event)?;
                search.find()?
            }
            Err(FindError::NotFound { attempts, .. }) => {
                let offline = offline();
                return Err(FindError::NotFound { attempts, offline }.into());
            }
            other => other?,
        };
        let runtime = start(found)?;
        *slot = Some(runtime.clone());
        Ok(runtime)
    }

    /// The library's version, such as `1.31.1`.
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// The library's file.
    pub fn library(&self) -> &Path {
        &self.0.library
    }

    /// Where the library was found.
    pub fn origin(&self) -> Origin {
        self.0.origin
    }

    /// Everything that was tried on the way to the library, which comes last.
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.attempts
    }

    /// The execution providers that the library was built with, of those that vocode can use.
    pub fn providers(&self) -> Vec<Provider> {
        [Provider::Cpu, Provider::Cuda, Provider::TensorRt]
            .into_iter()
            .filter(|provider| provider.is_in_library())
            .collect()
    }

    /// What this machine has for NVIDIA's providers; looked at once.
    pub fn nvidia(&self) -> &Nvidia {
        let survey = || Nvidia::survey(self.library(), data_folder().as_deref());
        self.0.nvidia.get_or_init(survey)
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.0.environment
    }

    fn unless_another(self, options: &LoadOptions) -> Result<Runtime, RuntimeError> {
        match &options.library {
            Some(asked) if !self.is_at(asked) => Err(RuntimeError::AlreadyLoaded {
                loaded: self.0.library.clone(),
                asked: asked.clone(),
            }),
            _ => Ok(self),
        }
    }

    fn is_at(&self, asked: &Path) -> bool {
        let real = |path: &Path| std::fs::canonicalize(path).ok();
        let loaded = real(&self.0.library);
        loaded.is_some()
            && (loaded == real(asked)
                || (asked.is_dir() && self.0.library.parent().and_then(real) == real(asked)))
    }
}

/// Makes the found library the process's runtime: telemetry off, messages to `tracing`.
fn start(found: Found) -> Result<Runtime, RuntimeError> {
    let Found {
        origin,
        library,
        attempts,
    } = found;
    let failed = |source: Cause| RuntimeError::Start {
        path: library.path.clone(),
        source,
    };
    let environment = ort::init_from(&library.path)
        .map_err(|error| failed(error.into()))?
        .with_name("vocode")
        .with_telemetry(false)
        .build()
        .map_err(|error| failed(error.into()))?;
    environment.set_log_level(log_level());
    tracing::debug!(path = %library.path.display(), version = library.version, "ONNX Runtime loaded");
    let loaded = Loaded {
        environment,
        library: library.path.clone(),
        version: library.version.clone(),
        origin,
        attempts,
        nvidia: OnceLock::new(),
    };
    Ok(Runtime(Arc::new(loaded)))
}

/// ONNX Runtime formats a message for every node before `tracing` can drop it, so it is asked only for what is listened to.
fn log_level() -> LogLevel {
    if tracing::enabled!(target: "ort::logging", tracing::Level::TRACE) {
        LogLevel::Verbose
    } else if tracing::enabled!(target: "ort::logging", tracing::Level::INFO) {
        LogLevel::Info
    } else {
        LogLevel::Warning
    }
}
