//! What the benches share: the model, mels, and a printed line with the real-time factor.

// Each bench uses a part of it.
#![allow(dead_code)]

use std::fs::File;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput};
use ndarray::Array2;
use vocode::bundle::{Bundle, Manifest};
use vocode::mel::{Layout, Mel, NpyLimits, read_npy};
use vocode::runtime::{LoadOptions, Runtime, SessionOptions};
use vocode::vocoder::Vocoder;

/// Runs a bench that needs ONNX Runtime, which is looked for as `vocode` does; nothing is fetched.
pub fn with_runtime(criterion: Criterion, benches: &[fn(&mut Criterion, &Runtime)]) -> ExitCode {
    let runtime = match Runtime::load(&LoadOptions::default()) {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("the bench cannot run: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut criterion = criterion.configure_from_args();
    for bench in benches {
        bench(&mut criterion, &runtime);
    }
    criterion.final_summary();
    ExitCode::SUCCESS
}

/// Ten runs of each case, for cases of milliseconds and more.
pub fn few_runs() -> Criterion {
    numbers()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(2))
}

/// Twenty runs of each case in about a second, for the parts.
pub fn short_runs() -> Criterion {
    numbers()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
}

/// Without criterion's pictures, which need a font: a bare machine has none.
fn numbers() -> Criterion {
    Criterion::default().without_plots()
}

/// The built-in model.
pub fn bundle() -> Bundle {
    Bundle::embedded().expect("the built-in model is sound")
}

/// The built-in model, loaded; on all processors where `threads` is `None`.
pub fn vocoder(runtime: &Runtime, threads: Option<usize>) -> Vocoder {
    let options = SessionOptions::default().threads(threads);
    Vocoder::new(bundle(), runtime, &options).expect("the built-in model loads")
}

/// The demo's frames, repeated or cut to this number.
pub fn mel(frames: usize) -> Mel {
    let file = File::open("models/demo/demo.npy").expect("the demo is there");
    let demo =
        read_npy(file, None, Layout::BandsFirst, &NpyLimits::default()).expect("the demo is a mel");
    let values = Array2::from_shape_fn((demo.n_mels(), frames), |(band, frame)| {
        demo.view()[[band, frame % demo.frames()]]
    });
    Mel::new(values).expect("the demo's values are finite")
}

/// Frames of so many seconds in a model's convention.
pub fn frames(seconds: usize, manifest: &Manifest) -> usize {
    seconds * manifest.mel.sample_rate as usize / manifest.mel.hop
}

/// How much audio one run of a case makes.
#[derive(Clone, Copy)]
pub struct Audio {
    pub samples: usize,
    pub rate: u32,
}

impl Audio {
    /// That of so many frames of a model.
    pub fn of(frames: usize, manifest: &Manifest) -> Audio {
        Audio {
            samples: frames * manifest.mel.hop,
            rate: manifest.mel.sample_rate,
        }
    }
}

/// A group of cases.
pub struct Cases<'a> {
    name: &'a str,
    group: BenchmarkGroup<'a, WallTime>,
}

impl<'a> Cases<'a> {
    pub fn new(criterion: &'a mut Criterion, name: &'a str) -> Cases<'a> {
        let mut group = criterion.benchmark_group(name);
        // As many runs in every sample: cases of milliseconds would otherwise take half a minute each.
        group.sampling_mode(SamplingMode::Flat);
        Cases { name, group }
    }

    /// A case that makes nothing to be counted.
    pub fn plain(&mut self, id: &str, mut run: impl FnMut()) {
        self.group
            .bench_function(id, |bencher| bencher.iter(&mut run));
    }

    /// A case that makes audio: throughput in samples a second, and a line with the real-time factor, the mean of all runs.
    pub fn audio(&mut self, id: &str, audio: Audio, mut run: impl FnMut()) {
        self.timed_audio(id, audio, |count| {
            let began = Instant::now();
            (0..count).for_each(|_| run());
            began.elapsed()
        });
    }

    /// The same for a case that times `count` runs itself.
    pub fn timed_audio(&mut self, id: &str, audio: Audio, mut time: impl FnMut(u64) -> Duration) {
        self.group
            .throughput(Throughput::Elements(audio.samples as u64));
        let (mut runs, mut spent) = (0, Duration::ZERO);
        self.group.bench_function(id, |bencher| {
            bencher.iter_custom(|count| {
                let taken = time(count);
                (runs, spent) = (runs + count, spent + taken);
                taken
            });
        });
        // No run: the case was not chosen.
        if runs > 0 {
            let seconds = runs as f64 * audio.samples as f64 / f64::from(audio.rate);
            let factor = spent.as_secs_f64() / seconds;
            println!("{}/{id}: real-time factor {factor:.5}\n", self.name);
        }
    }

    /// A case that waits for something, and times `count` of the waits itself.
    pub fn timed(&mut self, id: &str, mut time: impl FnMut(u64) -> Duration) {
        self.group
            .bench_function(id, |bencher| bencher.iter_custom(&mut time));
    }
}
