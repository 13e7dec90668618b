//! The models in the binary.

use std::borrow::Cow;
use std::path::Path;
use std::sync::OnceLock;

use serde::Deserialize;

use super::{Bundle, BundleError, Manifest};
use crate::mel::{Conversion, MelConvention, MelError, takes_refused};
use crate::text::toml_reason;

/// A model that is built into the binary: the files of its bundle.
#[derive(Debug)]
pub struct BuiltIn {
    name: &'static str,
    manifest: &'static str,
    conditioner: &'static [u8],
    denoiser: &'static [u8],
    denoiser_int8: &'static [u8],
    /// Read once: a start asks for it several times.
    mel: OnceLock<MelConvention>,
}

/// The files of `models/NAME`.
macro_rules! files {
    ($name:literal) => {
        BuiltIn {
            name: $name,
            manifest: include_str!(concat!("../../models/", $name, "/bundle.toml")),
            conditioner: include_bytes!(concat!("../../models/", $name, "/conditioner.onnx")),
            denoiser: include_bytes!(concat!("../../models/", $name, "/denoiser.onnx")),
            denoiser_int8: include_bytes!(concat!("../../models/", $name, "/denoiser.int8.onnx")),
            mel: OnceLock::new(),
        }
    };
}

static DEFAULT: BuiltIn = files!("default");
static VOCOS24K: BuiltIn = files!("vocos24k");
static ALL: [&BuiltIn; 2] = [&DEFAULT, &VOCOS24K];

/// What is read of a manifest where only the mel matters.
#[derive(Deserialize)]
struct MelTable {
    mel: MelConvention,
}

impl BuiltIn {
    /// All of them, the default one first.
    pub fn all() -> &'static [&'static BuiltIn] {
        &ALL
    }

    /// The one that is used where none is named.
    pub fn default_model() -> &'static BuiltIn {
        &DEFAULT
    }

    /// The one that `model` names: its name alone, without a separator of paths.
    pub fn named(model: impl AsRef<Path>) -> Option<&'static BuiltIn> {
        let word = model.as_ref().as_os_str();
        ALL.into_iter().find(|one| word == one.name)
    }

    /// The names of all, the default one first.
    pub fn names() -> Vec<&'static str> {
        ALL.iter().map(|one| one.name).collect()
    }

    /// Its name, which is that of its manifest too.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Bytes that its files take, in the binary and in a folder.
    pub fn bytes(&self) -> usize {
        let graphs = [self.conditioner, self.denoiser, self.denoiser_int8];
        self.manifest.len() + graphs.map(<[u8]>::len).iter().sum::<usize>()
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// Only if the binary was built from a broken model.
    pub fn manifest(&self) -> Result<Manifest, BundleError> {
        Manifest::from_toml(self.manifest)
    }

    /// The mel convention that it takes, read without the rest of the manifest.
    ///
    /// # Errors
    /// Only if the binary was built from a broken model.
    pub fn mel(&self) -> Result<MelConvention, BundleError> {
        if let Some(mel) = self.mel.get() {
            return Ok(mel.clone());
        }
        let table: MelTable =
            toml::from_str(self.manifest).map_err(|error| BundleError::Syntax {
                reason: toml_reason(&error, self.manifest),
            })?;
        Ok(self.mel.get_or_init(|| table.mel).clone())
    }

    /// The whole of it.
    ///
    /// # Errors
    /// Only if the binary was built from a broken model.
    pub fn load(&self) -> Result<Bundle, BundleError> {
        Bundle::from_bytes(
            self.manifest.as_bytes(),
            Cow::Borrowed(self.conditioner),
            Cow::Borrowed(self.denoiser),
        )?
        .with_int8(Cow::Borrowed(self.denoiser_int8))
    }

    /// The only one that takes mels of `convention` exactly; `None` where none does, or several do.
    pub fn taking(convention: &MelConvention) -> Option<&'static BuiltIn> {
        BuiltIn::only(|own| Conversion::new(convention, own).is_ok())
    }

    /// The only one that takes the mel that another model has refused with this error; `None` where none does, or several do.
    pub fn taking_refused(refusal: &MelError) -> Option<&'static BuiltIn> {
        BuiltIn::only(|own| takes_refused(own, refusal))
    }

    /// The only one whose mel convention passes.
    pub fn only(takes: impl Fn(&MelConvention) -> bool) -> Option<&'static BuiltIn> {
        let passes = |one: &&BuiltIn| one.mel().is_ok_and(|own| takes(&own));
        let mut found = ALL.into_iter().filter(passes);
        found.next().filter(|_| found.next().is_none())
    }
}

