//! How a graph is to be run, and what the GPU providers are told of it.

use std::path::PathBuf;

use crate::runtime::error::RuntimeError;
use crate::runtime::precision::Precision;
use crate::runtime::provider_name::Provider;
use crate::setters::setters;

/// More threads than any machine has; a larger number is a slip of the keyboard.
const MAX_THREADS: usize = 1024;

/// The processors that this process may use.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// How a graph is to be run.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SessionOptions {
    /// Threads for one operation, 1 to 1024; all the processors that this process may use when `None`.
    pub threads: Option<usize>,
    /// The device.
    pub provider: Provider,
    /// What the denoiser multiplies in.
    pub precision: Precision,
    /// What the GPU providers are told; without effect on the CPU.
    pub gpu: GpuOptions,
    /// Give the graphs windows of a few sizes alone on the CPU too, as GPU providers are given them always. It changes nothing but the time.
    pub planned_sizes: bool,
}

setters!(SessionOptions {
    threads: Option<usize>,
    provider: Provider,
    precision: Precision,
    gpu: GpuOptions,
    planned_sizes: bool,
});

/// What the GPU providers are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GpuOptions {
    /// The GPU's number, from 0.
    pub device: u32,
    /// TensorRT computes in half precision. The sampler's state stays in single precision.
    pub fp16: bool,
    /// CUDA multiplies in TF32: faster, with 10 bits of mantissa.
    pub tf32: bool,
    /// Most bytes of the GPU's memory that the graphs may take, all together: whoever loads several gives each its [share](GpuOptions::share).
    pub memory_limit: Option<u64>,
    /// Where TensorRT's engines are kept; vocode's data folder when `None`.
    pub engine_cache: Option<PathBuf>,
}

setters!(GpuOptions {
    device: u32,
    fp16: bool,
    tf32: bool,
    memory_limit: Option<u64>,
    engine_cache: Option<PathBuf>,
});

impl SessionOptions {
    /// The threads asked for, or the number of processors that this process may use.
    pub fn thread_count(&self) -> usize {
        self.threads
            .unwrap_or_else(|| processors().min(MAX_THREADS))
    }

    /// Refuses what no session can be made of: a senseless number of threads, and settings that the provider asked for by name would not
    /// hear of.
    ///
    /// # Errors
    /// [`RuntimeError::Threads`] or [`RuntimeError::Setting`].
    pub fn check(&self) -> Result<(), RuntimeError> {
        let found = self.thread_count();
        if !(1..=MAX_THREADS).contains(&found) {
            let most = MAX_THREADS;
            return Err(RuntimeError::Threads { found, most });
        }
        if self.provider == Provider::Auto {
            return Ok(());
        }
        let refused = |(setting, takers): (&'static str, &[Provider])| {
            let takers: Vec<_> = takers.iter().map(|taker| taker.name()).collect();
            RuntimeError::Setting {
                setting,
                provider: self.provider,
                takers: takers.join(" or "),
            }
        };
        self.gpu
            .not_of(self.provider)
            .next()
            .map_or(Ok(()), |setting| Err(refused(setting)))
    }

    /// The settings that were given and that `provider` does not hear of.
    pub(crate) fn without_effect_on(&self, provider: Provider) -> impl Iterator<Item = &str> {
        self.gpu.not_of(provider).map(|(setting, _)| setting)
    }
}

impl GpuOptions {
    /// The settings that were given and are not those of `provider`, with the providers whose they are.
    fn not_of(
        &self,
        provider: Provider,
    ) -> impl Iterator<Item = (&'static str, &'static [Provider])> {
        const BOTH: &[Provider] = &[Provider::Cuda, Provider::TensorRt];
        const TENSORRT: &[Provider] = &[Provider::TensorRt];
        [
            (self.device != 0, "device", BOTH),
            (self.fp16, "fp16", TENSORRT),
            (self.tf32, "tf32", BOTH),
            (self.memory_limit.is_some(), "memory_limit", BOTH),
            (self.engine_cache.is_some(), "engine_cache", TENSORRT),
        ]
        .into_iter()
        .filter(move |(given, _, takers)| *given && !takers.contains(&provider))
        .map(|(_, setting, takers)| (setting, takers))
    }

    /// The same for one of `parts` that keep to the memory limit together. They cannot lend each other what they do not use, as each session has an
    /// arena of its own.
    #[must_use]
    pub fn share(&self, parts: usize) -> GpuOptions {
        let parts = parts.max(1) as u64;
        GpuOptions {
            memory_limit: self.memory_limit.map(|bytes| (bytes / parts).max(1)),
            ..self.clone()
        }
    }

    /// The same without what `provider` does not hear of.
    #[must_use]
    pub fn for_provider(&self, provider: Provider) -> GpuOptions {
        match provider {
            Provider::Auto | Provider::TensorRt => self.clone(),
            Provider::Cuda => GpuOptions {
                fp16: false,
                engine_cache: None,
                ..self.clone()
            },
            Provider::Cpu => GpuOptions::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(provider: Provider, gpu: GpuOptions) -> Result<(), String> {
        let options = SessionOptions {
            provider,
            gpu,
            ..SessionOptions::default()
        };
        options.check().map_err(|error| error.to_string())
    }

    #[test]
    fn a_setting_that_the_named_provider_does_not_have_is_refused() {
        let fp16 = || GpuOptions {
            fp16: true,
            ..GpuOptions::default()
        };
        assert_eq!(with(Provider::TensorRt, fp16()), Ok(()));
        assert_eq!(with(Provider::Auto, fp16()), Ok(()));
        for provider in [Provider::Cpu, Provider::Cuda] {
            let message = with(provider, fp16()).unwrap_err();
            assert!(
                message.contains("`fp16`") && message.contains("tensorrt"),
                "{message}"
            );
        }
        let limit = GpuOptions {
            memory_limit: Some(1 << 30),
            ..GpuOptions::default()
        };
        assert_eq!(with(Provider::Cuda, limit.clone()), Ok(()));
        assert!(with(Provider::Cpu, limit).is_err());
    }

    #[test]
    fn shares_of_a_memory_limit_keep_to_it_together() {
        let limit = |bytes| GpuOptions {
            memory_limit: bytes,
            ..GpuOptions::default()
        };
        assert_eq!(limit(Some(7)).share(2), limit(Some(3)));
        // ONNX Runtime takes 0 for no limit.
        assert_eq!(limit(Some(1)).share(2), limit(Some(1)));
        assert_eq!(limit(Some(7)).share(0), limit(Some(7)));
        assert_eq!(limit(None).share(2), limit(None));
    }

    #[test]
    fn what_auto_was_told_in_vain_is_known() {
        let options = SessionOptions {
            gpu: GpuOptions {
                device: 1,
                fp16: true,
                ..GpuOptions::default()
            },
            ..SessionOptions::default()
        };
        let vain = |provider| options.without_effect_on(provider).collect::<Vec<_>>();
        assert_eq!(vain(Provider::Cpu), ["device", "fp16"]);
        assert_eq!(vain(Provider::Cuda), ["fp16"]);
        assert!(vain(Provider::TensorRt).is_empty());
        for provider in [Provider::Cpu, Provider::Cuda, Provider::TensorRt] {
            let gpu = options.gpu.for_provider(provider);
            let fitting = SessionOptions {
                gpu,
                ..options.clone()
            };
            assert_eq!(fitting.without_effect_on(provider).count(), 0);
        }
    }
}
