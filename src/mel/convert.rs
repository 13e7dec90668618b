//! From one convention to another, exactly; [`approximate`](super::approximate) has the other way.

use super::check::{Range, check_for};
use super::differences::mismatches;
use super::guess::Statistics;
use super::losses::is_taken;
use super::{Mel, MelConvention, MelError};

/// A mel that is ready for a model, and what the caller has to do about its frames.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The mel in the model's convention.
    pub mel: Mel,
    /// Samples of the synthesised audio to drop at its start. Half a hop where a centred mel feeds a hop-framed model: the model
    /// takes frame f for the sound around sample `f * hop + hop / 2`, but it holds the sound around `f * hop`, so the audio comes out
    /// half a hop late. Cut to `(frames - 1) * hop` samples it is then the original clip, for lengths that are a multiple of the hop.
    /// Negative in the opposite case: that much silence goes in front.
    pub shift_samples: i64,
    /// Remarks for the user; none of them is an error.
    pub notes: Vec<String>,
}

/// Checks `mel` against `from` and brings it to `to`.
///
/// # Errors
/// Those of [`Conversion::new`], and what [`check`](super::check()) finds.
pub fn prepare(mel: Mel, from: &MelConvention, to: &MelConvention) -> Result<Prepared, MelError> {
    Conversion::new(from, to)?.whole(mel)
}

/// The way from one convention to another, frame by frame.
///
/// The logarithm and its base, constant gain, floors, clipping and z-normalisation convert exactly (above the floor). Everything that
/// changes what a band or a frame measures does not, and is refused.
#[derive(Clone, Debug)]
pub struct Conversion {
    from: MelConvention,
    to: MelConvention,
    range: Range,
    shift_samples: i64,
    notes: Vec<String>,
}

impl Conversion {
    /// Looks for what stands in the way.
    ///
    /// # Errors
    /// [`MelError::Incompatible`] with every reason.
    pub fn new(from: &MelConvention, to: &MelConvention) -> Result<Conversion, MelError> {
        let reasons = mismatches(from, to);
        if !reasons.is_empty() {
            return Err(MelError::Incompatible {
                from: from.name.clone(),
                to: to.name.clone(),
                reasons,
                approximate: is_taken(from, to),
            });
        }
        let shift_samples = shift_samples(from, to);
        Ok(Conversion {
            range: Range::of(&from.before_moments(), to),
            shift_samples,
            notes: remarks(from, to, shift_samples),
            from: from.clone(),
            to: to.clone(),
        })
    }

    /// [`Prepared::shift_samples`].
    pub fn shift_samples(&self) -> i64 {
        self.shift_samples
    }

    /// Remarks for the user; none of them is an error.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Checks a whole mel and brings it to the other convention.
    ///
    /// # Errors
    /// What [`check`](super::check()) finds.
    pub fn whole(&self, mel: Mel) -> Result<Prepared, MelError> {
        let mut notes = check_for(&mel, &self.from, &self.to)?;
        notes.extend_from_slice(&self.notes);
        Ok(Prepared {
            mel: self.recompress(without_moments(mel, &self.from)?)?,
            shift_samples: self.shift_samples,
            notes,
        })
    }

    /// Brings a piece of a mel to the other convention. Of what [`check`](super::check()) looks for, a piece shows its range only.
    ///
    /// # Errors
    /// [`MelError::Bands`], [`MelError::OutOfRange`].
    pub fn apply(&self, piece: Mel) -> Result<Mel, MelError> {
        if piece.n_mels() != self.from.n_mels {
            return Err(MelError::Bands {
                expected: self.from.n_mels,
                shape: piece.view().shape().to_vec(),
            });
        }
        let piece = without_moments(piece, &self.from)?;
        self.range.admit(&piece, &Statistics::of(&piece))?;
        self.recompress(piece)
    }