impl Bundle {
    /// The default model, built into the binary.
    ///
    /// # Errors
    /// Only if the binary was built from a broken `models/default`.
    pub fn embedded() -> Result<Bundle, BundleError> {
        DEFAULT.load()
    }

    /// The built-in model of that name.
    ///
    /// # Errors
    /// [`BundleError::UnknownName`] with the names that there are.
    pub fn built_in(name: &str) -> Result<Bundle, BundleError> {
        match BuiltIn::named(name) {
            Some(model) => model.load(),
            None => Err(BundleError::UnknownName {
                name: name.into(),
                known: BuiltIn::names(),
            }),
        }
    }

    /// The model that a user names: one that is built in by its name, or the folder of another. The name wins; a folder that is called so is
    /// named with a separator, as in `./default`.
    ///
    /// # Errors
    /// [`BundleError::UnknownName`] for a word that is neither, and those of [`Bundle::from_dir`].
    pub fn open(model: impl AsRef<Path>) -> Result<Bundle, BundleError> {
        let model = model.as_ref();
        if let Some(built_in) = BuiltIn::named(model) {
            return built_in.load();
        }
        let is_word = model.file_name() == Some(model.as_os_str());
        if is_word && !model.exists() {
            return Err(BundleError::UnknownName {
                name: model.to_owned(),
                known: BuiltIn::names(),
            });
        }
        Bundle::from_dir(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mel::{Layout, NpyLimits, read_npy};

    #[test]
    fn every_built_in_model_is_whole_and_called_as_its_manifest_says() {
        for one in BuiltIn::all() {
            let bundle = one.load().unwrap();
            assert_eq!(bundle.manifest.name, one.name());
            assert_eq!(bundle.manifest, one.manifest().unwrap());
            assert_eq!(bundle.manifest.mel, one.mel().unwrap());
            assert!(bundle.denoiser_int8.is_some());
            let graphs = bundle.conditioner.len() + bundle.denoiser.len();
            assert!(one.bytes() > graphs && one.bytes() < 3 * graphs);
        }
        assert_eq!(BuiltIn::names(), ["default", "vocos24k"]);
        assert_eq!(Bundle::embedded().unwrap().manifest.name, "default");
        assert_eq!(
            Bundle::built_in("vocos24k").unwrap().manifest.name,
            "vocos24k"
        );
    }

    #[test]
    fn a_name_is_a_built_in_model_and_a_path_is_a_folder() {
        let name = |model: &str| Bundle::open(model).unwrap().manifest.name;
        assert_eq!(
            (name("default"), name("vocos24k")),
            ("default".into(), "vocos24k".into())
        );
        assert_eq!(name("tests/fixtures/tiny_flow"), "tiny-flow");
        for path in ["./vocos24k", "vocos24k/"] {
            assert!(BuiltIn::named(path).is_none(), "{path}");
            let error = Bundle::open(path).unwrap_err();
            assert!(matches!(error, BundleError::NotAFolder { .. }), "{path}");
        }
        let message = Bundle::open("vocos").unwrap_err().to_string();
        assert!(message.contains("default, vocos24k"), "{message}");
        let message = Bundle::built_in("x\ny").unwrap_err().to_string();
        assert!(!message.contains('\n'), "{message}");
        // A file is there, and is no folder.
        let error = Bundle::open("Cargo.toml").unwrap_err();
        assert!(matches!(error, BundleError::NotAFolder { .. }));
    }

    #[test]
    fn the_model_that_takes_a_convention_or_a_refused_mel_is_found() {
        let taking = |name: &str| {
            let convention = MelConvention::named(name).unwrap();
            BuiltIn::taking(&convention).map(BuiltIn::name)
        };
        for (convention, model) in [
            ("hifigan", Some("default")),
            ("tacotron2", Some("default")),
            ("vocos24k", Some("vocos24k")),
            ("f5tts", Some("vocos24k")),
            ("bigvgan24k", None),
        ] {
            assert_eq!(taking(convention), model, "{convention}");
        }
        let file = || std::fs::File::open("models/demo/demo.npy").unwrap();
        let limits = NpyLimits::default();
        let refusal = read_npy(file(), Some(100), Layout::Auto, &limits).unwrap_err();
        let found = BuiltIn::taking_refused(&refusal);
        assert_eq!(found.map(BuiltIn::name), Some("default"));
    }
}
