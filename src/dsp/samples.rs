//! Samples that wait.

use std::collections::VecDeque;

/// Samples from some place on; zero before and after.
#[derive(Debug, Default)]
pub(crate) struct SampleQueue {
    start: i64,
    samples: VecDeque<f32>,
}

impl SampleQueue {
    pub fn append(&mut self, samples: &[f32]) {
        self.samples.extend(samples);
    }

    /// Place of the first sample held.
    pub fn start(&self) -> i64 {
        self.start
    }

    /// Place behind the last sample held.
    pub fn end(&self) -> i64 {
        self.start + self.samples.len() as i64
    }

    /// Writes samples `from ..`, zero where there are none.
    pub fn read(&self, from: i64, out: &mut [f32]) {
        let length = out.len() as i64;
        let before = (self.start - from).clamp(0, length) as usize;
        let (outside, inside) = out.split_at_mut(before);
        outside.fill(0.0);
        let skipped = (from - self.start).max(0) as usize;
        let (older, newer) = self.samples.as_slices();
        let first = older.get(skipped..).unwrap_or_default();
        let second = newer.get(skipped.saturating_sub(older.len())..);
        let second = second.unwrap_or_default();
        let (start, rest) = inside.split_at_mut(first.len().min(inside.len()));
        let (middle, end) = rest.split_at_mut(second.len().min(rest.len()));
        start.copy_from_slice(&first[..start.len()]);
        middle.copy_from_slice(&second[..middle.len()]);
        end.fill(0.0);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_zero_outside() {
        let mut queue = SampleQueue::default();
        queue.append(&[1.0, 2.0, 3.0, 4.0]);
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
    fn a_window_of_what_waits_is_read_from_anywhere() {
        let mut queue = SampleQueue::default();
        queue.append(&std::array::from_fn::<_, 8, _>(|n| n as f32));
        queue.drop_before(6);
        queue.append(&std::array::from_fn::<_, 5, _>(|n| (n + 8) as f32));
        assert_eq!((queue.start(), queue.end()), (6, 13));
        for from in -3..16 {
            for length in 0..18 {
                let mut out = vec![-1.0; length];
                queue.read(from, &mut out);
                let sample = |n: i64| if (6..13).contains(&n) { n as f32 } else { 0.0 };
                let expected: Vec<f32> = (from..).map(sample).take(length).collect();
                assert_eq!(out, expected, "{from}, {length}");
            }
        }
    }
}
