//! The few sizes in which a GPU meets windows.
//!
//! A GPU provider tunes itself, or builds engines, for the shapes that it is given. So windows are padded there to one of these sizes: behind the
//! frames that a window is right about lie its own `context`, and what is put behind that reaches none of them.

use super::window::MAX_WINDOW_FRAMES;
use crate::runtime::{InputProfile, Profile};

/// Cores, in frames.
const CORES: [usize; 5] = [16, 32, 64, 128, 256];

/// The core that streams mostly have.
const USUAL_CORE: usize = 64;

/// The core of the windows of a whole clip where one session takes all of them, in frames.
const ALONE_CORE: usize = 128;

/// Windows of a whole clip that each of several sessions gets at least, where cores are not bounded by what follows.
const WINDOWS_EACH: usize = 4;

/// Their cores in contexts: shorter ones would compute much twice, longer ones leave sessions idle at the end.
const LEAST_CONTEXTS: usize = 10;
const MOST_CONTEXTS: usize = 24;

/// Their shortest core in frames, for networks of little context.
const LEAST_CORE: usize = 80;

/// Windows in one call.
const BATCHES: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

/// Planned sizes of one graph's calls, both lists ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::vocoder) struct Sizes {
    frames: Vec<usize>,
    usual: usize,
    batches: Vec<usize>,
}

impl Sizes {
    /// For windows that see `margin` frames beyond their cores, in all.
    pub fn of_windows(margin: usize) -> Sizes {
        Sizes {
            frames: CORES.map(|core| core + margin).to_vec(),
            usual: USUAL_CORE + margin,
            batches: BATCHES.to_vec(),
        }
    }

    /// The same, one at a time.
    pub fn alone(self) -> Sizes {
        Sizes {
            batches: vec![1],
            ..self
        }
    }

    /// Longest core that fits.
    pub const fn longest_core() -> usize {
        CORES[CORES.len() - 1]
    }

    /// Most windows in one call.
    pub const fn largest_batch() -> usize {
        BATCHES[BATCHES.len() - 1]
    }

    /// The size for a window of `frames`; itself where it is longer than all.
    pub fn frames(&self, frames: usize) -> usize {
        fitting(&self.frames, frames)
    }

    /// The size for `windows` windows.
    pub fn batch(&self, windows: usize) -> usize {
        fitting(&self.batches, windows)
    }

    /// All sizes, as windows and frames.
    pub fn all(&self) -> impl Iterator<Item = (usize, usize)> {
        let each = |&batch: &usize| self.frames.iter().map(move |&frames| (batch, frames));
        self.batches.iter().flat_map(each)
    }

    /// Least, usual and greatest windows and frames.
    fn corners(&self) -> [(usize, usize); 3] {
        let ends = |sizes: &[usize]| {
            let first = sizes.first().copied().unwrap_or(1);
            (first, sizes.last().copied().unwrap_or(first))
        };
        let ((few, many), (short, long)) = (ends(&self.batches), ends(&self.frames));
        [(few, short), (few, self.usual), (many, long)]
    }

    /// The shapes of the inputs that `shapes` gives for windows and frames.
    pub fn profile(&self, shapes: impl Fn(usize, usize) -> Vec<(String, Vec<usize>)>) -> Profile {
        let [least, usual, most] = self
            .corners()
            .map(|(windows, frames)| shapes(windows, frames));
        let corners = least.into_iter().zip(usual).zip(most);
        let input = |(((name, least), (_, usual)), (_, most))| InputProfile {
            name,
            least,
            usual,
            most,
        };
        Profile {
            inputs: corners.map(input).collect(),
        }
    }
}

/// How the windows of a model's streams are bounded.
#[derive(Clone, Copy, Debug)]
pub(in crate::vocoder) struct WindowBounds {
    /// Whether windows have planned sizes.
    pub planned: bool,
    /// Sessions that work side by side.
    pub sessions: usize,
}

impl WindowBounds {
    /// Longest core of a window.
    pub fn longest_core(&self) -> usize {
        if self.planned {
            Sizes::longest_core()
        } else {
            MAX_WINDOW_FRAMES
        }
    }

