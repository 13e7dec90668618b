//! A loaded model.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ndarray::{Array1, Axis, IxDyn};
use numpy::{PyArray2, PyArrayDyn, ToPyArray};
use pyo3::prelude::*;
use pyo3::types::PyIterator;
use vocode::audio::resample;
use vocode::mel::{Prepared, Sharpening, analyse, prepare, prepare_approximately};
use vocode::vocoder::Output;
use vocode::{
    Bundle, LoadOptions, Manifest, Mel, Runtime, SessionOptions, SynthesisOptions, VocoderError,
};

use crate::convention::{ConventionArgument, MelConvention};
use crate::options::{self, ScheduleArgument, WatermarkArgument};
use crate::stream::AudioStream;
use crate::{arrays, errors};

/// How often a synthesis asks Python whether somebody pressed Ctrl-C.
const LISTEN: Duration = Duration::from_millis(100);

/// The model that calls share; one of them runs it at a time.
pub type Shared = Arc<Mutex<vocode::Vocoder>>;

/// A loaded vocoder: mel spectrogram in, speech out.
///
/// Parameters
/// ----------
/// model : the name of a built-in model, "default" or "vocos24k", or the folder of another; a folder called like one is given as "./default".
/// provider : "auto", "cpu", "cuda" or "tensorrt"; one that is named runs or an exception is raised.
/// threads : threads for the model; all processors when None.
/// precision : "auto", "float" or "int8", for a model that has both.
/// device : number of the GPU.
/// ort_lib : a library of ONNX Runtime, or its folder; that of the package onnxruntime when None.
///
/// It may be used by several threads; one call at a time runs, and the others wait without the GIL.
#[pyclass(frozen, module = "vocode_onnx")]
pub struct Vocoder {
    shared: Shared,
    manifest: Manifest,
    sha256: String,
    provider: String,
    precision: &'static str,
    provider_note: Option<String>,
}

