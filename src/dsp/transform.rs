//! Real signals to their spectra and back.

use std::f64::consts::TAU;
use std::sync::Arc;

use multiversion::multiversion;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use super::vector::{self, Parts};

/// Bins 0 to `n / 2` of a real signal's spectrum, real and imaginary parts apart.
pub(super) struct Spectrum {
    pub re: Vec<f32>,
    pub im: Vec<f32>,
}

impl Spectrum {
    /// Both parts of every bin.
    pub fn parts(&self) -> Parts<'_> {
        (&self.re, &self.im)
    }

    /// Multiplies every bin by its gain.
    pub fn scale(&mut self, gains: &[f32]) {
        vector::multiply(&mut self.re, gains);
        vector::multiply(&mut self.im, gains);
    }
}

/// The transforms of real signals of one even length `n`, through complex ones of half of it (Numerical Recipes, "FFT of Single Real
/// Function"). The crate realfft does the same, with the two parts of a bin side by side: what it does beside the complex transform takes as
/// long as that, as one number at a time is worked on.
pub(super) struct RealTransform {
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
    /// Cosine and sine of `2 pi k / n` for each bin `k`.
    turns: Spectrum,
}

/// What a transform works in.
pub(super) struct TransformMemory {
    /// Pairs of samples, before and after the complex transform.
    pairs: [Vec<Complex<f32>>; 2],
    /// The spectrum of the pairs, its first bin once more at the end.
    of_pairs: Spectrum,
    scratch: Vec<Complex<f32>>,
}

impl RealTransform {
    /// For signals of `length` samples, an even number.
    pub fn new(length: usize) -> RealTransform {
        let half = length / 2;
        let angle = |bin: usize| TAU * bin as f64 / length as f64;
        let mut planner = FftPlanner::new();
        RealTransform {
            forward: planner.plan_fft_forward(half),
            inverse: planner.plan_fft_inverse(half),
            turns: Spectrum {
                re: (0..=half).map(|bin| angle(bin).cos() as f32).collect(),
                im: (0..=half).map(|bin| angle(bin).sin() as f32).collect(),
            },
        }
    }

    /// Bins of a spectrum.
    pub fn bins(&self) -> usize {
        self.turns.re.len()
    }

    /// Samples of a signal.
    pub fn length(&self) -> usize {
        2 * (self.bins() - 1)
    }

    /// Zeros.
    pub fn spectrum(&self) -> Spectrum {
        Spectrum {
            re: vec![0.0; self.bins()],
            im: vec![0.0; self.bins()],
        }
    }

    /// Memory for transforms of this length.
    pub fn memory(&self) -> TransformMemory {
        let pairs = vec![Complex::default(); self.length() / 2];
        let forward = self.forward.get_outofplace_scratch_len();
        let scratch = forward.max(self.inverse.get_outofplace_scratch_len());
        TransformMemory {
            pairs: [pairs.clone(), pairs],
            of_pairs: self.spectrum(),
            scratch: vec![Complex::default(); scratch],
        }
    }

    /// Writes the spectrum of `samples`.
    pub fn forward(&self, samples: &[f32], spectrum: &mut Spectrum, memory: &mut TransformMemory) {
        let TransformMemory {
            pairs: [signal, transformed],
            of_pairs,
            scratch,
        } = memory;
        for (pair, [re, im]) in signal.iter_mut().zip(samples.as_chunks::<2>().0) {
            *pair = Complex::new(*re, *im);
        }
        self.forward
            .process_outofplace_with_scratch(signal, transformed, scratch);
        take_apart(transformed, &mut of_pairs.re, &mut of_pairs.im);
        let to = (&mut spectrum.re[..], &mut spectrum.im[..]);
        untangle(of_pairs.parts(), self.turns.parts(), to);
    }

    /// Writes the signal of a spectrum, times its length.
    pub fn inverse(&self, spectrum: &Spectrum, samples: &mut [f32], memory: &mut TransformMemory) {
        let TransformMemory {
            pairs: [transformed, signal],
            scratch,
            ..
        } = memory;
        tangle(spectrum.parts(), self.turns.parts(), transformed);
        self.inverse
            .process_outofplace_with_scratch(transformed, signal, scratch);
        for (samples, pair) in samples.as_chunks_mut::<2>().0.iter_mut().zip(signal) {
            *samples = [pair.re, pair.im];
        }
    }
}

