//! What ONNX Runtime's GPU providers are told of the options, in its own words.

use ort::ep::{self, ArbitrarilyConfigurableExecutionProvider, ExecutionProviderDispatch};

use super::options::GpuOptions;
use super::profile::Profile;

/// Settings of a provider, as ONNX Runtime names and writes them.
pub(in crate::runtime) type Settings = Vec<(&'static str, String)>;

impl GpuOptions {
    /// The CUDA provider's settings.
    ///
    /// Convolutions are chosen by heuristics, as a search would be made again for each new shape; one-dimensional ones are laid out as
    /// `[N, C, 1, D]`, which is faster on recent devices.
    pub(in crate::runtime) fn cuda(&self) -> Settings {
        let mut settings = vec![
            ("device_id", self.device.to_string()),
            ("cudnn_conv_algo_search", "HEURISTIC".to_owned()),
            ("cudnn_conv1d_pad_to_nc1d", "1".to_owned()),
            ("arena_extend_strategy", "kSameAsRequested".to_owned()),
            ("use_tf32", flag(self.tf32)),
        ];
        if let Some(bytes) = self.memory_limit {
            settings.push(("gpu_mem_limit", bytes.to_string()));
        }
        settings
    }

    /// The TensorRT provider's settings: engines for the shapes of `profile`, kept in `folder`.
    pub(in crate::runtime) fn tensorrt(
        &self,
        profile: Option<&Profile>,
        folder: Option<&str>,
    ) -> Settings {
        let mut settings = vec![
            ("device_id", self.device.to_string()),
            ("trt_fp16_enable", flag(self.fp16)),
            // Sums over channels lose too much in half precision.
            ("trt_layer_norm_fp32_fallback", flag(self.fp16)),
        ];
        if let Some(bytes) = self.memory_limit {
            settings.push(("trt_max_workspace_size", bytes.to_string()));
        }
        if let Some(profile) = profile {
            let [least, usual, most] = profile.words();
            settings.extend([
                ("trt_profile_min_shapes", least),
                ("trt_profile_opt_shapes", usual),
                ("trt_profile_max_shapes", most),
            ]);
        }
        if let Some(folder) = folder {
            settings.extend([
                ("trt_engine_cache_enable", flag(true)),
                ("trt_engine_cache_path", folder.to_owned()),
                ("trt_timing_cache_enable", flag(true)),
                ("trt_timing_cache_path", folder.to_owned()),
            ]);
        }
        settings
    }
}

/// CUDA's provider, to be registered with `settings` or fail.
pub(in crate::runtime) fn cuda(settings: Settings) -> ExecutionProviderDispatch {
    configured(ep::CUDA::default(), settings)
        .build()
        .error_on_failure()
}

/// TensorRT's provider, to be registered with `settings` or fail.
pub(in crate::runtime) fn tensorrt(settings: Settings) -> ExecutionProviderDispatch {
    configured(ep::TensorRT::default(), settings)
        .build()
        .error_on_failure()
}

fn configured<E: ArbitrarilyConfigurableExecutionProvider>(provider: E, settings: Settings) -> E {
    settings
        .into_iter()
        .fold(provider, |provider, (key, value)| {
            provider.with_arbitrary_config(key, value)
        })
}

fn flag(on: bool) -> String {
    if on { "1" } else { "0" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::profile::InputProfile;
    use super::*;

    fn value<'a>(settings: &'a Settings, key: &str) -> Option<&'a str> {
        let found = settings.iter().find(|(name, _)| *name == key);
        found.map(|(_, value)| value.as_str())
    }

    #[test]
    fn cuda_is_told_not_to_search_and_not_to_round() {
        let settings = GpuOptions::default().cuda();
        assert_eq!(value(&settings, "device_id"), Some("0"));
        assert_eq!(
            value(&settings, "cudnn_conv_algo_search"),
            Some("HEURISTIC")
        );
        assert_eq!(value(&settings, "cudnn_conv1d_pad_to_nc1d"), Some("1"));
        assert_eq!(value(&settings, "use_tf32"), Some("0"));
        assert_eq!(value(&settings, "gpu_mem_limit"), None);
        let asked = GpuOptions {
            device: 3,
            tf32: true,
            memory_limit: Some(2 << 30),
            ..GpuOptions::default()
        };
        let settings = asked.cuda();
        assert_eq!(value(&settings, "device_id"), Some("3"));
        assert_eq!(value(&settings, "use_tf32"), Some("1"));
        assert_eq!(value(&settings, "gpu_mem_limit"), Some("2147483648"));
    }

    #[test]
    fn tensorrt_gets_its_profile_and_its_folder() {
        let profile = Profile {
            inputs: vec![InputProfile {
                name: "x".to_owned(),
                least: vec![1, 256],
                usual: vec![1, 512],
                most: vec![8, 1024],
            }],
        };
        let options = GpuOptions {
            fp16: true,
            ..GpuOptions::default()
        };
        let settings = options.tensorrt(Some(&profile), Some("engines/a"));
        assert_eq!(value(&settings, "trt_fp16_enable"), Some("1"));
        assert_eq!(value(&settings, "trt_profile_min_shapes"), Some("x:1x256"));
        assert_eq!(value(&settings, "trt_profile_opt_shapes"), Some("x:1x512"));
        assert_eq!(value(&settings, "trt_profile_max_shapes"), Some("x:8x1024"));
        assert_eq!(value(&settings, "trt_engine_cache_path"), Some("engines/a"));
        let bare = GpuOptions::default().tensorrt(None, None);
        assert_eq!(value(&bare, "trt_fp16_enable"), Some("0"));
        assert_eq!(value(&bare, "trt_engine_cache_enable"), None);
    }
}
