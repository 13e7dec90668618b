//! The gain of one frame after another: interpolation over bins, smoothing over frames, cepstral lifter, equaliser.

use std::collections::VecDeque;
use std::sync::Arc;

use super::tables::EnvelopeTables;
use crate::dsp::transform::{Spectrum, TransformMemory};
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
    /// Log magnitudes: real, as those of a cepstrum that is its own mirror.
    spectrum: Spectrum,
    cepstrum: Vec<f32>,
    memory: TransformMemory,
}

impl GainTrack {
    /// A track on which every frame so far was at the floor.
    pub(super) fn new(tables: Arc<EnvelopeTables>) -> GainTrack {
        let silence = vec![tables.convention.floor_value(); tables.log_sums.len()];
        let mut floor = vec![0.0; tables.transform.bins()];
        tables.power(&tables.log_bands(&silence), &mut floor);
        GainTrack {
            powers: vec![floor.clone(); tables.kernel.len()].into(),
            floor,
            log_gain: vec![0.0; tables.transform.bins()],
            spectrum: tables.transform.spectrum(),
            cepstrum: vec![0.0; tables.fft],
            memory: tables.transform.memory(),
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
        let logs = self.spectrum.re.iter().zip(&self.tables.log_equaliser);
        for (gain, (log, equaliser)) in self.log_gain.iter_mut().zip(logs) {
            *gain = (log + equaliser).clamp(low, high);
        }
        &mut self.log_gain
    }

    /// Smoothed log magnitude into `spectrum`.
    fn smooth(&mut self) {
        let logs = &mut self.spectrum.re;
        logs.fill(POWER_FLOOR);
        for (weight, power) in self.tables.kernel.iter().zip(&self.powers) {
            vector::add_scaled(logs, power, *weight);
        }
        vector::ln(logs);
        logs.iter_mut().for_each(|log| *log *= 0.5);
        self.spectrum.im.fill(0.0);
    }

    /// Keeps the low quefrencies of `spectrum`.
    fn lift(&mut self) {
        let t = &self.tables;
        let transform = &t.transform;
        transform.inverse(&self.spectrum, &mut self.cepstrum, &mut self.memory);
        vector::multiply(&mut self.cepstrum, &t.taper);
        transform.forward(&self.cepstrum, &mut self.spectrum, &mut self.memory);
    }
}

impl EnvelopeTables {
    /// Power at every bin, interpolated linearly in log magnitude between band centres.
    fn power(&self, bands: &[f32], out: &mut [f32]) {
        out.copy_from_slice(&self.slope);
        self.shares.add(bands, out);
        vector::exp(out);
    }
}
