//! Sound on standard output while it is made.

use std::io::{self, Write};
use std::ops::ControlFlow;

use super::error::CliError;
use super::output::Target;
use crate::audio::{Encoding, StreamEncoder};
use crate::proto::StreamHeader;

/// Standard output, which is a sound.
pub(super) struct Pipe {
    encoding: Encoding,
    /// Once the first samples have come.
    encoder: Option<StreamEncoder>,
}

impl Pipe {
    pub(super) fn new(encoding: Encoding) -> Pipe {
        Pipe {
            encoding,
            encoder: None,
        }
    }

    /// Writes further samples of the stream that `header` describes. Breaks where the reader has closed its end: it has all that it wants.
    pub(super) fn push(
        &mut self,
        header: &StreamHeader,
        samples: &[f32],
    ) -> Result<ControlFlow<()>, CliError> {
        let failed = |error| CliError::audio(Target::Stdout.label(), error);
        let is_first = self.encoder.is_none();
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => {
                let made = StreamEncoder::new(self.encoding, header.sample_rate_hz);
                none.insert(made.map_err(failed)?)
            }
        };
        let mut bytes = encoder.push(samples).map_err(failed)?.bytes;
        if let (true, Some(total)) = (is_first, header.total_samples) {
            self.encoding.set_length(&mut bytes, total);
        }
        write(&bytes)
    }

    /// Writes what is left at the end.
    pub(super) fn finish(&mut self) -> Result<ControlFlow<()>, CliError> {
        let Some(encoder) = &mut self.encoder else {
            return Ok(ControlFlow::Continue(()));
        };
        let last = encoder.finish();
        let last = last.map_err(|error| CliError::audio(Target::Stdout.label(), error))?;
        write(&last.bytes)
    }

    /// Samples beyond full scale that were clipped.
    pub(super) fn clipped(&self) -> usize {
        self.encoder.as_ref().map_or(0, StreamEncoder::clipped)
    }
}

fn write(bytes: &[u8]) -> Result<ControlFlow<()>, CliError> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(CliError::write(Target::Stdout.label(), error)),
    }
}
