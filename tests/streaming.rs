//! Streams against whole clips: any pieces, chunks, neighbours and rates give the same audio.

mod common;

use std::cell::RefCell;
use std::fs::File;
use std::path::Path;

use ndarray::{Array2, Axis, s};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use vocode::bundle::Bundle;
use vocode::diffusion::Solver;
use vocode::mel::{Layout, Mel, NpyLimits, read_npy};
use vocode::runtime::SessionOptions;
use vocode::vocoder::{
    AudioOutput, OpenStream, Output, ScheduleChoice, Scheduler, SchedulerOptions, StreamRequest,
    StreamStart, SynthesisOptions, Vocoder, VocoderError,
};
use vocode::watermark::{Key, Watermark};

fn vocoder(bundle: Bundle) -> Vocoder {
    Vocoder::new(
        bundle,
        &common::ensure_runtime(),
        &SessionOptions::default(),
    )
    .unwrap()
}

fn fixture(name: &str) -> Bundle {
    Bundle::from_dir(&Path::new("tests/fixtures").join(name)).unwrap()
}

fn scheduler(bundle: Bundle, batch: usize, max_streams: usize) -> Scheduler {
    let options = SchedulerOptions::default()
        .batch(Some(batch))
        .max_streams(max_streams);
    Scheduler::start(vocoder(bundle), options).unwrap()
}

/// A mel of the bundle's convention whose values differ from frame to frame.
fn some_mel(bundle: &Bundle, frames: usize) -> Array2<f32> {
    let mel = &bundle.manifest.mel;
    let (low, high) = (mel.floor_value(), mel.ceiling_value());
    Array2::from_shape_fn((mel.n_mels, frames), |(band, frame)| {
        let wave = (0.37 * frame as f32 + 0.9 * band as f32).sin() * 0.5 + 0.5;
        low + (high - low) * 0.6 * wave
    })
}

/// What the command line would write: the whole clip at once.
fn offline(vocoder: &mut Vocoder, mel: &Array2<f32>, request: &StreamRequest) -> Vec<f32> {
    let options = SynthesisOptions::default()
        .seed(request.seed)
        .schedule(request.schedule.clone())
        .solver(request.solver);
    let mel = Mel::new(mel.clone()).unwrap();
    let made = vocoder.synthesize(&mel, &options).unwrap();
    let rate = request.sample_rate.unwrap_or(made.sample_rate);
    let mut output = Output::new(request.shift_samples, made.sample_rate, rate).unwrap();
    let mut samples = Vec::new();
    output.push(&made.samples, &mut samples).unwrap();
    output.finish(&mut samples).unwrap();
    samples
}

/// Pushes the mel in pieces of these lengths, over and over, while the audio is taken.
async fn streamed(
    scheduler: &Scheduler,
    mel: &Array2<f32>,
    pieces: &[usize],
    request: &StreamRequest,
) -> Vec<f32> {
    let OpenStream {
        mut input, output, ..
    } = scheduler.open(request).unwrap();
    let writer = async {
        let (mut start, mut sizes) = (0, pieces.iter().cycle());
        while start < mel.ncols() {
            let end = (start + sizes.next().unwrap()).min(mel.ncols());
            input
                .push(mel.slice(s![.., start..end]).to_owned())
                .await
                .unwrap();
            start = end;
            tokio::task::yield_now().await;
        }
        input.end();
    };
    let (samples, ()) = tokio::join!(drain(output), writer);
    samples
}

