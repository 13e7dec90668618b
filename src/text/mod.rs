//! What messages say of texts from outside: one short line, however long the text.

// The program and the server each need a part of it.
#[cfg(any(feature = "cli", feature = "server"))]
#[cfg_attr(not(all(feature = "cli", feature = "server")), allow(dead_code))]
mod shown;

#[cfg(any(feature = "cli", feature = "server"))]
#[cfg_attr(not(all(feature = "cli", feature = "server")), allow(unused_imports))]
pub(crate) use shown::{counted, on_terminal, visible, with_causes};

/// Longest reason in characters: parsers repeat what they read, which may be a line of a megabyte.
const MAX_REASON: usize = 300;
/// Longest quotation in characters.
const MAX_QUOTED: usize = 80;

/// The text in quotes, cut where it is long, control characters escaped.
pub(crate) fn quoted(text: &str) -> String {
    format!("{:?}", shortened(text, MAX_QUOTED))
}

fn shortened(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().take(most).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown
}

/// `line 3: unknown field ...`, where the parser knows the line of `text`, which is what it parsed.
pub(crate) fn toml_reason(error: &toml::de::Error, text: &str) -> String {
    let mut bare = error.clone();
    // Without the text the parser does not print the offending line.
    bare.set_input(None);
    let words = bare.to_string().trim_end().replace('\n', " ");
    let shown = shortened(&words, MAX_REASON);
    match error.span() {
        Some(span) => {
            let before = text.bytes().take(span.start);
            let line = 1 + before.filter(|byte| *byte == b'\n').count();
            format!("line {line}: {shown}")
        }
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::{quoted, toml_reason};

    #[test]
    fn the_line_is_named_and_never_repeated_in_full() {
        let failure =
            |text: &str| toml_reason(&toml::from_str::<toml::Table>(text).unwrap_err(), text);
        assert_eq!(
            failure("a = 1\nb = [1, 2"),
            "line 2: unclosed array, expected `]`"
        );
        let long = format!("\n\na = [{}\nb = 1", "0.0, ".repeat(10_000));
        assert!(failure(&long).starts_with("line "));
        assert!(failure(&long).len() < 400);
    }

    #[test]
    fn quotations_are_cut_and_escaped() {
        assert_eq!(quoted("a\u{1b}[31m"), r#""a\u{1b}[31m""#);
        assert_eq!(quoted(&"é".repeat(1000)).chars().count(), 85);
    }

    #[test]
    fn a_key_of_any_length_makes_a_short_reason() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(dead_code)]
        struct Known {
            hop: usize,
        }
        let text = format!("hop = 1\n{} = 2", "k".repeat(100_000));
        let found = toml_reason(&toml::from_str::<Known>(&text).unwrap_err(), &text);
        assert!(found.starts_with("line 2: unknown field"), "{found}");
        assert!(found.ends_with("...") && found.len() < 400, "{found}");
    }
}
