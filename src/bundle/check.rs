//! Whether the graphs have the inputs and outputs that the contract asks for.

use super::{BundleError, Manifest};
use crate::runtime::TensorInfo;

const CONDITIONER: &str = "conditioner.onnx";
const DENOISER: &str = "denoiser.onnx";
/// Most conditions a conditioner may give.
const MAX_CONDITIONS: usize = 64;

/// One output of the conditioner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The name of the input or output, the same in both graphs; it starts with `cond`.
    pub name: String,
    /// Sizes; `None` for the batch (the first) and the time axis.
    pub dims: Vec<Option<usize>>,
    /// Which axis is time: the only free one besides the batch.
    pub time_axis: usize,
}

/// What the inputs and outputs of a bundle's graphs say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The conditions in the order in which the conditioner gives them.
    pub conditions: Vec<Condition>,
}

impl Signature {
    /// Compares a conditioner, as (inputs, outputs), with the contract: `mel [B, n_mels, F]` -> `cond* [B, ..]`.
    ///
    /// # Errors
    /// [`BundleError::Interface`] for the first one that is missing, unknown or of another shape.
    pub fn of_conditioner(
        manifest: &Manifest,
        (inputs, outputs): (&[TensorInfo], &[TensorInfo]),
    ) -> Result<Signature, BundleError> {
        let mel = [None, Some(manifest.mel.n_mels), None];
        expect(CONDITIONER, "input", inputs, "mel", &mel)?;
        expect_no_others(CONDITIONER, "input", inputs, |name| name == "mel")?;
        if !(1..=MAX_CONDITIONS).contains(&outputs.len()) {
            return Err(wrong(
                CONDITIONER,
                format!("1 to {MAX_CONDITIONS} outputs named cond*"),
                list(outputs),
            ));
        }
        let conditions = outputs.iter().map(condition).collect::<Result<_, _>>()?;
        Ok(Signature { conditions })
    }

    /// Compares a denoiser, as (inputs, outputs), with the contract: `x [B, T]`, `t [B]`, every `cond*` of the conditioner ->
    /// `prediction [B, T]`.
    ///
    /// # Errors
    /// As [`Signature::of_conditioner`].
    pub fn check_denoiser(
        &self,
        (inputs, outputs): (&[TensorInfo], &[TensorInfo]),
    ) -> Result<(), BundleError> {
        let conditions = &self.conditions;
        let known = |name: &str| {
            ["x", "t"].contains(&name) || conditions.iter().any(|condition| condition.name == name)
        };
        expect(DENOISER, "input", inputs, "x", &[None, None])?;
        expect(DENOISER, "input", inputs, "t", &[None])?;
        for condition in conditions {
            expect(DENOISER, "input", inputs, &condition.name, &condition.dims)?;
        }
        expect_no_others(DENOISER, "input", inputs, known)?;
        expect(DENOISER, "output", outputs, "prediction", &[None, None])?;
        expect_no_others(DENOISER, "output", outputs, |name| name == "prediction")
    }
}

fn condition(info: &TensorInfo) -> Result<Condition, BundleError> {
    let free: Vec<usize> = (1..info.dims.len())
        .filter(|&axis| info.dims[axis].is_none())
        .collect();
    let fits = info.name.starts_with("cond")
        && info.dims.first() == Some(&None)
        && !info.dims.contains(&Some(0));
    match free[..] {
        [time_axis] if fits && is_float(info) => Ok(Condition {
            name: info.name.clone(),
            dims: info.dims.clone(),
            time_axis,
        }),
        _ => {
            let expected = "outputs named cond*, float32, with a free batch axis first and exactly one other free axis, time";
            Err(wrong(CONDITIONER, expected.to_owned(), describe(info)))
        }
    }
}

fn expect(
    file: &'static str,
    side: &str,
    infos: &[TensorInfo],
    name: &str,
    dims: &[Option<usize>],
) -> Result<(), BundleError> {
    let expected = || format!("{side} {name} float32 {}", shape(dims));
    match infos.iter().find(|info| info.name == name) {
        None => Err(wrong(file, expected(), list(infos))),
        // An input or output may leave free what the contract fixes, never the other way round.
        Some(info) => {
            let fits = info.dims.len() == dims.len()
                && info
                    .dims
                    .iter()
                    .zip(dims)
                    .all(|(found, dim)| found.is_none() || found == dim);
            if fits && is_float(info) {
                Ok(())
            } else {
                Err(wrong(file, expected(), describe(info)))
            }
        }
    }
}

