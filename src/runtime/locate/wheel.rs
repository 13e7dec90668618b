//! The official wheel that vocode installs, and the folders that hold what was installed.

/// The version that is installed.
pub const WHEEL_VERSION: &str = "1.31.1";

/// What the name of an installation for GPUs ends with.
pub(super) const GPU_SUFFIX: &str = "-gpu";

/// What an installation is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flavour {
    /// Processors alone: 30 MB.
    #[default]
    Cpu,
    /// NVIDIA GPUs too, with the CUDA libraries that they need: 3 GB.
    Gpu,
}

impl Flavour {
    /// The folder of the installation, below the one for all of them.
    pub(in crate::runtime) fn folder(self) -> String {
        match self {
            Flavour::Cpu => WHEEL_VERSION.to_owned(),
            Flavour::Gpu => format!("{WHEEL_VERSION}{}", GPU_SUFFIX),
        }
    }
}