async fn drain(mut output: AudioOutput) -> Vec<f32> {
    let mut samples = Vec::new();
    while let Some(piece) = output.next().await {
        samples.extend(piece.unwrap());
    }
    assert_eq!(output.stats().samples, samples.len() as u64);
    samples
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// One stream of a property test: frames, pieces, what is asked for.
fn any_stream(
    steps: &'static [usize],
    solvers: &'static [Solver],
) -> impl Strategy<Value = (usize, Vec<usize>, StreamRequest)> {
    let frames = prop_oneof![1usize..40, 40usize..400, Just(2000usize)];
    let pieces = prop::collection::vec(1usize..90, 1..5);
    let request = (
        prop::sample::select(steps),
        prop::option::of(prop::sample::select(solvers)),
        any::<u64>(),
        prop::sample::select(vec![None, Some(8_000), Some(16_000), Some(48_000)]),
        prop::option::of(1usize..70),
        prop::option::of(1usize..130),
        prop::sample::select(vec![0i64, 5, -3]),
    )
        .prop_map(
            |(steps, solver, seed, sample_rate, first, longest, shift_samples)| {
                StreamRequest::default()
                    .schedule(ScheduleChoice::Steps(steps))
                    .solver(solver)
                    .seed(seed)
                    .sample_rate(sample_rate)
                    .first_chunk_frames(first)
                    .chunk_frames(longest)
                    .shift_samples(shift_samples)
            },
        );
    (frames, pieces, request)
}

/// Runs several streams at once and compares each with the whole clip.
fn streams_equal_whole_clips(
    bundle: &str,
    steps: &'static [usize],
    solvers: &'static [Solver],
    batch: usize,
) {
    let scheduler = scheduler(fixture(bundle), batch, 8);
    let whole = RefCell::new(vocoder(fixture(bundle)));
    let runtime = tokio_runtime();
    let mut runner = TestRunner::new(Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    });
    let streams = prop::collection::vec(any_stream(steps, solvers), 1..4);
    let check = |streams: Vec<(usize, Vec<usize>, StreamRequest)>| {
        let mels: Vec<_> = streams
            .iter()
            .map(|(frames, ..)| some_mel(&fixture(bundle), *frames))
            .collect();
        let together = streams.iter().zip(&mels);
        let together =
            together.map(|((_, pieces, request), mel)| streamed(&scheduler, mel, pieces, request));
        let found = runtime.block_on(futures_util::future::join_all(together));
        for (((_, _, request), mel), found) in streams.iter().zip(&mels).zip(found) {
            let difference = worst(&found, &offline(&mut whole.borrow_mut(), mel, request));
            prop_assert!(difference < 1e-4, "{difference}");
        }
        Ok(())
    };
    runner.run(&streams, check).unwrap();
}

#[test]
fn excitation_streams_equal_whole_clips() {
    let solvers = &[Solver::Heun, Solver::Midpoint, Solver::DpmSolverPp];
    streams_equal_whole_clips("tiny_flow", &[1, 2, 3, 4, 5, 6], solvers, 1);
}

#[test]
fn batched_waveform_streams_equal_whole_clips() {
    let solvers = &[Solver::Ddim { eta: 0.5 }, Solver::DpmSolverPp];
    streams_equal_whole_clips("tiny_ddpm", &[6], solvers, 4);
}

#[test]
fn the_default_model_streams_what_it_writes() {
    let file = File::open("models/demo/demo.npy").unwrap();
    let mel = read_npy(file, Some(80), Layout::Auto, &NpyLimits::default()).unwrap();
    let mel = mel.view().slice(s![.., ..200]).to_owned();
    let request = StreamRequest::default().seed(5);
    let whole = offline(&mut vocoder(Bundle::embedded().unwrap()), &mel, &request);
    assert!(whole.iter().any(|v| v.abs() > 0.1));
    let scheduler = scheduler(Bundle::embedded().unwrap(), 2, 4);
    let found = tokio_runtime().block_on(async {
        tokio::join!(
            streamed(&scheduler, &mel, &[200], &request),
            streamed(&scheduler, &mel, &[1, 7, 30], &request)
        )
    });
    for found in [found.0, found.1] {
        let difference = worst(&found, &whole);
        assert!(difference < 1e-4, "{difference}");
    }
}

#[test]
fn the_model_of_centred_mels_streams_what_it_writes_and_goes_on_elsewhere() {
    let bundle = || Bundle::built_in("vocos24k").unwrap();
    let mel = some_mel(&bundle(), 200);
    let request = StreamRequest::default().seed(5);
    let whole = offline(&mut vocoder(bundle()), &mel, &request);
    assert_eq!(whole.len(), 200 * bundle().manifest.mel.hop);
    let scheduler = scheduler(bundle(), 2, 4);
    let pieces = tokio_runtime().block_on(streamed(&scheduler, &mel, &[1, 7, 30], &request));
    let difference = worst(&pieces, &whole);
    assert!(difference < 1e-4, "{difference}");
    let requests = [request.sample_rate(Some(48_000))];
    let largest = resumed_against_whole(bundle(), 300, &requests);
    assert!(largest < 1e-4, "{largest}");
}

