//! API keys: a file of them, one a line.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::RwLock;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tokio::sync::watch;
use tonic::Status;
use tonic::codegen::http::HeaderMap;
use tonic::codegen::http::header::AUTHORIZATION;

use super::ServerError;

/// Bytes of a key file; room for thousands of keys.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// SHA-256 of a key.
pub(super) type KeyHash = [u8; 32];

/// The keys that callers may show, kept as their SHA-256.
pub(super) struct Keys {
    path: PathBuf,
    hashes: RwLock<Vec<KeyHash>>,
    reloads: watch::Sender<()>,
}

impl Keys {
    pub fn load(path: &Path) -> Result<Keys, ServerError> {
        Ok(Keys {
            path: path.to_owned(),
            hashes: RwLock::new(read(path)?),
            reloads: watch::Sender::new(()),
        })
    }

    /// Reads the file again. With an error the keys stay as they were.
    pub fn reload(&self) -> Result<usize, ServerError> {
        let fresh = read(&self.path)?;
        let count = fresh.len();
        *self
            .hashes
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = fresh;
        self.reloads.send_replace(());
        Ok(count)
    }

    /// Ends when the file was read again and the key is no longer in it.
    pub async fn revoked(&self, key: &KeyHash) {
        let mut reloads = self.reloads.subscribe();
        // The sender lives as long as this.
        while self.knows(key) && reloads.changed().await.is_ok() {}
    }

    /// Lets a call with `authorization: Bearer KEY` through, and says which key it was.
    pub fn admit(&self, headers: &HeaderMap) -> Result<KeyHash, Status> {
        let shown = headers.get(AUTHORIZATION).ok_or_else(|| {
            Status::unauthenticated(
                "no API key came with the call; send metadata `authorization: Bearer KEY`",
            )
        })?;
        let (scheme, key) = shown.as_bytes().split_at_checked(7).unwrap_or_default();
        let hash = hash(key.trim_ascii());
        if scheme.eq_ignore_ascii_case(b"bearer ") && self.knows(&hash) {
            return Ok(hash);
        }
        Err(Status::unauthenticated(
            "the API key is unknown; expected metadata `authorization: Bearer KEY`",
        ))
    }

    /// Compares with every key, in a time that tells nothing of any.
    fn knows(&self, hash: &KeyHash) -> bool {
        let hashes = self
            .hashes
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let found = hashes
            .iter()
            .fold(Choice::from(0), |found, known| found | known.ct_eq(hash));
        found.into()
    }
}

fn hash(key: &[u8]) -> KeyHash {
    Sha256::digest(key).into()
}

fn read(path: &Path) -> Result<Vec<KeyHash>, ServerError> {
    let mut text = String::new();
    let length = File::open(path)
        .and_then(|file| {
            check_mode(&file)?;
            file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)
        })
        .map_err(|source| ServerError::Read {
            option: "api_keys",
            path: path.to_owned(),
            source,
        })?;
    let parsed = match length as u64 > MAX_FILE_BYTES {
        true => Err(format!("it is longer than {MAX_FILE_BYTES} bytes")),
        false => parse(&text),
    };
    parsed.map_err(|reason| ServerError::Keys {
        path: path.to_owned(),
        reason,
    })
}

/// Whoever may write the file lets callers in: nobody but its owner may.
#[cfg(unix)]
fn check_mode(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata()?.permissions().mode();
    match mode & 0o022 {
        0 => Ok(()),
        _ => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "others than its owner may write it (mode {:o}); run chmod go-w on it",
                mode & 0o777
            ),
        )),
    }
}

#[cfg(not(unix))]
fn check_mode(_: &File) -> io::Result<()> {
    Ok(())
}

fn parse(text: &str) -> Result<Vec<KeyHash>, String> {
    let mut hashes = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if !line.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "line {} holds something other than one key of visible ASCII characters",
                number + 1
            ));
        }
        hashes.push(hash(line.as_bytes()));
    }
    match hashes.is_empty() {
        true => {
            Err("there is no key in it; put one on each line, or leave `api_keys` out".to_owned())
        }
        false => Ok(hashes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;
    use tonic::codegen::http::HeaderValue;

    fn admits(keys: &Keys, shown: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(shown).unwrap());
        match keys.admit(&headers) {
            Ok(_) => true,
            Err(status) => {
                assert_eq!(status.code(), Code::Unauthenticated);
                false
            }
        }
    }

    #[test]
    fn only_whole_keys_of_the_file_are_admitted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "# staff\nalpha-1\n\n  beta-2  \n").unwrap();
        let keys = Keys::load(file.path()).unwrap();
        assert!(admits(&keys, "Bearer alpha-1") && admits(&keys, "bearer beta-2"));
        for bad in [
            "Bearer alpha",
            "Bearer alpha-12",
            "Bearer # staff",
            "Bearer ",
            "Basic alpha-1",
            "alpha-1",
            "B",
        ] {
            assert!(!admits(&keys, bad), "{bad}");
        }
        assert!(keys.admit(&HeaderMap::new()).is_err());
    }

    #[test]
    fn a_broken_file_keeps_the_old_keys() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "old\n").unwrap();
        let keys = Keys::load(file.path()).unwrap();
        for broken in ["", "# nothing\n", "two words\n"] {
            std::fs::write(file.path(), broken).unwrap();
            assert!(keys.reload().is_err(), "{broken}");
            assert!(admits(&keys, "Bearer old"));
        }
        std::fs::write(file.path(), "new\n").unwrap();
        assert_eq!(keys.reload().unwrap(), 1);
        assert!(admits(&keys, "Bearer new") && !admits(&keys, "Bearer old"));
    }
}
