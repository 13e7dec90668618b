//! Changing a manifest in place: comments and order stay as they were.

use toml_edit::{DocumentMut, Item, Value};

use super::{BundleError, Manifest, ScheduleSpec};

/// The text of a manifest with the schedule `name` added or replaced.
///
/// # Errors
/// Those of [`Manifest::from_toml`], before the change and after it: a name or a schedule that the model cannot have.
pub fn with_schedule(text: &str, name: &str, spec: &ScheduleSpec) -> Result<String, BundleError> {
    Manifest::from_toml(text)?;
    let unfit = |reason: String| BundleError::Syntax { reason };
    let mut document: DocumentMut = text
        .parse()
        .map_err(|e: toml_edit::TomlError| unfit(e.to_string()))?;
    // In one line, as they are written by hand.
    let line = toml::Value::try_from(spec).map_err(|e| unfit(e.to_string()))?;
    let line = line.to_string().parse::<Value>();
    let line = line.map_err(|e| unfit(e.to_string()))?;
    document["schedules"]["named"][name] = Item::Value(line);
    let text = document.to_string();
    Manifest::from_toml(&text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = include_str!("../../tests/fixtures/tiny_flow/bundle.toml");

    fn times(times: &[f64]) -> ScheduleSpec {
        ScheduleSpec {
            times: Some(times.to_vec()),
            ..ScheduleSpec::default()
        }
    }

    #[test]
    fn a_schedule_is_added_or_replaced_and_the_rest_stays() {
        let text = MANIFEST.replace("[schedules.named]", "# By hand.\n[schedules.named]");
        let changed = with_schedule(&text, "two", &times(&[0.0, 0.3])).unwrap();
        let expected = text.replace(
            "two = { times = [0.0, 0.4] }",
            "two = { times = [0.0, 0.3] }",
        );
        assert_eq!(changed, expected);
        let added = with_schedule(&text, "steps-3", &times(&[0.0, 0.3, 0.6])).unwrap();
        let manifest = Manifest::from_toml(&added).unwrap();
        assert_eq!(manifest.schedules.named["steps-3"], times(&[0.0, 0.3, 0.6]));
        assert_eq!(manifest.schedules.named.len(), 3);
        assert!(added.contains("# By hand."));
    }

    #[test]
    fn what_the_model_cannot_have_is_refused() {
        for (name, spec) in [
            ("a b", times(&[0.0])),
            ("late", times(&[0.5])),
            ("none", ScheduleSpec::default()),
        ] {
            assert!(with_schedule(MANIFEST, name, &spec).is_err(), "{name}");
        }
        assert!(with_schedule("format = 9", "two", &times(&[0.0])).is_err());
    }
}
