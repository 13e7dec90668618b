//! Speed of a whole synthesis: `cargo bench --bench offline`, ten runs of each case, two to three minutes.
//!
//! Mels of 1, 5 and 20 s, made of the demo's frames, with 1, 2, 4 and 6 steps of the built-in model on 1 and 2 threads. Model load is left
//! out. A part of the bench is chosen by a piece of its name: `cargo bench --bench offline -- threads=2/20s`.

mod common;

use std::process::ExitCode;

use common::{Audio, Cases, few_runs, frames, mel, vocoder, with_runtime};
use criterion::Criterion;
use vocode::runtime::Runtime;
use vocode::vocoder::{ScheduleChoice, SynthesisOptions};

/// Lengths of the audio in seconds.
const SECONDS: [usize; 3] = [1, 5, 20];
/// Denoising steps.
const STEPS: [usize; 4] = [1, 2, 4, 6];

fn main() -> ExitCode {
    with_runtime(few_runs(), &[offline])
}

fn offline(criterion: &mut Criterion, runtime: &Runtime) {
    for threads in [1, 2] {
        let mut vocoder = vocoder(runtime, Some(threads));
        let name = format!("offline/threads={threads}");
        let mut cases = Cases::new(criterion, &name);
        for seconds in SECONDS {
            let mel = mel(frames(seconds, vocoder.manifest()));
            let audio = Audio::of(mel.frames(), vocoder.manifest());
            for steps in STEPS {
                let options = SynthesisOptions::default().schedule(ScheduleChoice::Steps(steps));
                cases.audio(&format!("{seconds}s/steps={steps}"), audio, || {
                    let made = vocoder.synthesize(&mel, &options);
                    std::hint::black_box(made.expect("the demo can be synthesised"));
                });
            }
        }
    }
}
