//! Sound on standard output while it is made.

use std::io::{self, Write};
use std::ops::ControlFlow;

use super::error::CliError;
use super::output::Target;
use crate::audio::{AudioError, Encoding, Provenance, StreamEncoder};

/// Standard output, which is a sound.
pub(super) struct Pipe(StreamEncoder);

impl Pipe {
    /// At the start of a sound of `samples` samples, where that is known.
    pub(super) fn new(
        encoding: Encoding,
        rate: u32,
        samples: Option<u64>,
        provenance: Provenance,
    ) -> Result<Pipe, CliError> {
        let mut encoder = StreamEncoder::new(encoding, rate).map_err(failed)?;
        if let Some(samples) = samples {
            encoder.describe(samples, provenance);
        }
        Ok(Pipe(encoder))
    }

    /// Writes further samples. Breaks where the reader has closed its end: it has all that it wants.
    pub(super) fn push(&mut self, samples: &[f32]) -> Result<ControlFlow<()>, CliError> {
        write(&self.0.push(samples).map_err(failed)?.bytes)
    }

    /// Writes what is left at the end.
    pub(super) fn finish(&mut self) -> Result<ControlFlow<()>, CliError> {
        write(&self.0.finish().map_err(failed)?.bytes)
    }

    /// Samples beyond full scale that were clipped.
    pub(super) fn clipped(&self) -> usize {
        self.0.clipped()
    }
}

fn failed(error: AudioError) -> CliError {
    CliError::audio(Target::Stdout.label(), error)
}

fn write(bytes: &[u8]) -> Result<ControlFlow<()>, CliError> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(CliError::write(Target::Stdout.label(), error)),
    }
}
