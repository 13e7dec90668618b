//! What the operators compute, on slices. Compiled for several processors, the best being taken at run time; the numbers are the same on all.

use multiversion::multiversion;

/// The zero point of 8-bit integers.
const ZERO: u8 = 128;
/// The integer of a gated product of 1, counted from the zero point.
const LEVELS: f32 = 127.0;
/// Adding it rounds a number of less than 22 bits to the nearest integer, halves to even, and leaves that in the lowest bits.
const ROUND: f32 = 12_582_912.0;
/// Beyond this, [`tanh_ratio`] would leave -1 to 1.
const TANH_END: f32 = 4.8;

/// `sigmoid(u[..c] + bias[..c]) * tanh(u[c..] + bias[c..])` of each row `[2c]` of `u`, in integers. Every `steps` rows have one bias, the first
/// `[2c]` of `biases`, and the next ones another, `stride` after it.
#[multiversion(targets = "simd")]
pub(super) fn gate(
    u: &[f32],
    biases: &[f32],
    stride: usize,
    steps: usize,
    channels: usize,
    gated: &mut [u8],
) {
    let width = 2 * channels;
    // Plain loops: short iterators take longer to make than to run.
    for row in 0..gated.len() / channels {
        let (opening, content) = u[row * width..][..width].split_at(channels);
        let bias = &biases[row / steps * stride..][..width];
        let (opening_bias, content_bias) = bias.split_at(channels);
        let gated = &mut gated[row * channels..][..channels];
        for c in 0..channels {
            let opening = opening[c] + opening_bias[c];
            let content = content[c] + content_bias[c];
            gated[c] = integer(sigmoid_tanh(opening, content) * LEVELS);
        }
    }
}

/// `values * scale` in integers.
#[multiversion(targets = "simd")]
pub(super) fn quantise(values: &[f32], scale: f32, integers: &mut [u8]) {
    for (level, value) in integers.iter_mut().zip(values) {
        *level = integer((value * scale).clamp(-128.0, 127.0));
    }
}

/// `a + b`, and that times `scale` in integers.
#[multiversion(targets = "simd")]
pub(super) fn add_quantise(a: &[f32], b: &[f32], scale: f32, sum: &mut [f32], integers: &mut [u8]) {
    let pairs = a.iter().zip(b);
    for ((sum, level), (a, b)) in sum.iter_mut().zip(integers).zip(pairs) {
        *sum = a + b;
        *level = integer((*sum * scale).clamp(-128.0, 127.0));
    }
}

/// The rows of a window `dilation` earlier, now and later, side by side; zero outside of the window.
pub(super) fn lay_out(rows: &[u8], channels: usize, dilation: usize, taps: &mut [u8]) {
    let count = rows.len() / channels;
    let row = |index: usize| &rows[index * channels..][..channels];
    for (index, taps) in taps.chunks_exact_mut(3 * channels).enumerate() {
        let (earlier, rest) = taps.split_at_mut(channels);
        let (now, later) = rest.split_at_mut(channels);
        match index.checked_sub(dilation) {
            Some(index) => earlier.copy_from_slice(row(index)),
            None => earlier.fill(ZERO),
        }
        now.copy_from_slice(row(index));
        match index + dilation {
            index if index < count => later.copy_from_slice(row(index)),
            _ => later.fill(ZERO),
        }
    }
}

/// The integer nearest to `level`, -128 to 127.
#[inline(always)]
fn integer(level: f32) -> u8 {
    ((level + ROUND).to_bits() as u8).wrapping_add(ZERO)
}

#[inline(always)]
fn sigmoid_tanh(opening: f32, content: f32) -> f32 {
    // sigmoid(x) = (1 + tanh(x / 2)) / 2, and one division does for both.
    let (a, b) = tanh_ratio(0.5 * opening);
    let (c, d) = tanh_ratio(content);
    0.5 * (b + a) * c / (b * d)
}

/// Numerator and denominator of tanh: Lambert's continued fraction to the seventh power, within 8e-5.
#[inline(always)]
fn tanh_ratio(x: f32) -> (f32, f32) {
    let x = x.clamp(-TANH_END, TANH_END);
    let s = x * x;
    let numerator = x * (135_135.0 + s * (17_325.0 + s * (378.0 + s)));
    let denominator = 135_135.0 + s * (62_370.0 + s * (3_150.0 + s * 28.0));
    (numerator, denominator)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn level(value: f32) -> u8 {
        (value.round_ties_even().clamp(-128.0, 127.0) as i32 + 128) as u8
    }

    proptest! {
        #[test]
        fn the_gate_is_that_of_the_standard_functions(opening in -30f32..30.0, content in -30f32..30.0) {
            let expected = 1.0 / (1.0 + (-opening).exp()) * content.tanh();
            prop_assert!((sigmoid_tanh(opening, content) - expected).abs() < 1.3e-4);
        }

        #[test]
        fn integers_are_the_nearest_ones(values in prop::collection::vec(-200f32..200.0, 0..70), scale in 0.1f32..3.0) {
            let mut found = vec![0; values.len()];
            quantise(&values, scale, &mut found);
            let expected: Vec<u8> = values.iter().map(|v| level(v * scale)).collect();
            prop_assert_eq!(&found, &expected);
            let (mut sum, mut found) = (vec![0.0; values.len()], vec![0; values.len()]);
            add_quantise(&values, &values, 0.5 * scale, &mut sum, &mut found);
            prop_assert_eq!(found, expected);
            prop_assert!(sum.iter().zip(&values).all(|(sum, v)| *sum == v + v));
        }
    }

    #[test]
    fn halves_go_to_the_even_integer() {
        let mut found = [0; 4];
        quantise(&[0.5, 1.5, -0.5, -1.5], 1.0, &mut found);
        assert_eq!(found, [128, 130, 128, 126]);
    }

    #[test]
    fn each_frame_has_its_bias() {
        // Two frames of two steps, one channel: a wide open gate, and contents of -9, 0 and 9.
        let u = [0.0, 0.0, 0.0, 9.0, 0.0, -9.0, 0.0, 0.0];
        let mut found = [0; 4];
        // One layer more on either side.
        let biases = [1.0, 1.0, 9.0, 0.0, 2.0, 2.0, 1.0, 1.0, 9.0, 9.0, 2.0, 2.0];
        gate(&u, &biases[2..], 6, 2, 1, &mut found);
        assert_eq!(found, [128, 255, 128, 255]);
    }

    #[test]
    fn taps_lie_side_by_side() {
        let mut found = [0; 18];
        lay_out(&[1, 2, 3, 4, 5, 6], 2, 1, &mut found);
        let z = ZERO;
        let expected = [z, z, 1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 3, 4, 5, 6, z, z];
        assert_eq!(found, expected);
        lay_out(&[1, 2, 3, 4, 5, 6], 2, 3, &mut found);
        assert_eq!(found[..6], [z, z, 1, 2, z, z]);
    }
}
