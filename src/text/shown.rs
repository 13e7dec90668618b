//! What people are shown of texts: on a terminal, in a log, in a message.

use std::borrow::Cow;
use std::error::Error;

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

#[cfg(test)]
mod tests {
    use super::{on_terminal, visible};

    #[test]
    fn what_a_terminal_would_act_on_is_shown() {
        assert_eq!(visible("a b\u{e9}"), "a b\u{e9}");
        assert_eq!(
            visible("a\u{1b}[2Jb\nc\u{9b}d\u{202e}e"),
            r"a\u{1b}[2Jb\nc\u{9b}d\u{202e}e"
        );
        assert_eq!(on_terminal("a\u{1b}\tb\n\u{202e}"), "a\\u001b\tb\n\\u202e");
    }
}
