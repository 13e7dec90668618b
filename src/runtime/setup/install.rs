//! Installing ONNX Runtime: the official `onnxruntime` wheel, fetched by pip or given as a file, into vocode's data folder.
//!
//! pip brings what a downloader of our own would have to grow: mirrors, proxies, certificates, hash checks. Where there is no
//! pip, the one wheel of a CPU comes straight from the package index. Only the library is kept of the wheel. Each version has its own folder, which appears whole or not at all, and a lock makes
//! processes that start together install once.

use std::fs::{self, File, TryLockError};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::SetupError;
use super::event::{Installed, OnSetupEvent, SetupEvent};
#[cfg(feature = "cli")]
use super::index;
use super::pip;
#[cfg(feature = "cli")]
use super::pip::PipError;
use super::policy::offline;
#[cfg(feature = "cli")]
use super::unpack::unpack;
#[cfg(feature = "cli")]
use crate::runtime::locate::Rejection;
use crate::runtime::locate::{Flavour, WHEEL_VERSION, checksum, places, probe};

const PARTIAL: &str = ".partial-";
/// How often it is seen whether another installation has ended.
const LOOK: Duration = Duration::from_millis(50);

/// Installs ONNX Runtime below `data_folder` (see [`data_folder`](crate::runtime::data_folder)) unless it is there and works.
///
/// Takes tens of seconds, and minutes for a GPU; blocks meanwhile.
///
/// # Errors
/// A [`SetupError`]; nothing is left behind then.
pub fn install(
    flavour: Flavour,
    data_folder: Option<&Path>,
    on_event: &mut OnSetupEvent<'_>,
) -> Result<Installed, SetupError> {
    let supply = Supply::Network {
        pythons: &pip::PYTHONS,
        index: None,
    };
    install_with(flavour, data_folder, supply, on_event)
}

/// Installs ONNX Runtime from wheels that are there: that of ONNX Runtime, and for a GPU those of the CUDA libraries too. Needs neither Python nor a
/// network, and is allowed where [`offline`] forbids to fetch. The libraries must be those of the wheel that [`install`] would fetch.
///
/// # Errors
/// As [`install`], and [`SetupError::Wheel`] for a file that is no such wheel.
#[cfg(feature = "cli")]
pub fn install_from(
    flavour: Flavour,
    wheels: &[PathBuf],
    data_folder: Option<&Path>,
    on_event: &mut OnSetupEvent<'_>,
) -> Result<Installed, SetupError> {
    install_with(flavour, data_folder, Supply::Wheels(wheels), on_event)
}

/// Where the library comes from.
#[derive(Clone, Copy)]
enum Supply<'a> {
    /// pip fetches it, by the first of these Python programs that there is; without one it comes from the package index, that of the environment where none
    /// is named.
    Network {
        pythons: &'a [&'a str],
        #[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "it needs zip"))]
        index: Option<&'a str>,
    },
    /// These files are its wheels.
    #[cfg(feature = "cli")]
    Wheels(&'a [PathBuf]),
}

impl Supply<'_> {
    fn needs_network(self) -> bool {
        matches!(self, Supply::Network { .. })
    }

    /// The folder of unpacked wheels, below `work`.
    fn package(
        self,
        flavour: Flavour,
        work: &Path,
        on_event: &mut OnSetupEvent<'_>,
    ) -> Result<PathBuf, SetupError> {
        match self {
            #[cfg(feature = "cli")]
            Supply::Network { pythons, index } => match by_pip(flavour, pythons, work, on_event) {
                // What the libraries of a GPU need besides is for pip to find out.
                Err(SetupError::Pip(PipError::NoPython { .. } | PipError::NoPip { .. }))
                    if flavour == Flavour::Cpu =>
                {
                    let wheel =
                        index::fetch(index, "onnxruntime", WHEEL_VERSION, work, &mut |line| {
                            let event = line.map_or(SetupEvent::Working, SetupEvent::Detail);
                            tell(on_event, event)
                        })?;
                    unpack(&[wheel], work, &mut || tell(on_event, SetupEvent::Working))
                }
                other => other,
            },
            #[cfg(not(feature = "cli"))]
            Supply::Network { pythons, .. } => by_pip(flavour, pythons, work, on_event),
            #[cfg(feature = "cli")]
            Supply::Wheels(files) => {
                unpack(files, work, &mut || tell(on_event, SetupEvent::Working))
            }
        }
    }

    /// What is wrong with a library that was not fetched: the file that it came in is.
    fn blame(self, error: SetupError) -> SetupError {
        match (self, error) {
            #[cfg(feature = "cli")]
            (
                Supply::Wheels(files),
                error @ (SetupError::NoLibrary { .. } | SetupError::Unusable { .. }),
            ) => SetupError::Wheel {
                path: files.first().cloned().unwrap_or_default(),
                reason: match error {
                    SetupError::Unusable {
                        rejection:
                            Rejection::Altered {
                                found, expected, ..
                            },
                        ..
                    } => format!("the BLAKE3 hash of its library is {found}, expected {expected}"),
                    SetupError::Unusable { rejection, .. } => format!("its library is {rejection}"),
                    _ => "it holds no ONNX Runtime library".to_owned(),
                },
            },
            (_, error) => error,
        }
    }
}

