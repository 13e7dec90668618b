//! Which frames each denoiser call covers, and the state of a synthesis between calls. Nothing here runs a graph.

mod sizes;
mod start;
mod wavefront;
pub mod window;

pub(super) use sizes::{Sizes, WindowBounds};
pub use start::StreamStart;
pub(super) use start::Timing;
pub use wavefront::{Wavefront, Window};
pub use window::WindowPlan;
