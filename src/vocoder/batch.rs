//! The inputs of one denoiser call: windows of one shape, from any steps and any streams.

use super::networks::Networks;
use super::stream::Stream;
use super::wavefront::Window;
use ndarray::{Array1, Array2, ArrayD, ArrayView1, Axis};

/// Windows that go through the denoiser together.
pub(super) struct Batch {
    /// States, `[windows, frames * hop]`.
    pub x: Array2<f32>,
    /// Times, `[windows]`.
    pub t: Array1<f32>,
    /// Conditions, in the order of the networks' layouts.
    pub conditions: Vec<ArrayD<f32>>,
}

impl Batch {
    /// Room for `windows` windows of `frames` frames.
    pub fn new(networks: &Networks, windows: usize, frames: usize) -> Batch {
        let shapes = networks.condition_shapes(windows, frames);
        Batch {
            x: Array2::zeros((windows, frames * networks.hop())),
            t: Array1::zeros(windows),
            conditions: shapes.into_iter().map(ArrayD::zeros).collect(),
        }
    }

    /// Writes one window of a stream, whose conditions must be there.
    pub fn set(&mut self, row: usize, networks: &Networks, stream: &Stream, window: &Window) {
        let mut state = vec![0.0; self.x.ncols()];
        stream.front.state(window, &mut state);
        self.x.row_mut(row).assign(&ArrayView1::from(&state));
        self.t[row] = stream.front.time(window.step) as f32;
        for (condition, layout) in self.conditions.iter_mut().zip(networks.layouts()) {
            stream
                .conditions
                .read(layout, window.start, condition.index_axis_mut(Axis(0), row));
        }
    }
}
