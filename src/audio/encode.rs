//! Samples as bytes on a wire, piece by piece.

use audio_codec_algorithms::{encode_alaw, encode_ulaw};

use super::AudioError;
use super::resample::check_rate;
use super::wav::{SampleFormat, quantise};

/// What mono samples become on a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Headerless little-endian samples.
    Pcm(SampleFormat),
    /// A WAV file; in pieces, its header gives the largest length, as is usual on pipes.
    Wav(SampleFormat),
    /// Headerless ITU-T G.711 mu-law.
    MuLaw,
    /// Headerless ITU-T G.711 A-law.
    ALaw,
}

/// Encodes a signal that comes in pieces.
#[derive(Debug)]
pub struct StreamEncoder {
    encoding: Encoding,
    sample_rate: u32,
    begun: bool,
    clipped: u64,
}

impl StreamEncoder {
    /// An encoder at the start of a signal.
    ///
    /// # Errors
    /// [`AudioError::SampleRate`].
    pub fn new(encoding: Encoding, sample_rate: u32) -> Result<StreamEncoder, AudioError> {
        check_rate(sample_rate)?;
        Ok(StreamEncoder {
            encoding,
            sample_rate,
            begun: false,
            clipped: 0,
        })
    }

    /// The bytes of further samples, which are finite; full scale is -1 to 1. The first bytes begin with the header of an encoding that has one.
    pub fn push(&mut self, samples: &[f32]) -> Vec<u8> {
        let mut bytes = self.header();
        match self.encoding {
            Encoding::Pcm(format) | Encoding::Wav(format) => {
                bytes.reserve(samples.len() * usize::from(format.bytes()));
                self.pcm(samples, format, &mut bytes);
            }
            Encoding::MuLaw => self.companded(samples, encode_ulaw, &mut bytes),
            Encoding::ALaw => self.companded(samples, encode_alaw, &mut bytes),
        }
        bytes
    }

    /// Samples so far that lay beyond full scale and that an integer encoding had to clip.
    pub fn clipped(&self) -> u64 {
        self.clipped
    }

    fn header(&mut self) -> Vec<u8> {
        match self.encoding {
            Encoding::Wav(format) if !std::mem::replace(&mut self.begun, true) => format
                .spec(self.sample_rate)
                .into_header_for_infinite_file(),
            _ => Vec::new(),
        }
    }

    fn pcm(&mut self, samples: &[f32], format: SampleFormat, bytes: &mut Vec<u8>) {
        for &sample in samples {
            match format {
                SampleFormat::F32 => bytes.extend_from_slice(&sample.to_le_bytes()),
                SampleFormat::S16 | SampleFormat::S24 => {
                    let value = self.integer(sample, format.bytes() * 8).to_le_bytes();
                    bytes.extend_from_slice(&value[..usize::from(format.bytes())]);
                }
            }
        }
    }

    fn companded(&mut self, samples: &[f32], law: fn(i16) -> u8, bytes: &mut Vec<u8>) {
        bytes.extend(
            samples
                .iter()
                .map(|&sample| law(self.integer(sample, 16) as i16)),
        );
    }

    fn integer(&mut self, sample: f32, bits: u16) -> i32 {
        let (value, beyond) = quantise(sample, bits);
        self.clipped += u64::from(beyond);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DecodeLimits, Provenance, decode, encode_wav};
    use super::*;

    fn whole(encoding: Encoding, samples: &[f32]) -> (Vec<u8>, u64) {
        let mut encoder = StreamEncoder::new(encoding, 22_050).unwrap();
        (encoder.push(samples), encoder.clipped())
    }

    fn tone() -> Vec<f32> {
        (0..1000).map(|i| (i as f32 * 0.37).sin() * 0.9).collect()
    }

    #[test]
    fn headerless_samples_are_those_of_a_wav_file() {
        for format in [SampleFormat::S16, SampleFormat::S24, SampleFormat::F32] {
            let file = encode_wav(&tone(), 22_050, format, &Provenance::default())
                .unwrap()
                .bytes;
            let (bytes, _) = whole(Encoding::Pcm(format), &tone());
            assert!(file.ends_with(&bytes) && bytes.len() == 1000 * usize::from(format.bytes()));
        }
    }

    #[test]
    fn pieces_make_the_bytes_of_the_whole() {
        for encoding in [
            Encoding::Pcm(SampleFormat::F32),
            Encoding::Wav(SampleFormat::S16),
            Encoding::MuLaw,
        ] {
            let mut encoder = StreamEncoder::new(encoding, 22_050).unwrap();
            let pieces: Vec<u8> = tone()
                .chunks(77)
                .flat_map(|piece| encoder.push(piece))
                .collect();
            assert_eq!(pieces, whole(encoding, &tone()).0, "{encoding:?}");
        }
    }

    #[test]
    fn a_wav_on_a_pipe_is_read_to_its_end() {
        for format in [SampleFormat::S16, SampleFormat::F32] {
            let (bytes, _) = whole(Encoding::Wav(format), &tone());
            assert_eq!(bytes[4..8], [0xff; 4]);
            let clip = decode(bytes, Some("wav"), &DecodeLimits::default()).unwrap();
            assert_eq!((clip.samples.len(), clip.sample_rate), (1000, 22_050));
        }
    }

    #[test]
    fn what_is_clipped_is_counted() {
        let samples = [1.5, 1.0, -1.0, -2.0, 0.0];
        assert_eq!(whole(Encoding::Pcm(SampleFormat::S16), &samples).1, 2);
        assert_eq!(whole(Encoding::ALaw, &samples).1, 2);
        assert_eq!(whole(Encoding::Pcm(SampleFormat::F32), &samples).1, 0);
    }

    /// Tables 1a and 2a of ITU-T G.711: the positive decision values x1 to x128 by their segments. The code of a value is the count of
    /// decision values that it reaches; A-law then inverts the even bits, mu-law all of them.
    #[test]
    fn companding_follows_the_tables_of_g711() {
        let segments = |first: i32, steps: &[(usize, i32)]| -> Vec<i32> {
            let mut values = vec![first];
            for &(count, step) in steps {
                for _ in 0..count {
                    values.push(values[values.len() - 1] + step);
                }
            }
            values
        };
        let mu: Vec<i32> = segments(
            1,
            &[
                (15, 2),
                (16, 4),
                (16, 8),
                (16, 16),
                (16, 32),
                (16, 64),
                (16, 128),
                (15, 256),
            ],
        );
        let a: Vec<i32> = segments(
            2,
            &[
                (31, 2),
                (16, 4),
                (16, 8),
                (16, 16),
                (16, 32),
                (16, 64),
                (15, 128),
            ],
        );
        assert_eq!((mu.len(), mu[126]), (127, 7903));
        assert_eq!((a.len(), a[126]), (127, 3968));
        let code =
            |table: &[i32], magnitude: i32| table.iter().filter(|&&x| x <= magnitude).count() as u8;
        for value in (0..32_768).step_by(4) {
            let sample = [value as f32 / 32_768.0];
            let (found, _) = whole(Encoding::MuLaw, &sample);
            assert_eq!(found[0], 0xff - code(&mu, value / 4), "mu-law of {value}");
            let (found, _) = whole(Encoding::ALaw, &sample);
            assert_eq!(
                found[0],
                (0x80 | code(&a, value / 8)) ^ 0x55,
                "A-law of {value}"
            );
        }
        let negative = [-1.0, -0.5];
        assert_eq!(whole(Encoding::MuLaw, &negative).0, [0x00, 0x0f]);
        assert_eq!(whole(Encoding::ALaw, &negative).0, [0x2a, 0x3a]);
    }
}
