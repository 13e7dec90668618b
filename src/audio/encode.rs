//! Samples as bytes on a wire, piece by piece.

use audio_codec_algorithms::{encode_alaw, encode_ulaw};

use super::AudioError;
use super::flac::{Flac, set_comments, set_length};
use super::opus::Opus;
use super::resample::check_rate;
use super::wav::{Encoded, Provenance, SampleFormat, describe, encode_wav, quantise};

/// Share of the samples beyond full scale above which it is the mel that is wrong: speech has a few at its peaks.
const TOO_LOUD: f64 = 0.02;

/// What so many clipped samples of so many say of the mel, if anything.
#[must_use]
pub fn too_loud(clipped: usize, samples: usize) -> Option<String> {
    let share = clipped as f64 / samples.max(1) as f64;
    (share > TOO_LOUD).then(|| {
        format!(
            "{:.0} % of the samples lie beyond full scale: the mel is on another scale than `mel_convention` says, or of far too loud a sound",
            100.0 * share
        )
    })
}

/// What mono samples become on a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Headerless little-endian samples.
    Pcm(SampleFormat),
    /// A WAV file; in pieces of unknown length, its header gives the largest, as is usual on pipes.
    Wav(SampleFormat),
    /// Headerless ITU-T G.711 mu-law.
    MuLaw,
    /// Headerless ITU-T G.711 A-law.
    ALaw,
    /// A FLAC stream of 16-bit samples, up to 96,000 Hz; in pieces of unknown length, its header leaves it open.
    Flac,
    /// Opus of 64 kbit/s in an Ogg file, whose header needs no length. Any rate is taken and resampled to 48,000 Hz, which is what it is decoded at.
    Opus,
}

impl Encoding {
    /// Encodes a whole signal. A WAV or FLAC file has its true length in its header then.
    ///
    /// # Errors
    /// Those of [`encode_wav`] and [`StreamEncoder`].
    pub fn encode(self, samples: &[f32], sample_rate: u32) -> Result<Encoded, AudioError> {
        self.encode_with(samples, sample_rate, &Provenance::default())
    }

    /// [`Encoding::encode`] with texts about the audio, which WAV, FLAC and Opus files hold.
    ///
    /// # Errors
    /// Those of [`encode_wav`] and [`StreamEncoder`].
    pub fn encode_with(
        self,
        samples: &[f32],
        sample_rate: u32,
        provenance: &Provenance,
    ) -> Result<Encoded, AudioError> {
        if let Encoding::Wav(format) = self {
            return encode_wav(samples, sample_rate, format, provenance);
        }
        let mut encoder = StreamEncoder::new(self, sample_rate)?;
        encoder.describe(samples.len() as u64, provenance.clone());
        let mut bytes = encoder.push(samples)?.bytes;
        bytes.extend(encoder.finish()?.bytes);
        Ok(Encoded {
            bytes,
            clipped: encoder.clipped,
        })
    }
}

/// Encodes a signal that comes in pieces.
pub struct StreamEncoder {
    encoding: Encoding,
    sample_rate: u32,
    begun: bool,
    clipped: usize,
    packer: Packer,
    length: Option<u64>,
    provenance: Provenance,
    /// What stands behind the samples.
    padding: &'static [u8],
}

/// What makes blocks or packets of samples, in an encoding that has them.
enum Packer {
    None,
    Flac(Box<Flac>),
    Opus(Box<Opus>),
}

/// Encoded audio.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedPiece {
    /// The bytes. Those of the first piece begin with the header of an encoding that has one.
    pub bytes: Vec<u8>,
    /// The samples in them: FLAC and Opus hold back what does not fill a block.
    pub samples: usize,
}

impl StreamEncoder {
    /// An encoder at the start of a signal.
    ///
    /// # Errors
    /// [`AudioError::SampleRate`], [`AudioError::Flac`] for a rate that FLAC cannot have, [`AudioError::Opus`].
    pub fn new(encoding: Encoding, sample_rate: u32) -> Result<StreamEncoder, AudioError> {
        check_rate(sample_rate)?;
        Ok(StreamEncoder {
            encoding,
            sample_rate,
            begun: false,
            clipped: 0,
            packer: match encoding {
                Encoding::Flac => Packer::Flac(Box::new(Flac::new(sample_rate)?)),
                Encoding::Opus => Packer::Opus(Box::new(Opus::new(sample_rate)?)),
                _ => Packer::None,
            },
            length: None,
            provenance: Provenance::default(),
            padding: &[],
        })
    }

    /// Says in the header how many samples will come and how they were made, where the encoding has a place for it: the pieces are then the bytes of
    /// [`Encoding::encode_with`]. To be called before the first piece.
    pub fn describe(&mut self, samples: u64, provenance: Provenance) {
        self.length = Some(samples);
        self.provenance = provenance;
    }

