//! The conventions that have a name, and those that a TOML file spells out.

use super::{Compression, FilterNorm, Framing, LogKind, MelConvention, MelError, MelScale};
use crate::text::{quoted, toml_reason};

/// The files of `conventions/`, by name.
macro_rules! ready {
    ($($name:literal),*) => {
        const READY: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../conventions/", $name, ".toml")))),*];
        const NAMES: &[&str] = &["hifigan", "tacotron2", "lmnt", "vocos24k", $($name),*];
    };
}

ready!(
    "matcha",
    "fastspeech2",
    "rayhane",
    "coqui",
    "espnet",
    "parallelwavegan",
    "nemo",
    "bigvgan22k",
    "bigvgan24k",
    "f5tts",
    "speecht5",
    "cosyvoice2"
);

impl MelConvention {
    /// The preset of that name: one of [`MelConvention::names`].
    ///
    /// - `hifigan`: HiFi-GAN, BigVGAN at 22,050 Hz, and the pipelines that feed them.
    /// - `tacotron2`: NVIDIA's Tacotron 2 and WaveGlow; the same bands, centred frames.
    /// - `lmnt`: lmnt-com/diffwave; dB mapped to [0, 1].
    /// - `vocos24k`: Vocos at 24,000 Hz.
    ///
    /// The others are the files of `conventions/`, which say where they come from.
    pub fn named(name: &str) -> Option<MelConvention> {
        let hifigan = MelConvention {
            name: name.to_owned(),
            sample_rate: 22_050,
            n_fft: 1024,
            win_length: 1024,
            hop: 256,
            n_mels: 80,
            f_min: 0.0,
            f_max: 8_000.0,
            scale: MelScale::Slaney,
            norm: FilterNorm::Slaney,
            framing: Framing::Hop,
            power: 1.0,
            magnitude_epsilon: 1e-9,
            gain: 1.0,
            compression: Compression::ln(1e-5),
        };
        let centred = MelConvention {
            framing: Framing::Center,
            magnitude_epsilon: 0.0,
            ..hifigan.clone()
        };
        let htk = MelConvention {
            scale: MelScale::Htk,
            norm: FilterNorm::None,
            ..centred.clone()
        };
        Some(match name {
            "hifigan" => hifigan,
            "tacotron2" => centred,
            "lmnt" => MelConvention {
                f_min: 20.0,
                f_max: 11_025.0,
                // torchaudio's `normalized=True`: sum of the squared periodic Hann window of 1024 is 384.
                gain: 1.0 / 384f64.sqrt(),
                // 20 log10(max(x, 1e-5)) - 20, then (S + 100) / 100 clipped to [0, 1].
                compression: Compression {
                    kind: LogKind::Db,
                    scale: 0.01,
                    offset: 0.8,
                    clip: Some([0.0, 1.0]),
                    ..Compression::ln(1e-5)
                },
                ..htk
            },
            "vocos24k" => MelConvention {
                sample_rate: 24_000,
                n_mels: 100,
                f_max: 12_000.0,
                compression: Compression::ln(1e-7),
                ..htk
            },
            _ => {
                let (_, text) = READY.iter().find(|(ready, _)| *ready == name)?;
                return MelConvention::from_toml(text).ok();
            }
        })
    }

    /// The names of the presets.
    pub fn names() -> &'static [&'static str] {
        NAMES
    }

    /// Reads a convention from TOML: every field, or `base = "<preset>"` and the fields that differ.
    ///
    /// # Errors
    /// [`MelError::ConventionSyntax`], [`MelError::UnknownConvention`] for the base, [`MelError::ConventionField`].
    pub fn from_toml(text: &str) -> Result<MelConvention, MelError> {
        MelConvention::from_toml_as(text, None)
    }

    /// [`MelConvention::from_toml`] with a name for messages, such as that of the file, where the text gives none beside its `base`.
    ///
    /// # Errors
    /// As above.
    pub fn from_toml_as(text: &str, name: Option<&str>) -> Result<MelConvention, MelError> {
        let syntax = |e: toml::de::Error| MelError::ConventionSyntax(toml_reason(&e, text));
        let mut table: toml::Table = toml::from_str(text).map_err(syntax)?;
        let convention: MelConvention = match table.remove("base") {
            None => toml::from_str(text).map_err(syntax)?,
            Some(base) => {
                let base = base.as_str().ok_or_else(|| {
                    MelError::ConventionSyntax(
                        "`base` must be the name of a preset, in quotes".to_owned(),
                    )
                })?;
                let preset =
                    MelConvention::named(base).ok_or_else(|| MelError::UnknownConvention {
                        name: quoted(base),
                        known: NAMES,
                    })?;
                let mut merged = toml::Table::try_from(&preset)
                    .map_err(|e| MelError::ConventionSyntax(e.to_string()))?;
                let unnamed = format!("{base}-based");
                merged.insert("name".to_owned(), name.unwrap_or(&unnamed).into());
                merge(&mut merged, table);
                merged.try_into().map_err(syntax)?
            }
        };
        convention.validate()?;
        Ok(convention)
    }
}

