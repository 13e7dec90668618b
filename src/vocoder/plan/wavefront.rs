//! The state of one synthesis between denoiser calls: for each step, the samples that are still needed and nothing else.

use super::window::WindowPlan;
use crate::diffusion::{Noise, Plan};
use crate::dsp::SampleQueue;
use std::ops::Range;

/// One denoiser call to be made: step, and the frames that it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The step, from 0: which of the plan's coefficients it runs.
    pub step: usize,
    /// First frame of the core; negative before the clip.
    pub core_start: i64,
    /// Frames of the core.
    pub core: usize,
    /// First frame covered: the core's less the context.
    pub start: i64,
    /// Frames covered: the core and the context on each side.
    pub frames: usize,
}

/// Steps of a plan over a clip, each some frames behind the one before.
///
/// A pure state machine: it runs no graph. The caller announces how much of the clip is known, asks which windows are
/// [`ready`](Wavefront::ready), gets the [`state`](Wavefront::state) of each, runs the denoiser in whatever batches it likes, and hands
/// the predictions to [`apply`](Wavefront::apply). Windows that are ready together do not depend on each other, and the result does not
/// depend on the order.
#[derive(Debug)]
pub struct Wavefront {
    plan: Plan,
    noise: Noise,
    windows: WindowPlan,
    hop: usize,
    steps: Vec<Step>,
    /// Frames of the clip, once its end is known.
    total: Option<i64>,
    finished: Vec<f32>,
    /// What a row does not ask for.
    zeros: Vec<f32>,
}

#[derive(Debug, Default)]
struct Step {
    /// First frame of the next core.
    next: i64,
    /// The state that this step reads. Step 0 reads noise, which need not be kept.
    state: SampleQueue,
    /// What the row before remembered, where this one asks for it.
    remembered: SampleQueue,
}

impl Wavefront {
    /// A synthesis at its start. `hop` is in samples a frame.
    pub fn new(plan: Plan, noise: Noise, windows: WindowPlan, hop: usize) -> Wavefront {
        let steps = plan.rows.iter().map(|_| Step::default()).collect();
        Wavefront {
            windows: WindowPlan {
                steps: plan.steps(),
                ..windows
            },
            plan,
            noise,
            hop,
            steps,
            total: None,
            finished: Vec::new(),
            zeros: Vec::new(),
        }
    }

    /// How the windows are cut.
    pub fn windows(&self) -> WindowPlan {
        self.windows
    }

    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// The number that the denoiser is given at `step`.
    pub fn time(&self, step: usize) -> f64 {
        self.plan.rows[step].t
    }

    /// Says that the clip has `frames` frames: what lies beyond is outside.
    pub fn end(&mut self, frames: usize) {
        self.total = Some(frames as i64);
    }

    /// The windows that can run now, at most one a step, when the conditions of all frames before `conditioned` can be had.
    pub fn ready(&self, conditioned: i64) -> Vec<Window> {
        self.ready_up_to(conditioned, 1)
    }

    /// The same, with up to `at_once` of one length where there is a single step and none waits for another. They must run in their order.
    pub(in crate::vocoder) fn ready_up_to(&self, conditioned: i64, at_once: usize) -> Vec<Window> {
        if let [only] = &self.steps[..] {
            let first = self.window(0, only.next, conditioned);
            let next = |window: &Window| {
                let next = window.core_start + window.core as i64;
                self.window(0, next, conditioned)
                    .filter(|next| next.frames == window.frames)
            };
            return std::iter::successors(first, next).take(at_once).collect();
        }
        let steps = self.steps.iter().enumerate();
        steps
            .filter_map(|(step, state)| self.next(step, state.next, conditioned))
            .collect()
    }

    /// The window of `step` whose core begins at `core_start`, if it can run now. Those before it may be under way.
    pub(in crate::vocoder) fn next(
        &self,
        step: usize,
        core_start: i64,
        conditioned: i64,
    ) -> Option<Window> {
        let known = match step.checked_sub(1) {
            None => conditioned,
            // Beyond the end everything is known: it is zero.
            Some(before) if self.is_past_end(self.steps[before].next) => i64::MAX,
            Some(before) => self.steps[before].next,
        };
        self.window(step, core_start, known)
    }

    /// The window of `step` whose core begins at `core_start`, if all before `known` is enough for it.
    fn window(&self, step: usize, core_start: i64, known: i64) -> Option<Window> {
        let (context, core) = (self.windows.context, self.core(step, core_start));
        let needed = core_start + (core + context) as i64;
        let is_ready = needed <= known && !self.is_past_end(core_start);
        is_ready.then_some(Window {
            step,
            core_start,
            core,
            start: core_start - context as i64,
            frames: core + 2 * context,
        })
    }

    fn core(&self, step: usize, start: i64) -> usize {
        match self.total {
            None => self.windows.core(step, start),
            Some(total) => {
                let left = (total - start).max(0) as usize;
                self.windows.last_core(step, start, left)
            }
        }
    }

