//! The way to run windows: windows in, predictions out.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};

use ndarray::{Array2, ArrayD, Ix2, s};

use super::batch::{Batch, Inputs};
use super::part::Part;
use crate::runtime::Graph;
use crate::vocoder::error::VocoderError;

/// One run of the denoiser.
pub(in crate::vocoder) struct Job {
    /// The caller's number for it.
    pub number: usize,
    /// The windows.
    pub batch: Arc<Batch>,
    /// What of them is run.
    pub part: Part,
}

/// What came of a [`Job`].
pub(in crate::vocoder) struct Answer {
    /// [`Job::number`].
    pub number: usize,
    /// [`Job::part`].
    pub part: Part,
    /// `[part.windows, part.frames * hop]`.
    pub prediction: Result<Array2<f32>, VocoderError>,
}

/// Sessions of the denoiser graph.
pub(super) trait WindowRunner: Send {
    /// Jobs that are run at the same time.
    fn sessions(&self) -> usize;

    /// The jobs in which a batch is done soonest.
    fn parts(&self, windows: usize, frames: usize) -> Vec<Part>;

    /// Runs a job once a session is free, and sends its answer, in any case exactly one. Its batch is given back by then.
    fn start(&mut self, job: Job, answers: &Sender<Answer>);

    /// Runs a whole batch of windows of `frames` frames. Gives the prediction, `[windows, frames * hop]`; the context of a window that was cut
    /// is zero in it.
    ///
    /// # Errors
    /// A run that fails, or whose answer has another shape.
    fn run(&mut self, batch: &Arc<Batch>, hop: usize) -> Result<Array2<f32>, VocoderError> {
        let (windows, samples) = batch.x.dim();
        let (sender, answers) = mpsc::channel();
        for part in self.parts(windows, samples / hop) {
            let (number, batch) = (0, batch.clone());
            self.start(
                Job {
                    number,
                    batch,
                    part,
                },
                &sender,
            );
        }
        drop(sender);
        let mut predictions = Array2::zeros((windows, samples));
        for Answer {
            part, prediction, ..
        } in answers
        {
            let prediction = prediction?;
            let source = prediction.slice(s![.., part.source(hop)]);
            let target = s![part.windows.clone(), part.target(hop)];
            predictions.slice_mut(target).assign(&source);
        }
        Ok(predictions)
    }
}

/// One run of a graph; its answer has the shape of `x`, which comes first.
pub(super) fn run(graph: &mut Graph, inputs: &Inputs<'_>) -> Result<Array2<f32>, VocoderError> {
    let expected = inputs.first().map_or(&[][..], |(_, x)| x.shape());
    let answer = graph.run(inputs)?.into_iter().next();
    let answer = answer.unwrap_or_else(|| ArrayD::zeros(vec![0]));
    let found = answer.shape().to_vec();
    match answer.into_dimensionality::<Ix2>() {
        Ok(answer) if answer.shape() == expected => Ok(answer),
        _ => Err(VocoderError::shape(
            "denoiser",
            "prediction",
            expected,
            &found,
        )),
    }
}