fn expect_no_others(
    file: &'static str,
    side: &str,
    infos: &[TensorInfo],
    known: impl Fn(&str) -> bool,
) -> Result<(), BundleError> {
    match infos.iter().find(|info| !known(&info.name)) {
        None => Ok(()),
        Some(info) => Err(wrong(file, format!("no other {side}"), describe(info))),
    }
}

fn is_float(info: &TensorInfo) -> bool {
    info.ty == "float32"
}

fn wrong(file: &'static str, expected: String, found: String) -> BundleError {
    BundleError::Interface {
        file,
        expected,
        found,
    }
}

fn describe(info: &TensorInfo) -> String {
    format!("{} {} {}", info.name, info.ty, shape(&info.dims))
}

fn list(infos: &[TensorInfo]) -> String {
    match infos {
        [] => "none".to_owned(),
        _ => infos.iter().map(describe).collect::<Vec<_>>().join(", "),
    }
}

fn shape(dims: &[Option<usize>]) -> String {
    let words: Vec<String> = dims
        .iter()
        .map(|dim| dim.map_or("?".to_owned(), |size| size.to_string()))
        .collect();
    format!("[{}]", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;

    fn info(name: &str, dims: &[Option<usize>]) -> TensorInfo {
        TensorInfo {
            name: name.to_owned(),
            dims: dims.to_vec(),
            ty: "float32".to_owned(),
        }
    }

    struct Ports {
        mel: Vec<TensorInfo>,
        conds: Vec<TensorInfo>,
        inputs: Vec<TensorInfo>,
        outputs: Vec<TensorInfo>,
    }

    impl Ports {
        fn new() -> Ports {
            let conds = vec![
                info("cond", &[None, Some(16), None]),
                info("cond_fine", &[None, None, Some(6)]),
            ];
            let mut inputs = vec![info("x", &[None, None]), info("t", &[None])];
            inputs.extend(conds.clone());
            Ports {
                mel: vec![info("mel", &[None, Some(80), None])],
                conds,
                inputs,
                outputs: vec![info("prediction", &[None, None])],
            }
        }

        fn check(&self) -> Result<Signature, BundleError> {
            let manifest = Bundle::from_dir("tests/fixtures/tiny_flow".as_ref())
                .unwrap()
                .manifest;
            let signature = Signature::of_conditioner(&manifest, (&self.mel, &self.conds))?;
            signature.check_denoiser((&self.inputs, &self.outputs))?;
            Ok(signature)
        }
    }

    #[test]
    fn time_is_the_free_axis() {
        let signature = Ports::new().check().unwrap();
        assert_eq!(
            signature
                .conditions
                .iter()
                .map(|c| c.time_axis)
                .collect::<Vec<_>>(),
            [2, 1]
        );
    }

    #[test]
    fn every_departure_is_refused_with_both_sides() {
        type Case = (&'static str, fn(&mut Ports), &'static str);
        let cases: [Case; 9] = [
            (
                "bands",
                |p| p.mel[0].dims[1] = Some(100),
                "[?, 80, ?], found mel float32 [?, 100, ?]",
            ),
            (
                "mel name",
                |p| p.mel[0].name = "spec".into(),
                "expected input mel",
            ),
            ("no condition", |p| p.conds.clear(), "1 to 64 outputs"),
            (
                "condition name",
                |p| p.conds[0].name = "hidden".into(),
                "outputs named cond*",
            ),
            (
                "two free axes",
                |p| p.conds[0].dims[1] = None,
                "exactly one other free axis",
            ),
            (
                "fixed batch",
                |p| p.inputs[0].dims[0] = Some(1),
                "input x float32 [?, ?]",
            ),
            (
                "condition width",
                |p| p.inputs[2].dims[1] = Some(17),
                "input cond float32 [?, 16, ?], found cond float32 [?, 17, ?]",
            ),
            (
                "unknown input",
                |p| p.inputs.push(info("speaker", &[None])),
                "no other input, found speaker",
            ),
            (
                "double output",
                |p| p.outputs[0].ty = "float64".into(),
                "found prediction float64",
            ),
        ];
        for (case, change, words) in cases {
            let mut infos = Ports::new();
            change(&mut infos);
            let message = infos.check().unwrap_err().to_string();
            assert!(message.contains(words), "{case}: {message}");
        }
    }
}
