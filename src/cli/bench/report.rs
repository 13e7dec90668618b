//! What was measured, for people and for programs.

use serde::Serialize;

use super::measure::{SpeedResult, Spread};
use super::memory::Memory;
use super::streams::Streams;
use crate::vocoder::Vocoder;

#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) model: String,
    pub(super) version: String,
    pub(super) provider: String,
    pub(super) precision: &'static str,
    /// Threads of the loads and of the streams; each row has its own.
    pub(super) threads: usize,
    pub(super) load_seconds: Spread,
    pub(super) audio_seconds: f64,
    pub(super) rows: Vec<SpeedResult>,
    /// Of each schedule; empty where they were left out.
    pub(super) streams: Vec<Streams>,
    pub(super) peak_memory_mib: Memory,
}

impl Report {
    /// Before anything was measured.
    pub(super) fn new(vocoder: &Vocoder, threads: usize, audio_seconds: f64) -> Report {
        let manifest = vocoder.manifest();
        Report {
            model: manifest.name.clone(),
            version: manifest.version.clone(),
            provider: vocoder.provider().to_owned(),
            precision: vocoder.precision().name(),
            threads,
            load_seconds: Spread::default(),
            audio_seconds,
            rows: Vec::new(),
            streams: Vec::new(),
            peak_memory_mib: Memory::default(),
        }
    }

    pub(super) fn json(&self) -> String {
        // A struct of numbers and strings always serialises.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// What stands above the rows.
    pub(super) fn beginning(&self) -> String {
        let load = self.load_seconds;
        format!(
            "{} {}, {} {}; {:.1} s of audio; median (least to most)\nloaded in {:.3} s ({:.3} to {:.3})\n\nsteps  threads   real-time factor         first audio ms: p50    p95    max\n",
            self.model,
            self.version,
            self.provider,
            self.precision,
            self.audio_seconds,
            load.median,
            load.min,
            load.max
        )
    }

    /// What stands below them.
    pub(super) fn end(&self) -> String {
        let mut text = String::from("\n");
        for streams in &self.streams {
            text += &format!("streams      {}\n", streams.words());
        }
        text + &format!("peak memory  {}\n", self.peak_memory_mib.words())
    }
}

impl SpeedResult {
    pub(super) fn line(&self) -> String {
        let (rtf, first) = (self.real_time_factor, &self.first_audio_ms);
        format!(
            "{:5}  {:7}   {:.3} ({:.3} to {:.3})                {:6.0} {:6.0} {:6.0}\n",
            self.steps,
            self.threads,
            rtf.median,
            rtf.min,
            rtf.max,
            first.spread.median,
            first.p95,
            first.spread.max
        )
    }
}
