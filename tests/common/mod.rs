//! What the integration tests share.

use std::path::{Path, PathBuf};

use vocode::runtime::{FindError, Flavour, LoadOptions, Runtime, RuntimeError, install};

/// The ONNX Runtime of this test process: the one that vocode finds, else one installed once below `target/`.
///
/// A test that starts the binary passes it on as `VOCODE_ORT_LIB`, see [`Runtime::library`].
pub fn ensure_runtime() -> Runtime {
    match Runtime::load(&LoadOptions::default()) {
        Err(RuntimeError::Find(FindError::NotFound { .. })) => {}
        other => return other.expect("ONNX Runtime loads"),
    }
    let installed = install(Flavour::Cpu, Some(&data_folder()), &mut |_| {
        std::ops::ControlFlow::Continue(())
    })
    .expect("the tests need ONNX Runtime: run `vocode setup` or set VOCODE_ORT_LIB");
    Runtime::load(&LoadOptions::default().library(Some(installed.library)))
        .expect("ONNX Runtime loads")
}

/// A copy of the built-in model's folder.
#[allow(dead_code, reason = "each test file takes what it needs")]
pub fn model_copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir("models/default").unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

/// The data folder that the tests install into: it outlives a test run, so that only the first one fetches.
pub fn data_folder() -> PathBuf {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    scratch.parent().unwrap_or(scratch).join("vocode-data")
}
