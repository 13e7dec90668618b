//! `vocode detect`: whether audio holds a watermark.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;
use serde_json::json;

use super::args::Verbosity;
use super::error::CliError;
use super::interrupt;
use super::jobs::{Source, expand};
use super::mel::{AUDIO, LengthArg, read_clip};
use super::output::{print, say};
use super::watermark::read_key;
use crate::watermark::{Detection, Key, Place, detect};

/// Exit code where something went wrong, as of grep: 0 and 1 tell whether there is a watermark.
const FAILED: u8 = 2;

const ABOUT: &str = "\
The false-alarm probability is a bound: at most so often does audio that was made without the key look so much like audio with its \
watermark, whatever else is in it. What --false-alarm asks for is met or not met by each file as a whole; its places are those stretches \
that meet it alone.

A file without a watermark may still be synthetic: other programs put none in, and it can be taken out. With the key that everybody has, \
everybody can also put one in.

Exit codes: 0 a watermark in at least one file, 1 in none, 2 the command line is wrong or a file could not be read, 130 interrupted.";

/// Arguments of `vocode detect`.
#[derive(Args, Debug)]
#[command(after_help = ABOUT)]
pub struct DetectArgs {
    /// Audio: WAV, FLAC, MP3, Ogg Vorbis, Opus, AIFF, .au or M4A files of any rate, folders of them, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    inputs: Vec<PathBuf>,
    /// File with the key that the watermark was put in with [default: the key that everybody has]
    #[arg(long, env = "VOCODE_WATERMARK_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
    /// Most that the false-alarm probability of a file may be for it to count as marked
    #[arg(
        long,
        env = "VOCODE_FALSE_ALARM",
        default_value_t = 1e-6,
        value_name = "P"
    )]
    false_alarm: f64,
    /// Print a JSON object for each file, on a line of its own
    #[arg(long, env = "VOCODE_JSON", value_parser = FalseyValueParser::new())]
    json: bool,
    #[command(flatten)]
    length: LengthArg,
    #[command(flatten)]
    verbosity: Verbosity,
}

/// Runs `vocode detect` and gives its exit code.
pub(super) fn run(args: &DetectArgs) -> Result<u8, CliError> {
    args.verbosity.start_logging();
    match search(args) {
        Err(error @ CliError::Interrupted) => Err(error),
        Err(error) => {
            say(&format!("error: {error}"));
            Ok(FAILED)
        }
        Ok(code) => Ok(code),
    }
}

fn search(args: &DetectArgs) -> Result<u8, CliError> {
    if !(args.false_alarm > 0.0 && args.false_alarm < 1.0) {
        return Err(CliError::usage(format!(
            "--false-alarm {}: expected a probability above 0 and below 1",
            args.false_alarm
        )));
    }
    let key = read_key(args.key.as_deref())?;
    let (mut marked, mut failed) = (false, false);
    for source in expand(&args.inputs, AUDIO)? {
        interrupt::check()?;
        match one(&source, &key, args) {
            Ok(is_marked) => marked |= is_marked,
            Err(error) => {
                say(&format!("error: {error}"));
                failed = true;
            }
        }
    }
    Ok(match (failed, marked) {
        (true, _) => FAILED,
        (false, true) => 0,
        (false, false) => 1,
    })
}

fn one(source: &Source, key: &Key, args: &DetectArgs) -> Result<bool, CliError> {
    let label = source.label();
    let clip = read_clip(source, args.length)?;
    for warning in &clip.warnings {
        args.verbosity.warn(&format!("{label}: {warning}"));
    }
    let found =
        detect(&clip.samples, clip.sample_rate, key).map_err(|e| CliError::audio(&label, e))?;
    let is_marked = found.is_marked(args.false_alarm);
    let text = match args.json {
        true => format!("{}\n", json(&label, &found, args.false_alarm)),
        false => format!("{label}: {}\n", line(&found, args.false_alarm)),
    };
    if args.json || !args.verbosity.quiet {
        print(&text)?;
    }
    Ok(is_marked)
}

/// One line for people.
fn line(found: &Detection, limit: f64) -> String {
    let chance = probability(found.log10_false_alarm);
    if !found.is_marked(limit) {
        return format!("no watermark found (false alarm {chance})");
    }
    let payload = found
        .payload
        .map_or("too little of it to read".to_owned(), |bits| {
            format!("{bits:08x}")
        });
    let places: Vec<&Place> = places(found, limit).collect();
    let whole = places.len() == found.places.len();
    let at = match (places.as_slice(), whole) {
        ([], _) => ", no place of it sure alone".to_owned(),
        (_, true) => String::new(),
        (places, _) => format!(", at {}", stretches(places)),
    };
    let odd = places
        .iter()
        .map(|place| place.speed)
        .find(|speed| (speed - 1.0).abs() > 1e-6);
    let speed = odd.map_or(String::new(), |speed| {
        format!(", played at {speed:.4} of its speed")
    });
    format!("watermark {payload} (false alarm {chance}){at}{speed}")
}

fn places(found: &Detection, limit: f64) -> impl Iterator<Item = &Place> {
    found
        .places
        .iter()
        .filter(move |place| place.log10_false_alarm <= limit.log10())
}

/// A probability of which only the power of ten may be a number.
fn probability(log10: f64) -> String {
    match log10 {
        _ if log10 > -0.005 => "up to 1".to_owned(),
        _ if log10 > -4.0 => format!("below {:.1e}", 10f64.powf(log10)),
        _ => format!("below 1e{}", log10.ceil()),
    }
}

/// Stretches that overlap or touch, as one.
fn stretches(places: &[&Place]) -> String {
    let mut joined: Vec<(f64, f64)> = Vec::new();
    for place in places {
        match joined.last_mut() {
            Some((_, end)) if place.start <= *end => *end = place.end.max(*end),
            _ => joined.push((place.start, place.end)),
        }
    }
    let words = joined
        .iter()
        .map(|(start, end)| format!("{start:.1}-{end:.1} s"));
    words.collect::<Vec<_>>().join(", ")
}

fn json(label: &str, found: &Detection, limit: f64) -> serde_json::Value {
    let hex = |bits: Option<u32>| bits.map(|bits| format!("{bits:08x}"));
    let place = |place: &Place| {
        json!({
            "start": place.start,
            "end": place.end,
            "marked": place.log10_false_alarm <= limit.log10(),
            "log10_false_alarm": place.log10_false_alarm,
            "speed": place.speed,
            "payload": hex(place.payload),
        })
    };
    json!({
        "file": label,
        "marked": found.is_marked(limit),
        "false_alarm": found.false_alarm(),
        "log10_false_alarm": found.log10_false_alarm,
        "payload": hex(found.payload),
        "seconds": found.seconds,
        "places": found.places.iter().map(place).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_too_small_for_the_type_are_told() {
        assert_eq!(probability(0.0), "up to 1");
        assert_eq!(probability(-2.0), "below 1.0e-2");
        assert_eq!(probability(-6.5), "below 1e-6");
        assert_eq!(probability(-400.2), "below 1e-400");
    }
}
