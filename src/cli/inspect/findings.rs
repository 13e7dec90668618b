//! What an inspection finds.

use serde_json::Value;

use super::plot::Picture;

/// What was found: the same facts for people, for programs, and as a picture.
pub(super) struct Findings {
    pub(super) text: String,
    pub(super) json: Value,
    pub(super) picture: Option<Picture>,
}