/// With as many passes as a schedule may have, which hold back more than the chunks that are usual.
#[test]
fn a_schedule_of_many_passes_streams_what_it_writes_and_is_heard_after_its_first_chunk() {
    let bundle = || {
        let mut bundle = fixture("tiny_flow");
        bundle
            .manifest
            .schedules
            .named
            .get_mut("two")
            .unwrap()
            .passes = Some(16);
        bundle.manifest.consistency.as_mut().unwrap().momentum = 0.5;
        bundle
    };
    let mel = some_mel(&bundle(), 400);
    let two = || ScheduleChoice::Named("two".to_owned());
    let request = StreamRequest::default().schedule(two());
    let mut whole_model = vocoder(bundle());
    let whole = offline(&mut whole_model, &mel, &request);
    let usual = offline(
        &mut whole_model,
        &mel,
        &request.clone().schedule(ScheduleChoice::Default),
    );
    assert!(worst(&whole, &usual) > 0.01);
    let scheduler = scheduler(bundle(), 2, 4);
    let pieces = tokio_runtime().block_on(streamed(&scheduler, &mel, &[1, 7, 30], &request));
    assert!(worst(&pieces, &whole) < 1e-4);
    let resumed = resumed_against_whole(bundle(), 400, &[request]);
    assert!(resumed < 1e-4, "{resumed}");

    // Up to 6 frames by the envelope and 4 by each pass are held back.
    let options = SynthesisOptions::default().schedule(two());
    let mut stream = whole_model.open(&options).unwrap();
    let first = mel.axis_iter(Axis(1)).map(|frame| {
        stream.push(frame.insert_axis(Axis(1))).unwrap();
        whole_model.advance(&mut stream).unwrap();
        stream.take().len()
    });
    let heard = (1..).zip(first).find(|(_, samples)| *samples > 0);
    let (frames, samples) = heard.unwrap();
    assert_eq!(frames, 72 + 3 * 2);
    assert!(samples >= 2 * 256, "{samples}");
}

#[test]
fn a_reader_that_stalls_holds_back_its_own_stream_only() {
    let scheduler = scheduler(fixture("tiny_flow"), 1, 4);
    let mel = some_mel(&fixture("tiny_flow"), 3000);
    let request = StreamRequest::default();
    tokio_runtime().block_on(async {
        let OpenStream {
            mut input,
            mut output,
            ..
        } = scheduler.open(&request).unwrap();
        let stalled_mel = mel.clone();
        let writer = tokio::spawn(async move {
            input.push(stalled_mel).await.unwrap();
            input.end();
        });
        let first = output.next().await.unwrap().unwrap();
        let other = streamed(&scheduler, &mel, &[500], &request).await;
        // The stalled stream has made little more than what waits for its reader, and its writer waits with most of the mel.
        let hop = fixture("tiny_flow").manifest.mel.hop;
        assert!(
            output.stats().samples < (6 * 64 * hop) as u64,
            "{:?}",
            output.stats()
        );
        assert!(!writer.is_finished());
        let mut found = first;
        while let Some(piece) = output.next().await {
            found.extend(piece.unwrap());
        }
        assert!(worst(&found, &other) < 1e-4);
        writer.await.unwrap();
    });
}

#[test]
fn a_place_is_free_again_once_a_stream_is_dropped() {
    let scheduler = scheduler(fixture("tiny_flow"), 1, 2);
    let request = StreamRequest::default();
    tokio_runtime().block_on(async {
        let (first, second) = (
            scheduler.open(&request).unwrap(),
            scheduler.open(&request).unwrap(),
        );
        assert!(matches!(
            scheduler.open(&request),
            Err(VocoderError::Busy { limit: 2 })
        ));
        drop(first);
        // The reader of the second one hears of its writer's end.
        let OpenStream {
            input, mut output, ..
        } = second;
        drop(input);
        assert!(matches!(
            output.next().await,
            Some(Err(VocoderError::Cancelled))
        ));
        assert!(output.next().await.is_none());
        while scheduler.active() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            streamed(
                &scheduler,
                &some_mel(&fixture("tiny_flow"), 3),
                &[1],
                &request
            )
            .await
            .len(),
            3 * fixture("tiny_flow").manifest.mel.hop
        );
    });
}

#[test]
fn a_bad_frame_is_named_by_its_place_in_the_clip_and_ends_nothing_else() {
    let scheduler = scheduler(fixture("tiny_flow"), 1, 4);
    let mel = some_mel(&fixture("tiny_flow"), 60);
    let request = StreamRequest::default();
    tokio_runtime().block_on(async {
        let OpenStream {
            mut input, output, ..
        } = scheduler.open(&request).unwrap();
        input.push(mel.clone()).await.unwrap();
        let mut bad = mel.select(Axis(1), &[0, 1, 2]);
        bad[[1, 2]] = f32::NAN;
        let error = input.push(bad).await.unwrap_err();
        assert!(
            matches!(
                error,
                VocoderError::MelNotFinite {
                    frame: 62,
                    band: 1,
                    ..
                }
            ),
            "{error}"
        );
        input.end();
        let whole = streamed(&scheduler, &mel, &[60], &request).await;
        assert!(worst(&drain(output).await, &whole) < 1e-4);
    });
}

