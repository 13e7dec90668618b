//! The stretch of a mel that is still needed.

use crate::dsp::FrameQueue;
use ndarray::{Array3, ArrayView2, s};

/// Mel frames from some place on; the convention's floor before and after.
#[derive(Debug)]
pub(super) struct MelQueue {
    floor: f32,
    bands: usize,
    start: usize,
    frames: FrameQueue,
}

impl MelQueue {
    pub fn new(bands: usize, floor: f32) -> MelQueue {
        MelQueue {
            floor,
            bands,
            start: 0,
            frames: FrameQueue::new(bands),
        }
    }

    /// Takes frames `[bands, any]`.
    pub fn append(&mut self, mel: ArrayView2<'_, f32>) {
        for frame in mel.columns() {
            self.frames.push(frame.iter().copied());
        }
    }

    /// Frames held.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Frames seen so far, forgotten ones among them.
    pub fn end(&self) -> usize {
        self.start + self.frames.len()
    }

    /// Frames `from .. from + count` as `[1, bands, count]`.
    pub fn window(&self, from: i64, count: usize) -> Array3<f32> {
        let mut window = Array3::from_elem((1, self.bands, count), self.floor);
        for column in 0..count {
            let index = from + column as i64 - self.start as i64;
            if let Some(frame) = usize::try_from(index)
                .ok()
                .and_then(|index| self.frames.get(index))
            {
                window
                    .slice_mut(s![0, .., column])
                    .iter_mut()
                    .zip(frame)
                    .for_each(|(out, value)| *out = value);
            }
        }
        window
    }

    /// Forgets what lies before `frame`.
    pub fn drop_before(&mut self, frame: i64) {
        let count = usize::try_from(frame)
            .unwrap_or(0)
            .saturating_sub(self.start)
            .min(self.frames.len());
        self.frames.forget(count);
        self.start += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn mels_are_at_the_floor_outside() {
        let mut queue = MelQueue::new(2, -11.0);
        queue.append(array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]].view());
        queue.drop_before(-3);
        queue.drop_before(1);
        assert_eq!(queue.end(), 3);
        assert_eq!(
            queue.window(0, 4),
            array![[[-11.0, 2.0, 3.0, -11.0], [-11.0, 5.0, 6.0, -11.0]]]
        );
    }
}