    /// Takes further samples, which are finite; full scale is -1 to 1.
    ///
    /// # Errors
    /// [`AudioError::Flac`], [`AudioError::Opus`], [`AudioError::Resample`].
    pub fn push(&mut self, samples: &[f32]) -> Result<EncodedPiece, AudioError> {
        let mut bytes = self.header()?;
        let mut done = samples.len();
        match self.encoding {
            Encoding::Pcm(format) | Encoding::Wav(format) => self.pcm(samples, format, &mut bytes),
            Encoding::MuLaw => self.companded(samples, encode_ulaw, &mut bytes),
            Encoding::ALaw => self.companded(samples, encode_alaw, &mut bytes),
            Encoding::Flac => {
                let values: Vec<i32> = samples.iter().map(|&x| self.integer(x, 16)).collect();
                if let Packer::Flac(flac) = &mut self.packer {
                    done = flac.push(&values, &mut bytes)?;
                }
            }
            Encoding::Opus => {
                // What plays it makes 16-bit samples of it.
                let values: Vec<f32> = samples.iter().map(|&x| self.within(x)).collect();
                if let Packer::Opus(opus) = &mut self.packer {
                    done = opus.push(&values, &mut bytes)?;
                }
            }
        }
        Ok(EncodedPiece {
            bytes,
            samples: done,
        })
    }

    /// What is left at the end of the signal.
    ///
    /// # Errors
    /// Those of [`StreamEncoder::push`].
    pub fn finish(&mut self) -> Result<EncodedPiece, AudioError> {
        let mut piece = self.push(&[])?;
        piece.samples += match &mut self.packer {
            Packer::None => 0,
            Packer::Flac(flac) => flac.finish(&mut piece.bytes)?,
            Packer::Opus(opus) => opus.finish(&mut piece.bytes)?,
        };
        piece.bytes.extend(self.padding);
        Ok(piece)
    }

    /// Samples so far that lay beyond full scale and that an integer encoding had to clip.
    pub fn clipped(&self) -> usize {
        self.clipped
    }

