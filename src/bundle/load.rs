//! Bytes of a bundle, from a folder.

use super::{BundleError, Manifest, external};
use crate::hash::sha256;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Largest `bundle.toml` that is read, in bytes.
pub const MAX_MANIFEST_BYTES: u64 = 1 << 20;
/// Largest graph that is read, in bytes.
pub const MAX_GRAPH_BYTES: u64 = 1 << 30;

/// Name of a bundle's manifest.
pub const MANIFEST: &str = "bundle.toml";
const CONDITIONER: &str = "conditioner.onnx";
const DENOISER: &str = "denoiser.onnx";
const DENOISER_INT8: &str = "denoiser.int8.onnx";

/// A model: a checked manifest and the graphs that match its hashes.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The contents of `bundle.toml`.
    pub manifest: Manifest,
    /// The bytes of `conditioner.onnx`.
    pub conditioner: Cow<'static, [u8]>,
    /// The bytes of `denoiser.onnx`.
    pub denoiser: Cow<'static, [u8]>,
    /// The bytes of `denoiser.int8.onnx`, the same denoiser in 8-bit integers, where the bundle has it.
    pub denoiser_int8: Option<Cow<'static, [u8]>>,
    /// SHA-256 of the bytes of `bundle.toml`. The manifest holds the hashes of the graphs, which have been checked, so this one
    /// number names the whole bundle; `sha256sum bundle.toml` prints it.
    pub sha256: String,
}

impl Bundle {
    /// Reads the files of `folder`: three, and the denoiser in integers where the manifest has its hash.
    ///
    /// # Errors
    /// Files that are missing, too large, out of their format or not of one export.
    pub fn from_dir(folder: &Path) -> Result<Bundle, BundleError> {
        if !folder.is_dir() {
            return Err(BundleError::NotAFolder {
                path: folder.to_owned(),
            });
        }
        let manifest = read(folder, MANIFEST, MAX_MANIFEST_BYTES)?;
        let conditioner = read(folder, CONDITIONER, MAX_GRAPH_BYTES)?;
        let denoiser = read(folder, DENOISER, MAX_GRAPH_BYTES)?;
        let bundle = Bundle::from_bytes(&manifest, Cow::Owned(conditioner), Cow::Owned(denoiser))?;
        match bundle.manifest.sha256.denoiser_int8 {
            Some(_) => bundle.with_int8(Cow::Owned(read(folder, DENOISER_INT8, MAX_GRAPH_BYTES)?)),
            None => Ok(bundle),
        }
    }

    /// Puts a bundle together from the bytes of its files, without the denoiser in integers.
    ///
    /// # Errors
    /// A manifest out of its format, graphs with other hashes than it says, or with data outside of the graph.
    pub fn from_bytes(
        manifest: &[u8],
        conditioner: Cow<'static, [u8]>,
        denoiser: Cow<'static, [u8]>,
    ) -> Result<Bundle, BundleError> {
        let sha256 = sha256(manifest);
        let manifest = Manifest::from_bytes(manifest)?;
        check_hash(CONDITIONER, &manifest.sha256.conditioner, &conditioner)?;
        check_hash(DENOISER, &manifest.sha256.denoiser, &denoiser)?;
        external::refuse(CONDITIONER, &conditioner)?;
        external::refuse(DENOISER, &denoiser)?;
        Ok(Bundle {
            manifest,
            conditioner,
            denoiser,
            denoiser_int8: None,
            sha256,
        })
    }

    /// The bundle with its denoiser in 8-bit integers, the bytes of `denoiser.int8.onnx`.
    ///
    /// # Errors
    /// A graph with another hash than the manifest says, or with data outside of it.
    pub fn with_int8(mut self, denoiser: Cow<'static, [u8]>) -> Result<Bundle, BundleError> {
        let expected = self.manifest.sha256.denoiser_int8.as_deref();
        check_hash(DENOISER_INT8, expected.unwrap_or("none"), &denoiser)?;
        external::refuse(DENOISER_INT8, &denoiser)?;
        self.denoiser_int8 = Some(denoiser);
        Ok(self)
    }
}

fn read(folder: &Path, file: &'static str, limit: u64) -> Result<Vec<u8>, BundleError> {
    let path = folder.join(file);
    let mut bytes = Vec::new();
    // Opening a pipe would wait for its writer.
    let read = std::fs::metadata(&path).and_then(|meta| match meta.is_file() {
        true => File::open(&path)?.take(limit + 1).read_to_end(&mut bytes),
        false => Err(io::Error::other("it is not a regular file")),
    });
    match read {
        Err(source) => Err(BundleError::Read { path, source }),
        Ok(length) if length as u64 > limit => Err(BundleError::TooLarge { file, limit }),
        Ok(_) => Ok(bytes),
    }
}

fn check_hash(file: &'static str, expected: &str, bytes: &[u8]) -> Result<(), BundleError> {
    let found = sha256(bytes);
    match found == expected {
        true => Ok(()),
        false => Err(BundleError::Hash {
            file,
            expected: expected.to_owned(),
            found,
        }),
    }
}