    /// Every value through the inverse of one compression and into the other; never below the floor.
    fn recompress(&self, mel: Mel) -> Result<Mel, MelError> {
        let (from, to) = (&self.from, &self.to);
        let floor = to.floor_value();
        let mut values = mel.into_values();
        if same_values(from, to) {
            values.mapv_inplace(|v| v.max(floor));
        } else {
            values.mapv_inplace(|v| to.compress(from.expand(v)).max(floor));
        }
        if let Some(moments) = &to.compression.per_band {
            moments.apply(&mut values);
        }
        Mel::new(values)
    }
}

/// [`Prepared::shift_samples`] between conventions whose frames lie equally far apart.
pub(super) fn shift_samples(from: &MelConvention, to: &MelConvention) -> i64 {
    // In the samples of `to`, whose rate may be another.
    let placed = MelConvention {
        framing: from.framing,
        ..to.clone()
    };
    to.centre() as i64 - placed.centre() as i64
}

/// The values of a mel in `from` before each band was normalised by a mean and a deviation of its own.
pub(super) fn without_moments(mel: Mel, from: &MelConvention) -> Result<Mel, MelError> {
    let Some(moments) = &from.compression.per_band else {
        return Ok(mel);
    };
    let mut values = mel.into_values();
    moments.undo(&mut values);
    Mel::new(values)
}

fn remarks(from: &MelConvention, to: &MelConvention, shift_samples: i64) -> Vec<String> {
    let mut notes = Vec::new();
    if !same_values(from, to) && from.lowest_band() > 1.5 * to.lowest_band() {
        notes.push(format!(
            "`{}` keeps nothing below {:.0} dB; `{}` would, down to {:.0} dB",
            from.name,
            decibels(from),
            to.name,
            decibels(to)
        ));
    }
    if shift_samples != 0 {
        notes.push(format!(
            "frames of `{}` lie half a hop from those of `{}`: the audio is shifted by {} samples to make up for it",
            from.name,
            to.name,
            shift_samples.abs()
        ));
    }
    notes
}

fn decibels(convention: &MelConvention) -> f64 {
    20.0 / convention.power * convention.lowest_band().log10()
}

