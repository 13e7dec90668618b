//! Where the frames of one convention lie among those of another.

use ndarray::ArrayView1;

use super::{Framing, MelConvention};

/// The way from frames at one distance to frames at another, over the same stretch of sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frames {
    /// Frames of the source from one frame of the target to the next.
    step: f64,
    /// Where the first frame of the target lies, in frames of the source.
    first: f64,
    /// Frames of the target in a stretch of one frame of the source.
    density: f64,
    from: Framing,
    to: Framing,
}

impl Frames {
    /// `None` where both conventions have their frames at the same distance: they need no interpolation, and half a hop between them is a matter
    /// of the audio.
    pub fn between(from: &MelConvention, to: &MelConvention) -> Option<Frames> {
        let seconds = |c: &MelConvention| c.hop as f64 / f64::from(c.sample_rate);
        let aligned = from.hop as u64 * u64::from(to.sample_rate)
            == to.hop as u64 * u64::from(from.sample_rate);
        let step = seconds(to) / seconds(from);
        // Frame f has its centre at (f + half) hops.
        let half = |c: &MelConvention| c.centre() as f64 / c.hop as f64;
        (!aligned).then(|| Frames {
            step,
            first: half(to) * step - half(from),
            density: 1.0 / step,
            from: from.framing,
            to: to.framing,
        })
    }

    /// Frames of the target that cover the sound of `frames` of the source; at least one.
    pub fn count(&self, frames: usize) -> usize {
        let hops = match self.from {
            Framing::Hop => frames,
            Framing::Center => frames.saturating_sub(1),
        };
        // What comes of whole numbers is not to be raised by the last bit.
        let exact = hops as f64 * self.density;
        let count = match self.to {
            Framing::Hop => (exact - 1e-9).ceil(),
            Framing::Center => 1.0 + (exact + 1e-9).floor(),
        };
        (count as usize).max(1)
    }

    /// The value of `row` at frame `frame` of the target, by cubic interpolation (Catmull-Rom splines); the ends are held.
    pub fn at(&self, row: ArrayView1<'_, f64>, frame: usize) -> f64 {
        let place = (self.first + self.step * frame as f64).clamp(0.0, (row.len() - 1) as f64);
        let (whole, t) = (place.floor() as usize, place.fract());
        let value = |n: usize| row[n.clamp(1, row.len()) - 1];
        let [a, b, c, d] = [0, 1, 2, 3].map(|n| value(whole + n));
        let cubic = 3.0 * (b - c) + d - a;
        let square = 2.0 * a - 5.0 * b + 4.0 * c - d;
        b + 0.5 * t * (c - a + t * (square + t * cubic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mel::testing::named;
    use ndarray::Array1;

    #[test]
    fn equal_distances_need_no_interpolation() {
        let hifigan = named("hifigan");
        assert_eq!(Frames::between(&named("espnet"), &hifigan), None);
        let mut twice = named("tacotron2");
        (twice.sample_rate, twice.hop, twice.n_fft) = (44_100, 512, 2048);
        assert_eq!(Frames::between(&twice, &hifigan), None);
        assert!(Frames::between(&named("vocos24k"), &hifigan).is_some());
    }

    #[test]
    fn a_ramp_over_time_is_read_at_the_right_moments() {
        let seconds = |c: &MelConvention, frame: usize| {
            let half = if c.framing == Framing::Hop { 0.5 } else { 0.0 };
            (frame as f64 + half) * c.hop as f64 / f64::from(c.sample_rate)
        };
        for (from, to) in [
            ("vocos24k", "hifigan"),
            ("bigvgan24k", "hifigan"),
            ("bigvgan24k", "tacotron2"),
            ("speecht5", "hifigan"),
        ] {
            let (from, to) = (named(from), named(to));
            let frames = Frames::between(&from, &to).unwrap();
            let row: Array1<f64> = (0..50).map(|frame| seconds(&from, frame)).collect();
            for frame in 3..30 {
                let (found, right) = (frames.at(row.view(), frame), seconds(&to, frame));
                assert!(
                    (found - right).abs() < 1e-9,
                    "{} {frame}: {found} for {right}",
                    from.name
                );
            }
        }
    }

    #[test]
    fn the_sound_is_covered_and_no_more() {
        let hifigan = named("hifigan");
        let count = |name: &str, frames| {
            Frames::between(&named(name), &hifigan)
                .unwrap()
                .count(frames)
        };
        // 100 hops of 256 at 24,000 Hz are 23,520 samples at 22,050 Hz, 91.875 hops.
        assert_eq!((count("bigvgan24k", 100), count("vocos24k", 101)), (92, 92));
        // 160 hops are 147 hops exactly.
        assert_eq!(
            (count("bigvgan24k", 160), count("vocos24k", 161)),
            (147, 147)
        );
        assert_eq!((count("bigvgan24k", 1), count("vocos24k", 1)), (1, 1));
    }
}
