//! How much a stretch of whitened cells speaks for the watermark of a key.

use crate::dsp::mark::{BANDS, CODE_BITS, PERIOD, Pattern};

/// Cells of a pattern.
const CELLS: usize = PERIOD * BANDS;
/// Strengths that are tried: how far a cell is moved, in standard deviations. A clean copy has 0.25, one at a low bit rate 0.08.
const STRENGTHS: [f64; 4] = [0.05, 0.1, 0.2, 0.35];

/// A key's pattern, twice in a row: any beginning of it is one stretch.
pub(super) struct Template {
    /// The signs of the pilot; zero elsewhere.
    pilot: Vec<f32>,
    /// 1 in the pilot; zero elsewhere.
    mask: Vec<f32>,
    signs: Vec<f32>,
    owners: Vec<u8>,
}

impl Template {
    pub fn new(pattern: &Pattern) -> Template {
        let twice = |n: usize| n % CELLS;
        let is_pilot = |n: usize| pattern.owners[twice(n)] == Pattern::PILOT;
        let of = |value: &dyn Fn(usize) -> f32| (0..2 * CELLS).map(value).collect();
        Template {
            pilot: of(&|n| {
                if is_pilot(n) {
                    pattern.signs[twice(n)]
                } else {
                    0.0
                }
            }),
            mask: of(&|n| f32::from(u8::from(is_pilot(n)))),
            signs: of(&|n| pattern.signs[twice(n)]),
            owners: (0..2 * CELLS).map(|n| pattern.owners[twice(n)]).collect(),
        }
    }
}

/// Cells of a stretch, those a period apart added up.
pub(super) struct Folded {
    values: Vec<f32>,
    squares: Vec<f32>,
    /// How many times each column of a period occurs.
    times: Vec<f64>,
}

impl Folded {
    /// Of cells `[columns, BANDS]`.
    pub fn new(cells: &[f32]) -> Folded {
        let mut values = vec![0.0; cells.len().min(CELLS)];
        for period in cells.chunks(CELLS) {
            for (sum, value) in values.iter_mut().zip(period) {
                *sum += value;
            }
        }
        let columns = cells.len() / BANDS;
        Folded {
            squares: values.iter().map(|v| v * v).collect(),
            times: (0..values.len() / BANDS)
                .map(|column| (columns - column).div_ceil(PERIOD) as f64)
                .collect(),
            values,
        }
    }

    /// The pilot's sum where the stretch begins with column `shift` of the pattern, over the root of its squares: about normal by chance.
    pub fn pilot(&self, template: &Template, shift: usize) -> f32 {
        let at = shift * BANDS;
        let sum = dot(&self.values, &template.pilot[at..]);
        let power = dot(&self.squares, &template.mask[at..]);
        if power > 0.0 { sum / power.sqrt() } else { 0.0 }
    }

    /// All that the stretch says, beginning so.
    pub fn read(&self, template: &Template, shift: usize) -> Reading {
        let at = shift * BANDS;
        let (mut sums, mut powers, mut counts) = (
            [0.0; CODE_BITS + 1],
            [0.0; CODE_BITS + 1],
            [0.0; CODE_BITS + 1],
        );
        let pattern = template.signs[at..].iter().zip(&template.owners[at..]);
        for (n, (value, (sign, owner))) in self.values.iter().zip(pattern).enumerate() {
            let owner = usize::from(*owner);
            sums[owner] += f64::from(value * sign);
            powers[owner] += f64::from(value * value);
            counts[owner] += self.times[n / BANDS];
        }
        Reading::new(&sums, &powers, &counts)
    }
}

/// The sum of products, as far as `a` goes.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (blocks, rest) = a.as_chunks::<LANES>();
    let (others, _) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (a, b) in blocks.iter().zip(others) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let last = rest
        .iter()
        .zip(&b[a.len() - rest.len()..])
        .map(|(a, b)| a * b);
    sums.iter().sum::<f32>() + last.sum::<f32>()
}

