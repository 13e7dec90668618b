//! Tensors that stay in a device's memory, and runs of a graph on them.
//!
//! On the CPU the same code works in main memory, which is how it is tested.

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::IoBinding;
use ort::value::{Tensor, TensorRef};

use super::graph::Graph;
use crate::runtime::error::RuntimeError;
use crate::runtime::provider_name::Provider;

/// An `f32` tensor in the memory of the device that a graph runs on.
#[derive(Debug)]
pub struct DeviceTensor {
    value: Tensor<f32>,
    shape: Vec<usize>,
    label: String,
    in_main_memory: bool,
}

/// A graph's inputs and outputs, bound to tensors.
pub struct Binding(IoBinding);

impl Graph {
    /// A tensor where the graph runs, whose values are yet to be [written](DeviceTensor::write).
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
        Ok(DeviceTensor {
            value: allocate().map_err(|error| RuntimeError::run(&self.label, error))?,
            shape: shape.to_vec(),
            label: self.label.clone(),
            in_main_memory: matches!(self.provider, Provider::Auto | Provider::Cpu),
        })
    }

    /// Binds all inputs and outputs.
    ///
    /// # Errors
    /// [`RuntimeError::Run`] for names that the graph does not have, [`RuntimeError::Shape`] for a shape that was not planned.
    pub fn bind(
        &self,
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
            Ok(Binding(binding))
        };
        bind().map_err(|error| RuntimeError::run(&self.label, error))
    }

    /// Runs the graph on what is bound.
    ///
    /// # Errors
    /// [`RuntimeError::Run`] when ONNX Runtime fails.
    pub fn run_bound(&mut self, binding: &Binding) -> Result<(), RuntimeError> {
        let session = &mut self.session;
        let run = || {
            let outputs = session.run_binding(&binding.0);
            outputs.map(drop)
        };
        let ran = self.clock.during(run);
        ran.map_err(|error| RuntimeError::run(&self.label, error))
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
        copy().map_err(|error| RuntimeError::run(&self.label, error))
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
        let copied = copied.map_err(|error| RuntimeError::run(&self.label, error))?;
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
