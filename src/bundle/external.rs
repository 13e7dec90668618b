//! Refuses graphs whose weights lie outside of the graph.
//!
//! ONNX lets a tensor name a file in place of its data. ONNX Runtime would read that file from the current folder, and the
//! hashes of the bundle would not cover it. Tags: `onnx.proto3` of onnx 1.19.

use prost::Message;

use super::BundleError;

/// `TensorProto.DataLocation.EXTERNAL`.
const EXTERNAL: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "25")]
    functions: Vec<Function>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    initializers: Vec<Tensor>,
    #[prost(message, repeated, tag = "15")]
    sparse_initializers: Vec<SparseTensor>,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(message, repeated, tag = "7")]
    nodes: Vec<Node>,
    #[prost(message, repeated, tag = "11")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(message, repeated, tag = "5")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(message, optional, tag = "5")]
    tensor: Option<Tensor>,
    #[prost(message, optional, boxed, tag = "6")]
    graph: Option<Box<Graph>>,
    #[prost(message, repeated, tag = "10")]
    tensors: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    graphs: Vec<Graph>,
    #[prost(message, optional, tag = "22")]
    sparse_tensor: Option<SparseTensor>,
    #[prost(message, repeated, tag = "23")]
    sparse_tensors: Vec<SparseTensor>,
}

#[derive(Clone, PartialEq, Message)]
struct SparseTensor {
    #[prost(message, optional, tag = "1")]
    values: Option<Tensor>,
    #[prost(message, optional, tag = "2")]
    indices: Option<Tensor>,
}

/// Where a tensor's data lie; the data themselves are passed over.
#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(bytes = "vec", repeated, tag = "13")]
    external: Vec<Vec<u8>>,
    #[prost(int32, optional, tag = "14")]
    location: Option<i32>,
}

/// Checks the bytes of the graph `file`.
///
/// # Errors
/// [`BundleError::ExternalData`], and [`BundleError::NotAGraph`] for bytes that are no ONNX model.
pub(super) fn refuse(file: &'static str, bytes: &[u8]) -> Result<(), BundleError> {
    let model = Model::decode(bytes).map_err(|error| BundleError::NotAGraph {
        file,
        reason: error.to_string(),
    })?;
    let outside = model.graph.iter().any(in_graph)
        || model.functions.iter().any(|function| {
            function.nodes.iter().any(in_node) || function.attributes.iter().any(in_attribute)
        });
    match outside {
        true => Err(BundleError::ExternalData { file }),
        false => Ok(()),
    }
}

fn in_graph(graph: &Graph) -> bool {
    graph.initializers.iter().any(is_external)
        || graph.sparse_initializers.iter().any(in_sparse)
        || graph.nodes.iter().any(in_node)
}

fn in_node(node: &Node) -> bool {
    node.attributes.iter().any(in_attribute)
}

fn in_attribute(attribute: &Attribute) -> bool {
    let tensors = attribute.tensor.iter().chain(&attribute.tensors);
    let sparse = attribute
        .sparse_tensor
        .iter()
        .chain(&attribute.sparse_tensors);
    let inner = attribute.graph.as_deref().into_iter();
    tensors.into_iter().any(is_external)
        || sparse.into_iter().any(in_sparse)
        || inner.chain(&attribute.graphs).any(in_graph)
}

fn in_sparse(tensor: &SparseTensor) -> bool {
    tensor.values.iter().chain(&tensor.indices).any(is_external)
}

fn is_external(tensor: &Tensor) -> bool {
    tensor.location == Some(EXTERNAL) || !tensor.external.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside() -> Tensor {
        Tensor {
            external: Vec::new(),
            location: Some(EXTERNAL),
        }
    }

    fn of_graph(graph: Graph) -> Model {
        Model {
            graph: Some(graph),
            functions: Vec::new(),
        }
    }

    fn of_attribute(attribute: Attribute) -> Model {
        let attributes = vec![attribute];
        of_graph(Graph {
            nodes: vec![Node { attributes }],
            ..Graph::default()
        })
    }

    #[test]
    fn external_data_are_found_wherever_a_tensor_can_lie() {
        let initializers = Graph {
            initializers: vec![outside()],
            ..Graph::default()
        };
        let sparse = SparseTensor {
            values: None,
            indices: Some(outside()),
        };
        let constant = Attribute {
            tensor: Some(outside()),
            ..Attribute::default()
        };
        let models = [
            of_graph(initializers.clone()),
            of_graph(Graph {
                sparse_initializers: vec![sparse.clone()],
                ..Graph::default()
            }),
            of_attribute(constant.clone()),
            of_attribute(Attribute {
                graph: Some(Box::new(initializers)),
                ..Attribute::default()
            }),
            of_attribute(Attribute {
                sparse_tensors: vec![sparse],
                ..Attribute::default()
            }),
            Model {
                graph: None,
                functions: vec![Function {
                    nodes: Vec::new(),
                    attributes: vec![constant],
                }],
            },
        ];
        for model in models {
            let found = refuse("denoiser.onnx", &model.encode_to_vec());
            assert!(
                matches!(found, Err(BundleError::ExternalData { .. })),
                "{model:?}"
            );
        }
    }

    #[test]
    fn whole_graphs_pass_and_other_bytes_do_not() {
        let graph = include_bytes!("../../models/default/denoiser.onnx");
        refuse("denoiser.onnx", graph).unwrap();
        for bytes in [&graph[..graph.len() / 2], b"garbage"] {
            let found = refuse("denoiser.onnx", bytes);
            assert!(matches!(found, Err(BundleError::NotAGraph { .. })));
        }
    }
}
