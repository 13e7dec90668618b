//! What bins count in bands, and bands in bins: sparse matrices in blocks of eight.

use multiversion::multiversion;

use crate::mel::SparseRow;

/// Bins that are worked on at a time.
const LANES: usize = 8;

type Block = [f32; LANES];

/// The weights of bins in bands.
pub(super) struct BandSums {
    bands: Vec<Band>,
    weights: Vec<Block>,
}

/// One band's blocks.
struct Band {
    /// The bin of the first weight.
    bin: usize,
    blocks: usize,
}

impl BandSums {
    /// Of rows over `bins` bins.
    pub fn new(rows: &[SparseRow], bins: usize) -> BandSums {
        let mut weights = Vec::new();
        let mut band = |(first, row): &SparseRow| {
            let blocks = row.len().div_ceil(LANES);
            // Zeros before and after it fill the blocks up.
            let bin = (*first).min(bins - (blocks * LANES).min(bins));
            let mut padded = vec![0.0; blocks * LANES];
            padded[first - bin..][..row.len()].copy_from_slice(row);
            weights.extend_from_slice(padded.as_chunks().0);
            Band { bin, blocks }
        };
        BandSums {
            bands: rows.iter().map(&mut band).collect(),
            weights,
        }
    }

    /// Writes for each band the sum of its weights times the values of the bins.
    pub fn write(&self, bins: &[f32], sums: &mut [f32]) {
        weighted_sums(&self.bands, &self.weights, bins, sums);
    }
}

/// The shares of bands in bins.
pub(super) struct BandShares {
    /// For each eight bins how many bands have shares in them.
    counts: Vec<usize>,
    /// Those bands, with their shares.
    shares: Vec<(usize, Block)>,
}

impl BandShares {
    /// Of rows over `bins` bins, one a band.
    pub fn new(rows: &[SparseRow], bins: usize) -> BandShares {
        let (mut counts, mut shares) = (Vec::new(), Vec::new());
        for start in (0..bins).step_by(LANES) {
            let before = shares.len();
            for (band, (first, row)) in rows.iter().enumerate() {
                let share = |bin: usize| bin.checked_sub(*first).and_then(|n| row.get(n));
                let block: Block =
                    std::array::from_fn(|lane| share(start + lane).copied().unwrap_or(0.0));
                if block.iter().any(|share| *share != 0.0) {
                    shares.push((band, block));
                }
            }
            counts.push(shares.len() - before);
        }
        BandShares { counts, shares }
    }

    /// Adds to each bin the values of the bands times their shares in it.
    pub fn add(&self, values: &[f32], bins: &mut [f32]) {
        add_shares(&self.counts, &self.shares, values, bins);
    }
}

#[multiversion(targets = "simd")]
fn weighted_sums(bands: &[Band], mut weights: &[Block], bins: &[f32], sums: &mut [f32]) {
    for (sum, band) in sums.iter_mut().zip(bands) {
        let (own, others) = weights.split_at(band.blocks);
        weights = others;
        let (bins, rest) = bins[band.bin..].as_chunks::<LANES>();
        let whole = own.len().min(bins.len());
        let mut lanes = [0.0; LANES];
        for block in 0..whole {
            lanes = plus(lanes, own[block], bins[block]);
        }
        if let Some(last) = own.get(whole) {
            let mut bins = [0.0; LANES];
            bins[..rest.len()].copy_from_slice(rest);
            lanes = plus(lanes, *last, bins);
        }
        let [a, b, c, d, e, f, g, h] = lanes;
        *sum = ((a + e) + (c + g)) + ((b + f) + (d + h));
    }
}

#[multiversion(targets = "simd")]
fn add_shares(counts: &[usize], mut shares: &[(usize, Block)], values: &[f32], bins: &mut [f32]) {
    for (bins, count) in bins.chunks_mut(LANES).zip(counts) {
        let (own, others) = shares.split_at(*count);
        shares = others;
        let mut sums = [0.0; LANES];
        sums[..bins.len()].copy_from_slice(bins);
        for (band, shares) in own {
            sums = plus(sums, *shares, [values[*band]; LANES]);
        }
        bins.copy_from_slice(&sums[..bins.len()]);
    }
}

/// `sum + a * b`, number by number.
#[inline(always)]
fn plus(mut sum: Block, a: Block, b: Block) -> Block {
    // No closure: in a function for one processor of several it would not be inlined.
    for lane in 0..LANES {
        sum[lane] += a[lane] * b[lane];
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn they_are_those_of_the_rows(
            rows in prop::collection::vec((0usize..40, 1usize..40), 1..6),
            spare in 0usize..9,
        ) {
            let weight = |band: usize, n: usize| ((band * 5 + n * 3) % 7) as f32 - 2.0;
            let rows = rows.into_iter().enumerate().map(|(band, (first, length))| {
                (first, (0..length).map(|n| weight(band, n)).collect())
            });
            let rows: Vec<SparseRow> = rows.collect();
            let ends = rows.iter().map(|(first, row)| first + row.len());
            let bins = ends.max().unwrap() + spare;

            let values: Vec<f32> = (0..bins).map(|n| (n % 5) as f32 - 1.0).collect();
            let mut sums = vec![9.0; rows.len()];
            BandSums::new(&rows, bins).write(&values, &mut sums);
            let mut shared = vec![1.0; bins];
            BandShares::new(&rows, bins).add(&sums, &mut shared);

            let mut expected = vec![1.0; bins];
            for ((first, row), found) in rows.iter().zip(&sums) {
                let products = row.iter().zip(&values[*first..]).map(|(w, v)| w * v);
                prop_assert_eq!(*found, products.sum::<f32>());
                for (bin, weight) in expected[*first..].iter_mut().zip(row) {
                    *bin += weight * found;
                }
            }
            prop_assert_eq!(shared, expected);
        }
    }
}
