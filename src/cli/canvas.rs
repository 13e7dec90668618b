//! What pictures are drawn with. The font of their text is in the program, so that none of the system is needed.

use std::path::Path;
use std::sync::OnceLock;

use epaint_default_fonts::HACK_REGULAR;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;

use super::error::CliError;
use super::output::Target;

/// The name that the font is registered under.
const FONT: &str = "hack";
/// Height of the text in pixels.
const TEXT_HEIGHT: i32 = 15;

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

/// Pixels from the left edge of a label to its right.
pub(super) fn text_width(area: &Area<'_>, label: &str) -> Result<i32, String> {
    let (width, _) = area.estimate_text_size(label, &style()?).map_err(text)?;
    i32::try_from(width).map_err(text)
}

/// Writes `label` with its upper left corner at `at`.
pub(super) fn write(area: &Area<'_>, at: (i32, i32), label: &str) -> Drawn {
    area.draw_text(label, &style()?, at).map_err(text)
}

fn style() -> Result<TextStyle<'static>, String> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let register = || register_font(FONT, FontStyle::Normal, HACK_REGULAR).is_ok();
    match REGISTERED.get_or_init(register) {
        true => Ok((FONT, TEXT_HEIGHT).into()),
        false => Err("the font of the pictures cannot be read".to_owned()),
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
    fn letters_are_drawn_and_longer_labels_are_wider() {
        let mut pixels = vec![255; 3 * 200 * 30];
        let area = BitMapBackend::with_buffer(&mut pixels, (200, 30)).into_drawing_area();
        let width = |label| text_width(&area, label).unwrap();
        assert!(width("speech.wav") > 2 * width("wav"));
        write(&area, (5, 5), "größe.wav").unwrap();
        drop(area);
        let dark = pixels.iter().filter(|&&value| value < 100).count();
        assert!(dark > 100, "{dark}");
    }
}
