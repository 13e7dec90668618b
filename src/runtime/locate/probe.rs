//! Asks a library whether it is an ONNX Runtime new enough for vocode, without making it the process's runtime.

use std::ffi::CStr;
use std::path::{Path, PathBuf};

use ort::sys::OrtApiBase;

use super::needed::{is_recent, needed_version};
use super::rejection::Rejection;
use super::wheel::Flavour;
use super::{checksum, image};
use crate::runtime::telemetry::disable_telemetry;

/// A library that answered as ONNX Runtime. It stays mapped while this value lives, so that loading it for good
/// afterwards costs nothing.
pub(in crate::runtime) struct Probed {
    /// The library's own version, such as `1.31.1`.
    pub version: String,
    /// The absolute path of the file, also when it was found by name on the loader's path.
    pub path: PathBuf,
    _library: libloading::Library,
}

/// Probes the file at `path`.
///
/// # Errors
/// A [`Rejection`] that says why the file cannot serve.
pub(in crate::runtime) fn file(path: &Path) -> Result<Probed, Rejection> {
    image::check(path)?;
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    open(&absolute, || absolute.clone())
}

/// Probes a library that `vocode setup` installed, once its hash is seen to be the right one.
///
/// # Errors
/// As [`file`], and [`Rejection::Altered`].
pub(super) fn installed(path: &Path, flavour: Flavour) -> Result<Probed, Rejection> {
    image::check(path)?;
    checksum::check(path, flavour)?;
    file(path)
}

/// Probes whatever the dynamic loader finds under a bare file name.
///
/// # Errors
/// [`Rejection::Missing`] when the loader knows no such library; otherwise as [`file`].
pub(super) fn by_name(name: &str) -> Result<Probed, Rejection> {
    match open(Path::new(name), || {
        mapped_path(name).unwrap_or_else(|| PathBuf::from(name))
    }) {
        // The same words with another name mean that a library it depends on is not there.
        Err(Rejection::NotALibrary { reason })
            if reason.contains(name) && reason.contains("No such file") =>
        {
            Err(Rejection::Missing)
        }
        other => other,
    }
}

fn open(path: &Path, resolve: impl FnOnce() -> PathBuf) -> Result<Probed, Rejection> {
    disable_telemetry();
    // SAFETY: mapping a library runs its initialisers. That is what the caller asks for: the path comes from the
    // user, from vocode's own folder or from the system's search path, and `image::check` has seen the file.
    let library =
        unsafe { libloading::Library::new(path) }.map_err(|error| Rejection::NotALibrary {
            reason: words(&error),
        })?;
    let version = version_of(&library)?;
    Ok(Probed {
        version,
        path: resolve(),
        _library: library,
    })
}

/// The loader's own words, which stand behind the error that names the call.
fn words(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

fn version_of(library: &libloading::Library) -> Result<String, Rejection> {
    type BaseGetter = unsafe extern "C" fn() -> *const OrtApiBase;
    // SAFETY: a library that exports ONNX Runtime's entry point declares it with this signature
    // (onnxruntime_c_api.h); the returned table is static and is checked for null before it is read.
    let (version, has_api) = unsafe {
        let getter = library
            .get::<BaseGetter>(b"OrtGetApiBase")
            .map_err(|_| Rejection::NotOnnxRuntime)?;
        let base = getter().as_ref().ok_or(Rejection::NotOnnxRuntime)?;
        let text = (base.GetVersionString)();
        if text.is_null() {
            return Err(Rejection::NotOnnxRuntime);
        }
        let version = CStr::from_ptr(text).to_string_lossy().into_owned();
        // Asking a library for an interface that it does not have makes it print to stderr, so look at its version first.
        let recent = is_recent(&version);
        (
            version,
            recent && !(base.GetApi)(ort::MINOR_VERSION).is_null(),
        )
    };
    if has_api {
        Ok(version)
    } else {
        Err(Rejection::TooOld {
            found: version,
            needed: needed_version(),
        })
    }
}

/// The path under which a library that the loader found by `name` is mapped into this process (Linux only).
fn mapped_path(name: &str) -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let stem = format!("/{name}");
    maps.lines()
        .filter_map(|line| line.find('/').map(|start| &line[start..]))
        .find(|path| path.contains(&stem))
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_the_loader_does_not_know_is_missing() {
        assert_eq!(
            by_name("libno-such-library-anywhere.so").err(),
            Some(Rejection::Missing)
        );
    }
}
