//! All passes over one signal, each sped up by the change that the one before it made.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;

use ndarray::ArrayView2;

use super::stream::ConsistencyStream;
use super::tables::ConsistencyTables;
use crate::dsp::{DspError, MelFilter};

/// Frames that the two halves of the passes work on at the same time.
const SHARED_FRAMES: usize = 16;

/// The passes of a filter over a signal that comes in pieces; the result does not depend on the pieces.
///
/// With momentum, what pass k made of its input, c_k, goes on to the next one as c_k + momentum (c_k - c_(k-1)), which is the accelerated
/// Griffin-Lim algorithm (Perraudin, Balazs and Soendergaard 2013) with mel bands for magnitudes. The first pass has none before it, and what
/// the last one made is the result.
///
/// On a thread of a pool the passes are done by two threads: the later half of them works on what the earlier half has just made.
pub struct ConsistencyPasses {
    tables: Arc<ConsistencyTables>,
    halves: [Half; 2],
}

/// Passes that follow each other.
struct Half {
    passes: Vec<Pass>,
    /// The last of all passes is among these, or one of those after them.
    last: usize,
    momentum: f32,
}

struct Pass {
    index: usize,
    stream: ConsistencyStream,
    /// What the pass before it made and has no counterpart yet.
    before: VecDeque<f32>,
}

/// Samples on their way through the passes.
#[derive(Default)]
struct Piece {
    /// What the next pass is given.
    given: Vec<f32>,
    /// What the pass before it made; nothing before the first.
    made: Vec<f32>,
}

impl Piece {
    fn new(samples: &[f32]) -> Piece {
        Piece {
            given: samples.to_vec(),
            made: Vec::new(),
        }
    }
}

impl ConsistencyPasses {
    pub(super) fn new(
        tables: &Arc<ConsistencyTables>,
        passes: usize,
        momentum: f32,
    ) -> ConsistencyPasses {
        let pass = |index| Pass {
            index,
            stream: ConsistencyStream::new(tables.clone()),
            before: VecDeque::new(),
        };
        let half = |indices: Range<usize>| Half {
            passes: indices.map(pass).collect(),
            last: passes.saturating_sub(1),
            momentum,
        };
        ConsistencyPasses {
            tables: tables.clone(),
            halves: [half(0..passes / 2), half(passes / 2..passes)],
        }
    }

    /// The last pass, if there is any.
    pub fn last_mut(&mut self) -> Option<&mut ConsistencyStream> {
        let last = self.halves[1].passes.last_mut();
        last.map(|pass| &mut pass.stream)
    }
}

impl Half {
    /// Sends a piece through these passes, each of which takes it by `step`.
    fn run<E>(
        &mut self,
        piece: Piece,
        step: impl Fn(&mut ConsistencyStream, &[f32], &mut Vec<f32>) -> Result<(), E>,
    ) -> Result<Piece, E> {
        let Piece {
            mut given,
            made: mut before,
        } = piece;
        for pass in &mut self.passes {
            let mut made = Vec::with_capacity(given.len());
            step(&mut pass.stream, &given, &mut made)?;
            given.clone_from(&made);
            if pass.index > 0 && self.momentum > 0.0 {
                pass.before.extend(before);
                let count = made.len().min(pass.before.len());
                let older = pass.before.drain(..count);
                if pass.index < self.last {
                    for (sample, older) in given.iter_mut().zip(older) {
                        *sample += self.momentum * (*sample - older);
                    }
                }
            }
            before = made;
        }
        Ok(Piece {
            given,
            made: before,
        })
    }

    fn push(&mut self, piece: Piece) -> Piece {
        let push = |pass: &mut ConsistencyStream, given: &[f32], made: &mut Vec<f32>| {
            pass.push_samples(given, made);
            Ok::<_, Infallible>(())
        };
        let Ok(piece) = self.run(piece, push);
        piece
    }

    fn finish(&mut self, piece: Piece) -> Result<Piece, DspError> {
        self.run(piece, |pass, given, made| {
            pass.push_samples(given, made);
            pass.finish(made)
        })
    }
}

impl MelFilter for ConsistencyPasses {
    fn push_mel(&mut self, mel: ArrayView2<'_, f32>) -> Result<(), DspError> {
        let convention = &self.tables.convention;
        let (expected, found) = (convention.n_mels, mel.nrows());
        if expected != found {
            return Err(DspError::Bands { expected, found });
        }
        // Frame by frame, once for all passes.
        let values = mel.t();
        let logs = values.iter().map(|v| convention.ln_magnitude(*v) as f32);
        let logs: Vec<f32> = logs.collect();
        for pass in self.halves.iter_mut().flat_map(|half| &mut half.passes) {
            pass.stream.push_mel(&logs);
        }
        Ok(())
    }

    fn end_mel(&mut self) {}

    fn push_samples(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        let [first, second] = &mut self.halves;
        let is_shared = rayon::current_thread_index().is_some() && !first.passes.is_empty();
        if !is_shared {
            out.append(&mut second.push(first.push(Piece::new(samples))).given);
            return;
        }
        let mut half_done = Piece::default();
        for samples in samples.chunks(SHARED_FRAMES * self.tables.convention.hop) {
            let next = || first.push(Piece::new(samples));
            let (next, mut done) = rayon::join(next, || second.push(half_done));
            out.append(&mut done.given);
            half_done = next;
        }
        out.append(&mut second.push(half_done).given);
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), DspError> {
        let [first, second] = &mut self.halves;
        let half_done = first.finish(Piece::default())?;
        out.append(&mut second.finish(half_done)?.given);
        Ok(())
    }
}