#[pymethods]
impl Vocoder {
    #[new]
    #[pyo3(signature = (model=None, provider="auto", threads=None, *, precision="auto", device=0, ort_lib=None),
        text_signature = "(model='default', provider='auto', threads=None, *, precision='auto', device=0, ort_lib=None)")]
    fn new(
        py: Python<'_>,
        model: Option<PathBuf>,
        provider: &str,
        threads: Option<usize>,
        precision: &str,
        device: u32,
        ort_lib: Option<PathBuf>,
    ) -> PyResult<Self> {
        let gpu = vocode::runtime::GpuOptions::default().device(device);
        let session = SessionOptions::default()
            .provider(provider.parse().map_err(errors::option)?)
            .precision(precision.parse().map_err(errors::option)?)
            .threads(threads)
            .gpu(gpu);
        let vocoder = py.detach(|| {
            let bundle = match model {
                Some(model) => Bundle::open(model),
                None => Bundle::embedded(),
            };
            let bundle = bundle.map_err(errors::model)?;
            let runtime = Runtime::load(&LoadOptions::default().library(ort_lib));
            let runtime = runtime.map_err(errors::runtime)?;
            vocode::Vocoder::new(bundle, &runtime, &session).map_err(errors::vocoder)
        })?;
        Ok(Vocoder {
            manifest: vocoder.manifest().clone(),
            sha256: vocoder.sha256().to_owned(),
            provider: vocoder.provider().to_owned(),
            precision: vocoder.precision().name(),
            provider_note: vocoder.provider_note().map(str::to_owned),
            shared: Arc::new(Mutex::new(vocoder)),
        })
    }

    /// Makes audio of a mel, or of each mel of a batch.
    ///
    /// Parameters
    /// ----------
    /// mel : [n_mels, frames] or [batch, n_mels, frames]; a NumPy array, a torch tensor or what numpy.asarray takes, of floats.
    /// steps : denoising steps; the model's own number when None.
    /// seed : the same seed gives the same audio. All mels of a batch have it, so each sounds as it does alone.
    /// schedule : a name of `schedules`, or times (flow model) or betas (DDPM).
    /// solver : "euler", "heun", "midpoint", "dpm-solver++", "ancestral", "ddim" or "predictor-corrector".
    /// mel_convention : what the mel's numbers mean; the model's own convention when None.
    /// layout : "bands-first", "frames-first" ([frames, n_mels]) or "auto", which goes by the shape.
    /// lengths : frames of each mel of a padded batch; what comes after is silence in the audio.
    /// trim_padding : cut frames at either end that hold one value in every band.
    /// approximate_mel : take mels of other rates, hops and bands too, approximately, where that was measured to lose little; a warning says how much.
    /// restore : measure how far a mel is blurred, as the mean that an acoustic model predicts is, and undo it; a recording's stays as it is.
    /// sharpen : bring out the detail across bands that a blurred mel has lost, 0 to 4; as the model does when None.
    /// sample_rate : of the audio, in Hz; the model's own when None.
    /// watermark : True puts a watermark in, which `detect` finds; a number of 32 bits is what it says, else a hash of the model and the key.
    /// watermark_key : bytes, at least 16, without which nobody finds it; a key that everybody has when None.
    ///
    /// Returns
    /// -------
    /// float32, full scale 1: [samples] for one mel, [batch, samples] for a batch.
    #[pyo3(signature = (mel, steps=None, seed=0, *, schedule=None, solver=None, mel_convention=None, layout="bands-first", lengths=None, trim_padding=false, approximate_mel=false, restore=false, sharpen=None, sample_rate=None, watermark=None, watermark_key=None))]
    #[expect(clippy::too_many_arguments, reason = "keywords of a Python method")]
    fn decode<'py>(
        &self,
        py: Python<'py>,
        mel: &Bound<'py, PyAny>,
        steps: Option<usize>,
        seed: u64,
        schedule: Option<ScheduleArgument>,
        solver: Option<&str>,
        mel_convention: Option<ConventionArgument>,
        layout: &str,
        lengths: Option<Vec<usize>>,
        trim_padding: bool,
        approximate_mel: bool,
        restore: bool,
        sharpen: Option<f32>,
        sample_rate: Option<u32>,
        watermark: Option<WatermarkArgument>,
        watermark_key: Option<&[u8]>,
    ) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        let options = options::sampling(&self.manifest, steps, schedule, solver, seed)?
            .watermark(options::watermark(&self.sha256, watermark, watermark_key)?)
            .sharpening(sharpen.map(|bands| Sharpening { bands }));
        let from = self.convention_or_own(mel_convention)?;
        let layout = options::layout(layout)?;
        let values = arrays::mel_values(mel)?;
        let batch = values.ndim() == 3;
        let mels: Vec<_> = match batch {
            true => values.outer_iter().map(|one| one.to_owned()).collect(),
            false => vec![values],
        };
        check_lengths(lengths.as_deref(), batch, mels.len())?;
        let mut clips = Vec::with_capacity(mels.len());
        let (mut longest, mut frames) = (0, 0);
        for (index, values) in mels.into_iter().enumerate() {
            let mut mel = arrays::mel(values, from.n_mels, layout)?;
            frames = frames.max(mel.frames());
            if let Some(lengths) = &lengths {
                mel = first_frames(mel, lengths[index])?;
            }
            if trim_padding {
                mel = vocode::mel::trim_padding(mel, &from).0;
            }
            if restore {
                mel = vocode::mel::restore(mel, &from).0;
            }
            let prepared = match approximate_mel {
                true => prepare_approximately(mel, &from, &self.manifest.mel),
                false => prepare(mel, &from, &self.manifest.mel),
            };
            let prepared = prepared.map_err(errors::mel)?;
            options::warn(py, &prepared.notes)?;
            let clip = py.detach(|| self.make(&prepared, &options, sample_rate))?;
            longest = longest.max(clip.len());
            clips.push(clip);
        }
        if !batch {
            let clip = clips.pop().unwrap_or_default();
            return Ok(Array1::from(clip).into_dyn().to_pyarray(py));
        }
        let mut audio = ndarray::ArrayD::zeros(IxDyn(&[clips.len(), longest]));
        for (mut row, clip) in audio.axis_iter_mut(Axis(0)).zip(&clips) {
            for (to, from) in row.iter_mut().zip(clip) {
                *to = *from;
            }
        }
        Ok(audio.to_pyarray(py))
    }

    /// Makes audio while the mel still comes.
    ///
    /// Parameters
    /// ----------
    /// mels : an iterator of mels, [n_mels, frames] each, of any numbers of frames. A mel of the next piece is asked for when the audio of
    ///     those before has been given.
    /// chunk_frames : frames by which the audio advances once it is under way; the fewer, the sooner and the slower.
    ///
    /// The other parameters are those of `decode`, whose audio this is: within rounding in floats, and within the noise of the integers in int8.
    ///
    /// Returns
    /// -------
    /// An iterator of float32 arrays, [samples] each.
    #[pyo3(signature = (mels, steps=None, seed=0, *, schedule=None, solver=None, mel_convention=None, layout="bands-first", sharpen=None, sample_rate=None, chunk_frames=None, watermark=None, watermark_key=None))]
    #[expect(clippy::too_many_arguments, reason = "keywords of a Python method")]
    fn stream(
        &self,
        py: Python<'_>,
        mels: &Bound<'_, PyAny>,
        steps: Option<usize>,
        seed: u64,
        schedule: Option<ScheduleArgument>,
        solver: Option<&str>,
        mel_convention: Option<ConventionArgument>,
        layout: &str,
        sharpen: Option<f32>,
        sample_rate: Option<u32>,
        chunk_frames: Option<usize>,
        watermark: Option<WatermarkArgument>,
        watermark_key: Option<&[u8]>,
    ) -> PyResult<AudioStream> {
        let options = options::sampling(&self.manifest, steps, schedule, solver, seed)?
            .window_frames(chunk_frames)
            .watermark(options::watermark(&self.sha256, watermark, watermark_key)?)
            .sharpening(sharpen.map(|bands| Sharpening { bands }));
        let from = self.convention_or_own(mel_convention)?;
        let layout = options::layout(layout)?;
        let stream = py.detach(|| lock(&self.shared).open(&options));
        AudioStream::new(
            self.shared.clone(),
            PyIterator::from_object(mels)?.unbind(),
            stream.map_err(errors::vocoder)?,
            (&from, &self.manifest.mel),
            layout,
            sample_rate,
        )
    }

    /// Makes the mel of a recording.
    ///
    /// Parameters
    /// ----------
    /// audio : [samples] or [1, samples]: floats of full scale 1, or int16.
    /// rate : samples a second; another rate than the convention's is resampled.
    /// mel_convention : the model's own when None.
    ///
    /// Returns
    /// -------
    /// float32, [n_mels, frames].
    #[pyo3(signature = (audio, rate, *, mel_convention=None))]
    fn mel<'py>(
        &self,
        py: Python<'py>,
        audio: &Bound<'py, PyAny>,
        rate: u32,
        mel_convention: Option<ConventionArgument>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let to = self.convention_or_own(mel_convention)?;
        let samples = arrays::samples(audio)?;
        let mel = py.detach(|| {
            let samples = resample(samples, rate, to.sample_rate).map_err(errors::audio)?;
            analyse(&samples, &to).map_err(errors::mel)
        })?;
        Ok(mel.view().to_pyarray(py))
    }

    /// Samples a second of the audio.
    #[getter]
    fn sample_rate(&self) -> u32 {
        self.manifest.mel.sample_rate
    }

    /// Samples for each frame of the mel.
    #[getter]
    fn hop(&self) -> usize {
        self.manifest.mel.hop
    }

    /// Bands of the mel.
    #[getter]
    fn n_mels(&self) -> usize {
        self.manifest.mel.n_mels
    }

    /// What the model expects the mel's numbers to mean.
    #[getter]
    fn mel_convention(&self) -> MelConvention {
        MelConvention(self.manifest.mel.clone())
    }

    /// The names of the model's schedules.
    #[getter]
    fn schedules(&self) -> Vec<String> {
        self.manifest.schedules.named.keys().cloned().collect()
    }

    /// The schedule that is taken where none is asked for.
    #[getter]
    fn default_schedule(&self) -> &str {
        &self.manifest.schedules.default
    }

    /// The model's name.
    #[getter]
    fn model(&self) -> &str {
        &self.manifest.name
    }

    /// SHA-256 of the model's bundle.toml, which holds those of its graphs.
    #[getter]
    fn model_sha256(&self) -> &str {
        &self.sha256
    }

    /// The execution provider that runs the denoiser, as its session tells.
    #[getter]
    fn provider(&self) -> &str {
        &self.provider
    }

    /// Why nothing faster runs, where "auto" chose; None where there is nothing to say.
    #[getter]
    fn provider_note(&self) -> Option<&str> {
        self.provider_note.as_deref()
    }

    /// What the denoiser multiplies in: "float" or "int8".
    #[getter]
    fn precision(&self) -> &'static str {
        self.precision
    }

    fn __repr__(&self) -> String {
        format!(
            "<vocode_onnx.Vocoder {:?}, {} Hz, {} {}>",
            self.manifest.name, self.manifest.mel.sample_rate, self.provider, self.precision
        )
    }
}

