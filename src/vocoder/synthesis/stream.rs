//! One synthesis under way.

use ndarray::ArrayView2;

use super::conditions::Conditions;
use super::mel_queue::MelQueue;
use crate::bundle::Manifest;
use crate::diffusion::{Noise, Plan};
use crate::dsp::{Watermark, first_not_finite};
use crate::mel::{MelConvention, Sharpener, Sharpening};
use crate::vocoder::error::VocoderError;
use crate::vocoder::filters::{Filters, PostFilter};
use crate::vocoder::networks::{Batch, Conditioner, Interface};
use crate::vocoder::plan::{Wavefront, Window, WindowBounds, WindowPlan};

/// One synthesis under way: mel frames go in, samples come out. Runs nothing by itself:
/// [`Vocoder::advance`](super::Vocoder::advance) does.
///
/// It holds what later windows still need and nothing else, however long the clip.
pub struct Stream {
    mel: MelQueue,
    conditions: Conditions,
    front: Wavefront,
    post_filter: PostFilter,
    sharpener: Sharpener,
    convention: MelConvention,
    ended: bool,
    excitation: Vec<f32>,
    finished: Vec<f32>,
}

impl Stream {
    pub(in crate::vocoder) fn new(
        manifest: &Manifest,
        filters: &Filters,
        plan: Plan,
        noise: Noise,
        windows: WindowPlan,
        bounds: WindowBounds,
        watermark: Option<&Watermark>,
    ) -> Stream {
        let mel = &manifest.mel;
        let windows = windows.at_most(bounds.longest_core());
        Stream {
            mel: MelQueue::new(mel.n_mels, mel.floor_value()),
            conditions: Conditions::new(-(windows.context as i64)),
            front: Wavefront::new(plan, noise, windows, mel.hop),
            post_filter: PostFilter::new(filters, watermark, noise.origin()),
            sharpener: Sharpener::new(manifest.sharpening.unwrap_or_default(), mel),
            convention: mel.clone(),
            ended: false,
            excitation: Vec::new(),
            finished: Vec::new(),
        }
    }

    /// Sharpens the mel by another amount than the bundle says, where one is asked for.
    ///
    /// # Errors
    /// [`VocoderError::Sharpening`].
    pub(in crate::vocoder) fn sharpened(
        mut self,
        asked: Option<Sharpening>,
    ) -> Result<Stream, VocoderError> {
        if let Some(sharpening) = asked {
            let sharpening = sharpening.check().map_err(VocoderError::Sharpening)?;
            self.sharpener = Sharpener::new(sharpening, &self.convention);
        }
        Ok(self)
    }

    /// Takes further mel frames `[n_mels, any]` in the bundle's convention.
    ///
    /// # Errors
    /// [`VocoderError::Bands`], [`VocoderError::MelNotFinite`], [`VocoderError::AlreadyEnded`]; nothing is taken then.
    pub fn push(&mut self, mel: ArrayView2<'_, f32>) -> Result<(), VocoderError> {
        if self.ended {
            return Err(VocoderError::AlreadyEnded);
        }
        if mel.nrows() != self.convention.n_mels {
            return Err(VocoderError::Bands {
                expected: self.convention.n_mels,
                found: mel.nrows(),
                convention: self.convention.name.clone(),
            });
        }
        if let Some(((band, frame), &value)) =
            mel.indexed_iter().find(|(_, value)| !value.is_finite())
        {
            return Err(VocoderError::MelNotFinite {
                frame: self.mel.end() + frame,
                band,
                value,
            });
        }
        let mel = self.sharpener.apply(mel);
        self.post_filter.push_mel(mel.view())?;
        self.mel.append(mel.view());
        Ok(())
    }

    /// Says that the mel is complete.
    ///
    /// # Errors
    /// [`VocoderError::AlreadyEnded`] the second time.
    pub fn end(&mut self) -> Result<(), VocoderError> {
        if std::mem::replace(&mut self.ended, true) {
            return Err(VocoderError::AlreadyEnded);
        }
        self.front.end(self.mel.end());
        self.post_filter.end_mel();
        self.collect()
    }

    /// Mel frames that are held: those of the conditioner's context and those that no window has asked for yet.
    pub fn frames_held(&self) -> usize {
        self.mel.len()
    }

    /// Mel frames pushed so far.
    pub fn frames(&self) -> usize {
        self.mel.end()
    }

    /// The windows that can run now, at most one a step.
    #[doc(hidden)]
    pub fn ready(&self) -> Vec<Window> {
        self.ready_up_to(1)
    }

