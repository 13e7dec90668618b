//! A whole clip through several sessions at once.
//!
//! Windows that are ready do not depend on each other, be they of one step or of several, and they are given to the sessions one by one, one more than
//! there are sessions, so that none waits. This thread does the rest meanwhile: conditions, noise, updates and the filters after the diffusion.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};

use ndarray::{Array2, ArrayView2, Axis};

use super::stream::Stream;
use crate::mel::Mel;
use crate::vocoder::error::VocoderError;
use crate::vocoder::networks::{
    Answer, Batch, Conditioner, Denoiser, Interface, Job, Networks, Part,
};
use crate::vocoder::plan::Window;

/// Frames that are filtered without a look at what the sessions have done: about a millisecond.
const FILTERED_FRAMES: usize = 16;

/// A window under way.
struct Call {
    number: usize,
    window: Window,
    batch: Arc<Batch>,
    /// The answer, once it is there.
    prediction: Option<Array2<f32>>,
}

/// The windows of one step.
#[derive(Default)]
struct Step {
    /// Those under way, in their order.
    calls: VecDeque<Call>,
    /// Where the core of the next one begins.
    next: i64,
}

struct Pipeline<'a> {
    stream: &'a mut Stream,
    conditioner: &'a mut Conditioner,
    denoiser: &'a mut Denoiser,
    interface: Arc<Interface>,
    /// Where the sessions send what they have made.
    sender: Sender<Answer>,
    answers: Receiver<Answer>,
    steps: Vec<Step>,
    /// Windows sent so far.
    sent: usize,
    /// Batches whose memory can be used again.
    spare: Vec<Batch>,
}

/// Sends the whole of `mel` through `stream`, a new one. `watch` is given the frames by which a step advanced, and may break it off.
///
/// # Errors
/// As [`Vocoder::synthesize`](super::Vocoder::synthesize).
pub(super) fn synthesize(
    networks: &mut Networks,
    stream: &mut Stream,
    mel: &Mel,
    watch: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Vec<f32>, VocoderError> {
    let (sender, answers) = mpsc::channel();
    let pipeline = Pipeline {
        steps: (0..stream.steps()).map(|_| Step::default()).collect(),
        sent: 0,
        stream,
        interface: networks.denoiser.interface.clone(),
        conditioner: &mut networks.conditioner,
        denoiser: &mut networks.denoiser,
        sender,
        answers,
        spare: Vec::new(),
    };
    pipeline.run(mel, watch)
}

impl Pipeline<'_> {
    fn run(
        mut self,
        mel: &Mel,
        watch: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Vec<f32>, VocoderError> {
        let mut samples = Vec::with_capacity(mel.frames() * self.interface.hop);
        let longest = self.stream.windows().chunks.longest;
        let mut rest = mel.view();
        loop {
            self.send_ready(&mut rest, longest)?;
            let answer = self.wait()?;
            self.stream.take_into(&mut samples);
            let Some(answer) = answer else {
                return Ok(samples);
            };
            for advanced in self.receive(answer)? {
                if watch(advanced).is_break() {
                    return Err(VocoderError::Cancelled);
                }
            }
        }
    }

    /// The next answer; until it comes, the filters after the diffusion are at work, a little at a time. `None` when nothing is left to do.
    fn wait(&mut self) -> Result<Option<Answer>, VocoderError> {
        loop {
            match self.answers.try_recv() {
                Ok(answer) => return Ok(Some(answer)),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Err(VocoderError::WorkerLost),
            }
            if self.under_way() == 0 {
                self.finish()?;
                return Ok(None);
            }
            let count = FILTERED_FRAMES * self.interface.hop;
            if !self.stream.collect_some(count)? {
                let answer = self.answers.recv();
                return answer.map(Some).map_err(|_| VocoderError::WorkerLost);
            }
        }
    }

    /// Filters what is left, on the threads of the sessions, which have nothing else to do.
    fn finish(&mut self) -> Result<(), VocoderError> {
        let stream = &mut *self.stream;
        match self.denoiser.pool() {
            Some(pool) => pool.install(|| stream.collect()),
            None => stream.collect(),
        }
    }

    /// Windows under way.
    fn under_way(&self) -> usize {
        self.steps.iter().map(|step| step.calls.len()).sum()
    }

    /// Keeps the sessions busy, and one window waiting for the first of them that is done.
    fn send_ready(
        &mut self,
        mel: &mut ArrayView2<'_, f32>,
        longest: usize,
    ) -> Result<(), VocoderError> {
        while self.under_way() <= self.denoiser.sessions() {
            self.push_mel(mel, longest)?;
            let Some(window) = self.ready() else {
                break;
            };
            self.send(window)?;
        }
        Ok(())
    }

    /// Takes as much of the mel as the next window of the first step needs.
    fn push_mel(
        &mut self,
        mel: &mut ArrayView2<'_, f32>,
        longest: usize,
    ) -> Result<(), VocoderError> {
        while self.stream.next(0, self.steps[0].next).is_none() && !self.stream.has_ended() {
            let (next, rest) = mel.split_at(Axis(1), longest.min(mel.ncols()));
            *mel = rest;
            match next.is_empty() {
                true => self.stream.end()?,
                false => self.stream.push(next)?,
            }
        }
        Ok(())
    }

    /// Of the windows that are ready the one whose turn it is: a step's window needs the next one of the step before.
    fn ready(&self) -> Option<Window> {
        let steps = self.steps.iter().enumerate();
        let ready = steps.filter_map(|(number, step)| self.stream.next(number, step.next));
        let behind = 2 * self.stream.windows().chunks.longest as i64;
        ready.min_by_key(|window| window.core_start + behind * window.step as i64)
    }

    fn send(&mut self, window: Window) -> Result<(), VocoderError> {
        self.stream.condition(self.conditioner, &window)?;
        let mut batch = self.spare.pop().unwrap_or_default();
        batch.reshape(&self.interface, 1, window.frames, true);
        self.stream.write(&window, &mut batch, 0, &self.interface);
        let (number, batch) = (self.sent, Arc::new(batch));
        self.sent += 1;
        let step = &mut self.steps[window.step];
        step.next = window.core_start + window.core as i64;
        step.calls.push_back(Call {
            number,
            window,
            batch: batch.clone(),
            prediction: None,
        });
        let part = Part::whole(0..1, window.frames);
        let job = Job {
            number,
            batch,
            part,
        };
        self.denoiser.start(job, &self.sender);
        Ok(())
    }

    /// Takes an answer. Gives the frames by which its step advanced, once for each window that no other of the step is before.
    fn receive(&mut self, answer: Answer) -> Result<Vec<u64>, VocoderError> {
        let prediction = answer.prediction?;
        let mut advanced = Vec::new();
        let is_answered = |call: &Call| call.number == answer.number;
        let concerned = |step: &&mut Step| step.calls.iter().any(is_answered);
        // Only what was sent is answered.
        let Some(step) = self.steps.iter_mut().find(concerned) else {
            return Ok(advanced);
        };
        if let Some(call) = step.calls.iter_mut().find(|call| is_answered(call)) {
            call.prediction = Some(prediction);
        }
        let is_done = |call: &Call| call.prediction.is_some();
        while step.calls.front().is_some_and(is_done)
            && let Some(call) = step.calls.pop_front()
        {
            let prediction = call.prediction.unwrap_or_default();
            let state = call.batch.x.as_slice().unwrap_or_default();
            let prediction = prediction.as_slice().unwrap_or_default();
            advanced.push(self.stream.apply(&call.window, state, prediction)?);
            self.spare.extend(Arc::into_inner(call.batch));
        }
        Ok(advanced)
    }
}
