//! Is this mel what it is said to be? Checks against a convention, and guesses from the values alone.
//!
//! A mel of another convention gives noise and no error anywhere further down, so what can be seen in the values is looked for here.

use super::{Compression, LogKind, Mel, MelConvention, MelError};

/// How the values of a mel are spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub std: f64,
    /// Share of the values within 0.001 of the smallest: a clamped logarithm piles them up there.
    pub at_min: f64,
}

impl Statistics {
    /// The statistics of every value of `mel`.
    pub fn of(mel: &Mel) -> Statistics {
        let values = mel.view();
        let count = values.len() as f64;
        let min = values.iter().copied().fold(f32::INFINITY, f32::min);
        let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
        let variance = values
            .iter()
            .map(|v| (f64::from(*v) - mean).powi(2))
            .sum::<f64>()
            / count;
        let at_min = values.iter().filter(|v| **v <= min + 1e-3).count() as f64 / count;
        Statistics {
            min,
            max,
            mean,
            std: variance.sqrt(),
            at_min,
        }
    }

    fn within(&self, low: f32, high: f32) -> bool {
        self.min >= low && self.max <= high
    }
}

/// How much a guess is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likelihood {
    /// The values do not contradict it.
    Possible,
    /// The values show its mark.
    Strong,
}

/// A convention that a mel may be in.
#[derive(Clone, Debug, PartialEq)]
pub struct Guess {
    /// Its name: a preset, or words.
    pub name: String,
    /// The convention, where the values are enough to spell one out.
    pub convention: Option<MelConvention>,
    /// How sure.
    pub likelihood: Likelihood,
    /// What in the values says so.
    pub reason: String,
    /// What to pass as `--mel-convention`.
    pub advice: String,
}

/// The conventions that the band count and the values of `mel` suggest, most likely first; empty where nothing fits.
pub fn detect(mel: &Mel) -> Vec<Guess> {
    use Likelihood::{Possible, Strong};
    let s = Statistics::of(mel);
    if s.max - s.min < 1e-6 {
        return Vec::new();
    }
    let base = if mel.n_mels() == 100 {
        "vocos24k"
    } else {
        "hifigan"
    };
    let near = |value: f32, tolerance: f32| (s.min - value).abs() <= tolerance;
    let piled = |yes: bool| {
        if yes && s.at_min > 5e-4 {
            Strong
        } else {
            Possible
        }
    };
    let spread = format!("values from {:.3} to {:.3}", s.min, s.max);
    if s.within(-1e-5, 1.0 + 1e-5) && s.max - s.min > 0.2 {
        return vec![preset_or_words(
            mel,
            "lmnt",
            Strong,
            format!("{spread}: all between 0 and 1"),
        )];
    }
    if s.min < -20.0 {
        let reason = format!("{spread}: only decibels go that low");
        return vec![variant(base, "decibels", LogKind::Db, 1e-5, Strong, reason)];
    }
    if near(-16.118, 0.2) && s.max < 5.0 {
        let reason = format!("{spread}: the floor is ln 1e-7");
        return match mel.n_mels() {
            100 => vec![preset_or_words(mel, "vocos24k", Strong, reason)],
            _ => vec![variant(
                base,
                "natural log, floor 1e-7",
                LogKind::Ln,
                1e-7,
                Strong,
                reason,
            )],
        };
    }
    if s.mean.abs() < 0.75 && (0.5..1.6).contains(&s.std) && s.min > -6.0 {
        let reason = format!(
            "{spread}, mean {:.2}, standard deviation {:.2}",
            s.mean, s.std
        );
        let advice = format!(
            "pass as --mel-convention a TOML file with `base = \"{base}\"` and `compression = {{ mean = M, std = S }}`, \
             M and S from the training of the model that made the mel"
        );
        let name = "z-normalised values".to_owned();
        return vec![Guess {
            name,
            convention: None,
            likelihood: Strong,
            reason,
            advice,
        }];
    }
    if near(-5.0, 0.1) && s.max < 1.6 && s.mean > -4.5 {
        let reason = format!("{spread}: the floor is log10 1e-5");
        return vec![variant(
            base,
            "logarithm to base 10",
            LogKind::Log10,
            1e-5,
            piled(true),
            reason,
        )];
    }
    if s.min >= -12.5 && s.min < -3.0 && s.max < 4.0 {
        let reason = if near(-11.513, 0.05) {
            format!("{spread}: the floor is ln 1e-5")
        } else {
            format!("{spread}: as natural logarithms of speech are")
        };
        let likelihood = piled(near(-11.513, 0.05));
        return match mel.n_mels() {
            100 => vec![variant(
                base,
                "natural log, floor 1e-5",
                LogKind::Ln,
                1e-5,
                likelihood,
                reason,
            )],
            _ => ["hifigan", "tacotron2"]
                .map(|name| preset_or_words(mel, name, likelihood, reason.clone()))
                .into(),
        };
    }
    Vec::new()
}

