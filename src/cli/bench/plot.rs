//! The figures as a picture: the real-time factor by steps, and the times to first audio.

use std::path::Path;

use plotters::prelude::*;

use super::report::Report;
use crate::cli::canvas::{Area, Drawn, rectangle, text, text_width, ticks, unwritten, write};
use crate::cli::error::CliError;
use crate::text::counted;

/// Pixels of one chart's field, and of what surrounds it.
const FIELD: (i32, i32) = (440, 360);
const LEFT: i32 = 90;
/// Room for the legend.
const RIGHT: i32 = 310;
const TOP: i32 = 40;
const BOTTOM: i32 = 64;
/// Pixels from line to line of a legend.
const LINE: i32 = 20;
/// How much of an axis lies beyond the greatest value.
const ROOM: f64 = 1.08;
/// Colours of the lines, which begin again after the last.
const COLOURS: [RGBColor; 6] = [
    RGBColor(31, 90, 160),
    RGBColor(200, 80, 20),
    RGBColor(40, 130, 70),
    RGBColor(150, 50, 130),
    RGBColor(110, 110, 110),
    RGBColor(0, 0, 0),
];

/// Lines over two axes that begin at 0.
struct Chart {
    title: &'static str,
    x: &'static str,
    series: Vec<Series>,
    /// The end of the upper axis; the greatest value and some room where there is none.
    top: Option<f64>,
}

struct Series {
    name: String,
    points: Vec<(f64, f64)>,
    dots: bool,
}

/// Draws both charts into the file at `path`, which ends in `.png`.
pub(super) fn draw(report: &Report, path: &Path) -> Result<(), CliError> {
    try_draw(report, path).map_err(|reason| unwritten(path, reason))
}

fn try_draw(report: &Report, path: &Path) -> Drawn {
    let (width, height) = (LEFT + FIELD.0 + RIGHT, TOP + FIELD.1 + BOTTOM);
    let area = BitMapBackend::new(path, (2 * width as u32, height as u32)).into_drawing_area();
    area.fill(&WHITE).map_err(text)?;
    for (chart, left) in [(factors(report), 0), (latencies(report), width)] {
        chart.paint(&area, left + LEFT)?;
    }
    area.present().map_err(text)
}

/// A line for each number of threads.
fn factors(report: &Report) -> Chart {
    let mut counts: Vec<usize> = report.rows.iter().map(|row| row.threads).collect();
    counts.sort_unstable();
    counts.dedup();
    let line = |threads: usize| {
        let rows = report.rows.iter().filter(|row| row.threads == threads);
        let mut points: Vec<(f64, f64)> = rows
            .map(|row| (row.steps as f64, row.real_time_factor.median))
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Series {
            name: counted(threads, "thread"),
            points,
            dots: true,
        }
    };
    Chart {
        title: "real-time factor",
        x: "steps",
        series: counts.into_iter().map(line).collect(),
        top: None,
    }
}

/// For each number of steps, the share of streams that were heard within a time, alone; and beside as many others as could be sustained.
fn latencies(report: &Report) -> Chart {
    let threads = report.rows.iter().map(|row| row.threads).max();
    let rows = report
        .rows
        .iter()
        .filter(|row| Some(row.threads) == threads);
    let mut series: Vec<Series> = rows
        .map(|row| {
            let name = format!("{}, alone", counted(row.steps, "step"));
            shares(name, &row.first_audio_ms.all)
        })
        .collect();
    series.extend(report.streams.iter().filter_map(|streams| {
        let count = streams.sustained?;
        let steps = counted(streams.steps, "step");
        let name = format!("{steps}, {}", counted(count as usize, "stream"));
        Some(shares(name, &streams.first_audios))
    }));
    Chart {
        title: "first audio, % of streams within",
        x: "ms",
        series,
        top: Some(100.0),
    }
}

/// The cumulative distribution of ascending values, in percent.
fn shares(name: String, ascending: &[f64]) -> Series {
    let count = ascending.len().max(1) as f64;
    let mut points: Vec<(f64, f64)> = ascending.first().map(|&x| (x, 0.0)).into_iter().collect();
    for (index, &value) in ascending.iter().enumerate() {
        points.push((value, 100.0 * (index + 1) as f64 / count));
    }
    Series {
        name,
        points,
        dots: false,
    }
}