/// What a stretch says under one hypothesis of speed, offset and beginning.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// Natural logarithm of the likelihood ratio, at most 1 in the mean by chance.
    pub ln_ratio: f64,
    /// The bits of the code: positive is a 0, and the surer the larger.
    pub soft: [f32; CODE_BITS],
}

impl Reading {
    fn new(sums: &[f64], powers: &[f64], counts: &[f64]) -> Reading {
        let score = |group: usize| sums[group] / powers[group].sqrt().max(1e-9);
        let ratio = |strength: f64| {
            let mean = |group: usize| strength * counts[group].sqrt();
            let pilot = mean(CODE_BITS) * score(CODE_BITS) - mean(CODE_BITS).powi(2) / 2.0;
            let bits =
                (0..CODE_BITS).map(|bit| ln_cosh(mean(bit) * score(bit)) - mean(bit).powi(2) / 2.0);
            pilot + bits.sum::<f64>()
        };
        Reading {
            ln_ratio: ln_mean_exp(&STRENGTHS.map(ratio)),
            soft: std::array::from_fn(|bit| sums[bit] as f32),
        }
    }
}

fn ln_cosh(x: f64) -> f64 {
    let x = x.abs();
    x + (-2.0 * x).exp().ln_1p() - std::f64::consts::LN_2
}

/// The logarithm of the mean of numbers of which the logarithms are given; that of zero for none.
pub(super) fn ln_mean_exp(logarithms: &[f64]) -> f64 {
    let largest = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    let sum: f64 = logarithms.iter().map(|v| (v - largest).exp()).sum();
    largest + (sum / logarithms.len() as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::mark::Key;

    /// Fair noise: the sums of three draws.
    fn noise(seed: u64, count: usize) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..count).map(|_| next() + next() + next()).collect()
    }

    #[test]
    fn a_ratio_of_audio_without_a_watermark_is_one_at_most_in_the_mean() {
        // The average over keys, for one and the same audio: that is what the probability is about.
        let folded = Folded::new(&noise(1, 100 * BANDS));
        let ratios: Vec<f64> = (0..400u32)
            .map(|n| {
                let key = Key::new(format!("a key of a test {n}").as_bytes()).unwrap();
                folded
                    .read(&Template::new(&Pattern::new(&key)), 17)
                    .ln_ratio
            })
            .collect();
        let mean = ln_mean_exp(&ratios).exp();
        assert!(mean < 1.5, "{mean}");
        let beyond = ratios.iter().filter(|ratio| **ratio > 20f64.ln()).count();
        assert!(beyond <= 20, "{beyond} of 400 at 1 in 20");
    }

    #[test]
    fn a_watermark_is_found_where_it_begins() {
        let pattern = Pattern::new(&Key::public());
        let template = Template::new(&pattern);
        let mut cells = noise(2, 130 * BANDS);
        for (n, cell) in cells.iter_mut().enumerate() {
            // Every bit of the code is a 0, and the pattern begins with its column 40.
            *cell += 0.1 * pattern.signs[(n + 40 * BANDS) % CELLS];
        }
        let folded = Folded::new(&cells);
        let best = (0..PERIOD).max_by(|a, b| {
            folded
                .pilot(&template, *a)
                .total_cmp(&folded.pilot(&template, *b))
        });
        assert_eq!(best, Some(40));
        let reading = folded.read(&template, 40);
        assert!(reading.ln_ratio > 30.0, "{}", reading.ln_ratio);
        assert!(reading.soft.iter().filter(|soft| **soft > 0.0).count() > CODE_BITS * 4 / 5);
        assert!(folded.read(&template, 41).ln_ratio < 3.0);
    }

    #[test]
    fn nothing_says_nothing() {
        let template = Template::new(&Pattern::new(&Key::public()));
        for cells in [vec![], vec![0.0; 30 * BANDS]] {
            let folded = Folded::new(&cells);
            assert_eq!(folded.pilot(&template, 3), 0.0);
            assert!(folded.read(&template, 3).ln_ratio <= 0.0);
        }
        assert_eq!(ln_mean_exp(&[]), f64::NEG_INFINITY);
    }
}
