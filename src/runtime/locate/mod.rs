//! Finding the ONNX Runtime library: the places where it may lie, and whether a file there can serve.

mod attempt;
pub(super) mod checksum;
mod data_folder;
mod error;
mod image;
mod needed;
pub(super) mod places;
pub(super) mod probe;
mod rejection;
mod search;
mod wheel;

pub use attempt::{Attempt, Origin};
pub use data_folder::data_folder;
pub use error::FindError;
pub use needed::needed_version;
pub use rejection::Rejection;
pub(super) use search::Found;
pub use search::{Search, look_in_package};
pub use wheel::{Flavour, WHEEL_VERSION};
