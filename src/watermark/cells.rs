//! A spectrogram whose sums over any rectangle are cheap, and the watermark's cells in it.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use crate::dsp::ln;
use crate::dsp::mark::{BAND_HZ, BANDS, COLUMN_SECONDS, LOWEST_HZ};
use crate::stft::hann;

/// Rate of the audio that is looked at.
pub(super) const RATE: u32 = 22_050;
const N_FFT: usize = 1024;
const HOP: usize = 128;
/// Bands beyond the watermark's on each side, which tell what to expect of it.
pub(super) const MARGIN: usize = 2;
/// Bands of a row of cells.
pub(super) const WIDTH: usize = BANDS + 2 * MARGIN;
/// Fastest speed whose cells are still inside.
const FASTEST: f64 = 1.04;
/// Keeps the logarithm of silence finite: 120 dB below full scale.
const FLOOR: f32 = 1e-3;

/// Sums of the square roots of magnitudes over all earlier frames and all lower bins.
pub(super) struct Spectrogram {
    /// `[frames + 1, bins + 1]`, in double precision as they grow while their differences do not.
    sums: Vec<f64>,
    frames: usize,
    bins: usize,
    /// The first bin.
    first: usize,
}

impl Spectrogram {
    /// Of audio at [`RATE`], each sample times `scale`. Frame `k` is centred on sample `128 k`.
    pub fn new(samples: &[f32], scale: f32) -> Spectrogram {
        let bin_hz = f64::from(RATE) / N_FFT as f64;
        let margin = MARGIN as f64 * BAND_HZ;
        let first = ((LOWEST_HZ - margin) / FASTEST / bin_hz) as usize;
        let top = LOWEST_HZ + BANDS as f64 * BAND_HZ + margin;
        let bins = ((top * FASTEST / bin_hz) as usize + 2).min(N_FFT / 2) - first;
        // Silence, where there is nothing.
        let frames = samples.len().div_ceil(HOP).max(1);
        let mut sums = vec![0.0; (frames + 1) * (bins + 1)];
        let mut transform = Transform::new(scale);
        for frame in 0..frames {
            let spectrum = transform.at(samples, (frame * HOP) as i64 - N_FFT as i64 / 2);
            let (before, now) = sums.split_at_mut((frame + 1) * (bins + 1));
            let before = &before[frame * (bins + 1)..];
            let mut row = 0.0;
            for (bin, value) in spectrum[first..first + bins].iter().enumerate() {
                row += f64::from(value.norm_sqr().sqrt().sqrt());
                now[bin + 1] = before[bin + 1] + row;
            }
        }
        Spectrogram {
            sums,
            frames,
            bins,
            first,
        }
    }

    /// Writes the logarithms of the mean of `count` columns of cells, `[count, WIDTH]`, the first of which begins at sample `start`, of a
    /// watermark played at `speed`. Columns beyond the ends are those at the ends.
    pub fn cells(&self, start: f64, count: usize, speed: f64, out: &mut Vec<f32>) {
        let column = COLUMN_SECONDS * f64::from(RATE) / speed;
        // A frame stands for the half hops about its centre.
        let frame = |column_index: f64| (start + column_index * column) / HOP as f64 + 0.5;
        let edges = self.edges(speed);
        let (mut lower, mut upper) = ([0.0; WIDTH + 1], [0.0; WIDTH + 1]);
        out.clear();
        for index in 0..count {
            let most = (self.frames as f64 - column / HOP as f64).max(0.0);
            let from = frame(index as f64).clamp(0.0, most);
            let to = (from + column / HOP as f64).min(self.frames as f64);
            self.at(from, &edges, &mut lower);
            self.at(to, &edges, &mut upper);
            let area =
                (to - from).max(f64::MIN_POSITIVE) * (edges[1].position() - edges[0].position());
            for band in 0..WIDTH {
                let sum = upper[band + 1] - upper[band] - lower[band + 1] + lower[band];
                out.push((sum / area) as f32 + FLOOR);
            }
        }
        ln(out);
    }

