//! The conditioner graph.

use std::sync::Arc;

use super::interface::{ConditionLayout, Interface};
use crate::bundle::Condition;
use crate::dsp::first_not_finite;
use crate::runtime::Graph;
use crate::vocoder::error::VocoderError;
use crate::vocoder::plan::Sizes;
use ndarray::{Array3, ArrayD, Axis, s};

/// Most time steps a condition may have in a frame.
const MAX_RATE: usize = 1 << 16;

pub(in crate::vocoder) struct Conditioner {
    pub graph: Graph,
    pub interface: Arc<Interface>,
    /// The mel of silence.
    pub floor: f32,
    pub n_mels: usize,
    /// The only sizes of calls; any size where `None`.
    pub sizes: Option<Sizes>,
}

impl Conditioner {
    /// Conditions of all frames of `mel` `[1, n_mels, F]`, and of the frames that a planned size adds behind them.
    pub fn call(
        &mut self,
        mel: Array3<f32>,
    ) -> Result<Vec<(ConditionLayout, Vec<f32>)>, VocoderError> {
        let mel = match &self.sizes {
            Some(sizes) => padded(mel, sizes, self.floor),
            None => mel,
        };
        let frames = mel.len_of(Axis(2));
        let mel = [("mel", mel.view().into_dyn())];
        let outputs = self.graph.run(&mel)?;
        let shapes = self.interface.condition_shapes(1, frames);
        let conditions = &self.interface.conditions;
        let expected = shapes.iter().zip(conditions);
        let answers = self.interface.layouts.iter().zip(outputs).zip(expected);
        answers
            .map(|((layout, output), (shape, condition))| {
                Ok((*layout, checked(output, shape, &condition.name)?))
            })
            .collect()
    }

    /// Conditions of `frames` frames at the floor, for what the call alone does.
    pub fn call_silence(&mut self, frames: usize) -> Result<(), VocoderError> {
        let mel = Array3::from_elem((1, self.n_mels, frames), self.floor);
        self.call(mel).map(drop)
    }
}

/// Learns how many time steps `frames` frames have in each condition.
pub(super) fn rates(
    conditioner: &mut Graph,
    conditions: &[Condition],
    mel: &Array3<f32>,
) -> Result<Vec<usize>, VocoderError> {
    let frames = mel.len_of(Axis(2));
    let outputs = conditioner.run(&[("mel", mel.view().into_dyn())])?;
    let rate = |(output, condition): (&ArrayD<f32>, &Condition)| {
        let steps = output.shape().get(condition.time_axis);
        let steps = steps.copied().unwrap_or(0);
        let rate = steps / frames;
        if steps % frames == 0 && (1..=MAX_RATE).contains(&rate) {
            return Ok(rate);
        }
        Err(VocoderError::OutputShape {
            graph: "conditioner",
            output: condition.name.clone(),
            expected: format!("a whole multiple of {frames} time steps for {frames} frames"),
            found: format!("{steps} time steps"),
        })
    };
    outputs.iter().zip(conditions).map(rate).collect()
}

/// The values of an answer that has the right shape, in the order of its axes.
fn checked(output: ArrayD<f32>, shape: &[usize], name: &str) -> Result<Vec<f32>, VocoderError> {
    if output.shape() != shape {
        let found = output.shape();
        return Err(VocoderError::shape("conditioner", name, shape, found));
    }
    let values = if output.is_standard_layout() {
        output.into_raw_vec_and_offset().0
    } else {
        output.iter().copied().collect()
    };
    match first_not_finite(&values) {
        None => Ok(values),
        Some(value) => Err(VocoderError::OutputNotFinite {
            graph: "conditioner",
            output: name.to_owned(),
            value,
            step: None,
        }),
    }
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
