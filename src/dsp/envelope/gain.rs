//! The gain of one frame after another: interpolation over bins, smoothing over frames, cepstral lifter, equaliser.

use std::collections::VecDeque;
use std::sync::Arc;

use realfft::num_complex::Complex;

use super::tables::EnvelopeTables;
use crate::dsp::vector;

/// The bounds of the amplitude gain, as natural logarithms of 1e-5 and 1e3.
const LOG_GAIN: (f32, f32) = (-11.512_925, 6.907_755_4);
/// Added to the power before its logarithm.
const POWER_FLOOR: f32 = 1e-12;

/// Log gains of consecutive frames. Knows only the frames that the smoothing still needs.
pub(super) struct GainTrack {
    tables: Arc<EnvelopeTables>,
    /// Power at each bin of as many frames as the smoothing kernel is long.
    powers: VecDeque<Vec<f32>>,
    /// What a frame at the mel's floor looks like.
    floor: Vec<f32>,
    log_gain: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    cepstrum: Vec<f32>,
    scratch: Vec<Complex<f32>>,
}

impl GainTrack {
    /// A track on which every frame so far was at the floor.
    pub(super) fn new(tables: Arc<EnvelopeTables>) -> GainTrack {
        let silence = vec![tables.convention.floor_value(); tables.log_sums.len()];
        let mut floor = vec![0.0; tables.bins.len()];
        tables.power(&tables.log_bands(&silence), &mut floor);
        let longest = tables
            .forward
            .get_scratch_len()
            .max(tables.inverse.get_scratch_len());
        GainTrack {
            powers: vec![floor.clone(); tables.kernel.len()].into(),
            floor,
            log_gain: vec![0.0; tables.bins.len()],
            spectrum: tables.forward.make_output_vec(),
            cepstrum: tables.forward.make_input_vec(),
            scratch: vec![Complex::default(); longest],
            tables,
        }
    }

    /// Takes the log band magnitudes of the next frame, `None` outside the clip, and gives the log gain `[fft / 2 + 1]` of the frame that
    /// now lies in the middle of the smoothing: half the kernel back.
    pub(super) fn next(&mut self, bands: Option<&[f32]>) -> &mut [f32] {
        let mut power = self.powers.pop_front().unwrap_or_default();
        match bands {
            Some(bands) => self.tables.power(bands, &mut power),
            None => power.copy_from_slice(&self.floor),
        }
        self.powers.push_back(power);
        self.smooth();
        self.lift();
        let (low, high) = LOG_GAIN;
        for ((gain, bin), equaliser) in self
            .log_gain
            .iter_mut()
            .zip(&self.spectrum)
            .zip(&self.tables.log_equaliser)
        {
            *gain = (bin.re + equaliser).clamp(low, high);
        }
        &mut self.log_gain
    }

    /// Smoothed log magnitude into `spectrum`.
    fn smooth(&mut self) {
        self.log_gain.fill(0.0);
        for (weight, power) in self.tables.kernel.iter().zip(&self.powers) {
            self.log_gain
                .iter_mut()
                .zip(power)
                .for_each(|(sum, p)| *sum += weight * p);
        }
        self.log_gain.iter_mut().for_each(|p| *p += POWER_FLOOR);
        vector::ln(&mut self.log_gain);
        for (bin, log) in self.spectrum.iter_mut().zip(&self.log_gain) {
            *bin = Complex::new(0.5 * log, 0.0);
        }
    }

    /// Keeps the low quefrencies of `spectrum`.
    fn lift(&mut self) {
        let t = &self.tables;
        let back = t.inverse.process_with_scratch(
            &mut self.spectrum,
            &mut self.cepstrum,
            &mut self.scratch,
        );
        self.cepstrum
            .iter_mut()
            .zip(&t.taper)
            .for_each(|(c, w)| *c *= w);
        let forth = t.forward.process_with_scratch(
            &mut self.cepstrum,
            &mut self.spectrum,
            &mut self.scratch,
        );
        // Both fail only on buffers of a wrong length or an imaginary part at the ends, and there is neither.
        debug_assert!(back.is_ok() && forth.is_ok());
    }
}

impl EnvelopeTables {
    /// Power at every bin, interpolated linearly in log magnitude between band centres.
    fn power(&self, bands: &[f32], out: &mut [f32]) {
        for (power, (below, weight, slope)) in out.iter_mut().zip(&self.bins) {
            let low = bands[*below];
            let high = bands.get(below + 1).copied().unwrap_or(low);
            *power = 2.0 * (low + weight * (high - low) + slope);
        }
        vector::exp(out);
    }
}
