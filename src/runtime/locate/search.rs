//! Where the ONNX Runtime library is looked for.
//!
//! First what the user named: `ort_lib`, a flag of the program, `VOCODE_ORT_LIB`, `ORT_DYLIB_PATH`. The first of these that is set is used
//! or is an error; nothing replaces it in silence. Then, in this order, the first that serves: the package `onnxruntime` of the Python that
//! this process runs in, where that has been told; beside the executable, vocode's data folder (where `vocode setup` puts it), the active
//! Python environment, the dynamic loader's own path.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::attempt::{Attempt, Origin};
use super::data_folder::data_folder;
use super::error::FindError;
use super::places::{
    absence, installed_in, libraries_in, library_root, loader_names, path_from, plain_name,
    python_folders,
};
use super::probe::{self, Probed};
use super::rejection::Rejection;
use super::wheel::Flavour;
use crate::setters::setters;

/// Folders that [`look_in_package`] was given.
static PACKAGES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Has every later search of this process look in `folder` before all places that nobody named: the folder `capi` of the Python package
/// `onnxruntime`. For a Python module, which knows where its own environment keeps its packages, also when that is not activated.
pub fn look_in_package(folder: &Path) {
    let mut packages = PACKAGES.lock().unwrap_or_else(PoisonError::into_inner);
    if packages.iter().all(|known| known != folder) {
        packages.push(folder.to_path_buf());
    }
}

/// What the search looks at. [`Search::from_process`] fills it from the process; tests fill it by hand.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Search {
    /// Libraries named by the user, the first of which decides.
    pub named: Vec<(Origin, PathBuf)>,
    /// Folders of the Python package `onnxruntime` that [`look_in_package`] was given.
    pub packages: Vec<PathBuf>,
    /// The folder of the running executable.
    pub executable_folder: Option<PathBuf>,
    /// vocode's data folder, see [`data_folder`].
    pub data_folder: Option<PathBuf>,
    /// Prefixes of the active Python environments.
    pub python_prefixes: Vec<PathBuf>,
    /// File names to hand to the dynamic loader.
    pub loader_names: Vec<String>,
}

setters!(Search {
    named: Vec<(Origin, PathBuf)>,
    packages: Vec<PathBuf>,
    executable_folder: Option<PathBuf>,
    data_folder: Option<PathBuf>,
    python_prefixes: Vec<PathBuf>,
    loader_names: Vec<String>,
});

/// The library that the search settled on, with the whole record of how it got there.
pub(in crate::runtime) struct Found {
    pub origin: Origin,
    pub library: Probed,
    /// Every attempt in order; the last one is the library itself.
    pub attempts: Vec<Attempt>,
}

impl Search {
    /// The search of this process: its environment, its executable and `flag`, the path given for `ort_lib`.
    pub fn from_process(flag: Option<&Path>) -> Search {
        let variables = [
            (Origin::VocodeOrtLib, "VOCODE_ORT_LIB"),
            (Origin::OrtDylibPath, "ORT_DYLIB_PATH"),
        ];
        let named = flag
            .map(|path| (Origin::Flag, path.to_path_buf()))
            .into_iter()
            .chain(
                variables
                    .into_iter()
                    .filter_map(|(origin, name)| Some((origin, path_from(name)?))),
            )
            .collect();
        Search {
            named,
            packages: PACKAGES
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            executable_folder: env::current_exe()
                .ok()
                .and_then(|exe| exe.parent().map(Path::to_path_buf)),
            data_folder: data_folder(),
            python_prefixes: ["VIRTUAL_ENV", "CONDA_PREFIX"]
                .into_iter()
                .filter_map(path_from)
                .collect(),
            loader_names: loader_names(),
        }
    }

    /// Says where the search leads, without making what it finds the runtime of this process.
    /// The last attempt is the library that would be used.
    ///
    /// # Errors
    /// [`FindError::Rejected`] or [`FindError::NotFound`].
    pub fn survey(&self) -> Result<Vec<Attempt>, FindError> {
        self.find().map(|found| found.attempts)
    }

    /// Finds the library.
    ///
    /// # Errors
    /// [`FindError::Rejected`] when the one that the user named cannot serve, [`FindError::NotFound`] with
    /// every attempt when there is none in any other place.
    pub(in crate::runtime) fn find(&self) -> Result<Found, FindError> {
        if let Some((origin, path)) = self.named.first() {
            return find_named(*origin, path);
        }
        let mut attempts = Vec::new();
        for (origin, folder) in self.folders() {
            let files = libraries_in(&folder);
            if files.is_empty() {
                attempts.push(Attempt {
                    origin,
                    path: folder.clone(),
                    verdict: Err(absence(&folder)),
                });
            }
            for file in files {
                let probed = match pinned(origin, &folder) {
                    Some(flavour) => probe::installed(&file, flavour),
                    None => probe::file(&file),
                };
                if let Some(library) = record(&mut attempts, origin, &file, probed) {
                    return Ok(Found {
                        origin,
                        library,
                        attempts,
                    });
                }
            }
        }
        for name in &self.loader_names {
            let origin = Origin::LoaderPath;
            if let Some(library) =
                record(&mut attempts, origin, Path::new(name), probe::by_name(name))
            {
                return Ok(Found {
                    origin,
                    library,
                    attempts,
                });
            }
        }
        Err(FindError::NotFound {
            attempts,
            offline: false,
        })
    }

