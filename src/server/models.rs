//! The models of a server: loaded, warmed, described. Everything that the server asks of [`Scheduler`] begins here.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use metrics::gauge;
use ndarray::Array2;
use tokio::runtime::Handle;
use tonic::Status;

use super::status::{of_vocoder, unknown_model};
use super::{MaxStreams, ModelSource, ServerError, ServerOptions};
use crate::bundle::{Bundle, Manifest};
use crate::diffusion::SolverKind;
use crate::mel::{MelError, takes_refused};
use crate::proto;
use crate::runtime::{Precision, Runtime};
use crate::vocoder::{
    OpenStream, ScheduleChoice, Scheduler, SchedulerOptions, StreamRequest, Vocoder, VocoderError,
    WorkerState,
};

/// Frames of the synthesis that warms a model: more than one window of each length.
const WARM_FRAMES: usize = 384;
/// Half of those streams where no batch is given.
const MEASURED_BATCH: usize = 4;
/// Frames of each of the streams that measure it.
const MEASURED_FRAMES: usize = 256;

/// The models, the default one first; never empty.
pub(super) struct Models {
    default: Model,
    others: Vec<Model>,
}

/// A model that is ready.
pub(super) struct Model {
    pub name: String,
    scheduler: Scheduler,
    /// Seconds that the model takes for a second of audio and a denoiser frame for each frame of mel, see [`Scheduler::work`].
    cost: f64,
    default_share: f64,
}

impl Models {
    /// Loads and warms every model. Blocks, and so runs on a thread of its own within a tokio runtime.
    pub fn load(options: &ServerOptions, runtime: &Runtime) -> Result<Models, ServerError> {
        let built_in = ModelSource {
            name: None,
            model: None,
        };
        let (first, rest) = match options.models.split_first() {
            Some((first, rest)) => (first, rest),
            None => (&built_in, &[][..]),
        };
        let mut models = Models {
            default: Model::load(first, options, runtime)?,
            others: Vec::new(),
        };
        for source in rest {
            let model = Model::load(source, options, runtime)?;
            if models.all().any(|other| other.name == model.name) {
                return Err(ServerError::SameName { name: model.name });
            }
            models.others.push(model);
        }
        for placed in &options.placements {
            if !models.all().any(|model| model.name == placed.model) {
                let known = models.all().map(|model| model.name.clone()).collect();
                let name = placed.model.clone();
                return Err(ServerError::PlacedModel { name, known });
            }
        }
        Ok(models)
    }

    /// The model of that name; the first for an empty one.
    pub fn get(&self, name: &str) -> Result<&Model, Status> {
        if name.is_empty() {
            return Ok(&self.default);
        }
        self.all().find(|model| model.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.all().map(|model| model.name.as_str()).collect();
            unknown_model(name, &known)
        })
    }

    /// The first other model that takes the mel which `model` has refused with this error.
    pub fn taking_refused(&self, model: &Model, refusal: &MelError) -> Option<&Model> {
        self.all()
            .filter(|other| other.name != model.name)
            .find(|other| takes_refused(&other.manifest().mel, refusal))
    }

    /// [`Model::default_share`] of the default model.
    pub fn default_share(&self) -> f64 {
        self.default.default_share
    }

    pub fn all(&self) -> impl Iterator<Item = &Model> {
        std::iter::once(&self.default).chain(&self.others)
    }

    /// Records what each runs on.
    pub fn tell_metrics(&self) {
        for model in self.all() {
            for (provider, count) in model.nodes() {
                gauge!("vocode_model_nodes", "model" => model.name.clone(), "provider" => provider)
                    .set(count);
            }
        }
    }
}

impl Model {
    fn load(
        source: &ModelSource,
        options: &ServerOptions,
        runtime: &Runtime,
    ) -> Result<Model, ServerError> {
        let label = match (&source.name, &source.model) {
            (Some(name), _) => name.clone(),
            (None, Some(model)) => model.display().to_string(),
            (None, None) => "built in".to_owned(),
        };
        let bundle = match &source.model {
            Some(model) => Bundle::open(model),
            None => Bundle::embedded(),
        };
        let bundle = bundle.map_err(|source| ServerError::Bundle {
            model: label.clone(),
            source,
        })?;
        let name = source
            .name
            .clone()
            .unwrap_or_else(|| bundle.manifest.name.clone());
        let session = options.session_of(&name);
        let start = || {
            let vocoder = Vocoder::new(bundle, runtime, &session)?;
            tracing::info!(
                model = name,
                provider = vocoder.provider(),
                nodes = %vocoder.placement(),
                note = vocoder.provider_note(),
                load_ms = vocoder.load_time().as_millis() as u64,
                "loaded"
            );
            // Tenths, so that minutes of building are not silent.
            let (mut told, model) = (0, name.clone());
            let tell = move |done, total: usize| {
                let tenth = 10 * done / total.max(1);
                if tenth > told {
                    told = tenth;
                    tracing::info!(model, done, total, "preparing");
                }
            };
            let scheduling = SchedulerOptions {
                // The admission keeps to the limit; a stream that was cancelled stays until the call of the model that it is in has ended.
                max_streams: 2 * MaxStreams::LIMIT,
                batch: options.batch,
                label: name.clone(),
            };
            Scheduler::start_warm(vocoder, scheduling, tell)
        };
        let failed = |source| ServerError::Model {
            model: label.clone(),
            source: Box::new(source),
        };
        let mut model = Model {
            scheduler: start().map_err(failed)?,
            name,
            cost: 0.0,
            default_share: 0.0,
        };
        // Whoever gives a number of streams needs only to know what costs more than what.
        let streams = match options.limits.max_streams {
            MaxStreams::Auto => 2 * options.batch.unwrap_or(MEASURED_BATCH),
            MaxStreams::Fixed(_) => 1,
        };
        let measured = async {
            model.silence(WARM_FRAMES).await?;
            let share = model.measure(streams).await;
            model.settle().await;
            share
        };
        let share = Handle::current().block_on(measured).map_err(failed)?;
        let work = model.scheduler.work(&StreamRequest::default());
        model.cost = share / work.map_err(failed)?;
        model.default_share = share;
        Ok(model)
    }

