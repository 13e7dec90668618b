//! What the integration tests share.

use std::path::{Path, PathBuf};

use ndarray::Array2;
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

/// A mel `[n_mels, frames]` as an acoustic model that is sure of nothing makes it: under a Gaussian of one band.
#[allow(dead_code, reason = "each test file takes what it needs")]
pub fn blurred(mel: &Array2<f32>) -> Array2<f32> {
    let last = mel.nrows() as i64 - 1;
    Array2::from_shape_fn(mel.raw_dim(), |(band, frame)| {
        let near = |k: i64| mel[[(band as i64 + k).clamp(0, last) as usize, frame]];
        let weight = |k: i64| (-0.5 * (k * k) as f32).exp();
        let sum: f32 = (-4..=4).map(|k| weight(k) * near(k)).sum();
        sum / (-4..=4).map(weight).sum::<f32>()
    })
}

/// The data folder that the tests install into: it outlives a test run, so that only the first one fetches.
pub fn data_folder() -> PathBuf {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    scratch.parent().unwrap_or(scratch).join("vocode-data")
}
