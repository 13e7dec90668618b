//! Functions of whole slices, several numbers at a time.

use wide::f32x8;

/// Replaces every value by its exponential.
pub(super) fn exp(values: &mut [f32]) {
    apply(values, f32x8::exp);
}

/// Replaces every value by its natural logarithm.
pub(crate) fn ln(values: &mut [f32]) {
    apply(values, f32x8::ln);
}

/// The sum of the products of `a` with as many values of `b`, in eight sums side by side.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (left, left_rest) = a.as_chunks::<8>();
    let (right, right_rest) = b[..a.len()].as_chunks::<8>();
    let sums = left.iter().zip(right).fold(f32x8::ZERO, |sums, (a, b)| {
        sums + f32x8::from(*a) * f32x8::from(*b)
    });
    let rest = left_rest.iter().zip(right_rest).map(|(a, b)| a * b);
    sums.reduce_add() + rest.sum::<f32>()
}

/// A value's result does not depend on its place or on its neighbours.
fn apply(values: &mut [f32], function: impl Fn(f32x8) -> f32x8) {
    let (blocks, rest) = values.as_chunks_mut::<8>();
    for block in blocks {
        *block = function(f32x8::from(*block)).to_array();
    }
    let mut last = [1.0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let last = function(f32x8::from(last)).to_array();
    rest.copy_from_slice(&last[..rest.len()]);
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
    fn a_dot_product_of_any_length_is_the_sum_of_the_products() {
        let values: Vec<f32> = (0..40).map(|n| (n % 7) as f32 - 2.5).collect();
        for length in 0..30 {
            let (a, b) = (&values[..length], &values[3..]);
            let expected: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
            assert_eq!(dot(a, b), expected, "{length}");
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
