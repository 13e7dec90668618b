//! What the numbers of a mel mean.

use std::path::PathBuf;

use pyo3::prelude::*;

use crate::errors;

/// Bytes of a convention's TOML file; the longest sensible one has a few kilobytes.
const MAX_TOML_BYTES: u64 = 1 << 20;

/// What the numbers of a mel mean: rate, FFT, hop, bands and the logarithm.
///
/// `name` is a preset ("hifigan", "tacotron2", "lmnt", "vocos24k") or a path that ends in ".toml". `mean` and `std` are those of a
/// z-normalised mel: `(log_mel - mean) / std`, one number each, as acoustic models such as Matcha-TTS emit it.
#[pyclass(frozen, eq, from_py_object, module = "vocode_onnx")]
#[derive(Clone, PartialEq)]
pub struct MelConvention(pub vocode::MelConvention);

#[pymethods]
impl MelConvention {
    #[new]
    #[pyo3(signature = (name="hifigan", *, mean=None, std=None))]
    fn new(name: &str, mean: Option<f64>, std: Option<f64>) -> PyResult<Self> {
        let convention = match vocode::MelConvention::named(name) {
            Some(convention) => convention,
            None if name.ends_with(".toml") => from_file(name.into())?,
            None => {
                return Err(errors::option(format!(
                    "`mel_convention` {name:?}: expected {}, or a .toml file that spells one out",
                    vocode::MelConvention::names().join(", ")
                )));
            }
        };
        Self(convention).normalized(mean, std)
    }

    /// The convention that a text in TOML spells out: every field, or `base = "<preset>"` and the fields that differ.
    #[staticmethod]
    fn from_toml(text: &str) -> PyResult<Self> {
        vocode::MelConvention::from_toml(text)
            .map(Self)
            .map_err(errors::mel)
    }

    /// The presets' names.
    #[staticmethod]
    fn names() -> Vec<&'static str> {
        vocode::MelConvention::names().to_vec()
    }

    /// The same convention with another mean and standard deviation; `None` leaves what there is.
    #[pyo3(signature = (mean=None, std=None))]
    fn normalized(&self, mean: Option<f64>, std: Option<f64>) -> PyResult<Self> {
        let mut convention = self.0.clone();
        let compression = &mut convention.compression;
        compression.mean = mean.unwrap_or(compression.mean);
        compression.std = std.unwrap_or(compression.std);
        convention.validate().map_err(errors::mel)?;
        Ok(Self(convention))
    }

    /// Name in messages.
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    /// Samples a second.
    #[getter]
    fn sample_rate(&self) -> u32 {
        self.0.sample_rate
    }

    /// FFT length in samples.
    #[getter]
    fn n_fft(&self) -> usize {
        self.0.n_fft
    }

    /// Window length in samples.
    #[getter]
    fn win_length(&self) -> usize {
        self.0.win_length
    }

    /// Samples between frames.
    #[getter]
    fn hop(&self) -> usize {
        self.0.hop
    }

    /// Mel bands.
    #[getter]
    fn n_mels(&self) -> usize {
        self.0.n_mels
    }

    /// Lower edge of the lowest band, Hz.
    #[getter]
    fn f_min(&self) -> f64 {
        self.0.f_min
    }

    /// Upper edge of the highest band, Hz.
    #[getter]
    fn f_max(&self) -> f64 {
        self.0.f_max
    }

    /// Mean that was taken off; 0 where the mel is not normalised.
    #[getter]
    fn mean(&self) -> f64 {
        self.0.compression.mean
    }

    /// Standard deviation that was divided by; 1 where the mel is not normalised.
    #[getter]
    fn std(&self) -> f64 {
        self.0.compression.std
    }

    fn __repr__(&self) -> String {
        let c = &self.0;
        format!(
            "MelConvention({:?}, mean={}, std={}): {} Hz, n_fft {}, hop {}, {} bands over {}-{} Hz",
            c.name,
            c.compression.mean,
            c.compression.std,
            c.sample_rate,
            c.n_fft,
            c.hop,
            c.n_mels,
            c.f_min,
            c.f_max
        )
    }
}

fn from_file(path: PathBuf) -> PyResult<vocode::MelConvention> {
    let size = std::fs::metadata(&path)?.len();
    if size > MAX_TOML_BYTES {
        return Err(errors::option(format!(
            "{}: {size} bytes are no mel convention, the limit is {MAX_TOML_BYTES}",
            path.display()
        )));
    }
    let text = std::fs::read_to_string(&path)?;
    vocode::MelConvention::from_toml(&text)
        .map_err(|error| errors::mel_message(format!("{}: {error}", path.display())))
}

/// A convention as a caller names it.
#[derive(FromPyObject)]
pub enum ConventionArgument {
    /// Made before.
    Made(MelConvention),
    /// A preset or a TOML file.
    Named(String),
    /// A TOML file.
    File(PathBuf),
}

impl ConventionArgument {
    /// The convention itself.
    pub fn load(self) -> PyResult<vocode::MelConvention> {
        match self {
            ConventionArgument::Made(MelConvention(convention)) => Ok(convention),
            ConventionArgument::Named(name) => Ok(MelConvention::new(&name, None, None)?.0),
            ConventionArgument::File(path) => from_file(path),
        }
    }
}
