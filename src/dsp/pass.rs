//! A pass that scales the bins of a signal's frames, for a signal that comes in pieces.

use std::sync::Arc;

use super::block::FilterBlock;
use super::overlap::OverlapAdd;
use super::transform::{RealTransform, Spectrum};
use super::{SampleQueue, vector};
use crate::stft::hann;

/// What every pass over frames of one kind shares.
pub(super) struct PassTables {
    hop: usize,
    /// Samples by which a frame's window begins before the frame's place, `f * hop`.
    margin: usize,
    /// Analysis window, periodic Hann in the middle of the FFT.
    window: Vec<f32>,
    /// The same with the overlap-add and inverse FFT scale taken in.
    synthesis: Vec<f32>,
    transform: Arc<RealTransform>,
}

impl PassTables {
    /// For windows of `win_length` samples, a multiple of `hop` and at least three times that, in an FFT of `n_fft`.
    pub fn new(n_fft: usize, win_length: usize, hop: usize, margin: usize) -> PassTables {
        let mut window = vec![0.0; n_fft];
        let start = (n_fft - win_length) / 2;
        window[start..start + win_length].copy_from_slice(&hann(win_length));
        // A squared Hann window has a mean of 3/8, and three or more of them at even distances add up to a constant.
        let overlap = 0.375 * win_length as f64 / hop as f64;
        let scale = 1.0 / (overlap * n_fft as f64);
        PassTables {
            hop,
            margin,
            window: window.iter().map(|w| *w as f32).collect(),
            synthesis: window.iter().map(|w| (w * scale) as f32).collect(),
            transform: Arc::new(RealTransform::new(n_fft)),
        }
    }

    /// Length of the FFT.
    pub fn n_fft(&self) -> usize {
        self.window.len()
    }

    /// Frames that must be there beyond a sample's own before a pass gives it out: until the last window over it, which may begin with it.
    pub fn lookahead_frames(&self) -> usize {
        self.window.len().div_ceil(self.hop)
    }
}

/// Where a frame lies whose turn it is.
pub(super) enum Place {
    /// Its window leaves the clip at the start: it is to be left alone.
    Outside,
    /// All of its window is in the clip, about this sample.
    Inside(u64),
}

/// One pass over one signal. Frames are looked at in their order, once their windows are there; a sample is given out once no later window
/// reaches it.
pub(super) struct SpectralPass {
    tables: Arc<PassTables>,
    /// Samples not given out yet, and what is to be added to them.
    samples: SampleQueue,
    change: OverlapAdd,
    /// The frame to be looked at next.
    frame: usize,
    block: FilterBlock,
    /// For each bin the logarithm of its gain, later the gain less 1: what is changed.
    gains: Vec<f32>,
}

impl SpectralPass {
    pub fn new(tables: &Arc<PassTables>) -> SpectralPass {
        let n_fft = tables.window.len();
        SpectralPass {
            samples: SampleQueue::default(),
            change: OverlapAdd::new(n_fft),
            frame: 0,
            block: FilterBlock::new(&tables.transform),
            gains: vec![0.0; n_fft / 2 + 1],
            tables: tables.clone(),
        }
    }

    /// Samples taken so far.
    pub fn total(&self) -> usize {
        self.samples.end() as usize
    }

    /// Takes further samples.
    pub fn push(&mut self, samples: &[f32]) {
        self.samples.append(samples);
    }

    /// Gives out what no later frame reaches, and tells where the frame lies whose turn it is; `None` while its window is not there.
    pub fn ready(&mut self, out: &mut Vec<f32>) -> Option<Place> {
        let (t, length) = (&self.tables, self.gains.len() * 2 - 2);
        let Some(start) = (self.frame * t.hop).checked_sub(t.margin) else {
            return Some(Place::Outside);
        };
        let whole = start + length <= self.total();
        self.emit(start, out);
        whole.then_some(Place::Inside((start + length / 2) as u64))
    }

    /// Goes on to the next frame and leaves this one as it is.
    pub fn leave(&mut self) {
        self.frame += 1;
    }

    /// Scales the bins of the frame that is [`Place::Inside`], and goes on to the next. `ln_gains` is given its spectrum and the memory to
    /// write the logarithms of the gains to, which holds anything before.
    pub fn scale(&mut self, ln_gains: impl FnOnce(&Spectrum, &mut [f32])) {
        let t = &self.tables;
        let block = &mut self.block.samples;
        self.samples.read(self.samples.start(), block);
        vector::multiply(block, &t.window);
        let gains = &mut self.gains;
        self.block.filter(|spectrum| {
            ln_gains(spectrum, gains);
            vector::exp(gains);
            gains.iter_mut().for_each(|gain| *gain -= 1.0);
            spectrum.scale(gains);
        });
        self.change.add_weighted(&self.block.samples, &t.synthesis);
        self.frame += 1;
    }

    /// Gives out everything, once no further frame can be looked at.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        self.emit(self.total(), out);
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
