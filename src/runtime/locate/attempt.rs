//! The places that were tried, and what came of each.

use std::fmt;
use std::path::PathBuf;

use super::rejection::Rejection;

/// Who said that the library is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Named by the caller: [`LoadOptions::library`](crate::runtime::LoadOptions::library), which messages call `ort_lib`.
    Flag,
    /// `VOCODE_ORT_LIB`.
    VocodeOrtLib,
    /// `ORT_DYLIB_PATH`, the variable that other programs on the same binding read.
    OrtDylibPath,
    /// The package `onnxruntime` of the Python that this process runs in.
    PythonPackage,
    /// The folder of the running executable.
    BesideExecutable,
    /// vocode's data folder.
    DataFolder,
    /// `$VIRTUAL_ENV` or `$CONDA_PREFIX`.
    PythonEnvironment,
    /// The dynamic loader's search path.
    LoaderPath,
}

impl Origin {
    /// A stable name for machine-readable output.
    pub fn id(self) -> &'static str {
        match self {
            Origin::Flag => "flag",
            Origin::VocodeOrtLib => "VOCODE_ORT_LIB",
            Origin::OrtDylibPath => "ORT_DYLIB_PATH",
            Origin::PythonPackage => "python-package",
            Origin::BesideExecutable => "beside-executable",
            Origin::DataFolder => "data-folder",
            Origin::PythonEnvironment => "python-environment",
            Origin::LoaderPath => "loader-path",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Flag => "`ort_lib`",
            Origin::VocodeOrtLib | Origin::OrtDylibPath => self.id(),
            Origin::PythonPackage => "the Python package onnxruntime",
            Origin::BesideExecutable => "beside the executable",
            Origin::DataFolder => "vocode's data folder",
            Origin::PythonEnvironment => "the active Python environment",
            Origin::LoaderPath => "the loader's path",
        })
    }
}

/// One place that was tried, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Why this place was tried.
    pub origin: Origin,
    /// The file; the folder where it holds no such file; the bare name for the loader's path.
    pub path: PathBuf,
    /// The version of the library, or why it cannot serve.
    pub verdict: Result<String, Rejection>,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): ", self.origin, self.path.display())?;
        match &self.verdict {
            Ok(version) => write!(f, "ok, version {version}"),
            Err(rejection) => write!(f, "{rejection}"),
        }
    }
}
