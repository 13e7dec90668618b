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
    let beyond = samples.iter().filter(|v| v.abs() > 1.0).count();
    if beyond == 0 {
        return None;
    }
    let reach = (REACH * f64::from(sample_rate)).ceil() as usize;
    let needed: Vec<f32> = samples
        .iter()
        .map(|v| match v.abs() {
            peak if peak > CEILING => CEILING / peak,
            _ => 1.0,
        })
        .collect();
    let lowest = least_within(&needed, reach);
    let least = lowest.iter().copied().fold(1.0, f32::min);
    // The mean over the reach: no value in it asks for more than the sample in its middle may have.
    let sums: Vec<f64> = std::iter::once(0.0)
        .chain(lowest.iter().scan(0.0, |sum, gain| {
            *sum += 1.0 - f64::from(*gain);
            Some(*sum)
        }))
        .collect();
    for (n, sample) in samples.iter_mut().enumerate() {
        let (begin, end) = (n.saturating_sub(reach), (n + reach + 1).min(lowest.len()));
        let taken = sums[end] - sums[begin];
        if taken > 1e-9 {
            *sample *= (1.0 - taken / (end - begin) as f64) as f32;
            *sample = sample.clamp(-CEILING, CEILING);
        }
    }
    Some(Limited {
        beyond,
        decibels: -20.0 * least.log10(),
    })
}

/// The least of the values within `reach` of each.
fn least_within(values: &[f32], reach: usize) -> Vec<f32> {
    let mut least = Vec::with_capacity(values.len());
    // Places of rising values, the least of those within reach in front.
    let mut rising: VecDeque<usize> = VecDeque::new();
    let mut next = 0;
    for n in 0..values.len() {
        while next < values.len() && next <= n + reach {
            while rising
                .back()
                .is_some_and(|last| values[*last] >= values[next])
            {
                rising.pop_back();
            }
            rising.push_back(next);
            next += 1;
        }
        while rising.front().is_some_and(|first| *first + reach < n) {
            rising.pop_front();
        }
        least.push(rising.front().map_or(1.0, |first| values[*first]));
    }
    least
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
    fn the_least_is_that_of_the_neighbours() {
        let values = [5.0, 3.0, 4.0, 6.0, 1.0, 7.0];
        assert_eq!(least_within(&values, 1), [3.0, 3.0, 3.0, 1.0, 1.0, 1.0]);
        assert_eq!(least_within(&values, 9), [1.0; 6]);
    }
}
