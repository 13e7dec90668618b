//! Running graphs: loading one on the provider that was chosen, calls with arrays, and calls on tensors that stay on a device.

mod assignment;
mod clock;
mod device;
mod graph;
mod machine;
mod source;
mod tensor_info;

pub use clock::Clock;
pub use device::{Binding, DeviceTensor};
pub use graph::Graph;
pub use source::GraphSource;
pub use tensor_info::TensorInfo;
