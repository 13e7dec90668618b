//! What convention a mel is in, as far as its values tell.
//!
//! The limits below stand outside of what 170 recordings of the 98 speakers of `models/training/DATA.md` come to as `hifigan` mels, up to two
//! of each and at most 8 s: largest value 0.06 to 1.46, mean -8.2 to -5.1, standard deviation 1.8 to 3.3, at most 28 % of the values at the
//! floor; as magnitudes a largest of 1.07 to 4.3 and a mean of at most 0.03 of it; to base 10 a mean of -3.6 to -2.2 and a deviation of 0.80
//! to 1.44; normalised by the mean and the deviation of all, a mean of -0.57 to 0.50, a deviation of 0.65 to 1.17, and nothing below -1.8.

use super::differences::mismatches;
use super::guess::{Guess, Likelihood, Statistics};
use super::losses::is_taken;
use super::scales::{likely_scales, nepers};
use super::traits::Traits;
use super::{Compression, LogKind, Mel, MelConvention};

/// Values of half a second of speech in 80 bands: fewer can have any spread.
const MIN_SPEECH: usize = 3_440;

/// The conventions that the band count and the values of `mel` suggest, most likely first; empty where nothing fits.
pub fn detect(mel: &Mel) -> Vec<Guess> {
    let s = Statistics::of(mel);
    if s.max - s.min < 1e-6 {
        return Vec::new();
    }
    let base = if mel.n_mels() == 100 {
        "vocos24k"
    } else {
        "hifigan"
    };
    let spread = format!("values from {:.3} to {:.3}", s.min, s.max);
    let evidence = Evidence {
        mel,
        s,
        base,
        spread,
    };
    unit_interval(&evidence)
        .or_else(|| no_logarithm(&evidence))
        .or_else(|| decibels(&evidence))
        .or_else(|| deep_natural(&evidence))
        .or_else(|| rescaled(&evidence))
        .or_else(|| z_normalised(&evidence))
        .or_else(|| base_ten(&evidence))
        .or_else(|| natural(&evidence))
        .unwrap_or_default()
}

/// What the guesses are made from.
struct Evidence<'a> {
    mel: &'a Mel,
    s: Statistics,
    base: &'static str,
    spread: String,
}

impl Evidence<'_> {
    fn floor_near(&self, value: f32, tolerance: f32) -> bool {
        (self.s.min - value).abs() <= tolerance
    }

    /// Strong where a clamp left its pile of equal values at the bottom.
    fn by_pile(&self, floor_fits: bool) -> Likelihood {
        if floor_fits && self.s.at_min > 5e-4 {
            Likelihood::Strong
        } else {
            Likelihood::Possible
        }
    }

    fn reason(&self, what: &str) -> String {
        format!("{}: {what}", self.spread)
    }
}

/// Values that natural logarithms of sound cannot have: the scales that make speech of them, if any.
fn rescaled(e: &Evidence<'_>) -> Option<Vec<Guess>> {
    let base = MelConvention {
        n_mels: e.mel.n_mels(),
        ..MelConvention::named(e.base)?
    };
    let natural = MelConvention {
        compression: Compression::ln(1e-7),
        ..base.clone()
    };
    let traits = Traits::of(&nepers(e.mel, &natural), &natural)?;
    traits.oddity()?;
    Some(likely_scales(e.mel, &e.s, &base))
}

/// Decibels mapped to 0 to 1, as in keithito's and fatchord's recipes and, with other bands, lmnt's.
fn unit_interval(e: &Evidence<'_>) -> Option<Vec<Guess>> {
    let fits = e.s.within(-1e-5, 1.0 + 1e-5) && e.s.max - e.s.min > 0.2;
    fits.then(|| {
        let reason = e.reason("all between 0 and 1");
        let lmnt = preset(e.mel, "lmnt", Likelihood::Strong, reason);
        let base = MelConvention::named(e.base).into_iter();
        base.flat_map(|base| likely_scales(e.mel, &e.s, &base))
            .filter(|guess| guess.name.contains("0 to 1"))
            .chain([lmnt])
            .collect()
    })
}

/// Magnitudes are never negative, few are large, and a loud sound's go beyond 1. Logarithms of sound go below 0. A mean of a fifth of the
/// largest is seven times what speech has.
fn no_logarithm(e: &Evidence<'_>) -> Option<Vec<Guess>> {
    let fits = e.s.min >= 0.0 && e.s.max > 1.0 && e.s.mean < 0.2 * f64::from(e.s.max);
    fits.then(|| {
        vec![Guess {
            name: "magnitudes without a logarithm".to_owned(),
            convention: None,
            likelihood: Likelihood::Strong,
            reason: e.reason("none is negative and most are small"),
            advice: "take the logarithm where the mel is made, as in np.log(np.maximum(mel, 1e-5))"
                .to_owned(),
        }]
    })
}

/// No natural logarithm of a magnitude in use goes below ln 1e-8.
fn decibels(e: &Evidence<'_>) -> Option<Vec<Guess>> {
    let reason = e.reason("only decibels go that low");
    (e.s.min < -20.0).then(|| {
        vec![variant(
            e.base,
            "decibels",
            LogKind::Db,
            1e-5,
            Likelihood::Strong,
            reason,
        )]
    })
}