fn same_values(from: &MelConvention, to: &MelConvention) -> bool {
    from.before_moments().compression == to.before_moments().compression && from.gain == to.gain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mel::{Compression, FloorMode, LogKind, analyse};
    use ndarray::{Array2, Axis};

    fn named(name: &str) -> MelConvention {
        MelConvention::named(name).unwrap()
    }

    fn sound() -> Vec<f32> {
        let tone = |n: usize| (n as f32 * 0.05).sin() * (n as f32 / 9000.0).min(0.7);
        let hiss = |n: usize| ((n * 7919 % 1013) as f32 / 1013.0 - 0.5) * 0.02;
        (0..12_800)
            .map(|n| if n < 11_000 { tone(n) + hiss(n) } else { 0.0 })
            .collect()
    }

    fn with(change: impl FnOnce(&mut Compression)) -> MelConvention {
        let mut convention = named("hifigan");
        convention.name = "variant".to_owned();
        change(&mut convention.compression);
        convention
    }

    #[test]
    fn what_converts_exactly_equals_an_analysis_in_the_target() {
        let to = named("hifigan");
        let want = analyse(&sound(), &to).unwrap();
        let mut gained = with(|_| {});
        gained.gain = 1.0 / 384f64.sqrt();
        let cases = [
            with(|c| c.kind = LogKind::Log10),
            with(|c| c.kind = LogKind::Db),
            with(|c| c.floor = 1e-7),
            with(|c| (c.mean, c.std) = (-5.536622, 2.116101)),
            with(|c| (c.scale, c.offset) = (0.25, 2.0)),
            with(|c| c.floor_mode = FloorMode::Add),
            gained,
        ];
        for from in cases {
            let mel = analyse(&sound(), &from).unwrap();
            let got = prepare(mel, &from, &to).unwrap();
            assert_eq!(got.shift_samples, 0);
            // `gained` clamps at 1e-5 after its gain: below that it has nothing to convert.
            let lowest = from.lowest_band().ln() as f32 + 0.1;
            for (a, b) in got
                .mel
                .view()
                .iter()
                .zip(want.view())
                .filter(|(_, b)| **b > lowest)
            {
                assert!((a - b).abs() < 1e-3, "{from:?}: {a} for {b}");
            }
        }
    }

    #[test]
    fn a_coarser_floor_is_remarked_on() {
        let from = with(|c| c.floor = 1e-3);
        let notes = prepare(analyse(&sound(), &from).unwrap(), &from, &named("hifigan"))
            .unwrap()
            .notes;
        assert!(
            notes
                .iter()
                .any(|n| n.contains("-60 dB") && n.contains("-100 dB")),
            "{notes:?}"
        );
    }

    #[test]
    fn centred_frames_ask_for_half_a_hop() {
        let (centred, framed) = (named("tacotron2"), named("hifigan"));
        let mel = analyse(&sound(), &centred).unwrap();
        let prepared = prepare(mel.clone(), &centred, &framed).unwrap();
        assert_eq!(prepared.shift_samples, 128);
        assert_eq!(prepared.mel, mel);
        assert!(prepared.notes[0].contains("128 samples"));
        let back = prepare(mel.clone(), &framed, &centred).unwrap();
        assert_eq!(back.shift_samples, -128);
        assert_eq!(prepare(mel, &centred, &centred).unwrap().shift_samples, 0);
    }

    #[test]
    fn refuses_what_does_not_convert_and_says_every_reason() {
        let lmnt = named("lmnt");
        let error =
            prepare(analyse(&sound(), &lmnt).unwrap(), &lmnt, &named("hifigan")).unwrap_err();
        let message = error.to_string();
        for part in [
            "20 to 11025 Hz",
            "0 to 8000 Hz",
            "htk",
            "slaney",
            "none",
            "`model`",
            "again as `hifigan`",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        let mut squared = named("hifigan");
        squared.power = 2.0;
        let mel = analyse(&sound(), &squared).unwrap();
        assert!(
            prepare(mel, &squared, &named("hifigan"))
                .unwrap_err()
                .to_string()
                .contains("power")
        );
        let mut smeared = named("hifigan");
        smeared.magnitude_epsilon = 1e-4;
        let mel = analyse(&sound(), &smeared).unwrap();
        assert!(
            prepare(mel, &smeared, &named("hifigan"))
                .unwrap_err()
                .to_string()
                .contains("epsilon")
        );
    }

    #[test]
    fn pieces_convert_as_the_whole_does_and_are_held_to_the_range() {
        let (from, to) = (with(|c| c.kind = LogKind::Log10), named("hifigan"));
        let mel = analyse(&sound(), &from).unwrap();
        let conversion = Conversion::new(&from, &to).unwrap();
        let whole = prepare(mel.clone(), &from, &to).unwrap().mel;
        for (frame, expected) in whole.view().columns().into_iter().enumerate() {
            let piece = mel.view().column(frame).insert_axis(Axis(1)).to_owned();
            let piece = conversion.apply(Mel::new(piece).unwrap()).unwrap();
            assert_eq!(piece.view().column(0), expected);
        }
        let loud = Mel::new(Array2::from_elem((80, 1), 40.0)).unwrap();
        assert!(matches!(
            conversion.apply(loud),
            Err(MelError::OutOfRange { .. })
        ));
        let narrow = Mel::new(Array2::from_elem((79, 1), -3.0)).unwrap();
        assert!(matches!(
            conversion.apply(narrow),
            Err(MelError::Bands { .. })
        ));
    }

    #[test]
    fn values_below_the_floor_are_raised_to_it() {
        let convention = named("hifigan");
        let mut values = analyse(&sound(), &convention).unwrap().into_values();
        values[(3, 2)] = -12.5;
        let prepared = prepare(Mel::new(values).unwrap(), &convention, &convention).unwrap();
        assert_eq!(prepared.mel.view()[(3, 2)], convention.floor_value());
        assert!(
            prepared
                .notes
                .iter()
                .any(|n| n.contains("1 values lie below")),
            "{:?}",
            prepared.notes
        );
    }
}
