//! Exact silence where the mel says so.
//!
//! A vocoder makes faint noise of a mel that is at its floor: 107 dB below full scale, which 16 bits still tell from nothing. Where a frame
//! and its neighbours are at the floor in all bands, the windows of none of them hold anything that the convention tells from silence, and
//! the samples of the frame are 0. The frames beside it fade.

use std::collections::VecDeque;

use ndarray::ArrayView2;

use super::{DspError, MelFilter};
use crate::mel::MelConvention;

/// A value this much above the floor, in the mel's own scale, is still at it: mels come through other scales and 16-bit floats.
const TOLERANCE: f32 = 0.01;
/// Frames before and after one whose mel tells what becomes of its samples.
const REACH: usize = 2;

/// Silences a signal that comes in pieces by a mel that comes in pieces; the result does not depend on the pieces. Beyond the clip all is
/// silent.
pub(crate) struct SilenceStream {
    bands: usize,
    hop: usize,
    floor: f32,
    /// Whether frames are at the floor, from [`REACH`] before the one that the next samples belong to.
    floors: VecDeque<bool>,
    mel_frames: usize,
    mel_ended: bool,
    /// Samples that wait for their frame, or for its mel.
    waiting: Vec<f32>,
    /// Frames that are done.
    done: usize,
}

impl SilenceStream {
    /// For mels of `convention`.
    pub fn new(convention: &MelConvention) -> SilenceStream {
        SilenceStream {
            bands: convention.n_mels,
            hop: convention.hop,
            floor: convention.floor_value() + TOLERANCE,
            floors: std::iter::repeat_n(true, REACH).collect(),
            mel_frames: 0,
            mel_ended: false,
            waiting: Vec::new(),
            done: 0,
        }
    }

    /// Frames of mel on each side of a sample that it depends on.
    pub const fn lookahead_frames() -> usize {
        REACH
    }

    /// Whether the frame before the current one, the current one and the one after it are silent; `None` before enough of the mel is there.
    fn around(&self) -> Option<[bool; 3]> {
        if self.floors.len() <= 2 * REACH && !self.mel_ended {
            return None;
        }
        let at_floor = |frame| self.floors.get(frame).copied().unwrap_or(true);
        Some([1, 2, 3].map(|frame| (frame - 1..=frame + 1).all(at_floor)))
    }

    fn advance(&mut self, out: &mut Vec<f32>) {
        let mut used = 0;
        while let Some(silent) = self.around()
            && let Some(samples) = self.waiting.get_mut(used..used + self.hop)
        {
            shape(samples, silent);
            out.extend_from_slice(samples);
            used += self.hop;
            self.floors.pop_front();
            self.done += 1;
        }
        self.waiting.drain(..used);
    }
}

/// Silences the samples of a frame, or fades them from or to the silence beside it.
fn shape(samples: &mut [f32], [before, here, after]: [bool; 3]) {
    let length = samples.len() as f32;
    let fade = |place: usize| (place as f32 + 0.5) / length;
    match (before, here, after) {
        (_, true, _) => samples.fill(0.0),
        (true, false, _) => {
            for (place, sample) in samples.iter_mut().enumerate() {
                *sample *= fade(place);
            }
        }
        (false, false, true) => {
            for (place, sample) in samples.iter_mut().rev().enumerate() {
                *sample *= fade(place);
            }
        }
        (false, false, false) => {}
    }
}

impl MelFilter for SilenceStream {
    fn push_mel(&mut self, mel: ArrayView2<'_, f32>) -> Result<(), DspError> {
        if mel.nrows() != self.bands {
            return Err(DspError::Bands {
                expected: self.bands,
                found: mel.nrows(),
            });
        }
        let at_floor = mel
            .columns()
            .into_iter()
            .map(|frame| frame.iter().all(|&v| v <= self.floor));
        self.floors.extend(at_floor);
        self.mel_frames += mel.ncols();
        Ok(())
    }

    fn end_mel(&mut self) {
        self.mel_ended = true;
    }

