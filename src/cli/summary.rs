//! What is said of a synthesis: while it goes, and at its end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::args::Verbosity;
use super::error::CliError;
use super::output::{print, say};
use crate::text::counted;

/// Work that ends sooner needs no bar.
const PATIENCE: Duration = Duration::from_secs(1);
const TICKS: u64 = 1000;
/// Columns of the line at the end.
const COLUMNS: usize = 80;
/// Letters of a file's name that are always told.
const SHORTEST: usize = 8;

/// A progress bar on a terminal, for work that takes over a second.
pub(super) struct Bar {
    began: Instant,
    hidden: bool,
    bar: Option<ProgressBar>,
}

impl Bar {
    pub(super) fn new(hidden: bool) -> Self {
        Self {
            began: Instant::now(),
            hidden,
            bar: None,
        }
    }

    /// `fraction` of the work is done.
    pub(super) fn set(&mut self, fraction: f64) {
        if self.hidden || self.began.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(TICKS), ProgressDrawTarget::stderr());
            if let Ok(style) =
                ProgressStyle::with_template("{wide_bar} {percent:>3} %  {eta} to go")
            {
                bar.set_style(style);
            }
            bar
        });
        bar.set_position((fraction * TICKS as f64) as u64);
    }

    pub(super) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// One finished file.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) output: String,
    /// Whether the flags or the list chose the schedule or the solver, which the line then tells.
    #[serde(skip)]
    pub(super) tell_solver: bool,
    pub(super) model: String,
    pub(super) model_sha256: String,
    pub(super) sample_rate: u32,
    pub(super) samples: usize,
    pub(super) clipped: usize,
    /// By how much the highest peak beyond full scale was turned down.
    pub(super) limited_decibels: f32,
    /// Loading the model, which `seconds` leaves out.
    pub(super) load_seconds: f64,
    /// From the mel to the finished file.
    pub(super) seconds: f64,
    /// The part of it that ONNX Runtime took for the model's graphs.
    pub(super) graph_seconds: f64,
    pub(super) steps: usize,
    pub(super) schedule: String,
    pub(super) solver: String,
    pub(super) provider: String,
    /// What the denoiser multiplied in.
    pub(super) precision: &'static str,
    /// The denoiser's nodes by the provider that runs them, as the session tells.
    pub(super) provider_nodes: BTreeMap<String, usize>,
    /// Why nothing faster ran.
    pub(super) provider_note: Option<String>,
    pub(super) seed: u64,
    /// What the audio's watermark says, in hexadecimal.
    pub(super) watermark: Option<String>,
    /// What was odd about the mel or the audio.
    pub(super) warnings: Vec<String>,
}

impl Summary {
    /// The length of the audio.
    pub(super) fn audio_seconds(&self) -> f64 {
        self.samples as f64 / f64::from(self.sample_rate)
    }

    fn real_time_factor(&self) -> f64 {
        self.seconds / self.audio_seconds().max(f64::MIN_POSITIVE)
    }

    /// One line, or JSON; on standard error where standard output carries the audio.
    pub(super) fn print(
        &self,
        json: bool,
        audio_on_stdout: bool,
        verbosity: Verbosity,
    ) -> Result<(), CliError> {
        if !json {
            verbosity.tell(&self.line());
            return Ok(());
        }
        let value = self.json();
        if audio_on_stdout {
            say(&value.to_string());
            return Ok(());
        }
        print(&format!("{value}\n"))
    }

    /// All of it, for programs.
    pub(super) fn json(&self) -> serde_json::Value {
        let mut value = serde_json::json!(self);
        value["audio_seconds"] = self.audio_seconds().into();
        value["real_time_factor"] = self.real_time_factor().into();
        value
    }

    /// One line, of at most 80 columns where there is nothing unusual to tell.
    fn line(&self) -> String {
        let note = self.provider_note.as_ref();
        let note = note.map_or_else(String::new, |note| format!(" ({note})"));
        let limited = match self.limited_decibels {
            0.0 => String::new(),
            most => format!(", peaks turned down by up to {most:.1} dB"),
        };
        let solver = match self.tell_solver {
            true => format!(", {}", self.solver),
            false => String::new(),
        };
        let watermark = self.watermark.as_ref();
        let watermark = watermark.map_or_else(String::new, |bits| format!(", watermark {bits}"));
        let words = format!(
            "{:.2} s in {:.2} s (real-time factor {:.3}), {}, {} {}{note}, seed {}{solver}{watermark}{limited}",
            self.audio_seconds(),
            self.seconds,
            self.real_time_factor(),
            counted(self.steps, "step"),
            self.provider,
            self.precision,
            self.seed,
        );
        format!(
            "{}: {words}",
            shortened(
                &self.output,
                COLUMNS.saturating_sub(words.chars().count() + 2)
            )
        )
    }
}

/// The end of a name that has more than `most` letters; some letters are always left.
fn shortened(name: &str, most: usize) -> String {
    let (letters, most) = (name.chars().count(), most.max(SHORTEST));
    if letters <= most {
        return name.to_owned();
    }
    let end: String = name.chars().skip(letters - most + 1).collect();
    format!("\u{2026}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_loses_its_begin() {
        assert_eq!(shortened("out/demo.wav", 20), "out/demo.wav");
        assert_eq!(shortened("some/folder/demo.wav", 10), "\u{2026}/demo.wav");
        assert_eq!(shortened("some/demo.wav", 0).chars().count(), SHORTEST);
    }
}
