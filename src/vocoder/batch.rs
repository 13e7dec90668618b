//! The inputs of one denoiser call: windows of one shape, from any steps and any streams.

use super::interface::Interface;
use super::stream::Stream;
use super::wavefront::Window;
use ndarray::{Array1, Array2, ArrayD, Axis};

/// Windows that go through the denoiser together.
#[derive(Default)]
pub(super) struct Batch {
    /// States, `[windows, frames * hop]`.
    pub x: Array2<f32>,
    /// Times, `[windows]`.
    pub t: Array1<f32>,
    /// Conditions, in the order of the interface's layouts.
    pub conditions: Vec<ArrayD<f32>>,
}

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

    /// Writes one window of a stream, whose conditions must be there.
    pub fn set(&mut self, row: usize, interface: &Interface, stream: &Stream, window: &Window) {
        let samples = window.frames * interface.hop;
        if let Some(state) = self.x.row_mut(row).into_slice() {
            stream.front.state(window, &mut state[..samples]);
        }
        self.t[row] = stream.front.time(window.step) as f32;
        for (condition, layout) in self.conditions.iter_mut().zip(&interface.layouts) {
            if let Some(item) = condition.index_axis_mut(Axis(0), row).into_slice() {
                let (start, frames) = (window.start, window.frames);
                stream.conditions.read(*layout, start, frames, item);
            }
        }
    }
}