impl Chart {
    /// Draws the chart with the left end of its field at `left`.
    fn paint(&self, area: &Area<'_>, left: i32) -> Drawn {
        let end = |axis: fn(&(f64, f64)) -> f64| {
            let points = self.series.iter().flat_map(|line| &line.points);
            (ROOM * points.map(axis).fold(0.0, f64::max)).max(f64::MIN_POSITIVE)
        };
        let (right, top) = (end(|p| p.0), self.top.unwrap_or_else(|| end(|p| p.1)));
        let place = |(x, y): (f64, f64)| {
            (
                left + (x / right * f64::from(FIELD.0)) as i32,
                TOP + FIELD.1 - (y / top * f64::from(FIELD.1)) as i32,
            )
        };
        write(area, (left, 14), self.title)?;
        axes(area, left, (right, top), &place)?;
        let width = text_width(area, self.x)?;
        let unit = (left + (FIELD.0 - width) / 2, TOP + FIELD.1 + 34);
        write(area, unit, self.x)?;
        for (index, line) in self.series.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let style = colour.stroke_width(2);
            let points: Vec<(i32, i32)> = line.points.iter().map(|&point| place(point)).collect();
            if line.dots {
                for &point in &points {
                    let dot = Circle::new(point, 4, colour.filled());
                    area.draw(&dot).map_err(text)?;
                }
            }
            area.draw(&PathElement::new(points, style)).map_err(text)?;
            let at = (left + FIELD.0 + 16, TOP + 12 + LINE * index as i32);
            let stroke = vec![(at.0, at.1 + 7), (at.0 + 28, at.1 + 7)];
            area.draw(&PathElement::new(stroke, style)).map_err(text)?;
            write(area, (at.0 + 36, at.1), &line.name)?;
        }
        Ok(())
    }
}

/// Both axes with their numbers, and a pale line at each.
fn axes(
    area: &Area<'_>,
    left: i32,
    (right, top): (f64, f64),
    place: &dyn Fn((f64, f64)) -> (i32, i32),
) -> Drawn {
    let pale = RGBColor(225, 225, 225);
    let bottom = TOP + FIELD.1;
    for (value, label) in ticks(right, 6) {
        let (x, _) = place((value, 0.0));
        rectangle(area, (x, TOP), (1, FIELD.1), pale)?;
        let width = text_width(area, &label)?;
        write(area, (x - width / 2, bottom + 10), &label)?;
    }
    for (value, label) in ticks(top, 6) {
        let (_, y) = place((0.0, value));
        rectangle(area, (left, y), (FIELD.0, 1), pale)?;
        let width = text_width(area, &label)?;
        write(area, (left - 10 - width, y - 7), &label)?;
    }
    rectangle(area, (left, TOP), (1, FIELD.1), BLACK)?;
    rectangle(area, (left, bottom), (FIELD.0, 1), BLACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_rise_to_all() {
        let series = shares("a".to_owned(), &[1.0, 2.0, 4.0, 8.0]);
        let expected = [
            (1.0, 0.0),
            (1.0, 25.0),
            (2.0, 50.0),
            (4.0, 75.0),
            (8.0, 100.0),
        ];
        assert_eq!(series.points, expected);
        assert!(shares("none".to_owned(), &[]).points.is_empty());
    }

    #[test]
    fn a_chart_shows_its_lines() {
        let chart = Chart {
            title: "real-time factor",
            x: "steps",
            series: vec![Series {
                name: "1 thread".to_owned(),
                points: vec![(1.0, 0.1), (2.0, 0.2)],
                dots: true,
            }],
            top: None,
        };
        let (width, height) = (
            (LEFT + FIELD.0 + RIGHT) as u32,
            (TOP + FIELD.1 + BOTTOM) as u32,
        );
        let mut pixels = vec![255; (3 * width * height) as usize];
        let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        chart.paint(&area, LEFT).unwrap();
        drop(area);
        let RGBColor(r, g, b) = COLOURS[0];
        let (x, y) = (
            LEFT + (f64::from(FIELD.0) / ROOM) as i32,
            TOP + FIELD.1 - (f64::from(FIELD.1) / ROOM) as i32,
        );
        let at = 3 * (y * width as i32 + x) as usize;
        assert_eq!(pixels[at..at + 3], [r, g, b]);
    }
}