/// A guess at a preset; at its values only, where the mel has another number of bands.
fn preset_or_words(mel: &Mel, name: &str, likelihood: Likelihood, reason: String) -> Guess {
    let convention = MelConvention::named(name).filter(|c| c.n_mels == mel.n_mels());
    let advice = match &convention {
        Some(_) => format!("pass --mel-convention {name}"),
        None => format!(
            "pass as --mel-convention a TOML file with `base = \"{name}\"`, `n_mels = {}` and whatever else differs",
            mel.n_mels()
        ),
    };
    Guess {
        name: name.to_owned(),
        convention,
        likelihood,
        reason,
        advice,
    }
}

/// A guess at a preset with another logarithm.
fn variant(
    base: &str,
    words: &str,
    kind: LogKind,
    floor: f64,
    likelihood: Likelihood,
    reason: String,
) -> Guess {
    let compression = Compression {
        kind,
        ..Compression::ln(floor)
    };
    let convention = MelConvention::named(base).map(|c| MelConvention {
        name: format!("{base}, {words}"),
        compression,
        ..c
    });
    let word = match kind {
        LogKind::Ln => "ln",
        LogKind::Log10 => "log10",
        LogKind::Db => "db",
    };
    let advice = format!(
        "pass as --mel-convention a TOML file with `base = \"{base}\"` and `compression = {{ kind = \"{word}\", floor = {floor:e} }}`"
    );
    Guess {
        name: words.to_owned(),
        convention,
        likelihood,
        reason,
        advice,
    }
}

/// The most likely convention in words, for the end of an error message.
fn likely(mel: &Mel) -> String {
    match detect(mel).into_iter().next() {
        Some(guess) => format!(
            "most likely {} ({}): {}",
            guess.name, guess.reason, guess.advice
        ),
        None => format!(
            "say which with --mel-convention ({} or a TOML file)",
            MelConvention::names().join(", ")
        ),
    }
}

/// Levels that models overshoot by, in nepers: below the floor, above the ceiling.
const SLACK: (f64, f64) = (2.0, 1.0);
/// No sound of this many values has a dynamic range below this many nepers (10 dB): noise alone has more.
const MIN_SPREAD: (usize, f64) = (400, 1.15);

/// Checks a mel against the convention that it is said to be in. Returns remarks that are no errors.
///
/// # Errors
/// [`MelError::Bands`], [`MelError::Constant`], [`MelError::OutOfRange`] and [`MelError::Implausible`], the last two with the likely
/// convention.
pub fn check(mel: &Mel, convention: &MelConvention) -> Result<Vec<String>, MelError> {
    if mel.n_mels() != convention.n_mels {
        return Err(MelError::Bands {
            expected: convention.n_mels,
            shape: mel.view().shape().to_vec(),
        });
    }
    let s = Statistics::of(mel);
    let (low, high) = (convention.floor_value(), convention.ceiling_value());
    let neper = convention.units_per_neper();
    if f64::from(s.min) < f64::from(low) - SLACK.0 * neper
        || f64::from(s.max) > f64::from(high) + SLACK.1 * neper
    {
        return Err(MelError::OutOfRange {
            convention: convention.name.clone(),
            min: s.min,
            max: s.max,
            low,
            high,
            likely: likely(mel),
        });
    }
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
            likely: likely(mel),
        });
    }
    Ok(remarks(mel, convention, &s))
}

/// What is odd about a mel that passes.
fn remarks(mel: &Mel, convention: &MelConvention, s: &Statistics) -> Vec<String> {
    let mut notes = Vec::new();
    let low = convention.floor_value();
    let tolerance = (0.1 * convention.units_per_neper()) as f32;
    if let Some(guess) = detect(mel)
        .into_iter()
        .find(|g| g.likelihood == Likelihood::Strong)
    {
        let agrees = |c: &MelConvention| {
            c.compression.kind == convention.compression.kind
                && (c.floor_value() - low).abs() <= tolerance
        };
        if !guess.convention.as_ref().is_some_and(agrees) {
            notes.push(format!(
                "taken as `{}`, but the mel looks like {} ({}); if it is, {}",
                convention.name, guess.name, guess.reason, guess.advice
            ));
        }
    }
    let below = mel.view().iter().filter(|v| **v < low - tolerance).count();
    if below > 0 {
        notes.push(format!(
            "{below} values lie below the floor {low:.3} (lowest {:.3}) and are raised to it",
            s.min
        ));
    }
    notes
}
