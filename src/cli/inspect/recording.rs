use ndarray::Array2;
use serde_json::json;

use super::findings::Findings;
use super::plot::{Axis, MAX_COLUMNS, Picture};
use crate::audio::DecodedAudio;
use crate::cli::error::CliError;
use crate::cli::jobs::Source;
use crate::cli::mel::{LengthArg, decode_clip};
use crate::cli::output::table;
use crate::stft::Stft;

const FFT: usize = 1024;
const HOP: usize = 256;
/// Decibels that the spectrogram shows below its loudest point.
const DEPTH: f32 = 90.0;

/// Everything that can be said of a recording.
pub(super) fn inspect(
    bytes: Vec<u8>,
    source: &Source,
    length: LengthArg,
) -> Result<Findings, CliError> {
    let clip = decode_clip(bytes, source, length)?;
    let peak = clip.samples.iter().fold(0f32, |m, v| m.max(v.abs()));
    let power = clip
        .samples
        .iter()
        .map(|&v| f64::from(v) * f64::from(v))
        .sum::<f64>()
        / clip.samples.len() as f64;
    let rms = power.sqrt();
    let json = json!({
        "kind": "recording",
        "sample_rate": clip.sample_rate,
        "channels": clip.channels,
        "samples": clip.samples.len(),
        "seconds": clip.seconds(),
        "peak": peak,
        "rms": rms,
        "tags": clip.tags.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "warnings": clip.warnings,
    });
    let decibels = |v: f64| 20.0 * v.max(1e-10).log10();
    let mut rows = vec![
        ("recording", source.label()),
        (
            "length",
            format!("{:.3} s, {} samples", clip.seconds(), clip.samples.len()),
        ),
        ("rate", format!("{} Hz", clip.sample_rate)),
        ("channels", clip.channels.to_string()),
        (
            "level",
            format!(
                "peak {:.1} dBFS, RMS {:.1} dBFS",
                decibels(f64::from(peak)),
                decibels(rms)
            ),
        ),
    ];
    rows.extend(clip.tags.iter().map(|(k, v)| (k.as_str(), v.clone())));
    rows.extend(clip.warnings.iter().map(|w| ("warning", w.clone())));
    Ok(Findings {
        text: table(&rows),
        json,
        picture: Some(spectrogram(&clip)),
    })
}

/// Magnitudes in dB, bins by columns; the hop grows with the clip so that the picture stays of bounded size.
fn spectrogram(clip: &DecodedAudio) -> Picture {
    let len = clip.samples.len();
    let hop = HOP.max(len.div_ceil(MAX_COLUMNS));
    let columns = len.div_ceil(hop);
    let mut stft = Stft::new(FFT, FFT);
    let mut values = Array2::zeros((stft.bins(), columns));
    for (column, mut out) in values.columns_mut().into_iter().enumerate() {
        let centre = column * hop + hop / 2;
        let spectrum = stft.spectrum(|n| {
            let sample = (centre + n).checked_sub(FFT / 2);
            sample
                .and_then(|i| clip.samples.get(i))
                .map_or(0.0, |&v| f64::from(v))
        });
        for (value, bin) in out.iter_mut().zip(spectrum) {
            *value = (10.0 * (bin.norm_sqr() + 1e-12).log10()) as f32;
        }
    }
    let top = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    Picture {
        values,
        range: (top - DEPTH, top),
        x: Axis {
            end: clip.seconds(),
            unit: "s",
        },
        y: Axis {
            end: f64::from(clip.sample_rate) / 2000.0,
            unit: "kHz",
        },
        unit: "dB",
    }
}
