//! The conditioner's answers that are still needed, frame by frame.

use crate::vocoder::networks::ConditionLayout;
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
    /// The rows of each condition.
    rows: Vec<Vec<f32>>,
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

    /// Keeps the conditions of the next `frames` frames, batch of 1, which lie behind `skip` others in each of `answers`.
    pub fn append(&mut self, frames: usize, skip: usize, answers: &[(ConditionLayout, Vec<f32>)]) {
        for low in (0..frames).step_by(CHUNK) {
            let high = (low + CHUNK).min(frames);
            let cut = |(layout, all): &(ConditionLayout, Vec<f32>)| {
                let row_length = all.len() / layout.stretches;
                let mut rows = Vec::with_capacity(layout.stretches * (high - low) * layout.width);
                let kept = (skip + low) * layout.width..(skip + high) * layout.width;
                for row in all.chunks_exact(row_length) {
                    rows.extend_from_slice(&row[kept.clone()]);
                }
                rows
            };
            self.chunks.push_back(Chunk {
                start: self.next + low as i64,
                frames: high - low,
                rows: answers.iter().map(cut).collect(),
            });
        }
        self.next += frames as i64;
    }

    /// Copies `frames` frames from `start` on to the beginning of each row of `out`, one batch item of a condition.
    pub fn read(&self, layout: ConditionLayout, start: i64, frames: usize, out: &mut [f32]) {
        let (end, width) = (start + frames as i64, layout.width);
        let row_length = out.len() / layout.stretches;
        for chunk in &self.chunks {
            let low = start.max(chunk.start);
            let high = end.min(chunk.start + chunk.frames as i64);
            if low >= high {
                continue;
            }
            let steps = |from: i64| (low - from) as usize * width..(high - from) as usize * width;
            let targets = out.chunks_exact_mut(row_length);
            let sources = chunk.rows[layout.index].chunks_exact(chunk.frames * width);
            for (target, source) in targets.zip(sources) {
                target[steps(start)].copy_from_slice(&source[steps(chunk.start)]);
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
    use ndarray::{Array2, Array3, ArrayD, Axis};

    const LAYOUT: ConditionLayout = ConditionLayout {
        index: 0,
        stretches: 2,
        width: 2,
    };

    /// A condition `[1, 2, frames * 2]` whose values tell their band and time step.
    fn answer(start: i64, frames: usize) -> ArrayD<f32> {
        Array3::from_shape_fn((1, 2, frames * 2), |(_, band, step)| {
            (band as i64 * 1000 + start * 2 + step as i64) as f32
        })
        .into_dyn()
    }

    fn values(start: i64, frames: usize) -> Vec<f32> {
        answer(start, frames).iter().copied().collect()
    }

    #[test]
    fn reading_joins_stretches() {
        let mut conditions = Conditions::new(-2);
        for frames in [9, 5, 40] {
            let (next, skip) = (conditions.end(), 3);
            conditions.append(frames, skip, &[(LAYOUT, values(next - 3, frames + 6))]);
        }
        assert_eq!(conditions.end(), 52);
        conditions.drop_before(6);
        for (start, frames) in [(5, 9), (0, 12), (20, 32)] {
            // With room for two frames more in each row.
            let mut out = Array2::from_elem((2, 2 * frames + 4), -1.0);
            conditions.read(LAYOUT, start, frames, out.as_slice_mut().unwrap());
            let expected = answer(start, frames);
            let (found, room) = out.view().split_at(Axis(1), 2 * frames);
            assert_eq!(found.into_dyn(), expected.index_axis(Axis(0), 0), "{start}");
            assert!(room.iter().all(|value| *value == -1.0));
        }
    }

    #[test]
    fn what_no_window_needs_is_forgotten() {
        let mut conditions = Conditions::new(0);
        conditions.append(64, 0, &[(LAYOUT, values(0, 64))]);
        conditions.drop_before(40);
        let held: usize = conditions.chunks.iter().map(|chunk| chunk.frames).sum();
        assert_eq!(held, 32);
    }
}
