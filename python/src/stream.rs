//! Audio made while the mel still comes.

use std::sync::Mutex;

use numpy::{PyArray1, ToPyArray};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyIterator;
use vocode::mel::Layout;
use vocode::mel::convert::Conversion;
use vocode::vocoder::Output;
use vocode::{Mel, Stream};

use crate::vocoder::{Shared, lock};
use crate::{arrays, errors, options};

/// The audio of `Vocoder.stream`: an iterator of float32 arrays, [samples] each, full scale 1.
#[pyclass(frozen, module = "vocode_onnx")]
pub struct AudioStream {
    shared: Shared,
    mels: Py<PyIterator>,
    bands: usize,
    layout: Layout,
    state: Mutex<State>,
}

enum State {
    Open(Box<Open>),
    /// A call works on it.
    Busy,
    Done,
}

struct Open {
    stream: Stream,
    conversion: Conversion,
    output: Output,
}

impl AudioStream {
    pub fn new(
        shared: Shared,
        mels: Py<PyIterator>,
        stream: Stream,
        (from, to): (&vocode::MelConvention, &vocode::MelConvention),
        layout: Layout,
        rate: Option<u32>,
    ) -> PyResult<AudioStream> {
        let conversion = Conversion::new(from, to).map_err(errors::mel)?;
        let rate = rate.unwrap_or(to.sample_rate);
        let output = Output::new(conversion.shift_samples(), to.sample_rate, rate);
        Python::attach(|py| options::warn(py, conversion.notes()))?;
        Ok(AudioStream {
            shared,
            mels,
            bands: from.n_mels,
            layout,
            state: Mutex::new(State::Open(Box::new(Open {
                stream,
                conversion,
                output: output.map_err(errors::audio)?,
            }))),
        })
    }

    fn swap(&self, next: State) -> PyResult<State> {
        let mut state = self
            .state
            .lock()
            .map_err(|_| PyRuntimeError::new_err("an earlier call for this audio failed"))?;
        Ok(std::mem::replace(&mut *state, next))
    }
}

#[pymethods]
impl AudioStream {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    /// The next samples. Asks for as many mels as they need. After an exception there are no more.
    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyArray1<f32>>>> {
        let mut open = match self.swap(State::Busy)? {
            State::Open(open) => open,
            State::Done => {
                self.swap(State::Done)?;
                return Ok(None);
            }
            State::Busy => {
                return Err(PyRuntimeError::new_err(
                    "another thread takes audio of this stream already: one at a time can",
                ));
            }
        };
        let mut samples = Vec::new();
        let mut mels = self.mels.bind(py).clone();
        let mut step = || -> PyResult<bool> {
            loop {
                let piece = match mels.next() {
                    Some(piece) => {
                        let values = arrays::mel_values(&piece?)?;
                        let mel = arrays::mel(values, self.bands, self.layout)?;
                        Some(open.conversion.apply(mel).map_err(errors::mel)?)
                    }
                    None => None,
                };
                let last = piece.is_none();
                py.detach(|| self.advance(&mut open, piece, &mut samples))?;
                py.check_signals()?;
                if last || !samples.is_empty() {
                    return Ok(last);
                }
            }
        };
        match step() {
            Ok(false) => self.swap(State::Open(open)).map(drop)?,
            Ok(true) => {
                self.swap(State::Done)?;
                open.output.finish(&mut samples).map_err(errors::audio)?;
            }
            Err(error) => {
                self.swap(State::Done)?;
                return Err(error);
            }
        }
        Ok((!samples.is_empty()).then(|| samples.to_pyarray(py)))
    }
}

impl AudioStream {
    /// Sends a piece through the model, or, where there is none, what is left. A stream without a single frame has no audio.
    fn advance(&self, open: &mut Open, piece: Option<Mel>, samples: &mut Vec<f32>) -> PyResult<()> {
        let Open { stream, output, .. } = open;
        match piece {
            Some(mel) => stream.push(mel.view()).map_err(errors::vocoder)?,
            None if stream.frames() == 0 => return Ok(()),
            None => stream.end().map_err(errors::vocoder)?,
        }
        lock(&self.shared)
            .advance(stream)
            .map_err(errors::vocoder)?;
        output.push(&stream.take(), samples).map_err(errors::audio)
    }
}
