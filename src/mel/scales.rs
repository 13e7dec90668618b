//! The scales that people's mels come in, each tried on a mel that natural logarithms cannot be: undone, does speech come out?

use ndarray::Array2;

use super::guess::{Guess, Likelihood, Statistics};
use super::traits::Traits;
use super::{Compression, LogKind, Mel, MelConvention};

/// A distance from speech beyond which nothing is named: that of the worst of 240 clips is 22.
const FARTHEST: f64 = 24.0;
/// Mean and standard deviation of speech in natural logarithms, as Matcha has them for LJSpeech; others come near.
const SPEECH_MEAN: f64 = -5.536_622;
const SPEECH_STD: f64 = 2.116_101;
/// How near to a bound a value counts as clipped to it.
const AT_BOUND: f32 = 1e-4;

/// A scale: what it is called, how it is written, and what else to know.
struct Scale {
    name: &'static str,
    compression: Option<Compression>,
    recipe: &'static str,
    /// Why, or what to watch.
    more: &'static str,
}

/// Decibels of magnitude, 20 below their value and mapped from -100..0 to these bounds, as Rayhane's Tacotron 2 and Coqui do.
fn mapped(low: f64, high: f64) -> Option<Compression> {
    let scale = (high - low) / 100.0;
    Some(Compression {
        kind: LogKind::Db,
        scale,
        offset: low + 80.0 * scale,
        clip: Some([low, high]),
        ..Compression::ln(1e-5)
    })
}

const EDGES: &str = "; where its bands do not span 0 to 8000 Hz give `f_min` and `f_max` too, and `approximate_mel`";

fn scales() -> [Scale; 6] {
    [
        Scale {
            name: "logarithm to base 10",
            compression: Some(Compression {
                kind: LogKind::Log10,
                ..Compression::ln(1e-10)
            }),
            recipe: "{ kind = \"log10\", floor = 1e-10 }",
            more: "; of a mel of ESPnet, ParallelWaveGAN or TensorFlowTTS, whose bands span 80 to 7600 Hz, pass `mel_convention` espnet and `approximate_mel` instead",
        },
        Scale {
            name: "decibels mapped to -4 to 4",
            compression: mapped(-4.0, 4.0),
            recipe: "{ kind = \"db\", floor = 1e-5, scale = 0.08, offset = 2.4, clip = [-4, 4] }",
            more: EDGES,
        },
        Scale {
            name: "values mapped to -1 to 1",
            compression: mapped(-1.0, 1.0),
            recipe: "{ kind = \"db\", floor = 1e-5, scale = 0.02, offset = 0.6, clip = [-1, 1] }",
            more: ", which is for decibels from -100 to 0; where the least and the greatest value of a training set were mapped to -1 and 1, \
                   `compression = { scale = 2 / (MAX - MIN), offset = -1 - 2 * MIN / (MAX - MIN) }` with the numbers worked out",
        },
        Scale {
            name: "values mapped to 0 to 1",
            compression: mapped(0.0, 1.0),
            recipe: "{ kind = \"db\", floor = 1e-5, scale = 0.01, offset = 0.8, clip = [0, 1] }",
            more: EDGES,
        },
        Scale {
            name: "decibels",
            compression: Some(Compression {
                kind: LogKind::Db,
                ..Compression::ln(1e-5)
            }),
            recipe: "{ kind = \"db\", floor = 1e-5 }",
            more: EDGES,
        },
        Scale {
            name: "z-normalised values",
            compression: None,
            recipe: "{ mean = M, std = S }",
            more: ", M and S (a number each, or a list of one for each band) from the training of the model that made the mel",
        },
    ]
}

/// The scales that make speech of a mel, the likeliest first; `base` is the preset that they are spelled out from.
pub(super) fn likely_scales(mel: &Mel, s: &Statistics, base: &MelConvention) -> Vec<Guess> {
    let mut found: Vec<(f64, Guess)> = scales()
        .into_iter()
        .filter_map(|scale| {
            let mut compression = scale.compression.clone().unwrap_or_else(|| Compression {
                mean: SPEECH_MEAN,
                std: SPEECH_STD,
                ..Compression::ln(1e-5)
            });
            if compression.kind == LogKind::Log10 && s.min >= -5.1 {
                compression.floor = 1e-5;
            }
            if let Some([low, high]) = compression.clip
                && (f64::from(s.min) < low - 1e-3 || f64::from(s.max) > high + 1e-3)
            {
                return None;
            }
            let convention = MelConvention {
                name: format!("{}, {}", base.name, scale.name),
                n_mels: mel.n_mels(),
                compression,
                ..base.clone()
            };
            let traits = Traits::of(&nepers(mel, &convention), &convention)?;
            let distance = traits.distance();
            (traits.oddity().is_none() && distance < FARTHEST).then(|| {
                let known = scale.compression.is_some();
                let distance = distance - bonus(s, &scale, &convention);
                (distance, guess(&scale, convention.clone(), known, s))
            })
        })
        .collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found.into_iter().map(|(_, guess)| guess).collect()
}

/// The marks that settle what the distances leave open: a bound that values were clipped to, a mean of 0 with a deviation of 1.
fn bonus(s: &Statistics, scale: &Scale, convention: &MelConvention) -> f64 {
    match convention.compression.clip {
        Some([low, high]) => {
            let at = |bound: f64, value: f32| (value - bound as f32).abs() <= AT_BOUND;
            if at(low, s.min) || at(high, s.max) {
                FARTHEST
            } else {
                0.0
            }
        }
        None if scale.compression.is_none()
            && s.mean.abs() < 0.6
            && (0.6..1.4).contains(&s.std) =>
        {
            FARTHEST / 2.0
        }
        None => 0.0,
    }
}

fn guess(scale: &Scale, convention: MelConvention, known: bool, s: &Statistics) -> Guess {
    let base = if convention.n_mels == 100 {
        "vocos24k"
    } else {
        "hifigan"
    };
    let recipe = match convention.compression.floor {
        floor if known && floor > 1e-9 => scale.recipe.replace("1e-10", "1e-5"),
        _ => scale.recipe.to_owned(),
    };
    let moments = match known {
        true => String::new(),
        false => format!(": mean {:.2}, standard deviation {:.2}", s.mean, s.std),
    };
    Guess {
        name: scale.name.to_owned(),
        reason: format!(
            "values from {:.3} to {:.3}{moments}; undone, they run as speech does",
            s.min, s.max
        ),
        advice: format!(
            "pass as `mel_convention` a TOML file with `base = \"{base}\"` and `compression = {recipe}`{}",
            scale.more
        ),
        convention: known.then_some(convention),
        likelihood: Likelihood::Strong,
    }
}

/// Natural logarithms of the band magnitudes behind a mel.
pub(super) fn nepers(mel: &Mel, convention: &MelConvention) -> Array2<f64> {
    mel.view().mapv(|v| convention.ln_magnitude(v))
}
