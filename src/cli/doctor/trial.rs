//! A synthesis of two seconds, to see that it works and what it takes.

use std::ops::ControlFlow;

use ndarray::Array2;

use super::Speed;
use crate::bundle::Bundle;
use crate::cli::CliError;
use crate::cli::args::SessionArgs;
use crate::cli::summary::Bar;
use crate::mel::{Mel, MelConvention, MelError};
use crate::runtime::Runtime;
use crate::vocoder::{SynthesisOptions, Vocoder};

const SECONDS: f64 = 2.0;
/// Most frames of the trial, which bounds it for a model of a tiny hop.
const MAX_FRAMES: f64 = 4096.0;
/// Syllables a second.
const PACE: f64 = 4.0;
/// How far the loudest value lies between silence and full scale.
const LOUDEST: f64 = 0.75;
/// What the highest band lacks of the lowest.
const TILT: f64 = 0.6;

/// Loads the model and makes the audio of [`syllables`] with its own schedule.
///
/// # Errors
/// Whatever would fail a synthesis.
pub(super) fn run(
    bundle: Bundle,
    runtime: &Runtime,
    args: &SessionArgs,
    hidden: bool,
) -> Result<Speed, CliError> {
    let mel = syllables(&bundle.manifest.mel)
        .map_err(|error| CliError::mel("the mel of the trial", error))?;
    let options = args.options();
    let mut vocoder = Vocoder::new(bundle, runtime, &options)?;
    let mut bar = Bar::new(hidden);
    let result = vocoder.synthesize(&mel, &SynthesisOptions::default(), &mut |progress| {
        bar.set(progress.fraction());
        ControlFlow::Continue(())
    });
    bar.finish();
    let synthesis = result?;
    Ok(Speed {
        load_seconds: vocoder.load_time().as_secs_f64(),
        audio_seconds: synthesis.seconds(),
        seconds: synthesis.elapsed.as_secs_f64(),
        real_time_factor: synthesis.real_time_factor(),
        steps: synthesis.steps,
        schedule: synthesis.schedule,
        provider: synthesis.provider,
        threads: options.thread_count(),
    })
}

/// A mel that rises and falls like speech, louder in the low bands, between the convention's floor and ceiling.
fn syllables(convention: &MelConvention) -> Result<Mel, MelError> {
    let floor = f64::from(convention.floor_value());
    let span = f64::from(convention.ceiling_value()) - floor;
    let rate = f64::from(convention.sample_rate) / convention.hop as f64;
    let frames = (SECONDS * rate).ceil().clamp(1.0, MAX_FRAMES) as usize;
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
    fn the_trial_is_a_mel_of_its_convention_and_two_seconds_long() {
        for name in MelConvention::names() {
            let convention = MelConvention::named(name).unwrap();
            let mel = syllables(&convention).unwrap();
            let notes = check(&mel, &convention).unwrap();
            assert!(notes.is_empty(), "{name}: {notes:?}");
            let seconds =
                (mel.frames() * convention.hop) as f64 / f64::from(convention.sample_rate);
            assert!((2.0..2.02).contains(&seconds), "{name}: {seconds}");
        }
    }
}
