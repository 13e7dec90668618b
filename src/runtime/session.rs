//! One graph, ready to run.

use std::borrow::Cow;

use ndarray::{ArrayD, ArrayViewD};
use ort::session::builder::{AutoDevicePolicy, GraphOptimizationLevel, SessionBuilder};
use ort::session::{Session, SessionInputValue};
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};

use super::environment::Runtime;
use super::error::RuntimeError;
use super::provider::Provider;

/// More threads than any machine has; a larger number is a slip of the keyboard.
const MAX_THREADS: usize = 1024;

/// How a graph is to be run.
#[derive(Clone, Debug, Default)]
pub struct SessionOptions {
    /// Threads for one operation, 1 to 1024; all the processors that this process may use when `None`.
    pub threads: Option<usize>,
    /// The device.
    pub provider: Provider,
}

impl SessionOptions {
    /// The threads asked for, or the number of processors that this process may use.
    pub fn thread_count(&self) -> usize {
        self.threads.unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, |count| count.get().min(MAX_THREADS))
        })
    }
}

/// An input or output of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its shape, `None` where any size will do.
    pub dims: Vec<Option<usize>>,
    /// Its element type in ONNX's words, such as `float32`.
    pub ty: String,
}

/// A loaded graph with `f32` inputs and outputs.
///
/// Shapes may change from call to call: the memory pattern, which plans the buffers of one fixed shape, is off.
/// Threads without work sleep at once: spinning takes a processor from whatever else runs, and where one of two processors was busy
/// it made a synthesis on two threads take twice as long (1.83 s for 10 s of audio, 0.87 s without).
#[derive(Debug)]
pub struct Graph {
    session: Session,
    label: String,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    provider: Provider,
    note: Option<String>,
}

impl Graph {
    /// Loads the ONNX model in `bytes`. `label` names it in messages.
    ///
    /// # Errors
    /// [`RuntimeError::Threads`], [`RuntimeError::ProviderUnavailable`] when the provider asked for by name cannot run
    /// the whole graph, [`RuntimeError::Graph`] when the model is refused or has an input or output that is no `f32` tensor.
    pub fn from_bytes(
        runtime: &Runtime,
        bytes: &[u8],
        label: &str,
        options: &SessionOptions,
    ) -> Result<Graph, RuntimeError> {
        let threads = threads(options)?;
        let (session, provider, note) = match options.provider {
            Provider::Auto => choose(runtime, bytes, label, threads)?,
            named => (
                commit_named(runtime, bytes, label, threads, named)?,
                named,
                None,
            ),
        };
        Ok(Graph {
            inputs: ports(session.inputs(), label)?,
            outputs: ports(session.outputs(), label)?,
            session,
            label: label.to_owned(),
            provider,
            note,
        })
    }

    /// The inputs, in the graph's order.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// The outputs, in the order that [`Graph::run`] returns them.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// The device that runs the graph: `cpu`, `cuda` or `tensorrt`, never `auto`.
    pub fn provider(&self) -> &str {
        self.provider.name()
    }

    /// Why `auto` took the CPU although there seemed to be something faster.
    pub fn provider_note(&self) -> Option<&str> {
        self.note.as_deref()
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
        let failed = |error: ort::Error| RuntimeError::Run {
            label: label.clone(),
            reason: error.to_string(),
        };
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
        let outputs = self.session.run(values).map_err(failed)?;
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
                .all(|port| given.iter().any(|(name, _)| *name == port.name));
        if !complete {
            let expected: Vec<_> = self.inputs.iter().map(|port| port.name.as_str()).collect();
            let found: Vec<_> = given.iter().map(|(name, _)| *name).collect();
            return Err(RuntimeError::Inputs {
                label: self.label.clone(),
                expected: expected.join(", "),
                found: found.join(", "),
            });
        }
        for (name, array) in given {
            let Some(port) = self.inputs.iter().find(|port| port.name == *name) else {
                continue;
            };
            if !port.takes(array.shape()) {
                return Err(RuntimeError::Shape {
                    label: self.label.clone(),
                    input: port.name.clone(),
                    expected: port.shape(),
                    found: array.shape().to_vec(),
                });
            }
        }
        Ok(())
    }
}

