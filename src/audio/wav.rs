//! WAV files that say how they were made.

use std::io::Cursor;

use hound::{WavSpec, WavWriter};

use super::{AudioError, resample::check_rate};

/// How samples are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SampleFormat {
    /// 16-bit integers, rounded to nearest without dither.
    #[default]
    S16,
    /// 24-bit integers, rounded to nearest without dither.
    S24,
    /// 32-bit floats, unchanged: values beyond full scale are kept.
    F32,
}

impl SampleFormat {
    /// Bytes one sample takes.
    #[must_use]
    pub fn bytes(self) -> u16 {
        match self {
            Self::S16 => 2,
            Self::S24 => 3,
            Self::F32 => 4,
        }
    }

    pub(super) fn spec(self, sample_rate: u32) -> WavSpec {
        WavSpec {
            channels: 1,
            sample_rate,
            bits_per_sample: self.bytes() * 8,
            sample_format: match self {
                Self::F32 => hound::SampleFormat::Float,
                Self::S16 | Self::S24 => hound::SampleFormat::Int,
            },
        }
    }
}

/// The field of a RIFF `LIST/INFO` chunk, or of the Vorbis comment of a FLAC or Opus file, that a text goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InfoId {
    /// `ISFT`: the software that made the file.
    Software,
    /// `ICMT`: a comment; vocode puts everything that makes the file again here.
    Comment,
    /// `INAM`: a title.
    Title,
}

impl InfoId {
    fn fourcc(self) -> [u8; 4] {
        match self {
            Self::Software => *b"ISFT",
            Self::Comment => *b"ICMT",
            Self::Title => *b"INAM",
        }
    }

    /// The name of the text in a Vorbis comment, which FLAC and Opus have.
    pub(super) fn vorbis(self) -> &'static str {
        match self {
            Self::Software => "ENCODER",
            Self::Comment => "COMMENT",
            Self::Title => "TITLE",
        }
    }
}

/// Texts stored beside the samples. Nothing here depends on the time or the machine unless the caller puts it in, so equal
/// runs make equal bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// Each field with its text, in the order in which they are written.
    pub fields: Vec<(InfoId, String)>,
}

impl Provenance {
    /// The `LIST` chunk of type `INFO`, with its header; empty when there is nothing to say.
    fn chunk(&self) -> Vec<u8> {
        if self.fields.is_empty() {
            return Vec::new();
        }
        let mut body = b"INFO".to_vec();
        for (id, text) in &self.fields {
            let mut text: Vec<u8> = text.bytes().filter(|&b| b != 0).collect();
            text.push(0);
            push_chunk(&mut body, id.fourcc(), &text);
        }
        let mut list = Vec::with_capacity(body.len() + 8);
        push_chunk(&mut list, *b"LIST", &body);
        list
    }
}

/// One RIFF chunk: four letters, the size of its contents, the contents, a zero byte where they have odd length.
fn push_chunk(out: &mut Vec<u8>, id: [u8; 4], contents: &[u8]) {
    out.extend_from_slice(&id);
    out.extend_from_slice(
        &u32::try_from(contents.len())
            .unwrap_or(u32::MAX)
            .to_le_bytes(),
    );
    out.extend_from_slice(contents);
    if contents.len() % 2 == 1 {
        out.push(0);
    }
}

/// A finished WAV file in memory.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The whole file; every size in it is exact, so it is valid on a pipe too.
    pub bytes: Vec<u8>,
    /// How many samples lay beyond full scale and were clamped (always 0 for [`SampleFormat::F32`]).
    pub clipped: usize,
}

