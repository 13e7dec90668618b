//! The versions of ONNX Runtime that serve.

/// The oldest ONNX Runtime that has the interface vocode is built against, as `1.24`.
pub fn needed_version() -> String {
    format!("1.{}", ort::MINOR_VERSION)
}

/// Whether `version` (`major.minor.patch`) is of major version 1 with the minor version that vocode needs, or later.
pub(super) fn is_recent(version: &str) -> bool {
    let mut parts = version.split('.');
    let major = parts.next().and_then(|part| part.parse::<u32>().ok());
    let minor = parts.next().and_then(|part| part.parse::<u32>().ok());
    major == Some(1) && minor.is_some_and(|minor| minor >= ort::MINOR_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        let minor = ort::MINOR_VERSION;
        assert!(is_recent(&format!("1.{minor}.0")));
        assert!(is_recent("1.100.2"));
        assert!(!is_recent(&format!("1.{}.9", minor - 1)));
        assert!(!is_recent("1.9.0"));
        assert!(!is_recent("0.99.0"));
        assert!(!is_recent("2.0.0"));
        assert!(!is_recent("nightly"));
    }
}
