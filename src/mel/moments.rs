//! Mean and standard deviation of a normalised mel: a number for all bands, or one for each.

use std::fmt;

use ndarray::Array2;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Mean and standard deviation of each band, as the training of an acoustic model leaves them.
#[derive(Clone, Debug, PartialEq)]
pub struct BandMoments {
    /// Taken off each band at the end.
    pub mean: Vec<f64>,
    /// What each band is divided by after that.
    pub std: Vec<f64>,
}

impl BandMoments {
    /// Values of `[n_mels, frames]` normalised, band by band.
    pub(super) fn apply(&self, values: &mut Array2<f32>) {
        self.each(values, |v, mean, std| (v - mean) / std);
    }

    /// What [`BandMoments::apply`] was given.
    pub(super) fn undo(&self, values: &mut Array2<f32>) {
        self.each(values, |v, mean, std| v * std + mean);
    }

    fn each(&self, values: &mut Array2<f32>, change: impl Fn(f64, f64, f64) -> f64) {
        for (mut band, (mean, std)) in values
            .rows_mut()
            .into_iter()
            .zip(self.mean.iter().zip(&self.std))
        {
            band.mapv_inplace(|v| change(f64::from(v), *mean, *std) as f32);
        }
    }
}

/// One of the two as a file has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Moment {
    /// The same for all bands.
    One(f64),
    /// One for each band.
    Bands(Vec<f64>),
}

impl Moment {
    /// The number, where there is one.
    pub fn one(&self) -> Option<f64> {
        match self {
            Moment::One(value) => Some(*value),
            Moment::Bands(_) => None,
        }
    }

    /// The bands that it has numbers for; 0 where one is for all.
    pub fn bands(&self) -> usize {
        match self {
            Moment::One(_) => 0,
            Moment::Bands(values) => values.len(),
        }
    }

    /// One for each of so many bands.
    pub fn each(&self, bands: usize) -> Vec<f64> {
        match self {
            Moment::One(value) => vec![*value; bands],
            Moment::Bands(values) => values.clone(),
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
        struct Words;

        impl<'de> Visitor<'de> for Words {
            type Value = Moment;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a list of one for each band")
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Moment, E> {
                Ok(Moment::One(value))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Moment, E> {
                Ok(Moment::One(value as f64))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Moment, E> {
                Ok(Moment::One(value as f64))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Moment, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(Moment::Bands(values))
            }
        }

        deserializer.deserialize_any(Words)
    }
}
