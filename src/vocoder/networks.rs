//! The two graphs of a bundle, checked and ready to run.

use super::VocoderError;
use super::batch::Batch;
use super::conditions::Layout;
use super::lanes::Lanes;
use super::sizes::Sizes;
use crate::bundle::{Bundle, Condition, Context, Signature};
use crate::runtime::{
    Graph, GraphSource, Placement, Port, Profile, Provider, Runtime, SessionOptions,
};
use ndarray::{Array1, Array2, Array3, ArrayD, Axis, Ix2, concatenate, s};
use std::time::{Duration, Instant};

/// Frames of the call that learns how many time steps a frame has in each condition, and whether the hop is right.
const PROBE_FRAMES: usize = 4;

/// Windows in one call of a GPU when nothing is asked for; not measured.
const BATCH_OF_A_GPU: usize = 16;

/// Most time steps a condition may have in a frame.
const MAX_RATE: usize = 1 << 16;

pub(super) struct Networks {
    conditioner: Graph,
    denoiser: Graph,
    conditions: Vec<Condition>,
    /// Time steps a frame of each condition.
    rates: Vec<usize>,
    hop: usize,
    floor: f32,
    /// The only sizes of the conditioner's and the denoiser's calls; any size where `None`.
    sizes: Option<(Sizes, Sizes)>,
    /// For several windows at once on a CPU.
    lanes: Option<Lanes>,
    spent: Duration,
}

impl Networks {
    /// Loads both graphs, checks their ports against the manifest, and calls each once on a few silent frames.
    pub fn load(
        bundle: &Bundle,
        runtime: &Runtime,
        options: &SessionOptions,
    ) -> Result<Networks, VocoderError> {
        let manifest = &bundle.manifest;
        let Context {
            denoiser: context,
            conditioner: margin,
        } = manifest.context;
        let of_mel = Sizes::of_windows(2 * (context + margin)).alone();
        let of_windows = Sizes::of_windows(2 * context);
        let n_mels = manifest.mel.n_mels;
        let mel = of_mel.profile(|_, frames| vec![("mel".to_owned(), vec![1, n_mels, frames])]);
        let mut conditioner = load(
            bundle,
            &bundle.conditioner,
            "conditioner",
            Some(&mel),
            runtime,
            options,
        )?;
        let signature = Signature::of_conditioner(manifest, ports(&conditioner))?;
        let conditions = &signature.conditions;
        let floor = manifest.mel.floor_value();
        let rates = rates(&mut conditioner, conditions, n_mels, floor)?;
        let hop = manifest.mel.hop;
        let profile = of_windows.profile(|windows, frames| {
            let named = conditions.iter().map(|condition| condition.name.clone());
            let shapes = condition_shapes(conditions, &rates, windows, frames);
            let own = [
                ("x".to_owned(), vec![windows, frames * hop]),
                ("t".to_owned(), vec![windows]),
            ];
            own.into_iter().chain(named.zip(shapes)).collect()
        });
        let denoiser = load(
            bundle,
            &bundle.denoiser,
            "denoiser",
            Some(&profile),
            runtime,
            options,
        )?;
        signature.check_denoiser(ports(&denoiser))?;
        let on_cpu = denoiser.provider() == Provider::Cpu.name();
        let planned = options.planned_sizes || !on_cpu;
        let lanes = if on_cpu {
            Lanes::new(
                bundle.denoiser.clone(),
                label(bundle, "denoiser"),
                runtime,
                options,
            )
        } else {
            None
        };
        let mut networks = Networks {
            conditioner,
            denoiser,
            conditions: signature.conditions,
            rates,
            hop,
            floor,
            sizes: planned.then_some((of_mel, of_windows)),
            lanes,
            spent: Duration::ZERO,
        };
        networks.probe()?;
        Ok(networks)
    }

    /// Sees that the hop is right and that a batch of two is taken, all on the denoiser itself.
    fn probe(&mut self) -> Result<(), VocoderError> {
        let lanes = self.lanes.take();
        let result = self.denoise_silence(2, PROBE_FRAMES);
        self.lanes = lanes;
        result
    }

    /// Windows in one call that this provider does best.
    pub fn best_batch(&self) -> usize {
        match (&self.lanes, &self.sizes) {
            (Some(lanes), _) => lanes.count(),
            (None, Some(_)) => BATCH_OF_A_GPU,
            (None, None) => 1,
        }
    }

    pub fn hop(&self) -> usize {
        self.hop
    }

