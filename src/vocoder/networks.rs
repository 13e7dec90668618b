//! The two graphs of a bundle, checked and ready to run.

use super::VocoderError;
use super::batch::Batch;
use super::conditions::Layout;
use crate::bundle::{Bundle, Condition, Signature};
use crate::runtime::{Graph, Runtime, SessionOptions};
use ndarray::{Array1, Array2, Array3, ArrayD, Axis, Ix2, Slice};

/// Frames of the call that learns how many time steps a frame has in each condition, and whether the hop is right.
const PROBE_FRAMES: usize = 4;

/// Most time steps a condition may have in a frame.
const MAX_RATE: usize = 1 << 16;

pub(super) struct Networks {
    conditioner: Graph,
    denoiser: Graph,
    conditions: Vec<Condition>,
    /// Time steps a frame of each condition.
    rates: Vec<usize>,
    hop: usize,
}

impl Networks {
    /// Loads both graphs, checks their ports against the manifest, and calls each once on a few silent frames.
    pub fn load(
        bundle: &Bundle,
        runtime: &Runtime,
        options: &SessionOptions,
    ) -> Result<Networks, VocoderError> {
        let manifest = &bundle.manifest;
        let load = |bytes: &[u8], graph: &str| {
            Graph::from_bytes(
                runtime,
                bytes,
                &format!("{} {graph}", manifest.name),
                options,
            )
        };
        let conditioner = load(&bundle.conditioner, "conditioner")?;
        let denoiser = load(&bundle.denoiser, "denoiser")?;
        let ports = |graph: &Graph| (graph.inputs().to_vec(), graph.outputs().to_vec());
        let ((mel, conds), (inputs, outputs)) = (ports(&conditioner), ports(&denoiser));
        let Signature { conditions } =
            Signature::check(manifest, (&mel, &conds), (&inputs, &outputs))?;
        let mut networks = Networks {
            conditioner,
            denoiser,
            rates: vec![1; conditions.len()],
            conditions,
            hop: manifest.mel.hop,
        };
        networks.probe(manifest.mel.n_mels, manifest.mel.floor_value())?;
        Ok(networks)
    }

    pub fn hop(&self) -> usize {
        self.hop
    }

    /// The execution provider of the denoiser.
    pub fn provider(&self) -> &str {
        self.denoiser.provider()
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
        let shape = |(condition, rate): (&Condition, &usize)| {
            let mut shape: Vec<usize> = condition
                .dims
                .iter()
                .map(|dim| dim.unwrap_or(batch))
                .collect();
            shape[condition.time_axis] = frames * rate;
            shape
        };
        self.conditions.iter().zip(&self.rates).map(shape).collect()
    }

    /// Conditions of `mel` `[1, n_mels, F]` without those of the first and last `context` frames.
    pub fn condition(
        &mut self,
        mel: Array3<f32>,
        context: usize,
    ) -> Result<Vec<ArrayD<f32>>, VocoderError> {
        let frames = mel.len_of(Axis(2));
        let outputs = self.conditioner.run(&[("mel", mel.view().into_dyn())])?;
        let shapes = self.condition_shapes(1, frames);
        for ((output, shape), condition) in outputs.iter().zip(&shapes).zip(&self.conditions) {
            check_shape("conditioner", &condition.name, shape, output.shape())?;
            check_finite("conditioner", &condition.name, output.iter())?;
        }
        let inner = |(output, layout): (ArrayD<f32>, Layout)| {
            let kept = Slice::from(context * layout.rate..(frames - context) * layout.rate);
            output.slice_axis(Axis(layout.time_axis), kept).to_owned()
        };
        Ok(outputs.into_iter().zip(self.layouts()).map(inner).collect())
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
        let output = self.denoiser.run(&inputs)?.into_iter().next();
        let found = output
            .as_ref()
            .map_or(Vec::new(), |array| array.shape().to_vec());
        check_shape("denoiser", "prediction", batch.x.shape(), &found)?;
        let output = output.and_then(|array| array.into_dimensionality::<Ix2>().ok());
        output.ok_or_else(|| wrong_shape("denoiser", "prediction", batch.x.shape(), &found))
    }

    /// Learns the rates and sees that the hop is right and that a batch of two is taken.
    fn probe(&mut self, n_mels: usize, floor: f32) -> Result<(), VocoderError> {
        let mel = Array3::from_elem((1, n_mels, PROBE_FRAMES), floor);
        let outputs = self.conditioner.run(&[("mel", mel.view().into_dyn())])?;
        for ((output, condition), rate) in outputs.iter().zip(&self.conditions).zip(&mut self.rates)
        {
            let steps = output
                .shape()
                .get(condition.time_axis)
                .copied()
                .unwrap_or(0);
            *rate = steps / PROBE_FRAMES;
            if steps % PROBE_FRAMES != 0 || !(1..=MAX_RATE).contains(rate) {
                return Err(VocoderError::OutputShape {
                    graph: "conditioner",
                    output: condition.name.clone(),
                    expected: format!(
                        "a whole multiple of {PROBE_FRAMES} time steps for {PROBE_FRAMES} frames"
                    ),
                    found: format!("{steps} time steps"),
                });
            }
        }
        let mut batch = Batch::new(self, 2, PROBE_FRAMES);
        batch.t = Array1::from_elem(2, 0.5);
        self.denoise(&batch).map(drop)
    }
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
