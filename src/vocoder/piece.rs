//! A window cut so that several lanes can work on it at once.

use std::ops::Range;

/// Some frames of one window of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The window's place in the batch.
    pub row: usize,
    /// The frames that a call is given, counted from the window's first.
    pub frames: Range<usize>,
    /// Those of them of which its answer is kept.
    pub kept: Range<usize>,
}

impl Piece {
    /// A whole window.
    pub fn whole(row: usize, frames: usize) -> Piece {
        Piece {
            row,
            frames: 0..frames,
            kept: 0..frames,
        }
    }

    /// A window in `parts`, each with `context` frames of the others on either side; in fewer where they would be mostly that. What lies in
    /// the window's own context is kept of none: it is not right.
    pub fn parts(row: usize, frames: usize, context: usize, parts: usize) -> Vec<Piece> {
        let core = frames.saturating_sub(2 * context);
        let parts = parts.min(core / context.max(1));
        if parts < 2 {
            return vec![Piece::whole(row, frames)];
        }
        let cut = |index: usize| context + core * index / parts;
        let piece = |index: usize| Piece {
            row,
            frames: cut(index) - context..cut(index + 1) + context,
            kept: cut(index)..cut(index + 1),
        };
        (0..parts).map(piece).collect()
    }

    /// The pieces of `rows` windows for so many lanes: windows that would keep some of the lanes waiting are shared by them.
    pub fn of_batch(rows: usize, frames: usize, context: usize, lanes: usize) -> Vec<Piece> {
        let left = rows % lanes.max(1);
        let whole = (0..rows - left).map(|row| Piece::whole(row, frames));
        let shared = (rows - left..rows)
            .flat_map(|row| Piece::parts(row, frames, context, lanes.max(1) / left));
        whole.chain(shared).collect()
    }

    /// The samples of the kept frames in the call's answer.
    pub fn source(&self, hop: usize) -> Range<usize> {
        (self.kept.start - self.frames.start) * hop..(self.kept.end - self.frames.start) * hop
    }

    /// The same samples in the window.
    pub fn target(&self, hop: usize) -> Range<usize> {
        self.kept.start * hop..self.kept.end * hop
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn windows_left_over_are_shared() {
        let of = |rows, lanes| Piece::of_batch(rows, 80, 8, lanes);
        assert_eq!(of(2, 2), [Piece::whole(0, 80), Piece::whole(1, 80)]);
        assert_eq!(of(1, 1), [Piece::whole(0, 80)]);
        let half = |row, frames, kept| Piece { row, frames, kept };
        let halves = [half(2, 0..48, 8..40), half(2, 32..80, 40..72)];
        assert_eq!(of(3, 2)[2..], halves);
        assert_eq!(of(3, 4).len(), 3);
        assert_eq!(of(2, 4).len(), 4);
        assert_eq!(Piece::of_batch(1, 20, 8, 2), [Piece::whole(0, 20)]);
    }

    proptest! {
        #[test]
        fn every_frame_of_the_core_is_kept_once(rows in 0usize..9, core in 1usize..200, context in 0usize..20, lanes in 1usize..6) {
            let pieces = Piece::of_batch(rows, core + 2 * context, context, lanes);
            let mut kept = vec![0; rows * (core + 2 * context)];
            for piece in &pieces {
                for frame in piece.kept.clone() {
                    kept[piece.row * (core + 2 * context) + frame] += 1;
                }
                let whole = piece.frames == (0..core + 2 * context);
                prop_assert!(whole || piece.kept.start - piece.frames.start == context);
                prop_assert!(whole || piece.frames.end - piece.kept.end == context);
            }
            for row in kept.chunks(core + 2 * context) {
                prop_assert!(row[context..context + core].iter().all(|&n| n == 1));
            }
        }
    }
}
