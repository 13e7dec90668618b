//! What messages say of texts from outside: one short line, however long the text.

use std::borrow::Cow;
use std::error::Error;

/// Longest reason in characters: parsers repeat what they read, which may be a line of a megabyte.
const MAX_REASON: usize = 300;
/// Longest quotation in characters.
const MAX_QUOTED: usize = 80;

/// The text in quotes, cut where it is long, control characters escaped.
pub(crate) fn quoted(text: &str) -> String {
    format!("{:?}", shortened(text, MAX_QUOTED))
}

/// The text with everything escaped that a terminal would act on instead of showing it: control characters, and those that
/// turn the direction of writing.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().map(|c| match acts(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    });
    Cow::Owned(shown.collect())
}

/// Whole lines with what a terminal would act on escaped as `\\u001b`, a form that JSON has too; ends of lines and tabs stay.
pub(crate) fn on_terminal(lines: &str) -> Cow<'_, str> {
    let harmless = |c: char| matches!(c, '\n' | '\t') || !acts(c);
    if lines.chars().all(harmless) {
        return Cow::Borrowed(lines);
    }
    let shown = lines.chars().map(|c| match harmless(c) {
        true => c.to_string(),
        false => format!("\\u{:04x}", u32::from(c)),
    });
    Cow::Owned(shown.collect())
}

/// Whether a terminal acts on the character: C0, DEL and C1, the marks of bidirectional text (Unicode Standard Annex 9), and the two separators.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// An error with its causes from the outside in, each said once.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let mut text = error.to_string();
    for cause in causes.map(ToString::to_string) {
        if !text.contains(&cause) {
            text += &format!(": {cause}");
        }
    }
    text
}

/// A number and what it counts: `1 step`, `4 steps`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
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
    use super::{on_terminal, quoted, toml_reason, visible};

    #[test]
    fn what_a_terminal_would_act_on_is_shown() {
        assert_eq!(visible("a b\u{e9}"), "a b\u{e9}");
        assert_eq!(
            visible("a\u{1b}[2Jb\nc\u{9b}d\u{202e}e"),
            r"a\u{1b}[2Jb\nc\u{9b}d\u{202e}e"
        );
        assert_eq!(on_terminal("a\u{1b}\tb\n\u{202e}"), "a\\u001b\tb\n\\u202e");
    }

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
