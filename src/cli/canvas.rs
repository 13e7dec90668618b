//! What pictures are drawn with. Text is drawn from a small font of our own, so that no font of the system is needed.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::error::CliError;
use super::output::Target;

/// Pixels that each dot of the font takes.
const DOT: i32 = 2;

pub(super) type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
pub(super) type Drawn = Result<(), String>;

/// Finds out before any work whether a picture can be written to the file of `--plot`.
///
/// # Errors
/// [`CliError::Usage`] where the name does not end in `.png`, and those of [`Target::check`].
pub(super) fn check_plot(path: &Path, force: bool) -> Result<(), CliError> {
    let png = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("png"));
    if !png {
        return Err(CliError::usage(format!(
            "--plot {}: the picture is a PNG, so the name must end in .png",
            path.display()
        )));
    }
    Target::File(path.to_owned()).check(force)
}

/// A picture that could not be drawn into its file.
pub(super) fn unwritten(path: &Path, reason: String) -> CliError {
    CliError::write(path.display().to_string(), std::io::Error::other(reason))
}

pub(super) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Pixel by pixel: of a rectangle that is one pixel wide or high, plotters draws nothing.
pub(super) fn rectangle(
    area: &Area<'_>,
    at: (i32, i32),
    size: (i32, i32),
    colour: RGBColor,
) -> Drawn {
    for y in at.1..at.1 + size.1 {
        for x in at.0..at.0 + size.0 {
            area.draw_pixel((x, y), &colour).map_err(text)?;
        }
    }
    Ok(())
}

/// About `count` round numbers from 0 to `end`, with their labels.
pub(super) fn ticks(end: f64, count: i32) -> Vec<(f64, String)> {
    let rough = end / f64::from(count);
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|m| m * power)
        .find(|&step| step >= rough)
        .unwrap_or(rough);
    let decimals = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
    (0..)
        .map(|i| f64::from(i) * step)
        .take_while(|&value| value <= end * 1.000_001)
        .map(|value| (value, format!("{value:.decimals$}")))
        .collect()
}

pub(super) fn text_width(label: &str) -> i32 {
    label.chars().count() as i32 * 6 * DOT - DOT
}

/// Writes `label` with its upper left corner at `at`; characters that the font lacks are left blank.
pub(super) fn write(area: &Area<'_>, at: (i32, i32), label: &str) -> Drawn {
    for (i, letter) in label.chars().enumerate() {
        let left = at.0 + i as i32 * 6 * DOT;
        for (row, bits) in glyph(letter).into_iter().enumerate() {
            for column in 0..5 {
                if bits >> (4 - column) & 1 == 1 {
                    let corner = (left + column * DOT, at.1 + row as i32 * DOT);
                    rectangle(area, corner, (DOT, DOT), BLACK)?;
                }
            }
        }
    }
    Ok(())
}

/// Seven rows of five dots, the leftmost in bit 4.
fn glyph(letter: char) -> [u8; 7] {
    match letter {
        '0' => [0x0e, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0e],
        '1' => [0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e],
        '2' => [0x0e, 0x11, 0x01, 0x06, 0x08, 0x10, 0x1f],
        '3' => [0x1f, 0x02, 0x04, 0x02, 0x01, 0x11, 0x0e],
        '4' => [0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02],
        '5' => [0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e],
        '6' => [0x06, 0x08, 0x10, 0x1e, 0x11, 0x11, 0x0e],
        '7' => [0x1f, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08],
        '8' => [0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e],
        '9' => [0x0e, 0x11, 0x11, 0x0f, 0x01, 0x02, 0x0c],
        '%' => [0x18, 0x19, 0x02, 0x04, 0x08, 0x13, 0x03],
        ',' => [0x00, 0x00, 0x00, 0x00, 0x0c, 0x04, 0x08],
        '-' => [0x00, 0x00, 0x00, 0x1f, 0x00, 0x00, 0x00],
        '.' => [0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x0c],
        'B' => [0x1e, 0x11, 0x11, 0x1e, 0x11, 0x11, 0x1e],
        'H' => [0x11, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11],
        'a' => [0x00, 0x00, 0x0e, 0x01, 0x0f, 0x11, 0x0f],
        'b' => [0x10, 0x10, 0x16, 0x19, 0x11, 0x11, 0x1e],
        'c' => [0x00, 0x00, 0x0e, 0x10, 0x10, 0x11, 0x0e],
        'd' => [0x01, 0x01, 0x0d, 0x13, 0x11, 0x11, 0x0f],
        'e' => [0x00, 0x00, 0x0e, 0x11, 0x1f, 0x10, 0x0e],
        'f' => [0x06, 0x09, 0x08, 0x1c, 0x08, 0x08, 0x08],
        'g' => [0x00, 0x0f, 0x11, 0x11, 0x0f, 0x01, 0x0e],
        'h' => [0x10, 0x10, 0x16, 0x19, 0x11, 0x11, 0x11],
        'i' => [0x04, 0x00, 0x0c, 0x04, 0x04, 0x04, 0x0e],
        'j' => [0x02, 0x00, 0x06, 0x02, 0x02, 0x12, 0x0c],
        'k' => [0x10, 0x10, 0x12, 0x14, 0x18, 0x14, 0x12],
        'l' => [0x0c, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0e],
        'm' => [0x00, 0x00, 0x1a, 0x15, 0x15, 0x15, 0x15],
        'n' => [0x00, 0x00, 0x16, 0x19, 0x11, 0x11, 0x11],
        'o' => [0x00, 0x00, 0x0e, 0x11, 0x11, 0x11, 0x0e],
        'p' => [0x00, 0x00, 0x1e, 0x11, 0x1e, 0x10, 0x10],
        'q' => [0x00, 0x00, 0x0d, 0x13, 0x0f, 0x01, 0x01],
        'r' => [0x00, 0x00, 0x16, 0x19, 0x10, 0x10, 0x10],
        's' => [0x00, 0x00, 0x0e, 0x10, 0x0e, 0x01, 0x1e],
        't' => [0x08, 0x08, 0x1c, 0x08, 0x08, 0x09, 0x06],
        'u' => [0x00, 0x00, 0x11, 0x11, 0x11, 0x13, 0x0d],
        'v' => [0x00, 0x00, 0x11, 0x11, 0x11, 0x0a, 0x04],
        'w' => [0x00, 0x00, 0x11, 0x11, 0x15, 0x15, 0x0a],
        'x' => [0x00, 0x00, 0x11, 0x0a, 0x04, 0x0a, 0x11],
        'y' => [0x00, 0x00, 0x11, 0x11, 0x0f, 0x01, 0x0e],
        'z' => [0x00, 0x00, 0x1f, 0x02, 0x04, 0x08, 0x1f],
        _ => [0; 7],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_axis() {
        let labels = |end, count| -> Vec<String> {
            ticks(end, count)
                .into_iter()
                .map(|(_, label)| label)
                .collect()
        };
        assert_eq!(labels(11.025, 6), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(labels(1.0, 5), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(
            labels(80.0, 8),
            ["0", "10", "20", "30", "40", "50", "60", "70", "80"]
        );
    }

    #[test]
    fn every_letter_of_the_pictures_is_in_the_font() {
        for letter in "abcdefghijklmnopqrstuvwxyz0123456789.,-%HzdB".chars() {
            assert_ne!(glyph(letter), [0; 7], "{letter}");
        }
    }
}