    /// The same with up to `at_once` where none waits for another. They must run in their order.
    pub(super) fn ready_up_to(&self, at_once: usize) -> Vec<Window> {
        self.front.ready_up_to(self.conditioned(), at_once)
    }

    /// The window of `step` whose core begins at `core_start`, if it can run now. Those before it may be under way.
    pub(super) fn next(&self, step: usize, core_start: i64) -> Option<Window> {
        self.front.next(step, core_start, self.conditioned())
    }

    /// The conditions of all frames before this one can be had.
    fn conditioned(&self) -> i64 {
        if self.ended {
            i64::MAX
        } else {
            self.mel.end() as i64 - self.front.windows().conditioner_context as i64
        }
    }

    /// The samples finished since the last call, full scale 1.
    pub fn take(&mut self) -> Vec<f32> {
        std::mem::take(&mut self.finished)
    }

    /// Appends them to `out`.
    pub(in crate::vocoder) fn take_into(&mut self, out: &mut Vec<f32>) {
        out.append(&mut self.finished);
    }

    /// Whether the mel is complete.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the mel has ended and every sample is finished.
    pub fn is_done(&self) -> bool {
        self.ended && self.front.is_done()
    }

    /// How its windows are cut.
    pub(in crate::vocoder) fn windows(&self) -> WindowPlan {
        self.front.windows()
    }

    /// Number of steps.
    pub(super) fn steps(&self) -> usize {
        self.front.steps()
    }

    /// Writes one of its windows, whose conditions must be there, as window `index` of a batch.
    pub(super) fn write(
        &self,
        window: &Window,
        batch: &mut Batch,
        index: usize,
        interface: &Interface,
    ) {
        let samples = window.frames * interface.hop;
        if let Some(state) = batch.x.row_mut(index).into_slice() {
            self.front.state(window, &mut state[..samples]);
        }
        batch.t[index] = self.front.time(window.step) as f32;
        for (layout, values) in batch.conditions_of(index, interface) {
            self.conditions
                .read(layout, window.start, window.frames, values);
        }
    }

    /// Frames for which the conditioner has to run before `window` can.
    pub(super) fn missing(&self, window: &Window) -> usize {
        let end = window.start + window.frames as i64;
        (end - self.conditions.end()).max(0) as usize
    }

    /// Runs the conditioner as far as `window` needs.
    pub(super) fn condition(
        &mut self,
        conditioner: &mut Conditioner,
        window: &Window,
    ) -> Result<(), VocoderError> {
        let context = self.front.windows().conditioner_context;
        let frames = self.missing(window);
        if frames == 0 {
            return Ok(());
        }
        let first = self.conditions.end() - context as i64;
        let mel = self.mel.window(first, frames + 2 * context);
        self.conditions
            .append(frames, context, &conditioner.call(mel)?);
        self.mel.drop_before(self.conditions.end() - context as i64);
        Ok(())
    }

    /// Takes the denoiser's answer to a window, `state` being what the denoiser was given. What the last step finished waits for
    /// [`Stream::collect`].
    ///
    /// Returns the frames by which the step advanced.
    pub(super) fn apply(
        &mut self,
        window: &Window,
        state: &[f32],
        prediction: &[f32],
    ) -> Result<u64, VocoderError> {
        if let Some(value) = first_not_finite(prediction) {
            let output = "prediction".to_owned();
            return Err(VocoderError::OutputNotFinite {
                graph: "denoiser",
                output,
                value,
                step: Some(window.step),
            });
        }
        let before = self.front.frames_done();
        self.front.apply(window, state, prediction);
        self.conditions.drop_before(self.front.oldest_frame());
        Ok(self.front.frames_done() - before)
    }

    /// Moves what the last step finished through the filters that come after it.
    pub(super) fn collect(&mut self) -> Result<(), VocoderError> {
        while self.collect_some(usize::MAX)? {}
        Ok(())
    }

    /// Moves up to `count` samples of it. False when none are left.
    pub(super) fn collect_some(&mut self, count: usize) -> Result<bool, VocoderError> {
        self.front.take(&mut self.excitation);
        let count = count.min(self.excitation.len());
        let last = self.is_done() && count == self.excitation.len();
        let samples = &self.excitation[..count];
        self.post_filter.push(samples, last, &mut self.finished)?;
        self.excitation.drain(..count);
        Ok(!self.excitation.is_empty())
    }
}
