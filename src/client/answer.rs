//! The rules of an answer, held against what a server sends.
//!
//! A stream that ends without its summary, or with a piece missing, must never pass for the whole.

use super::{ClientError, Event};
use crate::proto::{AudioEncoding, StreamHeader, StreamSummary};

/// Longest text of a header in bytes.
const MAX_TEXT: usize = 4096;
/// Most bytes that encoded audio needs beyond its samples, a header among them.
const OVERHEAD: usize = 64 << 10;

/// How far an answer has come.
#[derive(Debug, Default)]
enum State {
    #[default]
    Begun,
    Headed(Encoded),
    Ended,
}

/// The bytes that a sample takes; `None` where they vary.
#[derive(Clone, Copy, Debug)]
struct Encoded {
    sample_bytes: Option<usize>,
    total: Option<u64>,
}

/// Follows one answer, event by event.
#[derive(Debug, Default)]
pub(super) struct Rules {
    state: State,
    chunks: u64,
    samples: u64,
    /// Sample of the clip that it begins with.
    first: u64,
}

impl Rules {
    /// Those of an answer that begins with sample `first` of its clip.
    pub fn starting_at(first: u64) -> Rules {
        Rules {
            first,
            ..Rules::default()
        }
    }

    /// Whether audio in this encoding has no header, so that it can be cut anywhere.
    pub fn is_bare(encoding: AudioEncoding) -> bool {
        sample_bytes(encoding).is_some()
    }

    /// Takes the next event, of a call that has sent `frames` so far; `None` where the server may make another number of them.
    ///
    /// # Errors
    /// [`ClientError::Broken`] with the rule that it breaks.
    pub fn take(&mut self, event: &Event, frames: Option<u64>) -> Result<(), ClientError> {
        match (&self.state, event) {
            (State::Begun, Event::Header(header)) => {
                self.state = State::Headed(head(header)?);
                Ok(())
            }
            (State::Headed(encoded), Event::Chunk(chunk)) => {
                let encoded = *encoded;
                self.chunk(encoded, chunk)
            }
            (State::Headed(encoded), Event::Summary(summary)) => {
                let total = encoded.total;
                self.finish(summary, total, frames)
            }
            (State::Ended, _) => Err(broken("it goes on after its summary")),
            (State::Begun, _) => Err(broken("it does not begin with its header")),
            (State::Headed(_), Event::Header(_)) => Err(broken("it has two headers")),
        }
    }

    /// The end of the stream.
    ///
    /// # Errors
    /// [`ClientError::Incomplete`] before the summary.
    pub fn end(&self) -> Result<(), ClientError> {
        match self.state {
            State::Ended => Ok(()),
            _ => Err(ClientError::Incomplete {
                samples: self.samples,
            }),
        }
    }

    fn chunk(
        &mut self,
        encoded: Encoded,
        chunk: &crate::proto::AudioChunk,
    ) -> Result<(), ClientError> {
        if chunk.sequence != self.chunks {
            return Err(broken(&format!(
                "chunk {} comes where {} is due",
                chunk.sequence, self.chunks
            )));
        }
        let due = self.first + self.samples;
        if chunk.start_sample != due {
            return Err(broken(&format!(
                "a chunk starts at sample {} where {due} is due",
                chunk.start_sample
            )));
        }
        let samples = chunk.samples as usize;
        let fits = match encoded.sample_bytes {
            Some(bytes) => chunk.audio.len() == samples * bytes,
            None => chunk.audio.len() <= samples * 8 + OVERHEAD,
        };
        if !fits {
            return Err(broken(&format!(
                "a chunk of {samples} samples has {} bytes",
                chunk.audio.len()
            )));
        }
        self.chunks += 1;
        self.samples += u64::from(chunk.samples);
        match encoded.total {
            Some(total) if self.samples > total => Err(broken(&format!(
                "more than the {total} samples that its header promises"
            ))),
            _ => Ok(()),
        }
    }

    fn finish(
        &mut self,
        summary: &StreamSummary,
        total: Option<u64>,
        frames: Option<u64>,
    ) -> Result<(), ClientError> {
        same("samples", summary.samples, self.samples)?;
        same("samples", total.unwrap_or(self.samples), self.samples)?;
        same("frames", summary.frames, frames.unwrap_or(summary.frames))?;
        self.state = State::Ended;
        Ok(())
    }
}

/// Checks an answer that came as a whole, to a mel of `frames`; `None` where the server may make another number of them.
///
/// # Errors
/// [`ClientError::Broken`] with the rule that it breaks.
pub(super) fn whole(
    header: Option<&StreamHeader>,
    audio: &[u8],
    summary: Option<&StreamSummary>,
    frames: Option<u64>,
) -> Result<(), ClientError> {
    let header = header.ok_or_else(|| broken("it has no header"))?;
    let summary = summary.ok_or_else(|| broken("it has no summary"))?;
    let encoded = head(header)?;
    same("frames", summary.frames, frames.unwrap_or(summary.frames))?;
    same(
        "samples",
        encoded.total.unwrap_or(summary.samples),
        summary.samples,
    )?;
    match encoded.sample_bytes {
        Some(bytes) => same(
            "bytes",
            summary.samples.saturating_mul(bytes as u64),
            audio.len() as u64,
        ),
        None => Ok(()),
    }
}

