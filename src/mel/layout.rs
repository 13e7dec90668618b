//! Which axis of an array holds the bands of a mel.

use ndarray::{Array2, ArrayD};

use super::{Mel, MelError};

/// Which axis of a matrix holds the bands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Taken from the shape, an error where it fits both ways.
    #[default]
    Auto,
    /// `[n_mels, frames]`.
    BandsFirst,
    /// `[frames, n_mels]`.
    FramesFirst,
}

impl Mel {
    /// Takes values of shape `[n_mels, frames]` or `[frames, n_mels]`, either with further axes of length 1 anywhere. `n_mels` is the number of
    /// bands expected, `None` where any will do.
    ///
    /// # Errors
    /// Those of [`Mel::new`]; [`MelError::Rank`], [`MelError::Batch`], [`MelError::Bands`] and [`MelError::AmbiguousLayout`] for shapes that are
    /// not those of one such mel.
    pub fn arranged(
        values: ArrayD<f32>,
        n_mels: Option<usize>,
        layout: Layout,
    ) -> Result<Mel, MelError> {
        let shape = values.shape().to_vec();
        let (rows, columns) = matrix_shape(&shape)?;
        let bands_first = bands_first(rows, columns, n_mels, layout, &shape)?;
        let matrix: Array2<f32> = values
            .into_shape_clone((rows, columns))
            .map_err(|_| MelError::Rank { shape, hint: "" })?;
        Mel::new(match bands_first {
            true => matrix,
            false => matrix.reversed_axes(),
        })
    }
}

/// The two sides that are left when axes of length 1 are taken off, the leading ones first: `[1, n_mels, F]`, `[F, 1, n_mels]`.
pub(super) fn matrix_shape(shape: &[usize]) -> Result<(usize, usize), MelError> {
    let refuse = |hint: &'static str| {
        Err(MelError::Rank {
            shape: shape.to_vec(),
            hint,
        })
    };
    let mut inner = shape.to_vec();
    while inner.len() > 2
        && let Some(at) = inner.iter().position(|side| *side == 1)
    {
        inner.remove(at);
    }
    match *inner.as_slice() {
        [0, _] | [_, 0] | [0, _, _] => Err(MelError::Empty {
            shape: shape.to_vec(),
        }),
        [rows, columns] => Ok((rows, columns)),
        [count, _, _] => Err(MelError::Batch {
            shape: shape.to_vec(),
            count,
        }),
        [] => refuse(": a single number"),
        [_] => refuse(": is it a waveform? Make a mel from audio with `vocode mel`"),
        _ => refuse(""),
    }
}

/// Whether an array of this shape can be a mel of `n_mels` bands; with [`Layout::Auto`] either side may hold them.
pub fn may_have_bands(shape: &[usize], n_mels: usize, layout: Layout) -> bool {
    let Ok((rows, columns)) = matrix_shape(shape) else {
        return false;
    };
    match layout {
        Layout::Auto => rows == n_mels || columns == n_mels,
        Layout::BandsFirst => rows == n_mels,
        Layout::FramesFirst => columns == n_mels,
    }
}

/// Band counts in common use, for files read without a model.
const COMMON_BANDS: [usize; 9] = [20, 40, 64, 80, 96, 100, 120, 128, 160];

/// Whether a matrix of these sides is `[n_mels, frames]`. `shape` is that of the array, for messages.
pub(super) fn bands_first(
    rows: usize,
    columns: usize,
    n_mels: Option<usize>,
    layout: Layout,
    shape: &[usize],
) -> Result<bool, MelError> {
    let fits = |side: usize| n_mels.map_or(COMMON_BANDS.contains(&side), |n| side == n);
    let wrong = |expected: usize| MelError::Bands {
        expected,
        shape: shape.to_vec(),
    };
    let chosen = match (layout, fits(rows), fits(columns), n_mels) {
        (Layout::BandsFirst, false, _, Some(n)) | (Layout::FramesFirst, _, false, Some(n)) => {
            return Err(wrong(n));
        }
        (Layout::Auto, false, false, Some(n)) => return Err(wrong(n)),
        (Layout::BandsFirst, ..) => true,
        (Layout::FramesFirst, ..) => false,
        (Layout::Auto, true, false, _) => true,
        (Layout::Auto, false, true, _) => false,
        (Layout::Auto, ..) => {
            return Err(MelError::AmbiguousLayout {
                shape: shape.to_vec(),
            });
        }
    };
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, Dimension};

    #[test]
    fn an_array_is_turned_the_way_its_shape_or_its_caller_says() {
        let values = |shape: &[usize]| Array::from_shape_fn(shape, |at| at[at.ndim() - 1] as f32);
        let mel = Mel::arranged(values(&[1, 3, 4]), Some(3), Layout::Auto).unwrap();
        assert_eq!(
            (mel.n_mels(), mel.frames(), mel.view()[(0, 2)]),
            (3, 4, 2.0)
        );
        let mel = Mel::arranged(values(&[4, 3]), Some(3), Layout::Auto).unwrap();
        assert_eq!(
            (mel.n_mels(), mel.frames(), mel.view()[(2, 0)]),
            (3, 4, 2.0)
        );
        let square = |layout| Mel::arranged(values(&[3, 3]), Some(3), layout);
        assert!(matches!(
            square(Layout::Auto),
            Err(MelError::AmbiguousLayout { .. })
        ));
        assert_eq!(square(Layout::FramesFirst).unwrap().view()[(2, 0)], 2.0);
        let many = Mel::arranged(values(&[2, 3, 4]), Some(3), Layout::Auto);
        assert!(matches!(many, Err(MelError::Batch { count: 2, .. })));
    }

    #[test]
    fn the_bands_are_one_of_the_sides_that_the_layout_allows() {
        let cases = [
            (&[100, 7][..], Layout::Auto, true),
            (&[7, 1, 100], Layout::Auto, true),
            (&[7, 100], Layout::BandsFirst, false),
            (&[7, 100], Layout::FramesFirst, true),
            (&[100, 7], Layout::FramesFirst, false),
            (&[7, 80], Layout::Auto, false),
            (&[2, 100, 7], Layout::Auto, false),
        ];
        for (shape, layout, expected) in cases {
            assert_eq!(may_have_bands(shape, 100, layout), expected, "{shape:?}");
        }
    }
}
