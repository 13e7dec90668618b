//! The libraries that a provider of ONNX Runtime is linked against, and where they are on this machine.
//!
//! What is wanted is read from the provider's own file, so that it is right for any version of ONNX Runtime. Each library is looked for in
//! `CUDA_HOME` and `CUDA_PATH`, then where the `nvidia-*` and `tensorrt` packages of Python keep theirs, beside an ONNX Runtime that came in a
//! wheel or that `vocode setup --gpu` got, and at last by the dynamic loader.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use object::read::ReadCache;
use object::read::elf::{Dyn, FileHeader};
use object::{Endianness, elf};
use serde::Serialize;

use super::driver::Driver;
use crate::runtime::locate::places::path_from;
use crate::runtime::provider_name::Provider;

/// Largest provider library that is read; CUDA's has 284 MB.
const MAX_BYTES: u64 = 4 << 30;

/// CUDA's provider does not name it, and opens it at the first convolution.
const CUDNN: &str = "libcudnn.so.9";

/// What every Linux system has.
const SYSTEM: [&str; 9] = [
    "libc.",
    "libm.",
    "libdl.",
    "libpthread.",
    "librt.",
    "libgcc_s.",
    "libstdc++.",
    "ld-linux",
    "libonnxruntime",
];

/// The libraries of one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Libraries {
    /// What its file names, in that order.
    pub wanted: Vec<Library>,
}

/// A library that a provider needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Library {
    /// The name that the loader goes by, such as `libcublas.so.13`.
    #[serde(rename = "name")]
    pub soname: String,
    /// Where it was found: a file, or the bare name where the loader knows it. `None` where it is missing.
    pub path: Option<PathBuf>,
}

/// Which of NVIDIA's products a library belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stem {
    /// The CUDA toolkit.
    Cuda,
    /// cuDNN.
    Cudnn,
    /// TensorRT.
    TensorRt,
}

impl fmt::Display for Stem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stem::Cuda => "CUDA",
            Stem::Cudnn => "cuDNN",
            Stem::TensorRt => "TensorRT",
        })
    }
}

impl Library {
    /// The product that it belongs to.
    pub fn stem(&self) -> Stem {
        if self.soname.starts_with("libcudnn") {
            Stem::Cudnn
        } else if self.soname.starts_with("libnv") && !self.soname.starts_with("libnvrtc") {
            Stem::TensorRt
        } else {
            Stem::Cuda
        }
    }

    /// The number behind `.so.`.
    pub fn major(&self) -> Option<u32> {
        self.soname
            .rsplit_once(".so.")?
            .1
            .split('.')
            .next()?
            .parse()
            .ok()
    }
}

impl Libraries {
    /// The libraries of `provider` beside ONNX Runtime's `library`, each looked for; `None` where ONNX Runtime came without the provider.
    pub(super) fn of(provider: Provider, library: &Path, folders: &[PathBuf]) -> Option<Libraries> {
        let file = provider_file(provider, library)?;
        // Of a file that is no ELF file nothing is known beforehand.
        let wanted = needed(&file).unwrap_or_default();
        let look = |soname: String| {
            let path = find(&soname, folders);
            Library { soname, path }
        };
        Some(Libraries {
            wanted: wanted.into_iter().map(look).collect(),
        })
    }

    /// The version of a product that is wanted. CUDA's is that of its runtime: the other libraries of the toolkit have numbers of their own.
    pub fn version(&self, stem: Stem) -> Option<u32> {
        let of = |library: &&Library| {
            library.stem() == stem
                && (stem != Stem::Cuda || library.soname.starts_with("libcudart"))
        };
        self.wanted.iter().find(of)?.major()
    }

