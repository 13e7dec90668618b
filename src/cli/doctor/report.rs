//! What the doctor found, for people and for programs.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::gpu::GpuReport;
use crate::bundle::Bundle;
use crate::cli::flags::with_flags;
use crate::cli::output::table;
use crate::runtime::{Attempt, Provider, Runtime, processors};
use crate::text::counted;

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
    /// What there is for a GPU.
    pub gpu: Option<GpuReport>,
    /// The model, where it could be read.
    pub model: Option<ModelReport>,
    /// The synthesis that was tried, where it came to its end.
    pub speed: Option<Speed>,
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

/// The model in use.
#[derive(Clone, Debug, Serialize)]
pub struct ModelReport {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The hash of its manifest, which names the whole of it.
    pub sha256: String,
    /// Its folder; `None` for one that is built in.
    pub folder: Option<PathBuf>,
}

/// One synthesis, measured.
#[derive(Clone, Debug, Serialize)]
pub struct Speed {
    /// Loading the model, which `seconds` leaves out.
    pub load_seconds: f64,
    /// Length of the audio made.
    pub audio_seconds: f64,
    /// Time taken.
    pub seconds: f64,
    /// Seconds taken for a second of audio.
    pub real_time_factor: f64,
    /// Denoising steps.
    pub steps: usize,
    /// Name of the schedule.
    pub schedule: String,
    /// The execution provider that ran the model.
    pub provider: String,
    /// What the denoiser multiplied in.
    pub precision: &'static str,
    /// Nodes of the denoiser by the provider that ran them.
    pub provider_nodes: BTreeMap<String, usize>,
    /// Threads that it was given.
    pub threads: usize,
}

impl Report {
    /// Notes what stands in the way.
    pub(super) fn problem(&mut self, error: &dyn Error) {
        self.problems
            .push(with_flags(&error.to_string()).into_owned());
    }

    pub(super) fn new() -> Report {
        Report {
            vocode: env!("CARGO_PKG_VERSION"),
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            processors: processors(),
            works: false,
            runtime: None,
            tried: Vec::new(),
            gpu: None,
            model: None,
            speed: None,
            problems: Vec::new(),
        }
    }

    pub(super) fn json(&self) -> String {
        // A struct of strings and numbers always serialises.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    pub(super) fn words(&self) -> String {
        let machine = format!("{}, {} processors", self.platform, self.processors);
        let mut rows = vec![("vocode", self.vocode.to_owned()), ("machine", machine)];
        if let Some(runtime) = &self.runtime {
            rows.push(("ONNX Runtime", runtime.version.clone()));
            rows.extend(self.tried.iter().map(|place| ("", place.verdict.clone())));
            rows.push(("providers", runtime.providers.join(", ")));
        }
        if let Some(gpu) = &self.gpu {
            rows.extend(gpu.rows());
        }
        if let Some(model) = &self.model {
            rows.push(("model", model.words()));
        }
        if let Some(speed) = &self.speed {
            rows.push(("loading", format!("{:.2} s", speed.load_seconds)));
            rows.push(("speed", speed.words()));
        }
        let problems = self.problems.iter().map(|text| ("PROBLEM", text.clone()));
        rows.extend(problems);
        let verdict = if self.works {
            "synthesis works"
        } else {
            "synthesis does not work"
        };
        rows.push(("verdict", verdict.to_owned()));
        table(&rows)
    }
}

impl RuntimeReport {
    pub(super) fn new(runtime: &Runtime) -> RuntimeReport {
        RuntimeReport {
            version: runtime.version().to_owned(),
            library: runtime.library().to_path_buf(),
            providers: runtime
                .providers()
                .into_iter()
                .map(Provider::name)
                .collect(),
        }
    }
}

impl Place {
    pub(super) fn list(attempts: &[Attempt]) -> Vec<Place> {
        let place = |attempt: &Attempt| Place {
            origin: attempt.origin.id(),
            path: attempt.path.clone(),
            ok: attempt.verdict.is_ok(),
            verdict: with_flags(&attempt.to_string()).into_owned(),
        };
        attempts.iter().map(place).collect()
    }
}

impl ModelReport {
    pub(super) fn new(bundle: &Bundle, folder: Option<&Path>) -> ModelReport {
        ModelReport {
            name: bundle.manifest.name.clone(),
            version: bundle.manifest.version.clone(),
            sha256: bundle.sha256.clone(),
            folder: folder.map(Path::to_owned),
        }
    }

    fn words(&self) -> String {
        let place = match &self.folder {
            Some(folder) => folder.display().to_string(),
            None => "built in".to_owned(),
        };
        format!(
            "{} {} ({place}), sha256 {}",
            self.name, self.version, self.sha256
        )
    }
}

impl Speed {
    fn words(&self) -> String {
        format!(
            "{:.2} s for {:.1} s of audio, real-time factor {:.3}, {}, {} {}, {}",
            self.seconds,
            self.audio_seconds,
            self.real_time_factor,
            counted(self.steps, "step"),
            self.provider,
            self.precision,
            counted(self.threads, "thread"),
        )
    }
}
