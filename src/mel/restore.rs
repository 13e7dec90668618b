//! Restoring: the blur that averaging leaves in a mel is measured, and undone.
//!
//! An acoustic model that is trained by a distance predicts the mean of what could have been said, which is a blurred mel: harmonics and the
//! edges of formants run into their neighbours. How much one is blurred shows in how its values bend from band to band and from frame to frame
//! against how they rise and fall, whatever the logarithm and the bands. A mel of a recording is left as it is.

use std::fmt;

use ndarray::{Array2, ArrayView2, Axis, Zip};

use super::traits::MIN_VALUES;
use super::{Mel, MelConvention};

/// Times that what is missing is added back in one round.
const ITERATIONS: usize = 8;
/// Rounds, each of which measures what is left.
const ROUNDS: usize = 4;
/// The share of the width that a round undoes: what is taken for too wide comes out with peaks and hollows that were not there.
const SHARE: f64 = 0.8;
/// Of 35 recordings in each of 14 conventions, of 95 others of 70 speakers and of music, the ratio of bands is 1.19 and more.
const BANDS: Limits = Limits {
    restored: 1.1,
    wanted: 1.2,
    told: 1.0,
    least: 0.3,
    table: [(0.55, 1.5), (0.80, 1.0), (1.03, 0.7), (1.22, 0.5)],
};
/// The ratio of frames is 0.93 and more.
const FRAMES: Limits = Limits {
    restored: 0.9,
    wanted: 1.0,
    told: 0.75,
    least: 0.25,
    table: [(0.49, 1.5), (0.65, 1.0), (0.79, 0.7), (0.96, 0.5)],
};

/// What a ratio of differences along one axis, see [`ratios`], says of a blur.
struct Limits {
    /// Below it a mel is restored,
    restored: f64,
    /// until it reaches this.
    wanted: f64,
    /// Below it a mel is warned of.
    told: f64,
    /// No blur that leaves speech in a mel gets it lower: what is smoother is a test signal.
    least: f64,
    /// Medians of 30 recordings, rising, and the standard deviations of the Gaussians that they were blurred by.
    table: [(f64, f64); 4],
}

impl Limits {
    /// The standard deviation of a mel that is to be restored, else 0.
    fn blur(&self, ratio: f64) -> f64 {
        if ratio < self.restored {
            self.sigma(ratio)
        } else {
            0.0
        }
    }

    /// What is left of a blur of `before`.
    fn left(&self, before: f64, ratio: f64) -> f64 {
        let done = before == 0.0 || ratio >= self.wanted;
        if done { 0.0 } else { self.sigma(ratio) }
    }

    /// The standard deviation by straight lines between the rows of the table.
    fn sigma(&self, ratio: f64) -> f64 {
        let [first, .., last] = self.table;
        let ratio = ratio.clamp(first.0, last.0);
        let between = |rows: &[(f64, f64)]| match *rows {
            [(low, wide), (high, narrow)] if ratio <= high => {
                Some(wide + (narrow - wide) * (ratio - low) / (high - low))
            }
            _ => None,
        };
        self.table.windows(2).find_map(between).unwrap_or(last.1)
    }
}

/// How far a mel is blurred along each axis: the standard deviation of a Gaussian that would have done it, 0 for nothing that was found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Blur {
    /// In bands.
    pub bands: f64,
    /// In frames.
    pub frames: f64,
}

impl Blur {
    /// Whether there is none.
    pub fn is_none(self) -> bool {
        self == Blur::default()
    }
}

impl fmt::Display for Blur {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.bands > 0.0, self.frames > 0.0) {
            (true, false) => write!(f, "{:.1} bands", self.bands),
            (false, true) => write!(f, "{:.1} frames", self.frames),
            _ => write!(f, "{:.1} bands and {:.1} frames", self.bands, self.frames),
        }
    }
}

