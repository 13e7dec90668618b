//! Several windows at once on a CPU, each on threads of its own.
//!
//! The denoiser's products are too small to be split well: on two threads a window takes 0.73 of its time on one, so two windows side by side are
//! done sooner than one after the other.

use std::borrow::Cow;
use std::panic::resume_unwind;
use std::thread;

use crate::runtime::{Graph, GraphSource, Provider, Runtime, RuntimeError, SessionOptions};
use ndarray::{ArrayD, ArrayViewD, Axis, Slice};

/// Most lanes; each holds the graph's weights once more.
const MOST: usize = 4;

/// Copies of one graph that run side by side.
pub(super) struct Lanes {
    bytes: Cow<'static, [u8]>,
    label: String,
    runtime: Runtime,
    options: SessionOptions,
    count: usize,
    /// Loaded when there are two windows for the first time.
    graphs: Vec<Graph>,
}

impl Lanes {
    /// Lanes for a graph that runs on the CPU; `None` where there are not threads for two.
    pub fn new(
        bytes: Cow<'static, [u8]>,
        label: String,
        runtime: &Runtime,
        options: &SessionOptions,
    ) -> Option<Lanes> {
        let threads = options.thread_count();
        let count = threads.min(MOST);
        (count > 1).then(|| Lanes {
            bytes,
            label,
            runtime: runtime.clone(),
            options: SessionOptions {
                threads: Some(threads / count),
                provider: Provider::Cpu,
                ..options.clone()
            },
            count,
            graphs: Vec::new(),
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Shares the rows of `inputs`, whose first axis is the batch everywhere, among the lanes. Gives the first output of each, in order.
    pub fn run(
        &mut self,
        inputs: &[(&str, ArrayViewD<'_, f32>)],
    ) -> Result<Vec<ArrayD<f32>>, RuntimeError> {
        self.load()?;
        let rows = inputs.first().map_or(0, |(_, array)| array.len_of(Axis(0)));
        let share = rows.div_ceil(self.count).max(1);
        let part = |index: usize| {
            let low = (index * share).min(rows);
            let own = Slice::from(low..(low + share).min(rows));
            let mut part = inputs.to_vec();
            for (_, array) in &mut part {
                array.slice_axis_inplace(Axis(0), own);
            }
            part
        };
        let busy = rows.div_ceil(share);
        let answers: Vec<Result<Vec<ArrayD<f32>>, RuntimeError>> = thread::scope(|scope| {
            let Some((own, others)) = self.graphs[..busy].split_first_mut() else {
                return Vec::new();
            };
            let start = |(index, graph)| {
                let inputs = part(index + 1);
                let graph: &mut Graph = graph;
                scope.spawn(move || graph.run(&inputs))
            };
            let started: Vec<_> = others.iter_mut().enumerate().map(start).collect();
            let first = own.run(&part(0));
            let joined = started
                .into_iter()
                .map(|lane| lane.join().unwrap_or_else(|panic| resume_unwind(panic)));
            std::iter::once(first).chain(joined).collect()
        });
        let outputs = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(outputs
            .into_iter()
            .filter_map(|outputs| outputs.into_iter().next())
            .collect())
    }

    /// Loads the graphs, side by side too.
    fn load(&mut self) -> Result<(), RuntimeError> {
        if !self.graphs.is_empty() {
            return Ok(());
        }
        let source = GraphSource {
            bytes: &self.bytes,
            label: &self.label,
            profile: None,
        };
        let (runtime, options) = (&self.runtime, &self.options);
        let loaded: Result<Vec<Graph>, RuntimeError> = thread::scope(|scope| {
            let start = |_| scope.spawn(move || Graph::load(runtime, &source, options));
            let started: Vec<_> = (0..self.count).map(start).collect();
            started
                .into_iter()
                .map(|lane| lane.join().unwrap_or_else(|panic| resume_unwind(panic)))
                .collect()
        });
        self.graphs = loaded?;
        Ok(())
    }
}
