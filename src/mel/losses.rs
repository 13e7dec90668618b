//! What the approximate way from other conventions to those of the built-in models loses, as measured, and what is taken by that.
//!
//! The figures are those of `docs/approximate-mels.md`, made by `models/training/vocode_training/approximate.py`.

use super::MelConvention;
use super::differences::mismatches;

/// PESQ-wb that may be lost.
const BEARABLE: f64 = 0.3;

/// What was measured for the models of one convention.
struct Target {
    /// What they take.
    takes: &'static str,
    /// PESQ-wb lost by named conventions that do not convert exactly, the mean of 24 clips.
    named: &'static [(&'static str, f64)],
    /// Whether conventions without a name are taken inside of [`outside`]'s bounds.
    unnamed: bool,
}

const TARGETS: [Target; 2] = [
    Target {
        takes: "hifigan",
        named: &[
            ("lmnt", 0.07),
            ("vocos24k", 0.08),
            ("rayhane", 0.07),
            ("coqui", 0.09),
            ("espnet", 0.09),
            ("parallelwavegan", 0.09),
            ("bigvgan22k", 0.04),
            ("bigvgan24k", 0.06),
            ("f5tts", 0.08),
            ("speecht5", 0.66),
            ("cosyvoice2", 1.07),
        ],
        unnamed: true,
    },
    Target {
        takes: "vocos24k",
        named: &[("bigvgan24k", 0.04)],
        unnamed: false,
    },
];

/// The most that was lost inside of [`outside`]'s bounds, by conventions with and without a name.
const INSIDE: f64 = 0.21;

/// Whether a convention is taken approximately.
pub(super) enum Verdict {
    /// It is, with the remark to make on it.
    Taken(String),
    /// It is not, and why.
    Refused(String),
}

/// Judges two conventions between which there is no exact way.
pub(super) fn verdict(from: &MelConvention, to: &MelConvention) -> Verdict {
    let Some(target) = TARGETS.iter().find(|target| target.is_of(to)) else {
        let known = TARGETS
            .map(|target| format!("`{}`", target.takes))
            .join(" or ");
        return Verdict::Refused(format!(
            "what is lost was measured for models that take {known}, and this one takes `{}`",
            to.name
        ));
    };
    let how = format!(
        "`{}` is converted approximately, by way of a spectral envelope",
        from.name
    );
    match (target.measured(from), target.outside(from)) {
        (Some((name, loss)), _) if loss > BEARABLE => Verdict::Refused(format!(
            "in the convention `{name}` 24 clips lost {loss:.2} of PESQ-wb, and more than {BEARABLE} is too much"
        )),
        (Some((_, loss)), _) => {
            Verdict::Taken(format!("{how}: on 24 clips that lost {loss:.2} of PESQ-wb"))
        }
        (None, Some(reason)) => Verdict::Refused(reason),
        (None, None) => Verdict::Taken(format!(
            "{how}: it was not measured itself, but what lies around it, of which 24 clips lost at most {INSIDE:.2} of PESQ-wb"
        )),
    }
}

/// Whether an approximate way is offered.
pub(super) fn is_taken(from: &MelConvention, to: &MelConvention) -> bool {
    matches!(verdict(from, to), Verdict::Taken(_))
}

impl Target {
    /// Whether it is what models for `convention` were measured as.
    fn is_of(&self, convention: &MelConvention) -> bool {
        MelConvention::named(self.takes).is_some_and(|own| mismatches(&own, convention).is_empty())
    }

