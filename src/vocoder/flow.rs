//! A clip through several lanes at once.
//!
//! Windows of different steps do not depend on each other once they are ready, and they are sent to the lanes one by one, so that no lane waits
//! for another. This thread does the rest meanwhile: conditions, noise, updates and the filters after the diffusion.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::batch::Batch;
use super::conditioner::Conditioner;
use super::denoiser::{Answer, Desk, Job};
use super::interface::Interface;
use super::networks::Networks;
use super::piece::Piece;
use super::{Stream, VocoderError, Window};
use crate::mel::Mel;
use ndarray::{ArrayView2, Axis, s};

/// Frames that are filtered without a look at what the lanes have done: about a millisecond.
const AT_ONCE: usize = 16;

/// A window under way.
struct Call {
    window: Window,
    batch: Arc<Batch>,
    prediction: Vec<f32>,
    /// Pieces without an answer.
    missing: usize,
}

struct Flow<'a> {
    stream: &'a mut Stream,
    conditioner: &'a mut Conditioner,
    interface: &'a Interface,
    desk: Desk,
    lanes: usize,
    /// The window under way of each step.
    calls: Vec<Option<Call>>,
    /// Batches whose memory can be used again.
    spare: Vec<Batch>,
}

/// Sends the whole of `mel` through `stream`, a new one. `watch` is given the frames by which a step advanced, and may break it off.
///
/// # Errors
/// As [`Vocoder::synthesize`](super::Vocoder::synthesize).
pub(super) fn through_lanes(
    networks: &mut Networks,
    stream: &mut Stream,
    mel: &Mel,
    watch: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Vec<f32>, VocoderError> {
    let Networks {
        conditioner,
        denoiser,
        ..
    } = networks;
    let (lanes, interface) = (denoiser.lanes(), denoiser.interface.clone());
    denoiser.attended(|desk| {
        let flow = Flow {
            calls: (0..stream.front.steps()).map(|_| None).collect(),
            stream,
            conditioner,
            interface: &interface,
            desk,
            lanes,
            spare: Vec::new(),
        };
        flow.run(mel, watch)
    })
}

impl Flow<'_> {
    fn run(
        mut self,
        mel: &Mel,
        watch: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Vec<f32>, VocoderError> {
        let mut samples = Vec::with_capacity(mel.frames() * self.interface.hop);
        let longest = self.stream.front.windows().chunks.longest;
        let mut pieces = mel.view();
        loop {
            self.send_ready(&mut pieces, longest, mel.frames())?;
            let answer = self.wait()?;
            self.stream.take(&mut samples);
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
            if let Some(answer) = self.desk.try_answer()? {
                return Ok(Some(answer));
            }
            if !self.stream.collect_some(AT_ONCE * self.interface.hop)? {
                let waiting = self.calls.iter().any(Option::is_some);
                return waiting.then(|| self.desk.answer()).transpose();
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
        batch.reshape(self.interface, 1, window.frames, true);
        batch.set(0, self.interface, self.stream, &window);
        let batch = Arc::new(batch);
        let parts = self.parts(&window, total);
        let pieces = Piece::parts(0, window.frames, self.interface.context, parts);
        self.calls[window.step] = Some(Call {
            window,
            batch: batch.clone(),
            prediction: vec![0.0; window.frames * self.interface.hop],
            missing: pieces.len(),
        });
        for piece in pieces {
            let (step, batch) = (window.step, batch.clone());
            self.desk.send(Job { step, batch, piece })?;
        }
        Ok(())
    }

    /// How many lanes share a window. At the beginning and the end of a clip fewer windows are ready than there are lanes. When a window's turn
    /// comes is told by its place, not by the clock: each run of a clip is cut in the same way.
    fn parts(&self, window: &Window, total: usize) -> usize {
        let core = self.stream.front.windows().chunks.longest as i64;
        let (count, index) = ((total as i64 + core - 1) / core, window.core_start / core);
        // A step's window needs the next one of the step before.
        let turn = index + 2 * window.step as i64;
        let beside = (0..self.calls.len() as i64)
            .filter(|step| (0..count).contains(&(turn - 2 * step)))
            .count();
        self.lanes / beside.clamp(1, self.lanes)
    }

    /// Takes an answer, and gives the frames by which its step advanced if it was the window's last.
    fn receive(&mut self, answer: Answer) -> Result<Option<u64>, VocoderError> {
        let Answer { step, piece, found } = answer;
        let (found, hop) = (found?, self.interface.hop);
        let Some(mut call) = self.calls[step].take() else {
            return Ok(None); // Only what was sent is answered.
        };
        let kept = found.slice(s![0, piece.source(hop)]);
        let target = &mut call.prediction[piece.target(hop)];
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
