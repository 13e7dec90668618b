//! Peaks beyond full scale turned down smoothly, as clipping them would splatter over the whole spectrum.

use std::collections::VecDeque;

/// The largest sample that 16-bit integers have on both sides.
const CEILING: f32 = 32_767.0 / 32_768.0;
/// How long before a peak the gain begins to fall, and how long after it the gain is back, in seconds.
const REACH: f64 = 0.005;

/// What [`limit`] did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limited {
    /// Samples that lay beyond full scale.
    pub beyond: usize,
    /// The largest reduction, in decibels.
    pub decibels: f32,
}

/// Turns peaks beyond full scale down to it, by a gain that falls and rises over 5 ms. Samples further than 10 ms from any such peak stay as
/// they are, to the bit; `None` where there is no peak.
pub fn limit(samples: &mut [f32], sample_rate: u32) -> Option<Limited> {
    if samples.iter().all(|v| v.abs() <= 1.0) {
        return None;
    }
    let mut limiter = Limiter::new(sample_rate);
    let mut out = Vec::with_capacity(samples.len());
    limiter.push(samples, &mut out);
    limiter.finish(&mut out);
    samples.copy_from_slice(&out);
    limiter.limited()
}

/// [`limit`] of a signal that comes in pieces, the same to the bit. It gives each sample 10 ms after it came.
pub struct Limiter {
    /// Samples within which the gain falls, and rises.
    reach: usize,
    /// Samples that came, the last of which were not given yet.
    came: usize,
    samples: VecDeque<f32>,
    /// Places of rising gains that samples need, the least of those within reach in front.
    rising: VecDeque<(usize, f32)>,
    /// What the least gain within reach takes of a sample, summed up over those for which it is known.
    sums: VecDeque<f64>,
    /// Samples for which the least gain is known, and those that were given.
    known: usize,
    given: usize,
    beyond: usize,
    least: f32,
}

impl Limiter {
    /// At the start of a signal.
    #[must_use]
    pub fn new(sample_rate: u32) -> Limiter {
        Limiter {
            reach: (REACH * f64::from(sample_rate)).ceil() as usize,
            came: 0,
            samples: VecDeque::new(),
            rising: VecDeque::new(),
            sums: VecDeque::from([0.0]),
            known: 0,
            given: 0,
            beyond: 0,
            least: 1.0,
        }
    }

    /// Takes further samples and appends to `out` those that are finished.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        for &sample in samples {
            self.beyond += usize::from(sample.abs() > 1.0);
            let needed = match sample.abs() {
                peak if peak > CEILING => CEILING / peak,
                _ => 1.0,
            };
            while self.rising.back().is_some_and(|last| last.1 >= needed) {
                self.rising.pop_back();
            }
            self.rising.push_back((self.came, needed));
            self.came += 1;
            self.samples.push_back(sample);
            if self.came > self.reach {
                self.know();
            }
            if self.came > 2 * self.reach {
                self.give(out);
            }
        }
    }

    /// Ends the signal and appends what is left of it to `out`.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        while self.known < self.came {
            self.know();
        }
        while self.given < self.came {
            self.give(out);
        }
    }

    /// What was done so far; `None` where there was no peak.
    #[must_use]
    pub fn limited(&self) -> Option<Limited> {
        (self.beyond > 0).then(|| Limited {
            beyond: self.beyond,
            decibels: -20.0 * self.least.log10(),
        })
    }

    /// The least gain within reach of the next sample.
    fn know(&mut self) {
        let out_of_reach = |first: &(usize, f32)| first.0 + self.reach < self.known;
        while self.rising.front().is_some_and(out_of_reach) {
            self.rising.pop_front();
        }
        let least = self.rising.front().map_or(1.0, |first| first.1);
        self.least = self.least.min(least);
        let sum = self.sums.back().copied().unwrap_or_default();
        self.sums.push_back(sum + 1.0 - f64::from(least));
        self.known += 1;
    }

    /// The next sample, with the mean of the gains within reach: no value in it asks for more than the sample in its middle may have.
    fn give(&mut self, out: &mut Vec<f32>) {
        let Some(mut sample) = self.samples.pop_front() else {
            return;
        };
        // The sums from the first one within reach on are kept.
        let end = (self.given + self.reach + 1).min(self.known);
        let begin = self.given.saturating_sub(self.reach);
        let first = self.known + 1 - self.sums.len();
        let taken = self.sums[end - first] - self.sums[begin - first];
        if taken > 1e-9 {
            sample *= (1.0 - taken / (end - begin) as f64) as f32;
            sample = sample.clamp(-CEILING, CEILING);
        }
        out.push(sample);
        self.given += 1;
        if self.given > self.reach {
            self.sums.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_turned_down_and_what_is_far_from_it_stays() {
        let mut samples: Vec<f32> = (0..22_050).map(|n| 0.6 * (n as f32 * 0.3).sin()).collect();
        for (n, sample) in samples.iter_mut().enumerate().skip(10_000).take(200) {
            *sample *= 1.0 + 2.0 * ((n - 10_000) as f32 * std::f32::consts::PI / 200.0).sin();
        }
        let before = samples.clone();
        let done = limit(&mut samples, 22_050).unwrap();
        assert!((4.0..6.0).contains(&done.decibels), "{done:?}");
        assert!(samples.iter().all(|v| v.abs() <= 1.0));
        let changed: Vec<usize> = (0..before.len())
            .filter(|n| before[*n] != samples[*n])
            .collect();
        assert!(changed[0] > 10_000 - 230 && *changed.last().unwrap() < 10_200 + 230);
        // The gain is smooth: nowhere does it change by more than the whole reduction over the reach.
        let gain = |n: usize| samples[n] / before[n];
        let steps =
            (9_900..10_300).filter(|n| before[*n].abs() > 0.05 && before[n + 1].abs() > 0.05);
        let steepest = steps
            .map(|n| (gain(n + 1) - gain(n)).abs())
            .fold(0.0, f32::max);
        assert!(steepest < 0.01, "{steepest}");
    }

    #[test]
    fn sound_within_full_scale_is_not_touched() {
        let mut samples = vec![1.0, -1.0, 0.5];
        assert_eq!(limit(&mut samples, 22_050), None);
        assert_eq!(samples, [1.0, -1.0, 0.5]);
    }

    #[test]
    fn pieces_give_the_whole_to_the_bit() {
        let peaks = |n: usize| if n.is_multiple_of(997) { 1.7 } else { 0.8 };
        for length in [0, 1, 100, 222, 5000] {
            let samples: Vec<f32> = (0..length)
                .map(|n| peaks(n) * (n as f32 * 0.3).cos())
                .collect();
            let mut whole = samples.clone();
            let done = limit(&mut whole, 22_050);
            for size in [1, 7, 300, 6000] {
                let (mut limiter, mut out) = (Limiter::new(22_050), Vec::new());
                for piece in samples.chunks(size) {
                    limiter.push(piece, &mut out);
                }
                limiter.finish(&mut out);
                assert!(out == whole, "{length} samples by {size}");
                assert_eq!(limiter.limited(), done);
            }
        }
    }
}