    /// What the provider lacks, in words; a `driver` too old for CUDA is told where nothing else is missing.
    pub fn lack(&self, driver: Option<&Driver>) -> Option<String> {
        let mut parts = Vec::new();
        for stem in [Stem::Cuda, Stem::Cudnn, Stem::TensorRt] {
            let of = |library: &&Library| library.stem() == stem && library.path.is_none();
            let names: Vec<_> = self
                .wanted
                .iter()
                .filter(of)
                .map(|l| l.soname.as_str())
                .collect();
            if !names.is_empty() {
                let version = self
                    .version(stem)
                    .map_or_else(String::new, |v| format!(" {v}"));
                parts.push(format!(
                    "{stem}{version} is not there ({})",
                    names.join(", ")
                ));
            }
        }
        if !parts.is_empty() {
            let way = if parts.iter().any(|part| part.starts_with("TensorRT")) {
                "install TensorRT where the loader finds it, or name its folder in LD_LIBRARY_PATH"
            } else {
                "`vocode setup --gpu` gets it, or name its folder in LD_LIBRARY_PATH or CUDA_HOME"
            };
            return Some(format!("{} ({way})", parts.join("; ")));
        }
        let (driver, wanted) = (driver?, self.version(Stem::Cuda)?);
        let (major, minor) = driver.cuda;
        (major < wanted as i32).then(|| {
            format!(
                "this ONNX Runtime wants CUDA {wanted}, and the driver ({}) runs CUDA {major}.{minor} at most: \
                 a newer driver is needed",
                driver.version
            )
        })
    }

    /// The version that TensorRT's own library tells, such as `10.9.0`.
    pub(super) fn tensorrt_version(&self) -> Option<String> {
        let core = self
            .wanted
            .iter()
            .find(|l| l.soname.starts_with("libnvinfer.so"))?;
        // SAFETY: the provider would map this library all the same; `getInferLibVersion` is declared in NvInferRuntime.h without arguments.
        let number = unsafe {
            let library = libloading::Library::new(core.path.as_deref()?).ok()?;
            let version = library
                .get::<unsafe extern "C" fn() -> i32>(b"getInferLibVersion")
                .ok()?;
            version()
        };
        // As major * 10,000 + minor * 100 + patch since TensorRT 10.
        Some(format!(
            "{}.{}.{}",
            number / 10_000,
            number / 100 % 100,
            number % 100
        ))
    }

    /// Loads those that the dynamic loader would not find by itself, so that the provider finds them loaded. They stay for good.
    ///
    /// # Errors
    /// The library that does not load, and what the loader said.
    pub(super) fn preload(&self) -> Result<(), String> {
        let found = self
            .wanted
            .iter()
            .filter_map(|library| library.path.clone());
        let mut left: Vec<PathBuf> = found.filter(|path| path.is_absolute()).collect();
        left.extend(
            left.iter()
                .flat_map(|path| companions(path))
                .collect::<Vec<_>>(),
        );
        // They depend on each other, so that an order that works is found by trying.
        while !left.is_empty() {
            let mut failed = Vec::new();
            let before = left.len();
            for path in left {
                if let Err(reason) = load_for_good(&path) {
                    failed.push((path, reason));
                }
            }
            if failed.len() == before {
                let reasons = failed.into_iter().next().map(|(_, reason)| reason);
                return Err(reasons.unwrap_or_default());
            }
            left = failed.into_iter().map(|(path, _)| path).collect();
        }
        Ok(())
    }
}

/// What NVIDIA's packages are looked for in, best first.
pub(super) fn folders(library: &Path, data_folder: Option<&Path>) -> Vec<PathBuf> {
    let toolkits = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(path_from);
    folders_of(toolkits, library, data_folder)
}

fn folders_of(
    toolkits: impl Iterator<Item = PathBuf>,
    library: &Path,
    data_folder: Option<&Path>,
) -> Vec<PathBuf> {
    let toolkit = toolkits.flat_map(|root| {
        ["lib64", "lib", "targets/x86_64-linux/lib"].map(|folder| root.join(folder))
    });
    let beside = library.parent().map(Path::to_path_buf);
    // onnxruntime/capi/ of a wheel: the other packages are two folders up.
    let packages = beside.as_deref().and_then(|capi| capi.parent()?.parent());
    let roots = beside
        .as_deref()
        .into_iter()
        .chain(packages)
        .chain(data_folder);
    let wheels = roots.flat_map(package_folders).collect::<Vec<_>>();
    toolkit.chain(beside.clone()).chain(wheels).collect()
}