    /// The named convention with these bands and frames that lost most, and how much.
    fn measured(&self, from: &MelConvention) -> Option<(&'static str, f64)> {
        self.named
            .iter()
            .copied()
            .filter(|(name, _)| {
                MelConvention::named(name).is_some_and(|named| mismatches(from, &named).is_empty())
            })
            .max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Why a convention without a name is not taken, if it is not.
    fn outside(&self, from: &MelConvention) -> Option<String> {
        if self.unnamed {
            return outside(from);
        }
        let names: Vec<String> = self
            .named
            .iter()
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        Some(format!(
            "for models that take `{}`, what is lost was measured of {} alone",
            self.takes,
            names.join(", ")
        ))
    }
}

/// Why a convention lies outside of those that were measured to lose little with the default model, if it does.
fn outside(from: &MelConvention) -> Option<String> {
    let rate = f64::from(from.sample_rate);
    let milliseconds = |samples: usize| 1e3 * samples as f64 / rate;
    let below = |hz: &&f64| **hz < 8_000.0;
    let bands = from.band_centres().iter().filter(below).count();
    let bounds = [
        ("sample rate in Hz", rate, 16_000.0, 24_000.0),
        ("lowest edge in Hz", from.f_min, 0.0, 80.0),
        ("highest edge in Hz", from.f_max, 7_600.0, 12_000.0),
        ("number of bands below 8000 Hz", bands as f64, 71.0, 89.0),
        ("hop in ms", milliseconds(from.hop), 9.9, 12.5),
        ("window in ms", milliseconds(from.win_length), 39.9, 50.0),
        ("n_fft in ms", milliseconds(from.n_fft), 42.6, 92.9),
        ("power", from.power, 1.0, 2.0),
        ("magnitude_epsilon", from.magnitude_epsilon, 0.0, 1e-9),
    ];
    let within = |found: f64, low: f64, high: f64| (low..=high).contains(&found);
    let (what, found, low, high) = bounds
        .into_iter()
        .find(|(_, found, low, high)| !within(*found, *low, *high))?;
    Some(format!(
        "its {what} is {found:.4}, and what was measured to lose little has {low} to {high}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "hifigan";

    fn named(name: &str) -> MelConvention {
        MelConvention::named(name).unwrap()
    }

    fn refusal(from: &MelConvention, to: &str) -> Option<String> {
        match verdict(from, &named(to)) {
            Verdict::Taken(_) => None,
            Verdict::Refused(reason) => Some(reason),
        }
    }

    #[test]
    fn every_named_convention_is_exact_or_measured() {
        for name in MelConvention::names() {
            let from = named(name);
            let exact = mismatches(&from, &named(TARGET)).is_empty();
            let measured = TARGETS[0].measured(&from);
            assert!(exact || measured.is_some(), "{name}");
            // What loses little is what the bounds are drawn around.
            if let Some((_, loss)) = measured {
                assert_eq!(outside(&from).is_none(), loss <= BEARABLE, "{name}");
                assert_eq!(refusal(&from, TARGET).is_none(), loss <= BEARABLE, "{name}");
            }
        }
    }

    #[test]
    fn a_refusal_has_the_figure_or_the_setting() {
        let reason = refusal(&named("speecht5"), TARGET).unwrap();
        assert!(
            reason.contains("speecht5") && reason.contains("PESQ"),
            "{reason}"
        );
        let mut narrow = named("tacotron2");
        narrow.f_max = 4_000.0;
        let reason = refusal(&narrow, TARGET).unwrap();
        assert!(reason.contains("highest edge in Hz is 4000"), "{reason}");
        let reason = refusal(&named("espnet"), "vocos24k").unwrap();
        assert!(reason.contains("of `bigvgan24k` alone"), "{reason}");
        assert!(refusal(&named("bigvgan24k"), "vocos24k").is_none());
        let reason = refusal(&named("espnet"), "speecht5").unwrap();
        assert!(reason.contains("`hifigan` or `vocos24k`"), "{reason}");
    }

    #[test]
    fn powers_and_hops_of_ten_to_twelve_milliseconds_are_taken() {
        let mut powers = named("hifigan");
        powers.power = 2.0;
        let framed = |rate, hop, win_length, n_fft| MelConvention {
            sample_rate: rate,
            hop,
            win_length,
            n_fft,
            ..named("espnet")
        };
        for from in [
            powers,
            framed(22_050, 275, 1_100, 2_048),
            framed(24_000, 300, 1_200, 2_048),
            framed(16_000, 200, 800, 1_024),
            framed(22_050, 220, 880, 1_024),
        ] {
            let reason = refusal(&from, TARGET);
            assert!(reason.is_none(), "{reason:?}");
        }
        let reason = refusal(&framed(16_000, 128, 800, 1_024), TARGET).unwrap();
        assert!(reason.contains("hop in ms is 8"), "{reason}");
    }

    #[test]
    fn another_name_or_logarithm_does_not_hide_what_was_measured() {
        let mut mine = named("speecht5");
        mine.name = "mine".to_owned();
        mine.compression.floor = 1e-5;
        assert!(refusal(&mine, TARGET).unwrap().contains("speecht5"));
    }
}
