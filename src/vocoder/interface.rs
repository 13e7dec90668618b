//! What goes from one graph of a bundle to the other, and how it lies in memory.

use crate::bundle::Condition;
use ndarray::{ArrayViewD, Axis, Slice};
use std::ops::Range;

use super::batch::Batch;

/// The conditions of a bundle, and what one frame is in each tensor.
#[derive(Debug)]
pub(super) struct Interface {
    /// In the order of the conditioner's outputs.
    pub conditions: Vec<Condition>,
    /// Time steps a frame of each condition.
    pub rates: Vec<usize>,
    /// Samples a frame.
    pub hop: usize,
    /// Frames on each side of a window that its answer is not right about.
    pub context: usize,
    /// How each condition lies in memory.
    pub layouts: Vec<Layout>,
}

/// How one condition lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The condition's place among the conditioner's outputs.
    pub index: usize,
    /// Stretches of consecutive frames in one batch item: as many as there are places before the time axis.
    pub rows: usize,
    /// Values of one frame in a row.
    pub width: usize,
}

/// Inputs of a denoiser call, by name.
pub(super) type Inputs<'a> = Vec<(&'a str, ArrayViewD<'a, f32>)>;

impl Interface {
    /// Of conditions with so many time steps a frame.
    pub fn new(
        conditions: Vec<Condition>,
        rates: Vec<usize>,
        hop: usize,
        context: usize,
    ) -> Interface {
        let mut interface = Interface {
            conditions,
            rates,
            hop,
            context,
            layouts: Vec::new(),
        };
        let frame = interface.condition_shapes(1, 1).into_iter();
        let axes = interface.conditions.iter().map(|c| c.time_axis);
        let layout = |(index, (shape, time_axis)): (usize, (Vec<usize>, usize))| {
            let (before, after) = shape.split_at(time_axis);
            Layout {
                index,
                rows: before.iter().product(),
                width: after.iter().product(),
            }
        };
        interface.layouts = frame.zip(axes).enumerate().map(layout).collect();
        interface
    }

    /// Shape of each condition for `batch` windows of `frames` frames.
    pub fn condition_shapes(&self, batch: usize, frames: usize) -> Vec<Vec<usize>> {
        let shape = |(condition, rate): (&Condition, &usize)| {
            let dims = condition.dims.iter();
            let mut shape: Vec<usize> = dims.map(|dim| dim.unwrap_or(batch)).collect();
            shape[condition.time_axis] = frames * rate;
            shape
        };
        self.conditions.iter().zip(&self.rates).map(shape).collect()
    }

    /// The shapes of all inputs of a denoiser call, by name.
    pub fn input_shapes(&self, windows: usize, frames: usize) -> Vec<(String, Vec<usize>)> {
        let named = self.conditions.iter().map(|c| c.name.clone());
        let own = [
            ("x".to_owned(), vec![windows, frames * self.hop]),
            ("t".to_owned(), vec![windows]),
        ];
        let conditions = named.zip(self.condition_shapes(windows, frames));
        own.into_iter().chain(conditions).collect()
    }

    /// All inputs of a denoiser call.
    pub fn inputs<'a>(&'a self, batch: &'a Batch) -> Inputs<'a> {
        let conditions = self.conditions.iter().zip(&batch.conditions);
        let conditions = conditions.map(|(c, array)| (c.name.as_str(), array.view()));
        [
            ("x", batch.x.view().into_dyn()),
            ("t", batch.t.view().into_dyn()),
        ]
        .into_iter()
        .chain(conditions)
        .collect()
    }

    /// Some frames of one window of a batch.
    pub fn part<'a>(&'a self, batch: &'a Batch, row: usize, frames: Range<usize>) -> Inputs<'a> {
        let samples = Some((1, self.hop));
        let conditions = self.conditions.iter().zip(&self.rates);
        let conditions = conditions.map(|(condition, rate)| Some((condition.time_axis, *rate)));
        let axes = [samples, None].into_iter().chain(conditions);
        let cut = |((name, mut array), axis): ((&'a str, ArrayViewD<'a, f32>), _)| {
            array.slice_axis_inplace(Axis(0), Slice::from(row..row + 1));
            if let Some((axis, rate)) = axis {
                let steps = Slice::from(frames.start * rate..frames.end * rate);
                array.slice_axis_inplace(Axis(axis), steps);
            }
            (name, array)
        };
        self.inputs(batch).into_iter().zip(axes).map(cut).collect()
    }
}
