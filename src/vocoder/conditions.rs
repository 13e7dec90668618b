//! The conditioner's answers that are still needed, frame by frame.

use super::interface::Layout;
use ndarray::{ArrayD, ArrayViewMutD, Axis, Slice};
use std::collections::VecDeque;

/// Most frames of a chunk. They are what a stream holds most of: about 6 KB a frame in the built-in model.
const CHUNK: usize = 16;

/// Conditions of consecutive stretches of frames.
#[derive(Debug)]
pub(super) struct Conditions {
    /// First frame not conditioned yet.
    next: i64,
    chunks: VecDeque<Chunk>,
}

/// A stretch of one call's answer.
#[derive(Debug)]
struct Chunk {
    start: i64,
    frames: usize,
    /// One array a condition, batch of 1.
    arrays: Vec<ArrayD<f32>>,
}

impl Conditions {
    /// The first window reads the frames from `start` on.
    pub fn new(start: i64) -> Conditions {
        Conditions {
            next: start,
            chunks: VecDeque::new(),
        }
    }

    /// First frame not conditioned yet.
    pub fn end(&self) -> i64 {
        self.next
    }

    /// Keeps the conditions of the next `frames` frames, batch of 1, which lie behind `skip` others in each of `arrays`.
    pub fn append(&mut self, frames: usize, skip: usize, arrays: &[(Layout, ArrayD<f32>)]) {
        for low in (0..frames).step_by(CHUNK) {
            let high = (low + CHUNK).min(frames);
            let cut = |(layout, array): &(Layout, ArrayD<f32>)| {
                let steps = Slice::from((skip + low) * layout.rate..(skip + high) * layout.rate);
                array.slice_axis(Axis(layout.time_axis), steps).to_owned()
            };
            self.chunks.push_back(Chunk {
                start: self.next + low as i64,
                frames: high - low,
                arrays: arrays.iter().map(cut).collect(),
            });
        }
        self.next += frames as i64;
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
    use ndarray::{Array3, ArrayD};

    /// A condition `[1, 2, frames * 2]` whose values tell their band and time step.
    fn answer(start: i64, frames: usize) -> ArrayD<f32> {
        Array3::from_shape_fn((1, 2, frames * 2), |(_, band, step)| {
            (band as i64 * 1000 + start * 2 + step as i64) as f32
        })
        .into_dyn()
    }

    #[test]
    fn reading_joins_stretches() {
        let layout = Layout {
            index: 0,
            time_axis: 2,
            rate: 2,
        };
        let mut conditions = Conditions::new(-2);
        for frames in [9, 5, 40] {
            let (next, skip) = (conditions.end(), 3);
            conditions.append(frames, skip, &[(layout, answer(next - 3, frames + 6))]);
        }
        assert_eq!(conditions.end(), 52);
        conditions.drop_before(6);
        for (start, frames) in [(5, 9), (0, 12), (20, 32)] {
            let mut out = ArrayD::from_elem(vec![2, 2 * frames], f32::NAN);
            conditions.read(layout, start, out.view_mut());
            let expected = answer(start, frames);
            assert_eq!(out, expected.index_axis(Axis(0), 0), "{start}");
        }
    }

    #[test]
    fn what_no_window_needs_is_forgotten() {
        let layout = Layout {
            index: 0,
            time_axis: 2,
            rate: 2,
        };
        let mut conditions = Conditions::new(0);
        conditions.append(64, 0, &[(layout, answer(0, 64))]);
        conditions.drop_before(40);
        let held: usize = conditions.chunks.iter().map(|chunk| chunk.frames).sum();
        assert_eq!(held, 32);
    }
}
