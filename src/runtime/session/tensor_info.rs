//! The inputs and outputs of a graph.

use ort::value::{Outlet, TensorElementType, ValueType};

use crate::runtime::error::RuntimeError;

/// An input or output of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Its shape, `None` where any size will do.
    pub dims: Vec<Option<usize>>,
    /// Its element type in ONNX's words, such as `float32`.
    pub ty: String,
}

impl TensorInfo {
    /// The shape in words, `[?, 80, ?]`.
    pub fn shape(&self) -> String {
        let sizes: Vec<_> = self
            .dims
            .iter()
            .map(|dim| dim.map_or_else(|| "?".to_owned(), |size| size.to_string()))
            .collect();
        format!("[{}]", sizes.join(", "))
    }

    /// Whether a tensor of this shape can be given.
    pub(super) fn takes(&self, shape: &[usize]) -> bool {
        self.dims.len() == shape.len()
            && self
                .dims
                .iter()
                .zip(shape)
                .all(|(dim, size)| dim.is_none_or(|expected| expected == *size))
    }
}

/// The inputs or outputs of a session, all of them `f32` tensors.
///
/// # Errors
/// [`RuntimeError::Graph`] for one of another type.
pub(super) fn tensor_infos(
    outlets: &[Outlet],
    label: &str,
) -> Result<Vec<TensorInfo>, RuntimeError> {
    outlets
        .iter()
        .map(|outlet| match outlet.dtype() {
            ValueType::Tensor {
                ty: TensorElementType::Float32,
                shape,
                ..
            } => Ok(TensorInfo {
                name: outlet.name().to_owned(),
                dims: shape.iter().map(|dim| usize::try_from(*dim).ok()).collect(),
                ty: "float32".to_owned(),
            }),
            other => Err(RuntimeError::Graph {
                label: label.to_owned(),
                source: format!(
                    "`{}` is {other}, and only float32 tensors are supported",
                    outlet.name()
                )
                .into(),
            }),
        })
        .collect()
}
