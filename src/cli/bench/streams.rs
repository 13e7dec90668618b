//! How many streams play in real time at once without a gap, in this process.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use tokio::task::JoinSet;

use super::args::{BenchArgs, MAX_STREAMS};
use super::loader::Loader;
use super::measure::{mel, whole};
use crate::cli::error::CliError;
use crate::cli::listening::{Arrivals, HEADING, Heard, Listener, StreamsResult};
use crate::cli::remote::block_on;
use crate::mel::Mel;
use crate::text::counted;
use crate::vocoder::{
    OpenStream, ScheduleChoice, Scheduler, SchedulerOptions, StreamRequest, VocoderError,
};

/// Longest audio of one stream in seconds.
const CLIP: f64 = 4.0;
/// Places for streams: more than are ever open, as those that fall behind stay longer.
const PLACES: usize = 1 << 20;

/// What streams of one schedule came to.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Streams {
    pub(super) steps: usize,
    pub(super) threads: usize,
    /// Seconds of audio of each.
    pub(super) clip_seconds: f64,
    /// Seconds over which they arrived.
    pub(super) seconds: f64,
    /// The most of those tried that played without a gap; `None` where none did.
    pub(super) sustained: Option<u32>,
    /// All that was tried, in its order.
    pub(super) tried: Vec<StreamsResult>,
    /// Times to first audio of the sustained streams in milliseconds, ascending.
    #[serde(skip)]
    pub(super) first_audios: Vec<f64>,
}

impl Streams {
    /// Plays the numbers of streams that are asked for, or searches the most.
    pub(super) fn measure(
        loader: &Loader<'_>,
        threads: usize,
        schedule: &ScheduleChoice,
        args: &BenchArgs,
        show: &dyn Fn(&str) -> Result<(), CliError>,
    ) -> Result<Streams, CliError> {
        let mel = Arc::new(mel(loader, args.seconds.min(CLIP))?);
        let mut vocoder = loader.load(threads)?;
        whole(&mut vocoder, &mel, schedule.clone())?;
        let made = whole(&mut vocoder, &mel, schedule.clone())?;
        let mut streams = Streams {
            steps: made.steps,
            threads,
            clip_seconds: made.seconds(),
            seconds: args.stream_seconds,
            sustained: None,
            tried: Vec::new(),
            first_audios: Vec::new(),
        };
        let options = SchedulerOptions {
            max_streams: PLACES,
            ..SchedulerOptions::default()
        };
        let scheduler = Scheduler::start(vocoder, options)?;
        show(&format!("\n{}\n{HEADING}", counted(made.steps, "step")))?;
        let request = StreamRequest {
            schedule: schedule.clone(),
            ..StreamRequest::default()
        };
        let mut play = |count: u32| {
            let arrivals = Arrivals {
                streams: count,
                clip: streams.clip_seconds,
                seconds: args.stream_seconds,
            };
            let results = play(&scheduler, &request, &mel, arrivals)?;
            let row = StreamsResult::of(count, &results, |_| None);
            show(&row.line())?;
            Ok(streams.note(row, results))
        };
        if args.streams.is_empty() {
            search(likely(made.real_time_factor()), &mut play)?;
        } else {
            for &count in &args.streams {
                play(count)?;
            }
        }
        Ok(streams)
    }

    /// Whether all were content.
    fn note(&mut self, row: StreamsResult, results: Vec<Result<Heard, VocoderError>>) -> bool {
        let clean = row.is_clean();
        if clean && self.sustained.is_none_or(|most| row.streams > most) {
            self.sustained = Some(row.streams);
            let first = |heard: Heard| 1000.0 * heard.first_audio.as_secs_f64();
            self.first_audios = results.into_iter().flatten().map(first).collect();
            self.first_audios.sort_by(f64::total_cmp);
        }
        self.tried.push(row);
        clean
    }

    pub(super) fn words(&self) -> String {
        let (steps, threads) = (counted(self.steps, "step"), counted(self.threads, "thread"));
        match self.sustained {
            Some(most) => format!("{most} without a gap, {steps}, {threads}"),
            None => format!("none without a gap, {steps}, {threads}"),
        }
    }
}

/// Where the search begins: somewhat below what the model could feed if it did nothing else.
fn likely(real_time_factor: f64) -> u32 {
    (0.6 / real_time_factor).clamp(1.0, f64::from(MAX_STREAMS)) as u32
}

/// Goes up by quarters while all is `clean`, then halves the range until the most is known to a tenth.
fn search(
    first: u32,
    clean: &mut dyn FnMut(u32) -> Result<bool, CliError>,
) -> Result<(), CliError> {
    let (mut low, mut high, mut next) = (0, MAX_STREAMS + 1, first);
    loop {
        if clean(next)? {
            low = next;
        } else {
            high = next;
        }
        if high - low <= 1.max(low / 10) {
            return Ok(());
        }
        next = match high > MAX_STREAMS {
            true => (low + low.div_ceil(4)).min(MAX_STREAMS),
            false => low.midpoint(high),
        };
    }
}

fn play(
    scheduler: &Scheduler,
    request: &StreamRequest,
    mel: &Arc<Mel>,
    arrivals: Arrivals,
) -> Result<Vec<Result<Heard, VocoderError>>, CliError> {
    block_on(async {
        let began = Instant::now();
        let mut streams = JoinSet::new();
        for time in arrivals.times() {
            tokio::time::sleep_until((began + time).into()).await;
            streams.spawn(listen(scheduler.clone(), request.clone(), mel.clone()));
        }
        let mut results = Vec::new();
        while let Some(result) = streams.join_next().await {
            results.push(result.unwrap_or(Err(VocoderError::Stopped)));
        }
        Ok(results)
    })
}

/// Plays one stream.
async fn listen(
    scheduler: Scheduler,
    request: StreamRequest,
    mel: Arc<Mel>,
) -> Result<Heard, VocoderError> {
    let mut listener = Listener::new();
    let OpenStream {
        plan,
        mut input,
        mut output,
    } = scheduler.open(&request)?;
    let writer = async {
        // What ends the stream early is told by its output.
        if input.push(mel.view().to_owned()).await.is_ok() {
            input.end();
        }
    };
    let reader = async {
        let mut samples = 0;
        while let Some(piece) = output.next().await {
            let piece = piece?;
            listener
                .take(samples as f64 / f64::from(plan.sample_rate))
                .await;
            samples += piece.len();
        }
        Ok(listener.end())
    };
    tokio::join!(writer, reader).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_ends_near_the_most() {
        for (first, most) in [
            (1, 1),
            (1, 0),
            (22, 30),
            (37, 37),
            (1000, 3),
            (40, 0),
            (9, 5000),
        ] {
            let (mut found, mut tries) = (0, 0);
            let mut clean = |count: u32| {
                assert!((1..=MAX_STREAMS).contains(&count));
                tries += 1;
                if count <= most {
                    found = found.max(count);
                }
                Ok(count <= most)
            };
            search(first, &mut clean).unwrap();
            let most = most.min(MAX_STREAMS);
            assert!(
                found <= most && most - found <= most / 10,
                "{found} of {most}"
            );
            assert!(tries < 30, "{tries} tries for {most}");
        }
    }

    #[test]
    fn the_search_begins_below_what_the_model_could_feed() {
        assert_eq!(
            [likely(0.03), likely(2.5), likely(0.0)],
            [20, 1, MAX_STREAMS]
        );
    }
}
