//! What is done once to finished samples: in the excitation domain, the mel's spectral envelope.

use super::VocoderError;
use crate::dsp::{EnvelopeFilter, EnvelopeStream, Filtering};
use ndarray::ArrayView2;

pub(super) enum Tail {
    /// The samples are the signal.
    Waveform,
    /// The samples are an excitation; `None` once it has ended.
    Excitation(Option<Box<EnvelopeStream>>),
}

impl Tail {
    pub fn new(envelope: Option<&EnvelopeFilter>) -> Tail {
        match envelope {
            None => Tail::Waveform,
            Some(filter) => Tail::Excitation(Some(Box::new(filter.stream(Filtering::Unwhiten)))),
        }
    }

    /// Takes further mel frames, which must arrive before the samples that they shape can leave.
    pub fn push_mel(&mut self, mel: ArrayView2<'_, f32>) -> Result<(), VocoderError> {
        if let Tail::Excitation(Some(stream)) = self {
            stream.push_mel(mel)?;
        }
        Ok(())
    }

    /// Says that the mel is complete.
    pub fn end_mel(&mut self) {
        if let Tail::Excitation(Some(stream)) = self {
            stream.end_mel();
        }
    }

    /// Takes finished samples and appends to `out` those that need nothing further; with `last`, all.
    pub fn push(
        &mut self,
        samples: &[f32],
        last: bool,
        out: &mut Vec<f32>,
    ) -> Result<(), VocoderError> {
        let Tail::Excitation(stream) = self else {
            out.extend_from_slice(samples);
            return Ok(());
        };
        if let Some(stream) = stream {
            stream.push_samples(samples, out);
        }
        match stream.take_if(|_| last) {
            Some(stream) => Ok(stream.finish(out)?),
            None => Ok(()),
        }
    }
}
