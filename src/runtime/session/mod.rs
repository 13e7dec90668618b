//! Running graphs: loading one on the provider that was chosen, calls with arrays, and calls on tensors that stay on a device.

mod assignment;
mod clock;
mod device;
mod graph;
mod machine;
mod port;
mod source;

pub use clock::Clock;
pub use device::{Binding, DeviceTensor};
pub use graph::Graph;
pub use port::Port;
pub use source::GraphSource;
