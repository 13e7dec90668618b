//! How listeners fare that play audio while it is made: when they hear the first of it, and whether it ever runs dry.

use std::fmt::Display;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

/// Audio that a listener holds beyond what it plays, before it waits to take more.
const BUFFER: Duration = Duration::from_millis(500);

/// One stream, heard to its end.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) first_audio: Duration,
    /// How late each chunk came but the first; zero for those in time.
    pub(super) lateness: Vec<Duration>,
}

/// A listener, who plays in real time from the first chunk on. A chunk that comes after the one before has ended is an underrun.
pub(super) struct Listener {
    called: Instant,
    playing: Option<Instant>,
    heard: Heard,
}

impl Listener {
    /// One who asks for audio now.
    pub(super) fn new() -> Listener {
        Listener {
            called: Instant::now(),
            playing: None,
            heard: Heard::default(),
        }
    }

    /// Takes the chunk that begins `start` seconds into the audio, and waits while more than [`BUFFER`] is left to play.
    pub(super) async fn take(&mut self, start: f64) {
        let now = Instant::now();
        let Some(since) = self.playing else {
            self.heard.first_audio = now - self.called;
            self.playing = Some(now);
            return;
        };
        // An underrun stops the playing: what comes after is measured from there.
        let due = since + Duration::from_secs_f64(start);
        let late = now.saturating_duration_since(due);
        self.heard.lateness.push(late);
        self.playing = Some(since + late);
        tokio::time::sleep_until((due + late).checked_sub(BUFFER).unwrap_or(now).into()).await;
    }

    /// What it was like.
    pub(super) fn end(self) -> Heard {
        self.heard
    }
}

/// As many arrivals as keep `streams` playing at any time, evenly spaced over `seconds`, each `clip` seconds long. They come at a steady
/// rate whether or not earlier ones are served, so that what falls behind is seen to fall behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrivals {
    pub(super) streams: u32,
    pub(super) clip: f64,
    pub(super) seconds: f64,
}

impl Arrivals {
    /// When each comes, counted from the first.
    pub(super) fn times(self) -> impl Iterator<Item = Duration> {
        let gap = Duration::from_secs_f64(self.clip / f64::from(self.streams.max(1)));
        std::iter::successors(Some(Duration::ZERO), move |&time| Some(time + gap))
            .take_while(move |time| time.as_secs_f64() < self.seconds)
    }
}