/// `nvidia/*/lib` and `tensorrt_libs` below `root`.
fn package_folders(root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(root.join("nvidia"))
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("lib"))
        .collect();
    found.sort();
    found.push(root.join("tensorrt_libs"));
    found
}

fn find(soname: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let found = folders
        .iter()
        .map(|folder| folder.join(soname))
        .find(|path| path.is_file());
    found.or_else(|| is_known_to_the_loader(soname).then(|| soname.into()))
}

/// Libraries that cuDNN opens by name when it is first used.
fn companions(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let (Some(major), Some(folder)) = (name.strip_prefix("libcudnn.so."), path.parent()) else {
        return Vec::new();
    };
    let end = format!(".so.{major}");
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            name.starts_with("libcudnn_") && name.ends_with(&end)
        })
        .collect();
    found.sort();
    found
}

fn provider_file(provider: Provider, library: &Path) -> Option<PathBuf> {
    let name = match provider {
        Provider::Cuda => "cuda",
        Provider::TensorRt => "tensorrt",
        Provider::Auto | Provider::Cpu => return None,
    };
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let file = format!("{prefix}onnxruntime_providers_{name}{suffix}");
    let file = library.parent()?.join(file);
    file.is_file().then_some(file)
}

/// The libraries that an ELF file names, without the system's and the driver's, and with those that CUDA's provider opens by itself.
fn needed(file: &Path) -> Option<Vec<String>> {
    let names = dynamic_names(file)?;
    let own = |name: &String| {
        !name.starts_with("libcuda.") && !SYSTEM.iter().any(|system| name.starts_with(system))
    };
    let mut names: Vec<String> = names.into_iter().filter(own).collect();
    let is_cuda = file.ends_with("libonnxruntime_providers_cuda.so");
    if is_cuda && !names.iter().any(|name| name.starts_with("libcudnn")) {
        names.push(CUDNN.to_owned());
    }
    Some(names)
}

/// The `DT_NEEDED` entries of a 64-bit ELF file; `None` for any other file.
fn dynamic_names(file: &Path) -> Option<Vec<String>> {
    let handle = fs::File::open(file).ok()?;
    if handle.metadata().ok()?.len() > MAX_BYTES {
        return None;
    }
    let cache = ReadCache::new(handle);
    let header = elf::FileHeader64::<Endianness>::parse(&cache).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, &cache).ok()?;
    let (entries, strings) = sections.dynamic(endian, &cache).ok()??;
    let strings = sections.strings(endian, &cache, strings).ok()?;
    let name = |entry: &elf::Dyn64<Endianness>| {
        let name = entry.string(endian, strings).ok()?;
        Some(String::from_utf8_lossy(name).into_owned())
    };
    let needed = entries
        .iter()
        .filter(|entry| entry.tag(endian) == elf::DT_NEEDED);
    needed.map(name).collect()
}

fn is_known_to_the_loader(soname: &str) -> bool {
    // SAFETY: maps a library of the system by its name, as the provider would; its initialisers are the vendor's.
    unsafe { libloading::Library::new(soname) }.is_ok()
}