    /// Where the bands of a row begin, and where the last ends.
    fn edges(&self, speed: f64) -> [Edge; WIDTH + 1] {
        let bin_hz = f64::from(RATE) / N_FFT as f64;
        std::array::from_fn(|band| {
            let hertz = (LOWEST_HZ + (band as f64 - MARGIN as f64) * BAND_HZ) * speed;
            let place = (hertz / bin_hz + 0.5 - self.first as f64).clamp(0.0, self.bins as f64);
            let bin = (place as usize).min(self.bins - 1);
            Edge {
                bin,
                part: place - bin as f64,
            }
        })
    }

    /// The sums at a place between frames and those between bins.
    fn at(&self, frame: f64, edges: &[Edge; WIDTH + 1], out: &mut [f64; WIDTH + 1]) {
        let width = self.bins + 1;
        let whole = (frame as usize).min(self.frames.saturating_sub(1));
        let part = frame - whole as f64;
        let rows = &self.sums[whole * width..(whole + 2) * width];
        let (before, after) = rows.split_at(width);
        for (out, edge) in out.iter_mut().zip(edges) {
            let between =
                |row: &[f64]| row[edge.bin] + edge.part * (row[edge.bin + 1] - row[edge.bin]);
            let (before, after) = (between(before), between(after));
            *out = before + part * (after - before);
        }
    }
}

/// A place between two bins.
#[derive(Clone, Copy)]
struct Edge {
    bin: usize,
    part: f64,
}

impl Edge {
    fn position(self) -> f64 {
        self.bin as f64 + self.part
    }
}

/// The FFT with its memory. Single precision does: what is looked at is within 120 dB of full scale.
struct Transform {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    block: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl Transform {
    fn new(scale: f32) -> Transform {
        let fft = RealFftPlanner::new().plan_fft_forward(N_FFT);
        Transform {
            window: hann(N_FFT).iter().map(|w| *w as f32 * scale).collect(),
            block: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
        }
    }

    /// The spectrum of the window that begins at sample `start`; zero outside.
    fn at(&mut self, samples: &[f32], start: i64) -> &[Complex<f32>] {
        for (n, (slot, weight)) in self.block.iter_mut().zip(&self.window).enumerate() {
            let sample = usize::try_from(start + n as i64)
                .ok()
                .and_then(|n| samples.get(n));
            *slot = sample.map_or(0.0, |sample| sample * weight);
        }
        // Fails only on buffers of a wrong length, and these were made by the plan itself.
        let done =
            self.fft
                .process_with_scratch(&mut self.block, &mut self.spectrum, &mut self.scratch);
        debug_assert!(done.is_ok());
        &self.spectrum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_in_its_band_at_any_speed() {
        for (speed, band) in [(1.0, 10), (1.03, 50), (0.97, 70)] {
            let hertz = (LOWEST_HZ + (band as f64 + 0.5) * BAND_HZ) * speed;
            let step = std::f64::consts::TAU * hertz / f64::from(RATE);
            let tone: Vec<f32> = (0..22_050)
                .map(|n| 0.1 * (step * n as f64).sin() as f32)
                .collect();
            let mut cells = Vec::new();
            Spectrogram::new(&tone, 1.0).cells(5000.0, 3, speed, &mut cells);
            for row in cells.chunks(WIDTH) {
                let loudest = (0..WIDTH)
                    .max_by(|a, b| row[*a].total_cmp(&row[*b]))
                    .unwrap();
                assert_eq!(loudest, band + MARGIN, "speed {speed}");
            }
        }
    }

    #[test]
    fn columns_beyond_the_ends_are_those_at_the_ends() {
        let noise: Vec<f32> = (0..4000u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 8) as f32 / 1e8 - 0.08)
            .collect();
        let mut cells = Vec::new();
        Spectrogram::new(&noise, 1.0).cells(-9000.0, 30, 1.0, &mut cells);
        let rows: Vec<&[f32]> = cells.chunks(WIDTH).collect();
        assert!(rows[0] == rows[5] && rows[20] == rows[29] && rows[0] != rows[29]);
        Spectrogram::new(&[], 1.0).cells(0.0, 2, 1.0, &mut cells);
        assert!(cells.iter().all(|v| v.is_finite()));
    }
}
