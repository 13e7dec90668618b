//! Watermarks found again.

use pyo3::prelude::*;
use vocode::watermark;

use crate::{arrays, errors, options};

/// What was found of a watermark in a recording.
#[pyclass(frozen, get_all, module = "vocode_onnx")]
pub struct Detection {
    /// Length of the recording.
    seconds: f64,
    /// At most so often does audio that was made without the key look so much like audio with its watermark; 0 where it is too small for a float.
    false_alarm: f64,
    /// Its decimal logarithm.
    log10_false_alarm: f64,
    /// What the watermark says, where enough of it is there.
    payload: Option<u32>,
    /// The stretches that were looked at, in order; they overlap by half.
    places: Vec<Py<Place>>,
}

/// A stretch of a recording, and what was found in it alone.
#[pyclass(frozen, get_all, module = "vocode_onnx")]
pub struct Place {
    /// Where it begins, in seconds.
    start: f64,
    /// Where it ends, in seconds.
    end: f64,
    /// As for the whole recording.
    log10_false_alarm: f64,
    /// The speed at which the watermark fits best.
    speed: f64,
    /// What this stretch alone says.
    payload: Option<u32>,
}

#[pymethods]
impl Detection {
    /// Whether there is a watermark, at this false-alarm probability.
    #[pyo3(signature = (false_alarm=1e-6))]
    fn is_marked(&self, false_alarm: f64) -> bool {
        self.log10_false_alarm <= false_alarm.log10()
    }

    fn __repr__(&self) -> String {
        let payload = self
            .payload
            .map_or("None".to_owned(), |bits| format!("{bits:#010x}"));
        let chance = self.log10_false_alarm;
        format!("<vocode_onnx.Detection log10_false_alarm={chance:.1} payload={payload}>")
    }
}

#[pymethods]
impl Place {
    fn __repr__(&self) -> String {
        let chance = self.log10_false_alarm;
        format!(
            "<vocode_onnx.Place {:.1}-{:.1} s log10_false_alarm={chance:.1}>",
            self.start, self.end
        )
    }
}

/// Looks for a watermark.
///
/// Parameters
/// ----------
/// audio : [samples] or [1, samples]: floats of full scale 1, or int16.
/// rate : samples a second.
/// key : the bytes that the watermark was put in with; the key that everybody has when None.
///
/// Returns
/// -------
/// A Detection.
#[pyfunction]
#[pyo3(signature = (audio, rate, key=None))]
pub fn detect(
    py: Python<'_>,
    audio: &Bound<'_, PyAny>,
    rate: u32,
    key: Option<&[u8]>,
) -> PyResult<Detection> {
    let key = options::watermark_key(key)?;
    let samples = arrays::samples(audio)?;
    let found = py
        .detach(|| watermark::detect(&samples, rate, &key))
        .map_err(errors::audio)?;
    let place = |place: &watermark::Place| {
        let place = Place {
            start: place.start,
            end: place.end,
            log10_false_alarm: place.log10_false_alarm,
            speed: place.speed,
            payload: place.payload,
        };
        Py::new(py, place)
    };
    Ok(Detection {
        seconds: found.seconds,
        false_alarm: found.false_alarm(),
        log10_false_alarm: found.log10_false_alarm,
        payload: found.payload,
        places: found.places.iter().map(place).collect::<PyResult<_>>()?,
    })
}