    fn header(&mut self) -> Result<Vec<u8>, AudioError> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(Vec::new());
        }
        let mut header = Vec::new();
        match (self.encoding, &mut self.packer) {
            (Encoding::Wav(format), _) => {
                header = format
                    .spec(self.sample_rate)
                    .into_header_for_infinite_file();
                self.padding = describe(&mut header, self.length, format, &self.provenance);
            }
            (_, Packer::Opus(opus)) => header = opus.header(&self.provenance)?,
            (_, Packer::Flac(flac)) => {
                header = flac.header()?;
                if let Some(length) = self.length {
                    set_length(&mut header, length);
                }
                set_comments(&mut header, &self.provenance);
            }
            _ => {}
        }
        Ok(header)
    }

    fn pcm(&mut self, samples: &[f32], format: SampleFormat, bytes: &mut Vec<u8>) {
        let size = usize::from(format.bytes());
        bytes.reserve(samples.len() * size);
        for &sample in samples {
            match format {
                SampleFormat::F32 => bytes.extend_from_slice(&sample.to_le_bytes()),
                SampleFormat::S16 | SampleFormat::S24 => {
                    let value = self.integer(sample, format.bytes() * 8);
                    bytes.extend_from_slice(&value.to_le_bytes()[..size]);
                }
            }
        }
    }

    fn companded(&mut self, samples: &[f32], law: fn(i16) -> u8, bytes: &mut Vec<u8>) {
        bytes.extend(samples.iter().map(|&x| law(self.integer(x, 16) as i16)));
    }

    fn within(&mut self, sample: f32) -> f32 {
        self.clipped += usize::from(sample.abs() > 1.0);
        sample.clamp(-1.0, 1.0)
    }

    fn integer(&mut self, sample: f32, bits: u16) -> i32 {
        let (value, beyond) = quantise(sample, bits);
        self.clipped += usize::from(beyond);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DecodeLimits, InfoId, decode};
    use super::*;

    /// The bytes that come of one piece, and how many samples were clipped.
    fn whole(encoding: Encoding, samples: &[f32]) -> (Vec<u8>, usize) {
        let mut encoder = StreamEncoder::new(encoding, 22_050).unwrap();
        let mut bytes = encoder.push(samples).unwrap().bytes;
        bytes.extend(encoder.finish().unwrap().bytes);
        (bytes, encoder.clipped())
    }

    fn tone() -> Vec<f32> {
        (0..3000).map(|i| (i as f32 * 0.07).sin() * 0.9).collect()
    }

    #[test]
    fn headerless_samples_are_those_of_a_wav_file() {
        for format in [SampleFormat::S16, SampleFormat::S24, SampleFormat::F32] {
            let file = encode_wav(&tone(), 22_050, format, &Provenance::default())
                .unwrap()
                .bytes;
            let (bytes, _) = whole(Encoding::Pcm(format), &tone());
            assert!(file.ends_with(&bytes) && bytes.len() == 3000 * usize::from(format.bytes()));
        }
    }

    #[test]
    fn pieces_make_the_bytes_of_the_whole() {
        for encoding in [
            Encoding::Wav(SampleFormat::S16),
            Encoding::MuLaw,
            Encoding::Flac,
            Encoding::Opus,
        ] {
            let mut encoder = StreamEncoder::new(encoding, 22_050).unwrap();
            let mut pieces: Vec<EncodedPiece> = tone()
                .chunks(77)
                .map(|piece| encoder.push(piece).unwrap())
                .collect();
            pieces.push(encoder.finish().unwrap());
            assert!(
                pieces
                    .iter()
                    .all(|piece| piece.samples == 0 || !piece.bytes.is_empty()),
                "{encoding:?}: samples are told with their bytes"
            );
            assert_eq!(
                pieces.iter().map(|piece| piece.samples).sum::<usize>(),
                tone().len()
            );
            assert_eq!(
                pieces
                    .into_iter()
                    .flat_map(|piece| piece.bytes)
                    .collect::<Vec<u8>>(),
                whole(encoding, &tone()).0,
                "{encoding:?}"
            );
        }
    }

    #[test]
    fn flac_holds_the_16_bit_samples_whatever_the_length() {
        for len in (0..70).chain([1023, 1024, 1025, 2048, 5000]) {
            let samples: Vec<f32> = (0..len).map(|i| (i as f32 * 0.37).sin() * 1.1).collect();
            let encoded = Encoding::Flac.encode(&samples, 22_050).unwrap();
            if len == 0 {
                assert!(encoded.bytes.starts_with(b"fLaC"));
                continue;
            }
            let clip = decode(encoded.bytes, Some("flac"), &DecodeLimits::default()).unwrap();
            let expected: Vec<f32> = samples
                .iter()
                .map(|&x| quantise(x, 16).0 as f32 / 32_768.0)
                .collect();
            assert_eq!(
                (clip.sample_rate, clip.samples),
                (22_050, expected),
                "{len} samples"
            );
        }
        assert!(matches!(
            StreamEncoder::new(Encoding::Flac, 192_000),
            Err(AudioError::Flac { .. })
        ));
    }

    #[test]
    fn flac_says_how_it_was_made() {
        let texts = [
            (InfoId::Software, "vocode 0.1.0"),
            (InfoId::Comment, "seed=7 ä"),
        ];
        let provenance = Provenance {
            fields: texts.map(|(id, text)| (id, text.to_owned())).to_vec(),
        };
        let encode = |provenance| Encoding::Flac.encode_with(&tone(), 22_050, provenance);
        let encoded = encode(&provenance).unwrap();
        let clip = decode(encoded.bytes, Some("flac"), &DecodeLimits::default()).unwrap();
        let found: Vec<&str> = clip.tags.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(found, texts.map(|(_, text)| text));
        assert_eq!(clip.samples.len(), tone().len());
        let plain = encode(&Provenance::default()).unwrap().bytes;
        assert_eq!(plain, Encoding::Flac.encode(&tone(), 22_050).unwrap().bytes);
    }

    #[test]
    fn flac_is_smaller_than_pcm() {
        let encoded = Encoding::Flac.encode(&tone(), 22_050).unwrap();
        assert!(
            encoded.bytes.len() < tone().len() * 2 * 3 / 4,
            "{}",
            encoded.bytes.len()
        );
    }

    #[test]
    fn a_wav_on_a_pipe_is_read_to_its_end() {
        for format in [SampleFormat::S16, SampleFormat::F32] {
            let (bytes, _) = whole(Encoding::Wav(format), &tone());
            assert_eq!(bytes[4..8], [0xff; 4]);
            let clip = decode(bytes, Some("wav"), &DecodeLimits::default()).unwrap();
            assert_eq!((clip.samples.len(), clip.sample_rate), (3000, 22_050));
        }
    }

    #[test]
    fn described_pieces_are_the_bytes_of_the_whole_file() {
        let provenance = Provenance {
            fields: vec![(InfoId::Comment, "seed=7".to_owned())],
        };
        for encoding in [
            Encoding::Wav(SampleFormat::S16),
            Encoding::Wav(SampleFormat::S24),
            Encoding::Wav(SampleFormat::F32),
            Encoding::Flac,
            Encoding::Opus,
            Encoding::MuLaw,
        ] {
            for length in [0, 1, 2, 2999] {
                let samples = &tone()[..length];
                let mut encoder = StreamEncoder::new(encoding, 22_050).unwrap();
                encoder.describe(length as u64, provenance.clone());
                let mut bytes = Vec::new();
                for piece in samples.chunks(100) {
                    bytes.extend(encoder.push(piece).unwrap().bytes);
                }
                bytes.extend(encoder.finish().unwrap().bytes);
                let file = encoding.encode_with(samples, 22_050, &provenance).unwrap();
                assert!(bytes == file.bytes, "{encoding:?}, {length} samples");
            }
        }
        let header = |length| {
            let mut encoder = StreamEncoder::new(Encoding::Wav(SampleFormat::S16), 22_050).unwrap();
            if let Some(length) = length {
                encoder.describe(length, Provenance::default());
            }
            encoder.push(&[]).unwrap().bytes
        };
        assert!(
            header(Some(1 << 31)) == header(None),
            "beyond what a WAV can say"
        );
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
