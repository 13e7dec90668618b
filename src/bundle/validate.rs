//! The ranges of everything in a manifest.

use super::manifest::{Betas, Domain, Hashes, ProcessKind};
use super::{BundleError, Manifest};
use crate::diffusion::{self, DiffusionError, Plan, Schedule};
use crate::dsp::consistency::MAX_PASSES;
use crate::dsp::{ConsistencyFilter, EnvelopeFilter};
use crate::mel::MelError;
use crate::text::quoted;
use std::fmt::Display;

/// Most frames of context; more than any network's, few enough to allocate.
const MAX_CONTEXT: usize = 1024;
/// Most noise levels of a training table.
const MAX_BETAS: usize = 100_000;
/// Most named schedules.
const MAX_SCHEDULES: usize = 64;
/// Longest name or version.
const MAX_NAME: usize = 64;
/// Longest text.
const MAX_TEXT: usize = 4096;

impl Manifest {
    /// Checks every field; [`Manifest::from_toml`] has done so.
    ///
    /// # Errors
    /// The first field found outside its range.
    pub fn validate(&self) -> Result<(), BundleError> {
        self.check_texts()?;
        self.mel.validate().map_err(BundleError::Mel)?;
        if self.mel.compression.per_band.is_some() {
            return Err(BundleError::Mel(MelError::ConventionField {
                name: self.mel.name.clone(),
                field: "compression.mean",
                expected: "a number: a model takes mels of one scale in all bands".to_owned(),
                found: "a list".to_owned(),
            }));
        }
        self.check_betas()?;
        self.check_context()?;
        self.check_envelope()?;
        self.check_consistency()?;
        self.check_schedules()?;
        let sharpening = self.sharpening.unwrap_or_default().check();
        sharpening.map_err(BundleError::Mel)?;
        check_hashes(&self.sha256)
    }

    /// Plans a run of `schedule`, clamp included.
    ///
    /// # Errors
    /// Any reason of [`diffusion::plan`].
    pub fn plan(&self, schedule: &Schedule) -> Result<Plan, DiffusionError> {
        diffusion::plan(&self.process(), self.diffusion.prediction, schedule)?
            .with_clamp(self.diffusion.clamp)
    }

    /// Passes of mel consistency after a run of `schedule`.
    ///
    /// # Errors
    /// [`DiffusionError::Passes`] for a number out of its range, or for any where the model has no `[consistency]`.
    pub fn passes(&self, schedule: &Schedule) -> Result<usize, DiffusionError> {
        let refuse = |expected: String, found| Err(DiffusionError::Passes { expected, found });
        match (schedule.passes, &self.consistency) {
            (None, own) => Ok(own.as_ref().map_or(0, |own| own.passes)),
            (Some(found), None) => refuse("none: the model has no [consistency]".into(), found),
            (Some(found), _) if !(1..=MAX_PASSES).contains(&found) => {
                refuse(format!("1 to {MAX_PASSES}"), found)
            }
            (Some(passes), Some(_)) => Ok(passes),
        }
    }

    fn check_texts(&self) -> Result<(), BundleError> {
        for (field, text) in [("name", &self.name), ("version", &self.version)] {
            check_name(field, text)?;
        }
        for (field, text) in [
            ("licence", &self.licence),
            ("description", &self.description),
            ("training_data", &self.training_data),
        ] {
            if text.len() > MAX_TEXT || text.chars().any(|c| c.is_control() && c != '\n') {
                return Err(wrong(
                    field,
                    format!("at most {MAX_TEXT} bytes of plain text"),
                    format!("{} bytes", text.len()),
                ));
            }
        }
        Ok(())
    }

    fn check_betas(&self) -> Result<(), BundleError> {
        let field = "diffusion.betas";
        match (self.diffusion.process, &self.diffusion.betas) {
            (ProcessKind::Flow, None) => Ok(()),
            (ProcessKind::Flow, Some(_)) => {
                Err(wrong(field, "no betas with process = \"flow\"", "given"))
            }
            (ProcessKind::Ddpm, None) => Err(wrong(
                field,
                "the training betas with process = \"ddpm\"",
                "missing",
            )),
            (ProcessKind::Ddpm, Some(betas)) => {
                let found = match betas {
                    Betas::Linear(table) => table.steps,
                    Betas::Cosine(table) => table.cosine,
                    Betas::List(list) => list.len(),
                };
                in_range(field, "steps", found, 1, MAX_BETAS)
            }
        }
    }

