//! Frames that hold no sound: what is left where a batch of mels of different lengths was padded with a constant.

use std::fmt;
use std::ops::Range;

use ndarray::{ArrayView1, s};

use super::{Mel, MelConvention};

/// Fewer bands can be alike by chance.
const MIN_BANDS: usize = 8;

/// Consecutive frames whose bands all hold one value that is not the floor. No sound makes such a frame: a vocoder turns it into noise,
/// at full scale where the value is 0 and the logarithm natural.
#[derive(Clone, Debug, PartialEq)]
pub struct Padding {
    /// The frames, counted from 0.
    pub frames: Range<usize>,
    /// What every band of the first of them holds.
    pub value: f32,
    /// Frames of the whole mel.
    pub of: usize,
}

impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.frames;
        match end - start {
            1 => write!(f, "frame {start}")?,
            _ => write!(f, "frames {start} to {}", end - 1)?,
        }
        if end == self.of {
            write!(f, ", at the end,")?;
        } else if start == 0 {
            write!(f, ", at the begin,")?;
        }
        let holds = if end - start == 1 { "holds" } else { "hold" };
        write!(f, " {holds} {:.3} in every band", self.value)
    }
}

/// Every run of padded frames in a mel of this convention, in order. Silence is none: it lies at the floor, or, where the mel is in truth of
/// another convention, at the lowest value of all.
pub fn padding(mel: &Mel, convention: &MelConvention) -> Vec<Padding> {
    runs(
        mel,
        convention.floor_value(),
        (0.1 * convention.units_per_neper()) as f32,
    )
}

/// `low` is the floor, `tolerance` how near to it still counts as silence.
pub(super) fn runs(mel: &Mel, low: f32, tolerance: f32) -> Vec<Padding> {
    let mut found: Vec<Padding> = Vec::new();
    if mel.n_mels() < MIN_BANDS {
        return found;
    }
    let lowest = mel.view().iter().copied().fold(f32::INFINITY, f32::min);
    let silence = low.max(lowest) + tolerance;
    for (frame, bands) in mel.view().columns().into_iter().enumerate() {
        let Some(value) = single_value(bands).filter(|value| *value > silence) else {
            continue;
        };
        match found.last_mut() {
            Some(last) if last.frames.end == frame => last.frames.end = frame + 1,
            _ => found.push(Padding {
                frames: frame..frame + 1,
                value,
                of: mel.frames(),
            }),
        }
    }
    found
}

/// The value that all bands of a frame share.
fn single_value(bands: ArrayView1<'_, f32>) -> Option<f32> {
    let first = *bands.first()?;
    bands
        .iter()
        .all(|value| (value - first).abs() <= 1e-6 * first.abs().max(1.0))
        .then_some(first)
}

/// The mel without padded frames at its begin and its end, and how many were cut at each. A mel of nothing else stays as it is.
pub fn trim_padding(mel: Mel, convention: &MelConvention) -> (Mel, Range<usize>) {
    let runs = padding(&mel, convention);
    let begin = match runs.first() {
        Some(run) if run.frames.start == 0 => run.frames.end,
        _ => 0,
    };
    let end = match runs.last() {
        Some(run) if run.frames.end == mel.frames() => run.frames.start,
        _ => mel.frames(),
    };
    if begin >= end {
        let whole = 0..mel.frames();
        return (mel, whole);
    }
    let values = mel.view().slice(s![.., begin..end]).to_owned();
    (Mel { values }, begin..end)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Axis, concatenate};

    use super::*;
    use crate::mel::check;
    use crate::mel::testing::{mel_of, named};

    /// Speech between so many frames of a constant on each side.
    fn padded(before: usize, after: usize, value: f32) -> Mel {
        let speech = mel_of(&named("hifigan"));
        let side = |frames| Array2::from_elem((80, frames), value);
        let values = concatenate![Axis(1), side(before), speech.view(), side(after)];
        Mel::new(values).unwrap()
    }

    #[test]
    fn frames_of_one_value_are_found_and_cut() {
        let hifigan = named("hifigan");
        let speech = mel_of(&hifigan);
        for (before, after, value) in [(0, 3, 0.0), (5, 0, 0.0), (2, 1, -4.0), (0, 40, 1.5)] {
            let mel = padded(before, after, value);
            let total = mel.frames();
            let found = padding(&mel, &hifigan);
            let frames: usize = found.iter().map(|run| run.frames.len()).sum();
            assert_eq!(frames, before + after, "{found:?}");
            assert!(found.iter().all(|run| run.value == value));
            let note = check(&mel, &hifigan).unwrap().join("\n");
            assert!(
                note.contains("in every band") && note.contains("trim_padding"),
                "{note}"
            );
            let (cut, kept) = trim_padding(mel, &hifigan);
            assert_eq!(kept, before..total - after);
            assert_eq!(cut, speech);
        }
    }

    #[test]
    fn silence_is_no_padding_and_a_lone_constant_stays() {
        let hifigan = named("hifigan");
        let floor = hifigan.floor_value();
        assert!(padding(&padded(20, 20, floor), &hifigan).is_empty());
        let constant = Mel::new(Array2::from_elem((80, 9), 0.0)).unwrap();
        assert_eq!(trim_padding(constant.clone(), &hifigan), (constant, 0..9));
    }

    #[test]
    fn a_gap_inside_is_told_and_not_cut() {
        let hifigan = named("hifigan");
        let mut values = mel_of(&hifigan).into_values();
        values.slice_mut(s![.., 10..12]).fill(0.0);
        let mel = Mel::new(values).unwrap();
        let found = padding(&mel, &hifigan);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].to_string().starts_with("frames 10 to 11 hold"),
            "{}",
            found[0]
        );
        assert_eq!(trim_padding(mel.clone(), &hifigan).0, mel);
    }
}
