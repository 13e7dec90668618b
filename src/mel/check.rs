//! Is this mel what it is said to be?
//!
//! A mel of another convention gives noise and no error anywhere further down, so what can be seen in the values is looked for here.

use super::detect::{detect_for, likely};
use super::guess::{Guess, Likelihood, Statistics};
use super::padding;
use super::restore;
use super::scales::nepers;
use super::traits::Traits;
use super::{Mel, MelConvention, MelError};

/// Levels that models overshoot by, in nepers: below the floor, above the ceiling.
const SLACK: (f64, f64) = (2.0, 1.0);
/// No sound of this many values has a dynamic range below this many nepers (10 dB): noise alone has more.
const MIN_SPREAD: (usize, f64) = (400, 1.15);
/// Share of equal values at the bottom that only a clamp leaves; one frame held has one value in 80 there.
const PILE: f64 = 0.02;
/// What makes values too high in a convention of the right logarithm.
const TOO_LOUD: &str = "audio whose full scale is not 1 (divide 16-bit integers by 32768), power in place of magnitude (`power = 2.0`) \
     and filters of unit peak (`norm = \"none\"`) give values that high";

/// The values that a convention can produce, worked out once for mels that come in pieces.
#[derive(Clone, Debug)]
pub(super) struct Range {
    convention: String,
    low: f32,
    high: f32,
    neper: f64,
    /// What the mel is for: advice that it refuses is none.
    model: MelConvention,
}

impl Range {
    pub fn of(convention: &MelConvention, model: &MelConvention) -> Range {
        Range {
            model: model.clone(),
            convention: convention.name.clone(),
            low: convention.floor_value(),
            high: convention.ceiling_value(),
            neper: convention.units_per_neper(),
        }
    }

    /// Refuses a mel, or a piece of one, with values that no model overshoots to.
    pub fn admit(&self, mel: &Mel, s: &Statistics) -> Result<(), MelError> {
        let lowest = f64::from(self.low) - SLACK.0 * self.neper;
        let highest = f64::from(self.high) + SLACK.1 * self.neper;
        if f64::from(s.min) >= lowest && f64::from(s.max) <= highest {
            return Ok(());
        }
        Err(MelError::OutOfRange {
            convention: self.convention.clone(),
            min: s.min,
            max: s.max,
            low: self.low,
            high: self.high,
            likely: self.likely(mel, f64::from(s.max) > highest),
        })
    }

    /// Whether a convention writes the same range in the same units.
    fn agrees(&self, convention: &MelConvention) -> bool {
        (convention.floor_value() - self.low).abs() <= (0.1 * self.neper) as f32
            && (convention.units_per_neper() - self.neper).abs() <= 1e-6 * self.neper
    }

    /// What the mel may be instead; the convention that has just been ruled out is no advice.
    fn likely(&self, mel: &Mel, too_loud: bool) -> String {
        let words = likely(mel, &self.model, |c| self.agrees(c));
        if too_loud && !words.starts_with("most likely") {
            return format!("{TOO_LOUD}; {words}");
        }
        words
    }
}

/// Checks a mel against the convention that it is said to be in. Returns remarks that are no errors.
///
/// # Errors
/// [`MelError::Bands`], [`MelError::Constant`], [`MelError::OutOfRange`] and [`MelError::Implausible`], the last two with the likely
/// convention.
pub fn check(mel: &Mel, convention: &MelConvention) -> Result<Vec<String>, MelError> {
    check_for(mel, convention, convention)
}

/// [`check`] with advice for a model that takes another convention.
pub(super) fn check_for(
    mel: &Mel,
    convention: &MelConvention,
    model: &MelConvention,
) -> Result<Vec<String>, MelError> {
    if mel.n_mels() != convention.n_mels {
        return Err(MelError::Bands {
            expected: convention.n_mels,
            shape: mel.view().shape().to_vec(),
        });
    }
    if let Some(moments) = &convention.compression.per_band {
        let plain = convention.before_moments();
        let range = Range::of(&plain, model);
        let mut notes = padding_notes(mel, &range);
        let mut values = mel.view().to_owned();
        moments.undo(&mut values);
        notes.extend(check_for(&Mel::new(values)?, &plain, model)?);
        return Ok(notes);
    }
    let s = Statistics::of(mel);
    let range = Range::of(convention, model);
    range.admit(mel, &s)?;
    let (low, neper) = (range.low, range.neper);
    let silent = f64::from(s.max) <= f64::from(low) + 0.1 * neper;
    if silent {
        return Ok(vec![
            "the mel is silent: every value is at the floor".to_owned(),
        ]);
    }
    if s.max == s.min && mel.view().len() > 1 {
        return Err(MelError::Constant {
            value: s.min,
            convention: convention.name.clone(),
            silence: low,
        });
    }
    let spread = f64::from(s.max - s.min);
    let above_floor = f64::from(s.min) > f64::from(low) + 2.0 * neper;
    if above_floor && mel.view().len() >= MIN_SPREAD.0 && spread < MIN_SPREAD.1 * neper {
        return Err(MelError::Implausible {
            convention: convention.name.clone(),
            min: s.min,
            max: s.max,
            decibels: spread / neper * 20.0 / std::f64::consts::LN_10,
            likely: range.likely(mel, false),
        });
    }
    Ok(remarks(mel, convention, &range, &s))
}

