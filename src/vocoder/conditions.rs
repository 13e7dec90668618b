//! The conditioner's answers that are still needed, frame by frame.

use super::WindowPlan;
use ndarray::{ArrayD, ArrayViewMutD, Axis, Slice};
use std::collections::VecDeque;

/// Conditions of consecutive stretches of frames.
#[derive(Debug)]
pub(super) struct Conditions {
    windows: WindowPlan,
    /// First frame not conditioned yet.
    next: i64,
    chunks: VecDeque<Chunk>,
}

/// One call's answer without its context.
#[derive(Debug)]
struct Chunk {
    start: i64,
    frames: usize,
    /// One array a condition, batch of 1.
    arrays: Vec<ArrayD<f32>>,
}

/// Frames to be conditioned by the next call; the call sees the conditioner's context on each side of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub start: i64,
    pub frames: usize,
}

/// How one condition lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The condition's place among the conditioner's outputs.
    pub index: usize,
    /// Its time axis.
    pub time_axis: usize,
    /// Its time steps in a frame.
    pub rate: usize,
}

impl Conditions {
    pub fn new(windows: WindowPlan, steps: usize) -> Conditions {
        Conditions {
            windows,
            next: windows.earliest_frame(steps),
            chunks: VecDeque::new(),
        }
    }

    /// What the next call covers: all that the first window reads at first, then one core after another.
    pub fn next(&self) -> Stretch {
        let first_end = (self.windows.core + self.windows.context) as i64;
        let frames = if self.next < first_end {
            (first_end - self.next) as usize
        } else {
            self.windows.core
        };
        Stretch {
            start: self.next,
            frames,
        }
    }

    /// First frame not conditioned yet.
    pub fn end(&self) -> i64 {
        self.next
    }

    /// The frame before which everything can be conditioned once `mel_frames` frames of the mel are known.
    pub fn reach(&self, mel_frames: usize) -> i64 {
        let known = mel_frames as i64 - self.windows.conditioner_context as i64;
        let Stretch { start, frames } = self.next();
        let first = start + frames as i64;
        if known < first {
            return start;
        }
        known - (known - first) % self.windows.core as i64
    }

    /// Keeps the answer to [`Conditions::next`], batch of 1, without its context.
    pub fn append(&mut self, arrays: Vec<ArrayD<f32>>) {
        let Stretch { start, frames } = self.next();
        self.next = start + frames as i64;
        self.chunks.push_back(Chunk {
            start,
            frames,
            arrays,
        });
    }

    /// Copies the frames from `start` on into one batch item of a condition, `out` without the batch axis.
    pub fn read(&self, layout: Layout, start: i64, mut out: ArrayViewMutD<'_, f32>) {
        let axis = Axis(layout.time_axis - 1);
        let end = start + (out.len_of(axis) / layout.rate) as i64;
        for chunk in &self.chunks {
            let (low, high) = (
                start.max(chunk.start),
                end.min(chunk.start + chunk.frames as i64),
            );
            if low < high {
                let steps = |from: i64| {
                    Slice::from(
                        (low - from) as usize * layout.rate..(high - from) as usize * layout.rate,
                    )
                };
                let source = chunk.arrays[layout.index].index_axis(Axis(0), 0);
                out.slice_axis_mut(axis, steps(start))
                    .assign(&source.slice_axis(axis, steps(chunk.start)));
            }
        }
    }

    /// Forgets stretches that lie wholly before `frame`.
    pub fn drop_before(&mut self, frame: i64) {
        while self
            .chunks
            .front()
            .is_some_and(|chunk| chunk.start + chunk.frames as i64 <= frame)
        {
            self.chunks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Context;
    use ndarray::{Array3, ArrayD};

    fn windows() -> WindowPlan {
        WindowPlan::exact(
            5,
            Context {
                denoiser: 2,
                conditioner: 3,
            },
            2,
        )
        .unwrap()
    }

    /// A condition `[1, 2, frames * 2]` whose values tell their band and time step.
    fn answer(stretch: Stretch) -> ArrayD<f32> {
        Array3::from_shape_fn((1, 2, stretch.frames * 2), |(_, band, step)| {
            (band as i64 * 1000 + stretch.start * 2 + step as i64) as f32
        })
        .into_dyn()
    }

    #[test]
    fn stretches_follow_the_windows() {
        let mut conditions = Conditions::new(windows(), 2);
        assert_eq!(
            conditions.next(),
            Stretch {
                start: -2,
                frames: 9
            }
        );
        assert_eq!(
            [9, 10, 14, 15, 21].map(|mel| conditions.reach(mel)),
            [-2, 7, 7, 12, 17]
        );
        conditions.append(vec![answer(conditions.next())]);
        assert_eq!(
            conditions.next(),
            Stretch {
                start: 7,
                frames: 5
            }
        );
        assert_eq!(
            [10, 14, 15, 21].map(|mel| conditions.reach(mel)),
            [7, 7, 12, 17]
        );
    }

    #[test]
    fn reading_joins_stretches() {
        let mut conditions = Conditions::new(windows(), 2);
        for _ in 0..3 {
            conditions.append(vec![answer(conditions.next())]);
        }
        conditions.drop_before(6);
        let layout = Layout {
            index: 0,
            time_axis: 2,
            rate: 2,
        };
        let mut out = ArrayD::from_elem(vec![2, 18], f32::NAN);
        conditions.read(layout, 5, out.view_mut());
        let expected = answer(Stretch {
            start: 5,
            frames: 9,
        });
        assert_eq!(out, expected.index_axis(Axis(0), 0));
        conditions.drop_before(7);
        assert_eq!(conditions.chunks.len(), 2);
    }
}
