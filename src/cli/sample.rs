//! A mel to try and to measure with, where the user gives none.

use ndarray::Array2;

use crate::mel::{Mel, MelConvention, MelError};

/// Most frames, which bounds it for a model of a tiny hop.
const MAX_FRAMES: f64 = 65_536.0;
/// Syllables a second.
const PACE: f64 = 4.0;
/// How far the loudest value lies between silence and full scale.
const LOUDEST: f64 = 0.75;
/// What the highest band lacks of the lowest.
const TILT: f64 = 0.6;

/// A mel of `seconds` that rises and falls like speech, louder in the low bands, between the convention's floor and ceiling.
pub(super) fn syllables(convention: &MelConvention, seconds: f64) -> Result<Mel, MelError> {
    let floor = f64::from(convention.floor_value());
    let span = f64::from(convention.ceiling_value()) - floor;
    let rate = f64::from(convention.sample_rate) / convention.hop as f64;
    let frames = (seconds * rate).ceil().clamp(1.0, MAX_FRAMES) as usize;
    Mel::new(Array2::from_shape_fn(
        (convention.n_mels, frames),
        |(band, frame)| {
            let phase = std::f64::consts::TAU * PACE * frame as f64 / rate;
            let syllable = 0.5 - 0.5 * phase.cos();
            let height = band as f64 / convention.n_mels as f64;
            (floor + span * LOUDEST * syllable * (1.0 - TILT * height)) as f32
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mel::check;

    #[test]
    fn it_is_a_mel_of_its_convention_and_as_long_as_asked() {
        for name in MelConvention::names() {
            let convention = MelConvention::named(name).unwrap();
            let mel = syllables(&convention, 2.0).unwrap();
            let notes = check(&mel, &convention).unwrap();
            assert!(notes.is_empty(), "{name}: {notes:?}");
            let seconds =
                (mel.frames() * convention.hop) as f64 / f64::from(convention.sample_rate);
            assert!((2.0..2.02).contains(&seconds), "{name}: {seconds}");
        }
    }
}
