//! The schedules of one length as points of a space without bounds, and back.

use crate::diffusion::{Grid, Process};

/// Exponents of the grid of flow times: t = (k / steps) ^ exponent.
const WARPS: [f64; 5] = [0.5, 0.7, 1.0, 1.4, 2.0];
/// First and last betas of the grid of fast DDPM schedules, between which the others lie evenly by their logarithm.
const FIRST_BETAS: [f64; 3] = [1e-5, 1e-4, 1e-3];
const LAST_BETAS: [f64; 5] = [0.1, 0.2, 0.3, 0.5, 0.7];
/// Times are rounded to this many parts, betas to this many digits: what is tried is what is written.
const TIME_PARTS: f64 = 1e4;
const BETA_DIGITS: i32 = 4;

/// The schedules of `steps` steps under one process: the logarithms of the gaps between flow times, or of DDPM betas.
pub(super) struct Shape<'a> {
    process: &'a Process,
    steps: usize,
}

impl Shape<'_> {
    pub fn new(process: &Process, steps: usize) -> Shape<'_> {
        Shape { process, steps }
    }

    /// Where to begin: a small grid, and `from` where it is such a schedule.
    pub fn starts(&self, from: &Grid) -> Vec<Vec<f64>> {
        let mut starts: Vec<_> = self.point(from).into_iter().collect();
        match self.process {
            // With one step there is one schedule.
            Process::Flow if self.steps < 2 => starts.truncate(0),
            Process::Flow => starts.extend(WARPS.iter().map(|&warp| self.warped(warp))),
            Process::Ddpm { .. } => {
                for first in FIRST_BETAS {
                    starts.extend(LAST_BETAS.iter().map(|&last| self.geometric(first, last)));
                }
            }
        }
        starts
    }

    /// The schedule at a point.
    pub fn grid(&self, point: &[f64]) -> Grid {
        let values = point.iter().map(|log| log.exp());
        match self.process {
            Process::Flow => {
                let total: f64 = values.clone().sum();
                let ends = values.scan(0.0, |sum, gap| {
                    let start = *sum;
                    *sum += gap / total;
                    Some((start * TIME_PARTS).round() / TIME_PARTS)
                });
                Grid::Times(ends.collect())
            }
            Process::Ddpm { .. } => Grid::Betas(values.map(rounded).collect()),
        }
    }

    /// The point of a schedule; `None` for one of another kind.
    fn point(&self, grid: &Grid) -> Option<Vec<f64>> {
        match (self.process, grid) {
            (Process::Flow, Grid::Times(times)) => Some(gaps(times)),
            (Process::Ddpm { .. }, Grid::Betas(betas)) => {
                Some(betas.iter().map(|beta| beta.ln()).collect())
            }
            _ => None,
        }
    }

    fn warped(&self, exponent: f64) -> Vec<f64> {
        let time = |k: usize| (k as f64 / self.steps as f64).powf(exponent);
        gaps(&(0..self.steps).map(time).collect::<Vec<_>>())
    }

    fn geometric(&self, first: f64, last: f64) -> Vec<f64> {
        let (low, high) = (first.ln(), last.ln());
        let part = |k: usize| match self.steps {
            1 => 1.0,
            steps => k as f64 / (steps - 1) as f64,
        };
        (0..self.steps)
            .map(|k| low + part(k) * (high - low))
            .collect()
    }
}

/// Logarithms of the distances from each time to the next, the last of them to 1.
fn gaps(times: &[f64]) -> Vec<f64> {
    let next = times[1..].iter().chain([&1.0]);
    times.iter().zip(next).map(|(a, b)| (b - a).ln()).collect()
}

fn rounded(value: f64) -> f64 {
    let digits = BETA_DIGITS - 1 - value.log10().floor() as i32;
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::linear_betas;

    fn ddpm() -> Process {
        Process::Ddpm {
            betas: linear_betas(1e-4, 0.05, 50),
        }
    }

    #[test]
    fn times_come_back_from_their_point_and_begin_at_0() {
        let shape = Shape::new(&Process::Flow, 3);
        let times = Grid::Times(vec![0.0, 0.21, 0.655]);
        assert_eq!(shape.grid(&shape.point(&times).unwrap()), times);
        assert_eq!(shape.point(&Grid::Uniform(3)), None);
        // Any point is a schedule.
        assert_eq!(
            shape.grid(&[7.0, 7.0, 7.0]),
            Grid::Times(vec![0.0, 0.3333, 0.6667])
        );
    }

    #[test]
    fn betas_come_back_from_their_point() {
        let process = ddpm();
        let shape = Shape::new(&process, 6);
        let betas = Grid::Betas(vec![1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5]);
        assert_eq!(shape.grid(&shape.point(&betas).unwrap()), betas);
        assert_eq!(rounded(0.123_456), 0.1235);
        assert_eq!(rounded(1.234_56e-5), 1.235e-5);
    }

    #[test]
    fn the_grid_holds_the_even_schedule_and_the_one_to_begin_from() {
        let shape = Shape::new(&Process::Flow, 4);
        let from = Grid::Times(vec![0.0, 0.1, 0.2, 0.3]);
        let grids: Vec<Grid> = shape.starts(&from).iter().map(|p| shape.grid(p)).collect();
        assert_eq!(grids.len(), 6);
        assert_eq!(grids[0], from);
        assert!(grids.contains(&Grid::Times(vec![0.0, 0.25, 0.5, 0.75])));
        assert!(
            Shape::new(&Process::Flow, 1)
                .starts(&Grid::Uniform(1))
                .is_empty()
        );
        let process = ddpm();
        let one = Shape::new(&process, 1);
        let grids: Vec<Grid> = one
            .starts(&Grid::Full)
            .iter()
            .map(|p| one.grid(p))
            .collect();
        assert!(grids.contains(&Grid::Betas(vec![0.5])));
    }
}
