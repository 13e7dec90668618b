//! Streams in the library: `cargo bench --bench streaming`, about a minute.
//!
//! `first-audio` is the time from the opening of a stream whose mel is there to its first samples, by steps, nothing else running, and
//! beside other streams that play in real time. `stream` is one taken as fast as it comes, by the frames of its chunks: beside
//! `offline` it tells what streaming costs.

mod common;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Audio, Cases, few_runs, frames, mel, vocoder, with_runtime};
use criterion::Criterion;
use tokio::runtime::Runtime as Tokio;
use vocode::mel::Mel;
use vocode::runtime::Runtime;
use vocode::vocoder::{
    AudioOutput, OpenStream, ScheduleChoice, Scheduler, SchedulerOptions, StreamRequest,
};

const SECONDS: usize = 10;
const STEPS: [usize; 4] = [1, 2, 4, 6];
/// Streams that play beside the one that is measured.
const OTHERS: usize = 8;

fn main() -> ExitCode {
    with_runtime(few_runs(), &[first_audio, whole])
}

fn scheduler(runtime: &Runtime) -> Scheduler {
    Scheduler::start(vocoder(runtime, None), SchedulerOptions::default())
        .expect("the scheduler starts")
}

fn tokio() -> Tokio {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("threads can be started")
}

/// Opens a stream and hands over its mel, in a task of its own.
async fn open(scheduler: &Scheduler, mel: &Arc<Mel>, request: &StreamRequest) -> AudioOutput {
    let OpenStream {
        mut input, output, ..
    } = scheduler.open(request).expect("there is a place");
    let mel = mel.clone();
    tokio::spawn(async move {
        // It may be dropped before it has taken the whole mel.
        if input.push(mel.view().to_owned()).await.is_ok() {
            input.end();
        }
    });
    output
}

async fn next(output: &mut AudioOutput) -> Option<usize> {
    let piece = output.next().await?;
    Some(piece.expect("the model runs").len())
}

fn first_audio(criterion: &mut Criterion, runtime: &Runtime) {
    let scheduler = scheduler(runtime);
    let tokio = tokio();
    let mel = Arc::new(mel(frames(SECONDS, scheduler.manifest())));
    let mut cases = Cases::new(criterion, "first-audio");
    for steps in STEPS {
        let request = StreamRequest::default().schedule(ScheduleChoice::Steps(steps));
        cases.timed(&format!("alone/steps={steps}"), |count| {
            tokio.block_on(wait(&scheduler, &mel, &request, count, 0))
        });
    }
    let others: Vec<_> = (0..OTHERS)
        .map(|_| tokio.spawn(play(scheduler.clone(), mel.clone())))
        .collect();
    cases.timed(&format!("beside={OTHERS}/steps=4"), |count| {
        let request = StreamRequest::default();
        tokio.block_on(wait(&scheduler, &mel, &request, count, OTHERS))
    });
    others.iter().for_each(|other| other.abort());
}

/// The sum of `count` times to first audio, one stream after another beside `others`.
async fn wait(
    scheduler: &Scheduler,
    mel: &Arc<Mel>,
    request: &StreamRequest,
    count: u64,
    others: usize,
) -> Duration {
    let mut spent = Duration::ZERO;
    for _ in 0..count {
        let mut output = open(scheduler, mel, request).await;
        next(&mut output).await;
        spent += output.stats().first_audio.unwrap_or_default();
        drop(output);
        while scheduler.active() > others {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    spent
}

/// Plays the mel again and again, in real time.
async fn play(scheduler: Scheduler, mel: Arc<Mel>) {
    let rate = f64::from(scheduler.manifest().mel.sample_rate);
    loop {
        let mut output = open(&scheduler, &mel, &StreamRequest::default()).await;
        let (mut began, mut heard) = (None, 0);
        while let Some(samples) = next(&mut output).await {
            let began = *began.get_or_insert_with(Instant::now);
            let due = began + Duration::from_secs_f64(f64::from(heard as u32) / rate);
            tokio::time::sleep_until(due.into()).await;
            heard += samples;
        }
    }
}

fn whole(criterion: &mut Criterion, runtime: &Runtime) {
    let scheduler = scheduler(runtime);
    let tokio = tokio();
    let mel = Arc::new(mel(frames(SECONDS, scheduler.manifest())));
    let audio = Audio::of(mel.frames(), scheduler.manifest());
    let mut cases = Cases::new(criterion, "stream");
    for chunk in [16, 64, 256] {
        let request = StreamRequest::default().chunk_frames(Some(chunk));
        cases.audio(&format!("{SECONDS}s/chunk={chunk}"), audio, || {
            tokio.block_on(async {
                let mut output = open(&scheduler, &mel, &request).await;
                while next(&mut output).await.is_some() {}
            });
        });
    }
}
