//! The page: static files that are part of the program.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};

/// Nothing from elsewhere, nothing inline, and in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; media-src 'self' blob:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
pub(super) struct File {
    pub path: &'static str,
    kind: &'static str,
    content: &'static [u8],
}

macro_rules! file {
    ($path:literal, $name:literal, $kind:literal) => {
        File {
            path: $path,
            kind: $kind,
            content: include_bytes!(concat!("page/", $name)),
        }
    };
}

/// The files by their paths.
pub(super) static FILES: [File; 11] = [
    file!("/", "index.html", "text/html; charset=utf-8"),
    file!("/page/page.css", "page.css", "text/css; charset=utf-8"),
    file!("/page/page.js", "page.js", "text/javascript; charset=utf-8"),
    file!(
        "/page/service.js",
        "service.js",
        "text/javascript; charset=utf-8"
    ),
    file!("/page/npy.js", "npy.js", "text/javascript; charset=utf-8"),
    file!("/page/wav.js", "wav.js", "text/javascript; charset=utf-8"),
    file!(
        "/page/spectrogram.js",
        "spectrogram.js",
        "text/javascript; charset=utf-8"
    ),
    file!(
        "/page/recorder.js",
        "recorder.js",
        "text/javascript; charset=utf-8"
    ),
    file!(
        "/page/player.js",
        "player.js",
        "text/javascript; charset=utf-8"
    ),
    file!("/page/icon.svg", "icon.svg", "image/svg+xml"),
    File {
        path: "/page/demo.npy",
        kind: "application/octet-stream",
        content: include_bytes!("../../../models/demo/demo.npy"),
    },
];

impl File {
    pub fn response(&self) -> Response {
        let mut response = self.content.into_response();
        let headers = response.headers_mut();
        let told: [(HeaderName, &'static str); 6] = [
            (CONTENT_TYPE, self.kind),
            (CACHE_CONTROL, "no-cache"),
            (CONTENT_SECURITY_POLICY, POLICY),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            (
                HeaderName::from_static("permissions-policy"),
                "microphone=(self)",
            ),
        ];
        for (name, value) in told {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
