//! Which frames one denoiser call covers.
//!
//! A call sees `core + 2 context` frames and is right about the `core` in the middle: `context` is the reach of the network on each side,
//! from the manifest. Beyond the clip nothing is padded by a layer: there the mel is at the convention's floor and the state is zero at
//! every step, and every window at an edge, like a whole clip, is given `context` frames of it. So a sample's value does not depend on
//! the windows, and all windows of a synthesis have one shape.
//!
//! Step k reads what step k - 1 wrote, `context` frames further on each side. Its windows therefore trail: they become ready one after
//! another, and those that are ready at one moment do not depend on each other.

use super::VocoderError;
use crate::bundle::Context;

/// Most frames that one window may cover; bounds what one graph call allocates.
pub const MAX_WINDOW_FRAMES: usize = 16_384;

/// Longest window chosen when none is asked for: long enough that the context costs little, short enough for the caches.
const DEFAULT_CORE: usize = 128;

/// Most frames, over all steps, by which a synthesis without stagger may trail before memory matters.
const MAX_TRAIL: usize = 8192;

/// The shape of a synthesis's windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowPlan {
    /// Frames that a call is right about, and by which each step advances.
    pub core: usize,
    /// Frames on each side that a denoiser call sees beyond its core.
    pub context: usize,
    /// Frames on each side that a conditioner call sees beyond those it is right about.
    pub conditioner_context: usize,
    /// How many frames earlier than its predecessor's each step's windows begin. 0: fewest windows. `context`: each step can follow its
    /// predecessor at a distance of `context` frames, the least look-ahead there is; up to one more window a step.
    pub stagger: usize,
}

impl WindowPlan {
    /// Windows of exactly `core` frames.
    ///
    /// # Errors
    /// [`VocoderError::WindowLength`] unless `core` is 1 to [`MAX_WINDOW_FRAMES`].
    pub fn exact(core: usize, context: Context, steps: usize) -> Result<WindowPlan, VocoderError> {
        if !(1..=MAX_WINDOW_FRAMES).contains(&core) {
            return Err(VocoderError::WindowLength {
                found: core,
                limit: MAX_WINDOW_FRAMES,
            });
        }
        let stagger = if 2 * core * steps <= MAX_TRAIL {
            0
        } else {
            context.denoiser
        };
        Ok(WindowPlan {
            core,
            context: context.denoiser,
            conditioner_context: context.conditioner,
            stagger,
        })
    }

    /// Windows that share a clip of `frames` evenly.
    pub fn balanced(
        frames: usize,
        context: Context,
        steps: usize,
    ) -> Result<WindowPlan, VocoderError> {
        let frames = frames.max(1);
        let count = frames.div_ceil(DEFAULT_CORE);
        WindowPlan::exact(frames.div_ceil(count), context, steps)
    }

    /// Frames that a denoiser call covers.
    pub fn frames(&self) -> usize {
        self.core + 2 * self.context
    }

    /// Where the core of a step's first window begins: at the clip's start or, staggered, less than one core before it.
    pub(super) fn first_frame(&self, step: usize) -> i64 {
        -((step * self.stagger % self.core) as i64)
    }

    /// The earliest frame that any window of `steps` steps covers.
    pub(super) fn earliest_frame(&self, steps: usize) -> i64 {
        let first = (0..steps)
            .map(|step| self.first_frame(step))
            .min()
            .unwrap_or(0);
        first - self.context as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: Context = Context {
        denoiser: 8,
        conditioner: 6,
    };

    #[test]
    fn windows_share_a_clip_evenly() {
        let core = |frames| WindowPlan::balanced(frames, CONTEXT, 4).unwrap().core;
        assert_eq!(
            [core(1), core(128), core(129), core(861)],
            [1, 128, 65, 123]
        );
        assert_eq!(WindowPlan::balanced(100, CONTEXT, 4).unwrap().frames(), 116);
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
    fn many_steps_trail_closely() {
        assert_eq!(WindowPlan::exact(128, CONTEXT, 6).unwrap().stagger, 0);
        let plan = WindowPlan::exact(128, CONTEXT, 200).unwrap();
        assert_eq!(plan.stagger, 8);
        assert_eq!(
            [0, 1, 15, 16, 17].map(|step| plan.first_frame(step)),
            [0, -8, -120, 0, -8]
        );
        assert_eq!(plan.earliest_frame(200), -128);
        assert_eq!(plan.earliest_frame(2), -16);
    }
}
