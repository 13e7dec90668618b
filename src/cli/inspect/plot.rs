//! Pictures of spectrograms.

use std::path::Path;

use ndarray::{Array2, s};
use plotters::prelude::*;
use plotters::style::colors::colormaps::ColorMap;

use crate::cli::canvas::{Area, Drawn, rectangle, text, text_width, ticks, unwritten, write};
use crate::cli::error::CliError;

/// Columns of values that one picture shows at most; more are pooled.
pub(super) const MAX_COLUMNS: usize = 1600;
const MAX_ROWS: usize = 520;
const MIN_WIDTH: usize = 480;
const MIN_HEIGHT: usize = 320;
const LEFT: usize = 66;
const RIGHT: usize = 90;
/// Room for the title.
const TOP: usize = 36;
/// Room for the numbers and the unit of the axis.
const BOTTOM: usize = 48;

/// One axis, from 0 to `end`.
pub(super) struct Axis {
    pub(super) end: f64,
    pub(super) unit: &'static str,
}

/// A matrix as a picture: row 0 at the bottom, column 0 on the left.
pub(super) struct Picture {
    pub(super) values: Array2<f32>,
    /// Values shown darkest and brightest.
    pub(super) range: (f32, f32),
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// What the values are measured in.
    pub(super) unit: &'static str,
}

impl Picture {
    /// Draws into the file at `path`, which ends in `.png`, under the title.
    pub(super) fn draw(&self, title: &str, path: &Path) -> Result<(), CliError> {
        self.try_draw(title, path)
            .map_err(|reason| unwritten(path, reason))
    }

    fn try_draw(&self, title: &str, path: &Path) -> Drawn {
        let pooled = pool(&self.values);
        let area = BitMapBackend::new(path, size(&pooled)).into_drawing_area();
        self.paint(&pooled, &area)?;
        write(&area, (LEFT as i32, 10), title)?;
        area.present().map_err(text)
    }

    fn paint(&self, pooled: &Array2<f32>, area: &Area<'_>) -> Drawn {
        let (rows, _) = pooled.dim();
        let (across, up) = cell(pooled);
        let (width, height) = (pooled.ncols() * across, rows * up);
        area.fill(&WHITE).map_err(text)?;
        let (low, high) = self.range;
        let span = (high - low).max(f32::EPSILON);
        for ((row, column), value) in pooled.indexed_iter() {
            let colour = shade((value - low) / span);
            let left = (LEFT + column * across) as i32;
            let top = (TOP + (rows - 1 - row) * up) as i32;
            rectangle(area, (left, top), (across as i32, up as i32), colour)?;
        }
        self.draw_axes(area, width as i32, height as i32)?;
        self.draw_scale(area, width as i32, height as i32)
    }

    fn draw_axes(&self, area: &Area<'_>, width: i32, height: i32) -> Drawn {
        let (left, bottom) = (LEFT as i32, TOP as i32 + height);
        for (value, label) in ticks(self.x.end, (width / 90).max(2)) {
            let x = left + (value / self.x.end * f64::from(width)) as i32;
            rectangle(area, (x, bottom), (1, 5), BLACK)?;
            let width = text_width(area, &label)?;
            write(area, (x - width / 2, bottom + 8), &label)?;
        }
        for (value, label) in ticks(self.y.end, (height / 50).max(2)) {
            let y = bottom - (value / self.y.end * f64::from(height)) as i32;
            rectangle(area, (left - 5, y), (5, 1), BLACK)?;
            let width = text_width(area, &label)?;
            write(area, (left - 8 - width, y - 7), &label)?;
        }
        let of_x = text_width(area, self.x.unit)?;
        write(area, (left + (width - of_x) / 2, bottom + 27), self.x.unit)?;
        let of_y = text_width(area, self.y.unit)?;
        write(area, (left - 8 - of_y, TOP as i32 - 26), self.y.unit)
    }

    fn draw_scale(&self, area: &Area<'_>, width: i32, height: i32) -> Drawn {
        let (left, top) = (LEFT as i32 + width + 14, TOP as i32);
        for y in 0..height {
            let share = 1.0 - y as f32 / height as f32;
            rectangle(area, (left, top + y), (12, 1), shade(share))?;
        }
        let (low, high) = self.range;
        for (value, y) in [(high, top), (low, top + height - 14)] {
            write(area, (left + 16, y), &format!("{value:.0}"))?;
        }
        write(area, (left, TOP as i32 - 26), self.unit)
    }
}

/// Pixels of a value, across and up.
fn cell(pooled: &Array2<f32>) -> (usize, usize) {
    let (rows, columns) = pooled.dim();
    (
        MIN_WIDTH.div_ceil(columns).max(1),
        MIN_HEIGHT.div_ceil(rows).max(1),
    )
}

/// Pixels of the whole picture.
fn size(pooled: &Array2<f32>) -> (u32, u32) {
    let (rows, columns) = pooled.dim();
    let (across, up) = cell(pooled);
    (
        (LEFT + columns * across + RIGHT) as u32,
        (TOP + rows * up + BOTTOM) as u32,
    )
}

fn shade(share: f32) -> RGBColor {
    ViridisRGB.get_color(share.clamp(0.0, 1.0))
}

/// The largest of every group of neighbours, so that at most [`MAX_ROWS`] x [`MAX_COLUMNS`] values are left.
fn pool(values: &Array2<f32>) -> Array2<f32> {
    let (rows, columns) = values.dim();
    let (tall, wide) = (rows.div_ceil(MAX_ROWS), columns.div_ceil(MAX_COLUMNS));
    Array2::from_shape_fn((rows.div_ceil(tall), columns.div_ceil(wide)), |(r, c)| {
        let end = (((r + 1) * tall).min(rows), ((c + 1) * wide).min(columns));
        values
            .slice(s![r * tall..end.0, c * wide..end.1])
            .iter()
            .copied()
            .fold(f32::NEG_INFINITY, f32::max)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every value has its colour, in cells of one pixel and of many.
    #[test]
    fn every_value_is_painted() {
        for (rows, columns) in [(400, 500), (2, 3), (80, 364)] {
            let values = Array2::from_shape_fn((rows, columns), |(r, c)| ((r + c) % 2) as f32);
            let axis = |end| Axis { end, unit: "s" };
            let picture = Picture {
                values: values.clone(),
                range: (0.0, 1.0),
                x: axis(1.0),
                y: axis(1.0),
                unit: "dB",
            };
            let (width, height) = size(&values);
            let mut pixels = vec![0; (3 * width * height) as usize];
            let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
            picture.paint(&values, &area).unwrap();
            drop(area);
            let (across, up) = cell(&values);
            for ((row, column), value) in values.indexed_iter() {
                let (x, y) = (LEFT + column * across, TOP + (rows - 1 - row) * up);
                for (x, y) in [(x, y), (x + across - 1, y + up - 1)] {
                    let at = 3 * (y * width as usize + x);
                    let RGBColor(r, g, b) = shade(*value);
                    assert_eq!(pixels[at..at + 3], [r, g, b], "{rows}, {row}, {column}");
                }
            }
        }
    }

    #[test]
    fn pooling_keeps_the_peaks_and_bounds_the_size() {
        let mut values = Array2::zeros((3, 4 * MAX_COLUMNS + 1));
        values[(1, 4 * MAX_COLUMNS)] = 7.0;
        let pooled = pool(&values);
        assert!(pooled.ncols() <= MAX_COLUMNS && pooled.nrows() == 3);
        assert_eq!(pooled[(1, pooled.ncols() - 1)], 7.0);
    }
}