/// Frames that hold no sound.
fn padding_notes(mel: &Mel, range: &Range) -> Vec<String> {
    let low = range.low;
    padding::runs(mel, low, (0.1 * range.neper) as f32)
        .iter()
        .map(|run| {
            format!(
                "{run}, which is no sound but padding, and becomes noise: `trim_padding` cuts such frames \
                 at the ends; a batch is padded with the floor, {low:.3}"
            )
        })
        .collect()
}

/// What is odd about a mel that passes.
fn remarks(mel: &Mel, convention: &MelConvention, range: &Range, s: &Statistics) -> Vec<String> {
    let low = range.low;
    let tolerance = (0.1 * range.neper) as f32;
    let mut notes = padding_notes(mel, range);
    let scale = scale_note(mel, convention, range, s);
    let told = scale.is_some();
    notes.extend(scale);
    if !told && notes.is_empty() && s.at_min > PILE && s.min > low + tolerance {
        notes.push(format!(
            "{:.0} % of the values are {:.3}, the lowest, but `{}` has its floor at {low:.3}: the mel may be mapped to another range; \
             if it is, say how with `mel_convention`",
            100.0 * s.at_min,
            s.min,
            range.convention
        ));
    }
    if told {
        return notes;
    }
    let below = mel.view().iter().filter(|v| **v < low - tolerance).count();
    if below > 0 {
        notes.push(format!(
            "{below} values lie below the floor {low:.3} (lowest {:.3}) and are raised to it",
            s.min
        ));
    }
    notes.extend(restore::note(mel));
    notes
}

