//! Speed of one call of the built-in model's graphs: `cargo bench --bench denoiser`, two to three minutes.
//!
//! `denoiser` is one call by the frames of its window and the windows in it: what a window costs falls with its length, as the context of 8
//! frames on each side is paid for once, and a batch is worth it where a call costs less than as many calls of one window. The real-time
//! factor is that of one step, of the frames without their context. `conditioner` is its call for as many frames, once a synthesis.
//! `window` is all that the engine does for one window of one step: the conditioner, the denoiser, the update and the filters.

mod common;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use common::{Audio, Cases, bundle, few_runs, mel, vocoder, with_runtime};
use criterion::Criterion;
use ndarray::{ArrayD, ArrayViewD, Axis, concatenate};
use vocode::bundle::Bundle;
use vocode::diffusion::Noise;
use vocode::internals::{Graph, WindowPlan};
use vocode::runtime::{Runtime, SessionOptions};
use vocode::vocoder::ScheduleChoice;

/// Frames of a window without its context: a stream's first chunk, its later ones, a whole clip's with several lanes and with
/// one, and twice that.
const CORES: [usize; 5] = [24, 64, 80, 128, 256];
const BATCHES: [usize; 4] = [1, 2, 4, 8];

fn main() -> ExitCode {
    with_runtime(few_runs(), &[calls, windows])
}

fn load(runtime: &Runtime, bytes: &[u8], label: &str) -> Graph {
    Graph::from_bytes(runtime, bytes, label, &SessionOptions::default())
        .expect("the built-in model loads")
}

fn calls(criterion: &mut Criterion, runtime: &Runtime) {
    let Bundle {
        manifest,
        conditioner,
        denoiser,
        ..
    } = bundle();
    let mut conditioner = load(runtime, &conditioner, "conditioner");
    let mut denoiser = load(runtime, &denoiser, "denoiser");
    let names: Vec<String> = conditioner
        .outputs()
        .iter()
        .map(|port| port.name.clone())
        .collect();
    let mut cases = Cases::new(criterion, "call");
    for core in CORES {
        let covered = core + 2 * manifest.context.denoiser;
        let mel = mel(covered).into_values().insert_axis(Axis(0)).into_dyn();
        let conditions = conditioner.run(&[("mel", mel.view())]);
        let conditions = conditions.expect("the conditioner runs");
        let audio = Audio::of(core, &manifest);
        cases.audio(&format!("conditioner/frames={core}"), audio, || {
            black_box(conditioner.run(&[("mel", mel.view())])).expect("the conditioner runs");
        });
        for batch in BATCHES {
            let (x, t) = state(batch, covered * manifest.mel.hop);
            let conditions: Vec<ArrayD<f32>> =
                conditions.iter().map(|one| repeated(one, batch)).collect();
            let mut inputs: Vec<(&str, ArrayViewD<'_, f32>)> =
                vec![("x", x.view()), ("t", t.view())];
            inputs.extend(
                names
                    .iter()
                    .map(String::as_str)
                    .zip(conditions.iter().map(|array| array.view())),
            );
            let audio = Audio::of(batch * core, &manifest);
            let id = format!("denoiser/frames={core}/batch={batch}");
            cases.audio(&id, audio, || {
                black_box(denoiser.run(&inputs)).expect("the denoiser runs");
            });
        }
    }
}

/// Noise, and times that differ as those of windows of several steps do.
fn state(batch: usize, samples: usize) -> (ArrayD<f32>, ArrayD<f32>) {
    let mut x = vec![0.0; batch * samples];
    Noise::new(5).fill(0, 0, &mut x);
    let t = (0..batch).map(|row| row as f32 / batch as f32).collect();
    let shaped = |dims: &[usize], values| {
        ArrayD::from_shape_vec(dims, values).expect("there are as many values as places")
    };
    (shaped(&[batch, samples], x), shaped(&[batch], t))
}

fn repeated(one: &ArrayD<f32>, batch: usize) -> ArrayD<f32> {
    concatenate(Axis(0), &vec![one.view(); batch]).expect("they have one shape")
}

fn windows(criterion: &mut Criterion, runtime: &Runtime) {
    let mut vocoder = vocoder(runtime, None);
    let manifest = vocoder.manifest().clone();
    let sampling = ScheduleChoice::Steps(1).resolve(&manifest, None);
    let sampling = sampling.expect("one step fits");
    let mut cases = Cases::new(criterion, "window");
    for core in CORES {
        let windows = WindowPlan::exact(core, manifest.context, sampling.plan.steps());
        let windows = windows.expect("the window is not too long");
        let mel = mel(core + windows.look_ahead());
        let audio = Audio::of(core, &manifest);
        cases.timed_audio(&format!("frames={core}"), audio, |count| {
            let mut spent = Duration::ZERO;
            for _ in 0..count {
                let stream = vocoder.stream(&sampling, 0, windows, None);
                let mut stream = stream.expect("the passes fit");
                stream.push(mel.view()).expect("the mel fits");
                let jobs = [(0, stream.ready()[0])];
                let began = Instant::now();
                let outcome = vocoder.run(&mut [&mut stream], &jobs);
                spent += began.elapsed();
                black_box(outcome).expect("the model runs");
            }
            spent
        });
    }
}
