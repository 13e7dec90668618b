//! The short-time Fourier transform of real signals, in double precision: log mels near their floor need more than `f32` FFTs give.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

/// The periodic Hann window of `length` samples.
pub fn hann(length: usize) -> Vec<f64> {
    let step = std::f64::consts::TAU / length as f64;
    (0..length)
        .map(|n| 0.5 - 0.5 * (step * n as f64).cos())
        .collect()
}

/// Windowed FFT frames of one size; owns its scratch memory, so a frame costs no allocation.
pub struct Stft {
    fft: Arc<dyn RealToComplex<f64>>,
    window: Vec<f64>,
    block: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
}

impl Stft {
    /// Frames of `n_fft` samples under a periodic Hann window of `win_length <= n_fft`, centred and zero outside.
    pub fn new(n_fft: usize, win_length: usize) -> Stft {
        let n_fft = n_fft.max(1);
        let length = win_length.min(n_fft);
        let mut window = vec![0.0; n_fft];
        let start = (n_fft - length) / 2;
        window[start..start + length].copy_from_slice(&hann(length));
        let fft = RealFftPlanner::new().plan_fft_forward(n_fft);
        Stft {
            block: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
            window,
        }
    }

    /// Frequencies in a spectrum, `n_fft / 2 + 1`.
    pub fn bins(&self) -> usize {
        self.spectrum.len()
    }

    /// The spectrum of the frame whose sample `n` is `sample(n)`, `n < n_fft`; `[n_fft / 2 + 1]`.
    pub fn spectrum(&mut self, sample: impl Fn(usize) -> f64) -> &[Complex<f64>] {
        for (n, (slot, weight)) in self.block.iter_mut().zip(&self.window).enumerate() {
            *slot = weight * sample(n);
        }
        // Fails only on buffers of a wrong length, and these were made by the plan itself.
        let done =
            self.fft
                .process_with_scratch(&mut self.block, &mut self.spectrum, &mut self.scratch);
        debug_assert!(done.is_ok());
        &self.spectrum
    }
}

/// The index in `0..length` that reflection at both ends (without repeating the edge) gives to any `index`; 0 for `length` up to 1.
pub fn reflect(index: i64, length: usize) -> usize {
    if length <= 1 {
        return 0;
    }
    let last = length as i64 - 1;
    let folded = index.rem_euclid(2 * last);
    (if folded > last {
        2 * last - folded
    } else {
        folded
    }) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hann_is_periodic() {
        let w = hann(4);
        for (got, want) in w.iter().zip([0.0, 0.5, 1.0, 0.5]) {
            assert!((got - want).abs() < 1e-12);
        }
        assert!((hann(1024).iter().map(|w| w * w).sum::<f64>() - 384.0).abs() < 1e-9);
    }

    #[test]
    fn a_sine_on_a_bin_has_half_the_window_sum() {
        let mut stft = Stft::new(1024, 1024);
        let step = std::f64::consts::TAU * 32.0 / 1024.0;
        let spectrum = stft.spectrum(|n| (step * n as f64).sin());
        assert_eq!(spectrum.len(), 513);
        assert!((spectrum[32].norm() - 256.0).abs() < 1e-9);
        assert!((spectrum[31].norm() - 128.0).abs() < 1e-9);
        assert!(spectrum[40].norm() < 1e-9);
    }

    #[test]
    fn a_short_window_sits_in_the_middle() {
        let mut stft = Stft::new(16, 8);
        let spectrum = stft.spectrum(|n| if (4..12).contains(&n) { 0.0 } else { 1.0 });
        assert!(spectrum.iter().all(|x| x.norm() < 1e-12));
        assert!((stft.spectrum(|_| 1.0)[0].re - 4.0).abs() < 1e-12);
    }

    #[test]
    fn reflects_like_numpy() {
        let indices: Vec<usize> = (-5..8).map(|i| reflect(i, 3)).collect();
        assert_eq!(indices, [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1]);
        assert_eq!(reflect(-7, 1), 0);
    }
}
