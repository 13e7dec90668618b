//! The secret that a watermark is made and found with.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// The secret of everybody: what is used where no key is given.
const PUBLIC: &[u8] = b"vocode: the public watermark key";
/// Fewest bytes of a secret.
const SHORTEST: usize = 16;

/// What a watermark is put in and found with. Who has it can find the watermark, put it into other audio, and take it out.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

/// A secret that is none.
#[derive(Debug, Error)]
#[error(
    "a watermark key has at least {SHORTEST} bytes, found {found}; `openssl rand -hex 32` makes one"
)]
pub struct KeyError {
    /// Bytes of the secret, without the line's end.
    pub found: usize,
}

impl Key {
    /// The key that everybody has.
    pub fn public() -> Key {
        Key(Sha256::digest(PUBLIC).into())
    }

    /// The key of a secret, such as the contents of a file. White space at its end does not count.
    ///
    /// # Errors
    /// [`KeyError`] for a secret of fewer than 16 bytes.
    pub fn new(secret: &[u8]) -> Result<Key, KeyError> {
        let secret = secret.trim_ascii_end();
        match secret.len() {
            0..SHORTEST => Err(KeyError {
                found: secret.len(),
            }),
            _ => Ok(Key(Sha256::digest(secret).into())),
        }
    }

    /// Bytes that only the key tells, without end; others for each purpose. HMAC-SHA256 (RFC 2104) of the purpose and a counter.
    pub(super) fn bytes(&self, purpose: &str) -> impl Iterator<Item = u8> {
        (0u32..).flat_map(move |counter| self.block(purpose, counter))
    }

    fn block(&self, purpose: &str, counter: u32) -> [u8; 32] {
        // HMAC takes keys of any length; the type's error has no other cause.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            return self.0;
        };
        mac.update(purpose.as_bytes());
        mac.update(&counter.to_be_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl Default for Key {
    fn default() -> Key {
        Key::public()
    }
}

/// Tells nothing of the secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_line_is_no_part_of_a_key() {
        let key = Key::new(b"0123456789abcdef").unwrap();
        assert_eq!(Key::new(b"0123456789abcdef\r\n").unwrap(), key);
        assert_ne!(Key::new(b"0123456789abcdeg").unwrap(), key);
        assert_ne!(Key::public(), key);
    }

    #[test]
    fn a_short_secret_is_refused_and_none_is_printed() {
        let error = Key::new(b"short \n").unwrap_err().to_string();
        assert!(error.contains("at least 16 bytes, found 5"), "{error}");
        let shown = format!("{:?}", Key::new(b"0123456789abcdef").unwrap());
        assert_eq!(shown, "Key(..)");
    }

    #[test]
    fn the_bytes_differ_by_key_and_purpose() {
        let bytes = |key: &Key, purpose| key.bytes(purpose).take(100).collect::<Vec<u8>>();
        let (one, other) = (Key::public(), Key::new(&[7; 16]).unwrap());
        assert_eq!(bytes(&one, "a"), bytes(&one, "a"));
        assert_ne!(bytes(&one, "a"), bytes(&one, "b"));
        assert_ne!(bytes(&one, "a"), bytes(&other, "a"));
    }
}
