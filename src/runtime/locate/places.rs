//! The folders and file names under which ONNX Runtime's library may lie.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::rejection::Rejection;
use super::wheel::GPU_SUFFIX;

/// The folder below the data folder that holds one folder for each installed version.
pub(in crate::runtime) fn library_root(data_folder: &Path) -> PathBuf {
    data_folder.join("onnxruntime")
}

/// The ONNX Runtime libraries in `folder`, newest version first, the plain name last.
pub(in crate::runtime) fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = entries(folder)
        .filter_map(|path| Some((library_version(path.file_name()?.to_str()?)?, path)))
        .filter(|(_, path)| path.is_file())
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, path)| path).collect()
}

/// The folders of installed versions, newest first, and of one version that for GPUs first. Names that are no version (a half-made
/// installation) are not listed.
pub(super) fn installed_in(data_folder: &Path) -> Vec<PathBuf> {
    let version = |name: &str| {
        let bare = name.strip_suffix(GPU_SUFFIX);
        Some((numbers(bare.unwrap_or(name))?, bare.is_some()))
    };
    let mut versions: Vec<_> = entries(&library_root(data_folder))
        .filter_map(|path| Some((version(path.file_name()?.to_str()?)?, path)))
        .collect();
    versions.sort_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, path)| path).collect()
}

/// Where the `onnxruntime` package keeps its library below a Python prefix: one folder for each Python version there.
pub(super) fn python_folders(prefix: &Path) -> Vec<PathBuf> {
    let package = Path::new("site-packages").join("onnxruntime").join("capi");
    if cfg!(windows) {
        return vec![prefix.join("Lib").join(package)];
    }
    let lib = prefix.join("lib");
    let mut folders: Vec<_> = entries(&lib)
        .filter(|path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with("python"))
        })
        .map(|path| path.join(&package))
        .collect();
    folders.sort();
    if folders.is_empty() {
        folders.push(lib.join("python3").join(package));
    }
    folders
}

/// Why nothing was found in `folder`, or at that path.
pub(super) fn absence(folder: &Path) -> Rejection {
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Rejection::Unreadable {
                reason: error.to_string(),
            }
        }
        _ => Rejection::Missing,
    }
}

/// Whether a file of this name is ONNX Runtime's library or one of its providers'.
pub(in crate::runtime) fn is_library(name: &str) -> bool {
    let stem = format!("{}onnxruntime", env::consts::DLL_PREFIX);
    name.starts_with(&stem) && name.contains(env::consts::DLL_SUFFIX)
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path())
}

pub(super) fn plain_name() -> String {
    format!(
        "{}onnxruntime{}",
        env::consts::DLL_PREFIX,
        env::consts::DLL_SUFFIX
    )
}

pub(super) fn loader_names() -> Vec<String> {
    let plain = plain_name();
    if cfg!(target_os = "linux") {
        vec![plain.clone(), format!("{plain}.1")]
    } else {
        vec![plain]
    }
}

/// The version in a library's file name (`libonnxruntime.so.1.31.1`, `libonnxruntime.1.31.1.dylib`), empty for the
/// plain name; `None` for any other file, the provider libraries among them.
fn library_version(name: &str) -> Option<Vec<u32>> {
    let stem = format!("{}onnxruntime", env::consts::DLL_PREFIX);
    let rest = name.strip_prefix(&stem)?;
    let suffix = env::consts::DLL_SUFFIX;
    let version = rest
        .strip_prefix(suffix)
        .or_else(|| rest.strip_suffix(suffix))?;
    if version.is_empty() {
        Some(Vec::new())
    } else {
        numbers(version.strip_prefix('.')?)
    }
}

fn numbers(version: &str) -> Option<Vec<u32>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}

pub(in crate::runtime) fn path_from(variable: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .filter(|value: &OsString| !value.is_empty())
        .map(PathBuf::from)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "not a library").unwrap();
    }

    #[test]
    fn file_names_of_the_library_are_told_from_its_neighbours() {
        assert_eq!(library_version("libonnxruntime.so"), Some(vec![]));
        assert_eq!(
            library_version("libonnxruntime.so.1.31.1"),
            Some(vec![1, 31, 1])
        );
        assert_eq!(library_version("libonnxruntime_providers_shared.so"), None);
        assert_eq!(library_version("libonnxruntime.so.bak"), None);
        assert_eq!(library_version("libonnxruntime.a"), None);
    }

    #[test]
    fn an_installation_for_gpus_comes_before_its_like() {
        let data = tempfile::tempdir().unwrap();
        for name in [
            "1.30.0-gpu",
            "1.31.1",
            "1.31.1-gpu",
            ".partial-x",
            "gpu",
            "-gpu",
        ] {
            std::fs::create_dir_all(library_root(data.path()).join(name)).unwrap();
        }
        let found = installed_in(data.path());
        let names: Vec<_> = found
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["1.31.1-gpu", "1.31.1", "1.30.0-gpu"]);
    }

    #[test]
    fn newer_versions_come_first() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["so.1.9.0", "so.1.31.1", "so.1.30.0", "so"] {
            touch(&folder.path().join(format!("libonnxruntime.{version}")));
        }
        let names: Vec<_> = libraries_in(folder.path())
            .iter()
            .map(|path| {
                path.file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .replace("libonnxruntime.", "")
            })
            .collect();
        assert_eq!(names, ["so.1.31.1", "so.1.30.0", "so.1.9.0", "so"]);
    }
}