fn by_pip(
    flavour: Flavour,
    pythons: &[&str],
    work: &Path,
    on_event: &mut OnSetupEvent<'_>,
) -> Result<PathBuf, SetupError> {
    let wheels = requirements(flavour);
    let wheels: Vec<&str> = wheels.iter().map(String::as_str).collect();
    let tell =
        &mut |line: Option<&str>| on_event(line.map_or(SetupEvent::Working, SetupEvent::Detail));
    Ok(pip::fetch(pythons, &wheels, work, tell)?)
}

fn install_with(
    flavour: Flavour,
    data_folder: Option<&Path>,
    supply: Supply<'_>,
    on_event: &mut OnSetupEvent<'_>,
) -> Result<Installed, SetupError> {
    let root = places::library_root(data_folder.ok_or(SetupError::NoDataFolder)?);
    let folder = root.join(flavour.folder());
    let there = |on_event: &mut OnSetupEvent<'_>| {
        check(&folder, flavour, true).inspect(|installed| {
            // It is there, whether or not it is wanted any more.
            let _ = on_event(SetupEvent::Done(installed));
        })
    };
    if let Ok(installed) = there(on_event) {
        return Ok(installed);
    }
    if supply.needs_network() && offline() {
        return Err(SetupError::Forbidden);
    }
    fs::create_dir_all(&root).map_err(SetupError::io("create", &root))?;
    let _lock = lock(&root, on_event)?;
    // Another process may have installed it while this one waited.
    if let Ok(installed) = there(on_event) {
        return Ok(installed);
    }
    fetch_into(flavour, &root, &folder, supply, on_event)
}

/// The requirements that pip is given.
fn requirements(flavour: Flavour) -> Vec<String> {
    match flavour {
        Flavour::Cpu => vec![format!("onnxruntime=={WHEEL_VERSION}")],
        // The CUDA libraries are those that the wheel's own extras `cuda` and `cudnn` ask for, and what these rest on.
        Flavour::Gpu => [
            format!("onnxruntime-gpu=={WHEEL_VERSION}"),
            "nvidia-cuda-runtime~=13.0".to_owned(),
            "nvidia-cuda-nvrtc~=13.0".to_owned(),
            "nvidia-cublas~=13.0".to_owned(),
            "nvidia-curand~=10.0".to_owned(),
            "nvidia-cufft~=12.0".to_owned(),
            "nvidia-cudnn-cu13~=9.0".to_owned(),
        ]
        .to_vec(),
    }
}

fn fetch_into(
    flavour: Flavour,
    root: &Path,
    folder: &Path,
    supply: Supply<'_>,
    on_event: &mut OnSetupEvent<'_>,
) -> Result<Installed, SetupError> {
    remove_leftovers(root);
    if supply.needs_network() {
        let version = WHEEL_VERSION;
        tell(on_event, SetupEvent::Fetching { version, folder })?;
    }
    let work = tempfile::Builder::new()
        .prefix(PARTIAL)
        .tempdir_in(root)
        .map_err(SetupError::io("write to", root))?;
    let package = supply.package(flavour, work.path(), on_event)?;
    let fresh = work.path().join("library");
    keep_library(&package.join("onnxruntime"), &fresh)?;
    let nvidia = package.join("nvidia");
    if nvidia.is_dir() {
        let place = fresh.join("nvidia");
        fs::rename(&nvidia, &place).map_err(SetupError::io("write", &place))?;
    }
    tell(on_event, SetupEvent::Checking)?;
    check(&fresh, flavour, false).map_err(|error| supply.blame(error))?;
    replace(&fresh, folder, work.path())?;
    let installed = check(folder, flavour, false)?;
    // As above.
    let _ = on_event(SetupEvent::Done(&installed));
    Ok(installed)
}

