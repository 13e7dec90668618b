//! NVIDIA's driver and its devices, as its management library tells them.

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use thiserror::Error;

/// A driver that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// Its version, such as `580.65.06`.
    pub version: String,
    /// The newest CUDA that it runs, as major and minor version.
    pub cuda: (i32, i32),
    /// The GPUs, by number.
    pub devices: Vec<Device>,
}

/// A GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its memory.
    pub memory_bytes: u64,
    /// Compute capability, major and minor.
    pub compute: (i32, i32),
}

/// Why there is no driver to use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DriverError {
    /// Its library is not on this machine.
    #[error("no NVIDIA driver was found")]
    Missing,
    /// It does not work.
    #[error("the NVIDIA driver does not answer: {reason}")]
    Fails {
        /// What it said.
        reason: String,
    },
}

impl Driver {
    /// Asks the driver of this machine.
    ///
    /// # Errors
    /// A [`DriverError`].
    pub fn find() -> Result<Driver, DriverError> {
        // The name without a version is in the packages for developers alone.
        let nvml = Nvml::init()
            .or_else(|_| {
                Nvml::builder()
                    .lib_path("libnvidia-ml.so.1".as_ref())
                    .init()
            })
            .map_err(|error| match error {
                NvmlError::LibloadingError(_) => DriverError::Missing,
                other => fails(&other),
            })?;
        Driver::read(&nvml).map_err(|error| fails(&error))
    }

    /// What is wrong with GPU number `device`.
    pub(super) fn lacks(&self, device: u32) -> Option<String> {
        let there = match self.devices.len() {
            count if count > device as usize => return None,
            0 => "the driver shows none".to_owned(),
            1 => "the only one is number 0".to_owned(),
            count => format!("they are numbered 0 to {}", count - 1),
        };
        Some(format!("there is no GPU number {device}: {there}"))
    }

    fn read(nvml: &Nvml) -> Result<Driver, NvmlError> {
        let cuda = nvml.sys_cuda_driver_version()?;
        let device = |index: u32| {
            let device = nvml.device_by_index(index)?;
            let compute = device.cuda_compute_capability()?;
            Ok(Device {
                name: device.name()?,
                memory_bytes: device.memory_info()?.total,
                compute: (compute.major, compute.minor),
            })
        };
        Ok(Driver {
            version: nvml.sys_driver_version()?,
            cuda: (
                nvml_wrapper::cuda_driver_version_major(cuda),
                nvml_wrapper::cuda_driver_version_minor(cuda),
            ),
            devices: (0..nvml.device_count()?)
                .map(device)
                .collect::<Result<_, NvmlError>>()?,
        })
    }
}

fn fails(error: &NvmlError) -> DriverError {
    DriverError::Fails {
        reason: error.to_string(),
    }
}
