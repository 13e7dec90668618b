//! What the neighbours of a cell do not let expect of it.

use super::cells::{MARGIN, WIDTH};
use crate::dsp::mark::BANDS;

/// Columns of cells needed before and after those that are whitened: two for what is expected, two for what is usual.
pub(super) const EDGE: usize = 4;
const REACH: isize = 2;
/// Half of the neighbours within [`REACH`], as columns and bands; the others are opposite to them.
const NEIGHBOURS: [(isize, isize); 12] = [
    (0, 1),
    (0, 2),
    (1, -2),
    (1, -1),
    (1, 0),
    (1, 1),
    (1, 2),
    (2, -2),
    (2, -1),
    (2, 0),
    (2, 1),
    (2, 2),
];
/// Values are cut off at so many times what is usual around them.
const CLIP: f32 = 2.0;

/// The noncausal predictor of a cell from the two columns and the two bands on each side, by least squares: one weight for each pair of
/// opposite neighbours. What it leaves is, but for a factor, the matched filter's input for a white pattern in noise of this spectrum.
pub(super) struct Whitening {
    weights: [f32; NEIGHBOURS.len()],
}

impl Whitening {
    /// Learns from cells, `[columns, WIDTH]`.
    pub fn learn(cells: &[f32]) -> Whitening {
        let lags = Lags::of(cells);
        let mut system = [[0.0; NEIGHBOURS.len() + 1]; NEIGHBOURS.len()];
        let middle = lags.at(0, 0);
        for (row, a) in system.iter_mut().zip(NEIGHBOURS) {
            for (value, b) in row.iter_mut().zip(NEIGHBOURS) {
                *value = lags.at(a.0 - b.0, a.1 - b.1) + lags.at(a.0 + b.0, a.1 + b.1);
            }
            row[NEIGHBOURS.len()] = lags.at(a.0, a.1);
        }
        // A little noise keeps silence and pure tones solvable.
        for (n, row) in system.iter_mut().enumerate() {
            row[n] += 1e-3 * middle + 1e-9;
        }
        Whitening {
            weights: solve(system).map(|weight| weight as f32),
        }
    }

    /// Whitens cells `[columns + 2 EDGE, WIDTH]` to `[columns, BANDS]`.
    pub fn apply(&self, cells: &[f32], memory: &mut Memory, out: &mut Vec<f32>) {
        let rows = (cells.len() / WIDTH).saturating_sub(2 * EDGE);
        let inner = EDGE - REACH as usize;
        let left = &mut memory.left;
        left.clear();
        for row in 0..rows + 2 * inner {
            let at = |column: isize, band: isize| {
                let first =
                    (row as isize + REACH + column) * WIDTH as isize + MARGIN as isize + band;
                &cells[first as usize..][..BANDS]
            };
            let begin = left.len();
            left.extend_from_slice(at(0, 0));
            for (weight, (column, band)) in self.weights.iter().zip(NEIGHBOURS) {
                let pairs = at(column, band).iter().zip(at(-column, -band));
                for (value, (a, b)) in left[begin..].iter_mut().zip(pairs) {
                    *value -= weight * (a + b);
                }
            }
        }
        usual(left, &mut memory.across, &mut memory.usual);
        out.clear();
        out.extend(
            left[inner * BANDS..]
                .iter()
                .zip(&memory.usual)
                .map(|(value, usual)| (value / (usual + 1e-12).sqrt()).clamp(-CLIP, CLIP)),
        );
    }
}

/// Memory of [`Whitening::apply`].
#[derive(Default)]
pub(super) struct Memory {
    left: Vec<f32>,
    across: Vec<f32>,
    usual: Vec<f32>,
}

/// The mean of the squares over two columns and two bands on each side; without the two columns at either end.
fn usual(values: &[f32], across: &mut Vec<f32>, out: &mut Vec<f32>) {
    let reach = REACH as usize;
    across.clear();
    for row in values.chunks_exact(BANDS) {
        for band in 0..BANDS {
            let near = &row[band.saturating_sub(reach)..(band + reach + 1).min(BANDS)];
            across.push(near.iter().map(|v| v * v).sum::<f32>() / near.len() as f32);
        }
    }
    out.clear();
    let rows = across.len() / BANDS;
    for row in 0..rows.saturating_sub(2 * reach) {
        for band in 0..BANDS {
            let column = (row..row + 2 * reach + 1).map(|row| across[row * BANDS + band]);
            out.push(column.sum::<f32>() / (2 * reach + 1) as f32);
        }
    }
}

/// The autocovariance of cells.
struct Lags([[f64; 4 * REACH as usize + 1]; 2 * REACH as usize + 1]);