/// The mel with its blur undone, and how far it was blurred. A mel that is not blurred, or too short to tell (less than half a second in 80
/// bands), stays as it is to the last bit.
///
/// By van Cittert's iteration (1931, Zeitschrift fuer Physik 69, p. 298): what blurring the estimate once more takes from
/// the mel is added to the estimate, along frames and along bands. No value leaves the range of `convention`.
pub fn restore(mel: Mel, convention: &MelConvention) -> (Mel, Blur) {
    let Some(mut values) = plain(&mel, convention) else {
        return (mel, Blur::default());
    };
    let found = ratios(&values).map_or_else(Blur::default, Ratios::blur);
    if found.is_none() {
        return (mel, found);
    }
    let mut left = found;
    for _ in 0..ROUNDS {
        undo(&mut values, Axis(1), SHARE * left.frames);
        undo(&mut values, Axis(0), SHARE * left.bands);
        let Some(ratios) = ratios(&values) else { break };
        left = Blur {
            bands: BANDS.left(left.bands, ratios.bands),
            frames: FRAMES.left(left.frames, ratios.frames),
        };
        if left.is_none() {
            break;
        }
    }
    let plain = convention.before_moments();
    let (low, high) = (plain.floor_value(), plain.ceiling_value());
    let mut values = values.mapv(|v| (v as f32).clamp(low, high));
    if let Some(moments) = &convention.compression.per_band {
        moments.apply(&mut values);
    }
    (Mel { values }, found)
}

/// A warning of a mel that is blurred further than the mel of any recording is; `None` for others.
pub(super) fn note(mel: &Mel) -> Option<String> {
    let ratios = ratios(&wide(mel.view())?)?;
    if ratios.bands >= BANDS.told && ratios.frames >= FRAMES.told {
        return None;
    }
    let blur = ratios.blur();
    Some(format!(
        "the mel is blurred, as by a Gaussian of {blur}, like the average that an acoustic model makes; `restore` undoes that"
    ))
}

/// The values of a mel before each band was normalised by moments of its own; `None` where it is too short to measure.
fn plain(mel: &Mel, convention: &MelConvention) -> Option<Array2<f64>> {
    let Some(moments) = &convention.compression.per_band else {
        return wide(mel.view());
    };
    let mut values = mel.view().to_owned();
    moments.undo(&mut values);
    wide(values.view())
}

fn wide(values: ArrayView2<'_, f32>) -> Option<Array2<f64>> {
    (values.len() >= MIN_VALUES).then(|| values.mapv(f64::from))
}

/// How the values of a mel bend.
struct Ratios {
    bands: f64,
    frames: f64,
}

impl Ratios {
    /// The blur that is to be undone.
    fn blur(self) -> Blur {
        Blur {
            bands: BANDS.blur(self.bands),
            frames: FRAMES.blur(self.frames),
        }
    }
}

/// The mean second difference over the mean first difference, of magnitudes, from band to band and from frame to frame; over the louder half
/// of the frames. `None` where nothing
/// changes, or smoothly.
fn ratios(values: &Array2<f64>) -> Option<Ratios> {
    let levels = values.mean_axis(Axis(0))?;
    let mut sorted = levels.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = *sorted.get(sorted.len() / 2)?;
    let loud = levels.mapv(|level| level >= median);
    let (mut bands, mut frames) = (Bends::default(), Bends::default());
    for three in values.axis_windows(Axis(0), 3) {
        Zip::from(&loud)
            .and(three.row(0))
            .and(three.row(1))
            .and(three.row(2))
            .for_each(|loud, before, here, after| bands.add(*loud, *before, *here, *after));
    }
    for three in values
        .axis_windows(Axis(1), 3)
        .into_iter()
        .zip(loud.iter().skip(1))
    {
        let (three, loud) = three;
        for row in three.rows() {
            frames.add(*loud, row[0], row[1], row[2]);
        }
    }
    let (bands, frames) = (bands.ratio()?, frames.ratio()?);
    (bands >= BANDS.least && frames >= FRAMES.least).then_some(Ratios { bands, frames })
}

