//! The two graphs of a bundle, checked and ready to run.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ndarray::Array3;

use super::conditioner::{Conditioner, rates};
use super::cpu_sessions::shares;
use super::denoiser::Denoiser;
use super::interface::Interface;
use crate::bundle::{Bundle, Context, Signature};
use crate::runtime::{
    Clock, FallbackReason, Graph, GraphSource, Precision, Profile, Provider, Runtime, RuntimeError,
    SessionOptions, TensorInfo,
};
use crate::vocoder::error::VocoderError;
use crate::vocoder::plan::Sizes;

/// Frames of the call that learns how many time steps a frame has in each condition.
const PROBE_FRAMES: usize = 4;

/// Graphs of a model that a GPU holds: the conditioner and the denoiser.
const GRAPHS: usize = 2;

/// The graphs of a loaded bundle.
pub(in crate::vocoder) struct Networks {
    pub conditioner: Conditioner,
    pub denoiser: Denoiser,
    clock: Clock,
}

impl Networks {
    /// Loads both graphs, checks their inputs and outputs against the manifest, and calls each once on a few silent frames. Under `auto` a provider that
    /// does not run both of them is passed over for both.
    pub fn load(
        bundle: &Bundle,
        runtime: &Runtime,
        options: &SessionOptions,
    ) -> Result<Networks, VocoderError> {
        options.check()?;
        let options = &SessionOptions {
            gpu: options.gpu.share(GRAPHS),
            ..options.clone()
        };
        let mut fallbacks = Vec::new();
        loop {
            let loader = Loader {
                bundle,
                runtime,
                options,
                fallbacks: &fallbacks,
                clock: Clock::default(),
            };
            match loader.networks() {
                Ok(networks) => {
                    tell_fallbacks(&networks.conditioner.graph, options);
                    return Ok(networks);
                }
                Err(failure) => fallbacks.push(failure.fallback(options.provider)?),
            }
        }
    }

    /// Time that ONNX Runtime has taken for both graphs so far.
    pub fn spent(&self) -> Duration {
        self.clock.total()
    }

    /// Calls both graphs once in every planned size of up to `batch` windows, so that nothing is tuned or built while somebody waits. `tell`
    /// is given the calls made and their number. Does nothing where sizes are free.
    ///
    /// # Errors
    /// A graph that fails.
    pub fn warm(
        &mut self,
        batch: usize,
        tell: &mut dyn FnMut(usize, usize),
    ) -> Result<(), VocoderError> {
        let sizes = (self.conditioner.sizes.clone(), self.denoiser.sizes.clone());
        let (Some(conditioner), Some(denoiser)) = sizes else {
            return Ok(());
        };
        let lengths: Vec<usize> = conditioner.all().map(|(_, frames)| frames).collect();
        let windows: Vec<_> = denoiser
            .all()
            .filter(|(windows, _)| *windows <= denoiser.batch(batch))
            .collect();
        let total = lengths.len() + windows.len();
        for (done, frames) in lengths.iter().enumerate() {
            tell(done, total);
            self.conditioner.call_silence(*frames)?;
        }
        for (done, (windows, frames)) in windows.iter().enumerate() {
            tell(lengths.len() + done, total);
            self.denoiser.warm_up(*windows, *frames)?;
        }
        tell(total, total);
        Ok(())
    }
}

/// The bytes of a graph, and its name in messages.
type Form<'a> = (&'a [u8], &'static str);

/// What the graphs are loaded from and for.
struct Loader<'a> {
    bundle: &'a Bundle,
    runtime: &'a Runtime,
    options: &'a SessionOptions,
    /// What `auto` has tried with the whole model.
    fallbacks: &'a [(Provider, FallbackReason)],
    clock: Clock,
}

/// What came in the way of a model on a provider.
struct LoadFailure {
    provider: Provider,
    error: VocoderError,
}

