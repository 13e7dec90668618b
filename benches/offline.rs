//! Speed of a whole synthesis: `cargo bench --bench offline`, ten runs of each case, two to three minutes.
//!
//! Mels of 1, 5 and 20 s, made of the demo's frames, with 1, 2, 4 and 6 steps of the built-in model on 1 and 2 threads. Criterion's
//! throughput is in samples a second; a line of its own for each gives the real-time factor, the mean of all runs. A part of the
//! bench is chosen by a piece of its name: `cargo bench --bench offline -- threads=2/20s`.
//!
//! Model load is left out. ONNX Runtime is looked for as `vocode` does; nothing is fetched.

use std::fs::File;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use ndarray::Array2;
use vocode::bundle::Bundle;
use vocode::mel::{Layout, Mel, NpyLimits, read_npy};
use vocode::runtime::{LoadOptions, Runtime, SessionOptions};
use vocode::vocoder::{ScheduleChoice, SynthesisOptions, Vocoder};

/// Lengths of the audio in seconds.
const SECONDS: [usize; 3] = [1, 5, 20];
/// Denoising steps.
const STEPS: [usize; 4] = [1, 2, 4, 6];

fn main() -> ExitCode {
    let runtime = match Runtime::load(&LoadOptions::default()) {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("the bench cannot run: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    for threads in [1, 2] {
        offline(&mut criterion, &runtime, threads);
    }
    criterion.final_summary();
    ExitCode::SUCCESS
}

fn offline(criterion: &mut Criterion, runtime: &Runtime, threads: usize) {
    let bundle = Bundle::embedded().expect("the built-in model is sound");
    let options = SessionOptions {
        threads: Some(threads),
        ..SessionOptions::default()
    };
    let mut vocoder = Vocoder::new(bundle, runtime, &options).expect("the built-in model loads");
    let name = format!("offline/threads={threads}");
    let mut group = criterion.benchmark_group(&name);
    group.sampling_mode(SamplingMode::Flat);
    for seconds in SECONDS {
        let mel = mel(seconds, &vocoder);
        let samples = mel.frames() * vocoder.manifest().mel.hop;
        group.throughput(Throughput::Elements(samples as u64));
        for steps in STEPS {
            let id = BenchmarkId::new(format!("{seconds}s"), format!("steps={steps}"));
            let (mut runs, mut spent) = (0, Duration::ZERO);
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|count| {
                    let time = time(&mut vocoder, &mel, steps, count);
                    (runs, spent) = (runs + count, spent + time);
                    time
                });
            });
            if runs > 0 {
                let audio = samples as f64 / f64::from(vocoder.manifest().mel.sample_rate);
                let factor = spent.as_secs_f64() / (runs as f64 * audio);
                println!("{name}/{seconds}s/steps={steps}: real-time factor {factor:.4}\n");
            }
        }
    }
    group.finish();
}

/// What `count` runs take.
fn time(vocoder: &mut Vocoder, mel: &Mel, steps: usize, count: u64) -> Duration {
    let options = SynthesisOptions {
        schedule: ScheduleChoice::Steps(steps),
        ..SynthesisOptions::default()
    };
    let began = Instant::now();
    for _ in 0..count {
        let audio = vocoder.synthesize(mel, &options, &mut |_| ControlFlow::Continue(()));
        std::hint::black_box(audio.expect("the demo can be synthesised"));
    }
    began.elapsed()
}

/// The demo's frames, repeated to this length.
fn mel(seconds: usize, vocoder: &Vocoder) -> Mel {
    let convention = &vocoder.manifest().mel;
    let file = File::open("models/demo/demo.npy").expect("the demo is there");
    let demo = read_npy(
        file,
        Some(convention.n_mels),
        Layout::Auto,
        &NpyLimits::default(),
    )
    .expect("the demo is a mel");
    let frames = seconds * convention.sample_rate as usize / convention.hop;
    let values = Array2::from_shape_fn((demo.n_mels(), frames), |(band, frame)| {
        demo.view()[[band, frame % demo.frames()]]
    });
    Mel::new(values).expect("the demo's values are finite")
}
