//! One pass as a push-style state machine. Whole signals go through it too, so pieces and wholes cannot differ.

use std::sync::Arc;

use super::tables::ConsistencyTables;
use crate::dsp::mark::MarkGains;
use crate::dsp::pass::{Place, SpectralPass};
use crate::dsp::{DspError, FrameQueue};

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
    pass: SpectralPass,
    /// For each band the logarithm of what is wanted over what is there.
    ratios: Vec<f32>,
    /// The watermark that this pass puts in too.
    mark: Option<MarkGains>,
}

impl ConsistencyStream {
    pub(super) fn new(tables: Arc<ConsistencyTables>) -> ConsistencyStream {
        ConsistencyStream {
            mel: FrameQueue::new(tables.convention.n_mels),
            wanted: vec![0.0; tables.convention.n_mels],
            mel_frames: 0,
            pass: SpectralPass::new(&tables.pass),
            ratios: vec![0.0; tables.convention.n_mels],
            mark: None,
            tables,
        }
    }

    /// Has this pass put a watermark in, which costs it nothing: its gains are multiplied with those of the mel.
    pub(in crate::dsp) fn put_in(&mut self, mark: MarkGains) {
        self.mark = Some(mark);
    }

    /// Takes further frames of log band magnitudes.
    pub(super) fn push_mel(&mut self, logs: &[f32]) {
        self.mel.push(logs.iter().copied());
        self.mel_frames += logs.len() / self.tables.convention.n_mels;
    }

    /// Takes further samples and appends to `out` those that are finished.
    pub(super) fn push_samples(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.pass.push(samples);
        self.advance(out);
    }

    /// Ends the signal and the mel, and appends the rest to `out`.
    ///
    /// # Errors
    /// [`DspError::Length`] unless the samples were `hop` times the mel frames; then nothing is appended.
    pub(super) fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), DspError> {
        let hop = self.tables.convention.hop;
        let (expected, found) = (self.mel_frames * hop, self.pass.total());
        if expected != found {
            return Err(DspError::Length {
                frames: self.mel_frames,
                expected,
                found,
            });
        }
        self.advance(out);
        self.pass.finish(out);
        Ok(())
    }

    fn advance(&mut self, out: &mut Vec<f32>) {
        while let Some(place) = self.pass.ready(out) {
            if !self.mel.pop(&mut self.wanted) {
                return;
            }
            match place {
                Place::Outside => self.pass.leave(),
                Place::Inside(centre) => self.look(centre),
            }
        }
    }

    /// Scales the frame about sample `centre`.
    fn look(&mut self, centre: u64) {
        let (t, ratios) = (&self.tables, &mut self.ratios);
        self.pass.scale(|spectrum, gains| {
            t.log_ratios(spectrum, &self.wanted, gains, ratios);
            t.spread(ratios, gains);
            if let Some(mark) = &self.mark {
                mark.add(centre, gains);
            }
        });
    }
}
