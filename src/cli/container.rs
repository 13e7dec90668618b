//! What a sound is written as: by the name of its file, or as the caller says.

use std::path::Path;

use clap::ValueEnum;

use super::args::FormatArg;
use super::error::CliError;
use super::output::Target;
use crate::audio::{AudioError, Encoded, Encoding, Provenance, SampleFormat, encode_wav};

/// A kind of sound file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Container {
    /// WAV
    #[default]
    Wav,
    /// FLAC, 16-bit
    Flac,
    /// Opus of 64 kbit/s in an Ogg file
    Opus,
    /// Samples without a header, little-endian
    Raw,
}

impl Container {
    /// Endings of files that are sounds, and the kind that each means.
    const ENDINGS: [(&str, Container); 5] = [
        ("wav", Container::Wav),
        ("flac", Container::Flac),
        ("opus", Container::Opus),
        ("raw", Container::Raw),
        ("pcm", Container::Raw),
    ];

    /// The endings of the files that are written.
    pub(super) const EXTENSIONS: [&str; 5] = [
        Self::ENDINGS[0].0,
        Self::ENDINGS[1].0,
        Self::ENDINGS[2].0,
        Self::ENDINGS[3].0,
        Self::ENDINGS[4].0,
    ];

    /// The ending of a file of this kind.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Container::Wav => "wav",
            Container::Flac => "flac",
            Container::Opus => "opus",
            Container::Raw => "raw",
        }
    }

    /// What is written to a target: what `asked` for, or what the ending of its name says, or WAV.
    ///
    /// # Errors
    /// [`CliError::Usage`] where the two contradict each other.
    pub(super) fn of(target: &Target, asked: Option<Container>) -> Result<Container, CliError> {
        let named = match target {
            Target::Stdout => None,
            Target::File(path) => Container::named(path),
        };
        match (named, asked) {
            (Some(named), Some(asked)) if named != asked => Err(CliError::usage(format!(
                "-o {} says {}, and --container says {}: give one of them another",
                target.label(),
                named.extension(),
                asked.extension()
            ))),
            (named, asked) => Ok(asked.or(named).unwrap_or_default()),
        }
    }

    fn named(path: &Path) -> Option<Container> {
        let ending = path.extension()?.to_string_lossy().to_lowercase();
        let known = Self::ENDINGS.into_iter().find(|(name, _)| *name == ending);
        known.map(|(_, container)| container)
    }

    /// How the samples are stored, where that can be.
    ///
    /// # Errors
    /// [`CliError::Usage`] for another format than 16 bits in FLAC or Opus.
    pub(super) fn check(self, format: FormatArg) -> Result<(), CliError> {
        match (self, SampleFormat::from(format)) {
            (Container::Wav | Container::Raw, _) | (_, SampleFormat::S16) => Ok(()),
            (Container::Flac, _) => Err(CliError::usage(
                "FLAC is written in 16 bits: leave --format out, or write a .wav file",
            )),
            (Container::Opus, _) => Err(CliError::usage(
                "Opus has no format of samples: leave --format out, or write a .wav file",
            )),
        }
    }

    /// How samples are written that come piece by piece.
    pub(super) fn encoding(self, format: FormatArg) -> Encoding {
        match self {
            Container::Wav => Encoding::Wav(format.into()),
            Container::Flac => Encoding::Flac,
            Container::Opus => Encoding::Opus,
            Container::Raw => Encoding::Pcm(format.into()),
        }
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// A sample rate that the kind of file does not have.
    pub(super) fn encode(
        self,
        samples: &[f32],
        rate: u32,
        format: FormatArg,
        provenance: &Provenance,
    ) -> Result<Encoded, AudioError> {
        match self {
            Container::Wav => encode_wav(samples, rate, format.into(), provenance),
            Container::Raw => Encoding::Pcm(format.into()).encode(samples, rate),
            Container::Flac | Container::Opus => {
                let encoding = self.encoding(format);
                encoding.encode_with(samples, rate, provenance)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_is_written() {
        let of = |name: &str, asked| Container::of(&Target::File(name.into()), asked);
        assert_eq!(of("a.FLAC", None).unwrap(), Container::Flac);
        assert_eq!(of("a.opus", None).unwrap(), Container::Opus);
        assert_eq!(of("a.pcm", None).unwrap(), Container::Raw);
        assert_eq!(of("a", None).unwrap(), Container::Wav);
        assert_eq!(of("a", Some(Container::Raw)).unwrap(), Container::Raw);
        assert!(of("a.wav", Some(Container::Flac)).is_err());
        let asked = Some(Container::Flac);
        assert_eq!(
            Container::of(&Target::Stdout, asked).unwrap(),
            Container::Flac
        );
        for (ending, _) in Container::ENDINGS {
            assert!(Container::EXTENSIONS.contains(&ending));
        }
    }
}
