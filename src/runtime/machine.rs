//! The real outside of a choice of provider: this machine, its ONNX Runtime, and one graph.

use std::path::PathBuf;

use ort::ep::ExecutionProviderDispatch;
use ort::session::Session;
use ort::session::builder::{AutoDevicePolicy, GraphOptimizationLevel, SessionBuilder};

use super::choice::{Machine, Obstacle};
use super::engine_cache::{EngineFolder, EngineKey, EngineState};
use super::environment::Runtime;
use super::error::RuntimeError;
use super::options::SessionOptions;
use super::placement::{Placement, RECORD};
use super::places::data_folder;
use super::provider::{self, Provider};
use super::session::GraphSource;
use crate::hash::sha256;

/// This machine, with a graph to be loaded on it.
pub(super) struct ThisMachine<'a> {
    pub runtime: &'a Runtime,
    pub source: &'a GraphSource<'a>,
    pub options: &'a SessionOptions,
    /// Whether the last session that was made replays its bound runs.
    pub replays: bool,
}

impl Machine for ThisMachine<'_> {
    type Session = Session;

    fn obstacle(&mut self, provider: Provider) -> Option<Obstacle> {
        if matches!(provider, Provider::Auto | Provider::Cpu) {
            return None;
        }
        let nvidia = self.runtime.nvidia();
        let found = nvidia.obstacle(provider, self.options.gpu.device);
        // The survey goes by files; the library itself has the last word.
        found.or_else(|| {
            (!provider.is_in_library()).then(|| Obstacle {
                reasons: vec![format!("this ONNX Runtime was built without {provider}")],
                expected: true,
            })
        })
    }

    fn commit(&mut self, provider: Provider) -> Result<Session, String> {
        self.replays = false;
        match provider {
            Provider::Auto | Provider::Cpu => {
                let builder = self.builder().map_err(|error| error.to_string())?;
                self.load(builder)
            }
            Provider::Cuda => {
                let cuda = |replays| provider::cuda(self.options.gpu.cuda(replays));
                if self.source.bound {
                    match self.load_on_gpu(provider, vec![cuda(true)]) {
                        Ok(session) => {
                            self.replays = true;
                            return Ok(session);
                        }
                        Err(reason) => tracing::warn!(
                            graph = self.source.label,
                            reason,
                            "CUDA cannot replay the runs of this graph; it launches each anew"
                        ),
                    }
                }
                self.load_on_gpu(provider, vec![cuda(false)])
            }
            Provider::TensorRt => {
                let folder = self.engines().map_err(|error| error.to_string())?;
                let folder = folder.map(|folder| folder.path.to_string_lossy().into_owned());
                let gpu = &self.options.gpu;
                let settings = gpu.tensorrt(self.source.profile, folder.as_deref());
                let both = vec![
                    provider::tensorrt(settings),
                    provider::cuda(gpu.cuda(false)),
                ];
                self.load_on_gpu(provider, both)
            }
        }
    }

    fn placement(&self, session: &Session) -> Result<Placement, String> {
        Placement::of(session)
    }
}

impl ThisMachine<'_> {
    fn builder(&self) -> ort::Result<SessionBuilder> {
        Ok(Session::builder(self.runtime.environment())?
            // Otherwise a device policy may register an accelerator that nobody asked for.
            .with_auto_device(AutoDevicePolicy::PreferCPU)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(self.options.thread_count())?
            .with_memory_pattern(false)?
            .with_intra_op_spinning(false)?
            .with_config_entry(RECORD.0, RECORD.1)?)
    }

    fn load(&self, mut builder: SessionBuilder) -> Result<Session, String> {
        builder
            .commit_from_memory(self.source.bytes)
            .map_err(|error| error.to_string())
    }

    /// Loads the graph so that these providers, `first` before the rest, take every node or loading fails.
    fn load_on_gpu(
        &self,
        first: Provider,
        providers: Vec<ExecutionProviderDispatch>,
    ) -> Result<Session, String> {
        self.runtime.nvidia().preload(first)?;
        let strict = || -> ort::Result<SessionBuilder> {
            Ok(self
                .builder()?
                .with_execution_providers(providers)?
                .with_disable_cpu_fallback()?)
        };
        self.load(strict().map_err(|error| error.to_string())?)
    }

    /// The folder of the graph's engines; `None` where there is no telling what they are good for.
    fn engines(&self) -> Result<Option<EngineFolder>, RuntimeError> {
        let (Some(root), Some(key)) = (self.engine_root(), self.engine_key()) else {
            return Ok(None);
        };
        let failed = |source| RuntimeError::EngineCache {
            path: root.clone(),
            source,
        };
        let folder = EngineFolder::prepare(&root, &key).map_err(failed)?;
        let (graph, path) = (self.source.label, folder.path.display());
        match &folder.state {
            EngineState::Kept => tracing::debug!(graph, %path, "TensorRT's engines are there"),
            EngineState::New => {
                tracing::warn!(graph, %path, "TensorRT builds its engines, once; this takes minutes");
            }
            EngineState::Stale { changed } => tracing::warn!(
                graph,
                %path,
                changed = changed.join(", "),
                "TensorRT's engines do not fit any more and are built again; this takes minutes"
            ),
        }
        Ok(Some(folder))
    }

    fn engine_root(&self) -> Option<PathBuf> {
        let asked = self.options.gpu.engine_cache.clone();
        asked.or_else(|| data_folder().map(|folder| folder.join("engines")))
    }

    fn engine_key(&self) -> Option<EngineKey> {
        let nvidia = self.runtime.nvidia();
        let driver = nvidia.driver.as_ref().ok()?;
        let device = driver.devices.get(self.options.gpu.device as usize)?;
        Some(EngineKey {
            graph: sha256(self.source.bytes),
            tensorrt: nvidia.tensorrt_version()?,
            onnxruntime: self.runtime.version().to_owned(),
            driver: driver.version.clone(),
            device: device.name.clone(),
            fp16: self.options.gpu.fp16,
            profile: self.source.profile?.clone(),
        })
    }
}
