//! From one convention to another where there is no exact way: by way of an envelope over linear frequency.
//!
//! Each frame's bands become the magnitude of a sound that has them (`mel/envelope.rs`), which is read at the bins of the other convention, goes
//! through its filters, and is interpolated over time where the hops differ. What that loses was measured (`mel/losses.rs`).

use ndarray::Array2;

use super::check::check_for;
use super::convert::{Conversion, Prepared, shift_samples, without_moments};
use super::differences::mismatches;
use super::envelope::Envelope;
use super::filterbank::{SparseRow, filterbank, sparse_rows};
use super::frames::Frames;
use super::losses::{Verdict, verdict};
use super::{Mel, MelConvention, MelError};

/// The way from one convention to another that differs from it in what a band or a frame measures, for mels that are there whole.
#[derive(Clone, Debug)]
pub struct Approximation {
    from: MelConvention,
    to: MelConvention,
    envelope: Envelope,
    filters: Vec<SparseRow>,
    /// For each bin of the target the bin of the source at or below it, and the share of the next one.
    bins: Vec<(usize, f64)>,
    /// What magnitudes of the source are multiplied by for the window and the rate of the target.
    gain: f64,
    /// `None` where the frames lie equally far apart.
    frames: Option<Frames>,
    note: Option<String>,
}

/// Checks `mel` against `from` and brings it to `to`: exactly where [`prepare`](super::prepare()) does, else approximately where that was
/// measured to lose little, with a note that says so.
///
/// # Errors
/// [`MelError::TooFar`] with the reason, and what [`check`](super::check()) finds.
pub fn prepare_approximately(
    mel: Mel,
    from: &MelConvention,
    to: &MelConvention,
) -> Result<Prepared, MelError> {
    if mismatches(from, to).is_empty() {
        return Conversion::new(from, to)?.whole(mel);
    }
    Approximation::new(from, to)?.whole(mel)
}

impl Approximation {
    /// Looks up whether the way is taken.
    ///
    /// # Errors
    /// [`MelError::TooFar`] with the reason.
    pub fn new(from: &MelConvention, to: &MelConvention) -> Result<Approximation, MelError> {
        match verdict(from, to) {
            Verdict::Taken(note) => Ok(Approximation {
                note: Some(note),
                ..Approximation::unjudged(from, to)
            }),
            Verdict::Refused(reason) => Err(MelError::TooFar {
                from: from.name.clone(),
                to: to.name.clone(),
                reason,
            }),
        }
    }

    /// The way between any two conventions, whatever it loses: what the losses are measured with. Its results carry no note.
    #[must_use]
    pub fn unjudged(from: &MelConvention, to: &MelConvention) -> Approximation {
        let step = |c: &MelConvention| f64::from(c.sample_rate) / c.n_fft as f64;
        let (ratio, last) = (step(to) / step(from), from.n_fft / 2);
        let place = |bin: usize| {
            let place = (bin as f64 * ratio).min(last as f64);
            (place.floor() as usize, place.fract())
        };
        Approximation {
            envelope: Envelope::new(from),
            filters: sparse_rows(filterbank(to).view()),
            bins: (0..=to.n_fft / 2).map(place).collect(),
            gain: window_gain(from, to),
            frames: Frames::between(from, to),
            note: None,
            from: from.clone(),
            to: to.clone(),
        }
    }

    /// [`Prepared::shift_samples`].
    #[must_use]
    pub fn shift_samples(&self) -> i64 {
        match self.frames {
            Some(_) => 0,
            None => shift_samples(&self.from, &self.to),
        }
    }

    /// Checks a whole mel and brings it to the other convention.
    ///
    /// # Errors
    /// What [`check`](super::check()) finds.
    pub fn whole(&self, mel: Mel) -> Result<Prepared, MelError> {
        let mut notes = check_for(&mel, &self.from, &self.to)?;
        notes.extend(self.note.clone());
        let bands = self.log_bands(&without_moments(mel, &self.from)?);
        let mut values = match self.frames {
            Some(frames) => {
                let count = frames.count(bands.ncols());
                Array2::from_shape_fn((bands.nrows(), count), |(band, frame)| {
                    frames.at(bands.row(band), frame)
                })
            }
            None => bands,
        }
        .mapv(|ln| self.to.compress(ln.exp()).max(self.to.floor_value()));
        if let Some(moments) = &self.to.compression.per_band {
            moments.apply(&mut values);
        }
        Ok(Prepared {
            mel: Mel::new(values)?,
            shift_samples: self.shift_samples(),
            notes,
        })
    }

    /// Natural logarithms of the target's linear bands at the source's frames, `[n_mels of the target, frames of the source]`.
    fn log_bands(&self, mel: &Mel) -> Array2<f64> {
        let lowest = self.to.lowest_band();
        let mut bands = Array2::zeros((self.to.n_mels, mel.frames()));
        for (frame, mut column) in bands.columns_mut().into_iter().enumerate() {
            let magnitudes = self.at_bins(&self.envelope.of_frame(mel, frame));
            for ((first, weights), band) in self.filters.iter().zip(&mut column) {
                let inside = weights.iter().zip(&magnitudes[*first..]);
                let sum: f64 = inside.map(|(w, x)| f64::from(*w) * x).sum();
                *band = sum.max(lowest).ln();
            }
        }
        bands
    }

    /// A spectrum of the source at the bins of the target, as these count in its bands. Between bins along straight lines of the logarithm;
    /// above the source's highest bin as there.
    fn at_bins(&self, spectrum: &[f64]) -> Vec<f64> {
        let ln = |bin: usize| {
            spectrum[bin.min(spectrum.len() - 1)]
                .max(f64::MIN_POSITIVE)
                .ln()
        };
        self.bins
            .iter()
            .map(|(bin, share)| {
                let magnitude = match *share {
                    0.0 => spectrum[*bin],
                    share => (ln(*bin) * (1.0 - share) + ln(bin + 1) * share).exp(),
                };
                self.to.bin_magnitude((magnitude * self.gain).powi(2))
            })
            .collect()
    }
}

/// How much larger the magnitudes of one sound are under the window and at the rate of `to`. Those of a tone go with the length of the window in
/// samples, those of noise with the root of that and of the rate; speech is taken for half of each, which is the geometric mean.
fn window_gain(from: &MelConvention, to: &MelConvention) -> f64 {
    let tone = to.win_length as f64 / from.win_length as f64;
    let noise = (tone * f64::from(to.sample_rate) / f64::from(from.sample_rate)).sqrt();
    (tone * noise).sqrt()
}