/// Natural logarithms with a floor below 1e-5.
fn deep_natural(e: &Evidence<'_>) -> Option<Vec<Guess>> {
    if e.s.min > -13.0 || e.s.max > 6.0 {
        return None;
    }
    let at_floor = e.floor_near(-16.118, 0.2);
    let (likelihood, what) = match at_floor {
        true => (Likelihood::Strong, "the floor is ln 1e-7"),
        false => (
            Likelihood::Possible,
            "natural logarithms with a floor below 1e-5",
        ),
    };
    let reason = e.reason(what);
    Some(vec![match e.mel.n_mels() {
        100 => preset(e.mel, "vocos24k", likelihood, reason),
        _ => variant(
            e.base,
            "natural log, floor 1e-7",
            LogKind::Ln,
            1e-7,
            likelihood,
            reason,
        ),
    }])
}

/// Mean near 0 and standard deviation near 1, with half as much room again as speech takes; -6 is lower than any floor comes to.
fn z_normalised(e: &Evidence<'_>) -> Option<Vec<Guess>> {
    let s = &e.s;
    if s.mean.abs() > 0.75 || !(0.5..1.6).contains(&s.std) || s.min < -6.0 {
        return None;
    }
    let advice = format!(
        "pass as `mel_convention` a TOML file with `base = \"{}\"` and `compression = {{ mean = M, std = S }}`, \
         M and S from the training of the model that made the mel",
        e.base
    );
    Some(vec![Guess {
        name: "z-normalised values".to_owned(),
        convention: None,
        likelihood: Likelihood::Strong,
        reason: e.reason(&format!(
            "mean {:.2}, standard deviation {:.2}",
            s.mean, s.std
        )),
        advice,
    }])
}

/// Logarithms to base 10: clamped at 1e-5, or with the spread of speech at 1 / ln 10 of what natural ones have. Speech in natural
/// logarithms has a standard deviation of 1.8 to 3.3, and goes below -5.1 until noise as strong as itself has brought that under 0.6.
fn base_ten(e: &Evidence<'_>) -> Option<Vec<Guess>> {
    let s = &e.s;
    let at_floor = e.floor_near(-5.0, 0.1) && s.mean > -4.5;
    let narrow = e.mel.view().len() >= MIN_SPEECH
        && (-5.1..-3.0).contains(&s.min)
        && (-3.5..-1.0).contains(&s.mean)
        && (0.62..1.4).contains(&s.std);
    let reason = e.reason(match at_floor {
        true => "the floor is log10 1e-5",
        false => "less spread than natural logarithms of speech have",
    });
    ((at_floor || narrow) && s.max < 1.6).then(|| {
        vec![variant(
            e.base,
            "logarithm to base 10",
            LogKind::Log10,
            1e-5,
            if narrow {
                Likelihood::Strong
            } else {
                e.by_pile(true)
            },
            reason,
        )]
    })
}

/// Natural logarithms clamped at 1e-5, or too loud for the clamp to show.
fn natural(e: &Evidence<'_>) -> Option<Vec<Guess>> {
    if !(-13.0..-3.0).contains(&e.s.min) || e.s.max > 6.0 {
        return None;
    }
    let at_floor = e.floor_near(-11.513, 0.05);
    let reason = e.reason(if at_floor {
        "the floor is ln 1e-5"
    } else {
        "as natural logarithms of speech are"
    });
    let likelihood = e.by_pile(at_floor);
    let names = match e.mel.n_mels() {
        100 => ["f5tts", "bigvgan24k"],
        _ => ["hifigan", "tacotron2"],
    };
    let guesses = names.map(|name| preset(e.mel, name, likelihood, reason.clone()));
    Some(guesses.into())
}

