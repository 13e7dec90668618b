//! Whether values can be the logarithms of a sound: how loud that sound would be, and how its spectrum would run.
//!
//! Two things hold for every sound and for no mel on another scale. Its level stays below full scale, and neighbouring bands and frames
//! differ by what chance and voices make them differ: white noise by 0.29 and 0.26 nepers, speech by 0.4 to 0.7 and 0.35 to 0.8. A mel that
//! an acoustic model smoothed differs by less, but then lies low and spreads far. docs/robustness.md has what the limits were measured at.

use ndarray::{Array2, ArrayView2, Axis};

use super::{MelConvention, filterbank};

/// Values of half a second of speech in 80 bands: fewer can look like anything.
pub(super) const MIN_VALUES: usize = 3_440;
/// Values nearer to the lowest than this many nepers are silence.
const ABOVE_LOWEST: f64 = 0.3;
/// Loudest mean level in dBFS: white noise over all of full scale comes to -5, speech of -23 dBFS and its like to that.
const MAX_LEVEL: f64 = -4.0;
/// Where a mel differs by less than this from band to band and from frame to frame, in nepers,
const FLAT: (f64, f64) = (0.28, 0.36);
/// spreads by less than this, in nepers,
const NARROW: f64 = 1.2;
/// and lies above this on average, it is on another scale.
const HIGH: f64 = -3.5;
/// What speech comes to, in the order of [`Traits::list`], and how far it strays.
const SPEECH: [(f64, f64); 5] = [
    (0.52, 0.09),
    (0.43, 0.08),
    (-23.0, 9.0),
    (-5.0, 1.2),
    (1.8, 0.35),
];

/// What the values of a mel, taken as natural logarithms of magnitudes, say of the sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Traits {
    /// Mean difference of neighbouring bands, in nepers.
    pub bands: f64,
    /// Mean difference of neighbouring frames, in nepers.
    pub frames: f64,
    /// Mean level of the frames that are not silent, in dBFS.
    pub level: f64,
    /// Mean of the values that are not silent.
    pub mean: f64,
    /// Their standard deviation.
    pub std: f64,
}

impl Traits {
    /// `nepers` holds natural logarithms of band magnitudes, `[n_mels, frames]`. `None` where there is too little to judge.
    pub fn of(nepers: &Array2<f64>, convention: &MelConvention) -> Option<Traits> {
        if nepers.len() < MIN_VALUES {
            return None;
        }
        let nepers = sounding(nepers.view());
        let lowest = nepers.iter().copied().fold(f64::INFINITY, f64::min) + ABOVE_LOWEST;
        let live: Vec<f64> = nepers.iter().copied().filter(|v| *v > lowest).collect();
        if live.len() < MIN_VALUES {
            return None;
        }
        let mean = live.iter().sum::<f64>() / live.len() as f64;
        let variance = live.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / live.len() as f64;
        Some(Traits {
            bands: steps(nepers.view(), lowest)?,
            frames: steps(nepers.t(), lowest)?,
            level: level(nepers.view(), lowest, convention),
            mean,
            std: variance.sqrt(),
        })
    }

    /// Why no sound has these values, in words; `None` where one may.
    pub fn oddity(&self) -> Option<String> {
        if self.level > MAX_LEVEL {
            return Some(format!(
                "its sound would have a mean level of {:+.1} dBFS, which none has",
                self.level
            ));
        }
        let flat = self.bands < FLAT.0 && self.frames < FLAT.1;
        (flat && self.std < NARROW && self.mean > HIGH).then(|| {
            format!(
                "its values run too flat: neighbouring bands differ by {:.2} nepers on average, those of speech by 0.5",
                self.bands
            )
        })
    }

    /// How far this is from speech: a sum of squares, 5 for speech itself on average.
    pub fn distance(&self) -> f64 {
        let list = [self.bands, self.frames, self.level, self.mean, self.std];
        list.iter()
            .zip(SPEECH)
            .map(|(found, (usual, stray))| ((found - usual) / stray).powi(2))
            .sum()
    }
}

/// The frames whose bands are not all alike: padding says nothing of the scale.
fn sounding(nepers: ArrayView2<'_, f64>) -> Array2<f64> {
    let differs = |frame: &usize| {
        let column = nepers.column(*frame);
        column
            .iter()
            .any(|v| (v - column[0]).abs() > 1e-5 * v.abs().max(1.0))
    };
    let kept: Vec<usize> = (0..nepers.ncols()).filter(differs).collect();
    nepers.select(Axis(1), &kept)
}

/// Mean difference between neighbours along the first axis, where both are above `lowest`.
fn steps(values: ArrayView2<'_, f64>, lowest: f64) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0u64);
    for row in 1..values.nrows() {
        for (a, b) in values.row(row - 1).iter().zip(values.row(row)) {
            if *a > lowest && *b > lowest {
                sum += (a - b).abs();
                count += 1;
            }
        }
    }
    (count > 0).then(|| sum / count as f64)
}

/// The level of noise that has these band magnitudes, over the frames that are not silent.
fn level(nepers: ArrayView2<'_, f64>, lowest: f64, convention: &MelConvention) -> f64 {
    let window: f64 = 0.375 * convention.win_length as f64;
    let scale = 2.0 / (convention.n_fft as f64 * window);
    let gains: Vec<f64> = filterbank(convention)
        .rows()
        .into_iter()
        .map(|row| row.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>())
        .map(|energy| if energy > 0.0 { scale / energy } else { 0.0 })
        .collect();
    let (mut sum, mut count) = (0.0, 0u64);
    for frame in nepers.columns() {
        if frame.iter().any(|v| *v > lowest) {
            sum += frame
                .iter()
                .zip(&gains)
                .map(|(v, gain)| (2.0 * v).exp() * gain)
                .sum::<f64>();
            count += 1;
        }
    }
    10.0 * (sum / count.max(1) as f64).max(1e-30).log10()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mel::analyse;
    use crate::mel::testing::{named, white_noise};

    fn traits(amplitude: f32, scale: f64) -> Traits {
        let hifigan = named("hifigan");
        let mel = analyse(&white_noise(amplitude), &hifigan).unwrap();
        let nepers = mel.view().mapv(|v| f64::from(v) * scale);
        Traits::of(&nepers, &hifigan).unwrap()
    }

    #[test]
    fn the_level_is_that_of_the_noise_and_its_steps_are_those_of_chance() {
        for amplitude in [1e-3f32, 0.1, 1.0] {
            let found = traits(amplitude, 1.0);
            let level = 20.0 * f64::from(amplitude).log10() - 4.77;
            assert!((found.level - level).abs() < 1.0, "{found:?} for {level}");
            assert!((0.25..0.35).contains(&found.bands), "{found:?}");
            assert_eq!(found.oddity(), None, "{found:?}");
        }
    }

    #[test]
    fn a_scale_that_is_too_small_is_odd() {
        let found = traits(0.1, 1.0 / std::f64::consts::LN_10);
        assert!(found.oddity().unwrap().contains("too flat"), "{found:?}");
        assert!(traits(8.0, 1.0).oddity().unwrap().contains("dBFS"));
    }

    #[test]
    fn too_little_is_not_judged() {
        let nepers = Array2::zeros((80, 20));
        assert_eq!(Traits::of(&nepers, &named("hifigan")), None);
        let silent = Array2::from_elem((80, 200), -11.5);
        assert_eq!(Traits::of(&silent, &named("hifigan")), None);
    }
}
