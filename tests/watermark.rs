//! Watermarks from the library and the program: put in the same way however the work is cut, found again by their key alone.

mod common;

use std::cell::RefCell;
use std::fs::{self, File};
use std::path::Path;

use assert_cmd::Command;
use ndarray::{Array2, Axis, concatenate};
use predicates::prelude::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use vocode::bundle::Bundle;
use vocode::mel::{Layout, Mel, NpyLimits, read_npy, write_npy};
use vocode::runtime::{Precision, SessionOptions};
use vocode::vocoder::{OpenStream, Output, Scheduler, SchedulerOptions, StreamRequest};
use vocode::watermark::{Key, detect};
use vocode::{SynthesisOptions, Vocoder, Watermark};

const RATE: u32 = 22_050;

fn vocoder(bundle: Bundle) -> Vocoder {
    // In floats, where the cut into windows changes nothing beyond rounding.
    let options = SessionOptions::default().precision(Precision::Float);
    Vocoder::new(bundle, &common::ensure_runtime(), &options).unwrap()
}

fn built_in() -> Vocoder {
    vocoder(Bundle::embedded().unwrap())
}

/// The demo, `times` over.
fn demo(times: usize) -> Mel {
    let file = File::open("models/demo/demo.npy").unwrap();
    let mel = read_npy(file, Some(80), Layout::Auto, &NpyLimits::default()).unwrap();
    let views = vec![mel.view(); times];
    Mel::new(concatenate(Axis(1), &views).unwrap()).unwrap()
}

