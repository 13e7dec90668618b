//! What the denoiser multiplies in, on a CPU: floats, or the 8-bit integers of a bundle that has a graph for them.

use std::fmt;
use std::str::FromStr;

/// What the denoiser multiplies in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Integers where the bundle has them, the CPU runs it, and this processor multiplies them faster than floats; else floats.
    #[default]
    Auto,
    /// 32-bit floats.
    Float,
    /// 8-bit integers, on the CPU alone.
    Int8,
}

/// The name of a precision that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no precision is called `{found}`; choose one of {expected}", expected = Precision::NAMES.join(", "))]
pub struct UnknownPrecision {
    /// The name given.
    pub found: String,
}

impl Precision {
    /// The names that [`Precision::from_str`] takes.
    pub const NAMES: [&'static str; 3] = ["auto", "float", "int8"];

    /// The name as it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Auto => "auto",
            Precision::Float => "float",
            Precision::Int8 => "int8",
        }
    }

    /// Whether this processor is faster with the denoiser's integers than with floats: an x86 with AVX2, for which our kernels are compiled too, an
    /// ARM with its dot product. On two cores of Zen 3, which has no VNNI, integers take about six tenths of the time (`models/README.md`).
    pub fn integers_are_fast() -> bool {
        #[cfg(target_arch = "x86_64")]
        return std::is_x86_feature_detected!("avx2");
        #[cfg(target_arch = "aarch64")]
        return std::arch::is_aarch64_feature_detected!("dotprod");
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        return false;
    }

    /// Whether this processor adds up products of bytes in one instruction, without an intermediate sum of 16 bits: VNNI of x86. False on
    /// all others, where ONNX Runtime does not look at the setting that this decides.
    pub(super) fn has_vnni() -> bool {
        #[cfg(target_arch = "x86_64")]
        return std::is_x86_feature_detected!("avx512vnni")
            || std::is_x86_feature_detected!("avxvnni");
        #[cfg(not(target_arch = "x86_64"))]
        return false;
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Precision::Auto, Precision::Float, Precision::Int8]
            .into_iter()
            .find(|precision| precision.name() == name)
            .ok_or_else(|| UnknownPrecision {
                found: name.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for name in Precision::NAMES {
            assert_eq!(name.parse::<Precision>().unwrap().to_string(), name);
        }
        let error = "fp16".parse::<Precision>().unwrap_err().to_string();
        assert!(
            error.contains("`fp16`") && error.contains("auto, float, int8"),
            "{error}"
        );
    }
}
