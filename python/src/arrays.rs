//! From NumPy arrays, torch tensors and whatever else NumPy can read, to the library's arrays.

use ndarray::ArrayD;
use numpy::{PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use vocode::mel::Layout;
use vocode::{Mel, MelError};

use crate::errors;

/// The value as a NumPy array: a tensor of torch on the CPU without a copy, bfloat16 by way of float32.
fn as_numpy<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyUntypedArray>> {
    let py = value.py();
    let array = if value.hasattr("detach")? && value.hasattr("cpu")? {
        let tensor = value.call_method0("detach")?.call_method0("cpu")?;
        match tensor.call_method0("numpy") {
            Err(error) if error.is_instance_of::<PyTypeError>(py) => {
                tensor.call_method0("float")?.call_method0("numpy")?
            }
            other => other?,
        }
    } else {
        py.import("numpy")?.call_method1("asarray", (value,))?
    };
    Ok(array.cast_into::<PyUntypedArray>()?)
}

/// The elements as 32-bit floats of this machine's byte order.
fn as_floats<'py>(array: &Bound<'py, PyUntypedArray>) -> PyResult<PyReadonlyArrayDyn<'py, f32>> {
    let floats = array.call_method1("astype", ("float32", "K", "unsafe", true, false))?;
    floats.extract()
}

/// What the elements are, as NumPy writes it: `f` and 4 are 32-bit floats.
fn element(array: &Bound<'_, PyUntypedArray>) -> PyResult<(String, usize)> {
    let dtype = array.dtype();
    let kind = dtype.getattr("kind")?.extract()?;
    Ok((kind, dtype.getattr("itemsize")?.extract()?))
}

/// A mel or a batch of mels, of any layout: floats of 16, 32 or 64 bits.
pub fn mel_values(value: &Bound<'_, PyAny>) -> PyResult<ArrayD<f32>> {
    let array = as_numpy(value)?;
    match element(&array)? {
        (kind, 2 | 4 | 8) if kind == "f" => Ok(as_floats(&array)?.as_array().to_owned()),
        _ => Err(errors::mel_message(format!(
            "element type {} is not supported, expected float16, float32 or float64: give mel.astype(numpy.float32)",
            array.dtype().str()?
        ))),
    }
}

/// One mel of `bands` bands.
pub fn mel(values: ArrayD<f32>, bands: usize, layout: Layout) -> PyResult<Mel> {
    let shape = values.shape().to_vec();
    Mel::arranged(values, Some(bands), layout).map_err(|error| {
        let other = match layout {
            Layout::BandsFirst => (shape.last(), "frames-first"),
            Layout::FramesFirst => (shape.iter().rev().nth(1), "bands-first"),
            Layout::Auto => (None, ""),
        };
        match (&error, other) {
            (MelError::Bands { .. }, (Some(side), name)) if *side == bands => {
                errors::mel_message(format!(
                    "expected {bands} mel bands in the {} axis, found shape {shape:?}: say layout={name:?}, or turn it with mel.T",
                    if name == "frames-first" { "first" } else { "last" }
                ))
            }
            _ => errors::mel(error),
        }
    })
}

/// One channel of audio, full scale 1; integers of 16 bits are taken as PCM.
pub fn samples(value: &Bound<'_, PyAny>) -> PyResult<Vec<f32>> {
    let array = as_numpy(value)?;
    let scale = match element(&array)? {
        (kind, 2 | 4 | 8) if kind == "f" => 1.0,
        (kind, 2) if kind == "i" => 1.0 / 32_768.0,
        _ => {
            return Err(errors::audio_message(format!(
                "samples of type {} are not supported, expected floats of full scale 1, or int16",
                array.dtype().str()?
            )));
        }
    };
    let shape = array.shape();
    if shape.iter().filter(|side| **side != 1).count() > 1 {
        return Err(errors::audio_message(format!(
            "expected one channel of audio, [samples] or [1, samples], found shape {shape:?}: mix the channels, as in audio.mean(axis=0)"
        )));
    }
    let floats = as_floats(&array)?;
    Ok(floats.as_array().iter().map(|v| v * scale).collect())
}
