//! The search through a recording: windows of nine seconds, each at every speed, offset and beginning of the pattern.

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::cells::{RATE, Spectrogram, WIDTH};
use super::evidence::{Folded, Reading, Template, ln_mean_exp};
use super::trust::Trust;
use super::whiten::{EDGE, Memory, Whitening};
use crate::audio::{AudioError, resample};
use crate::dsp::mark::{COLUMN_SECONDS, Key, PERIOD, Pattern, decode};

/// Columns of a window: two periods, 8.9 s.
const WINDOW: usize = 2 * PERIOD;
/// Columns from one window to the next.
const STEP: usize = PERIOD;
/// Columns that are looked at in one piece, and of the long windows: a minute.
const BLOCK: usize = 14 * PERIOD;
/// Offsets within a column.
const OFFSETS: usize = 4;
/// Speeds on each side of 1, and the step between them.
const SPEEDS: i32 = 12;
const SPEED_STEP: f64 = 0.0025;
/// Hypotheses at one speed: an offset and a beginning, of all cells alike or weighed by [`Trust`].
const HYPOTHESES: f64 = (2 * OFFSETS * PERIOD) as f64;
/// The part of the belief that goes to a recording whose speed was not changed.
const UNCHANGED: f64 = 0.5;
/// Pilots below so many standard deviations are not looked at any closer. What is left out of an average of ratios makes it smaller.
const FAINT: f32 = 2.5;
/// Level that a recording is brought to.
const RMS: f64 = 0.1;
/// Evidence of a window from which on it counts as a place, and its bits are read.
const PLACE: f64 = 7.0;

/// What was found in a recording.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Detection {
    /// Length of the recording.
    pub seconds: f64,
    /// Decimal logarithm of the false-alarm probability: at most so often does audio that was made without the key look so much like audio
    /// with its watermark. All that was tried for the whole recording is counted in.
    pub log10_false_alarm: f64,
    /// What the watermark says, where enough of it is there.
    pub payload: Option<u32>,
    /// Every stretch that was looked at, in order. They overlap by half.
    pub places: Vec<Place>,
}

/// A stretch of a recording.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Place {
    /// Where it begins, in seconds.
    pub start: f64,
    /// Where it ends, in seconds.
    pub end: f64,
    /// As for the whole recording, of this stretch alone.
    pub log10_false_alarm: f64,
    /// The speed at which the watermark fits best; without meaning where there is none.
    pub speed: f64,
    /// What this stretch alone says.
    pub payload: Option<u32>,
}

impl Detection {
    /// The false-alarm probability; 0 where it is too small for the type.
    pub fn false_alarm(&self) -> f64 {
        10f64.powf(self.log10_false_alarm)
    }

    /// Whether there is a watermark, at this false-alarm probability.
    pub fn is_marked(&self, false_alarm: f64) -> bool {
        self.log10_false_alarm <= false_alarm.log10()
    }
}

impl Place {
    /// The false-alarm probability of this stretch alone.
    pub fn false_alarm(&self) -> f64 {
        10f64.powf(self.log10_false_alarm)
    }
}

/// Looks for the watermark of `key` in mono audio of full scale 1.
///
/// # Errors
/// [`AudioError::SampleRate`], [`AudioError::Resample`], [`AudioError::NotFinite`].
pub fn detect(samples: &[f32], sample_rate: u32, key: &Key) -> Result<Detection, AudioError> {
    if let Some(index) = samples.iter().position(|sample| !sample.is_finite()) {
        let value = samples[index];
        return Err(AudioError::NotFinite { index, value });
    }
    let seconds = samples.len() as f64 / f64::from(sample_rate.max(1));
    let samples = resample(samples.to_vec(), sample_rate, RATE)?;
    let template = Template::new(&Pattern::new(key));
    let column = COLUMN_SECONDS * f64::from(RATE);
    let columns = (samples.len() as f64 / column).ceil() as usize;
    let mut all = Vec::new();
    let mut found = Vec::new();
    for block in blocks(columns) {
        // The whitening looks a little beyond the block.
        let from = ((block.start.saturating_sub(EDGE)) as f64 * column) as usize;
        let to = (((block.end + EDGE + 1) as f64 * column) as usize).min(samples.len());
        let samples = &samples[from.min(to)..to];
        let spectrogram = Spectrogram::new(samples, scale(samples));
        let windows: Vec<Window> = block.windows().collect();
        let search = |window: &Window| {
            let start = window.start as f64 * column - from as f64;
            Finding::search(&spectrogram, &template, start, window)
        };
        let findings: Vec<Finding> = windows.par_iter().map(search).collect();
        all.extend(findings.iter().map(|finding| finding.ln_evidence));
        found.extend(windows.into_iter().zip(findings));
    }
    let payload = payload(&found);
    let second = |columns: usize| (columns as f64 * COLUMN_SECONDS).min(seconds);
    let places = found
        .iter()
        .filter(|(window, _)| !window.is_long)
        .map(|(window, finding)| Place {
            start: second(window.start),
            end: second(window.start + window.columns),
            log10_false_alarm: log10_bound(finding.ln_evidence),
            speed: finding.best.as_ref().map_or(1.0, |(speed, _)| *speed),
            payload: finding.payload(),
        });
    Ok(Detection {
        seconds,
        log10_false_alarm: log10_bound(ln_mean_exp(&all)),
        payload,
        places: places.collect(),
    })
}

/// Markov's inequality.
fn log10_bound(ln_evidence: f64) -> f64 {
    (-ln_evidence / std::f64::consts::LN_10).min(0.0)
}