    fn push_samples(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.waiting.extend_from_slice(samples);
        self.advance(out);
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), DspError> {
        let found = self.done * self.hop + self.waiting.len();
        let expected = self.mel_frames * self.hop;
        if found != expected {
            let frames = self.mel_frames;
            return Err(DspError::Length {
                frames,
                expected,
                found,
            });
        }
        self.end_mel();
        self.advance(out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Axis};

    /// A mel of 80 bands that is at its floor where `frames` has a dot.
    fn mel(frames: &str) -> Array2<f32> {
        let floor = hifigan().floor_value();
        let level = |frame: usize| match &frames[frame..=frame] {
            "." => floor + 0.5 * TOLERANCE,
            _ => floor + 0.1,
        };
        Array2::from_shape_fn((80, frames.len()), |(band, frame)| match band {
            17 => level(frame),
            _ => floor,
        })
    }

    fn hifigan() -> MelConvention {
        MelConvention::named("hifigan").unwrap()
    }

    /// What becomes of a signal of ones, the mel pushed in pieces of `piece` frames ahead of the samples.
    fn gains(frames: &str, piece: usize) -> Vec<f32> {
        let mut stream = SilenceStream::new(&hifigan());
        let mut out = Vec::new();
        for part in mel(frames).axis_chunks_iter(Axis(1), piece) {
            stream.push_mel(part).unwrap();
            for _ in 0..part.ncols() {
                stream.push_samples(&[1.0; 100], &mut out);
                stream.push_samples(&[1.0; 156], &mut out);
            }
        }
        stream.finish(&mut out).unwrap();
        out
    }

    #[test]
    fn three_frames_at_the_floor_silence_the_one_between_them_and_the_ones_beside_it_fade() {
        let frames = "xx...xx..x....x";
        let out = gains(frames, frames.len());
        assert_eq!(out.len(), frames.len() * 256);
        let frame = |n: usize| &out[n * 256..][..256];
        let silent: Vec<usize> = (0..15)
            .filter(|&n| frame(n).iter().all(|&v| v == 0.0))
            .collect();
        assert_eq!(silent, [3, 11, 12]);
        for whole in [0, 1, 5, 6, 7, 8, 9, 14] {
            assert!(frame(whole).iter().all(|&v| v == 1.0), "{whole}");
        }
        for (fading, first, last) in [(2, 1.0, 0.0), (4, 0.0, 1.0), (10, 1.0, 0.0), (13, 0.0, 1.0)]
        {
            let frame = frame(fading);
            assert!((frame[0] - first).abs() < 0.003 && (frame[255] - last).abs() < 0.003);
        }
    }

    #[test]
    fn beyond_the_clip_all_is_silent_and_one_frame_at_the_floor_is_not() {
        let out = gains("..x.x..", 3);
        let frame = |n: usize| &out[n * 256..][..256];
        assert!([0, 6].iter().all(|&n| frame(n).iter().all(|&v| v == 0.0)));
        assert!(frame(3).iter().all(|&v| v == 1.0));
        assert!(gains("....", 1).iter().all(|&v| v == 0.0));
        assert!(gains("x", 1).iter().all(|&v| v == 1.0));
    }

    #[test]
    fn pieces_give_the_whole_and_a_sample_waits_for_two_frames() {
        let frames = "...x..x...xx....x.";
        let whole = gains(frames, frames.len());
        for piece in [1, 2, 5] {
            assert_eq!(gains(frames, piece), whole, "{piece}");
        }
        let mut stream = SilenceStream::new(&hifigan());
        let mut out = Vec::new();
        stream.push_samples(&[1.0; 512], &mut out);
        stream.push_mel(mel("xx").view()).unwrap();
        stream.push_samples(&[], &mut out);
        assert!(out.is_empty());
        stream.push_mel(mel("x").view()).unwrap();
        stream.push_samples(&[], &mut out);
        assert_eq!(out.len(), 256);
        stream.end_mel();
        stream.push_samples(&[], &mut out);
        assert_eq!(out.len(), 512);
    }

    #[test]
    fn other_bands_and_lengths_are_refused() {
        let mut stream = SilenceStream::new(&hifigan());
        let other = Array2::zeros((79, 1));
        assert!(matches!(
            stream.push_mel(other.view()),
            Err(DspError::Bands { found: 79, .. })
        ));
        stream.push_mel(mel("xx").view()).unwrap();
        stream.push_samples(&[0.0; 300], &mut Vec::new());
        assert!(matches!(
            stream.finish(&mut Vec::new()),
            Err(DspError::Length { found: 300, .. })
        ));
    }
}
