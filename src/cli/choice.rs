//! Which model takes a mel where none is named.
//!
//! The default one, unless another built-in model alone takes what the mel is said to be, or has the bands that it has.

use std::io::Read;

use super::args::{ModelArgs, load_bundle};
use super::error::CliError;
use super::jobs::{Job, Source};
use crate::bundle::{BuiltIn, Bundle};
use crate::mel::{
    Conversion, Layout, Mel, MelConvention, MelError, NpyLimits, may_have_bands, read_npy_by_shape,
};

/// A model, and why it is not the default one where nobody named it.
pub(super) struct Chosen {
    pub(super) bundle: Bundle,
    pub(super) why: Option<String>,
}

/// The model by the flags alone: the one that is named, or the built-in one that takes mels of `said`, which is what the mel's numbers are
/// said to mean; `None` where the bands of the mel decide. A mel that is to be taken approximately goes to the default model, which the losses
/// were measured with.
///
/// # Errors
/// A model that cannot be used.
pub(super) fn by_flags(
    model: &ModelArgs,
    said: Option<&MelConvention>,
    approximate: bool,
) -> Result<Option<Chosen>, CliError> {
    if model.model.is_some() || approximate {
        let (bundle, why) = (load_bundle(model)?, None);
        return Ok(Some(Chosen { bundle, why }));
    }
    let Some(said) = said else {
        return Ok(None);
    };
    let default = BuiltIn::default_model();
    let usual = Conversion::new(said, &default.mel()?).is_ok();
    Ok(Some(match BuiltIn::taking(said) {
        Some(other) if !usual => Chosen {
            bundle: other.load()?,
            why: Some(format!(
                "`{}` mels are taken by the built-in model {}, which is used; `model` names another",
                said.name,
                other.name()
            )),
        },
        _ => Chosen {
            bundle: default.load()?,
            why: None,
        },
    }))
}

/// A mel that is read for the model that its shape speaks for.
pub(super) struct Shaped {
    model: &'static BuiltIn,
    /// The mel in that model's bands, or why it cannot be had.
    pub(super) mel: Result<Mel, MelError>,
}

impl Shaped {
    /// Reads a mel. Where its shape cannot be told, the default model stands.
    pub(super) fn read(reader: impl Read, layout: Layout) -> Shaped {
        let mut model = BuiltIn::default_model();
        let bands = |shape: &[usize]| {
            let takes = |own: &MelConvention| may_have_bands(shape, own.n_mels, layout);
            model = BuiltIn::only(takes).unwrap_or(model);
            model.mel().ok().map(|own| own.n_mels)
        };
        let mel = read_npy_by_shape(reader, bands, layout, &NpyLimits::default());
        Shaped { model, mel }
    }

    /// The model for it. `label` is the mel's name in messages.
    ///
    /// # Errors
    /// Only if the binary was built from a broken model.
    pub(super) fn chosen(&self, label: &str) -> Result<Chosen, CliError> {
        let bundle = self.model.load()?;
        let is_default = self.model.name() == BuiltIn::default_model().name();
        let own = &bundle.manifest.mel;
        let why = (!is_default).then(|| {
            format!(
                "{label} has {} bands, which the built-in model {} takes: it is used, for a `{}` mel; `model` and `mel_convention` say otherwise",
                own.n_mels,
                self.model.name(),
                own.name
            )
        });
        Ok(Chosen { bundle, why })
    }
}

/// The model for many mels: the first one that a built-in model takes speaks for all. Standard input is left alone, as it can be read only once.
///
/// # Errors
/// Only if the binary was built from a broken model.
pub(super) fn for_many(jobs: &[Job], layout: Layout) -> Result<Chosen, CliError> {
    let files = jobs.iter().filter(|job| job.source != Source::Stdin);
    let taken = files
        .filter_map(|job| {
            let shaped = Shaped::read(job.source.open().ok()?, layout);
            shaped.mel.is_ok().then_some((shaped, job.source.label()))
        })
        .next();
    match taken {
        Some((shaped, label)) => shaped.chosen(&label),
        None => Ok(Chosen {
            bundle: BuiltIn::default_model().load()?,
            why: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mel::write_npy;
    use ndarray::Array2;

    fn by_convention(name: &str, model: Option<&str>, approximate: bool) -> (String, bool) {
        let model = ModelArgs {
            model: model.map(Into::into),
        };
        let said = MelConvention::named(name).unwrap();
        let chosen = by_flags(&model, Some(&said), approximate).unwrap();
        let chosen = chosen.expect("the convention decides");
        (chosen.bundle.manifest.name, chosen.why.is_some())
    }

    #[test]
    fn a_convention_is_taken_by_the_model_that_takes_it_exactly() {
        let default = || ("default".to_owned(), false);
        for name in ["hifigan", "tacotron2", "matcha", "espnet", "bigvgan24k"] {
            assert_eq!(by_convention(name, None, false), default(), "{name}");
        }
        for name in ["vocos24k", "f5tts"] {
            let other = ("vocos24k".to_owned(), true);
            assert_eq!(by_convention(name, None, false), other, "{name}");
            assert_eq!(by_convention(name, None, true), default(), "{name}");
            let named = by_convention(name, Some("default"), false);
            assert_eq!(named, default(), "{name}");
        }
    }

    fn by_shape(shape: (usize, usize), layout: Layout) -> (&'static str, bool) {
        let mel = Mel::new(Array2::zeros(shape)).unwrap();
        let mut bytes = Vec::new();
        write_npy(&mut bytes, &mel).unwrap();
        let shaped = Shaped::read(&bytes[..], layout);
        let why = shaped.chosen("a.npy").unwrap().why;
        assert_eq!(why.is_some(), shaped.model.name() != "default");
        (shaped.model.name(), shaped.mel.is_ok())
    }

    #[test]
    fn bands_speak_for_the_only_model_that_has_them() {
        let auto = Layout::Auto;
        assert_eq!(by_shape((80, 45), auto), ("default", true));
        assert_eq!(by_shape((100, 45), auto), ("vocos24k", true));
        assert_eq!(by_shape((45, 100), auto), ("vocos24k", true));
        assert_eq!(by_shape((128, 45), auto), ("default", false));
        // Both sides are somebody's bands.
        assert_eq!(by_shape((100, 80), auto), ("default", true));
        assert_eq!(by_shape((100, 80), Layout::BandsFirst), ("vocos24k", true));
        assert_eq!(by_shape((80, 100), Layout::FramesFirst), ("vocos24k", true));
    }
}