    /// Writes the state that `window` reads, `window.frames * hop` samples.
    pub fn state(&self, window: &Window, out: &mut [f32]) {
        match window.step {
            0 => self.fill_noise(window, out),
            step => self.steps[step]
                .state
                .read(window.start * self.hop as i64, out),
        }
    }

    /// Writes the seed's noise in the frames that `window` covers, 0 beyond the clip.
    fn fill_noise(&self, window: &Window, out: &mut [f32]) {
        out.fill(0.0);
        let inside = self.inside(window, out.len());
        let first = window.start * self.hop as i64 + inside.start as i64;
        self.noise.fill(0, first as u64, &mut out[inside]);
    }

    /// The samples of a window, counted from its first, that lie within the clip as far as that is known.
    fn inside(&self, window: &Window, length: usize) -> Range<usize> {
        let hop = self.hop as i64;
        let (from, length) = (window.start * hop, length as i64);
        let end = self.total.map_or(i64::MAX, |frames| frames * hop);
        let low = (-from).clamp(0, length);
        let high = end.saturating_sub(from).clamp(low, length);
        low as usize..high as usize
    }

    /// Takes the denoiser's answer to a ready window: `state` as given by [`Wavefront::state`], and the prediction of the same length.
    pub fn apply(&mut self, window: &Window, state: &[f32], prediction: &[f32]) {
        let hop = self.hop as i64;
        let core_end = window.core_start + window.core as i64;
        let low = window.core_start.max(0) * hop;
        let high = self.total.map_or(core_end, |total| core_end.min(total)) * hop;
        if low < high {
            let inside = (low - window.start * hop) as usize..(high - window.start * hop) as usize;
            self.advance(
                window.step,
                low,
                &state[inside.clone()],
                &prediction[inside],
            );
        }
        let step = &mut self.steps[window.step];
        step.next = core_end;
        step.state
            .drop_before((core_end - self.windows.context as i64) * hop);
        step.remembered.drop_before(core_end * hop);
    }

    /// Applies a row to samples `from ..` and hands the result to the next step.
    fn advance(&mut self, step: usize, from: i64, state: &[f32], prediction: &[f32]) {
        let row = self.plan.rows[step];
        let length = state.len();
        if self.zeros.len() < length {
            self.zeros.resize(length, 0.0);
        }
        let noise = (row.c != 0.0).then(|| {
            let mut noise = vec![0.0; length];
            self.noise.fill(step as u32 + 1, from as u64, &mut noise);
            noise
        });
        let remembered = (row.d != 0.0).then(|| {
            let mut remembered = vec![0.0; length];
            self.steps[step].remembered.read(from, &mut remembered);
            remembered
        });
        let noise = noise.as_deref().unwrap_or(&self.zeros);
        let remembered = remembered.as_deref().unwrap_or(&self.zeros);
        let [low, high] = self
            .plan
            .clamp
            .unwrap_or([f64::NEG_INFINITY, f64::INFINITY]);
        let pairs = state.iter().zip(prediction);
        let others = noise.iter().zip(remembered);
        let new = pairs.zip(others).map(|((&x, &answer), (&fresh, &old))| {
            let value = row.next([x, answer, fresh, old]);
            value.clamp(low, high) as f32
        });
        let Some(next) = self.steps.get_mut(step + 1) else {
            self.finished.extend(new);
            return;
        };
        // In one piece first: a queue takes single values slowly.
        next.state.append(&new.collect::<Vec<_>>());
        if self.plan.rows[step + 1].d != 0.0 {
            let pairs = state.iter().zip(prediction);
            let remembered: Vec<_> = pairs.map(|(&x, &p)| row.remember(x, p)).collect();
            next.remembered.append(&remembered);
        }
    }

    /// Appends the samples finished since the last call to `out`; their order is that of the clip.
    pub fn take(&mut self, out: &mut Vec<f32>) {
        out.append(&mut self.finished);
    }

    /// Whether every sample of the clip has gone through every step.
    pub fn is_done(&self) -> bool {
        self.steps.iter().all(|step| self.is_past_end(step.next))
    }

    /// The earliest frame that a later window covers; `i64::MAX` when none is left.
    pub fn oldest_frame(&self) -> i64 {
        let left = self
            .steps
            .iter()
            .filter(|step| !self.is_past_end(step.next));
        left.map(|step| step.next - self.windows.context as i64)
            .min()
            .unwrap_or(i64::MAX)
    }

    /// Frames done, added up over the steps.
    pub fn frames_done(&self) -> u64 {
        let total = self.total.unwrap_or(i64::MAX);
        self.steps
            .iter()
            .map(|step| step.next.clamp(0, total) as u64)
            .sum()
    }

    fn is_past_end(&self, frame: i64) -> bool {
        self.total.is_some_and(|total| frame >= total)
    }

    /// Samples held in memory between calls.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.finished.len()
            + self
                .steps
                .iter()
                .map(|step| step.state.len() + step.remembered.len())
                .sum::<usize>()
    }
}

#[cfg(test)]
#[path = "wavefront_tests.rs"]
mod tests;
