//! Reading audio files of the common formats.

use std::io::{Cursor, ErrorKind};

use symphonia::core::audio::SampleBuffer;
use symphonia::core::codecs::{CODEC_TYPE_NULL, Decoder, DecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::{FormatOptions, FormatReader, Packet, Track};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::probe::{Hint, ProbeResult};

use super::clip::{DecodeLimits, DecodedAudio};
use super::mp4::{self, Edit};
use super::opus::{decode_opus, is_opus};
use super::riff::{self, Mended};
use super::{AudioError, resample::check_rate};

/// Largest sample that sound may have, 1 being full scale: floats go beyond it, but not by 24 dB.
const MAX_PEAK: f32 = 16.0;

/// Name of the thread that [`decode`] runs the decoders on. A panic of this thread is caught and becomes
/// [`AudioError::Damaged`]; a program's panic hook may leave it out.
pub const DECODER_THREAD: &str = "vocode-decoder";

/// Decodes a whole audio file held in memory to mono.
///
/// `extension` (without its dot) helps to recognise the format and may be missing.
///
/// # Errors
/// [`AudioError::Unsupported`] for anything that is not audio, [`AudioError::Damaged`], [`AudioError::Empty`],
/// [`AudioError::TooLong`], [`AudioError::NotFinite`] and [`AudioError::SampleRate`] as their names say,
/// [`AudioError::Io`] where no thread can be started.
pub fn decode(
    bytes: Vec<u8>,
    extension: Option<&str>,
    limits: &DecodeLimits,
) -> Result<DecodedAudio, AudioError> {
    if bytes.is_empty() {
        return Err(AudioError::Unsupported {
            reason: "it is empty".into(),
        });
    }
    mp4::check(&bytes)?;
    let Mended { bytes, warning } = riff::mend(bytes);
    // The decoders panic on some damaged files. On a thread of its own such a panic ends this file and nothing else.
    std::thread::scope(|scope| {
        let decoder = std::thread::Builder::new()
            .name(DECODER_THREAD.to_owned())
            .spawn_scoped(scope, || decode_here(bytes, extension, limits))?;
        let decoded = decoder.join().unwrap_or_else(|_| {
            Err(AudioError::Damaged {
                reason: "its header or its packets contradict themselves".into(),
            })
        });
        decoded.map(|mut clip| {
            clip.warnings.extend(warning);
            clip
        })
    })
}

fn decode_here(
    bytes: Vec<u8>,
    extension: Option<&str>,
    limits: &DecodeLimits,
) -> Result<DecodedAudio, AudioError> {
    if is_opus(&bytes) {
        return decode_opus(bytes, limits);
    }
    let edit = mp4::edit(&bytes);
    // The length of an AIFF's sound counts the 8 bytes in front of it, which some take for samples.
    let slack = if bytes.starts_with(b"FORM") { 8 } else { 0 };
    let mut probed = probe(Box::new(Cursor::new(bytes)), extension)?;
    let track = audio_track(probed.format.as_ref())?.clone();
    let decoder = symphonia::default::get_codecs()
        .make(&track.codec_params, &DecoderOptions::default())
        .map_err(unsupported)?;
    let tags = read_tags(&mut probed);

    let mut mixer = Mixer::new(decoder, limits);
    mixer.run(probed.format.as_mut(), track.id)?;
    let mut clip = mixer.finish(tags)?;
    if let Some(promised) = track.codec_params.n_frames
        && (clip.samples.len() as u64) + slack < promised
    {
        clip.warnings.push(format!(
            "the file ends early: {} of {promised} samples are there",
            clip.samples.len()
        ));
    }
    if let Some(edit) = edit {
        cut(&mut clip, edit);
    }
    let peak = clip.samples.iter().fold(0f32, |peak, v| peak.max(v.abs()));
    if peak > MAX_PEAK {
        clip.warnings.push(format!(
            "the samples reach {peak:.0} times full scale, as floats do that were scaled as 16-bit integers: if they are, divide them by 32768"
        ));
    }
    Ok(clip)
}

/// Takes off what an encoder put before the sound and behind it.
fn cut(clip: &mut DecodedAudio, edit: Edit) {
    let samples = |seconds: f64| (seconds * f64::from(clip.sample_rate)).round() as usize;
    let begin = samples(edit.begin).min(clip.samples.len());
    let end = match edit.seconds {
        Some(seconds) => begin
            .saturating_add(samples(seconds))
            .min(clip.samples.len()),
        None => clip.samples.len(),
    };
    if begin < end {
        clip.samples.truncate(end);
        clip.samples.drain(..begin);
    }
}

fn probe(source: Box<dyn MediaSource>, extension: Option<&str>) -> Result<ProbeResult, AudioError> {
    let stream = MediaSourceStream::new(source, Default::default());
    let mut hint = Hint::new();
    if let Some(extension) = extension {
        hint.with_extension(extension);
    }
    let options = FormatOptions {
        enable_gapless: true,
        ..FormatOptions::default()
    };
    symphonia::default::get_probe()
        .format(&hint, stream, &options, &MetadataOptions::default())
        .map_err(unsupported)
}

fn audio_track(format: &dyn FormatReader) -> Result<&Track, AudioError> {
    format
        .tracks()
        .iter()
        .find(|track| track.codec_params.codec != CODEC_TYPE_NULL)
        .ok_or_else(|| AudioError::Unsupported {
            reason: "it has no audio track".into(),
        })
}

fn read_tags(probed: &mut ProbeResult) -> Vec<(String, String)> {
    let mut tags = Vec::new();
    let mut keep = |revision: &symphonia::core::meta::MetadataRevision| {
        for tag in revision.tags() {
            let value = tag.value.to_string();
            tags.push((tag.key.clone(), value.trim_end_matches('\0').to_owned()));
        }
    };
    if let Some(metadata) = probed.metadata.get()
        && let Some(revision) = metadata.current()
    {
        keep(revision);
    }
    if let Some(revision) = probed.format.metadata().current() {
        keep(revision);
    }
    tags
}

fn unsupported(error: SymphoniaError) -> AudioError {
    let reason = match error {
        SymphoniaError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => {
            "the end came before any sound".to_owned()
        }
        other => other.to_string(),
    };
    AudioError::Unsupported { reason }
}

/// Collects packets into one mono clip.
struct Mixer {
    decoder: Box<dyn Decoder>,
    limits: DecodeLimits,
    samples: Vec<f32>,
    format: Option<(u32, usize)>,
    bad_packets: usize,
    last_problem: String,
}

impl Mixer {
    fn new(decoder: Box<dyn Decoder>, limits: &DecodeLimits) -> Self {
        Self {
            decoder,
            limits: limits.clone(),
            samples: Vec::new(),
            format: None,
            bad_packets: 0,
            last_problem: String::new(),
        }
    }

    fn run(&mut self, format: &mut dyn FormatReader, track: u32) -> Result<(), AudioError> {
        loop {
            let packet = match format.next_packet() {
                Ok(packet) => packet,
                Err(SymphoniaError::IoError(e)) if e.kind() == ErrorKind::UnexpectedEof => {
                    return Ok(());
                }
                Err(SymphoniaError::IoError(e)) => return Err(AudioError::Io(e)),
                Err(SymphoniaError::ResetRequired) => {
                    return Err(AudioError::Damaged {
                        reason: "its format changes half-way".into(),
                    });
                }
                Err(e) => {
                    return Err(AudioError::Damaged {
                        reason: e.to_string(),
                    });
                }
            };
            if packet.track_id() == track {
                self.mix(&packet)?;
            }
        }
    }

    fn mix(&mut self, packet: &Packet) -> Result<(), AudioError> {
        let decoded = match self.decoder.decode(packet) {
            Ok(decoded) => decoded,
            Err(SymphoniaError::DecodeError(reason)) => {
                self.bad_packets += 1;
                reason.clone_into(&mut self.last_problem);
                return Ok(());
            }
            Err(e) => {
                return Err(AudioError::Damaged {
                    reason: e.to_string(),
                });
            }
        };
        let spec = *decoded.spec();
        let found = (spec.rate, spec.channels.count());
        if found.1 == 0 || *self.format.get_or_insert(found) != found {
            return Err(AudioError::Damaged {
                reason: "its sample rate or channels change half-way".into(),
            });
        }
        check_rate(found.0)?;
        let limit = self.limits.most(found.0);
        if self.samples.len() + decoded.frames() > limit {
            return Err(AudioError::TooLong { limit });
        }
        let mut interleaved = SampleBuffer::<f32>::new(decoded.frames() as u64, spec);
        interleaved.copy_interleaved_ref(decoded);
        let scale = 1.0 / found.1 as f32;
        self.samples.extend(
            interleaved
                .samples()
                .chunks_exact(found.1)
                .map(|frame| frame.iter().sum::<f32>() * scale),
        );
        Ok(())
    }

    fn finish(self, tags: Vec<(String, String)>) -> Result<DecodedAudio, AudioError> {
        let Some((sample_rate, channels)) = self.format.filter(|_| !self.samples.is_empty()) else {
            return Err(match self.bad_packets {
                0 => AudioError::Empty,
                _ => AudioError::Damaged {
                    reason: self.last_problem,
                },
            });
        };
        if let Some(index) = self.samples.iter().position(|v| !v.is_finite()) {
            let value = self.samples[index];
            return Err(AudioError::NotFinite { index, value });
        }
        let warnings = match self.bad_packets {
            0 => Vec::new(),
            n => vec![format!(
                "{n} damaged packets were left out ({})",
                self.last_problem
            )],
        };
        Ok(DecodedAudio {
            samples: self.samples,
            sample_rate,
            channels,
            tags,
            warnings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stereo_wav(frames: &[(i16, i16)]) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 44_100,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::new(&mut out, spec).unwrap();
        for &(left, right) in frames {
            writer.write_sample(left).unwrap();
            writer.write_sample(right).unwrap();
        }
        writer.finalize().unwrap();
        out.into_inner()
    }

    #[test]
    fn channels_are_averaged() {
        let bytes = stereo_wav(&[(16_384, 0), (-16_384, 16_384), (8_192, 8_192)]);
        let clip = decode(bytes, Some("wav"), &DecodeLimits::default()).unwrap();
        assert_eq!(clip.samples, [0.25, 0.0, 0.25]);
        assert_eq!((clip.sample_rate, clip.channels), (44_100, 2));
        assert!(clip.warnings.is_empty());
    }

    #[test]
    fn a_cut_file_gives_what_is_there_and_says_so() {
        let mut bytes = stereo_wav(&[(1_000, 1_000); 5_000]);
        bytes.truncate(44 + 4 * 3_000);
        let clip = decode(bytes, Some("wav"), &DecodeLimits::default()).unwrap();
        assert!(clip.samples.len() <= 3_000);
        assert!(
            clip.warnings[0].contains("ends early"),
            "{:?}",
            clip.warnings
        );
    }

    #[test]
    fn what_is_not_audio_is_named_as_such() {
        for bytes in [Vec::new(), b"\x93NUMPY\x01\x00".to_vec(), vec![0; 5_000]] {
            let result = decode(bytes, None, &DecodeLimits::default());
            assert!(
                matches!(result, Err(AudioError::Unsupported { .. })),
                "{result:?}"
            );
        }
    }

    #[test]
    fn a_clip_without_samples_is_refused() {
        let result = decode(stereo_wav(&[]), Some("wav"), &DecodeLimits::default());
        assert!(result.is_err());
    }

    #[test]
    fn the_length_limit_holds() {
        let samples = DecodeLimits {
            max_samples: 99,
            ..DecodeLimits::default()
        };
        let seconds = DecodeLimits {
            max_seconds: 99.5 / 44_100.0,
            ..DecodeLimits::default()
        };
        for limits in [samples, seconds] {
            let result = decode(stereo_wav(&[(1, 1); 100]), Some("wav"), &limits);
            assert!(matches!(result, Err(AudioError::TooLong { limit: 99 })));
        }
    }

    #[test]
    fn the_delay_of_an_encoder_is_cut() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/audio/tone.m4a");
        let bytes = std::fs::read(path).unwrap();
        let clip = decode(bytes, Some("m4a"), &DecodeLimits::default()).unwrap();
        assert_eq!(clip.samples.len(), 22_050);
        let turns =
            |hertz: f32, n: usize| (n as f32 * hertz / 22_050.0 * std::f32::consts::TAU).sin();
        let sine = |n: usize| 0.3 * turns(220.0, n) * (1.0 + turns(3.0, n)) / 2.0;
        let middle = 2_000..20_000;
        let worst = middle
            .map(|n| (clip.samples[n] - sine(n)).abs())
            .fold(0.0, f32::max);
        assert!(worst < 0.05, "{worst}");
    }

    #[test]
    fn floats_scaled_as_integers_are_told() {
        let mut out = Cursor::new(Vec::new());
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 22_050,
            bits_per_sample: 32,
            sample_format: hound::SampleFormat::Float,
        };
        let mut writer = hound::WavWriter::new(&mut out, spec).unwrap();
        for n in 0..1_000 {
            writer
                .write_sample(9_000.0 * (n as f32 * 0.1).sin())
                .unwrap();
        }
        writer.finalize().unwrap();
        let clip = decode(out.into_inner(), Some("wav"), &DecodeLimits::default()).unwrap();
        assert!(clip.warnings[0].contains("32768"), "{:?}", clip.warnings);
    }

    #[test]
    fn a_rate_of_zero_costs_the_file_alone() {
        let mut bytes = stereo_wav(&[(1, 1); 100]);
        bytes[24..28].fill(0);
        let result = decode(bytes, Some("wav"), &DecodeLimits::default());
        assert!(
            matches!(result, Err(AudioError::Damaged { .. })),
            "{result:?}"
        );
    }
}
