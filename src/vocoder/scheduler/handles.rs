//! The two ends of a stream that its user holds.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ndarray::{Array2, Axis, Slice};
use tokio::sync::{Semaphore, mpsc};

use super::live::{Audio, Ends, Id};
use super::request::StreamStats;
use super::worker::Command;
use crate::mel::MelConvention;
use crate::vocoder::VocoderError;

/// Mel frames that travel in one command: a whole mel is handed over in pieces, so that it waits where it is and not in the scheduler.
pub(super) const PIECE: usize = 32;

/// Where the mel of a stream goes in. Dropping it without [`MelInput::end`] cancels the stream.
pub struct MelInput {
    id: Id,
    commands: mpsc::UnboundedSender<Command>,
    room: Arc<Semaphore>,
    bands: usize,
    convention: String,
    /// Frames of the clip up to the last that came.
    frames: usize,
    /// The first frame that the stream takes: those before it are too early to matter.
    first: usize,
    ended: bool,
}

impl MelInput {
    pub(super) fn new(
        id: Id,
        commands: mpsc::UnboundedSender<Command>,
        room: Arc<Semaphore>,
        mel: &MelConvention,
        early: Range<u64>,
    ) -> MelInput {
        let place = |frame| usize::try_from(frame).unwrap_or(usize::MAX);
        MelInput {
            id,
            commands,
            room,
            bands: mel.n_mels,
            convention: mel.name.clone(),
            frames: place(early.start),
            first: place(early.end),
            ended: false,
        }
    }

    /// Takes frames `[n_mels, any]` in the model's convention, and waits while too many are queued.
    ///
    /// # Errors
    /// [`VocoderError::Bands`], [`VocoderError::MelNotFinite`], with the frame counted from the start of the clip: nothing is taken then.
    /// [`VocoderError::Stopped`] when the stream has ended early; [`AudioOutput::next`] tells why.
    pub async fn push(&mut self, mel: Array2<f32>) -> Result<(), VocoderError> {
        self.check(&mel)?;
        let early = self.first.saturating_sub(self.frames).min(mel.ncols());
        self.frames += mel.ncols();
        if early > 0 {
            let command = Command::Early(self.id, early);
            self.commands
                .send(command)
                .map_err(|_| VocoderError::Stopped)?;
        }
        let mut start = early;
        while start < mel.ncols() {
            let end = (start + PIECE).min(mel.ncols());
            let permits = self.room.acquire_many((end - start) as u32).await;
            permits.map_err(|_| VocoderError::Stopped)?.forget();
            let piece = mel.slice_axis(Axis(1), Slice::from(start..end)).to_owned();
            let command = Command::Mel(self.id, piece);
            self.commands
                .send(command)
                .map_err(|_| VocoderError::Stopped)?;
            start = end;
        }
        Ok(())
    }

    /// Frame of the clip that comes next.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Says that the mel is complete.
    pub fn end(mut self) {
        self.ended = true;
        // A worker that is gone has told the output already.
        let _ = self.commands.send(Command::End(self.id));
    }

    fn check(&self, mel: &Array2<f32>) -> Result<(), VocoderError> {
        if mel.nrows() != self.bands {
            return Err(VocoderError::Bands {
                expected: self.bands,
                found: mel.nrows(),
                convention: self.convention.clone(),
            });
        }
        let bad = mel.indexed_iter().find(|(_, value)| !value.is_finite());
        match bad {
            None => Ok(()),
            Some(((band, frame), &value)) => Err(VocoderError::MelNotFinite {
                frame: self.frames + frame,
                band,
                value,
            }),
        }
    }
}

impl Drop for MelInput {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.commands.send(Command::Cancel(self.id));
        }
    }
}

/// Where the audio of a stream comes out. Dropping it cancels the stream before the next denoiser call.
pub struct AudioOutput {
    ends: Ends,
    /// Whether the stream's end or its error was handed out.
    is_over: bool,
    commands: mpsc::UnboundedSender<Command>,
}

impl AudioOutput {
    pub(super) fn new(ends: Ends, commands: mpsc::UnboundedSender<Command>) -> AudioOutput {
        AudioOutput {
            ends,
            is_over: false,
            commands,
        }
    }

    /// The next finished samples; `None` once all of them were taken, and after an error. While about two chunks wait to be taken, no more
    /// are made.
    ///
    /// # Errors
    /// What ended the stream early, once: [`VocoderError::WorkerLost`] where the thread that makes the audio has ended before its last sample.
    pub async fn next(&mut self) -> Option<Result<Vec<f32>, VocoderError>> {
        if self.is_over {
            return None;
        }
        match self.ends.audio.recv().await {
            Some(Audio::Samples(samples)) => {
                self.note_taken(samples.len());
                return Some(Ok(samples));
            }
            Some(Audio::End) => self.is_over = true,
            Some(Audio::Failed(error)) => {
                self.is_over = true;
                return Some(Err(error));
            }
            None => {
                self.is_over = true;
                return Some(Err(VocoderError::WorkerLost));
            }
        }
        None
    }

    /// Wakes the worker where it waited for this reader.
    fn note_taken(&self, samples: usize) {
        let waited = self.ends.unread.fetch_sub(samples, Ordering::AcqRel);
        let was_full = waited >= self.ends.enough;
        if was_full && waited - samples < self.ends.enough {
            let _ = self.commands.send(Command::Wake);
        }
    }

    /// What became of the stream; final after `None`.
    pub fn stats(&self) -> StreamStats {
        *self
            .ends
            .stats
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for AudioOutput {
    fn drop(&mut self) {
        self.ends.audio.close();
        let _ = self.commands.send(Command::Wake);
    }
}
