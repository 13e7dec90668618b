//! What goes from one graph of a bundle to the other, and how it lies in memory.

use crate::bundle::Condition;

/// The conditions of a bundle, and what one frame is in each tensor.
#[derive(Debug)]
pub(in crate::vocoder) struct Interface {
    /// In the order of the conditioner's outputs.
    pub conditions: Vec<Condition>,
    /// Time steps a frame of each condition.
    pub rates: Vec<usize>,
    /// Samples a frame.
    pub hop: usize,
    /// Frames on each side of a window that its answer is not right about.
    pub context: usize,
    /// How each condition lies in memory.
    pub layouts: Vec<ConditionLayout>,
}

/// How one condition lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::vocoder) struct ConditionLayout {
    /// The condition's place among the conditioner's outputs.
    pub index: usize,
    /// Stretches of consecutive frames in one batch item: as many as there are places before the time axis.
    pub stretches: usize,
    /// Values of one frame in a stretch.
    pub width: usize,
}

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
            ConditionLayout {
                index,
                stretches: before.iter().product(),
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
}
