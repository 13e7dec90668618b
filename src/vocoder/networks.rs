//! The two graphs of a bundle, checked and ready to run.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::VocoderError;
use super::chain::Chain;
use super::conditioner::{Conditioner, rates};
use super::denoiser::{Denoiser, MOST_LANES};
use super::interface::Interface;
use super::sizes::Sizes;
use crate::bundle::{Bundle, Context, Signature};
use crate::runtime::{
    Clock, Graph, GraphSource, Obstacle, Port, Profile, Provider, Runtime, RuntimeError,
    SessionOptions,
};
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
    /// Loads both graphs, checks their ports against the manifest, and calls each once on a few silent frames. Under `auto` a provider that
    /// does not run both of them is passed over for both.
    pub fn load(
        bundle: &Bundle,
        runtime: &Runtime,
        options: &SessionOptions,
    ) -> Result<Networks, VocoderError> {
        options.check()?;
        let mut passed_over = Vec::new();
        loop {
            let loader = Loader {
                bundle,
                runtime,
                options,
                passed_over: &passed_over,
                clock: Clock::default(),
            };
            match loader.networks() {
                Ok(networks) => {
                    tell_passed_over(&networks.conditioner.graph, options);
                    return Ok(networks);
                }
                Err(setback) => passed_over.push(setback.passed_over(options.provider)?),
            }
        }
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
    /// What `auto` has tried with the whole model.
    passed_over: &'a [(Provider, Obstacle)],
    clock: Clock,
}

/// What came in the way of a model on a provider.
struct Setback {
    provider: Provider,
    error: VocoderError,
}

impl Setback {
    /// What `auto` is to pass over.
    ///
    /// # Errors
    /// The setback itself, where nothing else is left to try.
    fn passed_over(self, wanted: Provider) -> Result<(Provider, Obstacle), VocoderError> {
        let Setback { provider, error } = self;
        match (wanted, provider) {
            (Provider::Auto, Provider::Cuda | Provider::TensorRt) => {
                Ok((provider, Obstacle::surprise(error.to_string())))
            }
            _ => Err(error),
        }
    }
}

