//! The engine on real input: the demo mel and the built-in model.

mod common;

use std::fs::File;
use std::ops::ControlFlow;

use ndarray::{Axis, s};
use vocode::bundle::Bundle;
use vocode::diffusion::Solver;
use vocode::mel::{Layout, Mel, NpyLimits, Sharpening, analyse, read_npy};
use vocode::runtime::{Precision, Provider, SessionOptions};
use vocode::vocoder::{ScheduleChoice, SynthesisOptions, Vocoder, VocoderError};

/// What the built-in model multiplies in: in all of them it keeps its promises.
const PRECISIONS: [Precision; 2] = [Precision::Float, Precision::Int8];

fn vocoder() -> Vocoder {
    vocoder_in(Precision::Auto)
}

fn vocoder_in(precision: Precision) -> Vocoder {
    let runtime = common::ensure_runtime();
    let options = SessionOptions::default().precision(precision);
    Vocoder::new(Bundle::embedded().unwrap(), &runtime, &options).unwrap()
}

fn demo() -> Mel {
    let file = File::open("models/demo/demo.npy").unwrap();
    read_npy(file, Some(80), Layout::Auto, &NpyLimits::default()).unwrap()
}

fn make(vocoder: &mut Vocoder, mel: &Mel, options: &SynthesisOptions) -> Vec<f32> {
    vocoder.synthesize(mel, options).unwrap().samples
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn windows_side_by_side_are_those_one_after_the_other() {
    PRECISIONS
        .into_iter()
        .for_each(side_by_side_is_one_after_the_other);
}

fn side_by_side_is_one_after_the_other(precision: Precision) {
    let (runtime, mel) = (common::ensure_runtime(), demo());
    let mut expected = None;
    for (threads, together) in [(1, 1), (2, 6), (3, 9), (5, 12)] {
        let session = SessionOptions::default()
            .threads(Some(threads))
            .precision(precision)
            .provider(Provider::Cpu);
        let mut vocoder = Vocoder::new(Bundle::embedded().unwrap(), &runtime, &session).unwrap();
        assert_eq!(vocoder.best_batch(), together);
        // Without a batch each session takes the next window as soon as it is free; in batches those left over are cut.
        for (batch, window_frames) in [(None, None), (None, Some(130)), (Some(together), None)] {
            let options = SynthesisOptions::default()
                .batch(batch)
                .window_frames(window_frames);
            let found = make(&mut vocoder, &mel, &options);
            assert!(
                found == make(&mut vocoder, &mel, &options),
                "{threads} threads: not the same twice"
            );
            let expected = expected.get_or_insert_with(|| found.clone());
            let worst = difference(&found, expected);
            assert!(worst < 1e-4, "{precision}, {threads} threads: {worst}");
        }
    }
}

#[test]
fn any_window_gives_the_whole_clip() {
    PRECISIONS.into_iter().for_each(any_window_is_the_whole);
}

fn any_window_is_the_whole(precision: Precision) {
    let (mut vocoder, mel) = (vocoder_in(precision), demo());
    assert_eq!(vocoder.precision(), precision);
    let options = |window_frames, batch| {
        SynthesisOptions::default()
            .window_frames(window_frames)
            .batch(Some(batch))
    };
    let whole = make(&mut vocoder, &mel, &options(Some(mel.frames()), 1));
    assert!(whole.iter().any(|v| v.abs() > 0.1));
    for (frames, batch) in [(Some(86), 1), (Some(86), 8), (Some(23), 3), (None, 1)] {
        let found = make(&mut vocoder, &mel, &options(frames, batch));
        let worst = difference(&found, &whole);
        assert!(
            worst < 1e-4,
            "{precision}, windows of {frames:?} frames, batch {batch}: {worst}"
        );
    }
}

#[test]
fn solvers_that_come_back_to_earlier_states_do_so_in_any_window() {
    let (mut vocoder, mel) = (vocoder(), demo());
    let mut made: Vec<Vec<f32>> = Vec::new();
    for solver in [
        Solver::Euler,
        Solver::Heun,
        Solver::Midpoint,
        Solver::DpmSolverPp,
    ] {
        let options = |window_frames| {
            SynthesisOptions::default()
                .schedule(ScheduleChoice::Steps(4))
                .solver(Some(solver))
                .window_frames(Some(window_frames))
        };
        let whole = make(&mut vocoder, &mel, &options(mel.frames()));
        let worst = difference(&make(&mut vocoder, &mel, &options(61)), &whole);
        assert!(worst < 1e-4, "{solver}: {worst}");
        for other in &made {
            assert!(difference(other, &whole) > 1e-3, "{solver} does as another");
        }
        made.push(whole);
    }
}

#[test]
fn a_mel_that_comes_in_pieces_gives_the_whole_clip() {
    PRECISIONS.into_iter().for_each(pieces_are_the_whole);
}

fn pieces_are_the_whole(precision: Precision) {
    let (mut vocoder, mel) = (vocoder_in(precision), demo());
    let whole = make(&mut vocoder, &mel, &SynthesisOptions::default());
    for (pieces, chunk) in [(1, None), (37, Some(5)), (300, Some(90))] {
        let options = SynthesisOptions::default().window_frames(chunk);
        let mut stream = vocoder.open(&options).unwrap();
        let (mut samples, mut before_the_end) = (Vec::new(), 0);
        for piece in mel.view().axis_chunks_iter(Axis(1), pieces) {
            stream.push(piece).unwrap();
            vocoder.advance(&mut stream).unwrap();
            samples.extend(stream.take());
            before_the_end = samples.len();
        }
        stream.end().unwrap();
        vocoder.advance(&mut stream).unwrap();
        samples.extend(stream.take());
        assert!(stream.is_done() && before_the_end > 0);
        let worst = difference(&samples, &whole);
        assert!(
            worst < 1e-4,
            "{precision}, {pieces} frames, chunk {chunk:?}: {worst}"
        );
    }
    let long = SynthesisOptions::default().window_frames(Some(0));
    assert!(matches!(
        vocoder.open(&long),
        Err(VocoderError::WindowLength { found: 0, .. })
    ));
}

#[test]
fn a_mel_is_sharpened_as_asked_for_or_else_as_the_bundle_says() {
    let (mut vocoder, mel) = (vocoder(), demo());
    let (convention, own) = {
        let manifest = vocoder.manifest();
        (manifest.mel.clone(), manifest.sharpening.unwrap())
    };
    let options = |bands| SynthesisOptions::default().sharpening(Some(Sharpening { bands }));
    let usual = make(&mut vocoder, &mel, &SynthesisOptions::default());
    assert!(make(&mut vocoder, &mel, &options(own.bands)) == usual);
    let sharp = own.apply(mel.view(), &convention);
    let sharp = Mel::new(sharp).unwrap();
    assert!(make(&mut vocoder, &sharp, &options(0.0)) == usual);
    let too_much = vocoder.synthesize(&mel, &options(5.0)).unwrap_err();
    assert!(matches!(too_much, VocoderError::Sharpening(_)));

    // What a blur across bands took comes back.
    let blurred = Sharpening { bands: -1.0 };
    let blurred = Mel::new(blurred.apply(mel.view(), &convention)).unwrap();
    let mut distance = |bands| {
        let made = make(&mut vocoder, &blurred, &options(bands));
        let found = analyse(&made, &convention).unwrap().into_values();
        (&found.slice(s![.., ..mel.frames()]) - &mel.view())
            .mapv(f32::abs)
            .mean()
            .unwrap()
    };
    let (without, with) = (distance(0.0), distance(2.5));
    assert!(with < 0.9 * without, "{without}, then {with}");
}

#[test]
fn clips_of_a_few_frames_work() {
    let (mut vocoder, mel) = (vocoder(), demo());
    for frames in [1, 2, 9] {
        let short = Mel::new(mel.view().slice(s![.., 60..60 + frames]).to_owned()).unwrap();
        assert_eq!(
            make(&mut vocoder, &short, &SynthesisOptions::default()).len(),
            frames * 256
        );
    }
}

#[test]
fn steps_are_the_callers_choice() {
    let (mut vocoder, mel) = (vocoder(), demo());
    let options = |steps| SynthesisOptions::default().schedule(ScheduleChoice::Steps(steps));
    let two = vocoder.synthesize(&mel, &options(2)).unwrap();
    let five = vocoder.synthesize(&mel, &options(5)).unwrap();
    assert_eq!((two.steps, five.steps), (2, 5));
    assert!(difference(&two.samples, &five.samples) > 1e-3);
}

#[test]
fn a_synthesis_can_be_stopped_after_any_call() {
    let (mut vocoder, mel) = (vocoder(), demo());
    let mut calls = 0;
    let result = vocoder.synthesize_observed(&mel, &SynthesisOptions::default(), &mut |_| {
        calls += 1;
        ControlFlow::Break(())
    });
    assert!(matches!(result, Err(VocoderError::Cancelled)));
    assert_eq!(calls, 1);
}
