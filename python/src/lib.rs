//! The native half of the Python package `vocode_onnx`: the library for arrays, and the program.

mod arrays;
mod convention;
mod detection;
mod errors;
mod options;
mod stream;
mod vocoder;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use pyo3::prelude::*;

    #[pymodule_export]
    use super::convention::MelConvention;
    #[pymodule_export]
    use super::detection::{Detection, Place, detect};
    #[pymodule_export]
    use super::stream::AudioStream;
    #[pymodule_export]
    use super::vocoder::Vocoder;

    /// Runs the program `vocode` on these arguments, the first of which is its own name, and gives its exit code.
    #[pyfunction]
    fn main(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
        py.detach(|| vocode::main(arguments))
    }

    /// Has ONNX Runtime looked for in this folder before all places that nobody named.
    #[pyfunction]
    fn look_in_package(folder: PathBuf) {
        vocode::runtime::look_in_package(&folder);
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