/// Sums of first and second differences along one axis.
#[derive(Default)]
struct Bends {
    first: f64,
    second: f64,
}

impl Bends {
    fn add(&mut self, counts: bool, before: f64, here: f64, after: f64) {
        if counts {
            self.first += (after - here).abs();
            self.second += (before - 2.0 * here + after).abs();
        }
    }

    fn ratio(&self) -> Option<f64> {
        (self.first > 0.0).then(|| self.second / self.first)
    }
}

/// Undoes a Gaussian of `sigma` along `axis`.
fn undo(values: &mut Array2<f64>, axis: Axis, sigma: f64) {
    if sigma == 0.0 {
        return;
    }
    let kernel = gaussian(sigma);
    for mut line in values.lanes_mut(axis) {
        let blurred = line.to_vec();
        let mut estimate = blurred.clone();
        for _ in 0..ITERATIONS {
            let again = smoothed(&estimate, &kernel);
            for ((value, blurred), again) in estimate.iter_mut().zip(&blurred).zip(again) {
                *value += blurred - again;
            }
        }
        line.iter_mut()
            .zip(estimate)
            .for_each(|(to, from)| *to = from);
    }
}

/// From its middle to one side, cut off at four times its width; both sides add up to 1.
fn gaussian(sigma: f64) -> Vec<f64> {
    let reach = (4.0 * sigma + 0.5) as usize;
    let half: Vec<f64> = (0..=reach)
        .map(|k| (-0.5 * (k as f64 / sigma).powi(2)).exp())
        .collect();
    let sum = 2.0 * half.iter().sum::<f64>() - half[0];
    half.iter().map(|weight| weight / sum).collect()
}

