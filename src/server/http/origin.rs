//! Pages of others: a browser sends their requests to this machine too, and they have no business here.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode, Uri};
use tonic::Status;

use super::problem::Problem;

/// Whether a request comes from a page of this server, or from no page at all.
///
/// # Errors
/// 403 for one that a page of another origin has made.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_ours = match (text("sec-fetch-site"), text(ORIGIN.as_str())) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, None) => true,
        // An old browser, or a page without TLS at another name than localhost.
        (None, Some(origin)) => {
            let authority = origin.parse::<Uri>().ok();
            let authority = authority.as_ref().and_then(Uri::authority);
            authority.is_some_and(|origin| text(HOST.as_str()) == Some(origin.as_str()))
        }
    };
    if is_ours {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        Status::permission_denied(
            "the request comes from a page of another origin: open the page of this server, or call it from a program",
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_origin_is_kept_out() {
        let cases: [(&[(&str, &str)], bool); 8] = [
            (&[], true),
            (
                &[("sec-fetch-site", "same-origin"), ("origin", "http://a")],
                true,
            ),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "cross-site")], false),
            (
                &[
                    ("sec-fetch-site", "same-site"),
                    ("origin", "http://a:8080"),
                    ("host", "a:8080"),
                ],
                false,
            ),
            (&[("origin", "http://a:8080"), ("host", "a:8080")], true),
            (
                &[("origin", "http://evil.example"), ("host", "a:8080")],
                false,
            ),
            (&[("origin", "null"), ("host", "a:8080")], false),
        ];
        for (pairs, is_taken) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            assert_eq!(check(&headers).is_ok(), is_taken, "{pairs:?}");
        }
    }
}