    fn folders(&self) -> Vec<(Origin, PathBuf)> {
        let packages = self.packages.iter();
        let packages = packages.map(|folder| (Origin::PythonPackage, folder.clone()));
        let executable = self
            .executable_folder
            .iter()
            .map(|folder| (Origin::BesideExecutable, folder.clone()));
        let data = self.data_folder.iter().flat_map(|folder| {
            let installed = installed_in(folder);
            let shown = if installed.is_empty() {
                vec![library_root(folder)]
            } else {
                installed
            };
            shown.into_iter().map(|folder| (Origin::DataFolder, folder))
        });
        let python = self.python_prefixes.iter().flat_map(|prefix| {
            python_folders(prefix)
                .into_iter()
                .map(|folder| (Origin::PythonEnvironment, folder))
        });
        packages
            .chain(executable)
            .chain(data)
            .chain(python)
            .collect()
    }
}

/// What `vocode setup` installed in this folder of the data folder, whose libraries have known hashes.
fn pinned(origin: Origin, folder: &Path) -> Option<Flavour> {
    let name = folder.file_name()?.to_str()?;
    [Flavour::Cpu, Flavour::Gpu]
        .into_iter()
        .find(|flavour| origin == Origin::DataFolder && flavour.folder() == name)
}

fn find_named(origin: Origin, path: &Path) -> Result<Found, FindError> {
    let file = if path.is_dir() {
        libraries_in(path)
            .into_iter()
            .next()
            .unwrap_or_else(|| path.join(plain_name()))
    } else {
        path.to_path_buf()
    };
    let probed = match probe::file(&file) {
        Err(Rejection::Missing) => Err(absence(path)),
        other => other,
    };
    let mut attempts = Vec::new();
    match record(&mut attempts, origin, &file, probed) {
        Some(library) => Ok(Found {
            origin,
            library,
            attempts,
        }),
        None => {
            let rejection = attempts
                .pop()
                .and_then(|attempt| attempt.verdict.err())
                .unwrap_or(Rejection::Missing);
            Err(FindError::Rejected {
                origin,
                path: path.to_path_buf(),
                rejection,
            })
        }
    }
}

fn record(
    attempts: &mut Vec<Attempt>,
    origin: Origin,
    path: &Path,
    probed: Result<Probed, Rejection>,
) -> Option<Probed> {
    let (path, verdict, library) = match probed {
        Ok(library) => (
            library.path.clone(),
            Ok(library.version.clone()),
            Some(library),
        ),
        Err(rejection) => (path.to_path_buf(), Err(rejection), None),
    };
    let attempt = Attempt {
        origin,
        path,
        verdict,
    };
    tracing::debug!("{attempt}");
    attempts.push(attempt);
    library
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "not a library").unwrap();
    }

    #[test]
    fn a_named_library_that_fails_is_an_error_and_never_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let garbage = folder.path().join("garbage.so");
        touch(&garbage);
        let search = Search {
            named: vec![
                (Origin::Flag, garbage.clone()),
                (Origin::VocodeOrtLib, folder.path().join("other.so")),
            ],
            ..Search::default()
        };
        let error = search.find().err().unwrap();
        assert!(
            matches!(&error, FindError::Rejected { origin: Origin::Flag, path, rejection: Rejection::NotALibrary { .. } } if *path == garbage),
            "{error}"
        );
        assert!(error.to_string().contains("vocode setup"), "{error}");
    }

    #[test]
    fn every_place_is_tried_in_order_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let installed = library_root(&data).join("1.31.1").join(plain_name());
        touch(&installed);
        touch(&library_root(&data).join(".partial").join(plain_name()));
        let search = Search {
            named: vec![],
            packages: vec![folder.path().join("site-packages/onnxruntime/capi")],
            executable_folder: Some(folder.path().join("bin")),
            data_folder: Some(data),
            python_prefixes: vec![folder.path().join("venv")],
            loader_names: vec!["libno-such-library-anywhere.so".to_owned()],
        };
        let Err(FindError::NotFound { attempts, .. }) = search.find() else {
            panic!("found one")
        };
        let origins: Vec<_> = attempts.iter().map(|attempt| attempt.origin).collect();
        let expected = [
            Origin::PythonPackage,
            Origin::BesideExecutable,
            Origin::DataFolder,
            Origin::PythonEnvironment,
            Origin::LoaderPath,
        ];
        assert_eq!(origins, expected);
        assert_eq!(attempts[2].path, installed);
        assert!(matches!(
            attempts[2].verdict,
            Err(Rejection::NotALibrary { .. })
        ));
        for index in [0, 1, 3, 4] {
            assert_eq!(
                attempts[index].verdict,
                Err(Rejection::Missing),
                "{}",
                attempts[index]
            );
        }
        let message = FindError::NotFound {
            attempts,
            offline: true,
        }
        .to_string();
        for part in [
            "vocode setup",
            "`ort_lib`",
            "VOCODE_OFFLINE",
            "beside the executable",
            "data folder",
            "Python",
        ] {
            assert!(message.contains(part), "{part} is not in: {message}");
        }
    }
}