impl Lags {
    fn of(cells: &[f32]) -> Lags {
        let rows = cells.len() / WIDTH;
        let mean = cells.iter().map(|v| f64::from(*v)).sum::<f64>() / cells.len().max(1) as f64;
        let cells: Vec<f32> = cells.iter().map(|v| v - mean as f32).collect();
        let mut lags = Lags([[0.0; 4 * REACH as usize + 1]; 2 * REACH as usize + 1]);
        for (column, of_column) in lags.0.iter_mut().enumerate() {
            for (index, lag) in of_column.iter_mut().enumerate() {
                let band = index as isize - 2 * REACH;
                let mut count = 0;
                for row in 0..rows.saturating_sub(column) {
                    let (a, b) = (
                        &cells[row * WIDTH..][..WIDTH],
                        &cells[(row + column) * WIDTH..][..WIDTH],
                    );
                    let (a, b) = match usize::try_from(band) {
                        Ok(band) => (&a[..WIDTH - band], &b[band..]),
                        Err(_) => (&a[band.unsigned_abs()..], &b[..WIDTH - band.unsigned_abs()]),
                    };
                    count += a.len();
                    *lag += f64::from(a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>());
                }
                *lag /= count.max(1) as f64;
            }
        }
        lags
    }

    fn at(&self, column: isize, band: isize) -> f64 {
        let (column, band) = if column < 0 {
            (-column, -band)
        } else {
            (column, band)
        };
        self.0[column as usize][(band + 2 * REACH) as usize]
    }
}

/// Gaussian elimination with pivots; the last value of each row is the right side.
fn solve<const N: usize, const M: usize>(mut system: [[f64; M]; N]) -> [f64; N] {
    for column in 0..N {
        let pivot = (column..N).max_by(|a, b| {
            system[*a][column]
                .abs()
                .total_cmp(&system[*b][column].abs())
        });
        system.swap(column, pivot.unwrap_or(column));
        let top = system[column];
        if top[column] == 0.0 {
            continue;
        }
        for row in system.iter_mut().skip(column + 1) {
            let factor = row[column] / top[column];
            for (value, above) in row.iter_mut().zip(top).skip(column) {
                *value -= factor * above;
            }
        }
    }
    let mut solution = [0.0; N];
    for row in (0..N).rev() {
        let known: f64 = (row + 1..N).map(|n| system[row][n] * solution[n]).sum();
        let pivot = system[row][row];
        solution[row] = if pivot == 0.0 {
            0.0
        } else {
            (system[row][M - 1] - known) / pivot
        };
    }
    solution
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(count: usize) -> Vec<f32> {
        let mut state = 1u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn a_system_is_solved() {
        let solution = solve([[0.0, 2.0, 4.0], [3.0, 1.0, 5.0]]);
        assert!((solution[0] - 1.0).abs() < 1e-12 && (solution[1] - 2.0).abs() < 1e-12);
        assert_eq!(solve([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]), [0.0, 0.0]);
    }

    #[test]
    fn noise_without_structure_is_not_predicted() {
        let whitening = Whitening::learn(&noise(200 * WIDTH));
        assert!(
            whitening.weights.iter().all(|w| w.abs() < 0.03),
            "{:?}",
            whitening.weights
        );
    }

    #[test]
    fn what_changes_slowly_is_taken_away() {
        let rows = 100;
        let hidden = noise(rows * WIDTH);
        let slow = |n: usize| {
            5.0 * (((n / WIDTH) as f32) / 9.0).sin() + 3.0 * (((n % WIDTH) as f32) / 7.0).cos()
        };
        let cells: Vec<f32> = hidden
            .iter()
            .enumerate()
            .map(|(n, v)| v + slow(n))
            .collect();
        let mut found = Vec::new();
        Whitening::learn(&cells).apply(&cells, &mut Memory::default(), &mut found);
        assert_eq!(found.len(), (rows - 2 * EDGE) * BANDS);
        let (mut both, mut own, mut other) = (0.0, 0.0, 0.0);
        for (n, value) in found.iter().enumerate() {
            let hidden = hidden[(n / BANDS + EDGE) * WIDTH + n % BANDS + MARGIN];
            both += value * hidden;
            own += value * value;
            other += hidden * hidden;
        }
        let correlation = both / (own * other).sqrt();
        assert!(correlation > 0.9, "{correlation}");
    }

    #[test]
    fn silence_gives_numbers() {
        let cells = vec![-6.9; 20 * WIDTH];
        let mut found = Vec::new();
        Whitening::learn(&cells).apply(&cells, &mut Memory::default(), &mut found);
        assert!(found.iter().all(|v| v.is_finite()));
    }
}
