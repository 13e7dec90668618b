//! From one convention to another: exactly, or not at all.

use super::check::check;
use super::{FilterNorm, Framing, Mel, MelConvention, MelError, MelScale};

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
/// The logarithm and its base, constant gain, floors, clipping and z-normalisation convert exactly (above the floor). Everything that
/// changes what a band or a frame measures does not, and is refused.
///
/// # Errors
/// What [`check`] finds, and [`MelError::Incompatible`] with every reason.
pub fn prepare(mel: Mel, from: &MelConvention, to: &MelConvention) -> Result<Prepared, MelError> {
    let mut notes = check(&mel, from)?;
    let reasons = obstacles(from, to);
    if !reasons.is_empty() {
        return Err(MelError::Incompatible {
            from: from.name.clone(),
            to: to.name.clone(),
            reasons,
        });
    }
    if !same_values(from, to) && from.lowest_band() > 1.5 * to.lowest_band() {
        notes.push(format!(
            "`{}` keeps nothing below {:.0} dB; `{}` would, down to {:.0} dB",
            from.name,
            decibels(from),
            to.name,
            decibels(to)
        ));
    }
    let half = (to.hop / 2) as i64;
    let shift_samples = match (from.framing, to.framing) {
        (Framing::Center, Framing::Hop) => half,
        (Framing::Hop, Framing::Center) => -half,
        _ => 0,
    };
    if shift_samples != 0 {
        notes.push(format!(
            "frames of `{}` lie half a hop from those of `{}`: the audio is shifted by {} samples to make up for it",
            from.name,
            to.name,
            shift_samples.abs()
        ));
    }
    Ok(Prepared {
        mel: recompress(mel, from, to)?,
        shift_samples,
        notes,
    })
}

fn decibels(convention: &MelConvention) -> f64 {
    20.0 / convention.power * convention.lowest_band().log10()
}

/// Every value through the inverse of one compression and into the other; never below the floor.
fn recompress(mel: Mel, from: &MelConvention, to: &MelConvention) -> Result<Mel, MelError> {
    let mut values = mel.into_values();
    if same_values(from, to) {
        let floor = to.floor_value();
        values.mapv_inplace(|v| v.max(floor));
    } else {
        values.mapv_inplace(|v| to.compress(from.expand(v)).max(to.floor_value()));
    }
    Mel::new(values)
}

fn same_values(from: &MelConvention, to: &MelConvention) -> bool {
    from.compression == to.compression && from.gain == to.gain
}

/// Every difference that has no exact conversion, in words.
fn obstacles(from: &MelConvention, to: &MelConvention) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut differ = |what: &str, a: String, b: String| {
        if a != b {
            reasons.push(format!("{what} is {a}, expected {b}"));
        }
    };
    let hertz = |x: f64| format!("{x} Hz");
    let samples = |x: usize| format!("{x} samples");
    differ(
        "sample rate",
        hertz(from.sample_rate.into()),
        hertz(to.sample_rate.into()),
    );
    differ("hop", samples(from.hop), samples(to.hop));
    differ("n_fft", samples(from.n_fft), samples(to.n_fft));
    differ("window", samples(from.win_length), samples(to.win_length));
    differ("band count", from.n_mels.to_string(), to.n_mels.to_string());
    let range = |c: &MelConvention| format!("{} to {} Hz", c.f_min, c.f_max);
    differ("frequency range", range(from), range(to));
    let scale = |c: &MelConvention| match c.scale {
        MelScale::Slaney => "slaney".to_owned(),
        MelScale::Htk => "htk".to_owned(),
    };
    differ("mel scale", scale(from), scale(to));
    let norm = |c: &MelConvention| match c.norm {
        FilterNorm::Slaney => "slaney".to_owned(),
        FilterNorm::None => "none".to_owned(),
    };
    differ("filter norm", norm(from), norm(to));
    let power = |c: &MelConvention| if c.power == 2.0 { "power" } else { "magnitude" }.to_owned();
    differ("spectrum", power(from), power(to));
    if reasons.is_empty() && epsilon_matters(from, to) {
        reasons.push(format!(
            "magnitude_epsilon is {:e}, expected {:e}",
            from.magnitude_epsilon, to.magnitude_epsilon
        ));
    }
    reasons
}

/// Whether the constants under the root differ by more than the floors hide.
fn epsilon_matters(from: &MelConvention, to: &MelConvention) -> bool {
    let larger = from.magnitude_epsilon.max(to.magnitude_epsilon);
    let level = larger.powf(from.power / 2.0) * from.widest_band();
    from.magnitude_epsilon != to.magnitude_epsilon
        && level > from.lowest_band().max(to.lowest_band())
}
