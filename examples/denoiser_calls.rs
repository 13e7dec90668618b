//! Time of all steps of a window, by windows, frames and steps, on any provider: `cargo run --release --example denoiser_calls -- cuda --batches 1,8,64`.
//!
//! Prints a JSON object a line: provider, nodes by provider, windows, frames, steps, the median of the
//! runs in milliseconds, and the real-time factor. Each run gets windows of streams of their own, whose conditions are there, so that what is
//! timed is the denoiser with its copies and the solver's updates, and at the last step the filters after the diffusion.

use std::time::{Duration, Instant};

use clap::Parser;
use ndarray::Array2;
use vocode::bundle::Bundle;
use vocode::internals::{Window, WindowPlan};
use vocode::runtime::{GpuOptions, LoadOptions, Provider, Runtime, SessionOptions};
use vocode::vocoder::{ScheduleChoice, Stream, Vocoder};

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
    /// Denoising steps
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,6")]
    steps: Vec<usize>,
    /// Runs of each kind
    #[arg(long, default_value_t = 15)]
    runs: usize,
    /// Half precision (TensorRT)
    #[arg(long)]
    fp16: bool,
    /// TF32 (CUDA)
    #[arg(long)]
    tf32: bool,
}

/// Runs of one kind end then, however few they were.
const ENOUGH: Duration = Duration::from_secs(2);

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let runtime = Runtime::load(&LoadOptions::default())?;
    let options = SessionOptions::default()
        .provider(args.provider)
        .gpu(GpuOptions::default().fp16(args.fp16).tf32(args.tf32));
    let mut vocoder = Vocoder::new(Bundle::embedded()?, &runtime, &options)?;
    for &steps in &args.steps {
        for &batch in &args.batches {
            for &core in &args.cores {
                // The first run of a size may tune or record.
                let (_, core) = all_steps(&mut vocoder, steps, batch, core)?;
                let (mut times, began) = (Vec::new(), Instant::now());
                while times.is_empty() || times.len() < args.runs && began.elapsed() < ENOUGH {
                    times.push(all_steps(&mut vocoder, steps, batch, core)?.0);
                }
                print(&vocoder, steps, batch, core, times);
            }
        }
    }
    Ok(())
}

fn print(vocoder: &Vocoder, steps: usize, batch: usize, core: usize, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    let mel = &vocoder.manifest().mel;
    let audio = (batch * core * mel.hop) as f64 / f64::from(mel.sample_rate);
    let line = serde_json::json!({
        "provider": vocoder.provider(),
        "provider_nodes": vocoder.placement().nodes(),
        "steps": steps,
        "windows": batch,
        "core_frames": core,
        "milliseconds": 1e3 * median,
        "real_time_factor": median / audio,
    });
    println!("{line}");
}

/// Seconds that the first windows of `batch` streams take in all steps together, and their cores.
fn all_steps(
    vocoder: &mut Vocoder,
    steps: usize,
    batch: usize,
    core: usize,
) -> Result<(f64, usize), Failure> {
    let mut streams: Vec<Stream> = (0..batch)
        .map(|seed| stream(vocoder, seed as u64, steps, core))
        .collect::<Result<_, _>>()?;
    let (mut done, mut seconds) = (0, 0.0);
    loop {
        let windows: Vec<Window> = streams.iter().flat_map(|s| s.ready().pop()).collect();
        let jobs: Vec<(usize, Window)> = windows.into_iter().enumerate().collect();
        let Some((_, first)) = jobs.first().copied() else {
            return Err("the mel is too short for all steps".into());
        };
        let mut all: Vec<&mut Stream> = streams.iter_mut().collect();
        let began = Instant::now();
        vocoder.run(&mut all, &jobs)?;
        // Between them, earlier steps move on: what they take is not counted.
        if first.step == done && first.core_start <= 0 {
            seconds += began.elapsed().as_secs_f64();
            done += 1;
        }
        if done == steps {
            return Ok((seconds, first.core));
        }
    }
}

/// A stream whose mel is there.
fn stream(vocoder: &Vocoder, seed: u64, steps: usize, core: usize) -> Result<Stream, Failure> {
    let manifest = vocoder.manifest();
    let sampling = ScheduleChoice::Steps(steps).resolve(manifest, None)?;
    let windows = WindowPlan::exact(core, manifest.context, sampling.plan.steps())?;
    let mut stream = vocoder.stream(&sampling, seed, windows, None)?;
    let mel = &manifest.mel;
    let level = mel.floor_value() + 4.0;
    let frames = (steps + 3) * core + 256;
    stream.push(Array2::from_elem((mel.n_mels, frames), level).view())?;
    Ok(stream)
}
