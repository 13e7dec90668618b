//! Where the nodes of a session really run, read from the session itself.

use std::ffi::{CStr, c_char};

use ort::session::Session;
use ort::sys::{OrtApi, OrtEpAssignedNode, OrtEpAssignedSubgraph, OrtStatusPtr};
use ort::{AsPointer, Error};

use crate::runtime::error::Cause;
use crate::runtime::provider::Placement;

/// Makes a session remember where its nodes went.
pub(super) const RECORD: (&str, &str) = ("session.record_ep_graph_assignment_info", "1");

/// Reads what a session committed with [`RECORD`] remembers.
///
/// # Errors
/// What ONNX Runtime said.
pub(super) fn placement(session: &Session) -> Result<Placement, Cause> {
    let api = ort::api();
    let mut list: *const *const OrtEpAssignedSubgraph = std::ptr::null();
    let mut count = 0;
    // SAFETY: the session lives, and both places for the answer are ours. The list belongs to the session
    // (onnxruntime_c_api.h: "the lifetime of the array is tied to the OrtSession").
    let status =
        unsafe { (api.Session_GetEpGraphAssignmentInfo)(session.ptr(), &mut list, &mut count) };
    check(status)?;
    let mut nodes = Vec::new();
    // SAFETY: as many entries as were reported, each valid while the session lives.
    for subgraph in unsafe { entries(list, count) } {
        // SAFETY: an entry of the list of a living session.
        nodes.extend(unsafe { nodes_of(api, *subgraph) }?);
    }
    Ok(Placement::of(nodes))
}

/// Provider and operator of each node of a stretch of the graph.
///
/// # Safety
/// `subgraph` is an entry of the list of a living session.
unsafe fn nodes_of(
    api: &OrtApi,
    subgraph: *const OrtEpAssignedSubgraph,
) -> Result<Vec<(String, String)>, Cause> {
    let mut nodes: *const *const OrtEpAssignedNode = std::ptr::null();
    let mut count = 0;
    // SAFETY: the caller's promise, which holds for the names and nodes of the entry as well.
    unsafe {
        let provider = name(|out| (api.EpAssignedSubgraph_GetEpName)(subgraph, out))?;
        check((api.EpAssignedSubgraph_GetNodes)(
            subgraph, &mut nodes, &mut count,
        ))?;
        let of = |node: &*const OrtEpAssignedNode| {
            let operator = name(|out| (api.EpAssignedNode_GetOperatorType)(*node, out))?;
            Ok((provider.clone(), operator))
        };
        entries(nodes, count).iter().map(of).collect()
    }
}

/// A name that ONNX Runtime tells.
///
/// # Safety
/// `tell` writes null or a C string that lives as long as this call.
unsafe fn name(tell: impl FnOnce(*mut *const c_char) -> OrtStatusPtr) -> Result<String, Cause> {
    let mut name: *const c_char = std::ptr::null();
    check(tell(&mut name))?;
    if name.is_null() {
        return Err("ONNX Runtime tells no name of a provider or an operator".into());
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { CStr::from_ptr(name) }
        .to_string_lossy()
        .into_owned())
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

fn check(status: OrtStatusPtr) -> Result<(), Cause> {
    // SAFETY: a status comes from an API call just made and is given away once, here.
    unsafe { Error::<()>::result_from_status(status) }.map_err(Cause::from)
}