    /// The execution provider of the denoiser.
    pub fn provider(&self) -> &str {
        self.denoiser.provider()
    }

    /// Where the denoiser's nodes run.
    pub fn placement(&self) -> &Placement {
        self.denoiser.placement()
    }

    /// Why the denoiser runs on nothing faster, where that was left open.
    pub fn provider_note(&self) -> Option<&str> {
        self.denoiser.provider_note()
    }

    /// Time that ONNX Runtime has taken for both graphs so far.
    pub fn spent(&self) -> Duration {
        self.spent
    }

    /// How each condition lies in memory.
    pub fn layouts(&self) -> impl Iterator<Item = Layout> {
        let axes = self.conditions.iter().zip(&self.rates).enumerate();
        axes.map(|(index, (condition, &rate))| Layout {
            index,
            time_axis: condition.time_axis,
            rate,
        })
    }

    /// Shape of each condition for `batch` windows of `frames` frames.
    pub fn condition_shapes(&self, batch: usize, frames: usize) -> Vec<Vec<usize>> {
        condition_shapes(&self.conditions, &self.rates, batch, frames)
    }

    /// The planned sizes of the conditioner's and the denoiser's calls, where there are any.
    pub fn sizes(&self) -> Option<&(Sizes, Sizes)> {
        self.sizes.as_ref()
    }

    /// Windows and frames of the call that `windows` windows of `frames` frames go into.
    pub fn call_size(&self, windows: usize, frames: usize) -> (usize, usize) {
        match &self.sizes {
            Some((_, sizes)) => (sizes.batch(windows), sizes.frames(frames)),
            None => (windows, frames),
        }
    }

    /// Conditions of all frames of `mel` `[1, n_mels, F]`, and of the frames that a planned size adds behind them.
    pub fn condition(
        &mut self,
        mel: Array3<f32>,
    ) -> Result<Vec<(Layout, ArrayD<f32>)>, VocoderError> {
        let mel = match &self.sizes {
            Some((sizes, _)) => padded(mel, sizes, self.floor),
            None => mel,
        };
        let frames = mel.len_of(Axis(2));
        let began = Instant::now();
        let outputs = self.conditioner.run(&[("mel", mel.view().into_dyn())])?;
        self.spent += began.elapsed();
        let shapes = self.condition_shapes(1, frames);
        for ((output, shape), condition) in outputs.iter().zip(&shapes).zip(&self.conditions) {
            check_shape("conditioner", &condition.name, shape, output.shape())?;
            check_finite("conditioner", &condition.name, output.iter())?;
        }
        Ok(self.layouts().zip(outputs).collect())
    }

    /// Conditions of `frames` frames at the floor, for what the call alone does.
    pub fn condition_silence(&mut self, frames: usize) -> Result<(), VocoderError> {
        let n_mels = self
            .conditioner
            .inputs()
            .first()
            .and_then(|mel| mel.dims.get(1).copied().flatten());
        let mel = Array3::from_elem((1, n_mels.unwrap_or(1), frames), self.floor);
        self.condition(mel).map(drop)
    }

    /// A denoiser call on zeros, for what it alone does.
    pub fn denoise_silence(&mut self, windows: usize, frames: usize) -> Result<(), VocoderError> {
        let (windows, frames) = self.call_size(windows, frames);
        let mut batch = Batch::default();
        batch.reshape(self, windows, frames);
        batch.t = Array1::from_elem(windows, 0.5);
        self.denoise(&batch).map(drop)
    }

    /// The denoiser's answer, `[windows, frames * hop]`.
    pub fn denoise(&mut self, batch: &Batch) -> Result<Array2<f32>, VocoderError> {
        let conditions = self.conditions.iter().zip(&batch.conditions);
        let conditions =
            conditions.map(|(condition, array)| (condition.name.as_str(), array.view()));
        let inputs: Vec<_> = [
            ("x", batch.x.view().into_dyn()),
            ("t", batch.t.view().into_dyn()),
        ]
        .into_iter()
        .chain(conditions)
        .collect();
        let began = Instant::now();
        let answers = match &mut self.lanes {
            Some(lanes) if batch.t.len() > 1 => lanes.run(&inputs)?,
            _ => self.denoiser.run(&inputs)?.into_iter().take(1).collect(),
        };
        self.spent += began.elapsed();
        joined(answers, batch.x.dim())
    }
}

