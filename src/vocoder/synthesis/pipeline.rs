//! A whole clip through several sessions at once.
//!
//! Windows of different steps do not depend on each other once they are ready, and they are given to the sessions one by one, so that no session
//! waits for another. This thread does the rest meanwhile: conditions, noise, updates and the filters after the diffusion.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};

use ndarray::{ArrayView2, Axis, s};

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
    window: Window,
    batch: Arc<Batch>,
    prediction: Vec<f32>,
    /// Parts without an answer.
    missing: usize,
}

struct Pipeline<'a> {
    stream: &'a mut Stream,
    conditioner: &'a mut Conditioner,
    denoiser: &'a mut Denoiser,
    interface: Arc<Interface>,
    /// Where the sessions send what they have made.
    sender: Sender<Answer>,
    answers: Receiver<Answer>,
    /// The window under way of each step.
    calls: Vec<Option<Call>>,
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
        calls: (0..stream.steps()).map(|_| None).collect(),
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
            self.send_ready(&mut rest, longest, mel.frames())?;
            let answer = self.wait()?;
            self.stream.take_into(&mut samples);
            let Some(answer) = answer else {
                return Ok(samples);
            };
            if let Some(advanced) = self.receive(answer)?
                && watch(advanced).is_break()
            {
                return Err(VocoderError::Cancelled);
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
            if !self
                .stream
                .collect_some(FILTERED_FRAMES * self.interface.hop)?
            {
                let waiting = self.calls.iter().any(Option::is_some);
                let answer = waiting.then(|| self.answers.recv()).transpose();
                return answer.map_err(|_| VocoderError::WorkerLost);
            }
        }
    }

    /// Sends every window that is ready, and before that as much of the mel on its way as the first step needs.
    fn send_ready(
        &mut self,
        mel: &mut ArrayView2<'_, f32>,
        longest: usize,
        total: usize,
    ) -> Result<(), VocoderError> {
        let mut ready = self.stream.ready();
        while self.calls.first().is_some_and(Option::is_none)
            && !ready.iter().any(|window| window.step == 0)
            && !self.stream.has_ended()
        {
            let (next, rest) = mel.split_at(Axis(1), longest.min(mel.ncols()));
            *mel = rest;
            if next.is_empty() {
                self.stream.end()?;
            } else {
                self.stream.push(next)?;
            }
            ready = self.stream.ready();
        }
        for window in ready {
            if self.calls[window.step].is_none() {
                self.send(window, total)?;
            }
        }
        Ok(())
    }

    fn send(&mut self, window: Window, total: usize) -> Result<(), VocoderError> {
        self.stream.condition(self.conditioner, &window)?;
        let mut batch = self.spare.pop().unwrap_or_default();
        batch.reshape(&self.interface, 1, window.frames, true);
        self.stream.write(&window, &mut batch, 0, &self.interface);
        let batch = Arc::new(batch);
        let parts = self.parts(&window, total);
        let parts = Part::of_window(0, window.frames, self.interface.context, parts);
        self.calls[window.step] = Some(Call {
            window,
            batch: batch.clone(),
            prediction: vec![0.0; window.frames * self.interface.hop],
            missing: parts.len(),
        });
        for part in parts {
            let (number, batch) = (window.step, batch.clone());
            let job = Job {
                number,
                batch,
                part,
            };
            self.denoiser.start(job, &self.sender);
        }
        Ok(())
    }

    /// How many sessions share a window. At the beginning and the end of a clip fewer windows are ready than there are sessions. When a window's turn
    /// comes is told by its place, not by the clock: each run of a clip is cut in the same way.
    fn parts(&self, window: &Window, total: usize) -> usize {
        let core = self.stream.windows().chunks.longest as i64;
        let (count, index) = ((total as i64 + core - 1) / core, window.core_start / core);
        // A step's window needs the next one of the step before.
        let turn = index + 2 * window.step as i64;
        let beside = (0..self.calls.len() as i64)
            .filter(|step| (0..count).contains(&(turn - 2 * step)))
            .count();
        let sessions = self.denoiser.sessions();
        sessions / beside.clamp(1, sessions)
    }

    /// Takes an answer, and gives the frames by which its step advanced if it was the window's last.
    fn receive(&mut self, answer: Answer) -> Result<Option<u64>, VocoderError> {
        let Answer {
            number: step,
            part,
            prediction,
        } = answer;
        let (prediction, hop) = (prediction?, self.interface.hop);
        let Some(mut call) = self.calls[step].take() else {
            return Ok(None); // Only what was sent is answered.
        };
        let kept = prediction.slice(s![0, part.source(hop)]);
        let target = &mut call.prediction[part.target(hop)];
        target
            .iter_mut()
            .zip(kept)
            .for_each(|(to, from)| *to = *from);
        call.missing -= 1;
        if call.missing > 0 {
            self.calls[step] = Some(call);
            return Ok(None);
        }
        let state = call.batch.x.as_slice().unwrap_or_default();
        let advanced = self.stream.apply(&call.window, state, &call.prediction)?;
        self.spare.extend(Arc::into_inner(call.batch));
        Ok(Some(advanced))
    }
}
