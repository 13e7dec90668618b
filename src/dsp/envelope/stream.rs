//! The envelope filter as a push-style state machine. Whole signals go through it too, so pieces and wholes cannot differ.

use std::sync::Arc;

use super::gain::GainTrack;
use super::tables::EnvelopeTables;
use crate::dsp::block::FilterBlock;
use crate::dsp::overlap::OverlapAdd;
use crate::dsp::{DspError, FrameQueue, MelFilter, SampleQueue, vector};
use ndarray::ArrayView2;

/// Which way the filter goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtering {
    /// Excitation to signal: multiplies by the envelope.
    Unwhiten,
    /// Signal to excitation: divides by it.
    Whiten,
}

/// Filters a signal that comes in pieces by the envelope of a mel that comes in pieces; the result does not depend on the pieces.
///
/// Frame `f` is a window centred where the mel's frame is ([`MelConvention::centre`]: on sample `f * hop + hop / 2` in hop framing, on
/// `f * hop` in centred framing), in the middle of an FFT block; it is filtered once its samples and the mel frames of its smoothing are
/// there, and each sample is given out once no later block reaches it. Memory is bounded by the block and by what was pushed of one of the
/// two inputs ahead of the other.
///
/// [`MelConvention::centre`]: crate::mel::MelConvention::centre
pub struct EnvelopeStream {
    tables: Arc<EnvelopeTables>,
    filtering: Filtering,
    gains: GainTrack,
    /// Log band magnitudes of mel frames not used yet.
    mel: FrameQueue,
    /// Those of the frame that comes in.
    bands: Vec<f32>,
    mel_frames: usize,
    mel_ended: bool,
    /// Those that later windows reach.
    samples: SampleQueue,
    ended: bool,
    /// The frame to be filtered next; starts outside the clip.
    frame: i64,
    /// From the start of that frame's block.
    sum: OverlapAdd,
    block: FilterBlock,
}

impl EnvelopeStream {
    pub(super) fn new(tables: Arc<EnvelopeTables>, filtering: Filtering) -> EnvelopeStream {
        EnvelopeStream {
            filtering,
            gains: GainTrack::new(tables.clone()),
            mel: FrameQueue::new(tables.log_sums.len()),
            bands: vec![0.0; tables.log_sums.len()],
            mel_frames: 0,
            mel_ended: false,
            samples: SampleQueue::default(),
            ended: false,
            // A smoothing longer than the edge begins earlier, on windows without samples.
            frame: -(tables.edge.max(tables.kernel.len() / 2) as i64),
            sum: OverlapAdd::new(tables.fft),
            block: FilterBlock::new(&tables.transform),
            tables,
        }
    }
}

impl MelFilter for EnvelopeStream {
    fn push_mel(&mut self, mel: ArrayView2<'_, f32>) -> Result<(), DspError> {
        self.tables.check_bands(mel)?;
        for frame in mel.columns() {
            self.mel.push(self.tables.log_bands(frame));
        }
        self.mel_frames += mel.ncols();
        Ok(())
    }

    fn end_mel(&mut self) {
        self.mel_ended = true;
    }

    fn push_samples(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.samples.append(samples);
        self.advance(out);
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), DspError> {
        let (expected, found) = (self.mel_frames * self.tables.hop, self.total() as usize);
        if expected != found {
            return Err(DspError::Length {
                frames: self.mel_frames,
                expected,
                found,
            });
        }
        self.mel_ended = true;
        self.ended = true;
        self.advance(out);
        Ok(())
    }
}

impl EnvelopeStream {
    fn half(&self) -> i64 {
        (self.tables.kernel.len() / 2) as i64
    }

    fn total(&self) -> i64 {
        self.samples.end()
    }

    /// First sample of a frame's window.
    fn window_start(&self, frame: i64) -> i64 {
        let t = &self.tables;
        frame * t.hop as i64 + t.centre as i64 - (t.window.len() / 2) as i64
    }

    fn ready(&self) -> bool {
        let t = &self.tables;
        let ahead = self.frame + self.half();
        let mel = self.mel_ended || ahead < self.mel_frames as i64;
        if self.ended {
            mel && self.window_start(self.frame) < self.total()
        } else {
            mel && self.window_start(self.frame) + t.window.len() as i64 <= self.total()
        }
    }

    fn advance(&mut self, out: &mut Vec<f32>) {
        while self.ready() {
            self.filter();
            let base = self.block_start();
            self.emit(base, self.tables.hop, out);
            self.frame += 1;
            self.samples.drop_before(self.window_start(self.frame));
        }
        if self.ended {
            self.emit(self.block_start(), self.sum.len(), out);
        }
    }

    /// First sample of the current frame's FFT block, in which the window lies in the middle.
    fn block_start(&self) -> i64 {
        self.window_start(self.frame) - ((self.tables.fft - self.tables.window.len()) / 2) as i64
    }

    /// Filters the current frame into the overlap-add.
    fn filter(&mut self) {
        let t = &self.tables;
        let inside = self.frame + self.half() >= 0 && self.mel.pop(&mut self.bands);
        let start = self.window_start(self.frame);
        let gain = self.gains.next(inside.then_some(&self.bands));
        if self.filtering == Filtering::Whiten {
            gain.iter_mut().for_each(|log| *log = -*log);
        }
        vector::exp(gain);
        let offset = (t.fft - t.window.len()) / 2;
        let block = &mut self.block.samples;
        block.fill(0.0);
        let slots = &mut block[offset..][..t.window.len()];
        self.samples.read(start, slots);
        vector::multiply(slots, &t.window);
        self.block.filter(|spectrum| spectrum.scale(gain));
        self.sum.add(&self.block.samples);
    }

    /// Moves `count` samples, the first at time `base`, from the overlap-add to `out`, less what lies outside the clip.
    fn emit(&mut self, base: i64, count: usize, out: &mut Vec<f32>) {
        let low = (-base).clamp(0, count as i64);
        let high = (self.total() - base).clamp(low, count as i64);
        out.extend(&self.sum.samples()[low as usize..high as usize]);
        self.sum.advance(count);
    }
}