/// Holds the lock of `root` until the file is dropped (or the process ends).
fn lock(root: &Path, on_event: &mut OnSetupEvent<'_>) -> Result<File, SetupError> {
    let path = root.join(".lock");
    let file = File::create(&path).map_err(SetupError::io("create", &path))?;
    let mut event = SetupEvent::Waiting;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tell(on_event, event)?,
            Err(TryLockError::Error(error)) => return Err(SetupError::io("lock", &path)(error)),
        }
        event = SetupEvent::Working;
        std::thread::sleep(LOOK);
    }
}

/// Tells what goes on.
///
/// # Errors
/// [`SetupError::Cancelled`] when it is to end.
fn tell(on_event: &mut OnSetupEvent<'_>, event: SetupEvent<'_>) -> Result<(), SetupError> {
    match on_event(event) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(SetupError::Cancelled),
    }
}

/// Removes what installations that were killed left behind. Called under the lock, so none of it is in use.
fn remove_leftovers(root: &Path) {
    for entry in fs::read_dir(root)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
    {
        if entry.file_name().to_string_lossy().starts_with(PARTIAL)
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::debug!(path = %entry.path().display(), %error, "a leftover of an installation stays");
        }
    }
}

/// Moves the library, its provider libraries and its licences from the unpacked `package` to the new folder `target`.
fn keep_library(package: &Path, target: &Path) -> Result<(), SetupError> {
    fs::create_dir(target).map_err(SetupError::io("create", target))?;
    let capi = package.join("capi");
    for folder in [package, &capi] {
        let Ok(entries) = fs::read_dir(folder) else {
            continue;
        };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            if is_kept(&name.to_string_lossy()) {
                let place = target.join(&name);
                fs::rename(entry.path(), &place).map_err(SetupError::io("write", &place))?;
            }
        }
    }
    Ok(())
}

fn is_kept(name: &str) -> bool {
    places::is_library(name) || matches!(name, "LICENSE" | "ThirdPartyNotices.txt")
}

/// Whether `folder` holds the libraries of `flavour` as they were published, and they load.
fn check(folder: &Path, flavour: Flavour, was_there: bool) -> Result<Installed, SetupError> {
    let library = places::libraries_in(folder)
        .into_iter()
        .next()
        .ok_or(SetupError::NoLibrary {
            version: WHEEL_VERSION,
        })?;
    let unusable = |rejection| SetupError::Unusable {
        version: WHEEL_VERSION,
        rejection,
    };
    checksum::check_all(folder, flavour).map_err(unusable)?;
    let probed = probe::file(&library).map_err(unusable)?;
    Ok(Installed {
        library,
        version: probed.version,
        was_there,
    })
}

