//! One graph, ready to run.

use std::borrow::Cow;
use std::fmt;

use ndarray::{ArrayD, ArrayViewD};
use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;

use super::clock::Clock;
use super::machine::ThisMachine;
use super::source::GraphSource;
use super::tensor_info::{TensorInfo, tensor_infos};
use crate::runtime::environment::Runtime;
use crate::runtime::error::RuntimeError;
use crate::runtime::provider::{
    Chosen, FallbackReason, Placement, Profile, SessionOptions, choose,
};
use crate::runtime::provider_name::Provider;

/// A loaded graph with `f32` inputs and outputs.
///
/// Shapes may change from call to call: the memory pattern, which plans the buffers of one fixed shape, is off.
/// Threads without work sleep at once: spinning takes a processor from whatever else runs, and where one of two processors was busy
/// it made a synthesis on two threads take twice as long (1.83 s for 10 s of audio, 0.87 s without).
pub struct Graph {
    pub(super) session: Session,
    pub(super) label: String,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    pub(super) provider: Provider,
    /// The GPU's number.
    pub(super) device: u32,
    /// The only shapes that it is given, where they are planned.
    planned: Option<Profile>,
    pub(super) clock: Clock,
    placement: Placement,
    fallbacks: Vec<(Provider, FallbackReason)>,
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph")
            .field("label", &self.label)
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

impl Graph {
    /// Loads the ONNX model in `bytes`. `label` names it in messages.
    ///
    /// # Errors
    /// As [`Graph::load`].
    pub fn from_bytes(
        runtime: &Runtime,
        bytes: &[u8],
        label: &str,
        options: &SessionOptions,
    ) -> Result<Graph, RuntimeError> {
        let source = GraphSource {
            bytes,
            label,
            profile: None,
            fallbacks: &[],
            clock: &Clock::default(),
        };
        Graph::load(runtime, &source, options)
    }

    /// Loads a graph.
    ///
    /// # Errors
    /// [`RuntimeError::Threads`], [`RuntimeError::Setting`], [`RuntimeError::ProviderUnavailable`] when the provider asked for by name
    /// cannot run the whole graph, [`RuntimeError::Graph`] when the model is refused or has an input or output that is no `f32` tensor.
    pub fn load(
        runtime: &Runtime,
        source: &GraphSource<'_>,
        options: &SessionOptions,
    ) -> Result<Graph, RuntimeError> {
        options.check()?;
        let mut machine = ThisMachine {
            runtime,
            source,
            options,
        };
        let label = source.label;
        let Chosen {
            session,
            provider,
            placement,
            fallbacks,
        } = choose(&mut machine, options.provider, label, source.fallbacks)?;
        let is_planned = options.planned_sizes || provider != Provider::Cpu;
        Ok(Graph {
            inputs: tensor_infos(session.inputs(), label)?,
            outputs: tensor_infos(session.outputs(), label)?,
            session,
            label: label.to_owned(),
            provider,
            device: options.gpu.device,
            planned: source.profile.filter(|_| is_planned).cloned(),
            clock: source.clock.clone(),
            placement,
            fallbacks,
        })
    }

    /// Its name in messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The inputs, in the graph's order.
    pub fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    /// The outputs, in the order that [`Graph::run`] returns them.
    pub fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    /// The provider that runs the graph, never `auto`. All nodes are its own, see [`Graph::placement`].
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Where the nodes run, as the session itself tells.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// What `auto` would have taken before, and why it did not.
    pub fn fallbacks(&self) -> &[(Provider, FallbackReason)] {
        &self.fallbacks
    }

    /// Why `auto` took nothing faster: the first reason against the provider that came nearest. `None` where nothing faster is expected: on
    /// a machine without a GPU and without a library made for one.
    pub fn provider_note(&self) -> Option<&str> {
        let (_, reason) = self.fallbacks.last()?;
        if !self.fallbacks.iter().any(|(_, reason)| reason.expected) {
            return None;
        }
        reason.reasons.first().map(String::as_str)
    }

    /// Runs the graph once. `inputs` are named and may come in any order; every input of the graph is needed.
    ///
    /// # Errors
    /// [`RuntimeError::Inputs`] and [`RuntimeError::Shape`] when the inputs are not the graph's, [`RuntimeError::Run`]
    /// when ONNX Runtime fails.
    pub fn run(
        &mut self,
        inputs: &[(&str, ArrayViewD<'_, f32>)],
    ) -> Result<Vec<ArrayD<f32>>, RuntimeError> {
        self.check(inputs)?;
        let label = &self.label;
        let failed = |error: ort::Error| RuntimeError::run(label, error);
        let arrays: Vec<_> = inputs
            .iter()
            .map(|(_, array)| array.as_standard_layout())
            .collect();
        let values = inputs
            .iter()
            .zip(&arrays)
            .map(|((name, _), array)| {
                Ok((
                    Cow::from(*name),
                    TensorRef::from_array_view(array.view())?.into(),
                ))
            })
            .collect::<Result<Vec<(Cow<'_, str>, SessionInputValue<'_>)>, ort::Error>>()
            .map_err(failed)?;
        let session = &mut self.session;
        let run = || session.run(values);
        let outputs = self.clock.during(run).map_err(failed)?;
        outputs
            .values()
            .map(|value| Ok(value.try_extract_array::<f32>()?.into_owned()))
            .collect::<Result<Vec<_>, ort::Error>>()
            .map_err(failed)
    }

    fn check(&self, given: &[(&str, ArrayViewD<'_, f32>)]) -> Result<(), RuntimeError> {
        let complete = given.len() == self.inputs.len()
            && self
                .inputs
                .iter()
                .all(|info| given.iter().any(|(name, _)| *name == info.name));
        if !complete {
            let expected: Vec<_> = self.inputs.iter().map(|info| info.name.as_str()).collect();
            let found: Vec<_> = given.iter().map(|(name, _)| *name).collect();
            return Err(RuntimeError::Inputs {
                label: self.label.clone(),
                expected: expected.join(", "),
                found: found.join(", "),
            });
        }
        for (name, array) in given {
            let Some(info) = self.inputs.iter().find(|info| info.name == *name) else {
                continue;
            };
            if !info.takes(array.shape()) {
                return Err(RuntimeError::Shape {
                    label: self.label.clone(),
                    input: info.name.clone(),
                    expected: info.shape(),
                    found: array.shape().to_vec(),
                });
            }
            self.check_planned(name, array.shape())?;
        }
        Ok(())
    }

    /// Refuses a shape for which nothing was planned: an engine would be built for it, or refuse it, while somebody waits.
    pub(super) fn check_planned(&self, name: &str, shape: &[usize]) -> Result<(), RuntimeError> {
        let inputs = self.planned.iter().flat_map(|profile| &profile.inputs);
        for input in inputs.filter(|input| input.name == name) {
            if !input.holds(shape) {
                return Err(RuntimeError::Shape {
                    label: self.label.clone(),
                    input: name.to_owned(),
                    expected: format!("{:?} to {:?}, as planned", input.least, input.most),
                    found: shape.to_vec(),
                });
            }
        }
        Ok(())
    }
}