/// The answers of one or several denoisers, one below the other, as `[windows, samples]`.
fn joined(
    mut answers: Vec<ArrayD<f32>>,
    (windows, samples): (usize, usize),
) -> Result<Array2<f32>, VocoderError> {
    let wrong = |found: &[usize]| wrong_shape("denoiser", "prediction", &[windows, samples], found);
    let answer = match answers.len() {
        1 => answers.pop(),
        _ => {
            let views: Vec<_> = answers.iter().map(|answer| answer.view()).collect();
            concatenate(Axis(0), &views).ok()
        }
    };
    let answer = answer.ok_or_else(|| wrong(&[]))?;
    let found = answer.shape().to_vec();
    match answer.into_dimensionality::<Ix2>() {
        Ok(answer) if answer.dim() == (windows, samples) => Ok(answer),
        _ => Err(wrong(&found)),
    }
}

fn label(bundle: &Bundle, graph: &str) -> String {
    format!("{} {graph}", bundle.manifest.name)
}

fn load(
    bundle: &Bundle,
    bytes: &[u8],
    graph: &str,
    profile: Option<&Profile>,
    runtime: &Runtime,
    options: &SessionOptions,
) -> Result<Graph, VocoderError> {
    let label = &label(bundle, graph);
    let source = GraphSource {
        bytes,
        label,
        profile,
    };
    Ok(Graph::load(runtime, &source, options)?)
}

fn ports(graph: &Graph) -> (&[Port], &[Port]) {
    (graph.inputs(), graph.outputs())
}

/// Shape of each condition for `batch` windows of `frames` frames.
fn condition_shapes(
    conditions: &[Condition],
    rates: &[usize],
    batch: usize,
    frames: usize,
) -> Vec<Vec<usize>> {
    let shape = |(condition, rate): (&Condition, &usize)| {
        let mut shape: Vec<usize> = condition
            .dims
            .iter()
            .map(|dim| dim.unwrap_or(batch))
            .collect();
        shape[condition.time_axis] = frames * rate;
        shape
    };
    conditions.iter().zip(rates).map(shape).collect()
}

/// Learns how many time steps a frame has in each condition.
fn rates(
    conditioner: &mut Graph,
    conditions: &[Condition],
    n_mels: usize,
    floor: f32,
) -> Result<Vec<usize>, VocoderError> {
    let mel = Array3::from_elem((1, n_mels, PROBE_FRAMES), floor);
    let outputs = conditioner.run(&[("mel", mel.view().into_dyn())])?;
    let rate = |(output, condition): (&ArrayD<f32>, &Condition)| {
        let steps = output.shape().get(condition.time_axis);
        let steps = steps.copied().unwrap_or(0);
        let rate = steps / PROBE_FRAMES;
        if steps % PROBE_FRAMES == 0 && (1..=MAX_RATE).contains(&rate) {
            return Ok(rate);
        }
        Err(VocoderError::OutputShape {
            graph: "conditioner",
            output: condition.name.clone(),
            expected: format!(
                "a whole multiple of {PROBE_FRAMES} time steps for {PROBE_FRAMES} frames"
            ),
            found: format!("{steps} time steps"),
        })
    };
    outputs.iter().zip(conditions).map(rate).collect()
}

/// `mel` with frames at the floor behind it, up to a planned size.
fn padded(mel: Array3<f32>, sizes: &Sizes, floor: f32) -> Array3<f32> {
    let (batch, bands, frames) = mel.dim();
    let size = sizes.frames(frames);
    if size == frames {
        return mel;
    }
    let mut longer = Array3::from_elem((batch, bands, size), floor);
    longer.slice_mut(s![.., .., ..frames]).assign(&mel);
    longer
}

fn check_shape(
    graph: &'static str,
    output: &str,
    expected: &[usize],
    found: &[usize],
) -> Result<(), VocoderError> {
    if expected == found {
        Ok(())
    } else {
        Err(wrong_shape(graph, output, expected, found))
    }
}

fn wrong_shape(
    graph: &'static str,
    output: &str,
    expected: &[usize],
    found: &[usize],
) -> VocoderError {
    VocoderError::OutputShape {
        graph,
        output: output.to_owned(),
        expected: format!("{expected:?}"),
        found: format!("{found:?}"),
    }
}

fn check_finite<'a>(
    graph: &'static str,
    output: &str,
    values: impl IntoIterator<Item = &'a f32>,
) -> Result<(), VocoderError> {
    match values.into_iter().find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(&value) => Err(VocoderError::OutputNotFinite {
            graph,
            output: output.to_owned(),
            value,
            step: None,
        }),
    }
}