/// What brings samples to the usual level.
fn scale(samples: &[f32]) -> f32 {
    let power: f64 = samples.iter().map(|v| f64::from(*v).powi(2)).sum();
    let rms = (power / samples.len().max(1) as f64).sqrt();
    if rms > 0.0 { (RMS / rms) as f32 } else { 1.0 }
}

/// What all windows together say: the long windows and the sum over those that do not overlap, or the surest of the windows alone.
fn payload(found: &[(Window, Finding)]) -> Option<u32> {
    let mut surest: Vec<&Finding> = found.iter().map(|(_, finding)| finding).collect();
    surest.sort_by(|a, b| b.ln_evidence.total_cmp(&a.ln_evidence));
    let alone = surest.iter().find_map(|finding| finding.payload());
    let together = |parity: usize| {
        let own = found.iter().filter(|(window, _)| !window.is_long);
        let own = own.skip(parity).step_by(WINDOW / STEP);
        let readings = own
            .filter(|(_, f)| f.ln_evidence > PLACE)
            .filter_map(|(_, f)| f.best.as_ref());
        let mut sum = [0.0; _];
        for (_, Reading { soft, .. }) in readings {
            sum.iter_mut()
                .zip(soft)
                .for_each(|(sum, soft)| *sum += soft);
        }
        decode(&sum)
    };
    alone.or_else(|| together(0)).or_else(|| together(1))
}

/// Columns that are looked at in one piece.
struct Block {
    start: usize,
    end: usize,
}

fn blocks(columns: usize) -> impl Iterator<Item = Block> {
    // A block takes over half a window of the one before: no window is missed between them.
    let step = BLOCK - (WINDOW - STEP);
    let last = columns.saturating_sub(WINDOW - STEP).max(1);
    (0..last).step_by(step).map(move |start| Block {
        start,
        end: (start + BLOCK).min(columns),
    })
}

impl Block {
    /// Windows that overlap by half, the last of which ends with the block; and where there are several, all of it.
    fn windows(&self) -> impl Iterator<Item = Window> {
        let columns = self.end - self.start;
        let last = columns.saturating_sub(WINDOW);
        let starts = (0..last).step_by(STEP).chain([last]);
        let short = starts.map(move |start| Window {
            start: self.start + start,
            columns: columns.min(WINDOW),
            is_long: false,
        });
        let long = (columns > WINDOW).then_some(Window {
            start: self.start,
            columns,
            is_long: true,
        });
        short.chain(long)
    }
}

/// A stretch that is searched.
#[derive(Clone, Copy)]
struct Window {
    /// Its first column, and how many there are, at the usual speed.
    start: usize,
    columns: usize,
    /// So long that another speed than the usual would have to be known too well to be tried.
    is_long: bool,
}

/// What a window says.
struct Finding {
    /// Natural logarithm of the mean likelihood ratio over all hypotheses.
    ln_evidence: f64,
    /// The best of them: its speed and what it reads.
    best: Option<(f64, Reading)>,
}

impl Finding {
    /// Tries everything on a window that begins at sample `start` of the spectrogram's audio.
    fn search(
        spectrogram: &Spectrogram,
        template: &Template,
        start: f64,
        window: &Window,
    ) -> Finding {
        let mut cells = Vec::new();
        let column = COLUMN_SECONDS * f64::from(RATE);
        let read = |speed: f64, offset: usize, cells: &mut Vec<f32>| {
            let column = column / speed;
            let begin = start + (offset as f64 / OFFSETS as f64 - EDGE as f64) * column;
            let columns = (window.columns as f64 * speed).round() as usize;
            spectrogram.cells(begin, columns + 2 * EDGE, speed, cells);
        };
        read(1.0, 0, &mut cells);
        let whitening = Whitening::learn(&cells);
        let trust = Trust::learn(&cells);
        let (mut memory, mut white) = (Memory::default(), Vec::with_capacity(cells.len() / WIDTH));
        let mut weighed = Vec::with_capacity(white.capacity());
        let (mut ratios, mut best) = (Vec::new(), None::<(f64, Reading)>);
        for (speed, belief) in speeds(window.is_long) {
            for offset in 0..OFFSETS {
                read(speed, offset, &mut cells);
                whitening.apply(&cells, &mut memory, &mut white);
                trust.weigh(&cells, &white, &mut weighed);
                for cells in [&white, &weighed] {
                    let folded = Folded::new(cells);
                    for shift in 0..PERIOD {
                        if folded.pilot(template, shift) < FAINT {
                            continue;
                        }
                        let reading = folded.read(template, shift);
                        ratios.push(reading.ln_ratio + (belief / HYPOTHESES).ln());
                        let is_better =
                            |(_, best): &(f64, Reading)| best.ln_ratio < reading.ln_ratio;
                        if best.as_ref().is_none_or(is_better) {
                            best = Some((speed, reading));
                        }
                    }
                }
            }
        }
        // The mean over all hypotheses is the sum of the ratios, each weighted with its belief.
        let ln_evidence = ln_mean_exp(&ratios) + (ratios.len().max(1) as f64).ln();
        Finding { ln_evidence, best }
    }

    fn payload(&self) -> Option<u32> {
        let (_, reading) = self.best.as_ref().filter(|_| self.ln_evidence > PLACE)?;
        decode(&reading.soft)
    }
}

/// The speeds that are tried, each with the belief in it.
fn speeds(usual_only: bool) -> impl Iterator<Item = (f64, f64)> {
    let reach = if usual_only { 0 } else { SPEEDS };
    (-reach..=reach).map(move |step| {
        let belief = match step {
            _ if usual_only => 1.0,
            0 => UNCHANGED,
            _ => (1.0 - UNCHANGED) / f64::from(2 * SPEEDS),
        };
        (1.0 + f64::from(step) * SPEED_STEP, belief)
    })
}
