//! Opus (RFC 6716) in an Ogg file (RFC 7845), packet by packet, and the way back.

use std::io::Cursor;

use opus_pure::{
    Application, MAX_PACKET_BYTES, MAX_PACKET_SAMPLES, OggOpusReader, OggOpusWriter, OpusEncoder,
    OpusHead, OpusTags, RateControl, Trim,
};

use super::clip::{DecodeLimits, DecodedAudio};
use super::resample::{StreamResampler, resampled_len};
use super::{AudioError, Provenance};

/// The rate that Opus is written and read at. The header of a file says of what rate the sound was before.
const RATE: u32 = 48_000;
/// Samples in a packet, 20 ms.
const FRAME: usize = 960;
/// Bits a second. PESQ-wb of ten recordings is 4.40 with them, which libopus 1.3.1 has too (4.43).
const BITRATE: i32 = 64_000;
/// Bytes that a page holds at least, three packets or so: a stream is heard early, and the heads of pages are a twentieth of it.
const PAGE: usize = 320;

/// A mono stream of Opus.
pub(super) struct Opus {
    encoder: OpusEncoder,
    writer: Option<OggOpusWriter<Vec<u8>>>,
    /// `None` once the signal has ended.
    resampler: Option<StreamResampler>,
    sample_rate: u32,
    /// Samples at 48 kHz that do not fill a packet yet.
    pending: Vec<f32>,
    packet: Vec<u8>,
    /// Samples that came, and of these those in pages that are whole, both at `sample_rate`.
    taken: usize,
    told: usize,
    /// Packets made, and of these those in pages that are whole.
    packets: usize,
    paged: usize,
    /// Samples at 48 kHz by which the encoder is late: what a player leaves out at the start.
    late: usize,
}

impl Opus {
    pub fn new(sample_rate: u32) -> Result<Opus, AudioError> {
        let mut encoder =
            OpusEncoder::new(RATE as i32, 1, Application::Audio).map_err(|e| failed(&e))?;
        encoder.bitrate_bps = BITRATE;
        encoder.rate_control = RateControl::Vbr;
        let late = OpusHead::for_encoder(&encoder, sample_rate).pre_skip;
        Ok(Opus {
            encoder,
            writer: None,
            resampler: Some(StreamResampler::new(sample_rate, RATE)?),
            sample_rate,
            pending: Vec::new(),
            packet: vec![0; MAX_PACKET_BYTES],
            taken: 0,
            told: 0,
            packets: 0,
            paged: 0,
            late: usize::from(late),
        })
    }

    /// The head of the file with its texts: what comes first.
    pub fn header(&mut self, provenance: &Provenance) -> Result<Vec<u8>, AudioError> {
        let mut tags = OpusTags::new();
        for (id, text) in &provenance.fields {
            tags.push(id.vorbis(), text).map_err(|e| failed(&e))?;
        }
        let head = OpusHead::for_encoder(&self.encoder, self.sample_rate);
        let mut writer =
            OggOpusWriter::with_tags(Vec::new(), head, tags).map_err(|e| failed(&e))?;
        writer.set_page_target(PAGE);
        self.writer = Some(writer);
        Ok(self.ready())
    }

    /// Takes further samples and appends the pages that they fill; returns the samples in these.
    pub fn push(&mut self, samples: &[f32], bytes: &mut Vec<u8>) -> Result<usize, AudioError> {
        self.taken += samples.len();
        if let Some(resampler) = &mut self.resampler {
            resampler.push(samples, &mut self.pending)?;
        }
        let whole = self.pending.len() / FRAME * FRAME;
        let pending = std::mem::take(&mut self.pending);
        for frame in pending[..whole].chunks_exact(FRAME) {
            self.frame(frame, None)?;
        }
        self.pending = pending[whole..].to_vec();
        bytes.extend(self.ready());
        let heard = (self.paged * FRAME).saturating_sub(self.late);
        let made = resampled_len(heard, RATE, self.sample_rate);
        Ok(self.tell(made.min(self.taken)))
    }