fn key(name: &str) -> Key {
    Key::new(format!("a key of the tests, {name}").as_bytes()).unwrap()
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

/// The audio of a stream of the scheduler, whose mel comes `pieces` frames at a time.
async fn streamed(
    scheduler: &Scheduler,
    mel: &Array2<f32>,
    pieces: usize,
    request: &StreamRequest,
) -> Vec<f32> {
    let OpenStream {
        mut input,
        mut output,
        ..
    } = scheduler.open(request).unwrap();
    let write = async {
        for piece in mel.axis_chunks_iter(Axis(1), pieces) {
            input.push(piece.to_owned()).await.unwrap();
        }
        input.end();
    };
    let read = async {
        let mut samples = Vec::new();
        while let Some(piece) = output.next().await {
            samples.extend(piece.unwrap());
        }
        samples
    };
    tokio::join!(read, write).0
}

#[test]
fn windows_streams_and_wholes_have_the_same_watermark() {
    let (whole, mel) = (RefCell::new(built_in()), demo(1));
    let scheduler =
        Scheduler::start(built_in(), SchedulerOptions::default().batch(Some(4))).unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let strategy = (
        any::<u32>(),
        20usize..364,
        prop::option::of(16usize..200),
        1usize..90,
        prop::sample::select(vec![22_050u32, 16_000]),
    );
    let config = Config {
        cases: 6,
        failure_persistence: None,
        ..Config::default()
    };
    let check =
        |(payload, frames, window, pieces, rate): (u32, usize, Option<usize>, usize, u32)| {
            let mark = Some(Watermark::new(&key("one"), payload));
            let mel = mel.view().slice(ndarray::s![.., ..frames]).to_owned();
            let made = |window| {
                let options = SynthesisOptions::default()
                    .window_frames(window)
                    .watermark(mark.clone());
                let made = whole
                    .borrow_mut()
                    .synthesize(&Mel::new(mel.clone()).unwrap(), &options)
                    .unwrap();
                let mut output = Output::new(0, RATE, rate).unwrap();
                let mut samples = Vec::new();
                output.push(&made.samples, &mut samples).unwrap();
                output.finish(&mut samples).unwrap();
                samples
            };
            let expected = made(Some(frames));
            prop_assert!(worst(&made(window), &expected) < 1e-4);
            let request = StreamRequest::default()
                .sample_rate(Some(rate))
                .watermark(mark.clone());
            let found = tokio.block_on(streamed(&scheduler, &mel, pieces, &request));
            prop_assert!(worst(&found, &expected) < 1e-4);
            Ok(())
        };
    TestRunner::new(config).run(&strategy, check).unwrap();
}

#[test]
fn streams_in_one_batch_keep_their_own_watermarks() {
    let (mut alone, mel) = (built_in(), demo(2));
    let scheduler =
        Scheduler::start(built_in(), SchedulerOptions::default().batch(Some(4))).unwrap();
    let marks = [
        Some(Watermark::new(&key("one"), 1)),
        Some(Watermark::new(&key("two"), 2)),
        None,
    ];
    let requests = marks
        .each_ref()
        .map(|mark| StreamRequest::default().watermark(mark.clone()));
    let tokio = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mel_values = mel.view().to_owned();
    let [one, two, none] = requests
        .each_ref()
        .map(|request| streamed(&scheduler, &mel_values, 40, request));
    let (one, two, none) = tokio.block_on(async { tokio::join!(one, two, none) });
    for (found, mark) in [&one, &two, &none].into_iter().zip(marks) {
        let options = SynthesisOptions::default().watermark(mark);
        let expected = alone.synthesize(&mel, &options).unwrap();
        assert!(worst(found, &expected.samples) < 1e-4);
    }
    for (audio, own, other) in [(&one, "one", "two"), (&two, "two", "one")] {
        assert!(
            detect(audio, RATE, &key(own)).unwrap().is_marked(1e-6),
            "{own}"
        );
        assert!(
            !detect(audio, RATE, &key(other)).unwrap().is_marked(1e-3),
            "{other} in {own}"
        );
    }
    assert!(!detect(&none, RATE, &key("one")).unwrap().is_marked(1e-3));
}

#[test]
fn what_it_says_is_read_at_any_rate_place_and_speed() {
    let mark = Watermark::new(&key("one"), 0xcafe_0123);
    let options = SynthesisOptions::default().watermark(Some(mark));
    let made = built_in().synthesize(&demo(4), &options).unwrap().samples;
    let found = |samples: &[f32], rate| detect(samples, rate, &key("one")).unwrap();
    let whole = found(&made, RATE);
    assert_eq!(whole.payload, Some(0xcafe_0123));
    assert!(whole.log10_false_alarm < -12.0, "{whole:?}");
    assert!(
        whole
            .places
            .iter()
            .all(|place| place.log10_false_alarm < -6.0 && place.speed == 1.0)
    );
    // A cut from the middle, softer.
    let cut: Vec<f32> = made[50_123..].iter().map(|v| 0.1 * v).collect();
    assert_eq!(found(&cut, RATE).payload, Some(0xcafe_0123));
    let resampled = vocode::audio::resample(made.clone(), RATE, 16_000).unwrap();
    assert_eq!(found(&resampled, 16_000).payload, Some(0xcafe_0123));
    // The same samples said to be of another rate are faster by 2%.
    let faster = found(&made, RATE * 102 / 100);
    assert_eq!(faster.payload, Some(0xcafe_0123));
    assert!(
        faster
            .places
            .iter()
            .all(|place| (place.speed - 1.02).abs() < 0.004),
        "{faster:?}"
    );
}

#[test]
fn a_model_without_passes_of_consistency_is_marked_too() {
    let bundle = || Bundle::from_dir(Path::new("tests/fixtures/tiny_ddpm")).unwrap();
    let manifest = bundle().manifest;
    assert!(manifest.consistency.is_none());
    let mel = Array2::from_shape_fn((manifest.mel.n_mels, 800), |(band, frame)| {
        manifest.mel.floor_value() + ((frame * 7 + band * 3) % 11) as f32 * 0.5
    });
    let mel = Mel::new(mel).unwrap();
    let mut vocoder = vocoder(bundle());
    let mut made = |mark| {
        let options = SynthesisOptions::default().watermark(mark);
        vocoder.synthesize(&mel, &options).unwrap()
    };
    let marked = made(Some(Watermark::new(&key("one"), 5)));
    let found = detect(&marked.samples, marked.sample_rate, &key("one")).unwrap();
    assert!(found.is_marked(1e-6), "{found:?}");
    let plain = made(None);
    assert!(
        !detect(&plain.samples, plain.sample_rate, &key("one"))
            .unwrap()
            .is_marked(1e-3)
    );
}

fn vocode() -> Command {
    let mut command = Command::cargo_bin("vocode").unwrap();
    command.env("VOCODE_ORT_LIB", common::ensure_runtime().library());
    command
}

#[test]
fn the_program_marks_and_finds_like_grep() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut bytes = Vec::new();
    write_npy(&mut bytes, &demo(4)).unwrap();
    fs::write(path("mel.npy"), bytes).unwrap();
    fs::write(path("key"), "0123456789abcdef0123456789abcdef\n").unwrap();
    fs::write(path("short"), "0123\n").unwrap();
    let make = |out: &str, flags: &[&str]| {
        let made = vocode()
            .args([&path("mel.npy"), "-o", &path(out)])
            .args(flags)
            .assert()
            .success();
        String::from_utf8(made.get_output().stderr.clone()).unwrap()
    };
    make("plain.wav", &[]);
    assert!(make("public.flac", &["--watermark"]).contains(", watermark "));
    make(
        "secret.wav",
        &["--watermark=cafe0123", "--watermark-key", &path("key")],
    );

    let detect = |flags: &[&str]| vocode().arg("detect").args(flags).assert();
    detect(&[&path("plain.wav")])
        .code(1)
        .stdout(predicate::str::contains("no watermark found"));
    detect(&[&path("secret.wav")]).code(1);
    detect(&[&path("secret.wav"), "--key", &path("key")])
        .code(0)
        .stdout(predicate::str::contains("watermark cafe0123"));
    let both = [path("plain.wav"), path("public.flac")];
    let answer = detect(&[&both[0], &both[1], "--json"]).code(0);
    let lines = String::from_utf8(answer.get_output().stdout.clone()).unwrap();
    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&lines[0]["marked"], &lines[1]["marked"]),
        (&false.into(), &true.into())
    );
    let usual = Watermark::usual_payload(&Bundle::embedded().unwrap().sha256, &Key::public());
    assert_eq!(lines[1]["payload"], format!("{usual:08x}"));
    assert!(lines[1]["places"][0]["log10_false_alarm"].as_f64().unwrap() < -6.0);

    detect(&[&path("absent.wav")]).code(2);
    detect(&[&path("plain.wav"), &path("mel.npy"), "--false-alarm", "2"]).code(2);
    detect(&[&path("plain.wav"), "--key", &path("short")])
        .code(2)
        .stderr(predicate::str::contains("at least 16 bytes"));
    vocode()
        .args([&path("mel.npy"), "-o", &path("bad.wav"), "--watermark=xyz"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("8 hexadecimal digits"));
    assert!(!Path::new(&path("bad.wav")).exists());
}