    pub fn manifest(&self) -> &Manifest {
        self.scheduler.manifest()
    }

    pub fn sha256(&self) -> &str {
        self.scheduler.sha256()
    }

    pub fn provider(&self) -> &str {
        self.scheduler.provider()
    }

    /// What the denoiser multiplies in.
    pub fn precision(&self) -> Precision {
        self.scheduler.precision()
    }

    /// The denoiser's nodes by the provider that runs them.
    fn nodes(&self) -> impl Iterator<Item = (String, u32)> {
        let nodes = self.scheduler.placement().nodes().into_iter();
        nodes.map(|(name, count)| (name, u32::try_from(count).unwrap_or(u32::MAX)))
    }

    /// What the thread that runs the model is doing.
    pub fn worker(&self) -> WorkerState {
        self.scheduler.state()
    }

    /// Whether the listeners of the model have audio in hand, and none waits for its first.
    pub fn has_time(&self) -> bool {
        self.scheduler.has_time()
    }

    /// Opens a stream of this model.
    pub fn open(&self, request: &StreamRequest) -> Result<OpenStream, Status> {
        self.scheduler.open(request).map_err(|e| of_vocoder(&e))
    }

    /// The part of the model's time that a stream takes while it is heard in real time: 1 where the model can do one such stream at once.
    pub fn share(&self, request: &StreamRequest) -> Result<f64, VocoderError> {
        Ok(self.scheduler.work(request)? * self.cost)
    }

    /// That of a stream with the default schedule.
    pub fn default_share(&self) -> f64 {
        self.default_share
    }

    /// Denoiser calls for each sample.
    pub fn steps(&self, request: &StreamRequest) -> Result<usize, VocoderError> {
        let found = request.schedule.resolve(self.manifest(), request.solver)?;
        Ok(found.plan.steps())
    }

    /// Seconds taken for a second of audio, where so many streams are made at once.
    async fn measure(&self, streams: usize) -> Result<f64, VocoderError> {
        let began = Instant::now();
        try_join_all((0..streams).map(|_| self.silence(MEASURED_FRAMES))).await?;
        let mel = &self.manifest().mel;
        let samples = (streams * MEASURED_FRAMES * mel.hop) as f64;
        let seconds = samples / f64::from(mel.sample_rate);
        Ok((began.elapsed().as_secs_f64() / seconds).max(f64::MIN_POSITIVE))
    }

    /// Returns once the worker has written the last stream down, which it does after its last sample: the metrics begin with the callers'.
    async fn settle(&self) {
        while matches!(self.worker(), WorkerState::Busy(_)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// A synthesis of silence. The first one, so that nothing is done for the first time while a caller waits.
    async fn silence(&self, frames: usize) -> Result<(), VocoderError> {
        let mel = &self.manifest().mel;
        let silence = Array2::from_elem((mel.n_mels, frames), mel.floor_value());
        let OpenStream {
            mut input,
            mut output,
            ..
        } = self.scheduler.open(&StreamRequest::default())?;
        let feed = async {
            // Why a stream stopped is told by its output.
            if input.push(silence).await.is_ok() {
                input.end();
            }
            Ok(())
        };
        let drain = async {
            while let Some(piece) = output.next().await {
                piece?;
            }
            Ok(())
        };
        tokio::try_join!(feed, drain).map(|_| ())
    }

    /// What GetInfo says of the model.
    pub fn describe(&self) -> Result<proto::Model, Status> {
        let manifest = self.manifest();
        let mel = &manifest.mel;
        let process = manifest.process();
        let schedules = manifest.schedules.named.keys().map(|name| {
            let choice = ScheduleChoice::Named(name.clone());
            let found = choice.resolve(manifest, None).map_err(|e| of_vocoder(&e))?;
            Ok(proto::NamedSchedule {
                name: found.name,
                steps: found.plan.steps() as u32,
                solver: found.solver.to_string(),
            })
        });
        Ok(proto::Model {
            name: self.name.clone(),
            bundle: manifest.name.clone(),
            version: manifest.version.clone(),
            sha256: self.sha256().to_owned(),
            licence: manifest.licence.clone(),
            execution_provider: self.provider().to_owned(),
            mel: Some(proto::MelConvention {
                name: mel.name.clone(),
                sample_rate_hz: mel.sample_rate,
                n_fft: mel.n_fft as u32,
                win_length: mel.win_length as u32,
                hop: mel.hop as u32,
                n_mels: mel.n_mels as u32,
                f_min: mel.f_min,
                f_max: mel.f_max,
                floor: mel.floor_value(),
                ceiling: mel.ceiling_value(),
            }),
            schedules: schedules.collect::<Result<_, Status>>()?,
            default_schedule: manifest.schedules.default.clone(),
            context_frames: manifest.context.denoiser as u32,
            process: process.name().to_owned(),
            solvers: SolverKind::fitting(&process)
                .map(|kind| kind.name().to_owned())
                .collect(),
            execution_nodes: self.nodes().collect(),
            precision: self.precision().to_string(),
            execution_note: self
                .scheduler
                .provider_note()
                .unwrap_or_default()
                .to_owned(),
        })
    }
}
