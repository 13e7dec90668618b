//! What the doctor says of a GPU: the driver, the libraries wanted and found, and the next thing to do.

use serde::Serialize;

use crate::cli::args::EngineArgs;
use crate::runtime::{Library, Nvidia, Provider, Runtime, Stem};

/// What there is for NVIDIA's providers.
#[derive(Clone, Debug, Serialize)]
pub struct GpuReport {
    /// The driver's version.
    pub driver: Option<String>,
    /// The newest CUDA that the driver runs.
    pub driver_cuda: Option<String>,
    /// The GPUs, by number.
    pub devices: Vec<String>,
    /// Why there is no driver.
    pub no_driver: Option<String>,
    /// CUDA and TensorRT.
    pub providers: Vec<ProviderReport>,
    /// The one of them that is to run.
    #[serde(skip)]
    wanted: &'static str,
}

/// What one provider needs.
#[derive(Clone, Debug, Serialize)]
pub struct ProviderReport {
    /// `cuda` or `tensorrt`.
    pub provider: &'static str,
    /// The versions that it wants, such as `CUDA 13`.
    pub versions: Vec<String>,
    /// The libraries that it wants.
    pub libraries: Vec<Library>,
    /// All that keeps it from running; empty where it should run.
    pub obstacles: Vec<String>,
}

impl GpuReport {
    /// Looks at the machine, for the GPU and the provider asked for.
    pub(super) fn new(runtime: &Runtime, asked: &EngineArgs) -> GpuReport {
        let device = asked.gpu.device;
        let nvidia = runtime.nvidia();
        let driver = nvidia.driver.as_ref();
        let devices = driver.map_or(&[][..], |driver| &driver.devices);
        GpuReport {
            driver: driver.ok().map(|driver| driver.version.clone()),
            driver_cuda: driver
                .ok()
                .map(|driver| format!("{}.{}", driver.cuda.0, driver.cuda.1)),
            devices: devices
                .iter()
                .map(|device| {
                    format!(
                        "{}, {:.0} GiB, compute capability {}.{}",
                        device.name,
                        device.memory_bytes as f64 / f64::from(1 << 30),
                        device.compute.0,
                        device.compute.1
                    )
                })
                .collect(),
            no_driver: driver.err().map(ToString::to_string),
            providers: [Provider::Cuda, Provider::TensorRt]
                .map(|provider| ProviderReport::new(nvidia, provider, device))
                .to_vec(),
            wanted: match asked.provider {
                Provider::TensorRt => Provider::TensorRt.name(),
                _ => Provider::Cuda.name(),
            },
        }
    }

    /// The rows of the table. A machine without anything for a GPU gets one.
    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        let bare = self.providers.iter().all(|p| p.libraries.is_empty());
        let mut rows = match (&self.driver, &self.no_driver) {
            (Some(driver), _) => {
                let cuda = self.driver_cuda.as_deref().unwrap_or("?");
                let driver = format!("driver {driver}, runs CUDA up to {cuda}");
                let first = self.devices.first().cloned();
                let first = first.unwrap_or_else(|| "none".to_owned());
                let mut rows = vec![("GPU", format!("{first}; {driver}"))];
                rows.extend(self.devices.iter().skip(1).map(|name| ("", name.clone())));
                rows
            }
            (None, reason) => {
                let reason = reason.as_deref().unwrap_or("none");
                vec![("GPU", format!("none ({reason})"))]
            }
        };
        if self.driver.is_some() || !bare {
            rows.extend(self.providers.iter().flat_map(ProviderReport::rows));
            rows.push(("next", self.next()));
        }
        rows
    }

    /// The next thing to do.
    fn next(&self) -> String {
        let wanted = self.providers.iter().find(|p| p.provider == self.wanted);
        let blocked = wanted.and_then(|provider| provider.obstacles.first());
        match (&self.driver, blocked) {
            (None, _) => {
                "install NVIDIA's driver, or go on with the CPU: nothing is missing for that"
                    .to_owned()
            }
            (Some(_), Some(reason)) => reason.clone(),
            (Some(_), None) => format!("nothing: --provider {} should run", self.wanted),
        }
    }
}