/// The parts of a spectrum of `m` pairs; bin `m` is bin 0.
#[multiversion(targets = "simd")]
fn take_apart(pairs: &[Complex<f32>], re: &mut [f32], im: &mut [f32]) {
    for (pair, (re, im)) in pairs.iter().zip(re.iter_mut().zip(im.iter_mut())) {
        (*re, *im) = (pair.re, pair.im);
    }
    if let ([first, .., last], [im_first, .., im_last]) = (re, im) {
        (*last, *im_last) = (*first, *im_first);
    }
}

/// From the spectrum of the pairs that of the samples: their even ones are the pairs' real parts, and their odd ones the imaginary parts, and a
/// real signal's spectrum is its own mirror, conjugated.
#[multiversion(targets = "simd")]
fn untangle(pairs: Parts<'_>, turns: Parts<'_>, spectrum: (&mut [f32], &mut [f32])) {
    let bins = pairs.0.len();
    let (re, im) = (&pairs.0[..bins], &pairs.1[..bins]);
    let (cos, sin) = (&turns.0[..bins], &turns.1[..bins]);
    let (to_re, to_im) = (&mut spectrum.0[..bins], &mut spectrum.1[..bins]);
    for bin in 0..bins {
        let mirror = bins - 1 - bin;
        let even = (re[bin] + re[mirror], im[bin] - im[mirror]);
        let odd = (im[bin] + im[mirror], re[mirror] - re[bin]);
        to_re[bin] = 0.5 * (even.0 + cos[bin] * odd.0 + sin[bin] * odd.1);
        to_im[bin] = 0.5 * (even.1 + cos[bin] * odd.1 - sin[bin] * odd.0);
    }
}

/// The other way round, times two.
#[multiversion(targets = "simd")]
fn tangle(spectrum: Parts<'_>, turns: Parts<'_>, pairs: &mut [Complex<f32>]) {
    let count = pairs.len();
    let (re, im) = (&spectrum.0[..count], &spectrum.1[..count]);
    // Those behind the first: the mirror of bin 0 is the last.
    let (re_after, im_after) = (&spectrum.0[1..][..count], &spectrum.1[1..][..count]);
    let (cos, sin) = (&turns.0[..count], &turns.1[..count]);
    for bin in 0..count {
        let mirror = count - 1 - bin;
        let even = (re[bin] + re_after[mirror], im[bin] - im_after[mirror]);
        let turned = (re[bin] - re_after[mirror], im[bin] + im_after[mirror]);
        let odd = (
            turned.0 * cos[bin] - turned.1 * sin[bin],
            turned.1 * cos[bin] + turned.0 * sin[bin],
        );
        pairs[bin] = Complex::new(even.0 - odd.1, even.1 + odd.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use realfft::RealFftPlanner;

    proptest! {
        #[test]
        fn they_are_those_of_realfft(half in 1usize..70, seed in any::<u32>()) {
            let length = 2 * half;
            let value = |n: usize| (seed.wrapping_mul(n as u32 * 7 + 1) % 1000) as f32 / 500.0 - 1.0;
            let samples: Vec<f32> = (0..length).map(value).collect();
            let transform = RealTransform::new(length);
            let (mut spectrum, mut memory) = (transform.spectrum(), transform.memory());
            transform.forward(&samples, &mut spectrum, &mut memory);

            let forward = RealFftPlanner::new().plan_fft_forward(length);
            let mut expected = forward.make_output_vec();
            forward.process(&mut samples.clone(), &mut expected).unwrap();
            let tolerance = 1e-5 * length as f32;
            for (bin, expected) in expected.iter().enumerate() {
                prop_assert!((spectrum.re[bin] - expected.re).abs() < tolerance, "{bin}");
                prop_assert!((spectrum.im[bin] - expected.im).abs() < tolerance, "{bin}");
            }

            let mut back = vec![0.0; length];
            transform.inverse(&spectrum, &mut back, &mut memory);
            for (found, expected) in back.iter().zip(&samples) {
                prop_assert!((found / length as f32 - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn gains_scale_both_parts() {
        let mut spectrum = Spectrum {
            re: vec![1.0, 2.0],
            im: vec![3.0, 4.0],
        };
        spectrum.scale(&[2.0, 0.5]);
        assert_eq!((spectrum.re, spectrum.im), (vec![2.0, 1.0], vec![6.0, 2.0]));
    }
}