    fn check_context(&self) -> Result<(), BundleError> {
        in_range(
            "context.denoiser",
            "frames",
            self.context.denoiser,
            0,
            MAX_CONTEXT,
        )?;
        in_range(
            "context.conditioner",
            "frames",
            self.context.conditioner,
            0,
            MAX_CONTEXT,
        )
    }

    fn check_envelope(&self) -> Result<(), BundleError> {
        match (self.diffusion.domain, &self.envelope) {
            (Domain::Waveform, None) => Ok(()),
            (Domain::Waveform, Some(_)) => Err(wrong(
                "[envelope]",
                "no envelope with domain = \"waveform\"",
                "given",
            )),
            (Domain::Excitation, None) => Err(wrong(
                "[envelope]",
                "the envelope's parameters with domain = \"excitation\"",
                "missing",
            )),
            (Domain::Excitation, Some(envelope)) => EnvelopeFilter::new(&self.mel, envelope)
                .map(drop)
                .map_err(BundleError::Envelope),
        }
    }

    fn check_consistency(&self) -> Result<(), BundleError> {
        let parameters = self.consistency.as_ref();
        let filter = parameters.map(|parameters| ConsistencyFilter::new(&self.mel, parameters));
        filter
            .transpose()
            .map(drop)
            .map_err(BundleError::Consistency)
    }

    fn check_schedules(&self) -> Result<(), BundleError> {
        let named = &self.schedules.named;
        in_range(
            "schedules.named",
            "schedules",
            named.len(),
            1,
            MAX_SCHEDULES,
        )?;
        for name in named.keys() {
            check_name("the name of a schedule", name)?;
        }
        if !named.contains_key(&self.schedules.default) {
            let names: Vec<_> = named.keys().map(String::as_str).collect();
            return Err(wrong(
                "schedules.default",
                format!("one of {}", names.join(", ")),
                quoted(&self.schedules.default),
            ));
        }
        for (name, spec) in named {
            spec.schedule()
                .and_then(|schedule| self.plan(&schedule).and(self.passes(&schedule)))
                .map_err(|source| BundleError::Schedule {
                    name: name.clone(),
                    source,
                })?;
        }
        Ok(())
    }
}

fn check_hashes(hashes: &Hashes) -> Result<(), BundleError> {
    let all = [
        ("sha256.conditioner", Some(&hashes.conditioner)),
        ("sha256.denoiser", Some(&hashes.denoiser)),
        ("sha256.denoiser_int8", hashes.denoiser_int8.as_ref()),
    ];
    for (field, hash) in all {
        let Some(hash) = hash else { continue };
        let digits = hash
            .bytes()
            .all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
        if hash.len() != 64 || !digits {
            return Err(wrong(
                field,
                "64 hexadecimal digits in lower case",
                quoted(hash),
            ));
        }
    }
    Ok(())
}

fn check_name(field: &str, text: &str) -> Result<(), BundleError> {
    let plain = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
    match plain && (1..=MAX_NAME).contains(&text.len()) {
        true => Ok(()),
        false => Err(wrong(
            field,
            format!("1 to {MAX_NAME} letters, digits, dots, dashes or underscores"),
            quoted(text),
        )),
    }
}

fn in_range(
    field: &str,
    unit: &str,
    found: usize,
    low: usize,
    high: usize,
) -> Result<(), BundleError> {
    match (low..=high).contains(&found) {
        true => Ok(()),
        false => Err(wrong(field, format!("{low} to {high} {unit}"), found)),
    }
}

fn wrong(field: &str, expected: impl Display, found: impl Display) -> BundleError {
    BundleError::Field {
        field: field.to_owned(),
        expected: expected.to_string(),
        found: found.to_string(),
    }
}
