//! One suite for every execution provider that is really there: each makes the CPU's audio, whatever the windows, the batch and the pieces.
//!
//! The CPU is tried twice, once as it is and once with the planned sizes that GPUs get, so that what a GPU does with windows is tested without
//! one. `VOCODE_TEST_PROVIDERS=cuda,tensorrt` makes providers obligatory: one that does not load fails the suite then.

mod common;

use std::fs::File;
use std::path::Path;

use ndarray::s;
use vocode::bundle::Bundle;
use vocode::diffusion::{Corrector, Solver};
use vocode::mel::{Layout, Mel, NpyLimits, read_npy};
use vocode::runtime::{Placement, Provider, RuntimeError, SessionOptions};
use vocode::vocoder::{
    OpenStream, ScheduleChoice, Scheduler, SchedulerOptions, StreamRequest, SynthesisOptions,
    Vocoder, VocoderError,
};

/// How far a provider may be from the CPU, and from itself, of full scale.
struct Subject {
    name: String,
    options: SessionOptions,
    from_cpu: f32,
}

const FROM_ITSELF: f32 = 1e-4;

fn subjects() -> Vec<Subject> {
    let cpu = |planned_sizes, name: &str| Subject {
        name: name.to_owned(),
        options: SessionOptions::default()
            .provider(Provider::Cpu)
            .planned_sizes(planned_sizes),
        from_cpu: 1e-4,
    };
    let obligatory = std::env::var("VOCODE_TEST_PROVIDERS").unwrap_or_default();
    let gpus = [Provider::Cuda, Provider::TensorRt].map(|provider| Subject {
        name: provider.to_string(),
        options: SessionOptions::default().provider(provider),
        from_cpu: 1e-3,
    });
    let there = |subject: &Subject| match load(Bundle::embedded().unwrap(), subject) {
        Ok(_) => true,
        Err(VocoderError::Runtime(RuntimeError::ProviderUnavailable {
            source: missing, ..
        })) => {
            let wanted = obligatory.split(',').any(|name| name == subject.name);
            assert!(!wanted, "{} is obligatory: {missing}", subject.name);
            eprintln!("not here: {}: {missing}", subject.name);
            false
        }
        Err(other) => panic!("{}: {other}", subject.name),
    };
    let mut subjects = vec![cpu(false, "cpu"), cpu(true, "cpu, planned sizes")];
    subjects.extend(gpus.into_iter().filter(there));
    subjects
}

fn load(bundle: Bundle, subject: &Subject) -> Result<Vocoder, VocoderError> {
    Vocoder::new(bundle, &common::ensure_runtime(), &subject.options)
}

fn demo() -> Mel {
    let file = File::open("models/demo/demo.npy").unwrap();
    read_npy(file, Some(80), Layout::Auto, &NpyLimits::default()).unwrap()
}