    /// Longest core of a window of a clip of `frames` when none is asked for. Alone, a session takes windows that are long enough that the
    /// context costs little and short enough for the caches. Several side by side get some windows each, so that none waits long at the
    /// beginning and at the end: of 10 to 24 times the context, longer in longer clips. On two sessions a minute of audio took 0.69 s
    /// with cores of 160 to 215 frames and 0.79 s with 80, 3 s of it the least with 80.
    pub fn usual_core(&self, frames: usize, context: usize) -> usize {
        if self.sessions == 1 {
            return ALONE_CORE;
        }
        let share = frames / (WINDOWS_EACH * self.sessions);
        let core = share.clamp(LEAST_CONTEXTS * context, MOST_CONTEXTS * context);
        core.clamp(LEAST_CORE, MAX_WINDOW_FRAMES)
    }
}

/// The least of `sizes` that holds `wanted`.
fn fitting(sizes: &[usize], wanted: usize) -> usize {
    let found = sizes.iter().find(|&&size| size >= wanted);
    found.copied().unwrap_or(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Context;
    use crate::vocoder::plan::window::{Chunks, WindowPlan};

    const CONTEXT: Context = Context {
        denoiser: 8,
        conditioner: 6,
    };

    #[test]
    fn a_window_takes_the_least_size_that_holds_it() {
        let sizes = Sizes::of_windows(16);
        assert_eq!(
            [1, 32, 33, 80, 81, 272].map(|frames| sizes.frames(frames)),
            [32, 32, 48, 80, 144, 272]
        );
        assert_eq!([1, 2, 3, 40, 64].map(|n| sizes.batch(n)), [1, 2, 4, 64, 64]);
        assert_eq!(sizes.all().count(), 35);
        assert_eq!(sizes.alone().all().count(), 5);
    }

    /// Every window of any stream and clip is of a planned size, whatever the chunks and the steps.
    #[test]
    fn no_window_is_unplanned() {
        let sizes = Sizes::of_windows(2 * CONTEXT.denoiser);
        let planned: Vec<usize> = sizes.all().map(|(_, frames)| frames).collect();
        let chunks = [
            Chunks::of_stream(None, None, 22),
            Chunks::of_stream(None, None, 70),
            Chunks {
                first: 1,
                longest: 1,
            },
            Chunks {
                first: 7,
                longest: 1024,
            },
        ];
        let plans = chunks.into_iter().flat_map(|chunks| {
            (1..=12).map(move |steps| WindowPlan::streaming(chunks, CONTEXT, steps).unwrap())
        });
        let clips = (1..600)
            .map(|frames| WindowPlan::balanced(frames, CONTEXT, 4, 80 + frames % 48).unwrap());
        for plan in plans.chain(clips) {
            let bounds = WindowBounds {
                planned: true,
                sessions: 1,
            };
            let plan = plan.at_most(bounds.longest_core());
            for core in plan.cores() {
                let padded = sizes.frames(core + 2 * plan.context);
                assert!(planned.contains(&padded), "{core} of {plan:?}");
            }
        }
    }

    #[test]
    fn the_profile_spans_all_sizes() {
        let sizes = Sizes::of_windows(16);
        let shapes = |windows: usize, frames: usize| {
            vec![
                ("x".to_owned(), vec![windows, frames * 256]),
                ("t".to_owned(), vec![windows]),
                ("cond".to_owned(), vec![windows, frames, 1536]),
            ]
        };
        let profile = sizes.profile(shapes);
        assert_eq!(
            profile.words(),
            [
                "x:1x8192,t:1,cond:1x32x1536",
                "x:1x20480,t:1,cond:1x80x1536",
                "x:64x69632,t:64,cond:64x272x1536"
            ]
        );
        for (windows, frames) in sizes.all() {
            for (input, (_, shape)) in profile.inputs.iter().zip(shapes(windows, frames)) {
                for (axis, size) in shape.into_iter().enumerate() {
                    assert!((input.least[axis]..=input.most[axis]).contains(&size));
                }
            }
        }
    }

    #[test]
    fn windows_of_a_clip_grow_with_it_between_their_bounds() {
        let core = |sessions, frames, context| {
            let bounds = WindowBounds {
                planned: false,
                sessions,
            };
            bounds.usual_core(frames, context)
        };
        assert_eq!(
            [3, 861, 51_679].map(|frames| core(2, frames, 8)),
            [80, 107, 192]
        );
        assert_eq!([344, 51_679].map(|frames| core(2, frames, 12)), [120, 288]);
        assert_eq!(
            [core(4, 861, 8), core(2, 100, 0), core(1, 861, 8)],
            [80, 80, 128]
        );
        assert_eq!(core(2, usize::MAX, 1024), MAX_WINDOW_FRAMES);
    }
}
