//! How much metadata a call may bring.

use tonic::Status;
use tonic::codegen::http::HeaderMap;

/// Bytes of the metadata of one call: names, values, and [`ENTRY`] for each.
const MOST: usize = 16 << 10;
/// What HTTP/2 counts for each header beside its name and value (RFC 9113, section 6.5.2).
const ENTRY: usize = 32;
/// Bytes of one call's headers that the transport takes. It ends the whole connection where one header is longer than that, and with it the
/// calls of others that a proxy sends by the same one; so it takes more than a call may bring, and [`check`] refuses that call alone.
pub(super) const TRANSPORT_LIMIT: u32 = 128 << 10;

/// Whether a call brings no more than it may.
///
/// # Errors
/// RESOURCE_EXHAUSTED, with the size.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Status> {
    let sizes = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + ENTRY);
    match sizes.sum::<usize>() {
        size if size > MOST => Err(Status::resource_exhausted(format!(
            "the call has {size} bytes of metadata, and {MOST} are taken: send less"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_counted_as_the_transport_counts_it() {
        let with = |length: usize| {
            let mut headers = HeaderMap::new();
            headers.insert("x", "v".repeat(length).parse().unwrap());
            check(&headers)
        };
        assert!(with(MOST - ENTRY - 1).is_ok());
        let status = with(MOST - ENTRY).unwrap_err();
        assert!(status.message().contains("16385"), "{status:?}");
    }
}