fn make(vocoder: &mut Vocoder, mel: &Mel, options: &SynthesisOptions) -> Vec<f32> {
    let made = vocoder.synthesize(mel, options);
    made.unwrap().samples
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

#[test]
fn every_node_is_where_the_summary_says() {
    for subject in subjects() {
        let vocoder = load(Bundle::embedded().unwrap(), &subject).unwrap();
        let placement: &Placement = vocoder.placement();
        assert_eq!(vocoder.provider(), subject.options.provider.name());
        assert!(
            placement.is_whole(subject.options.provider),
            "{}: {placement}",
            subject.name
        );
        assert_eq!(vocoder.provider_note(), None);
    }
}

#[test]
fn each_provider_makes_the_audio_of_the_cpu() {
    let mel = demo();
    let mut reference = load(Bundle::embedded().unwrap(), &subjects()[0]).unwrap();
    for steps in [1, 4] {
        let options = SynthesisOptions::default().schedule(ScheduleChoice::Steps(steps));
        let expected = make(&mut reference, &mel, &options);
        assert!(expected.iter().any(|sample| sample.abs() > 0.1));
        for subject in subjects() {
            let mut vocoder = load(Bundle::embedded().unwrap(), &subject).unwrap();
            let found = worst(&make(&mut vocoder, &mel, &options), &expected);
            assert!(
                found < subject.from_cpu,
                "{}, {steps} steps: {found}",
                subject.name
            );
        }
    }
}

#[test]
fn both_kinds_of_model_run_on_each_provider() {
    for name in ["tiny_ddpm", "tiny_flow"] {
        let bundle = || Bundle::from_dir(&Path::new("tests/fixtures").join(name)).unwrap();
        let mel = &bundle().manifest.mel;
        let values = ndarray::Array2::from_shape_fn((mel.n_mels, 50), |(band, frame)| {
            mel.floor_value() + 2.0 + (0.3 * frame as f32 + band as f32).sin()
        });
        let mel = Mel::new(values).unwrap();
        let mut reference = load(bundle(), &subjects()[0]).unwrap();
        let expected = make(&mut reference, &mel, &SynthesisOptions::default());
        for subject in subjects() {
            let mut vocoder = load(bundle(), &subject).unwrap();
            let found = make(&mut vocoder, &mel, &SynthesisOptions::default());
            let found = worst(&found, &expected);
            assert!(
                found < subject.from_cpu,
                "{}, {name}: {found}",
                subject.name
            );
        }
    }
}

/// Bound tensors and padded sizes change nothing, whatever a solver adds or remembers.
#[test]
fn every_solver_makes_the_audio_of_the_cpu() {
    let mel = demo();
    let corrector = Solver::PredictorCorrector(Corrector::default());
    let cases = [
        (Solver::Euler, 3),
        (Solver::Heun, 3),
        (Solver::DpmSolverPp, 4),
        (corrector, 3),
        (Solver::Midpoint, 6),
    ];
    for subject in subjects() {
        let mut reference = load(Bundle::embedded().unwrap(), &subjects()[0]).unwrap();
        let mut vocoder = load(Bundle::embedded().unwrap(), &subject).unwrap();
        for (solver, steps) in cases {
            let options = SynthesisOptions::default()
                .schedule(ScheduleChoice::Steps(steps))
                .solver(Some(solver))
                .seed(9);
            let expected = make(&mut reference, &mel, &options);
            let found = vocoder.synthesize(&mel, &options).unwrap();
            let name = format!("{}, {solver} in {steps} steps", subject.name);
            let worst = worst(&found.samples, &expected);
            assert!(worst < subject.from_cpu, "{name}: {worst}");
        }
    }
}

#[test]
fn windows_and_batches_change_nothing() {
    let mel = demo();
    let options = |window_frames, batch| {
        SynthesisOptions::default()
            .window_frames(window_frames)
            .batch(Some(batch))
    };
    for subject in subjects() {
        let mut vocoder = load(Bundle::embedded().unwrap(), &subject).unwrap();
        let expected = make(&mut vocoder, &mel, &options(None, 1));
        for (frames, batch) in [(Some(mel.frames()), 1), (Some(40), 8), (Some(23), 3)] {
            let found = worst(
                &make(&mut vocoder, &mel, &options(frames, batch)),
                &expected,
            );
            assert!(
                found < FROM_ITSELF,
                "{}, windows of {frames:?}, batch {batch}: {found}",
                subject.name
            );
        }
    }
}

#[test]
fn streams_beside_each_other_are_the_whole_clip() {
    let mel = demo();
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for subject in subjects() {
        let mut vocoder = load(Bundle::embedded().unwrap(), &subject).unwrap();
        let seeds = [3u64, 4, 5];
        let expected = seeds.map(|seed| {
            let options = SynthesisOptions::default().seed(seed);
            make(&mut vocoder, &mel, &options)
        });
        let options = SchedulerOptions::default().batch(Some(4));
        let scheduler = Scheduler::start(vocoder, options).unwrap();
        let streams = seeds.map(|seed| stream(&scheduler, &mel, seed));
        let found = tokio.block_on(futures_util::future::join_all(streams));
        for (found, expected) in found.iter().zip(&expected) {
            let found = worst(found, expected);
            assert!(found < FROM_ITSELF, "{}: {found}", subject.name);
        }
    }
}

async fn stream(scheduler: &Scheduler, mel: &Mel, seed: u64) -> Vec<f32> {
    let request = StreamRequest::default()
        .seed(seed)
        .chunk_frames(Some(50 + seed as usize));
    let OpenStream {
        mut input,
        mut output,
        ..
    } = scheduler.open(&request).unwrap();
    let writer = async {
        for start in (0..mel.frames()).step_by(37) {
            let end = (start + 37).min(mel.frames());
            let piece = mel.view().slice(s![.., start..end]).to_owned();
            input.push(piece).await.unwrap();
        }
        input.end();
    };
    let reader = async {
        let mut samples = Vec::new();
        while let Some(piece) = output.next().await {
            samples.extend(piece.unwrap());
        }
        samples
    };
    tokio::join!(writer, reader).1
}

/// Warming calls every planned size once, and only where there are any.
#[test]
fn warming_prepares_all_planned_sizes() {
    for subject in subjects() {
        let mut vocoder = load(
            Bundle::from_dir(Path::new("tests/fixtures/tiny_flow")).unwrap(),
            &subject,
        )
        .unwrap();
        let mut calls = Vec::new();
        vocoder
            .warm(2, &mut |done, total| calls.push((done, total)))
            .unwrap();
        let planned = subject.options.planned_sizes || subject.options.provider != Provider::Cpu;
        if planned {
            // Five lengths of the conditioner alone, and of the denoiser with one and two windows.
            assert_eq!(calls.first(), Some(&(0, 15)), "{}", subject.name);
            assert_eq!(calls.last(), Some(&(15, 15)), "{}", subject.name);
        } else {
            assert!(calls.is_empty(), "{}", subject.name);
        }
    }
}
