//! Speed of what stands around the networks: `cargo bench --bench parts`, about a minute. It needs no ONNX Runtime.
//!
//! Reading a mel, the noise, the solvers' updates, the spectral envelope and mel consistency, each on its own and on one thread. All but the
//! first are given ten seconds of audio, so that their real-time factors add up with that of the denoiser.

mod common;

use std::hint::black_box;

use common::{Audio, Cases, bundle, frames, mel, short_runs};
use criterion::Criterion;
use half::f16;
use ndarray::ShapeBuilder;
use ndarray_npy::WriteNpyExt;
use vocode::bundle::Manifest;
use vocode::diffusion::{
    Corrector, Grid, Noise, Plan, Prediction, Process, Schedule, Solver, linear_betas, plan,
};
use vocode::internals::{ConsistencyFilter, ConsistencyParameters, EnvelopeFilter, Filtering};
use vocode::internals::{Wavefront, WindowPlan};
use vocode::mel::{Layout, NpyLimits, analyse, read_npy, write_npy};

const SECONDS: usize = 10;
/// Denoising steps of the solvers' updates.
const STEPS: usize = 4;

fn main() {
    let mut criterion = short_runs().configure_from_args();
    let manifest = bundle().manifest;
    mels(&mut criterion, &manifest);
    noise(&mut criterion, &manifest);
    solvers(&mut criterion, &manifest);
    filters(&mut criterion, &manifest);
    criterion.final_summary();
}

/// From the bytes of a file to a checked mel; and from a recording, for what a mel costs where there is none.
fn mels(criterion: &mut Criterion, manifest: &Manifest) {
    let mut cases = Cases::new(criterion, "mel");
    for seconds in [SECONDS, 600] {
        let mel = mel(frames(seconds, manifest));
        let audio = Audio::of(mel.frames(), manifest);
        let mut float = Vec::new();
        write_npy(&mut float, &mel).expect("a vector takes everything");
        let mut half = Vec::new();
        let values = mel.view().mapv(f16::from_f32).mapv(f16::to_bits);
        values
            .write_npy(&mut half)
            .expect("a vector takes everything");
        // The bits of halves, under the name of halves.
        let at = half.windows(3).position(|w| w == b"<u2");
        let at = at.expect("the header names the type");
        half[at + 1] = b'f';
        let mut fortran = Vec::new();
        let mut columns = ndarray::Array2::zeros(mel.view().raw_dim().f());
        columns.assign(&mel.view());
        columns
            .write_npy(&mut fortran)
            .expect("a vector takes everything");
        for (kind, bytes) in [("f32", &float), ("f16", &half), ("f32-fortran", &fortran)] {
            cases.audio(&format!("read/{seconds}s/{kind}"), audio, || {
                let limits = NpyLimits::default();
                let read = read_npy(bytes.as_slice(), None, Layout::BandsFirst, &limits);
                black_box(read.expect("it is a mel"));
            });
        }
    }
    let audio = Audio::of(frames(SECONDS, manifest), manifest);
    let samples = speech_like(audio.samples);
    cases.audio(&format!("analyse/{SECONDS}s"), audio, || {
        black_box(analyse(&samples, &manifest.mel).expect("it can be analysed"));
    });
}

fn noise(criterion: &mut Criterion, manifest: &Manifest) {
    let audio = Audio::of(frames(SECONDS, manifest), manifest);
    let mut samples = vec![0.0; audio.samples];
    let mut cases = Cases::new(criterion, "noise");
    cases.audio(&format!("{SECONDS}s"), audio, || {
        Noise::new(7).fill(0, 0, &mut samples);
        black_box(&samples);
    });
}

/// Everything that a solver does to the samples between the denoiser's calls, the noise that it draws included.
fn solvers(criterion: &mut Criterion, manifest: &Manifest) {
    let betas = linear_betas(1e-4, 0.05, 50);
    let ddpm = Process::Ddpm { betas };
    let corrector = Solver::PredictorCorrector(Corrector::default());
    let frames = frames(SECONDS, manifest);
    let audio = Audio::of(frames, manifest);
    let prediction = speech_like(1 << 16);
    let mut cases = Cases::new(criterion, "solver");
    for (name, process, solver) in [
        ("euler", &Process::Flow, Solver::Euler),
        ("heun", &Process::Flow, Solver::Heun),
        ("dpm-solver++", &Process::Flow, Solver::DpmSolverPp),
        ("predictor-corrector", &Process::Flow, corrector),
        ("ddim", &ddpm, Solver::Ddim { eta: 0.0 }),
        ("ancestral", &ddpm, Solver::Ancestral),
    ] {
        let schedule = Schedule {
            grid: Grid::Uniform(STEPS),
            solver: Some(solver),
            passes: None,
        };
        let plan = plan(process, Prediction::Sample, &schedule).expect("the solver fits");
        let id = format!("{name}/steps={STEPS}/{SECONDS}s");
        cases.audio(&id, audio, || {
            black_box(updates(&plan, manifest, frames, &prediction));
        });
    }
}

/// A synthesis whose denoiser answers at once.
fn updates(plan: &Plan, manifest: &Manifest, frames: usize, prediction: &[f32]) -> Vec<f32> {
    let windows = WindowPlan::balanced(frames, manifest.context, plan.steps(), 128)
        .expect("an even share is never too long");
    let hop = manifest.mel.hop;
    let mut front = Wavefront::new(plan.clone(), Noise::new(7), windows, hop);
    let mut state = Vec::new();
    let mut finished = Vec::with_capacity(frames * hop);
    front.end(frames);
    while !front.is_done() {
        for window in front.ready(i64::MAX) {
            state.resize(window.frames * hop, 0.0);
            front.state(&window, &mut state);
            front.apply(&window, &state, &prediction[..state.len()]);
        }
        front.take(&mut finished);
    }
    finished
}

/// The filters after the diffusion, on a whole clip.
fn filters(criterion: &mut Criterion, manifest: &Manifest) {
    let mel = mel(frames(SECONDS, manifest));
    let audio = Audio::of(mel.frames(), manifest);
    let samples = speech_like(audio.samples);
    let parameters = manifest.envelope.as_ref();
    let parameters = parameters.expect("the built-in model has an envelope");
    let filter = EnvelopeFilter::new(&manifest.mel, parameters).expect("the envelope is sound");
    let mut cases = Cases::new(criterion, "filter");
    for (name, filtering) in [
        ("unwhiten", Filtering::Unwhiten),
        ("whiten", Filtering::Whiten),
    ] {
        cases.audio(&format!("envelope/{name}/{SECONDS}s"), audio, || {
            let filtered = filter.apply(&samples, mel.view(), filtering);
            black_box(filtered.expect("the lengths fit"));
        });
    }
    for passes in [1, 2] {
        let filter = ConsistencyFilter::new(
            &manifest.mel,
            &ConsistencyParameters {
                passes,
                momentum: 0.0,
            },
        )
        .expect("the convention fits");
        let id = format!("consistency/passes={passes}/{SECONDS}s");
        cases.audio(&id, audio, || {
            let filtered = filter.apply(&samples, mel.view());
            black_box(filtered.expect("the lengths fit"));
        });
    }
}

/// Noise as loud as speech.
fn speech_like(samples: usize) -> Vec<f32> {
    let mut values = vec![0.0; samples];
    Noise::new(3).fill(0, 0, &mut values);
    values.iter_mut().for_each(|value| *value *= 0.1);
    values
}
