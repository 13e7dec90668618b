//! The inputs of one denoiser call: windows of one shape, from any steps and any streams.

use std::ops::Range;

use ndarray::{Array1, Array2, ArrayD, ArrayViewD, Axis, Slice};

use super::interface::{ConditionLayout, Interface};
use super::part::Part;

/// Windows that go through the denoiser together.
#[derive(Default)]
pub(in crate::vocoder) struct Batch {
    /// States, `[windows, frames * hop]`.
    pub x: Array2<f32>,
    /// Times, `[windows]`.
    pub t: Array1<f32>,
    /// Conditions, in the order of the interface's layouts.
    pub conditions: Vec<ArrayD<f32>>,
}

/// Inputs of a denoiser call, by name.
pub(super) type Inputs<'a> = Vec<(&'a str, ArrayViewD<'a, f32>)>;

impl Batch {
    /// Room for `windows` windows of `frames` frames.
    pub fn new(interface: &Interface, windows: usize, frames: usize) -> Batch {
        let shapes = interface.condition_shapes(windows, frames);
        Batch {
            x: Array2::zeros((windows, frames * interface.hop)),
            t: Array1::zeros(windows),
            conditions: shapes.into_iter().map(ArrayD::zeros).collect(),
        }
    }

    /// Makes room for `windows` windows of `frames` frames, in the memory of the batch before where that has the same shape. Zeros, unless all
    /// of it `is_written` afterwards.
    pub fn reshape(
        &mut self,
        interface: &Interface,
        windows: usize,
        frames: usize,
        is_written: bool,
    ) {
        if self.x.dim() != (windows, frames * interface.hop) {
            *self = Batch::new(interface, windows, frames);
        } else if !is_written {
            self.x.fill(0.0);
            self.t.fill(0.0);
            self.conditions.iter_mut().for_each(|c| c.fill(0.0));
        }
    }

    /// The values of each condition of window `index`, `layout.stretches` stretches of equal length one after the other.
    pub fn conditions_of<'a>(
        &'a mut self,
        index: usize,
        interface: &'a Interface,
    ) -> impl Iterator<Item = (ConditionLayout, &'a mut [f32])> {
        let layouts = interface.layouts.iter().copied();
        let values = self.conditions.iter_mut();
        let values = values.map(move |c| c.index_axis_mut(Axis(0), index).into_slice());
        layouts
            .zip(values)
            .filter_map(|(layout, values)| Some((layout, values?)))
    }

    /// All inputs of a denoiser call.
    pub(super) fn inputs<'a>(&'a self, interface: &'a Interface) -> Inputs<'a> {
        let conditions = interface.conditions.iter().zip(&self.conditions);
        let conditions = conditions.map(|(c, array)| (c.name.as_str(), array.view()));
        [
            ("x", self.x.view().into_dyn()),
            ("t", self.t.view().into_dyn()),
        ]
        .into_iter()
        .chain(conditions)
        .collect()
    }

    /// The inputs of a call for a part of the batch.
    pub(super) fn part<'a>(&'a self, interface: &'a Interface, part: &Part) -> Inputs<'a> {
        let samples = Some((1, interface.hop));
        let conditions = interface.conditions.iter().zip(&interface.rates);
        let conditions = conditions.map(|(condition, rate)| Some((condition.time_axis, *rate)));
        let axes = [samples, None].into_iter().chain(conditions);
        let slice = |range: &Range<usize>, scale: usize| {
            Slice::from(range.start * scale..range.end * scale)
        };
        let cut = |((name, mut array), axis): ((&'a str, ArrayViewD<'a, f32>), _)| {
            array.slice_axis_inplace(Axis(0), slice(&part.windows, 1));
            if let Some((axis, rate)) = axis {
                array.slice_axis_inplace(Axis(axis), slice(&part.frames, rate));
            }
            (name, array)
        };
        self.inputs(interface)
            .into_iter()
            .zip(axes)
            .map(cut)
            .collect()
    }
}