    /// Appends what is left; returns the samples in it.
    pub fn finish(&mut self, bytes: &mut Vec<u8>) -> Result<usize, AudioError> {
        let Some(resampler) = self.resampler.take() else {
            return Ok(0);
        };
        resampler.finish(&mut self.pending)?;
        // What is still in the encoder is pushed out with silence, and the place that the last page gives for its end, short of the silence, ends the
        // sound where it ended (RFC 7845, 4.4).
        let end = self.packets * FRAME + self.pending.len() + self.late;
        let mut pending = std::mem::take(&mut self.pending);
        let last = end.div_ceil(FRAME);
        pending.resize((last - self.packets) * FRAME, 0.0);
        for frame in pending.chunks_exact(FRAME) {
            let left = end - self.packets * FRAME;
            self.frame(frame, (left <= FRAME).then_some(left as u32))?;
        }
        if let Some(writer) = self.writer.take() {
            bytes.extend(writer.finish().map_err(|e| failed(&e))?);
        }
        Ok(self.tell(self.taken))
    }

    /// One packet; `counts` of its samples are sound, where not all of them are.
    fn frame(&mut self, samples: &[f32], counts: Option<u32>) -> Result<(), AudioError> {
        let encoded = self.encoder.encode(samples, FRAME, &mut self.packet);
        let packet = &self.packet[..encoded.map_err(|e| failed(&e))?];
        if let Some(writer) = &mut self.writer {
            let length = |writer: &OggOpusWriter<Vec<u8>>| writer.get_ref().map_or(0, Vec::len);
            let before = length(writer);
            match counts {
                Some(counts) => writer.write_packet_with_duration(packet, counts),
                None => writer.write_packet(packet),
            }
            .map_err(|e| failed(&e))?;
            // A page that is full goes before the next packet.
            if length(writer) > before {
                self.paged = self.packets;
            }
        }
        self.packets += 1;
        Ok(())
    }

    /// The pages that are whole.
    fn ready(&mut self) -> Vec<u8> {
        let sink = self.writer.as_mut().and_then(OggOpusWriter::get_mut);
        sink.map(std::mem::take).unwrap_or_default()
    }

    /// The samples that are new up to `told`.
    fn tell(&mut self, told: usize) -> usize {
        let before = std::mem::replace(&mut self.told, told);
        told - before
    }
}

/// Whether a file begins as an Ogg file with Opus in it does: one page (RFC 3533, 6) that holds the head alone.
pub(super) fn is_opus(bytes: &[u8]) -> bool {
    bytes.starts_with(b"OggS") && bytes.get(28..36) == Some(b"OpusHead")
}

/// Decodes a whole file to mono at 48 kHz, without what the encoder put in front and behind.
///
/// # Errors
/// As [`decode`](super::decode()).
pub(super) fn decode_opus(
    bytes: Vec<u8>,
    limits: &DecodeLimits,
) -> Result<DecodedAudio, AudioError> {
    let mut reader = OggOpusReader::new(Cursor::new(bytes)).map_err(|e| damaged(&e))?;
    let channels = usize::from(reader.head().channel_count);
    let mut decoder =
        reader
            .head()
            .decoder(RATE as i32)
            .map_err(|error| AudioError::Unsupported {
                reason: error.to_string(),
            })?;
    let mut trim = Trim::new(reader.head(), RATE as i32, channels).map_err(|e| damaged(&e))?;
    let limit = limits.most(RATE);
    let mut clip = DecodedAudio {
        samples: Vec::new(),
        sample_rate: RATE,
        channels,
        tags: tags(reader.tags()),
        warnings: Vec::new(),
    };
    let mut block = vec![0.0; MAX_PACKET_SAMPLES * channels];
    let (mut bad, mut problem, mut whole) = (0, String::new(), false);
    for packet in reader.packets() {
        let packet = match packet {
            Ok(packet) => packet,
            Err(error) => {
                problem = error.to_string();
                break;
            }
        };
        whole = packet.end_of_stream;
        match decoder.decode(&packet.data, MAX_PACKET_SAMPLES, &mut block) {
            Ok(frames) => {
                let kept = trim.keep(&packet, &block[..frames * channels]);
                let mono = kept.chunks_exact(channels);
                clip.samples
                    .extend(mono.map(|frame| frame.iter().sum::<f32>() / channels as f32));
            }
            Err(error) => {
                bad += 1;
                problem = error.to_string();
            }
        }
        if clip.samples.len() > limit {
            return Err(AudioError::TooLong { limit });
        }
    }
    if clip.samples.is_empty() {
        return Err(match problem.is_empty() {
            true => AudioError::Empty,
            false => AudioError::Damaged { reason: problem },
        });
    }
    if bad > 0 {
        let warning = format!("{bad} damaged packets were left out ({problem})");
        clip.warnings.push(warning);
    }
    if !whole {
        let warning = "the file ends early: its last page is missing or damaged";
        clip.warnings.push(warning.to_owned());
    }
    Ok(clip)
}

