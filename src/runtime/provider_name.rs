//! Execution providers: which device runs the graphs.
//!
//! A provider asked for by name runs the whole graph or is an error. `auto` takes the fastest that works, and says
//! through `tracing` and [`Graph::provider_note`](super::Graph::provider_note) why it took less.

use std::fmt;
use std::str::FromStr;

use ort::ep::{self, ExecutionProvider};

/// An execution provider by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Provider {
    /// TensorRT where it works, else CUDA where it works, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// NVIDIA CUDA.
    Cuda,
    /// NVIDIA TensorRT, with CUDA for what TensorRT leaves.
    TensorRt,
}

/// A provider name that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no execution provider is called `{found}`; choose one of {expected}", expected = Provider::NAMES.join(", "))]
pub struct UnknownProvider {
    /// The name given.
    pub found: String,
}

impl Provider {
    /// The names that [`Provider::from_str`] takes.
    pub const NAMES: [&'static str; 4] = ["auto", "cpu", "cuda", "tensorrt"];

    /// The name as it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Provider::Auto => "auto",
            Provider::Cpu => "cpu",
            Provider::Cuda => "cuda",
            Provider::TensorRt => "tensorrt",
        }
    }

    /// Whether the loaded library was built with this provider. Does not say that it works on this machine.
    pub(super) fn is_in_library(self) -> bool {
        match self {
            Provider::Auto | Provider::Cpu => ep::CPU::is_available(),
            Provider::Cuda => ep::CUDA::is_available(),
            Provider::TensorRt => ep::TensorRT::is_available(),
        }
        .unwrap_or(false)
    }

    /// ONNX Runtime's name of the provider; the CPU's for `auto`.
    pub(super) fn ort_name(self) -> &'static str {
        match self {
            Provider::Auto | Provider::Cpu => ep::CPU::NAME,
            Provider::Cuda => ep::CUDA::NAME,
            Provider::TensorRt => ep::TensorRT::NAME,
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let all = [
            Provider::Auto,
            Provider::Cpu,
            Provider::Cuda,
            Provider::TensorRt,
        ];
        all.into_iter()
            .find(|provider| provider.name() == name)
            .ok_or_else(|| UnknownProvider {
                found: name.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for name in Provider::NAMES {
            assert_eq!(name.parse::<Provider>().unwrap().to_string(), name);
        }
        let error = "gpu".parse::<Provider>().unwrap_err().to_string();
        assert!(
            error.contains("`gpu`") && error.contains("auto, cpu, cuda, tensorrt"),
            "{error}"
        );
    }
}
