//! Where the nodes of a session really run, read from the session itself.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};

use ort::session::Session;
use ort::sys::{OrtApi, OrtEpAssignedNode, OrtEpAssignedSubgraph, OrtStatusPtr};
use ort::{AsPointer, Error};

use crate::runtime::provider::Placement;

/// Makes a session remember where its nodes went.
pub(super) const RECORD: (&str, &str) = ("session.record_ep_graph_assignment_info", "1");

/// Reads what a session committed with [`RECORD`] remembers.
pub(super) fn placement(session: &Session) -> Result<Placement, String> {
    let mut nodes = BTreeMap::new();
    for (name, count) in subgraphs(session)? {
        *nodes.entry(name).or_default() += count;
    }
    Ok(Placement { nodes })
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