impl LoadFailure {
    /// What `auto` is to pass over.
    ///
    /// # Errors
    /// The error itself, where nothing else is left to try.
    fn fallback(self, wanted: Provider) -> Result<(Provider, FallbackReason), VocoderError> {
        let LoadFailure { provider, error } = self;
        match (wanted, provider) {
            (Provider::Auto, Provider::Cuda | Provider::TensorRt) => {
                Ok((provider, FallbackReason::surprise(error.to_string())))
            }
            _ => Err(error),
        }
    }
}

impl Loader<'_> {
    /// The model on the provider that takes its first graph.
    fn networks(&self) -> Result<Networks, LoadFailure> {
        let Context {
            denoiser: context,
            conditioner: margin,
        } = self.bundle.manifest.context;
        let of_mel = Sizes::of_windows(2 * (context + margin)).alone();
        let conditioner = self.conditioner(&of_mel);
        // What tries all providers by itself leaves none to pass over.
        let nowhere = |error| LoadFailure {
            provider: Provider::Cpu,
            error,
        };
        let conditioner = conditioner.map_err(nowhere)?;
        let provider = conditioner.provider();
        let complete = self.complete(conditioner, of_mel);
        complete.map_err(|error| LoadFailure { provider, error })
    }

    fn conditioner(&self, sizes: &Sizes) -> Result<Graph, VocoderError> {
        let n_mels = self.bundle.manifest.mel.n_mels;
        let profile = sizes.profile(|_, frames| vec![("mel".to_owned(), vec![1, n_mels, frames])]);
        let source = (&self.bundle.conditioner[..], "conditioner");
        // As many threads as a session of the denoiser has: it runs beside them.
        let beside = SessionOptions {
            threads: shares(self.options.thread_count()).first().copied(),
            ..self.options.clone()
        };
        self.load(source, &profile, &beside, self.fallbacks)
    }

    /// The model whose conditioner is this one, the denoiser being on the same provider.
    fn complete(&self, mut conditioner: Graph, of_mel: Sizes) -> Result<Networks, VocoderError> {
        let manifest = &self.bundle.manifest;
        let (n_mels, floor) = (manifest.mel.n_mels, manifest.mel.floor_value());
        let (hop, context) = (manifest.mel.hop, manifest.context.denoiser);
        let provider = conditioner.provider();
        let planned = self.options.planned_sizes || provider != Provider::Cpu;
        let sizes = |sizes| planned.then_some(sizes);

        let signature = Signature::of_conditioner(manifest, inputs_and_outputs(&conditioner))?;
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
        let (precision, form) = self.denoiser_form(provider)?;
        let (first, others) = self.denoisers(form, &profile, &conditioner)?;
        signature.check_denoiser(inputs_and_outputs(&first))?;
        Ok(Networks {
            conditioner: Conditioner {
                graph: conditioner,
                interface: interface.clone(),
                floor,
                n_mels,
                sizes: of_mel,
            },
            denoiser: Denoiser::new(first, others, interface, sizes(of_windows), precision)?,
            clock: self.clock.clone(),
        })
    }

    /// The graph of the denoiser that this provider runs, with its name, and what it multiplies in.
    ///
    /// # Errors
    /// [`VocoderError::NoIntegers`] where they were asked for by name and cannot be had.
    fn denoiser_form(&self, provider: Provider) -> Result<(Precision, Form<'_>), VocoderError> {
        let float = (Precision::Float, (&self.bundle.denoiser[..], "denoiser"));
        let wanted = self.options.precision;
        let reason = match (provider, &self.bundle.denoiser_int8) {
            (Provider::Cpu, Some(bytes)) => {
                let taken = match wanted {
                    Precision::Auto => Precision::integers_are_fast(),
                    Precision::Float => false,
                    Precision::Int8 => true,
                };
                let int8 = (Precision::Int8, (&bytes[..], "denoiser in integers"));
                return Ok(if taken { int8 } else { float });
            }
            (Provider::Cpu, None) => format!(
                "the model {:?} has no denoiser.int8.onnx",
                self.bundle.manifest.name
            ),
            _ => format!("they are for the CPU, and {provider} runs the model"),
        };
        match wanted {
            Precision::Int8 => Err(VocoderError::NoIntegers { reason }),
            Precision::Auto | Precision::Float => Ok(float),
        }
    }

    /// The denoiser on the conditioner's provider and, on a CPU with sizes that are free, the same again for each further session, loaded side
    /// by side.
    fn denoisers(
        &self,
        source: Form<'_>,
        profile: &Profile,
        conditioner: &Graph,
    ) -> Result<(Graph, Vec<Graph>), VocoderError> {
        let (threads, wanted) = (self.options.thread_count(), conditioner.provider());
        let side_by_side = wanted == Provider::Cpu && !self.options.planned_sizes;
        let shares = if side_by_side {
            shares(threads)
        } else {
            vec![threads]
        };
        let share = |threads| SessionOptions {
            threads: Some(threads),
            ..self.options.clone()
        };
        let more = |threads| SessionOptions {
            provider: Provider::Cpu,
            gpu: self.options.gpu.for_provider(Provider::Cpu),
            ..share(threads)
        };
        let load = |options: &SessionOptions| {
            let before = conditioner.fallbacks();
            self.load(source, profile, options, before)
        };
        let (first, rest) = shares
            .split_first()
            .map_or((threads, &[][..]), |(f, r)| (*f, r));
        let (first, others) = thread::scope(|scope| {
            let load = &load;
            let start = |threads: &usize| {
                let options = more(*threads);
                scope.spawn(move || load(&options))
            };
            let started: Vec<_> = rest.iter().map(start).collect();
            let first = load(&share(first));
            let others = started
                .into_iter()
                .map(|session| session.join().unwrap_or_else(|panic| resume_unwind(panic)));
            let others = others.collect::<Result<Vec<_>, _>>();
            Ok::<_, VocoderError>((first?, others?))
        })?;
        if first.provider() != wanted {
            let reason = first.fallbacks().last();
            return Err(VocoderError::Runtime(RuntimeError::Graph {
                label: first.label().to_owned(),
                source: reason.map_or_else(|| "".into(), |(_, reason)| reason.clone().into()),
            }));
        }
        Ok((first, others))
    }

    fn load(
        &self,
        (bytes, graph): Form<'_>,
        profile: &Profile,
        options: &SessionOptions,
        fallbacks: &[(Provider, FallbackReason)],
    ) -> Result<Graph, VocoderError> {
        let label = &format!("{} {graph}", self.bundle.manifest.name);
        let source = GraphSource {
            bytes,
            label,
            profile: Some(profile),
            fallbacks,
            clock: &self.clock,
        };
        Ok(Graph::load(self.runtime, &source, options)?)
    }
}

