//! Which frames one denoiser call covers.
//!
//! A call sees `core + 2 context` frames and is right about the `core` in the middle: `context` is the reach of the network on each side,
//! from the manifest. Beyond the clip nothing is padded by a layer: there the mel is at the convention's floor and the state is zero at
//! every step, and every window at an edge, like a whole clip, is given `context` frames of it. So a sample's value does not depend on
//! the windows.
//!
//! Step k reads what step k - 1 wrote, `context` frames further on each side. Its windows therefore run later: they become ready one after
//! another, and those that are ready at one moment do not depend on each other.

use crate::bundle::Context;
use crate::vocoder::error::VocoderError;

/// Most frames that one window may cover; bounds what one graph call allocates.
pub const MAX_WINDOW_FRAMES: usize = 16_384;

/// Most frames, over all steps, by which a synthesis without an offset may be behind its mel before memory matters.
const MAX_DELAY: usize = 8192;

/// Frames of the first chunk of a stream when none are asked for: small, for early audio. It is longer where the filters after the diffusion
/// hold back more.
const FIRST_CHUNK_FRAMES: usize = 24;
/// Frames of later chunks when none are asked for: longer, for less work.
const CHUNK_FRAMES: usize = 64;
/// Frames of audio that the first chunk gives at least, beyond what the filters hold back: with nothing to hear after it, a stream would not be
/// known to have begun.
const FIRST_HEARD: usize = 2;

/// How a stream's audio advances: `first` frames, then chunks that double every second time up to `longest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks {
    /// Frames of the first chunk.
    pub first: usize,
    /// Frames of a chunk once the stream is under way.
    pub longest: usize,
}

impl Chunks {
    /// The chunks of a stream whose filters hold `held` frames back; `first` and `longest` where they are asked for.
    pub fn of_stream(first: Option<usize>, longest: Option<usize>, held: usize) -> Chunks {
        let usual = FIRST_CHUNK_FRAMES.max(held + FIRST_HEARD);
        let longest = longest.unwrap_or(CHUNK_FRAMES.max(usual));
        Chunks {
            first: first.unwrap_or(usual).min(longest),
            longest,
        }
    }

    /// The smallest end of a chunk beyond `frame`.
    fn end_after(self, frame: i64) -> i64 {
        let longest = self.longest as i64;
        let (mut size, mut end) = (self.first as i64, 0);
        while size < longest {
            for _ in 0..2 {
                end += size;
                if end > frame {
                    return end;
                }
            }
            size = (2 * size).min(longest);
        }
        end + ((frame - end).max(0) / longest + 1) * longest
    }

    /// The lengths of the chunks.
    fn sizes(self) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(self.first), move |&size| {
            (size < self.longest).then_some((2 * size).min(self.longest))
        })
    }
}

/// The windows of a synthesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowPlan {
    /// How the last step advances. `longest` is also the longest core of any step.
    pub chunks: Chunks,
    /// Frames on each side that a denoiser call sees beyond its core.
    pub context: usize,
    /// Frames on each side that a conditioner call sees beyond those it is right about.
    pub conditioner_context: usize,
    /// Frames by which each step is ahead of the one after it. `context`: a chunk can go through all steps at once, which is the least
    /// look-ahead there is, at the price of longer first windows. 0: the fewest windows, each step waiting for more of the one before.
    pub step_offset: usize,
    /// Denoiser calls for each sample.
    pub steps: usize,
}

impl WindowPlan {
    /// Windows of `core` frames, for a clip whose mel is there.
    ///
    /// # Errors
    /// [`VocoderError::WindowLength`] unless `core` is 1 to [`MAX_WINDOW_FRAMES`].
    pub fn exact(core: usize, context: Context, steps: usize) -> Result<WindowPlan, VocoderError> {
        let chunks = Chunks {
            first: core,
            longest: core,
        };
        let plan = WindowPlan::streaming(chunks, context, steps)?;
        let without_offset = 2 * core * steps <= MAX_DELAY;
        Ok(WindowPlan {
            step_offset: if without_offset { 0 } else { plan.step_offset },
            ..plan
        })
    }

    /// Windows of at most `longest` frames that share a clip of `frames` evenly.
    ///
    /// # Errors
    /// [`VocoderError::WindowLength`] unless `longest` is 1 to [`MAX_WINDOW_FRAMES`].
    pub fn balanced(
        frames: usize,
        context: Context,
        steps: usize,
        longest: usize,
    ) -> Result<WindowPlan, VocoderError> {
        let frames = frames.max(1);
        let count = frames.div_ceil(longest.max(1));
        WindowPlan::exact(frames.div_ceil(count), context, steps)
    }

    /// Windows with the least look-ahead: the first chunk needs `first + (steps - 1) * context` frames of conditions at the first step.
    ///
    /// # Errors
    /// [`VocoderError::WindowLength`] unless both lengths are 1 to [`MAX_WINDOW_FRAMES`].
    pub fn streaming(
        chunks: Chunks,
        context: Context,
        steps: usize,
    ) -> Result<WindowPlan, VocoderError> {
        for found in [chunks.first, chunks.longest] {
            if !(1..=MAX_WINDOW_FRAMES).contains(&found) {
                return Err(VocoderError::WindowLength {
                    found,
                    limit: MAX_WINDOW_FRAMES,
                });
            }
        }
        Ok(WindowPlan {
            chunks: Chunks {
                first: chunks.first.min(chunks.longest),
                ..chunks
            },
            context: context.denoiser,
            conditioner_context: context.conditioner,
            step_offset: context.denoiser,
            steps,
        })
    }

