//! One pass as a push-style state machine. Whole signals go through it too, so pieces and wholes cannot differ.

use std::sync::Arc;

use ndarray::ArrayView2;
use realfft::num_complex::Complex;

use super::tables::ConsistencyTables;
use crate::dsp::block::FilterBlock;
use crate::dsp::overlap::OverlapAdd;
use crate::dsp::{DspError, FrameQueue, MelFilter, SampleQueue, vector};

/// Most that a band is scaled by, up or down, as a natural logarithm.
const LIMIT: f64 = 2.0;

/// One pass over a signal that comes in pieces, with a mel that comes in pieces; the result does not depend on the pieces.
///
/// A frame is looked at once its window and its mel are there; one whose window leaves the clip is left alone, as what its mel saw beyond
/// the end is not known. A sample is given out once no later window reaches it. Memory is bounded by the window and by what was pushed of
/// one of the two inputs ahead of the other.
pub struct ConsistencyStream {
    tables: Arc<ConsistencyTables>,
    /// Log band magnitudes that are asked for, of frames not looked at yet.
    mel: FrameQueue,
    /// The one of the frame that is looked at.
    wanted: Vec<f32>,
    mel_frames: usize,
    /// Samples not given out yet, and what is to be added to them.
    samples: SampleQueue,
    change: OverlapAdd,
    /// The frame to be looked at next.
    frame: usize,
    block: FilterBlock,
    /// For each bin its magnitude, later its gain.
    magnitudes: Vec<f32>,
    /// For each band the logarithm of what is wanted over what is there.
    ratios: Vec<f32>,
}

impl ConsistencyStream {
    pub(super) fn new(tables: Arc<ConsistencyTables>) -> ConsistencyStream {
        ConsistencyStream {
            mel: FrameQueue::new(tables.convention.n_mels),
            wanted: vec![0.0; tables.convention.n_mels],
            mel_frames: 0,
            samples: SampleQueue::default(),
            change: OverlapAdd::new(tables.window.len()),
            frame: 0,
            block: FilterBlock::new(&tables.forward, &tables.inverse),
            magnitudes: vec![0.0; tables.bins.len()],
            ratios: vec![0.0; tables.bands.len()],
            tables,
        }
    }

    fn total(&self) -> usize {
        self.samples.end() as usize
    }

    /// Place of the window of `frame` in the clip; `None` where it begins before it.
    fn window_start(&self, frame: usize) -> Option<usize> {
        (frame * self.tables.convention.hop).checked_sub(self.tables.margin)
    }

    fn advance(&mut self, out: &mut Vec<f32>) {
        loop {
            let start = self.window_start(self.frame);
            // No window reaches what lies before the next one.
            self.emit(start.unwrap_or(0), out);
            let whole = start.is_none_or(|start| start + self.tables.window.len() <= self.total());
            if !whole {
                return;
            }
            if !self.mel.pop(&mut self.wanted) {
                return;
            }
            if start.is_some() {
                self.look();
            }
            self.frame += 1;
        }
    }

    /// Adds what the current frame changes; its window begins with the oldest sample.
    fn look(&mut self) {
        let t = &self.tables;
        let block = &mut self.block.samples;
        self.samples.read(self.samples.start(), block);
        for (slot, weight) in block.iter_mut().zip(&t.window) {
            *slot *= weight;
        }
        self.block.filter(|spectrum| {
            t.log_ratios(
                spectrum,
                &self.wanted,
                &mut self.magnitudes,
                &mut self.ratios,
            );
            let gains = &mut self.magnitudes;
            for (gain, (first, shares)) in gains.iter_mut().zip(&t.bins) {
                let ratios = shares.iter().zip(&self.ratios[*first..]);
                *gain = ratios.map(|(s, r)| s * r).sum::<f32>();
            }
            vector::exp(gains);
            for (bin, gain) in spectrum.iter_mut().zip(gains) {
                *bin *= *gain - 1.0;
            }
        });
        self.change.add_weighted(&self.block.samples, &t.synthesis);
    }

    /// Gives out the samples before place `end`.
    fn emit(&mut self, end: usize, out: &mut Vec<f32>) {
        let done = self.samples.start();
        let count = end.min(self.total()).saturating_sub(done as usize);
        let from = out.len();
        out.resize(from + count, 0.0);
        self.samples.read(done, &mut out[from..]);
        self.samples.drop_before(done + count as i64);
        for (x, change) in out[from..].iter_mut().zip(self.change.samples()) {
            *x += change;
        }
        self.change.advance(count);
    }
}

impl MelFilter for ConsistencyStream {
    fn push_mel(&mut self, mel: ArrayView2<'_, f32>) -> Result<(), DspError> {
        let convention = &self.tables.convention;
        let (expected, found) = (convention.n_mels, mel.nrows());
        if expected != found {
            return Err(DspError::Bands { expected, found });
        }
        for frame in mel.columns() {
            let logs = frame.iter().map(|v| convention.ln_magnitude(*v) as f32);
            self.mel.push(logs);
        }
        self.mel_frames += mel.ncols();
        Ok(())
    }

    fn end_mel(&mut self) {}

    fn push_samples(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.samples.append(samples.iter().copied());
        self.advance(out);
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), DspError> {
        let (expected, found) = (self.mel_frames * self.tables.convention.hop, self.total());
        if expected != found {
            return Err(DspError::Length {
                frames: self.mel_frames,
                expected,
                found,
            });
        }
        self.advance(out);
        self.emit(self.total(), out);
        Ok(())
    }
}

impl ConsistencyTables {
    /// Writes for each band the logarithm of what is wanted over what the spectrum holds, within the limit.
    fn log_ratios(
        &self,
        spectrum: &[Complex<f32>],
        wanted: &[f32],
        magnitudes: &mut [f32],
        ratios: &mut [f32],
    ) {
        let c = &self.convention;
        for (magnitude, bin) in magnitudes.iter_mut().zip(spectrum) {
            *magnitude = c.bin_magnitude(f64::from(bin.norm_sqr())) as f32;
        }
        for ((ratio, (first, weights)), wanted) in ratios.iter_mut().zip(&self.bands).zip(wanted) {
            let terms = weights.iter().zip(&magnitudes[*first..]);
            let sum: f32 = terms.map(|(w, m)| w * m).sum();
            let found = c.ln_magnitude(c.compress(f64::from(sum)));
            *ratio = (f64::from(*wanted) - found).clamp(-LIMIT, LIMIT) as f32;
        }
    }
}