/// The one warning of a mel that is on another scale than it is said to be.
fn scale_note(
    mel: &Mel,
    convention: &MelConvention,
    range: &Range,
    s: &Statistics,
) -> Option<String> {
    let traits = Traits::of(&nepers(mel, convention), convention);
    let oddity = traits.as_ref().and_then(Traits::oddity);
    // What is long enough is judged by what its values mean; the rest, and what was clamped at another floor, by the marks of other
    // conventions, if it is said to be in plain logarithms.
    let plain = convention.units_per_neper() == 1.0;
    let clamped = s.at_min > PILE && s.min > range.low + (0.1 * range.neper) as f32;
    if oddity.is_none() && !(plain && (traits.is_none() || clamped)) {
        return None;
    }
    let guesses = detect_for(mel, &range.model, |c| range.agrees(c));
    let mut strong = guesses
        .into_iter()
        .filter(|g| g.likelihood == Likelihood::Strong);
    let words = |g: Guess| {
        format!(
            "looks like {} ({}); if it is, {}",
            g.name, g.reason, g.advice
        )
    };
    let taken = format!("taken as `{}`, but", range.convention);
    match (strong.next(), oddity) {
        (Some(first), _) => {
            let second = strong.next().map(|g| format!(". Or it {}", words(g)));
            let first = words(first);
            Some(format!(
                "{taken} the mel {first}{}",
                second.unwrap_or_default()
            ))
        }
        (None, Some(oddity)) => Some(format!(
            "{taken} {oddity}: the mel is on another scale, or of no sound; say on which with `mel_convention`, by its name or a TOML file"
        )),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mel::LogKind;
    use crate::mel::testing::{mel_of, named, variant_of, white_noise};
    use crate::mel::{analyse, detect};
    use ndarray::Array2;

    #[test]
    fn speech_in_its_own_convention_passes_without_remark() {
        for name in MelConvention::names() {
            let convention = named(name);
            assert_eq!(
                check(&mel_of(&convention), &convention).unwrap(),
                Vec::<String>::new(),
                "{name}"
            );
        }
    }

    #[test]
    fn z_normalised_values_are_recognised() {
        let raw = mel_of(&named("hifigan"));
        let s = Statistics::of(&raw);
        let mel = Mel::new(
            raw.view()
                .mapv(|v| ((f64::from(v) - s.mean) / s.std) as f32),
        )
        .unwrap();
        let guess = detect(&mel).remove(0);
        assert!(
            guess.name.contains("z-normalised") && guess.convention.is_none(),
            "{guess:?}"
        );
        let notes = check(&mel, &named("hifigan")).unwrap();
        assert!(notes[0].contains("z-normalised"), "{notes:?}");
        let mut said = named("hifigan");
        (said.compression.mean, said.compression.std) = (s.mean, s.std);
        assert_eq!(check(&mel, &said).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn decibels_as_natural_logs_are_out_of_range_and_the_message_says_what_to_do() {
        let mel = mel_of(&variant_of("hifigan", |c| c.kind = LogKind::Db));
        let message = check(&mel, &named("hifigan")).unwrap_err().to_string();
        for part in [
            "-100.000",
            "-11.513",
            "decibels",
            "`mel_convention`",
            "hifigan",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }

    #[test]
    fn values_too_high_for_the_right_logarithm_are_not_told_to_take_it() {
        let hifigan = named("hifigan");
        let louder = |nepers: f32| {
            let mel = Mel::new(mel_of(&hifigan).view().mapv(|v| v + nepers)).unwrap();
            check(&mel, &hifigan).unwrap_err().to_string()
        };
        for message in [louder(5.0), louder(10.4)] {
            assert!(!message.contains("most likely"), "{message}");
            assert!(message.contains("32768"), "{message}");
        }
    }

    #[test]
    fn lmnt_values_as_natural_logs_are_implausible() {
        let error = check(&mel_of(&named("lmnt")), &named("hifigan")).unwrap_err();
        assert!(matches!(error, MelError::Implausible { .. }));
        let message = error.to_string();
        assert!(
            message.contains("`model` made for lmnt") && message.contains("scale = 0.01"),
            "{message}"
        );
        let way = "pass `mel_convention` lmnt and `approximate_mel`";
        assert!(message.contains(way), "{message}");
    }

    #[test]
    fn base_ten_as_natural_logs_is_remarked_on() {
        let mel = mel_of(&variant_of("hifigan", |c| c.kind = LogKind::Log10));
        let notes = check(&mel, &named("hifigan")).unwrap();
        assert!(notes[0].contains("base 10"), "{notes:?}");
    }

    #[test]
    fn a_clamp_at_another_floor_is_remarked_on() {
        let mapped = mel_of(&named("hifigan")).view().mapv(|v| {
            let decibels = f64::from(v) * 20.0 / std::f64::consts::LN_10;
            (((decibels + 80.0) / 80.0) * 8.0 - 4.0).clamp(-4.0, 4.0) as f32
        });
        let mel = Mel::new(mapped).unwrap();
        let notes = check(&mel, &named("hifigan")).unwrap();
        assert!(notes[0].contains("has its floor at"), "{notes:?}");
    }

    #[test]
    fn constants_are_errors_and_silence_is_not() {
        let hifigan = named("hifigan");
        let constant = |value: f32| Mel::new(Array2::from_elem((80, 30), value)).unwrap();
        assert!(matches!(
            check(&constant(0.0), &hifigan),
            Err(MelError::Constant { value: 0.0, .. })
        ));
        assert!(check(&constant(hifigan.floor_value()), &hifigan).unwrap()[0].contains("silent"));
        assert!(
            check(&constant(99.0), &hifigan)
                .unwrap_err()
                .to_string()
                .contains("say which with")
        );
    }

    #[test]
    fn mels_of_a_hundred_bands_are_told_apart_by_their_floors() {
        let vocos = named("vocos24k");
        let notes = check(&mel_of(&named("f5tts")), &vocos).unwrap();
        assert!(
            notes[0].contains("pass `mel_convention` f5tts"),
            "{notes:?}"
        );
        let notes = check(&mel_of(&named("bigvgan24k")), &vocos).unwrap();
        assert!(notes[0].contains("bigvgan24k"), "{notes:?}");
    }

    #[test]
    fn a_wrong_band_count_is_an_error() {
        let error = check(&mel_of(&named("vocos24k")), &named("hifigan")).unwrap_err();
        assert!(matches!(error, MelError::Bands { expected: 80, .. }));
    }

    #[test]
    fn noise_at_full_scale_is_plausible() {
        let hifigan = named("hifigan");
        check(&analyse(&white_noise(1.0), &hifigan).unwrap(), &hifigan).unwrap();
    }
}