/// Lays `over` on `base`, table by table.
fn merge(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(value)) => merge(inner, value),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mel::FloorMode;

    #[test]
    fn every_name_is_a_valid_preset_and_survives_toml() {
        for name in MelConvention::names() {
            let preset = MelConvention::named(name).unwrap();
            assert_eq!(preset.name, *name);
            preset.validate().unwrap();
            let text = toml::to_string(&preset).unwrap();
            assert_eq!(MelConvention::from_toml(&text).unwrap(), preset, "{text}");
        }
        assert_eq!(MelConvention::named("melgan"), None);
    }

    #[test]
    fn presets_put_silence_where_the_literature_does() {
        let floor = |name: &str| MelConvention::named(name).unwrap().floor_value();
        assert!((floor("matcha") + 2.8242).abs() < 1e-4);
        assert_eq!((floor("rayhane"), floor("espnet")), (-4.0, -10.0));
        assert!((floor("hifigan") + 11.512_925).abs() < 1e-5);
        assert!((floor("vocos24k") + 16.118_095).abs() < 1e-5);
        assert_eq!(floor("lmnt"), 0.0);
        let ceiling = MelConvention::named("hifigan").unwrap().ceiling_value();
        assert!((3.0..3.4).contains(&ceiling), "{ceiling}");
        assert_eq!(MelConvention::named("lmnt").unwrap().ceiling_value(), 1.0);
    }

    #[test]
    fn a_file_may_start_from_a_preset() {
        let text = "base = \"hifigan\"\nname = \"mine\"\nf_max = 7600\n[compression]\nkind = \"log10\"\nfloor_mode = \"add\"";
        let got = MelConvention::from_toml(text).unwrap();
        let mut want = MelConvention::named("hifigan").unwrap();
        want.name = "mine".to_owned();
        want.f_max = 7600.0;
        want.compression.kind = LogKind::Log10;
        want.compression.floor_mode = FloorMode::Add;
        assert_eq!(got, want);
    }

    #[test]
    fn toml_errors_name_what_is_wrong() {
        let message = |text: &str| MelConvention::from_toml(text).unwrap_err().to_string();
        assert!(message("base = \"hifigam\"").contains("hifigan, tacotron2, lmnt, vocos24k"));
        assert!(message("base = 3").contains("name of a preset"));
        assert!(message("base = \"hifigan\"\nhopp = 3").contains("hopp"));
        assert!(message("name = \"x\"").contains("missing field"));
        assert!(message("name = ").contains("does not parse"));
        let long = format!("base = \"hifigan\"\nname = \"{}\"", "x".repeat(100_000));
        assert!(message(&long).contains("1 to 64 bytes") && message(&long).len() < 300);
        let cases = [
            ("hop = 0", "`hop` is 0"),
            ("n_mels = 100000", "`n_mels` is 100000"),
            ("n_fft = 100000000", "`n_fft`"),
            ("f_max = 20000", "up to 11025"),
            ("power = 3", "1 or 2"),
            ("gain = nan", "`gain` is NaN"),
            ("compression.floor = 0", "`compression.floor` is 0"),
            ("compression.std = inf", "`compression.std`"),
            ("compression.clip = [1, 0]", "low < high"),
        ];
        for (line, expected) in cases {
            let message = message(&format!("base = \"hifigan\"\n{line}"));
            assert!(message.contains(expected), "{line}: {message}");
        }
    }
}
