//! All passes over one signal, each sped up by the change that the one before it made.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use ndarray::ArrayView2;

use super::stream::ConsistencyStream;
use super::tables::ConsistencyTables;
use crate::dsp::{DspError, MelFilter};

/// The passes of a filter over a signal that comes in pieces; the result does not depend on the pieces.
///
/// With momentum, what pass k made of its input, c_k, goes on to the next one as c_k + momentum (c_k - c_(k-1)), which is the accelerated
/// Griffin-Lim algorithm (Perraudin, Balazs and Soendergaard 2013) with mel bands for magnitudes. The first pass has none before it, and what
/// the last one made is the result.
pub struct ConsistencyPasses {
    tables: Arc<ConsistencyTables>,
    passes: Vec<ConsistencyStream>,
    momentum: f32,
    /// For each pass but the first, what the one before it made and has no counterpart yet.
    before: Vec<VecDeque<f32>>,
}

impl ConsistencyPasses {
    pub(super) fn new(
        tables: &Arc<ConsistencyTables>,
        passes: usize,
        momentum: f32,
    ) -> ConsistencyPasses {
        let pass = |_| ConsistencyStream::new(tables.clone());
        ConsistencyPasses {
            tables: tables.clone(),
            before: vec![VecDeque::new(); passes],
            passes: (0..passes).map(pass).collect(),
            momentum,
        }
    }

    /// The last pass, if there is any.
    pub fn last_mut(&mut self) -> Option<&mut ConsistencyStream> {
        self.passes.last_mut()
    }

    /// Sends samples through all passes, each of which takes them by `step`.
    fn run<E>(
        &mut self,
        samples: &[f32],
        step: impl Fn(&mut ConsistencyStream, &[f32], &mut Vec<f32>) -> Result<(), E>,
        out: &mut Vec<f32>,
    ) -> Result<(), E> {
        let last = self.passes.len().saturating_sub(1);
        let (mut given, mut before) = (samples.to_vec(), Vec::new());
        for (index, (pass, waiting)) in self.passes.iter_mut().zip(&mut self.before).enumerate() {
            let mut made = Vec::with_capacity(given.len());
            step(pass, &given, &mut made)?;
            given.clone_from(&made);
            if index > 0 && self.momentum > 0.0 {
                waiting.extend(before);
                let older = waiting.drain(..made.len().min(waiting.len()));
                if index < last {
                    for (sample, older) in given.iter_mut().zip(older) {
                        *sample += self.momentum * (*sample - older);
                    }
                }
            }
            before = made;
        }
        out.append(&mut given);
        Ok(())
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
        self.passes.iter_mut().for_each(|pass| pass.push_mel(&logs));
        Ok(())
    }

    fn end_mel(&mut self) {}

    fn push_samples(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        let push = |pass: &mut ConsistencyStream, given: &[f32], made: &mut Vec<f32>| {
            pass.push_samples(given, made);
            Ok::<_, Infallible>(())
        };
        let Ok(()) = self.run(samples, push, out);
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), DspError> {
        let finish = |pass: &mut ConsistencyStream, given: &[f32], made: &mut Vec<f32>| {
            pass.push_samples(given, made);
            pass.finish(made)
        };
        self.run(&[], finish, out)
    }
}
