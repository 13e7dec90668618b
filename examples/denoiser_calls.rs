//! Time of one denoiser call by windows and frames, on any provider: `cargo run --release --example denoiser_calls -- cuda --batches 1,8,64`.
//!
//! Prints a JSON object a line: provider, nodes by provider, windows, frames, the median of the calls in milliseconds and the real-time factor
//! of one step. Each call gets windows of streams of their own, whose conditions are there, so that what is timed is one call of the graph with
//! its copies and the solver's update, and nothing else.

use std::time::Instant;

use clap::Parser;
use ndarray::Array2;
use vocode::bundle::Bundle;
use vocode::runtime::{GpuOptions, LoadOptions, Provider, Runtime, SessionOptions};
use vocode::vocoder::{Chunks, ScheduleChoice, Stream, Vocoder, Window, WindowPlan};

/// Times denoiser calls.
#[derive(Parser)]
struct Args {
    /// Where to run: cpu, cuda or tensorrt
    provider: Provider,
    /// Windows in one call
    #[arg(long, value_delimiter = ',', default_value = "1,8,64")]
    batches: Vec<usize>,
    /// Cores of the windows, in frames
    #[arg(long, value_delimiter = ',', default_value = "16,64,128,256")]
    cores: Vec<usize>,
    /// Calls of each kind
    #[arg(long, default_value_t = 15)]
    runs: usize,
    /// Half precision (TensorRT)
    #[arg(long)]
    fp16: bool,
    /// TF32 (CUDA)
    #[arg(long)]
    tf32: bool,
}

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let runtime = Runtime::load(&LoadOptions::default())?;
    let options = SessionOptions {
        provider: args.provider,
        gpu: GpuOptions {
            fp16: args.fp16,
            tf32: args.tf32,
            ..GpuOptions::default()
        },
        ..SessionOptions::default()
    };
    let mut vocoder = Vocoder::new(Bundle::embedded()?, &runtime, &options)?;
    for &batch in &args.batches {
        for &core in &args.cores {
            // The first call of a size may tune.
            call(&mut vocoder, batch, core)?;
            let times: Result<Vec<f64>, Failure> = (0..args.runs.max(1))
                .map(|_| call(&mut vocoder, batch, core))
                .collect();
            print(&vocoder, batch, core, times?);
        }
    }
    Ok(())
}

fn print(vocoder: &Vocoder, batch: usize, core: usize, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    let mel = &vocoder.manifest().mel;
    let audio = (batch * core * mel.hop) as f64 / f64::from(mel.sample_rate);
    let line = serde_json::json!({
        "provider": vocoder.provider(),
        "provider_nodes": vocoder.placement().nodes,
        "windows": batch,
        "core_frames": core,
        "milliseconds": 1e3 * median,
        "real_time_factor": median / audio,
    });
    println!("{line}");
}

/// Seconds of the second step's first window of `batch` streams.
fn call(vocoder: &mut Vocoder, batch: usize, core: usize) -> Result<f64, Failure> {
    let mut streams: Vec<Stream> = (0..batch)
        .map(|seed| stream(vocoder, seed as u64, core))
        .collect::<Result<_, _>>()?;
    loop {
        let windows: Vec<Window> = streams.iter().flat_map(|s| s.ready().pop()).collect();
        let jobs: Vec<(usize, Window)> = windows.into_iter().enumerate().collect();
        let second = jobs.iter().all(|(_, window)| window.step == 1);
        let mut all: Vec<&mut Stream> = streams.iter_mut().collect();
        let began = Instant::now();
        vocoder.run(&mut all, &jobs)?;
        if second {
            return Ok(began.elapsed().as_secs_f64());
        }
    }
}

/// A stream whose mel is there.
fn stream(vocoder: &Vocoder, seed: u64, core: usize) -> Result<Stream, Failure> {
    let manifest = vocoder.manifest();
    let plan = ScheduleChoice::Steps(2).resolve(manifest, None)?.plan;
    let chunks = Chunks {
        first: core,
        longest: core,
    };
    let windows = WindowPlan::streaming(chunks, manifest.context, plan.steps())?;
    let mut stream = vocoder.stream(plan, seed, windows);
    let mel = &manifest.mel;
    let level = mel.floor_value() + 4.0;
    stream.push(Array2::from_elem((mel.n_mels, 4 * core + 64), level).view())?;
    Ok(stream)
}
