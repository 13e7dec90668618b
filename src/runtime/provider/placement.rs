//! Where the nodes of a graph run, and whether that is where they were asked for.

use std::collections::BTreeMap;
use std::fmt;

use crate::runtime::provider_name::Provider;

/// Operators that the shapes of tensors are computed with, once a graph asks for a shape.
///
/// A shape is a few integers that the CPU needs, to make room for what comes next. So ONNX Runtime keeps what is computed from one on the CPU, whatever
/// the provider could do (`GetCpuPreferredNodes` in onnxruntime/core/framework/fallback_cpu_capability.cc). What costs time, such as
/// convolutions, products of matrices and activations, is none of these.
const OF_SHAPES: [&str; 22] = [
    "Add",
    "Cast",
    "Concat",
    "ConstantOfShape",
    "Div",
    "Equal",
    "Expand",
    "Gather",
    "Identity",
    "Max",
    "Min",
    "Mod",
    "Mul",
    "Range",
    "ReduceProd",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Sub",
    "Unsqueeze",
    "Where",
];

/// The operators that ask for a shape.
const SHAPES: [&str; 2] = ["Shape", "Size"];

/// The nodes of a graph by the execution provider that runs them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// For each provider, by ONNX Runtime's name such as `CPUExecutionProvider`, the operators of its nodes and how many nodes each has.
    pub operators: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Placement {
    /// Counts nodes, each given as the name of its provider and its operator.
    pub(in crate::runtime) fn of(nodes: impl IntoIterator<Item = (String, String)>) -> Placement {
        let mut placement = Placement::default();
        for (provider, operator) in nodes {
            let operators = placement.operators.entry(provider).or_default();
            *operators.entry(operator).or_default() += 1;
        }
        placement
    }

    /// The number of nodes of each provider, by ONNX Runtime's name.
    pub fn nodes(&self) -> BTreeMap<String, usize> {
        let operators = self.operators.iter();
        operators
            .map(|(provider, operators)| (provider.clone(), operators.values().sum()))
            .collect()
    }

    /// Nodes on a provider.
    pub fn on(&self, provider: Provider) -> usize {
        self.operators_on(provider).map(|(_, count)| count).sum()
    }

    /// Whether `provider` runs the whole graph. TensorRT may leave nodes to CUDA, but must have some itself; on either, the CPU may compute shapes.
    pub fn is_whole(&self, provider: Provider) -> bool {
        let total: usize = self.nodes().values().sum();
        let own = self.on(provider);
        let allowed = own
            + match provider {
                Provider::Auto | Provider::Cpu => 0,
                Provider::Cuda => self.shapes(),
                Provider::TensorRt => self.on(Provider::Cuda) + self.shapes(),
            };
        own > 0 && allowed == total
    }

    /// Nodes on the CPU that compute shapes. There are none in a graph that asks for no shape.
    fn shapes(&self) -> usize {
        let asks = |operators: &BTreeMap<String, usize>| {
            SHAPES.iter().any(|name| operators.contains_key(*name))
        };
        if !self.operators.values().any(asks) {
            return 0;
        }
        let computes = |operator: &str| OF_SHAPES.contains(&operator) || SHAPES.contains(&operator);
        self.operators_on(Provider::Cpu)
            .filter(|(operator, _)| computes(operator))
            .map(|(_, count)| count)
            .sum()
    }

    fn operators_on(&self, provider: Provider) -> impl Iterator<Item = (&str, usize)> {
        let operators = self.operators.get(provider.ort_name());
        operators
            .into_iter()
            .flatten()
            .map(|(operator, count)| (operator.as_str(), *count))
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.nodes();
        if nodes.is_empty() {
            return f.write_str("no nodes");
        }
        for (index, (name, count)) in nodes.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let plural = if *count == 1 { "node" } else { "nodes" };
            write!(f, "{comma}{count} {plural} on {name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Provider::{Cpu, Cuda, TensorRt};
    use super::*;

    fn placement(nodes: &[(Provider, &str)]) -> Placement {
        let named = |(provider, operator): &(Provider, &str)| {
            (provider.ort_name().to_owned(), (*operator).to_owned())
        };
        Placement::of(nodes.iter().map(named))
    }

    #[test]
    fn a_graph_is_whole_where_every_node_is() {
        assert!(placement(&[(Cpu, "Conv"), (Cpu, "Conv")]).is_whole(Cpu));
        assert!(placement(&[(Cuda, "Conv")]).is_whole(Cuda));
        assert!(!placement(&[(Cuda, "Conv"), (Cpu, "Conv")]).is_whole(Cuda));
        assert!(placement(&[(TensorRt, "Conv"), (Cuda, "Conv")]).is_whole(TensorRt));
        assert!(!placement(&[(Cuda, "Conv")]).is_whole(TensorRt));
        assert!(!placement(&[(TensorRt, "Conv"), (Cpu, "Conv")]).is_whole(TensorRt));
        assert!(!placement(&[]).is_whole(Cpu));
    }

    #[test]
    fn the_cpu_may_compute_the_shapes_of_a_graph_that_asks_for_them() {
        let arithmetic = [
            (Cpu, "Gather"),
            (Cpu, "Mul"),
            (Cpu, "Unsqueeze"),
            (Cpu, "Concat"),
        ];
        let with =
            |others: &[(Provider, &'static str)]| placement(&[&arithmetic[..], others].concat());
        // The node that asks may be on either.
        for asks in [(Cuda, "Shape"), (Cpu, "Shape"), (Cuda, "Size")] {
            assert!(with(&[(Cuda, "Conv"), asks]).is_whole(Cuda), "{asks:?}");
        }
        assert!(with(&[(TensorRt, "Conv"), (Cuda, "Shape")]).is_whole(TensorRt));
        assert!(
            !with(&[(Cuda, "Conv")]).is_whole(Cuda),
            "nothing asks for a shape"
        );
        assert!(!with(&[(Cuda, "Shape"), (Cpu, "Conv")]).is_whole(Cuda));
        let nothing_else = placement(&[(Cpu, "Shape"), (Cpu, "Gather")]);
        assert!(!nothing_else.is_whole(Cuda), "none of it is on the GPU");
    }

    #[test]
    fn it_reads_as_a_sentence() {
        let split = placement(&[(Cuda, "Conv"), (Cuda, "Mul"), (Cpu, "Shape")]);
        assert_eq!(
            split.to_string(),
            "1 node on CPUExecutionProvider, 2 nodes on CUDAExecutionProvider"
        );
        assert_eq!(placement(&[]).to_string(), "no nodes");
    }
}