/// What one number of streams came to.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StreamsResult {
    pub(super) streams: u32,
    pub(super) started: usize,
    pub(super) failed: usize,
    /// Those of the failed that the server turned away because it had as much to do as it can.
    pub(super) refused: usize,
    /// Streams whose audio ran dry at least once.
    pub(super) underruns: usize,
    pub(super) first_audio_ms: Quantiles,
    /// From the call of each of these to its refusal.
    pub(super) refusal_ms: Quantiles,
    /// How late chunks arrived, of all chunks but the first of each stream; those in time count as 0.
    pub(super) lateness_ms: Quantiles,
    /// The first of the failures.
    pub(super) failure: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Quantiles {
    pub(super) p50: f64,
    pub(super) p95: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl Quantiles {
    /// Of durations in microseconds.
    fn of(histogram: &Histogram<u64>) -> Quantiles {
        let at = |q: f64| histogram.value_at_quantile(q) as f64 / 1000.0;
        Quantiles {
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            max: histogram.max() as f64 / 1000.0,
        }
    }
}

/// The columns of [`StreamsResult::line`].
pub(super) const HEADING: &str = "\
streams  started  failed  underruns   first audio ms: p50    p95    p99    max   lateness ms: p50    p95    p99    max
";

impl StreamsResult {
    /// Counts what became of the streams; `refused_after` tells how soon one was turned away, and nothing of those that went wrong.
    pub(super) fn of<E: Display>(
        streams: u32,
        results: &[Result<Heard, E>],
        refused_after: impl Fn(&E) -> Option<Duration>,
    ) -> StreamsResult {
        // Three digits of up to an hour; what is beyond counts as an hour.
        let empty = || {
            Histogram::<u64>::new_with_max(3_600_000_000, 3).unwrap_or_else(|_| {
                unreachable!("an hour at three digits is within hdrhistogram's limits")
            })
        };
        let (mut first, mut late, mut refusals) = (empty(), empty(), empty());
        let (mut underruns, mut failures) = (0, Vec::new());
        for result in results {
            match result {
                Ok(heard) => {
                    first.saturating_record(micros(heard.first_audio));
                    underruns += usize::from(heard.lateness.iter().any(|late| !late.is_zero()));
                    heard
                        .lateness
                        .iter()
                        .for_each(|&value| late.saturating_record(micros(value)));
                }
                Err(error) => {
                    if let Some(time) = refused_after(error) {
                        refusals.saturating_record(micros(time));
                    }
                    failures.push(error);
                }
            }
        }
        StreamsResult {
            streams,
            started: results.len(),
            failed: failures.len(),
            refused: refusals.len() as usize,
            underruns,
            first_audio_ms: Quantiles::of(&first),
            refusal_ms: Quantiles::of(&refusals),
            lateness_ms: Quantiles::of(&late),
            failure: failures.first().map(ToString::to_string),
        }
    }

    /// Whether every listener was content.
    pub(super) fn is_clean(&self) -> bool {
        self.failed == 0 && self.underruns == 0
    }

    pub(super) fn line(&self) -> String {
        let numbers =
            |q: &Quantiles| format!("{:6.0} {:6.0} {:6.0} {:6.0}", q.p50, q.p95, q.p99, q.max);
        let mut line = format!(
            "{:7}  {:7}  {:6}  {:9}  {:>19} {}  {:>15} {}\n",
            self.streams,
            self.started,
            self.failed,
            self.underruns,
            "",
            numbers(&self.first_audio_ms),
            "",
            numbers(&self.lateness_ms)
        );
        if self.refused > 0 {
            let admitted = self.started - self.refused;
            let whole = self.started - self.failed - self.underruns;
            line += &format!(
                "         {} refused, half of them within {:.1} ms and all within {:.1} ms; {admitted} admitted, {whole} of them without a gap\n",
                self.refused, self.refusal_ms.p50, self.refusal_ms.max
            );
        }
        if let Some(failure) = &self.failure {
            line += &format!("         the first failure: {failure}\n");
        }
        line
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(first: u64, lateness: &[u64]) -> Result<Heard, &'static str> {
        Ok(Heard {
            first_audio: Duration::from_millis(first),
            lateness: lateness
                .iter()
                .map(|&ms| Duration::from_millis(ms))
                .collect(),
        })
    }

    #[test]
    fn a_late_chunk_is_an_underrun_of_its_stream() {
        let row = StreamsResult::of(
            2,
            &[
                heard(100, &[0, 0]),
                heard(200, &[0, 40, 10]),
                Err("an empty event"),
                Err("all places are taken"),
            ],
            |error| error.contains("taken").then_some(Duration::from_millis(3)),
        );
        assert_eq!((row.started, row.failed, row.underruns), (4, 2, 1));
        assert_eq!(row.refused, 1);
        assert!((row.first_audio_ms.max - 200.0).abs() < 1.0);
        assert_eq!(row.lateness_ms.p50, 0.0);
        assert!((row.lateness_ms.max - 40.0).abs() < 0.5);
        assert!(row.line().contains("empty event"));
        assert!((row.refusal_ms.max - 3.0).abs() < 0.1);
        assert!(row.line().contains("1 refused, half of them within 3.0 ms"));
        assert!(row.line().contains("3 admitted, 1 of them"));
        assert!(!row.is_clean());
    }

    #[test]
    fn arrivals_keep_the_number_of_streams() {
        let arrivals = Arrivals {
            streams: 4,
            clip: 2.0,
            seconds: 3.0,
        };
        let times: Vec<f64> = arrivals.times().map(|time| time.as_secs_f64()).collect();
        assert_eq!(times, [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
    }
}