#[test]
fn requests_that_cannot_be_met_are_refused() {
    let scheduler = scheduler(fixture("tiny_flow"), 1, 4);
    let open = |request: StreamRequest| {
        scheduler
            .open(&request)
            .err()
            .map(|error| error.to_string())
    };
    let some = StreamRequest::default;
    let unknown = open(some().schedule(ScheduleChoice::Named("slow".to_owned()))).unwrap();
    assert!(unknown.contains("slow"), "{unknown}");
    let rate = open(some().sample_rate(Some(7))).unwrap();
    assert!(rate.contains('7'), "{rate}");
    let chunk = open(some().chunk_frames(Some(0))).unwrap();
    assert!(chunk.contains("1 to"), "{chunk}");
    assert_eq!(scheduler.active(), 0);
}

/// Streams that begin inside their clip, with no more of the mel than they need and with more of it, against the whole stream. Returns the
/// largest difference.
fn resumed_against_whole(bundle: Bundle, frames: usize, requests: &[StreamRequest]) -> f32 {
    let (mel, made) = (some_mel(&bundle, frames), bundle.manifest.mel.clone());
    let scheduler = scheduler(bundle, 1, 4);
    let mut largest = 0.0;
    tokio_runtime().block_on(async {
        for request in requests {
            let whole = streamed(&scheduler, &mel, &[frames], request).await;
            let lead = scheduler.open(request).unwrap().plan.lead_frames;
            let rate = request.sample_rate.unwrap_or(made.sample_rate) as usize;
            for share in [0.003, 0.31, 0.77, 1.0] {
                let sample = (share * whole.len() as f64) as usize;
                let at = sample * made.sample_rate as usize / rate / made.hop;
                for frame in [at.saturating_sub(lead), 0] {
                    let start = StreamStart {
                        frame: frame as u64,
                        sample: sample as u64,
                    };
                    let rest = mel.slice(s![.., frame.min(frames)..]).to_owned();
                    let request = request.clone().start(start);
                    let found = streamed(&scheduler, &rest, &[17, 5], &request).await;
                    let difference = worst(&found, &whole[sample..]);
                    largest = f32::max(largest, difference);
                }
            }
        }
    });
    largest
}

#[test]
fn a_stream_goes_on_elsewhere_with_the_same_samples() {
    let steps = |count| StreamRequest::default().schedule(ScheduleChoice::Steps(count));
    let flow = [
        steps(3)
            .solver(Some(Solver::DpmSolverPp))
            .chunk_frames(Some(31)),
        steps(4).sample_rate(Some(48_000)).shift_samples(5),
        steps(2).sample_rate(Some(16_000)).shift_samples(-300),
    ];
    assert!(resumed_against_whole(fixture("tiny_flow"), 400, &flow) < 1e-4);
    let ddpm = steps(6).solver(Some(Solver::Ddim { eta: 0.5 }));
    assert!(resumed_against_whole(fixture("tiny_ddpm"), 300, &[ddpm]) < 1e-4);
}

#[test]
fn a_stream_of_the_default_model_goes_on_elsewhere_bit_by_bit() {
    let steps = |count| StreamRequest::default().schedule(ScheduleChoice::Steps(count));
    let mark = Watermark::new(&Key::public(), 0xcafe_0123);
    let requests = [
        steps(4).seed(3),
        steps(2).sample_rate(Some(24_000)).watermark(Some(mark)),
    ];
    let largest = resumed_against_whole(Bundle::embedded().unwrap(), 300, &requests);
    assert_eq!(largest, 0.0);
}

#[test]
fn a_stream_whose_mel_begins_too_late_says_from_where_it_is_needed() {
    let scheduler = scheduler(fixture("tiny_flow"), 1, 4);
    let start = StreamStart {
        frame: 400,
        sample: 400 * fixture("tiny_flow").manifest.mel.hop as u64,
    };
    let error = scheduler
        .open(&StreamRequest::default().start(start))
        .err()
        .unwrap();
    let VocoderError::StartContext { found: 400, needed } = error else {
        panic!("{error}");
    };
    let start = StreamStart {
        frame: needed,
        ..start
    };
    assert!(
        scheduler
            .open(&StreamRequest::default().start(start))
            .is_ok()
    );
}