impl Loader<'_> {
    /// The model on the provider that takes its first graph.
    fn networks(&self) -> Result<Networks, Setback> {
        let Context {
            denoiser: context,
            conditioner: margin,
        } = self.bundle.manifest.context;
        let of_mel = Sizes::of_windows(2 * (context + margin)).alone();
        let conditioner = self.conditioner(&of_mel);
        // What tries all providers by itself leaves none to pass over.
        let nowhere = |error| Setback {
            provider: Provider::Cpu,
            error,
        };
        let conditioner = conditioner.map_err(nowhere)?;
        let provider = conditioner.provider();
        let complete = self.complete(conditioner, of_mel);
        complete.map_err(|error| Setback { provider, error })
    }

    fn conditioner(&self, sizes: &Sizes) -> Result<Graph, VocoderError> {
        let n_mels = self.bundle.manifest.mel.n_mels;
        let profile = sizes.profile(|_, frames| vec![("mel".to_owned(), vec![1, n_mels, frames])]);
        let source = (&self.bundle.conditioner[..], "conditioner");
        self.load(
            source,
            Some(&profile),
            false,
            self.options,
            self.passed_over,
        )
    }

    /// The model whose conditioner is this one, the denoiser being on the same provider.
    fn complete(&self, mut conditioner: Graph, of_mel: Sizes) -> Result<Networks, VocoderError> {
        let manifest = &self.bundle.manifest;
        let (n_mels, floor) = (manifest.mel.n_mels, manifest.mel.floor_value());
        let (hop, context) = (manifest.mel.hop, manifest.context.denoiser);
        let provider = conditioner.provider();
        let planned = self.options.planned_sizes || provider != Provider::Cpu;
        let sizes = |sizes| planned.then_some(sizes);

        let signature = Signature::of_conditioner(manifest, ports(&conditioner))?;
        let of_mel = sizes(of_mel);
        let frames = of_mel
            .as_ref()
            .map_or(PROBE_FRAMES, |sizes| sizes.frames(PROBE_FRAMES));
        let silence = Array3::from_elem((1, n_mels, frames), floor);
        let rates = rates(&mut conditioner, &signature.conditions, &silence)?;
        let conditions = signature.conditions.clone();
        let interface = Arc::new(Interface::new(conditions, rates, hop, context));

        let of_windows = Sizes::of_windows(2 * context);
        let profile = of_windows.profile(|windows, frames| interface.input_shapes(windows, frames));
        let (first, others) = self.denoisers(&profile, &conditioner)?;
        signature.check_denoiser(ports(&first))?;
        let update = if planned { self.update(&first) } else { None };
        let chain = update.map(|update| Chain::new(update, interface.clone()));
        let mut networks = Networks {
            conditioner: Conditioner {
                graph: conditioner,
                interface: interface.clone(),
                floor,
                n_mels,
                sizes: of_mel,
            },
            denoiser: Denoiser::new(first, others, interface, sizes(of_windows))?,
            clock: self.clock.clone(),
        };
        // Sees that the hop is right and that a batch of two is taken.
        let (windows, frames) = networks.denoiser.call_size(2, PROBE_FRAMES);
        networks.denoiser.probe(windows, frames)?;
        if let Some(chain) = chain {
            networks.denoiser.try_chain(chain);
        }
        Ok(networks)
    }

    /// The denoiser on the conditioner's provider and, on a CPU, the same again for each further lane, loaded side by side.
    fn denoisers(
        &self,
        profile: &Profile,
        conditioner: &Graph,
    ) -> Result<(Graph, Vec<Graph>), VocoderError> {
        let (threads, wanted) = (self.options.thread_count(), conditioner.provider());
        let on_cpu = wanted == Provider::Cpu;
        let lanes = if on_cpu { threads.min(MOST_LANES) } else { 1 };
        let share = SessionOptions {
            threads: Some(threads / lanes),
            ..self.options.clone()
        };
        let more = SessionOptions {
            provider: Provider::Cpu,
            gpu: share.gpu.for_provider(Provider::Cpu),
            ..share.clone()
        };
        let source = (&self.bundle.denoiser[..], "denoiser");
        let load = |options| {
            let before = conditioner.passed_over();
            self.load(source, Some(profile), true, options, before)
        };
        let (first, others) = thread::scope(|scope| {
            let started: Vec<_> = (1..lanes).map(|_| scope.spawn(|| load(&more))).collect();
            let first = load(&share);
            let others = started
                .into_iter()
                .map(|lane| lane.join().unwrap_or_else(|panic| resume_unwind(panic)));
            let others = others.collect::<Result<Vec<_>, _>>();
            Ok::<_, VocoderError>((first?, others?))
        })?;
        if first.provider() != wanted {
            let obstacles = first.passed_over().last().map(|(_, obstacle)| obstacle);
            return Err(VocoderError::Runtime(RuntimeError::Graph {
                label: first.label().to_owned(),
                reason: obstacles.map_or_else(String::new, ToString::to_string),
            }));
        }
        Ok((first, others))
    }

    /// The graph of a solver's update, where the denoiser runs; without it states travel at each step.
    fn update(&self, denoiser: &Graph) -> Option<Graph> {
        let provider = match denoiser.provider() {
            // Beside TensorRT too: it has the same memory, and engines are not worth it for sums.
            Provider::TensorRt => Provider::Cuda,
            other => other,
        };
        let options = SessionOptions {
            provider,
            gpu: self.options.gpu.for_provider(provider),
            ..self.options.clone()
        };
        let loaded = self.load((UPDATE, "update"), None, true, &options, &[]);
        let refused = |error| tracing::warn!(%error, "the steps of a window do not run in a row");
        loaded.map_err(refused).ok()
    }

    fn load(
        &self,
        (bytes, graph): (&[u8], &str),
        profile: Option<&Profile>,
        bound: bool,
        options: &SessionOptions,
        passed_over: &[(Provider, Obstacle)],
    ) -> Result<Graph, VocoderError> {
        let label = &format!("{} {graph}", self.bundle.manifest.name);
        let source = GraphSource {
            bytes,
            label,
            profile,
            bound,
            passed_over,
            clock: &self.clock,
        };
        Ok(Graph::load(self.runtime, &source, options)?)
    }
}