fn load_for_good(path: &Path) -> Result<(), String> {
    #[cfg(unix)]
    // SAFETY: the library lies where NVIDIA's packages do, and the provider would load it all the same. It is never unloaded.
    let library = unsafe {
        use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
        Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL)
    };
    #[cfg(not(unix))]
    // SAFETY: as above.
    let library = unsafe { libloading::Library::new(path) };
    library
        .map(std::mem::forget)
        .map_err(|error| format!("{} does not load: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn libraries(found: &[(&str, bool)]) -> Libraries {
        let library = |(soname, there): &(&str, bool)| Library {
            soname: (*soname).to_owned(),
            path: there.then(|| PathBuf::from("/somewhere")),
        };
        Libraries {
            wanted: found.iter().map(library).collect(),
        }
    }

    fn driver() -> Driver {
        Driver {
            version: "580.1".to_owned(),
            cuda: (13, 0),
            devices: Vec::new(),
        }
    }

    #[test]
    fn versions_are_read_from_names() {
        let all = libraries(&[
            ("libcublas.so.13", true),
            ("libcurand.so.10", true),
            ("libcudart.so.13", true),
            ("libcudnn.so.9", true),
            ("libnvinfer.so.10", true),
        ]);
        let versions = [Stem::Cuda, Stem::Cudnn, Stem::TensorRt].map(|stem| all.version(stem));
        assert_eq!(versions, [Some(13), Some(9), Some(10)]);
        assert_eq!(all.lack(Some(&driver())), None);
    }

    #[test]
    fn each_missing_product_is_named_with_its_way_out() {
        let text = |found: &[(&str, bool)]| libraries(found).lack(Some(&driver())).unwrap();
        let cuda = text(&[("libcudart.so.13", false), ("libcurand.so.10", false)]);
        assert!(
            cuda.contains("CUDA 13 is not there (libcudart.so.13, libcurand.so.10)")
                && cuda.contains("setup --gpu"),
            "{cuda}"
        );
        let tensorrt = text(&[("libcudart.so.13", true), ("libnvinfer.so.10", false)]);
        assert!(
            tensorrt.contains("TensorRT 10") && tensorrt.contains("LD_LIBRARY_PATH"),
            "{tensorrt}"
        );
        assert!(!tensorrt.contains("setup --gpu"), "{tensorrt}");
    }

    #[test]
    fn packages_of_a_wheel_and_of_the_toolkit_are_found() {
        let root = tempfile::tempdir().unwrap();
        let capi = root.path().join("onnxruntime/capi");
        let runtime = root.path().join("nvidia/cu13/lib");
        let cudnn = root.path().join("nvidia/cudnn/lib");
        for folder in [&capi, &runtime, &cudnn] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(runtime.join("libcudart.so.13"), "x").unwrap();
        for name in [
            "libcudnn.so.9",
            "libcudnn_ops.so.9",
            "libcudnn_cnn.so.9",
            "notes.txt",
        ] {
            fs::write(cudnn.join(name), "x").unwrap();
        }
        let library = capi.join("libonnxruntime.so.1.31.1");
        let folders = folders_of(std::iter::empty(), &library, None);
        let found = |soname: &str| find(soname, &folders);
        assert_eq!(
            found("libcudart.so.13"),
            Some(runtime.join("libcudart.so.13"))
        );
        assert_eq!(found("libnone-such.so.7"), None);
        let names = companions(&found("libcudnn.so.9").unwrap());
        assert_eq!(
            names,
            ["libcudnn_cnn.so.9", "libcudnn_ops.so.9"].map(|name| cudnn.join(name))
        );

        let toolkit = root.path().join("cuda");
        fs::create_dir_all(toolkit.join("lib64")).unwrap();
        fs::write(toolkit.join("lib64/libcudart.so.13"), "x").unwrap();
        let folders = folders_of([toolkit.clone()].into_iter(), &library, None);
        let found = |soname: &str| find(soname, &folders);
        assert_eq!(
            found("libcudart.so.13"),
            Some(toolkit.join("lib64/libcudart.so.13"))
        );
        assert_eq!(found("libcudnn.so.9"), Some(cudnn.join("libcudnn.so.9")));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_names_in_a_file_are_read() {
        let own = std::env::current_exe().unwrap();
        let names = dynamic_names(&own).unwrap();
        assert!(
            names.iter().any(|name| name.starts_with("libc.so")),
            "{names:?}"
        );
        assert_eq!(needed(&own).unwrap(), Vec::<String>::new());
        assert_eq!(dynamic_names(Path::new("Cargo.toml")), None);
    }

    #[test]
    fn what_does_not_load_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libcudart.so.13");
        fs::write(&path, "not a library").unwrap();
        let broken = Libraries {
            wanted: vec![Library {
                soname: "libcudart.so.13".to_owned(),
                path: Some(path),
            }],
        };
        assert!(broken.preload().unwrap_err().contains("libcudart.so.13"));
    }
}