/// Puts `fresh` in the place of `folder`; a broken installation there goes to `work`, which is removed.
fn replace(fresh: &Path, folder: &Path, work: &Path) -> Result<(), SetupError> {
    if folder.exists() {
        fs::rename(folder, work.join("broken")).map_err(SetupError::io("replace", folder))?;
    }
    fs::rename(fresh, folder).map_err(SetupError::io("create", folder))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::{Mutex, PoisonError};

    use super::super::pip::PipError;
    use super::*;

    /// An index at which nobody answers.
    const NOWHERE: &str = "http://127.0.0.1:9/simple";

    /// Another test's fork would hold a freshly written script open for writing, and then it cannot be started.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    /// A program that stands in for Python: answers `-c` with a version and runs `pip` for everything else.
    fn fake_python(folder: &Path, pip: &str) -> String {
        let path = folder.join("fake-python");
        let script = format!("#!/bin/sh\ncase \"$*\" in -I\\ -c*) echo 3.11;; *) {pip};; esac\n");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn failure(pip: &str) -> (SetupError, tempfile::TempDir) {
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let python = fake_python(folder.path(), pip);
        let data = folder.path().join("data");
        let error = install_with(
            Flavour::Cpu,
            Some(&data),
            Supply::Network {
                pythons: &[&python],
                index: Some(NOWHERE),
            },
            &mut |_| ControlFlow::Continue(()),
        )
        .unwrap_err();
        let left: Vec<_> = fs::read_dir(data.join("onnxruntime"))
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left, [".lock"], "something was left behind");
        (error, folder)
    }

    #[test]
    fn a_machine_without_python_and_without_an_index_is_told_so() {
        let folder = tempfile::tempdir().unwrap();
        let fails = |flavour| {
            let supply = Supply::Network {
                pythons: &["no-such-python"],
                index: Some(NOWHERE),
            };
            let nothing = &mut |_: SetupEvent<'_>| ControlFlow::Continue(());
            install_with(flavour, Some(folder.path()), supply, nothing).unwrap_err()
        };
        let error = fails(Flavour::Gpu);
        let no_python = matches!(error, SetupError::Pip(PipError::NoPython { .. }));
        assert!(no_python, "{error}");
        assert!(error.to_string().contains("`ort_lib`"), "{error}");
        #[cfg(feature = "cli")]
        {
            let error = fails(Flavour::Cpu);
            assert!(matches!(error, SetupError::Index { .. }), "{error}");
            assert!(error.to_string().contains("--from WHEEL"), "{error}");
        }
    }

    #[test]
    fn a_python_without_pip_is_none() {
        let (error, _folder) = failure("echo 'No module named pip' >&2; exit 1");
        #[cfg(feature = "cli")]
        assert!(matches!(error, SetupError::Index { .. }), "{error}");
        #[cfg(not(feature = "cli"))]
        assert!(
            error.to_string().contains("apt install python3-pip"),
            "{error}"
        );
    }

    #[test]
    fn a_machine_without_a_network_is_told_so() {
        let pip = "case \"$*\" in *--version*) exit 0;; esac; \
                   echo 'WARNING: Retrying: Temporary failure in name resolution' >&2; \
                   echo 'ERROR: No matching distribution found for onnxruntime' >&2; exit 1";
        let (error, _folder) = failure(pip);
        assert!(
            matches!(error, SetupError::Pip(PipError::Network { .. })),
            "{error}"
        );
    }

    #[test]
    fn a_platform_without_a_wheel_is_told_so() {
        let pip = "case \"$*\" in *--version*) exit 0;; esac; \
                   echo 'ERROR: No matching distribution found for onnxruntime==1.31.1' >&2; exit 1";
        let (error, _folder) = failure(pip);
        assert!(
            matches!(error, SetupError::Pip(PipError::NoWheel { .. })),
            "{error}"
        );
        assert!(error.to_string().contains("`ort_lib`"), "{error}");
    }

    #[test]
    fn a_wheel_with_a_broken_library_is_refused_and_removed() {
        let pip = "case \"$*\" in *--version*) exit 0;; esac; \
                   while [ \"$1\" != --target ]; do shift; done; mkdir -p \"$2/onnxruntime/capi\"; \
                   echo garbage > \"$2/onnxruntime/capi/libonnxruntime.so.1.31.1\"; \
                   echo garbage > \"$2/onnxruntime/capi/libonnxruntime.1.31.1.dylib\"";
        let (error, _folder) = failure(pip);
        assert!(matches!(error, SetupError::Unusable { .. }), "{error}");
    }

    #[test]
    fn a_gpu_gets_its_cuda_libraries_in_a_folder_of_its_own() {
        let wheels = requirements(Flavour::Gpu);
        for name in ["onnxruntime-gpu==", "nvidia-cublas", "nvidia-cudnn-cu13"] {
            assert!(wheels.iter().any(|wheel| wheel.starts_with(name)), "{name}");
        }
        assert_ne!(Flavour::Gpu.folder(), Flavour::Cpu.folder());
        assert_eq!(requirements(Flavour::Cpu).len(), 1);
    }

    #[test]
    fn only_libraries_and_licences_are_kept() {
        let library = format!(
            "{}onnxruntime{}",
            std::env::consts::DLL_PREFIX,
            std::env::consts::DLL_SUFFIX
        );
        assert!(is_kept(&library));
        assert!(is_kept("LICENSE"));
        assert!(!is_kept("onnxruntime_validation.py"));
        assert!(!is_kept("__init__.py"));
    }
}