/// Encodes mono `samples` (full scale is -1 to 1) as a WAV file at `sample_rate` Hz.
///
/// The provenance stands before the samples, where players and stream readers look for it.
///
/// # Errors
/// [`AudioError::NotFinite`] for a NaN or an infinity, [`AudioError::SampleRate`] for a rate out of range,
/// [`AudioError::TooBigForWav`] above 4 GiB.
pub fn encode_wav(
    samples: &[f32],
    sample_rate: u32,
    format: SampleFormat,
    provenance: &Provenance,
) -> Result<Encoded, AudioError> {
    check_rate(sample_rate)?;
    if let Some(index) = samples.iter().position(|v| !v.is_finite()) {
        let value = samples[index];
        return Err(AudioError::NotFinite { index, value });
    }
    let list = provenance.chunk();
    let data_bytes = samples.len() as u64 * u64::from(format.bytes());
    if data_bytes + list.len() as u64 + 256 > u64::from(u32::MAX) {
        return Err(AudioError::TooBigForWav { bytes: data_bytes });
    }

    let mut plain = Cursor::new(Vec::with_capacity(data_bytes as usize + 256));
    let clipped = write_samples(&mut plain, samples, sample_rate, format)?;
    let bytes = insert_before_data(plain.into_inner(), data_bytes as usize, &list);
    Ok(Encoded { bytes, clipped })
}

fn write_samples(
    out: &mut Cursor<Vec<u8>>,
    samples: &[f32],
    sample_rate: u32,
    format: SampleFormat,
) -> Result<usize, AudioError> {
    let mut writer = WavWriter::new(out, format.spec(sample_rate))?;
    let mut clipped = 0;
    let mut integer = |sample: f32| {
        let (value, beyond) = quantise(sample, format.bytes() * 8);
        clipped += usize::from(beyond);
        value
    };
    match format {
        SampleFormat::F32 => {
            for &sample in samples {
                writer.write_sample(sample)?;
            }
        }
        SampleFormat::S24 => {
            for &sample in samples {
                writer.write_sample(integer(sample))?;
            }
        }
        SampleFormat::S16 => {
            // hound's writer for the most usual format, several times faster; the length was checked.
            let mut writer = writer.get_i16_writer(samples.len() as u32);
            for &sample in samples {
                writer.write_sample(integer(sample) as i16);
            }
            writer.flush()?;
        }
    }
    writer.finalize()?;
    Ok(clipped)
}

/// The integer of `bits` bits that is nearest to a sample, and whether the sample lies beyond full scale.
pub(super) fn quantise(sample: f32, bits: u16) -> (i32, bool) {
    let full = f64::from(1u32 << (bits - 1));
    let scaled = f64::from(sample) * full;
    // Half away from zero, once the cast has cut the fraction off.
    let nearest = (scaled + 0.5f64.copysign(scaled)).clamp(-full, full - 1.0);
    (nearest as i32, sample.abs() > 1.0)
}

/// hound writes `RIFF`, `fmt ` and `data` and no more: puts `list` in front of the `data` chunk, pads odd data, and sets the
/// RIFF size to match.
fn insert_before_data(mut plain: Vec<u8>, data_bytes: usize, list: &[u8]) -> Vec<u8> {
    let data_chunk = plain.len() - data_bytes - 8;
    plain.splice(data_chunk..data_chunk, list.iter().copied());
    if data_bytes % 2 == 1 {
        plain.push(0);
    }
    let riff_size = (plain.len() - 8) as u32;
    plain[4..8].copy_from_slice(&riff_size.to_le_bytes());
    plain
}

/// Makes the header of a file of unknown length that of a file with texts, and of a length where it is known. What such a file needs behind its samples.
pub(super) fn describe(
    header: &mut Vec<u8>,
    samples: Option<u64>,
    format: SampleFormat,
    provenance: &Provenance,
) -> &'static [u8] {
    let list = provenance.chunk();
    let before_data = header.len() - 8;
    header.splice(before_data..before_data, list);
    let Some(data) = samples.map(|samples| samples.saturating_mul(u64::from(format.bytes())))
    else {
        return &[];
    };
    let padding: &[u8] = if data % 2 == 1 { &[0] } else { &[] };
    let riff = data.saturating_add((header.len() - 8 + padding.len()) as u64);
    if riff > u64::from(u32::MAX - 8) {
        return &[];
    }
    header[4..8].copy_from_slice(&(riff as u32).to_le_bytes());
    let end = header.len();
    header[end - 4..].copy_from_slice(&(data as u32).to_le_bytes());
    padding
}

