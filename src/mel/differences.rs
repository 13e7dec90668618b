//! What stands between two conventions.

use super::{FilterNorm, MelConvention, MelScale};

/// Every difference that has no exact conversion, in words.
pub(super) fn mismatches(from: &MelConvention, to: &MelConvention) -> Vec<String> {
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
