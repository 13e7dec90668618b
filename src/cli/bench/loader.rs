//! The model that is measured.

use crate::bundle::Bundle;
use crate::cli::error::CliError;
use crate::runtime::{Runtime, SessionOptions};
use crate::vocoder::Vocoder;

/// The model, to be loaded as often as it takes.
pub(super) struct Loader<'a> {
    pub(super) bundle: &'a Bundle,
    pub(super) runtime: &'a Runtime,
    pub(super) options: SessionOptions,
}

impl Loader<'_> {
    pub(super) fn load(&self, threads: usize) -> Result<Vocoder, CliError> {
        let options = SessionOptions {
            threads: Some(threads),
            ..self.options.clone()
        };
        Ok(Vocoder::new(self.bundle.clone(), self.runtime, &options)?)
    }
}
