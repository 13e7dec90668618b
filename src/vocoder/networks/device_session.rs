//! One session whose inputs and output are bound to tensors in its device's memory.
//!
//! On the CPU the same code works in main memory, which is how it is tested.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use ndarray::Array2;

use super::batch::Batch;
use super::interface::Interface;
use super::part::Part;
use super::runner::{Answer, Job, WindowRunner};
use crate::runtime::{Binding, DeviceTensor, Graph};
use crate::vocoder::error::VocoderError;

/// A session that takes a whole batch in one run.
pub(super) struct DeviceSession {
    graph: Graph,
    interface: Arc<Interface>,
    /// For the size of the last run.
    bound: Option<Bound>,
}

/// The tensors of one size of run, as they are bound.
struct Bound {
    windows: usize,
    samples: usize,
    /// In the order of [`Interface::input_shapes`].
    inputs: Vec<DeviceTensor>,
    prediction: DeviceTensor,
    binding: Binding,
}

impl DeviceSession {
    pub fn new(graph: Graph, interface: Arc<Interface>) -> DeviceSession {
        DeviceSession {
            graph,
            interface,
            bound: None,
        }
    }

    fn run(&mut self, batch: &Batch) -> Result<Array2<f32>, VocoderError> {
        let (windows, samples) = batch.x.dim();
        let fits = |bound: &Bound| (bound.windows, bound.samples) == (windows, samples);
        let bound = match self.bound.take().filter(fits) {
            Some(bound) => bound,
            None => Bound::new(&self.graph, &self.interface, windows, samples)?,
        };
        let bound = self.bound.insert(bound);
        for (tensor, (_, values)) in bound.inputs.iter_mut().zip(batch.inputs(&self.interface)) {
            tensor.write(values.as_slice().unwrap_or_default())?;
        }
        self.graph.run_bound(&bound.binding)?;
        let mut prediction = Array2::zeros((windows, samples));
        if let Some(room) = prediction.as_slice_mut() {
            bound.prediction.read(room)?;
        }
        Ok(prediction)
    }
}

impl Bound {
    fn new(
        graph: &Graph,
        interface: &Interface,
        windows: usize,
        samples: usize,
    ) -> Result<Bound, VocoderError> {
        let shapes = interface.input_shapes(windows, samples / interface.hop);
        let tensor = |(_, shape): &(String, Vec<usize>)| graph.tensor(shape);
        let inputs = shapes.iter().map(tensor).collect::<Result<Vec<_>, _>>()?;
        let mut prediction = graph.tensor(&[windows, samples])?;
        let names = shapes.iter().map(|(name, _)| name.as_str());
        let named: Vec<_> = names.zip(&inputs).collect();
        let binding = graph.bind(&named, &mut [("prediction", &mut prediction)])?;
        Ok(Bound {
            windows,
            samples,
            inputs,
            prediction,
            binding,
        })
    }
}

impl WindowRunner for DeviceSession {
    fn sessions(&self) -> usize {
        1
    }

    fn parts(&self, windows: usize, frames: usize) -> Vec<Part> {
        vec![Part::whole(0..windows, frames)]
    }

    /// Jobs are whole batches; each is run before this returns.
    fn start(&mut self, job: Job, answers: &Sender<Answer>) {
        let Job {
            number,
            batch,
            part,
        } = job;
        let prediction = self.run(&batch);
        drop(batch);
        // A caller that has given up hears nothing.
        let _ = answers.send(Answer {
            number,
            part,
            prediction,
        });
    }
}