/// Says what `auto` passed over, as a warning where somebody expects it to run, and what it was told in vain.
fn tell_fallbacks(graph: &Graph, options: &SessionOptions) {
    let taken = graph.provider();
    for (better, reason) in graph.fallbacks() {
        if reason.expected {
            tracing::warn!("{better} was passed over for {taken}: {reason}");
        } else {
            tracing::info!("{better} was passed over for {taken}: {reason}");
        }
    }
    for setting in options.without_effect_on(taken) {
        tracing::warn!("`{setting}` has no effect on {taken}");
    }
}

fn inputs_and_outputs(graph: &Graph) -> (&[TensorInfo], &[TensorInfo]) {
    (graph.inputs(), graph.outputs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_goes_on_where_a_provider_fails_and_a_named_one_is_an_error() {
        let failure = |provider| LoadFailure {
            provider,
            error: VocoderError::Stopped,
        };
        let next = |wanted, provider| failure(provider).fallback(wanted);
        let (provider, reason) = next(Provider::Auto, Provider::Cuda).unwrap();
        assert_eq!(provider, Provider::Cuda);
        assert_eq!(reason.to_string(), VocoderError::Stopped.to_string());
        assert!(next(Provider::Auto, Provider::Cpu).is_err());
        assert!(next(Provider::Cuda, Provider::Cuda).is_err());
    }
}
