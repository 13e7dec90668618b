//! From the linear value of a mel band to the number in the mel, and back.

use serde::{Deserialize, Serialize};

use super::moments::{BandMoments, Moment};

/// The logarithm of a band value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogKind {
    /// Natural logarithm.
    Ln,
    /// Logarithm to base 10.
    Log10,
    /// Decibels: `20 log10` of a magnitude (power 1), `10 log10` of a power (power 2).
    Db,
}

/// How the logarithm is kept away from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FloorMode {
    /// `log(max(x, floor))`.
    Clamp,
    /// `log(x + floor)`.
    Add,
}

/// From band value `x` to mel value: `(clip(scale * log(floored x) + offset) - mean) / std`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub struct Compression {
    /// The logarithm.
    pub kind: LogKind,
    /// Smallest band value, or what is added to it.
    pub floor: f64,
    /// Which of the two.
    pub floor_mode: FloorMode,
    /// Factor after the logarithm.
    pub scale: f64,
    /// Added after the factor.
    pub offset: f64,
    /// Bounds after that.
    pub clip: Option<[f64; 2]>,
    /// Mean taken off at the end (z-normalised mels).
    pub mean: f64,
    /// Standard deviation divided by at the end (z-normalised mels).
    pub std: f64,
    /// Mean and standard deviation of each band, in place of the two above, which are 0 and 1 then. What is said of values elsewhere
    /// (floor, ceiling, range) is said of those before this.
    pub per_band: Option<BandMoments>,
}

/// A compression as files have it, where `mean` and `std` are numbers or lists.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Compression", deny_unknown_fields)]
struct Wire {
    kind: LogKind,
    floor: f64,
    #[serde(default = "clamp")]
    floor_mode: FloorMode,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    scale: f64,
    #[serde(default, skip_serializing_if = "is_zero")]
    offset: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clip: Option<[f64; 2]>,
    #[serde(default = "no_mean", skip_serializing_if = "is_no_mean")]
    mean: Moment,
    #[serde(default = "no_std", skip_serializing_if = "is_no_std")]
    std: Moment,
}

impl From<Wire> for Compression {
    fn from(wire: Wire) -> Compression {
        let mut compression = Compression {
            kind: wire.kind,
            floor: wire.floor,
            floor_mode: wire.floor_mode,
            scale: wire.scale,
            offset: wire.offset,
            clip: wire.clip,
            mean: 0.0,
            std: 1.0,
            per_band: None,
        };
        compression.set_moments(&wire.mean, &wire.std);
        compression
    }
}

impl Compression {
    /// Puts a mean and a standard deviation in place of those there are. Where one of them has a number for each band, both are kept by band.
    pub(crate) fn set_moments(&mut self, mean: &Moment, std: &Moment) {
        (self.mean, self.std, self.per_band) = match (mean, std) {
            (Moment::One(mean), Moment::One(std)) => (*mean, *std, None),
            _ => {
                let bands = mean.bands().max(std.bands());
                let moments = BandMoments {
                    mean: mean.each(bands),
                    std: std.each(bands),
                };
                (0.0, 1.0, Some(moments))
            }
        };
    }
}

impl From<Compression> for Wire {
    fn from(c: Compression) -> Wire {
        let (mean, std) = match c.per_band {
            Some(moments) => (Moment::Bands(moments.mean), Moment::Bands(moments.std)),
            None => (Moment::One(c.mean), Moment::One(c.std)),
        };
        Wire {
            kind: c.kind,
            floor: c.floor,
            floor_mode: c.floor_mode,
            scale: c.scale,
            offset: c.offset,
            clip: c.clip,
            mean,
            std,
        }
    }
}

pub(super) fn one() -> f64 {
    1.0
}
fn clamp() -> FloorMode {
    FloorMode::Clamp
}
fn is_one(x: &f64) -> bool {
    *x == 1.0
}
fn is_zero(x: &f64) -> bool {
    *x == 0.0
}
fn no_mean() -> Moment {
    Moment::One(0.0)
}
fn no_std() -> Moment {
    Moment::One(1.0)
}
fn is_no_mean(moment: &Moment) -> bool {
    moment.one() == Some(0.0)
}
fn is_no_std(moment: &Moment) -> bool {
    moment.one() == Some(1.0)
}

impl Compression {
    /// `ln(max(x, floor))`.
    pub fn ln(floor: f64) -> Compression {
        Compression {
            kind: LogKind::Ln,
            floor,
            floor_mode: FloorMode::Clamp,
            scale: 1.0,
            offset: 0.0,
            clip: None,
            mean: 0.0,
            std: 1.0,
            per_band: None,
        }
    }

    /// Natural-log units per unit of `kind`'s logarithm.
    pub(super) fn nepers_per_unit(&self, power: f64) -> f64 {
        match self.kind {
            LogKind::Ln => 1.0,
            LogKind::Log10 => std::f64::consts::LN_10,
            LogKind::Db => std::f64::consts::LN_10 * power / 20.0,
        }
    }

    /// Mel value of the band value `x` (after gain) of the given power.
    pub fn compress(&self, x: f64, power: f64) -> f64 {
        let floored = match self.floor_mode {
            FloorMode::Clamp => x.max(self.floor),
            FloorMode::Add => x + self.floor,
        };
        let mut y = self.scale * (floored.ln() / self.nepers_per_unit(power)) + self.offset;
        if let Some([low, high]) = self.clip {
            y = y.clamp(low, high);
        }
        (y - self.mean) / self.std
    }

    /// Band value (with gain) of a mel value: the inverse of [`Compression::compress`] above the floor, never negative.
    pub fn expand(&self, y: f64, power: f64) -> f64 {
        let x = self.undo_affine(y, power).exp();
        match self.floor_mode {
            FloorMode::Clamp => x,
            FloorMode::Add => (x - self.floor).max(0.0),
        }
    }

    /// Natural logarithm of the floored band value behind a mel value.
    pub(super) fn undo_affine(&self, y: f64, power: f64) -> f64 {
        (y * self.std + self.mean - self.offset) / self.scale * self.nepers_per_unit(power)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expanding_undoes_compressing_above_the_floor() {
        let mut odd = Compression::ln(1e-5);
        (odd.scale, odd.offset, odd.mean, odd.std) = (0.7, 0.3, -5.5, 2.1);
        for kind in [LogKind::Ln, LogKind::Log10, LogKind::Db] {
            for floor_mode in [FloorMode::Clamp, FloorMode::Add] {
                let c = Compression {
                    kind,
                    floor_mode,
                    ..odd.clone()
                };
                for (x, power) in [(2e-5, 1.0), (0.03, 2.0), (7.0, 1.0)] {
                    let back = c.expand(c.compress(x, power), power);
                    assert!((back / x - 1.0).abs() < 1e-9, "{c:?}: {x} became {back}");
                }
            }
        }
    }

    #[test]
    fn decibels_are_of_power_whatever_the_exponent() {
        let c = Compression {
            kind: LogKind::Db,
            ..Compression::ln(1e-5)
        };
        assert!((c.compress(0.1, 1.0) + 20.0).abs() < 1e-9);
        assert!((c.compress(0.1, 2.0) + 10.0).abs() < 1e-9);
    }
}