    /// The same with no core longer than `longest`.
    #[must_use]
    pub fn at_most(self, longest: usize) -> WindowPlan {
        let longest = self.chunks.longest.min(longest.max(1));
        let first = self.chunks.first.min(longest);
        WindowPlan {
            chunks: Chunks { first, longest },
            ..self
        }
    }

    /// Core of the window of `step` that begins at `start`, when more of the clip is to come.
    pub(super) fn core(&self, step: usize, start: i64) -> usize {
        let offset = (self.offset(step)) as i64;
        let end = self.chunks.end_after(start - offset) + offset;
        ((end - start) as usize).min(self.chunks.longest)
    }

    /// Core of the window of `step` that begins at `start`, `left` frames before the end of the clip: one of the plan's own lengths.
    pub(super) fn last_core(&self, step: usize, start: i64, left: usize) -> usize {
        let regular = self.core(step, start);
        if left >= regular {
            return regular;
        }
        let fits = self.cores().into_iter().find(|&core| core >= left);
        fits.unwrap_or(regular).min(regular)
    }

    /// The lengths of all cores, ascending.
    pub fn cores(&self) -> Vec<usize> {
        let longest = self.chunks.longest;
        let first = (0..self.steps).map(|step| self.chunks.first + self.offset(step));
        let first = first.flat_map(|length| [length.min(longest), length % longest]);
        let mut cores: Vec<usize> = first
            .chain(self.chunks.sizes())
            .filter(|&c| c > 0)
            .collect();
        cores.sort_unstable();
        cores.dedup();
        cores
    }

    /// Frames by which `step` is ahead of the last one.
    fn offset(&self, step: usize) -> usize {
        (self.steps - 1 - step.min(self.steps - 1)) * self.step_offset
    }

    /// Mel frames that must be there before the first chunk can be finished, that of the filters after the diffusion not counted.
    pub fn look_ahead(&self) -> usize {
        self.chunks.first + self.offset(0) + self.context + self.conditioner_context
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: usize = 128;
    const CHUNKS: Chunks = Chunks {
        first: 16,
        longest: 64,
    };
    const CONTEXT: Context = Context {
        denoiser: 8,
        conditioner: 6,
    };

    fn starts(plan: &WindowPlan, step: usize, count: usize) -> Vec<i64> {
        let next = |&start: &i64| Some(start + plan.core(step, start) as i64);
        std::iter::successors(Some(0), next).take(count).collect()
    }

    #[test]
    fn windows_share_a_clip_evenly() {
        let core = |frames| {
            WindowPlan::balanced(frames, CONTEXT, 4, LONGEST)
                .unwrap()
                .core(0, 0)
        };
        assert_eq!(
            [core(1), core(128), core(129), core(861)],
            [1, 128, 65, 123]
        );
    }

    #[test]
    fn the_first_chunk_is_heard_whatever_the_filters_hold_back() {
        let of = |first, longest, held| {
            let Chunks { first, longest } = Chunks::of_stream(first, longest, held);
            [first, longest]
        };
        assert_eq!(of(None, None, 14), [24, 64]);
        assert_eq!(of(None, None, 30), [32, 64]);
        assert_eq!(of(None, None, 70), [72, 72]);
        assert_eq!(of(None, Some(16), 30), [16, 16]);
        assert_eq!(of(Some(8), None, 30), [8, 64]);
    }

    #[test]
    fn lengths_are_bounded() {
        for bad in [0, MAX_WINDOW_FRAMES + 1, usize::MAX] {
            assert!(matches!(
                WindowPlan::exact(bad, CONTEXT, 4),
                Err(VocoderError::WindowLength { .. })
            ));
        }
    }

    #[test]
    fn chunks_grow_and_each_step_leads_the_next() {
        let plan = WindowPlan::streaming(CHUNKS, CONTEXT, 4).unwrap();
        assert_eq!(starts(&plan, 3, 8), [0, 16, 32, 64, 96, 160, 224, 288]);
        assert_eq!(starts(&plan, 0, 5), [0, 40, 56, 88, 120]);
        assert_eq!(plan.cores(), [16, 24, 32, 40, 64]);
        assert_eq!(plan.look_ahead(), 16 + 3 * 8 + 8 + 6);
    }

    #[test]
    fn long_first_windows_are_split() {
        let plan = WindowPlan::streaming(CHUNKS, CONTEXT, 12).unwrap();
        assert_eq!(starts(&plan, 0, 4), [0, 64, 104, 120]);
        assert!(plan.cores().contains(&40));
        assert!(plan.cores().iter().all(|&core| core <= 64));
    }

    #[test]
    fn cores_can_be_kept_short() {
        let plan = WindowPlan::streaming(CHUNKS, CONTEXT, 4).unwrap();
        assert_eq!(plan.at_most(1024), plan);
        let short = plan.at_most(10);
        assert_eq!((short.chunks.first, short.chunks.longest), (10, 10));
        assert!(short.cores().iter().all(|&core| core <= 10));
    }

    #[test]
    fn many_steps_follow_closely() {
        assert_eq!(WindowPlan::exact(128, CONTEXT, 6).unwrap().step_offset, 0);
        assert_eq!(WindowPlan::exact(128, CONTEXT, 200).unwrap().step_offset, 8);
    }

    #[test]
    fn the_last_window_is_the_shortest_that_fits() {
        let plan = WindowPlan::streaming(CHUNKS, CONTEXT, 4).unwrap();
        let last = |left| plan.last_core(3, 96, left);
        assert_eq!(
            [last(200), last(64), last(41), last(17), last(1)],
            [64, 64, 64, 24, 16]
        );
    }
}
