//! Overlap-add, and reading a window of samples that wait.

use std::collections::VecDeque;

/// The sum of blocks that follow each other at some distance.
pub(super) struct OverlapAdd {
    /// As long as a block.
    sum: Vec<f32>,
}

impl OverlapAdd {
    /// Zeros, for blocks of `length` samples.
    pub fn new(length: usize) -> OverlapAdd {
        OverlapAdd {
            sum: vec![0.0; length],
        }
    }

    /// Samples of a block.
    pub fn len(&self) -> usize {
        self.sum.len()
    }

    /// Adds a block.
    pub fn add(&mut self, block: &[f32]) {
        for (sum, x) in self.sum.iter_mut().zip(block) {
            *sum += x;
        }
    }

    /// Adds a block, each sample with a weight.
    pub fn add_weighted(&mut self, block: &[f32], weights: &[f32]) {
        for ((sum, x), weight) in self.sum.iter_mut().zip(block).zip(weights) {
            *sum += x * weight;
        }
    }

    /// The sum from the place of the next block on.
    pub fn samples(&self) -> &[f32] {
        &self.sum
    }

    /// Moves the place of the next block by up to a block's length.
    pub fn advance(&mut self, count: usize) {
        let count = count.min(self.sum.len());
        self.sum.copy_within(count.., 0);
        let kept = self.sum.len() - count;
        self.sum[kept..].fill(0.0);
    }
}

/// Writes what waits from place `from` on; zeros behind the last.
pub(super) fn read(waiting: &VecDeque<f32>, from: usize, out: &mut [f32]) {
    let (older, newer) = waiting.as_slices();
    let first = older.get(from..).unwrap_or_default();
    let second = newer
        .get(from.saturating_sub(older.len())..)
        .unwrap_or_default();
    let from_first = first.len().min(out.len());
    let from_second = second.len().min(out.len() - from_first);
    let (start, rest) = out.split_at_mut(from_first);
    let (middle, end) = rest.split_at_mut(from_second);
    start.copy_from_slice(&first[..from_first]);
    middle.copy_from_slice(&second[..from_second]);
    end.fill(0.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_add_up_where_they_overlap() {
        let mut sum = OverlapAdd::new(4);
        sum.add(&[1.0; 4]);
        sum.advance(2);
        sum.add_weighted(&[1.0; 4], &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(sum.samples(), [2.0, 3.0, 3.0, 4.0]);
        sum.advance(9);
        assert_eq!(sum.samples(), [0.0; 4]);
    }

    #[test]
    fn a_window_of_what_waits_is_read_from_anywhere() {
        let mut waiting: VecDeque<f32> = (0..8).map(|n| n as f32).collect();
        waiting.drain(..6);
        waiting.extend((8..13).map(|n| n as f32));
        for from in 0..10 {
            for length in 0..9 {
                let mut out = vec![-1.0; length];
                read(&waiting, from, &mut out);
                let there = waiting.iter().copied().chain(std::iter::repeat(0.0));
                let expected: Vec<f32> = there.skip(from).take(length).collect();
                assert_eq!(out, expected, "{from}, {length}");
            }
        }
    }
}
