//! A batch cut so that several sessions can work on it at once.

use std::ops::Range;

/// Some frames of some windows of a batch: what one run of the graph is given, and what of its answer is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::vocoder) struct Part {
    /// The windows' places in the batch.
    pub windows: Range<usize>,
    /// The frames that a run is given, counted from a window's first.
    pub frames: Range<usize>,
    /// Those of them of which its answer is kept.
    pub kept: Range<usize>,
}

impl Part {
    /// All frames of some windows.
    pub fn whole(windows: Range<usize>, frames: usize) -> Part {
        Part {
            windows,
            frames: 0..frames,
            kept: 0..frames,
        }
    }

    /// One window in `parts`, each with `context` frames of the others on either side; in fewer where they would be mostly that. What lies in
    /// the window's own context is kept of none: it is not right.
    fn of_window(window: usize, frames: usize, context: usize, parts: usize) -> Vec<Part> {
        let core = frames.saturating_sub(2 * context);
        let parts = parts.min(core / context.max(1));
        let windows = window..window + 1;
        if parts < 2 {
            return vec![Part::whole(windows, frames)];
        }
        let cut = |index: usize| context + core * index / parts;
        let part = |index: usize| Part {
            windows: windows.clone(),
            frames: cut(index) - context..cut(index + 1) + context,
            kept: cut(index)..cut(index + 1),
        };
        (0..parts).map(part).collect()
    }

    /// The parts of a batch for so many sessions: windows that would keep some of the sessions waiting are shared by them.
    pub fn of_batch(windows: usize, frames: usize, context: usize, sessions: usize) -> Vec<Part> {
        let left = windows % sessions.max(1);
        let whole = (0..windows - left).map(|window| Part::whole(window..window + 1, frames));
        let shared = (windows - left..windows)
            .flat_map(|window| Part::of_window(window, frames, context, sessions.max(1) / left));
        whole.chain(shared).collect()
    }

    /// The samples of the kept frames in the answer of the run.
    pub fn source(&self, hop: usize) -> Range<usize> {
        (self.kept.start - self.frames.start) * hop..(self.kept.end - self.frames.start) * hop
    }

    /// The same samples in the window.
    pub fn target(&self, hop: usize) -> Range<usize> {
        self.kept.start * hop..self.kept.end * hop
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn windows_left_over_are_shared() {
        let of = |windows, sessions| Part::of_batch(windows, 80, 8, sessions);
        let whole = |window, frames| Part::whole(window..window + 1, frames);
        assert_eq!(of(2, 2), [whole(0, 80), whole(1, 80)]);
        assert_eq!(of(1, 1), [whole(0, 80)]);
        let half = |window, frames, kept| Part {
            windows: window..window + 1,
            frames,
            kept,
        };
        let halves = [half(2, 0..48, 8..40), half(2, 32..80, 40..72)];
        assert_eq!(of(3, 2)[2..], halves);
        assert_eq!(of(3, 4).len(), 3);
        assert_eq!(of(2, 4).len(), 4);
        assert_eq!(Part::of_batch(1, 20, 8, 2), [whole(0, 20)]);
    }

    proptest! {
        #[test]
        fn every_frame_of_the_core_is_kept_once(windows in 0usize..9, core in 1usize..200, context in 0usize..20, sessions in 1usize..6) {
            let frames = core + 2 * context;
            let parts = Part::of_batch(windows, frames, context, sessions);
            let mut kept = vec![0; windows * frames];
            for part in &parts {
                for frame in part.kept.clone() {
                    kept[part.windows.start * frames + frame] += 1;
                }
                let whole = part.frames == (0..frames);
                prop_assert!(whole || part.kept.start - part.frames.start == context);
                prop_assert!(whole || part.frames.end - part.kept.end == context);
            }
            for window in kept.chunks(frames) {
                prop_assert!(window[context..context + core].iter().all(|&n| n == 1));
            }
        }
    }
}
