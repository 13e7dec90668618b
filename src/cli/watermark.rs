//! The flags of a watermark.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;

use super::error::CliError;
use super::jobs::Source;
use crate::watermark::{Key, Watermark};

/// Bytes of a file with a key.
const MAX_KEY_BYTES: u64 = 1 << 16;

/// Whether audio gets a watermark.
#[derive(Args, Clone, Debug, Default)]
pub struct WatermarkArgs {
    /// Put a watermark in, which `vocode detect` finds: 32 bits in up to 8 hexadecimal digits [default of HEX: a hash of the model and the key]
    #[arg(
        long,
        env = "VOCODE_WATERMARK",
        value_name = "HEX",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "auto"
    )]
    pub watermark: Option<PayloadArg>,
    /// File with the watermark's key, at least 16 bytes: only who has it finds the watermark [default: a key that everybody has]
    #[arg(long, env = "VOCODE_WATERMARK_KEY", value_name = "FILE")]
    pub watermark_key: Option<PathBuf>,
}

/// What a watermark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadArg {
    /// A hash of the model and the key.
    Auto,
    /// These bits.
    Bits(u32),
}

impl FromStr for PayloadArg {
    type Err = String;

    fn from_str(text: &str) -> Result<PayloadArg, String> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        match u32::from_str_radix(digits, 16) {
            _ if text == "auto" => Ok(PayloadArg::Auto),
            Ok(bits) if !digits.starts_with('+') => Ok(PayloadArg::Bits(bits)),
            _ => Err("expected up to 8 hexadecimal digits, as in 1a2b3c4d, or auto".to_owned()),
        }
    }
}

impl PayloadArg {
    /// The bits; `None` for those that go by the model.
    pub(super) fn bits(self) -> Option<u32> {
        match self {
            PayloadArg::Auto => None,
            PayloadArg::Bits(bits) => Some(bits),
        }
    }
}

impl WatermarkArgs {
    /// The watermark for audio of the model with this hash, where one is asked for.
    ///
    /// # Errors
    /// [`CliError::Read`] for a key that cannot be read or is too short.
    pub(super) fn of_model(&self, sha256: &str) -> Result<Option<Watermark>, CliError> {
        let Some(payload) = self.watermark else {
            return Ok(None);
        };
        let key = read_key(self.watermark_key.as_deref())?;
        let watermark = Watermark::new(&key, payload.bits().unwrap_or_default());
        Ok(Some(match payload {
            PayloadArg::Auto => watermark.saying_usual(sha256),
            PayloadArg::Bits(_) => watermark,
        }))
    }

    /// What to say of a key that nothing is done with.
    pub(super) fn remark(&self) -> Option<&'static str> {
        let idle = self.watermark.is_none() && self.watermark_key.is_some();
        idle.then_some("--watermark-key alone puts no watermark in: give --watermark too")
    }
}

/// The key in a file, or that of everybody.
///
/// # Errors
/// [`CliError::Read`] for a file that cannot be read or is too short.
pub(super) fn read_key(file: Option<&Path>) -> Result<Key, CliError> {
    let Some(file) = file else {
        return Ok(Key::public());
    };
    let secret = Source::File(file.into()).read_all(MAX_KEY_BYTES)?;
    Key::new(&secret).map_err(|error| {
        let error = io::Error::new(io::ErrorKind::InvalidData, error);
        CliError::read(file.display().to_string(), error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_hexadecimal() {
        let read = |text: &str| text.parse::<PayloadArg>();
        assert_eq!(read("1a2B3c4d"), Ok(PayloadArg::Bits(0x1a2b_3c4d)));
        assert_eq!(read("0x7"), Ok(PayloadArg::Bits(7)));
        assert_eq!(read("auto"), Ok(PayloadArg::Auto));
        for bad in ["", "123456789", "xyz", "+1", "-1", "0x"] {
            assert!(
                read(bad).unwrap_err().contains("8 hexadecimal digits"),
                "{bad}"
            );
        }
    }

    #[test]
    fn without_the_flag_there_is_none() {
        assert_eq!(WatermarkArgs::default().of_model("aa").unwrap(), None);
        let args = WatermarkArgs {
            watermark: Some(PayloadArg::Auto),
            watermark_key: None,
        };
        let made = args.of_model("aa").unwrap().map(|mark| mark.payload());
        assert_eq!(made, Some(Watermark::usual_payload("aa", &Key::public())));
    }
}
