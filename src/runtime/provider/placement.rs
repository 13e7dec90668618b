//! Where the nodes of a graph run, and whether that is where they were asked for.

use std::collections::BTreeMap;
use std::fmt;

use crate::runtime::provider_name::Provider;

/// The nodes of a graph by the execution provider that runs them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// ONNX Runtime's name of a provider, such as `CPUExecutionProvider`, and the number of its nodes.
    pub nodes: BTreeMap<String, usize>,
}

impl Placement {
    /// Nodes on a provider.
    pub fn on(&self, provider: Provider) -> usize {
        let name = provider.ort_name();
        self.nodes.get(name).copied().unwrap_or_default()
    }

    /// Whether `provider` runs the whole graph. TensorRT may leave nodes to CUDA, but must have some itself.
    pub fn is_whole(&self, provider: Provider) -> bool {
        let total: usize = self.nodes.values().sum();
        let own = self.on(provider);
        let allowed = match provider {
            Provider::TensorRt => own + self.on(Provider::Cuda),
            _ => own,
        };
        own > 0 && allowed == total
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes.is_empty() {
            return f.write_str("no nodes");
        }
        for (index, (name, count)) in self.nodes.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let plural = if *count == 1 { "node" } else { "nodes" };
            write!(f, "{comma}{count} {plural} on {name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement(nodes: &[(Provider, usize)]) -> Placement {
        let named =
            |(provider, count): &(Provider, usize)| (provider.ort_name().to_owned(), *count);
        Placement {
            nodes: nodes.iter().map(named).collect(),
        }
    }

    #[test]
    fn a_graph_is_whole_where_every_node_is() {
        use Provider::{Cpu, Cuda, TensorRt};
        assert!(placement(&[(Cpu, 9)]).is_whole(Cpu));
        assert!(placement(&[(Cuda, 9)]).is_whole(Cuda));
        assert!(!placement(&[(Cuda, 9), (Cpu, 1)]).is_whole(Cuda));
        assert!(placement(&[(TensorRt, 1), (Cuda, 2)]).is_whole(TensorRt));
        assert!(!placement(&[(Cuda, 9)]).is_whole(TensorRt));
        assert!(!placement(&[(TensorRt, 1), (Cpu, 1)]).is_whole(TensorRt));
        assert!(!placement(&[]).is_whole(Cpu));
    }

    #[test]
    fn it_reads_as_a_sentence() {
        use Provider::{Cpu, Cuda};
        assert_eq!(
            placement(&[(Cuda, 40), (Cpu, 1)]).to_string(),
            "1 node on CPUExecutionProvider, 40 nodes on CUDAExecutionProvider"
        );
        assert_eq!(placement(&[]).to_string(), "no nodes");
    }
}