/// `line` under a kernel of which `kernel` is one side; beyond its ends lie the values there.
fn smoothed(line: &[f64], kernel: &[f64]) -> Vec<f64> {
    let last = line.len() - 1;
    let at = |n: usize| {
        let sides = kernel.iter().enumerate().skip(1);
        let sides =
            sides.map(|(k, weight)| weight * (line[n.saturating_sub(k)] + line[(n + k).min(last)]));
        kernel[0] * line[n] + sides.sum::<f64>()
    };
    (0..line.len()).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mel::testing::{named, variant_of, white_noise};
    use crate::mel::{BandMoments, Layout, LogKind, NpyLimits, analyse, check, read_npy};

    /// The mel of a voice that no model heard.
    fn voice() -> Mel {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo/demo.npy");
        let file = std::fs::File::open(path).unwrap();
        read_npy(file, None, Layout::BandsFirst, &NpyLimits::default()).unwrap()
    }

    fn blurred(mel: &Mel, bands: f64, frames: f64) -> Mel {
        let mut values = mel.view().mapv(f64::from);
        for (axis, sigma) in [(Axis(0), bands), (Axis(1), frames)] {
            if sigma > 0.0 {
                let kernel = gaussian(sigma);
                for mut line in values.lanes_mut(axis) {
                    let smooth = smoothed(&line.to_vec(), &kernel);
                    line.iter_mut()
                        .zip(smooth)
                        .for_each(|(to, from)| *to = from);
                }
            }
        }
        Mel::new(values.mapv(|v| v as f32)).unwrap()
    }

    fn distance(a: &Mel, b: &Mel) -> f32 {
        (&a.view() - &b.view()).mapv(f32::abs).mean().unwrap()
    }

    #[test]
    fn a_recording_stays_as_it_is_and_what_was_blurred_comes_back() {
        let (hifigan, mel) = (named("hifigan"), voice());
        assert_eq!(
            restore(mel.clone(), &hifigan),
            (mel.clone(), Blur::default())
        );
        // And the share of the distance to the recording that may be left.
        let cases = [
            (1.0, 0.0, 0.6),
            (0.0, 1.0, 0.35),
            (1.0, 1.0, 0.6),
            (1.5, 0.0, 0.8),
            (0.7, 0.0, 0.3),
        ];
        for (bands, frames, left) in cases {
            let blurred = blurred(&mel, bands, frames);
            let (found, blur) = restore(blurred.clone(), &hifigan);
            assert!((blur.bands - bands).abs() < 0.5, "{blur:?} for {bands}");
            assert!((blur.frames - frames).abs() < 0.5, "{blur:?} for {frames}");
            let (before, after) = (distance(&blurred, &mel), distance(&found, &mel));
            assert!(
                after < left * before,
                "{bands}, {frames}: {before} to {after}"
            );
            let range = hifigan.floor_value()..=hifigan.ceiling_value();
            assert!(found.view().iter().all(|v| range.contains(v)));
        }
    }

    #[test]
    fn a_blurred_mel_is_warned_of_until_it_is_restored() {
        let (hifigan, mel) = (named("hifigan"), voice());
        assert_eq!(check(&mel, &hifigan).unwrap(), Vec::<String>::new());
        for (bands, frames, words) in [
            (1.0, 0.0, " bands,"),
            (0.0, 1.0, " frames,"),
            (1.0, 1.0, " bands and "),
        ] {
            let blurred = blurred(&mel, bands, frames);
            let notes = check(&blurred, &hifigan).unwrap();
            assert_eq!(notes.len(), 1, "{notes:?}");
            assert!(
                notes[0].contains(words) && notes[0].contains("`restore`"),
                "{notes:?}"
            );
            let (restored, _) = restore(blurred, &hifigan);
            assert_eq!(check(&restored, &hifigan).unwrap(), Vec::<String>::new());
        }
    }

    #[test]
    fn neither_the_logarithm_nor_moments_of_each_band_change_what_is_found() {
        let hifigan = named("hifigan");
        let blurred = blurred(&voice(), 1.0, 1.0);
        let (right, blur) = restore(blurred.clone(), &hifigan);
        let base_ten = variant_of("hifigan", |c| c.kind = LogKind::Log10);
        let scale = std::f32::consts::LN_10;
        let (found, other) = restore(
            Mel::new(blurred.view().mapv(|v| v / scale)).unwrap(),
            &base_ten,
        );
        assert!((blur.bands - other.bands).abs() < 1e-4);
        assert!(
            (&found.view() * scale - right.view())
                .iter()
                .all(|d| d.abs() < 1e-3)
        );

        let moments = BandMoments {
            mean: (0..80).map(|band| -5.0 - f64::from(band) / 20.0).collect(),
            std: (0..80).map(|band| 1.0 + f64::from(band) / 40.0).collect(),
        };
        let normalise = |mel: &Mel| {
            let mut values = mel.view().to_owned();
            moments.apply(&mut values);
            Mel::new(values).unwrap()
        };
        let normalised = variant_of("hifigan", |c| c.per_band = Some(moments.clone()));
        let (found, _) = restore(normalise(&blurred), &normalised);
        assert!(distance(&found, &normalise(&right)) < 1e-4);
    }

    #[test]
    fn noise_silence_and_what_is_short_are_not_blurred() {
        let hifigan = named("hifigan");
        let noise = analyse(&white_noise(0.3), &hifigan).unwrap();
        let silence = Mel::new(Array2::from_elem((80, 99), hifigan.floor_value())).unwrap();
        let short = Mel::new(Array2::from_shape_fn((80, 9), |(b, f)| {
            (b + f) as f32 / -20.0
        }))
        .unwrap();
        for mel in [noise, silence, short] {
            assert_eq!(
                restore(mel.clone(), &hifigan),
                (mel.clone(), Blur::default())
            );
            assert_eq!(note(&mel), None);
        }
    }
}