fn tags(tags: &OpusTags) -> Vec<(String, String)> {
    let pairs = tags.comments.iter().filter_map(|text| text.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn failed(error: &opus_pure::Error) -> AudioError {
    AudioError::Opus {
        reason: error.to_string(),
    }
}

fn damaged(error: &opus_pure::Error) -> AudioError {
    AudioError::Damaged {
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Encoding, InfoId, decode, resample};
    use super::*;

    /// A sound that is periodic and wide, with an attack in the middle that shows where it lies.
    fn sound(length: usize, rate: u32) -> Vec<f32> {
        let at = |n: usize| n as f32 / rate as f32;
        (0..length)
            .map(|n| {
                let after = if n < length / 2 { 0.1 } else { 1.0 };
                let voice: f32 = (1..12u8)
                    .map(|k| (f32::from(k) * 880.0 * at(n)).sin() / f32::from(k))
                    .sum();
                0.2 * after * voice
            })
            .collect()
    }

    fn opus(samples: &[f32], rate: u32) -> Vec<u8> {
        Encoding::Opus.encode(samples, rate).unwrap().bytes
    }

    #[test]
    fn the_sound_comes_back_in_its_place_and_of_its_length() {
        for rate in [8_000, 16_000, 22_050, 24_000, 44_100, 48_000] {
            let samples = sound(rate as usize + 77, rate);
            let clip =
                decode(opus(&samples, rate), Some("opus"), &DecodeLimits::default()).unwrap();
            let expected = resample(samples, rate, RATE).unwrap();
            assert_eq!((clip.sample_rate, clip.channels), (RATE, 1));
            assert_eq!(clip.samples.len(), expected.len(), "{rate} Hz");
            assert!(clip.warnings.is_empty(), "{:?}", clip.warnings);
            let likeness = |late: usize| {
                let pairs = || expected.iter().zip(&clip.samples[late..]);
                let product = pairs().map(|(a, b)| a * b).sum::<f32>();
                let powers = pairs().fold((0.0, 0.0), |(p, q), (a, b)| (p + a * a, q + b * b));
                product / (powers.0 * powers.1).sqrt()
            };
            assert!(likeness(0) > 0.9, "{rate} Hz: {}", likeness(0));
            assert!(
                (1..300).all(|late| likeness(late) < likeness(0)),
                "{rate} Hz"
            );
        }
    }

    #[test]
    fn any_length_comes_back() {
        for length in [0, 1, 311, 312, 647, 648, 649, 959, 960, 961, 1920, 5000] {
            let bytes = opus(&sound(length, RATE), RATE);
            let clip = decode(bytes, None, &DecodeLimits::default());
            match length {
                0 => assert!(matches!(clip, Err(AudioError::Empty)), "{clip:?}"),
                _ => assert_eq!(clip.unwrap().samples.len(), length),
            }
        }
    }

    #[test]
    fn the_texts_come_back_and_equal_sounds_are_equal_files() {
        let provenance = Provenance {
            fields: vec![(InfoId::Comment, "seed=7 ä".to_owned())],
        };
        let samples = sound(3000, 22_050);
        let encode = || Encoding::Opus.encode_with(&samples, 22_050, &provenance);
        let bytes = encode().unwrap().bytes;
        assert!(bytes == encode().unwrap().bytes);
        let clip = decode(bytes, None, &DecodeLimits::default()).unwrap();
        assert_eq!(clip.tags, [("COMMENT".to_owned(), "seed=7 ä".to_owned())]);
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_told() {
        let bytes = opus(&sound(48_000, RATE), RATE);
        let half = bytes[..bytes.len() / 2].to_vec();
        let clip = decode(half, None, &DecodeLimits::default()).unwrap();
        assert!(clip.warnings[0].contains("ends early"), "{clip:?}");
        let limits = DecodeLimits::default().max_seconds(0.5);
        let error = decode(bytes.clone(), None, &limits).unwrap_err();
        assert!(matches!(error, AudioError::TooLong { .. }), "{error}");
        let head = bytes[..60].to_vec();
        assert!(decode(head, None, &DecodeLimits::default()).is_err());
        for at in (0..bytes.len()).step_by(97) {
            let mut broken = bytes.clone();
            broken[at] ^= 0x55;
            let read = decode(broken, None, &DecodeLimits::default());
            let told = match &read {
                Err(_) => true,
                Ok(clip) => !clip.warnings.is_empty() || clip.samples.len() == 48_000,
            };
            assert!(told, "byte {at}: {read:?}");
        }
    }
}