impl ProviderReport {
    fn new(nvidia: &Nvidia, provider: Provider, device: u32) -> ProviderReport {
        let found = nvidia.libraries.iter().find(|(of, _)| *of == provider);
        let found = found.map(|(_, libraries)| libraries);
        let version = |stem: Stem| {
            let version = found?.version(stem)?;
            Some(format!("{stem} {version}"))
        };
        let wanted = found.map_or(&[][..], |libraries| &libraries.wanted);
        ProviderReport {
            provider: provider.name(),
            versions: [Stem::Cuda, Stem::Cudnn, Stem::TensorRt]
                .into_iter()
                .filter_map(version)
                .collect(),
            libraries: wanted.to_vec(),
            obstacles: nvidia
                .fallback_reason(provider, device)
                .map_or_else(Vec::new, |reason| reason.reasons),
        }
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let wants = match self.versions.as_slice() {
            [] => String::new(),
            versions => format!("wants {}; ", versions.join(", ")),
        };
        let verdict = match self.obstacles.as_slice() {
            [] => "ready".to_owned(),
            obstacles => obstacles.join("; "),
        };
        let mut rows = vec![(self.provider, format!("{wants}{verdict}"))];
        rows.extend(self.libraries.iter().map(|library| {
            let place = library.path.as_ref();
            let place = place.map_or_else(|| "missing".to_owned(), |p| p.display().to_string());
            ("", format!("{}: {place}", library.soname))
        }));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(driver: bool, cuda: &[&str]) -> GpuReport {
        let provider = |provider, obstacles: &[&str]| ProviderReport {
            provider,
            versions: vec!["CUDA 13".to_owned()],
            libraries: vec![Library {
                soname: "libcudart.so.13".to_owned(),
                path: None,
            }],
            obstacles: obstacles.iter().map(|o| (*o).to_owned()).collect(),
        };
        GpuReport {
            driver: driver.then(|| "580.1".to_owned()),
            driver_cuda: driver.then(|| "13.0".to_owned()),
            devices: vec![
                "NVIDIA Test, 80 GiB, compute capability 9.0".to_owned();
                usize::from(driver)
            ],
            no_driver: (!driver).then(|| "no NVIDIA driver was found".to_owned()),
            providers: vec![
                provider("cuda", cuda),
                provider("tensorrt", &["TensorRT 10 is not there"]),
            ],
            wanted: "cuda",
        }
    }

    fn text(report: &GpuReport) -> String {
        let rows = report.rows();
        rows.iter()
            .map(|(name, text)| format!("{name}: {text}\n"))
            .collect()
    }

    #[test]
    fn the_next_thing_to_do_is_the_first_that_is_missing() {
        let no_cuda = text(&report(true, &["CUDA 13 is not there", "and more"]));
        assert!(
            no_cuda.contains("next: CUDA 13 is not there\n"),
            "{no_cuda}"
        );
        assert!(
            no_cuda.contains("driver 580.1, runs CUDA up to 13.0"),
            "{no_cuda}"
        );
        assert!(no_cuda.contains("libcudart.so.13: missing"), "{no_cuda}");
        let ready = text(&report(true, &[]));
        assert!(ready.contains("cuda: wants CUDA 13; ready\n"), "{ready}");
        assert!(ready.contains("--provider cuda should run"), "{ready}");
        let mut tensorrt = report(true, &[]);
        tensorrt.wanted = "tensorrt";
        let tensorrt = text(&tensorrt);
        assert!(
            tensorrt.contains("next: TensorRT 10 is not there\n"),
            "{tensorrt}"
        );
        let no_driver = text(&report(false, &["no NVIDIA driver was found"]));
        assert!(
            no_driver.contains("next: install NVIDIA's driver"),
            "{no_driver}"
        );
    }

    #[test]
    fn a_machine_without_a_gpu_gets_one_row() {
        let mut bare = report(false, &["no NVIDIA driver was found"]);
        bare.providers.iter_mut().for_each(|p| p.libraries.clear());
        assert_eq!(text(&bare), "GPU: none (no NVIDIA driver was found)\n");
    }
}
