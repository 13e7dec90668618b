//! The real outside of a choice of provider: this machine, its ONNX Runtime, and one graph.

use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ort::ep::ExecutionProviderDispatch;
use ort::session::Session;
use ort::session::builder::{AutoDevicePolicy, GraphOptimizationLevel, SessionBuilder};

use super::assignment::{self, RECORD};
use super::source::GraphSource;
use crate::hash::sha256;
use crate::runtime::environment::Runtime;
use crate::runtime::error::{Cause, RuntimeError};
use crate::runtime::locate::data_folder;
use crate::runtime::operators;
use crate::runtime::precision::Precision;
use crate::runtime::provider::{
    EngineFolder, EngineKey, EngineState, FallbackReason, Machine, Placement, SessionOptions,
    settings,
};
use crate::runtime::provider_name::Provider;

/// For x86 without VNNI, whose kernels for signed weights add pairs of products in 16 bits, which saturate: with this ONNX Runtime takes those for
/// unsigned ones, which are exact. Where there is VNNI it would only be slower.
const EXACT_INTEGERS: (&str, &str) = ("session.x64quantprecision", "1");

/// This machine, with a graph to be loaded on it.
pub(super) struct ThisMachine<'a> {
    pub runtime: &'a Runtime,
    pub source: &'a GraphSource<'a>,
    pub options: &'a SessionOptions,
}

impl Machine for ThisMachine<'_> {
    type Session = Session;

    fn fallback_reason(&mut self, provider: Provider) -> Option<FallbackReason> {
        if matches!(provider, Provider::Auto | Provider::Cpu) {
            return None;
        }
        let nvidia = self.runtime.nvidia();
        let found = nvidia.fallback_reason(provider, self.options.gpu.device);
        // The survey goes by files; the library itself has the last word.
        found.or_else(|| {
            (!provider.is_in_library()).then(|| FallbackReason {
                reasons: vec![format!("this ONNX Runtime was built without {provider}")],
                expected: true,
            })
        })
    }

    fn commit(&mut self, provider: Provider) -> Result<Session, Cause> {
        match provider {
            Provider::Auto | Provider::Cpu => self.load_on_cpu(),
            Provider::Cuda => {
                self.runtime.nvidia().preload(provider)?;
                self.load_on_gpu(vec![settings::cuda(self.options.gpu.cuda())])
            }
            Provider::TensorRt => {
                // Before TensorRT is asked for its version.
                self.runtime.nvidia().preload(provider)?;
                match self.engines()? {
                    Some((folder, key)) => self.load_cached(&folder, &key),
                    None => self.load_tensorrt(None),
                }
            }
        }
    }

    fn placement(&self, session: &Session) -> Result<Placement, Cause> {
        assignment::placement(session)
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

    fn load(&self, mut builder: SessionBuilder) -> Result<Session, Cause> {
        Ok(builder.commit_from_memory(self.source.bytes)?)
    }

    /// Loads the graph with our own kernels for the operators that have some.
    fn load_on_cpu(&self) -> Result<Session, Cause> {
        /// Whether ONNX Runtime knows our operators' domain. It keeps the domains of a process in one list, to which two first sessions at once
        /// would both add it: one of them would fail.
        static DOMAIN_IS_KNOWN: Mutex<bool> = Mutex::new(false);

        let graph = operators::with_kernels(self.source.bytes);
        let load = || -> ort::Result<Session> {
            let mut builder = self.builder()?.with_operators(operators::domain()?)?;
            if !Precision::has_vnni() {
                builder = builder.with_config_entry(EXACT_INTEGERS.0, EXACT_INTEGERS.1)?;
            }
            builder.commit_from_memory(&graph)
        };
        let mut is_known = DOMAIN_IS_KNOWN
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *is_known {
            drop(is_known);
            return Ok(load()?);
        }
        let session = load()?;
        *is_known = true;
        Ok(session)
    }

    /// Loads the graph on these providers, the first before the rest. What they leave goes to the CPU, and is judged by the placement:
    /// `session.disable_cpu_ep_fallback` would refuse the computation of shapes too, which ONNX Runtime itself keeps there.
    fn load_on_gpu(&self, providers: Vec<ExecutionProviderDispatch>) -> Result<Session, Cause> {
        let builder = || -> ort::Result<SessionBuilder> {
            Ok(self.builder()?.with_execution_providers(providers)?)
        };
        self.load(builder()?)
    }

    /// Loads the graph with the engines that `folder` keeps, or is to keep. Kept ones that TensorRT refuses are built again.
    fn load_cached(&self, folder: &EngineFolder, key: &EngineKey) -> Result<Session, Cause> {
        let graph = self.source.label;
        let path = folder.path.to_string_lossy();
        let failed = |source: std::io::Error| RuntimeError::EngineCache {
            path: folder.path.clone(),
            source,
        };
        let is_kept = folder.state == EngineState::Kept;
        let load = || self.load_tensorrt(Some(&path));
        let built = || patiently(graph, load);
        let session = match if is_kept { load() } else { built() } {
            Err(reason) if is_kept => {
                tracing::warn!(graph, %path, %reason, "TensorRT's engines are of no use and are built again");
                folder.empty().map_err(failed)?;
                built()?
            }
            other => other?,
        };
        folder.finish(key).map_err(failed)?;
        Ok(session)
    }

    fn load_tensorrt(&self, folder: Option<&str>) -> Result<Session, Cause> {
        // The workspace and the arena of the provider beside it count together.
        let gpu = self.options.gpu.share(2);
        let told = gpu.tensorrt(self.source.profile, folder);
        let both = vec![settings::tensorrt(told), settings::cuda(gpu.cuda())];
        self.load_on_gpu(both)
    }

    /// The folder of the graph's engines, and what they are for; `None` where there is no telling.
    fn engines(&self) -> Result<Option<(EngineFolder, EngineKey)>, RuntimeError> {
        let graph = self.source.label;
        let (Some(root), Some(key)) = (self.engine_root(), self.engine_key()) else {
            tracing::warn!(
                graph,
                "TensorRT's engines are not kept: no telling what they are good for, or where to"
            );
            return Ok(None);
        };
        let failed = |source| RuntimeError::EngineCache {
            path: root.clone(),
            source,
        };
        let wait = || {
            tracing::warn!(
                graph,
                "another process works on TensorRT's engines; this one waits"
            )
        };
        let folder = EngineFolder::prepare(&root, &key, wait).map_err(failed)?;
        let path = folder.path.display();
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
        Ok(Some((folder, key)))
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

/// Does `work` and tells every few seconds that it goes on.
fn patiently<T>(graph: &str, work: impl FnOnce() -> T) -> T {
    const EVERY: Duration = Duration::from_secs(10);
    let (done, is_done) = mpsc::channel::<()>();
    let began = Instant::now();
    thread::scope(|scope| {
        scope.spawn(move || {
            while is_done.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let seconds = began.elapsed().as_secs();
                tracing::warn!(graph, seconds, "TensorRT is building engines");
            }
        });
        let result = work();
        drop(done);
        result
    })
}