fn head(header: &StreamHeader) -> Result<Encoded, ClientError> {
    let texts = [
        &header.request_id,
        &header.model,
        &header.model_sha256,
        &header.schedule,
        &header.execution_provider,
        &header.solver,
        &header.precision,
    ];
    if texts.iter().any(|text| text.len() > MAX_TEXT) {
        return Err(broken("a text of its header is longer than 4,096 bytes"));
    }
    Ok(Encoded {
        sample_bytes: sample_bytes(header.encoding()),
        total: header.total_samples,
    })
}

/// The bytes that a sample takes; `None` where they vary.
fn sample_bytes(encoding: AudioEncoding) -> Option<usize> {
    match encoding {
        AudioEncoding::PcmF32le => Some(4),
        AudioEncoding::PcmS16le => Some(2),
        AudioEncoding::Mulaw | AudioEncoding::Alaw => Some(1),
        _ => None,
    }
}

fn same(what: &str, said: u64, found: u64) -> Result<(), ClientError> {
    if said == found {
        return Ok(());
    }
    Err(broken(&format!(
        "it says {said} {what} and there are {found}"
    )))
}

fn broken(reason: &str) -> ClientError {
    ClientError::Broken {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::AudioChunk;

    fn header(total: Option<u64>) -> Event {
        Event::Header(StreamHeader {
            encoding: AudioEncoding::PcmF32le.into(),
            total_samples: total,
            ..StreamHeader::default()
        })
    }

    fn chunk(sequence: u64, start_sample: u64, samples: u32) -> Event {
        Event::Chunk(AudioChunk {
            sequence,
            start_sample,
            samples,
            audio: vec![0; 4 * samples as usize].into(),
        })
    }

    fn summary(samples: u64, frames: u64) -> Event {
        Event::Summary(StreamSummary {
            samples,
            frames,
            ..StreamSummary::default()
        })
    }

    /// What becomes of an answer to a mel of 7 frames.
    fn verdict(events: &[Event]) -> Result<(), ClientError> {
        let mut rules = Rules::default();
        let mut take = |event| rules.take(event, Some(7));
        events.iter().try_for_each(&mut take)?;
        rules.end()
    }

    #[test]
    fn frames_that_the_server_may_change_are_not_counted() {
        let mut rules = Rules::default();
        let events = [header(None), chunk(0, 0, 3), summary(3, 6)];
        events
            .iter()
            .try_for_each(|event| rules.take(event, None))
            .unwrap();
        rules.end().unwrap();
    }

    #[test]
    fn a_whole_answer_passes() {
        verdict(&[
            header(Some(5)),
            chunk(0, 0, 3),
            chunk(1, 3, 2),
            summary(5, 7),
        ])
        .unwrap();
        verdict(&[header(None), summary(0, 7)]).unwrap();
    }

    #[test]
    fn an_answer_cut_anywhere_is_incomplete() {
        let whole = [header(None), chunk(0, 0, 3), chunk(1, 3, 2), summary(5, 7)];
        for length in 0..whole.len() {
            let error = verdict(&whole[..length]).unwrap_err();
            assert!(matches!(error, ClientError::Incomplete { .. }), "{error}");
        }
    }

    #[test]
    fn what_breaks_the_contract_is_refused() {
        let mut odd = chunk(0, 0, 2);
        if let Event::Chunk(chunk) = &mut odd {
            chunk.audio = vec![0; 7].into();
        }
        let cases: [&[Event]; 10] = [
            &[chunk(0, 0, 3)],
            &[header(None), header(None)],
            &[header(None), chunk(1, 0, 3)],
            &[header(None), chunk(0, 1, 3)],
            &[header(None), chunk(0, 0, 3), chunk(0, 3, 3)],
            &[header(None), odd],
            &[header(Some(2)), chunk(0, 0, 3)],
            &[header(Some(4)), chunk(0, 0, 3), summary(3, 7)],
            &[header(None), chunk(0, 0, 3), summary(3, 6)],
            &[header(None), summary(0, 7), summary(0, 7)],
        ];
        for events in cases {
            let error = verdict(events).unwrap_err();
            assert!(matches!(error, ClientError::Broken { .. }), "{events:?}");
        }
    }

    #[test]
    fn a_whole_answer_in_one_piece_is_counted_too() {
        let Event::Header(header) = header(Some(2)) else {
            unreachable!()
        };
        let summary = |samples, frames| StreamSummary {
            samples,
            frames,
            ..StreamSummary::default()
        };
        let audio = [0; 8];
        whole(Some(&header), &audio, Some(&summary(2, 7)), Some(7)).unwrap();
        assert!(whole(Some(&header), &audio, None, Some(7)).is_err());
        assert!(whole(None, &audio, Some(&summary(2, 7)), Some(7)).is_err());
        assert!(whole(Some(&header), &audio[..4], Some(&summary(2, 7)), Some(7)).is_err());
        assert!(whole(Some(&header), &audio, Some(&summary(2, 6)), Some(7)).is_err());
        assert!(whole(Some(&header), &audio[..4], Some(&summary(1, 7)), Some(7)).is_err());
    }
}