#[cfg(test)]
mod tests {
    use super::super::{DecodeLimits, decode};
    use super::*;

    fn provenance() -> Provenance {
        Provenance {
            fields: vec![
                (InfoId::Software, "vocode 0.1.0".into()),
                (InfoId::Comment, "model=default seed=7".into()),
            ],
        }
    }

    fn encode(samples: &[f32], format: SampleFormat) -> Encoded {
        encode_wav(samples, 22_050, format, &provenance()).unwrap()
    }

    #[test]
    fn every_size_in_the_file_is_exact_whatever_the_parity() {
        for format in [SampleFormat::S16, SampleFormat::S24, SampleFormat::F32] {
            for len in [0usize, 1, 2, 255, 256] {
                let bytes = encode(&vec![0.25; len], format).bytes;
                let size = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
                assert_eq!(size(4) as usize + 8, bytes.len(), "{format:?} {len}");
                let mut at = 12;
                let mut seen = Vec::new();
                while at < bytes.len() {
                    seen.push(bytes[at..at + 4].to_vec());
                    let chunk = size(at + 4) as usize;
                    at += 8 + chunk + chunk % 2;
                }
                assert_eq!(at, bytes.len());
                assert_eq!(seen, [b"fmt ".to_vec(), b"LIST".to_vec(), b"data".to_vec()]);
            }
        }
    }

    #[test]
    fn samples_come_back_within_half_a_step() {
        let samples: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin() * 0.9).collect();
        for (format, step) in [
            (SampleFormat::S16, 1.0 / 32_768.0),
            (SampleFormat::S24, 1.0 / 8_388_608.0),
            (SampleFormat::F32, 0.0),
        ] {
            let bytes = encode(&samples, format).bytes;
            let clip = decode(bytes, Some("wav"), &DecodeLimits::default()).unwrap();
            assert_eq!(clip.sample_rate, 22_050);
            assert_eq!(clip.samples.len(), samples.len());
            for (a, b) in clip.samples.iter().zip(&samples) {
                assert!((a - b).abs() <= step * 0.5 + 1e-7, "{format:?}: {a} {b}");
            }
        }
    }

    #[test]
    fn hound_reads_it_too() {
        let bytes = encode(&[0.0, 0.5, -1.0], SampleFormat::S16).bytes;
        let mut reader = hound::WavReader::new(Cursor::new(bytes)).unwrap();
        let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
        assert_eq!(samples, [0, 16_384, -32_768]);
    }

    #[test]
    fn samples_beyond_full_scale_are_clamped_and_counted_in_integers_and_kept_in_floats() {
        let samples = [1.5, 1.0, -1.0, -2.0, 0.0];
        let whole = encode(&samples, SampleFormat::S16);
        assert_eq!(whole.clipped, 2);
        let mut reader = hound::WavReader::new(Cursor::new(whole.bytes)).unwrap();
        let back: Vec<i16> = reader.samples().map(Result::unwrap).collect();
        assert_eq!(back, [32_767, 32_767, -32_768, -32_768, 0]);

        let float = encode(&samples, SampleFormat::F32);
        assert_eq!(float.clipped, 0);
        let clip = decode(float.bytes, None, &DecodeLimits::default()).unwrap();
        assert_eq!(clip.samples, samples);
    }

    #[test]
    fn the_provenance_can_be_read_back() {
        let bytes = encode(&[0.1; 64], SampleFormat::S24).bytes;
        let clip = decode(bytes, Some("wav"), &DecodeLimits::default()).unwrap();
        let texts: Vec<_> = clip.tags.iter().map(|(_, v)| v.as_str()).collect();
        assert_eq!(texts, ["vocode 0.1.0", "model=default seed=7"]);
    }

    #[test]
    fn a_sample_that_is_no_number_is_refused() {
        let result = encode_wav(&[0.0, f32::NAN], 22_050, SampleFormat::F32, &provenance());
        assert!(matches!(
            result,
            Err(AudioError::NotFinite { index: 1, .. })
        ));
    }
}