/// Says what `auto` passed over, as a warning where somebody expects it to run, and what it was told in vain.
fn tell_passed_over(graph: &Graph, options: &SessionOptions) {
    let taken = graph.provider();
    for (better, obstacle) in graph.passed_over() {
        if obstacle.expected {
            tracing::warn!("{better} was passed over for {taken}: {obstacle}");
        } else {
            tracing::info!("{better} was passed over for {taken}: {obstacle}");
        }
    }
    for setting in options.without_effect_on(taken) {
        tracing::warn!("{setting} has no effect on {taken}");
    }
}

fn ports(graph: &Graph) -> (&[Port], &[Port]) {
    (graph.inputs(), graph.outputs())
}

#[cfg(test)]
mod tests {
    use super::super::batch::Batch;
    use super::super::chain::Task;
    use super::super::denoiser::full_plan;
    use super::*;
    use crate::runtime::{Flavour, LoadOptions, RuntimeError, install};
    use ndarray::Array2;
    use std::path::Path;

    /// Installed below `target` if need be, where the integration tests look for it too.
    fn runtime() -> Runtime {
        match Runtime::load(&LoadOptions::default()) {
            Err(RuntimeError::NotFound { .. }) => {}
            other => return other.unwrap(),
        }
        let executable = std::env::current_exe().unwrap();
        let folder = executable.ancestors().nth(3).unwrap().join("vocode-data");
        let installed = install(Flavour::Cpu, Some(&folder), &mut |_| {})
            .expect("the tests need ONNX Runtime: run `vocode setup` or set VOCODE_ORT_LIB");
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

    fn tiny() -> Bundle {
        Bundle::from_dir(Path::new("tests/fixtures/tiny_ddpm")).unwrap()
    }

    /// The CPU, used as a GPU is.
    fn as_on_a_gpu() -> SessionOptions {
        SessionOptions {
            provider: Provider::Cpu,
            planned_sizes: true,
            ..SessionOptions::default()
        }
    }

    #[test]
    fn what_a_window_leaves_behind_is_not_heard_in_the_next() {
        let mut networks = Networks::load(&tiny(), &runtime(), &as_on_a_gpu()).unwrap();
        let denoiser = &mut networks.denoiser;
        let (windows, frames) = denoiser.call_size(1, 1);
        let interface = denoiser.interface.clone();
        let mut made_of = |value: f32| {
            let mut batch = Batch::new(&interface, windows, frames);
            batch.x.fill(value);
            let task = Task {
                inside: &Array2::ones(batch.x.dim()),
                batch: &batch,
                plans: &[&full_plan(3)],
                noise: &|_, _| (),
            };
            denoiser.run_chain(&task).unwrap()
        };
        let before = made_of(0.5);
        assert!(made_of(f32::NAN).iter().all(|sample| sample.is_nan()));
        assert_eq!(made_of(0.5), before);
    }

    #[test]
    fn auto_goes_on_where_a_provider_fails_and_a_named_one_is_an_error() {
        let setback = |provider| Setback {
            provider,
            error: VocoderError::Stopped,
        };
        let next = |wanted, provider| setback(provider).passed_over(wanted);
        let (provider, obstacle) = next(Provider::Auto, Provider::Cuda).unwrap();
        assert_eq!(provider, Provider::Cuda);
        assert_eq!(obstacle.to_string(), VocoderError::Stopped.to_string());
        assert!(next(Provider::Auto, Provider::Cpu).is_err());
        assert!(next(Provider::Cuda, Provider::Cuda).is_err());
    }

    #[test]
    fn steps_run_in_a_row_only_where_that_makes_no_difference() {
        let (runtime, bundle, options) = (runtime(), tiny(), as_on_a_gpu());
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
