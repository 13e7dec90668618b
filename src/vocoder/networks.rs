//! The two graphs of a bundle, checked and ready to run.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::VocoderError;
use super::chain::Chain;
use super::clock::Clock;
use super::conditioner::{Conditioner, rates};
use super::denoiser::{Denoiser, MOST_LANES};
use super::interface::Interface;
use super::sizes::Sizes;
use crate::bundle::{Bundle, Context, Signature};
use crate::runtime::{Graph, GraphSource, Port, Profile, Provider, Runtime, SessionOptions};
use ndarray::Array3;

/// Frames of the call that learns how many time steps a frame has in each condition, and whether the hop is right.
const PROBE_FRAMES: usize = 4;

/// One row of a solver's plan; `models/solver/make_update.py` made it.
const UPDATE: &[u8] = include_bytes!("../../models/solver/update.onnx");

pub(super) struct Networks {
    pub conditioner: Conditioner,
    pub denoiser: Denoiser,
    clock: Clock,
}

impl Networks {
    /// Loads both graphs, checks their ports against the manifest, and calls each once on a few silent frames.
    pub fn load(
        bundle: &Bundle,
        runtime: &Runtime,
        options: &SessionOptions,
    ) -> Result<Networks, VocoderError> {
        options.check()?;
        let loader = Loader {
            bundle,
            runtime,
            options,
        };
        let manifest = &bundle.manifest;
        let Context {
            denoiser: context,
            conditioner: margin,
        } = manifest.context;
        let of_mel = Sizes::of_windows(2 * (context + margin)).alone();
        let of_windows = Sizes::of_windows(2 * context);
        let (n_mels, floor) = (manifest.mel.n_mels, manifest.mel.floor_value());
        let mel = of_mel.profile(|_, frames| vec![("mel".to_owned(), vec![1, n_mels, frames])]);
        let mut conditioner = loader.conditioner(&mel)?;
        let signature = Signature::of_conditioner(manifest, ports(&conditioner))?;
        let silence = Array3::from_elem((1, n_mels, PROBE_FRAMES), floor);
        let interface = Arc::new(Interface {
            rates: rates(&mut conditioner, &signature.conditions, &silence)?,
            conditions: signature.conditions.clone(),
            hop: manifest.mel.hop,
            context,
        });
        let profile = of_windows.profile(|windows, frames| interface.input_shapes(windows, frames));
        let on_cpu = conditioner.provider() == Provider::Cpu.name();
        let (first, others) = loader.denoisers(&profile, on_cpu)?;
        signature.check_denoiser(ports(&first))?;
        tell_passed_over(&conditioner, &first);
        let clock = Clock::default();
        let planned = options.planned_sizes || first.provider() != Provider::Cpu.name();
        let sizes = |sizes| planned.then_some(sizes);
        let chain = match planned {
            true => Some(Chain::new(loader.update(&first)?, interface.clone())),
            false => None,
        };
        let mut networks = Networks {
            conditioner: Conditioner {
                graph: conditioner,
                interface: interface.clone(),
                floor,
                n_mels,
                sizes: sizes(of_mel),
                clock: clock.clone(),
            },
            denoiser: Denoiser::new(first, others, interface, sizes(of_windows), clock.clone())?,
            clock,
        };
        // Sees that the hop is right and that a batch of two is taken.
        let (windows, frames) = networks.denoiser.call_size(2, PROBE_FRAMES);
        networks.denoiser.probe(windows, frames)?;
        if let Some(chain) = chain {
            networks.denoiser.try_chain(chain);
        }
        Ok(networks)
    }

    /// Time that ONNX Runtime has taken for both graphs so far.
    pub fn spent(&self) -> Duration {
        self.clock.total()
    }
}

/// What the graphs are loaded from and for.
struct Loader<'a> {
    bundle: &'a Bundle,
    runtime: &'a Runtime,
    options: &'a SessionOptions,
}

