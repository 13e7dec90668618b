//! Functions of whole slices, several numbers at a time.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

use multiversion::multiversion;

/// Real and imaginary parts of the same bins.
pub(super) type Parts<'a> = (&'a [f32], &'a [f32]);

/// Adding it rounds a number of less than 22 bits to the nearest integer, and leaves that in the lowest bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts, the first of few bits: whole multiples of it are exact.
const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
/// The bits of the exponent of a float begin here.
const MANTISSA_BITS: u32 = 23;

/// Replaces every value by its exponential.
#[multiversion(targets = "simd")]
pub(super) fn exp(values: &mut [f32]) {
    for value in values {
        *value = exp_of(*value);
    }
}

/// Replaces every value, a normal positive number, by its natural logarithm.
#[multiversion(targets = "simd")]
pub(crate) fn ln(values: &mut [f32]) {
    for value in values {
        *value = ln_of(*value);
    }
}

/// Multiplies every value by its factor.
#[multiversion(targets = "simd")]
pub(super) fn multiply(values: &mut [f32], factors: &[f32]) {
    for (value, factor) in values.iter_mut().zip(factors) {
        *value *= factor;
    }
}

/// Adds `values * weights` to `sums`, number by number.
#[multiversion(targets = "simd")]
pub(super) fn add_products(sums: &mut [f32], values: &[f32], weights: &[f32]) {
    for (sum, (value, weight)) in sums.iter_mut().zip(values.iter().zip(weights)) {
        *sum += value * weight;
    }
}

/// Adds `values * weight` to `sums`.
#[multiversion(targets = "simd")]
pub(super) fn add_scaled(sums: &mut [f32], values: &[f32], weight: f32) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += weight * value;
    }
}

/// Writes `re^2 + im^2 + floor`.
#[multiversion(targets = "simd")]
pub(super) fn powers((re, im): Parts<'_>, floor: f32, powers: &mut [f32]) {
    for (power, (re, im)) in powers.iter_mut().zip(re.iter().zip(im)) {
        *power = re * re + im * im + floor;
    }
}

/// `expf` of the Cephes library (Moshier 1992), without branches: a value's result does not depend on its place or on its neighbours, nor on
/// the processor.
#[inline(always)]
fn exp_of(x: f32) -> f32 {
    // Beyond these it is zero, or infinite.
    let x = x.clamp(-104.0, 89.0);
    let rounded = x * LOG2_E + ROUND;
    let whole = rounded - ROUND;
    let r = x - whole * LN_2.0 - whole * LN_2.1;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_6e-1;
    let p = p * r + 0.5;
    let y = p * (r * r) + r + 1.0;
    // In two factors: one alone would leave the range of a float before the result does.
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let half = exponent >> 1;
    let two_to = |n: i32| f32::from_bits((n.wrapping_add(127) << MANTISSA_BITS) as u32);
    y * two_to(half) * two_to(exponent.wrapping_sub(half))
}

/// `logf` of the Cephes library, as [`exp_of`].
#[inline(always)]
fn ln_of(x: f32) -> f32 {
    let bits = x.to_bits();
    // x = mantissa * 2^exponent, the mantissa from sqrt(1/2) to sqrt(2).
    let offset = bits.wrapping_sub(FRAC_1_SQRT_2.to_bits());
    let exponent = (offset as i32 >> MANTISSA_BITS) as f32;
    let mantissa = (offset & ((1 << MANTISSA_BITS) - 1)).wrapping_add(FRAC_1_SQRT_2.to_bits());
    let m = f32::from_bits(mantissa) - 1.0;
    let p = 7.037_683_6e-2;
    let p = p * m - 1.151_461e-1;
    let p = p * m + 1.167_699_84e-1;
    let p = p * m - 1.242_014_1e-1;
    let p = p * m + 1.424_932_3e-1;
    let p = p * m - 1.666_805_7e-1;
    let p = p * m + 2.000_071_4e-1;
    let p = p * m - 2.499_999_4e-1;
    let p = p * m + 3.333_333e-1;
    let square = m * m;
    let y = p * m * square + exponent * LN_2.1 - 0.5 * square;
    let result = m + y + exponent * LN_2.0;
    // NaN and infinity stay what they are.
    if x < f32::INFINITY { result } else { x }
}

/// The first value that is NaN or infinite.
pub(crate) fn first_not_finite(values: &[f32]) -> Option<f32> {
    // No early exit within a block: such a loop is not vectorised.
    let has_other = |block: &&[f32]| !block.iter().fold(true, |all, v| all & v.is_finite());
    let block = values.chunks(256).find(has_other)?;
    block.iter().copied().find(|value| !value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(found: f32, expected: f32) -> bool {
        (found - expected).abs() <= 2e-6 * expected.abs().max(0.1)
    }

    proptest! {
        #[test]
        fn they_are_those_of_the_standard_library(values in prop::collection::vec(-80f32..80.0, 0..40)) {
            let mut found = values.clone();
            exp(&mut found);
            for (found, value) in found.iter().zip(&values) {
                prop_assert!(close(*found, value.exp()), "exp {value}: {found}");
            }
            ln(&mut found);
            for (found, value) in found.iter().zip(&values) {
                prop_assert!((found - value).abs() < 2e-5, "ln exp {value}: {found}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_found() {
        let mut values = vec![1.0; 1000];
        assert_eq!(first_not_finite(&values), None);
        values[999] = f32::NEG_INFINITY;
        assert_eq!(first_not_finite(&values), Some(f32::NEG_INFINITY));
        values[300] = f32::NAN;
        assert!(first_not_finite(&values).is_some_and(f32::is_nan));
    }

    #[test]
    fn the_ends_of_the_range_are_where_they_should_be() {
        let mut values = [-1000.0, -60.0, 0.0, 88.0, 1000.0];
        exp(&mut values);
        assert_eq!((values[0], values[2], values[4]), (0.0, 1.0, f32::INFINITY));
        let mut values = [1e-12, 1.0, 1e30];
        ln(&mut values);
        assert!(close(values[0], 1e-12f32.ln()) && close(values[2], 1e30f32.ln()));
        assert_eq!(values[1], 0.0);
    }
}