impl Port {
    /// The shape in words, `[?, 80, ?]`.
    pub fn shape(&self) -> String {
        let sizes: Vec<_> = self
            .dims
            .iter()
            .map(|dim| dim.map_or_else(|| "?".to_owned(), |size| size.to_string()))
            .collect();
        format!("[{}]", sizes.join(", "))
    }

    fn takes(&self, shape: &[usize]) -> bool {
        self.dims.len() == shape.len()
            && self
                .dims
                .iter()
                .zip(shape)
                .all(|(dim, size)| dim.is_none_or(|expected| expected == *size))
    }
}

fn threads(options: &SessionOptions) -> Result<usize, RuntimeError> {
    let found = options.thread_count();
    if (1..=MAX_THREADS).contains(&found) {
        Ok(found)
    } else {
        Err(RuntimeError::Threads {
            found,
            most: MAX_THREADS,
        })
    }
}

/// What `auto` means: CUDA where the library holds it and it takes the whole graph, else the CPU with the reason.
fn choose(
    runtime: &Runtime,
    bytes: &[u8],
    label: &str,
    threads: usize,
) -> Result<(Session, Provider, Option<String>), RuntimeError> {
    let note = if Provider::Cuda.is_in_library() {
        match commit(runtime, bytes, threads, Provider::Cuda) {
            Ok(session) => return Ok((session, Provider::Cuda, None)),
            Err(error) => {
                let reason = error.to_string();
                tracing::warn!(
                    graph = label,
                    reason,
                    "CUDA cannot run this graph, so the CPU does"
                );
                Some(format!("CUDA cannot run this graph: {reason}"))
            }
        }
    } else {
        tracing::debug!(
            graph = label,
            "the library holds no GPU provider, so the CPU runs this graph"
        );
        None
    };
    Ok((
        commit_named(runtime, bytes, label, threads, Provider::Cpu)?,
        Provider::Cpu,
        note,
    ))
}

fn commit_named(
    runtime: &Runtime,
    bytes: &[u8],
    label: &str,
    threads: usize,
    provider: Provider,
) -> Result<Session, RuntimeError> {
    if !provider.is_in_library() {
        let held: Vec<_> = runtime.providers().iter().map(|held| held.name()).collect();
        let missing = format!(
            "the ONNX Runtime library at {} does not hold it (it holds: {})",
            runtime.library().display(),
            held.join(", ")
        );
        return Err(RuntimeError::ProviderUnavailable { provider, missing });
    }
    commit(runtime, bytes, threads, provider).map_err(|error| match provider {
        Provider::Auto | Provider::Cpu => RuntimeError::Graph {
            label: label.to_owned(),
            reason: error.to_string(),
        },
        Provider::Cuda | Provider::TensorRt => RuntimeError::ProviderUnavailable {
            provider,
            missing: format!("graph `{label}`: {error}"),
        },
    })
}

fn commit(
    runtime: &Runtime,
    bytes: &[u8],
    threads: usize,
    provider: Provider,
) -> ort::Result<Session> {
    let builder = Session::builder(runtime.environment())?
        // Otherwise a device policy may register an accelerator that nobody asked for.
        .with_auto_device(AutoDevicePolicy::PreferCPU)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads)?
        .with_memory_pattern(false)?
        .with_intra_op_spinning(false)?;
    with_provider(builder, provider)?.commit_from_memory(bytes)
}

/// Registers `provider` so that it takes every node or the commit fails.
fn with_provider(builder: SessionBuilder, provider: Provider) -> ort::Result<SessionBuilder> {
    let dispatches = provider.dispatches();
    if dispatches.is_empty() {
        return Ok(builder);
    }
    Ok(builder
        .with_execution_providers(dispatches)?
        .with_disable_cpu_fallback()?)
}

fn ports(outlets: &[Outlet], label: &str) -> Result<Vec<Port>, RuntimeError> {
    outlets
        .iter()
        .map(|outlet| match outlet.dtype() {
            ValueType::Tensor {
                ty: TensorElementType::Float32,
                shape,
                ..
            } => Ok(Port {
                name: outlet.name().to_owned(),
                dims: shape.iter().map(|dim| usize::try_from(*dim).ok()).collect(),
                ty: "float32".to_owned(),
            }),
            other => Err(RuntimeError::Graph {
                label: label.to_owned(),
                reason: format!(
                    "`{}` is {other}, and only float32 tensors are supported",
                    outlet.name()
                ),
            }),
        })
        .collect()
}