/// A guess at a preset; at its values only, where the mel has another number of bands.
fn preset(mel: &Mel, name: &str, likelihood: Likelihood, reason: String) -> Guess {
    let convention = MelConvention::named(name).filter(|c| c.n_mels == mel.n_mels());
    let advice = match &convention {
        Some(_) => format!("pass `mel_convention` {name}"),
        None => format!(
            "pass as `mel_convention` a TOML file with `base = \"{name}\"`, `n_mels = {}` and whatever else differs",
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
        "pass as `mel_convention` a TOML file with `base = \"{base}\"` and `compression = {{ kind = \"{word}\", floor = {floor:e} }}`"
    );
    Guess {
        name: words.to_owned(),
        convention,
        likelihood,
        reason,
        advice,
    }
}

/// As [`detect`], in the order of use to a model: what it takes first; what it refuses comes last, with that for advice.
pub fn detect_for_model(mel: &Mel, model: &MelConvention) -> Vec<Guess> {
    detect_for(mel, model, |_| false)
}

/// What a mel may be, of what a model takes; what `excluded` holds for is left out, and what the model refuses comes last and says so.
pub(super) fn detect_for(
    mel: &Mel,
    model: &MelConvention,
    excluded: impl Fn(&MelConvention) -> bool,
) -> Vec<Guess> {
    let refused = |guess: &Guess| {
        guess
            .convention
            .as_ref()
            .is_some_and(|c| !mismatches(c, model).is_empty())
    };
    let mut guesses: Vec<Guess> = detect(mel)
        .into_iter()
        .filter(|g| !g.convention.as_ref().is_some_and(&excluded))
        .collect();
    guesses.sort_by_key(refused);
    for guess in &mut guesses {
        if let Some(convention) = guess.convention.as_ref()
            && !mismatches(convention, model).is_empty()
        {
            let way = match is_taken(convention, model) {
                true => format!(
                    "pass `mel_convention` {} and `approximate_mel`, or make",
                    convention.name
                ),
                false => "make".to_owned(),
            };
            guess.advice = format!(
                "the model takes `{}`: {way} the mel again as that, or use a `model` made for {}",
                model.name, guess.name
            );
        }
    }
    guesses
}

/// The most likely conventions in words, for the end of an error message; none that `excluded` holds for.
pub(super) fn likely(
    mel: &Mel,
    model: &MelConvention,
    excluded: impl Fn(&MelConvention) -> bool,
) -> String {
    let mut guesses = detect_for(mel, model, excluded).into_iter();
    let words = |guess: Guess| format!("{} ({}): {}", guess.name, guess.reason, guess.advice);
    match guesses.next() {
        Some(first) => {
            let second = guesses.next().map(|guess| format!("; or {}", words(guess)));
            format!("most likely {}{}", words(first), second.unwrap_or_default())
        }
        None => format!(
            "say which with `mel_convention` ({} or a TOML file)",
            MelConvention::names().join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mel::analyse;
    use crate::mel::check::check;
    use crate::mel::testing::{mel_of, named, speechlike, variant_of};

    #[test]
    fn every_preset_is_the_first_or_second_guess_at_its_own_mel() {
        for name in [
            "hifigan",
            "tacotron2",
            "lmnt",
            "vocos24k",
            "f5tts",
            "bigvgan24k",
        ] {
            let guesses = detect(&mel_of(&named(name)));
            assert!(
                guesses
                    .iter()
                    .take(2)
                    .any(|g| g.name == name && g.likelihood == Likelihood::Strong),
                "{name}: {guesses:?}"
            );
        }
    }

    #[test]
    fn other_logarithms_are_recognised() {
        let cases = [
            (variant_of("hifigan", |c| c.kind = LogKind::Log10), "log10"),
            (variant_of("hifigan", |c| c.kind = LogKind::Db), "\"db\""),
            (variant_of("tacotron2", |c| c.floor = 1e-7), "floor = 1e-7"),
            (variant_of("vocos24k", |c| c.floor = 1e-5), "f5tts"),
        ];
        for (convention, expected) in cases {
            let guess = detect(&mel_of(&convention)).remove(0);
            assert!(guess.advice.contains(expected), "{expected}: {guess:?}");
            assert_eq!(guess.likelihood, Likelihood::Strong);
        }
    }

    #[test]
    fn base_ten_is_recognised_by_its_spread_where_no_value_is_at_the_floor() {
        let noisy: Vec<f32> = speechlike(22_050)
            .into_iter()
            .enumerate()
            .map(|(n, x)| x + ((n * 7_919 % 10_007) as f32 / 10_007.0 - 0.5) * 3e-3)
            .collect();
        let natural = analyse(&noisy, &named("hifigan")).unwrap();
        let base_ten = variant_of("hifigan", |c| c.kind = LogKind::Log10);
        let mel = analyse(&noisy, &base_ten).unwrap();
        assert!(
            Statistics::of(&mel).min > -4.9,
            "{:?}",
            Statistics::of(&mel)
        );
        let guess = detect(&mel).remove(0);
        assert!(guess.advice.contains("log10"), "{guess:?}");
        assert_eq!(guess.likelihood, Likelihood::Strong);
        assert_eq!(detect(&natural)[0].name, "hifigan");
    }

    #[test]
    fn magnitudes_without_a_logarithm_are_recognised() {
        let loud = mel_of(&named("hifigan")).view().mapv(|v| (v + 1.0).exp());
        let mel = Mel::new(loud).unwrap();
        let guess = detect(&mel).remove(0);
        assert!(guess.advice.contains("np.log"), "{guess:?}");
        assert!(check(&mel, &named("hifigan")).unwrap()[0].contains("without a logarithm"));
    }

    #[test]
    fn the_advice_of_a_guess_parses_and_fits() {
        let mel = mel_of(&variant_of("hifigan", |c| c.kind = LogKind::Log10));
        let guess = detect(&mel).remove(0);
        let lines: Vec<&str> = guess.advice.split('`').skip(3).step_by(2).collect();
        let written = MelConvention::from_toml(&lines.join("\n")).unwrap();
        assert_eq!(written.compression, guess.convention.unwrap().compression);
        assert!(check(&mel, &written).unwrap().is_empty());
    }
}
