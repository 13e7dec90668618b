//! How audio is written: by the parameter `encoding`, else by what the caller accepts.

use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use tonic::Status;

use super::problem::Problem;
use crate::proto::AudioEncoding;

/// The types that a caller may accept, with what each is answered with.
const ACCEPTED: [(&str, AudioEncoding); 12] = [
    ("*/*", AudioEncoding::WavS16),
    ("audio/*", AudioEncoding::WavS16),
    ("audio/wav", AudioEncoding::WavS16),
    ("audio/x-wav", AudioEncoding::WavS16),
    ("audio/wave", AudioEncoding::WavS16),
    ("audio/vnd.wave", AudioEncoding::WavS16),
    ("audio/flac", AudioEncoding::Flac),
    ("audio/x-flac", AudioEncoding::Flac),
    ("audio/ogg", AudioEncoding::Opus),
    ("audio/opus", AudioEncoding::Opus),
    ("application/*", AudioEncoding::PcmS16le),
    ("application/octet-stream", AudioEncoding::PcmS16le),
];

/// The type of an answer in that encoding.
pub(super) fn media_type(encoding: AudioEncoding) -> &'static str {
    match encoding {
        AudioEncoding::WavS16 | AudioEncoding::WavF32 => "audio/wav",
        AudioEncoding::Flac => "audio/flac",
        AudioEncoding::Opus => "audio/ogg",
        _ => "application/octet-stream",
    }
}

/// The name of an encoding as the parameter takes it: that of the enum, without its prefix and in small letters.
pub(super) fn name(encoding: AudioEncoding) -> String {
    let name = encoding.as_str_name();
    name.trim_start_matches("AUDIO_ENCODING_")
        .to_ascii_lowercase()
}

/// The encoding of that name.
pub(super) fn named(text: &str) -> Option<AudioEncoding> {
    let name = format!("AUDIO_ENCODING_{}", text.to_ascii_uppercase());
    AudioEncoding::from_str_name(&name).filter(|found| *found != AudioEncoding::Unspecified)
}

/// What the header `Accept` asks for: the type with the highest weight, of equals the first; WAV where it asks for nothing.
///
/// # Errors
/// 406 where nothing that it accepts can be made.
pub(super) fn accepted(headers: &HeaderMap) -> Result<AudioEncoding, Problem> {
    let values = headers.get_all(ACCEPT).iter();
    let lists: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    if lists.is_empty() {
        return Ok(AudioEncoding::WavS16);
    }
    let mut best: Option<(f32, AudioEncoding)> = None;
    for range in lists.iter().flat_map(|list| list.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        let weight = weight.map_or(1.0, |text| text.parse().unwrap_or(0.0));
        let known = ACCEPTED
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(kind));
        if let Some((_, encoding)) = known
            && weight > best.map_or(0.0, |(best, _)| best)
        {
            best = Some((weight, *encoding));
        }
    }
    best.map(|(_, encoding)| encoding).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            Status::invalid_argument(
                "Accept names no type that is made here: there is audio/wav, audio/flac, audio/ogg (Opus) and application/octet-stream (16-bit PCM), or the parameter encoding",
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_type_that_can_be_made_is_taken() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, text.parse().unwrap());
            accepted(&headers).ok()
        };
        assert_eq!(
            accepted(&HeaderMap::new()).ok(),
            Some(AudioEncoding::WavS16)
        );
        let cases = [
            ("*/*", Some(AudioEncoding::WavS16)),
            ("audio/flac", Some(AudioEncoding::Flac)),
            (
                "audio/mpeg, audio/flac;q=0.5, audio/wav;q=0.4",
                Some(AudioEncoding::Flac),
            ),
            (
                "audio/wav; q=0.1, application/octet-stream",
                Some(AudioEncoding::PcmS16le),
            ),
            ("text/html", None),
            ("audio/wav;q=0", None),
        ];
        for (text, expected) in cases {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn every_encoding_has_a_name() {
        for encoding in [
            AudioEncoding::PcmS16le,
            AudioEncoding::WavF32,
            AudioEncoding::Mulaw,
        ] {
            assert_eq!(named(&name(encoding)), Some(encoding));
        }
        assert_eq!((named("unspecified"), named("mp3")), (None, None));
    }
}
