//! Which model takes a mel that another one has refused.

use super::layout::may_have_bands;
use super::{Conversion, Layout, MelConvention, MelError};

/// Whether a model of the convention `model` takes, by its number of bands or by its convention, the mel that a model of another convention
/// refused with this error. False for mels that are refused for other reasons.
pub fn takes_refused(model: &MelConvention, refusal: &MelError) -> bool {
    match refusal {
        MelError::Bands { expected, shape } => {
            *expected != model.n_mels && may_have_bands(shape, model.n_mels, Layout::Auto)
        }
        MelError::Incompatible { from, .. } | MelError::TooFar { from, .. } => {
            MelConvention::named(from).is_some_and(|from| Conversion::new(&from, model).is_ok())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mel::prepare;
    use crate::mel::testing::{mel_of, named};

    #[test]
    fn a_mel_is_taken_elsewhere_by_its_bands_or_its_convention() {
        let (hifigan, vocos) = (named("hifigan"), named("vocos24k"));
        let bands = prepare(mel_of(&vocos), &hifigan, &hifigan).unwrap_err();
        assert!(matches!(bands, MelError::Bands { .. }));
        assert!(takes_refused(&vocos, &bands) && !takes_refused(&hifigan, &bands));
        for name in ["vocos24k", "f5tts"] {
            let refusal = Conversion::new(&named(name), &hifigan).unwrap_err();
            assert!(takes_refused(&vocos, &refusal), "{name}");
            assert!(!takes_refused(&hifigan, &refusal), "{name}");
        }
        let refusal = Conversion::new(&named("bigvgan24k"), &hifigan).unwrap_err();
        assert!(!takes_refused(&vocos, &refusal));
        let constant = MelError::Constant {
            value: 0.0,
            convention: "hifigan".to_owned(),
            silence: -11.5,
        };
        assert!(!takes_refused(&vocos, &constant));
    }
}