impl Vocoder {
    fn convention_or_own(
        &self,
        argument: Option<ConventionArgument>,
    ) -> PyResult<vocode::MelConvention> {
        argument.map_or_else(|| Ok(self.manifest.mel.clone()), ConventionArgument::load)
    }

    /// One clip, at the rate that was asked for. Ends at Ctrl-C.
    fn make(
        &self,
        prepared: &Prepared,
        options: &SynthesisOptions,
        rate: Option<u32>,
    ) -> PyResult<Vec<f32>> {
        let own = self.manifest.mel.sample_rate;
        let mut output =
            Output::new(prepared.shift_samples, own, rate.unwrap_or(own)).map_err(errors::audio)?;
        let mut interrupted = None;
        let mut heard = Instant::now();
        let mut listen = |_| {
            if heard.elapsed() < LISTEN {
                return ControlFlow::Continue(());
            }
            heard = Instant::now();
            match Python::attach(|py| py.check_signals()) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    interrupted = Some(error);
                    ControlFlow::Break(())
                }
            }
        };
        let made = lock(&self.shared).synthesize_observed(&prepared.mel, options, &mut listen);
        let made = match (made, interrupted) {
            (Err(VocoderError::Cancelled), Some(error)) => return Err(error),
            (made, _) => made.map_err(errors::vocoder)?,
        };
        let mut samples = Vec::new();
        output
            .push(&made.samples, &mut samples)
            .and_then(|()| output.finish(&mut samples))
            .map_err(errors::audio)?;
        Ok(samples)
    }
}

/// The model, once no other call runs it. A call that panicked left no state behind that a later one reads.
pub fn lock(shared: &Shared) -> std::sync::MutexGuard<'_, vocode::Vocoder> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn check_lengths(lengths: Option<&[usize]>, batch: bool, mels: usize) -> PyResult<()> {
    match lengths {
        Some(_) if !batch => Err(errors::option(
            "`lengths` belongs to a batch, [batch, n_mels, frames], and this is one mel: cut it, as in mel[:, :frames]",
        )),
        Some(lengths) if lengths.len() != mels => Err(errors::option(format!(
            "`lengths` has {} numbers for {mels} mels: give one for each",
            lengths.len()
        ))),
        _ => Ok(()),
    }
}

fn first_frames(mel: Mel, frames: usize) -> PyResult<Mel> {
    if !(1..=mel.frames()).contains(&frames) {
        return Err(errors::option(format!(
            "`lengths` says {frames} frames of a mel that has {}: give 1 to {0}",
            mel.frames()
        )));
    }
    let values = mel.into_values();
    Mel::new(values.slice(ndarray::s![.., ..frames]).to_owned()).map_err(errors::mel)
}