impl Loader<'_> {
    fn conditioner(&self, profile: &Profile) -> Result<Graph, VocoderError> {
        let source = (&self.bundle.conditioner[..], "conditioner");
        self.load(source, Some(profile), false, self.options)
    }

    /// The denoiser and, on a CPU, the same again for each further lane. With `on_cpu`, which is how the conditioner ended up, they are loaded
    /// side by side.
    fn denoisers(
        &self,
        profile: &Profile,
        on_cpu: bool,
    ) -> Result<(Graph, Vec<Graph>), VocoderError> {
        let threads = self.options.thread_count();
        let lanes = if on_cpu { threads.min(MOST_LANES) } else { 1 };
        let share = SessionOptions {
            threads: Some(threads / lanes),
            ..self.options.clone()
        };
        let more = SessionOptions {
            provider: Provider::Cpu,
            ..share.clone()
        };
        let source = (&self.bundle.denoiser[..], "denoiser");
        let load = |options| self.load(source, Some(profile), true, options);
        thread::scope(|scope| {
            let started: Vec<_> = (1..lanes).map(|_| scope.spawn(|| load(&more))).collect();
            let first = load(&share);
            let others = started
                .into_iter()
                .map(|lane| lane.join().unwrap_or_else(|panic| resume_unwind(panic)));
            let others = others.collect::<Result<Vec<_>, _>>();
            let first = first?;
            let stays = first.provider() == Provider::Cpu.name();
            Ok((first, if stays { others? } else { Vec::new() }))
        })
    }

    /// The graph of a solver's update, where the denoiser runs.
    fn update(&self, denoiser: &Graph) -> Result<Graph, VocoderError> {
        let provider = match denoiser.provider() {
            name if name == Provider::Cpu.name() => Provider::Cpu,
            // Beside TensorRT too: it has the same memory, and engines are not worth it for sums.
            _ => Provider::Cuda,
        };
        let mut options = SessionOptions {
            provider,
            ..self.options.clone()
        };
        options.gpu.fp16 = false;
        options.gpu.engine_cache = None;
        self.load((UPDATE, "update"), None, true, &options)
    }

    fn load(
        &self,
        (bytes, graph): (&[u8], &str),
        profile: Option<&Profile>,
        bound: bool,
        options: &SessionOptions,
    ) -> Result<Graph, VocoderError> {
        let label = &format!("{} {graph}", self.bundle.manifest.name);
        let source = GraphSource {
            bytes,
            label,
            profile,
            bound,
        };
        Ok(Graph::load(self.runtime, &source, options)?)
    }
}

/// Says what was passed over for the denoiser, and for the conditioner where that is something else: as a warning where somebody expects it
/// to run.
fn tell_passed_over(conditioner: &Graph, denoiser: &Graph) {
    let also = (conditioner.passed_over() != denoiser.passed_over()).then_some(conditioner);
    for graph in also.into_iter().chain([denoiser]) {
        let taken = graph.provider();
        for (better, obstacle) in graph.passed_over() {
            let graph = graph.label();
            if obstacle.expected {
                tracing::warn!(graph, "{better} was passed over for {taken}: {obstacle}");
            } else {
                tracing::info!(graph, "{better} was passed over for {taken}: {obstacle}");
            }
        }
    }
}

fn ports(graph: &Graph) -> (&[Port], &[Port]) {
    (graph.inputs(), graph.outputs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Flavour, LoadOptions, RuntimeError, install};
    use std::path::Path;

    /// Installed below `target` if need be, where the integration tests look for it too.
    fn runtime() -> Runtime {
        match Runtime::load(&LoadOptions::default()) {
            Err(RuntimeError::NotFound { .. }) => {}
            other => return other.unwrap(),
        }
        let executable = std::env::current_exe().unwrap();
        let folder = executable.ancestors().nth(3).unwrap().join("vocode-data");
        let installed = install(Flavour::Cpu, Some(&folder), &mut |_| {}).unwrap();
        let library = Some(installed.library);
        Runtime::load(&LoadOptions { library }).unwrap()
    }

    fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
        let places = 0..=bytes.len() - from.len();
        let place = places
            .into_iter()
            .find(|&place| bytes[place..].starts_with(from))
            .unwrap();
        [&bytes[..place], to, &bytes[place + from.len()..]].concat()
    }

    #[test]
    fn steps_run_in_a_row_only_where_that_makes_no_difference() {
        let runtime = runtime();
        let bundle = Bundle::from_dir(Path::new("tests/fixtures/tiny_ddpm")).unwrap();
        let options = SessionOptions {
            provider: Provider::Cpu,
            planned_sizes: true,
            ..SessionOptions::default()
        };
        let mut networks = Networks::load(&bundle, &runtime, &options).unwrap();
        let denoiser = &mut networks.denoiser;
        assert!(denoiser.limits().chained);

        let wrong = replaced(UPDATE, b"Add", b"Sub");
        // One that answers wrongly, one that takes something else, and again the right one.
        for (update, is_taken) in [
            (&wrong[..], false),
            (&bundle.conditioner, false),
            (UPDATE, true),
        ] {
            let graph = Graph::from_bytes(&runtime, update, "update", &options).unwrap();
            denoiser.try_chain(Chain::new(graph, denoiser.interface.clone()));
            assert_eq!(denoiser.limits().chained, is_taken);
        }
    }
}
