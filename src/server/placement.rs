//! Where single models run.

use std::path::PathBuf;
use std::str::FromStr;

use bytesize::ByteSize;

use crate::runtime::{Provider, SessionOptions};

/// Where one model runs, and what its provider is told: `NAME=PROVIDER[:DEVICE][,SETTING]...`.
///
/// What is not said is as for the other models, as far as the provider takes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelProvider {
    /// The model's name.
    pub model: String,
    /// The execution provider.
    pub provider: Provider,
    /// The GPU's number.
    pub device: Option<u32>,
    /// Half precision.
    pub fp16: bool,
    /// TF32.
    pub tf32: bool,
    /// Most bytes of the provider's memory.
    pub memory_limit: Option<u64>,
    /// Folder of TensorRT's engines.
    pub engine_cache: Option<PathBuf>,
}

const EXPECTED: &str = "expected NAME=PROVIDER or NAME=PROVIDER:DEVICE, such as fast=cuda:1";
const SETTINGS: &str = "fp16, tf32, memory-limit=SIZE and engine-cache=DIR";

impl ModelProvider {
    /// Changes what holds for all models to what holds for this one.
    pub(super) fn apply(&self, session: &mut SessionOptions) {
        session.provider = self.provider;
        session.gpu = session.gpu.for_provider(self.provider);
        let gpu = &mut session.gpu;
        gpu.device = self.device.unwrap_or(gpu.device);
        gpu.fp16 |= self.fp16;
        gpu.tf32 |= self.tf32;
        gpu.memory_limit = self.memory_limit.or(gpu.memory_limit);
        gpu.engine_cache = self.engine_cache.clone().or(gpu.engine_cache.take());
    }

    fn set(&mut self, setting: &str) -> Result<(), String> {
        match setting.split_once('=').unwrap_or((setting, "")) {
            ("fp16", "") => self.fp16 = true,
            ("tf32", "") => self.tf32 = true,
            ("memory-limit", size) => {
                let size = size.parse::<ByteSize>();
                let size = size.map_err(|e| format!("{setting}: {e}, as in memory-limit=2GiB"))?;
                self.memory_limit = Some(size.as_u64());
            }
            ("engine-cache", folder) if !folder.is_empty() => {
                self.engine_cache = Some(folder.into());
            }
            _ => return Err(format!("{setting} is no setting; there are {SETTINGS}")),
        }
        Ok(())
    }
}

impl FromStr for ModelProvider {
    type Err = String;

    fn from_str(text: &str) -> Result<ModelProvider, String> {
        let (model, place) = text
            .split_once('=')
            .filter(|(model, _)| !model.is_empty())
            .ok_or(EXPECTED)?;
        let mut words = place.split(',');
        let place = words.next().unwrap_or_default();
        let (provider, device) = match place.split_once(':') {
            Some((provider, device)) => (provider, Some(device)),
            None => (place, None),
        };
        let number = |device: &str| {
            let refused = |_| format!("{device} is no number of a GPU");
            device.parse().map_err(refused)
        };
        let provider: Provider = provider.parse().map_err(|e| format!("{e}"))?;
        if provider == Provider::Cpu && device.is_some() {
            return Err("cpu takes no device".to_owned());
        }
        let mut placed = ModelProvider {
            model: model.to_owned(),
            provider,
            device: device.map(number).transpose()?,
            ..ModelProvider::default()
        };
        words.try_for_each(|setting| placed.set(setting))?;
        Ok(placed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::GpuOptions;

    fn read(text: &str) -> Result<ModelProvider, String> {
        text.parse()
    }

    #[test]
    fn a_model_runs_where_it_is_placed() {
        let placed = read("fast=cuda:1").unwrap();
        assert_eq!((placed.provider, placed.device), (Provider::Cuda, Some(1)));
        assert_eq!(read("a=cpu").unwrap().device, None);
        let placed = read("a=tensorrt,fp16,memory-limit=2GiB,engine-cache=e/f").unwrap();
        assert_eq!((placed.fp16, placed.tf32), (true, false));
        assert_eq!(placed.memory_limit, Some(2 << 30));
        assert_eq!(placed.engine_cache, Some("e/f".into()));
        for (bad, word) in [
            ("cuda", "NAME=PROVIDER"),
            ("=cuda", "NAME=PROVIDER"),
            ("a=gpu", "auto, cpu, cuda, tensorrt"),
            ("a=cuda:x", "x is no number"),
            ("a=cpu:0", "no device"),
            ("a=cuda,fast", "fast is no setting"),
            ("a=cuda,fp16=1", "fp16=1 is no setting"),
            ("a=cuda,memory-limit=much", "memory-limit=2GiB"),
            ("a=tensorrt,engine-cache", "no setting"),
        ] {
            let message = read(bad).unwrap_err();
            assert!(message.contains(word), "{bad}: {message}");
        }
    }

    #[test]
    fn what_its_provider_does_not_take_is_not_handed_on() {
        let all = SessionOptions {
            provider: Provider::TensorRt,
            gpu: GpuOptions {
                device: 1,
                fp16: true,
                memory_limit: Some(7),
                engine_cache: Some("e".into()),
                ..GpuOptions::default()
            },
            ..SessionOptions::default()
        };
        let placed = |text: &str| {
            let mut session = all.clone();
            read(text).unwrap().apply(&mut session);
            session.check().map(|()| session.gpu)
        };
        assert_eq!(placed("a=cpu").unwrap(), GpuOptions::default());
        let on_cuda = GpuOptions {
            device: 1,
            memory_limit: Some(7),
            ..GpuOptions::default()
        };
        assert_eq!(placed("a=cuda").unwrap(), on_cuda);
        let own = placed("a=tensorrt:0,memory-limit=9").unwrap();
        assert_eq!((own.device, own.memory_limit), (0, Some(9)));
        assert!(own.fp16);
        let refused = placed("a=cuda,fp16").unwrap_err().to_string();
        assert!(refused.contains("`fp16` does nothing"), "{refused}");
    }
}
