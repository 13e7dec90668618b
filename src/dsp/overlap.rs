//! Overlap-add.

use super::vector;

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
        vector::add_products(&mut self.sum, block, weights);
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
}
