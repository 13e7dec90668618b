//! Where the nodes of a session really run, read from the session itself.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::fmt;

use ort::session::Session;
use ort::sys::{OrtApi, OrtEpAssignedNode, OrtEpAssignedSubgraph, OrtStatusPtr};
use ort::{AsPointer, Error};

use super::provider::Provider;

/// Makes a session remember where its nodes went.
pub(super) const RECORD: (&str, &str) = ("session.record_ep_graph_assignment_info", "1");

/// The nodes of a graph by the execution provider that runs them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// ONNX Runtime's name of a provider, such as `CPUExecutionProvider`, and the number of its nodes.
    pub nodes: BTreeMap<String, usize>,
}

impl Placement {
    /// Reads what a session committed with [`RECORD`] remembers.
    pub(super) fn of(session: &Session) -> Result<Placement, String> {
        let subgraphs = subgraphs(session)?;
        let mut nodes = BTreeMap::new();
        for subgraph in subgraphs {
            *nodes.entry(subgraph.0).or_default() += subgraph.1;
        }
        Ok(Placement { nodes })
    }

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

/// Provider and number of nodes of each stretch of the graph.
fn subgraphs(session: &Session) -> Result<Vec<(String, usize)>, String> {
    let api = ort::api();
    let mut list: *const *const OrtEpAssignedSubgraph = std::ptr::null();
    let mut count = 0;
    // SAFETY: the session lives, and both places for the answer are ours. The list belongs to the session
    // (onnxruntime_c_api.h: "the lifetime of the array is tied to the OrtSession").
    let status =
        unsafe { (api.Session_GetEpGraphAssignmentInfo)(session.ptr(), &mut list, &mut count) };
    check(status)?;
    // SAFETY: as many entries as were reported, each valid while the session lives.
    let list = unsafe { entries(list, count) };
    list.iter().map(|subgraph| one(api, *subgraph)).collect()
}

fn one(api: &OrtApi, subgraph: *const OrtEpAssignedSubgraph) -> Result<(String, usize), String> {
    let mut name: *const c_char = std::ptr::null();
    let mut nodes: *const *const OrtEpAssignedNode = std::ptr::null();
    let mut count = 0;
    // SAFETY: `subgraph` is an entry of a living session's list; the name is a C string that lives as long.
    unsafe {
        check((api.EpAssignedSubgraph_GetEpName)(subgraph, &mut name))?;
        check((api.EpAssignedSubgraph_GetNodes)(
            subgraph, &mut nodes, &mut count,
        ))?;
        if name.is_null() {
            return Err(
                "ONNX Runtime named no execution provider for a part of the graph".to_owned(),
            );
        }
        Ok((CStr::from_ptr(name).to_string_lossy().into_owned(), count))
    }
}

/// # Safety
/// `list` points to `count` entries, unless that is 0.
unsafe fn entries<'a, T>(list: *const T, count: usize) -> &'a [T] {
    if list.is_null() || count == 0 {
        &[]
    } else {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts(list, count) }
    }
}

fn check(status: OrtStatusPtr) -> Result<(), String> {
    // SAFETY: a status comes from an API call just made and is given away once, here.
    unsafe { Error::<()>::result_from_status(status) }.map_err(|error| error.to_string())
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
