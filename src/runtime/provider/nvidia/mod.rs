//! What a machine has for NVIDIA's providers: the driver and its devices, and the libraries that the providers need.

mod driver;
mod libraries;

use std::path::Path;

use super::fallback::FallbackReason;
use crate::runtime::provider_name::Provider;
pub use driver::{Driver, DriverError};
pub use libraries::Libraries;
#[cfg(feature = "cli")]
pub use libraries::{Library, Stem};

/// What was found on this machine for one library of ONNX Runtime.
#[derive(Clone, Debug)]
pub struct Nvidia {
    /// The driver, or why there is none to use.
    pub driver: Result<Driver, DriverError>,
    /// The libraries of each provider that ONNX Runtime came with.
    pub libraries: Vec<(Provider, Libraries)>,
}

impl Nvidia {
    /// Looks at the machine. `library` is ONNX Runtime's file, `data_folder` vocode's.
    pub fn survey(library: &Path, data_folder: Option<&Path>) -> Nvidia {
        let folders = libraries::folders(library, data_folder);
        let of = |provider: Provider| Some((provider, Libraries::of(provider, library, &folders)?));
        Nvidia {
            driver: Driver::find(),
            libraries: [Provider::Cuda, Provider::TensorRt]
                .into_iter()
                .filter_map(of)
                .collect(),
        }
    }

    /// What keeps `provider` from running on GPU number `device`.
    pub fn fallback_reason(&self, provider: Provider, device: u32) -> Option<FallbackReason> {
        if matches!(provider, Provider::Auto | Provider::Cpu) {
            return None;
        }
        let libraries = self.libraries.iter().find(|(of, _)| *of == provider);
        let libraries = libraries.map(|(_, found)| found);
        let driver = match &self.driver {
            Ok(driver) => driver.lacks(device),
            Err(error) => Some(error.to_string()),
        };
        let libraries_lack = match libraries {
            Some(found) => found.lack(self.driver.as_ref().ok()),
            None => Some(format!(
                "this ONNX Runtime was built without {provider} (`vocode setup --gpu` gets one that has it)"
            )),
        };
        let reasons: Vec<_> = driver.into_iter().chain(libraries_lack).collect();
        (!reasons.is_empty()).then(|| FallbackReason {
            reasons,
            expected: libraries.is_some() || self.driver.is_ok(),
        })
    }

    /// The version of the TensorRT library that would be loaded.
    pub(in crate::runtime) fn tensorrt_version(&self) -> Option<String> {
        let (_, libraries) = self
            .libraries
            .iter()
            .find(|(of, _)| *of == Provider::TensorRt)?;
        libraries.tensorrt_version()
    }

    /// The libraries of a provider that the dynamic loader would not find by itself, made ready for it.
    ///
    /// # Errors
    /// The library that does not load, and what the loader said.
    pub(in crate::runtime) fn preload(&self, provider: Provider) -> Result<(), String> {
        let of = |wanted: Provider| self.libraries.iter().find(move |(of, _)| *of == wanted);
        // TensorRT's provider leaves nodes to CUDA's.
        let needed = match provider {
            Provider::TensorRt => vec![Provider::Cuda, Provider::TensorRt],
            other => vec![other],
        };
        needed
            .into_iter()
            .filter_map(of)
            .try_for_each(|(_, libraries)| libraries.preload())
    }
}

#[cfg(test)]
mod tests {
    use super::driver::Device;
    use super::libraries::Library;
    use super::*;

    fn driver(devices: usize, cuda: (i32, i32)) -> Result<Driver, DriverError> {
        let device = Device {
            name: "NVIDIA Test".to_owned(),
            memory_bytes: 8 << 30,
            compute: (9, 0),
        };
        Ok(Driver {
            version: "580.1".to_owned(),
            cuda,
            devices: vec![device; devices],
        })
    }

    fn machine(driver: Result<Driver, DriverError>, missing: &[&str]) -> Nvidia {
        let library = |soname: &str| Library {
            soname: soname.to_owned(),
            path: (!missing.contains(&soname)).then(|| "/somewhere".into()),
        };
        let cuda = Libraries {
            wanted: ["libcudart.so.13", "libcudnn.so.9"].map(library).to_vec(),
        };
        Nvidia {
            driver,
            libraries: vec![(Provider::Cuda, cuda)],
        }
    }

    fn reason(machine: &Nvidia, provider: Provider, device: u32) -> String {
        machine
            .fallback_reason(provider, device)
            .unwrap()
            .to_string()
    }

    #[test]
    fn nothing_stands_in_the_way_of_a_machine_that_has_everything() {
        let whole = machine(driver(2, (13, 0)), &[]);
        assert_eq!(whole.fallback_reason(Provider::Cuda, 1), None);
        assert_eq!(whole.fallback_reason(Provider::Cpu, 0), None);
    }

    #[test]
    fn what_is_missing_is_named() {
        let no_driver = machine(Err(DriverError::Missing), &[]);
        assert_eq!(
            reason(&no_driver, Provider::Cuda, 0),
            "no NVIDIA driver was found"
        );
        let one = machine(driver(1, (13, 0)), &[]);
        assert!(reason(&one, Provider::Cuda, 1).contains("no GPU number 1"));
        assert!(reason(&one, Provider::TensorRt, 0).contains("vocode setup --gpu"));
        let none = machine(driver(0, (13, 0)), &[]);
        assert!(reason(&none, Provider::Cuda, 0).contains("shows none"));
        let no_cudnn = machine(driver(1, (13, 0)), &["libcudnn.so.9"]);
        let text = reason(&no_cudnn, Provider::Cuda, 0);
        assert!(
            text.contains("cuDNN 9") && text.contains("libcudnn.so.9"),
            "{text}"
        );
        assert!(!text.contains("cudart"), "{text}");
        let old = machine(driver(1, (12, 4)), &[]);
        let text = reason(&old, Provider::Cuda, 0);
        assert!(text.contains("CUDA 13") && text.contains("12.4"), "{text}");
    }

    #[test]
    fn a_gpu_or_a_library_for_one_makes_it_expected() {
        let expected =
            |machine: &Nvidia| machine.fallback_reason(Provider::Cuda, 7).unwrap().expected;
        let bare = Nvidia {
            driver: Err(DriverError::Missing),
            libraries: vec![],
        };
        assert!(!expected(&bare));
        assert!(expected(&machine(Err(DriverError::Missing), &[])));
        let only_gpu = Nvidia {
            libraries: vec![],
            ..machine(driver(1, (13, 0)), &[])
        };
        assert!(expected(&only_gpu));
    }
}
