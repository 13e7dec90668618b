//! Stretches of a signal and of a mel that are still needed.

use crate::dsp::FrameQueue;
use ndarray::{Array3, ArrayView2, s};

/// Samples from some place on; zero before and after.
#[derive(Debug, Default)]
pub(super) struct SampleQueue {
    start: i64,
    samples: Vec<f32>,
}

impl SampleQueue {
    pub fn append(&mut self, samples: impl Iterator<Item = f32>) {
        self.samples.extend(samples);
    }

    /// Writes samples `from ..`, zero where there are none.
    pub fn read(&self, from: i64, out: &mut [f32]) {
        out.fill(0.0);
        let end = self.start + self.samples.len() as i64;
        let (low, high) = (from.max(self.start), (from + out.len() as i64).min(end));
        if low < high {
            let source = &self.samples[(low - self.start) as usize..(high - self.start) as usize];
            out[(low - from) as usize..(high - from) as usize].copy_from_slice(source);
        }
    }

    /// Forgets what lies before `sample`.
    pub fn drop_before(&mut self, sample: i64) {
        let count = (sample - self.start).clamp(0, self.samples.len() as i64);
        self.samples.drain(..count as usize);
        self.start += count;
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.samples.len()
    }
}

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
    fn samples_are_zero_outside() {
        let mut queue = SampleQueue::default();
        queue.append([1.0, 2.0, 3.0, 4.0].into_iter());
        queue.drop_before(-5);
        queue.drop_before(1);
        let read = |from: i64| {
            let mut out = [9.0; 3];
            queue.read(from, &mut out);
            out
        };
        assert_eq!(
            [read(-1), read(0), read(1), read(3), read(9)].concat(),
            [0., 0., 2., 0., 2., 3., 2., 3., 4., 4., 0., 0., 0., 0., 0.]
        );
        assert_eq!(queue.len(), 3);
    }

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
