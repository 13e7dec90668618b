//! Tensors that stay in a device's memory, and runs of a graph on them.
//!
//! On a GPU nothing is copied between the runs of such a graph, and where its provider can, CUDA replays the launches of the first run of each
//! binding instead of making them again. On the CPU the same code works in main memory, which is how it is tested.

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, NoSelectedOutputs, RunOptions};
use ort::value::{Tensor, TensorRef};

use super::error::RuntimeError;
use super::provider::Provider;
use super::session::Graph;

/// The setting by which ONNX Runtime tells captured graphs apart.
pub(super) const REPLAY: &str = "gpu_graph_id";

/// An `f32` tensor in the memory of the device that a graph runs on.
#[derive(Debug)]
pub struct DeviceTensor {
    value: Tensor<f32>,
    shape: Vec<usize>,
    label: String,
    in_main_memory: bool,
}

/// A graph's inputs and outputs for one kind of run.
pub struct Binding {
    binding: IoBinding,
    options: RunOptions<NoSelectedOutputs>,
}

impl Graph {
    /// A tensor of zeros where the graph runs.
    ///
    /// # Errors
    /// [`RuntimeError::Run`] when there is no memory for it.
    pub fn tensor(&self, shape: &[usize]) -> Result<DeviceTensor, RuntimeError> {
        let allocate = || -> ort::Result<Tensor<f32>> {
            match self.provider {
                Provider::Auto | Provider::Cpu => Tensor::new(&Allocator::default(), shape),
                Provider::Cuda | Provider::TensorRt => {
                    let memory = MemoryInfo::new(
                        AllocationDevice::CUDA,
                        self.device as i32,
                        AllocatorType::Device,
                        MemoryType::Default,
                    )?;
                    Tensor::new(&Allocator::new(&self.session, memory)?, shape)
                }
            }
        };
        let mut tensor = DeviceTensor {
            value: allocate().map_err(|error| RuntimeError::run(&self.label, &error))?,
            shape: shape.to_vec(),
            label: self.label.clone(),
            in_main_memory: matches!(self.provider, Provider::Auto | Provider::Cpu),
        };
        tensor.write(&vec![0.0; shape.iter().product()])?;
        Ok(tensor)
    }

    /// Binds all inputs and outputs. `kind` is a number of its own for each binding of the graph: what CUDA has recorded goes by it.
    ///
    /// # Errors
    /// [`RuntimeError::Run`] for names that the graph does not have, [`RuntimeError::Shape`] for a shape that was not planned.
    pub fn bind(
        &self,
        kind: usize,
        inputs: &[(&str, &DeviceTensor)],
        outputs: &mut [(&str, &mut DeviceTensor)],
    ) -> Result<Binding, RuntimeError> {
        for (name, tensor) in inputs {
            self.check_planned(name, &tensor.shape)?;
        }
        let mut bind = || -> ort::Result<Binding> {
            let mut binding = self.session.create_binding()?;
            for (name, tensor) in inputs {
                binding.bind_input(*name, &tensor.value)?;
            }
            for (name, tensor) in &mut *outputs {
                binding.bind_output(*name, &mut tensor.value)?;
            }
            let mut options = RunOptions::new()?;
            if self.replays {
                // 0 is ONNX Runtime's own.
                options.set(REPLAY, (kind + 1).to_string())?;
            }
            Ok(Binding { binding, options })
        };
        bind().map_err(|error| RuntimeError::run(&self.label, &error))
    }

    /// Runs the graph on what is bound.
    ///
    /// # Errors
    /// [`RuntimeError::Run`] when ONNX Runtime fails.
    pub fn run_bound(&mut self, binding: &Binding) -> Result<(), RuntimeError> {
        let session = &mut self.session;
        let run = || {
            let outputs = session.run_binding_with_options(&binding.binding, &binding.options);
            outputs.map(drop)
        };
        let ran = self.clock.during(run);
        ran.map_err(|error| RuntimeError::run(&self.label, &error))
    }
}

impl DeviceTensor {
    /// Its shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Replaces its values, of which there are as many as the shape says.
    ///
    /// # Errors
    /// [`RuntimeError::Shape`] for another number of values, [`RuntimeError::Run`] when they cannot be copied.
    pub fn write(&mut self, values: &[f32]) -> Result<(), RuntimeError> {
        self.check(values.len())?;
        if self.in_main_memory {
            self.value.extract_tensor_mut().1.copy_from_slice(values);
            return Ok(());
        }
        let mut copy = || -> ort::Result<()> {
            let source = TensorRef::from_array_view((self.shape.as_slice(), values))?;
            source.copy_into(&mut self.value)
        };
        copy().map_err(|error| RuntimeError::run(&self.label, &error))
    }

    /// Copies its values out.
    ///
    /// # Errors
    /// [`RuntimeError::Shape`] for room of another size, [`RuntimeError::Run`] when they cannot be copied.
    pub fn read(&self, out: &mut [f32]) -> Result<(), RuntimeError> {
        self.check(out.len())?;
        if self.in_main_memory {
            out.copy_from_slice(self.value.extract_tensor().1);
            return Ok(());
        }
        let copied = self.value.to(AllocationDevice::CPU, 0);
        let copied = copied.map_err(|error| RuntimeError::run(&self.label, &error))?;
        out.copy_from_slice(copied.extract_tensor().1);
        Ok(())
    }

    fn check(&self, found: usize) -> Result<(), RuntimeError> {
        if found == self.shape.iter().product::<usize>() {
            return Ok(());
        }
        Err(RuntimeError::Shape {
            label: self.label.clone(),
            input: "a tensor on the device".to_owned(),
            expected: format!("{:?}", self.shape),
            found: vec![found],
        })
    }
}
