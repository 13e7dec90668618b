//! One mel and what is made of it.

use std::time::Instant;

use super::args::{FormatArg, RestoreArg};
use super::container::Container;
use super::error::CliError;
use super::flags::with_flags;
use super::interrupt::{self, Watch};
use super::jobs::Job;
use super::summary::{Bar, Summary};
use super::synth_args::SynthArgs;
use crate::audio::{Encoded, InfoId, Limited, Provenance, limit, too_loud};
use crate::mel::{
    Blur, Mel, MelConvention, NpyLimits, Prepared, prepare, prepare_approximately, read_npy,
    restore, trim_padding,
};
use crate::vocoder::{Output, ScheduleChoice, Synthesis, SynthesisOptions, Vocoder, VocoderError};

/// Everything that stays the same from one input to the next.
pub(super) struct Maker<'a> {
    pub(super) args: &'a SynthArgs,
    pub(super) convention: MelConvention,
    pub(super) options: SynthesisOptions,
    pub(super) vocoder: Vocoder,
    /// Whether there is one mel, whose progress is shown.
    pub(super) alone: bool,
}

/// What became of the samples.
pub(super) struct Written {
    pub(super) rate: u32,
    pub(super) samples: usize,
    pub(super) clipped: usize,
    pub(super) limited: Option<Limited>,
}

impl Maker<'_> {
    /// Makes a file of one mel, which is there when it is whole.
    pub(super) fn file(&mut self, job: &Job, ready: Option<Prepared>) -> Result<Summary, CliError> {
        let args = self.args;
        job.target.check(args.overwrite.force)?;
        let prepared = &self.prepared(job, ready)?;
        let began = Instant::now();
        let synthesis = self.synthesise(job, prepared)?;
        let rate = args.sample_rate.unwrap_or(synthesis.sample_rate);
        let label = job.target.label();
        let mut samples = Vec::new();
        Output::new(prepared.shift_samples, synthesis.sample_rate, rate)
            .and_then(|mut output| {
                output.push(&synthesis.samples, &mut samples)?;
                output.finish(&mut samples)
            })
            .map_err(|e| CliError::audio(&label, e))?;
        let provenance = self.provenance(&synthesis, prepared);
        let limited = match self.limits() {
            true => limit(&mut samples, rate),
            false => None,
        };
        let container = Container::of(&job.target, args.container)?;
        let Encoded { bytes, clipped } = container
            .encode(&samples, rate, args.format, &provenance)
            .map_err(|e| CliError::audio(&label, e))?;
        interrupt::check()?;
        job.target.write(&bytes, args.overwrite.force)?;
        let written = Written {
            rate,
            samples: samples.len(),
            clipped,
            limited,
        };
        Ok(self.summary(job, prepared, &synthesis, &written, began))
    }

    /// The mel of a job in the model's convention, read where it was not read before.
    pub(super) fn prepared(
        &self,
        job: &Job,
        ready: Option<Prepared>,
    ) -> Result<Prepared, CliError> {
        let own = &self.vocoder.manifest().mel;
        ready.map_or_else(|| read(job, &self.convention, own, self.args), Ok)
    }

    /// Whether peaks are turned down: where they would be clipped, unless that was asked for.
    pub(super) fn limits(&self) -> bool {
        matches!(self.args.format, FormatArg::S16 | FormatArg::S24) && self.args.limit
    }

    pub(super) fn summary(
        &self,
        job: &Job,
        prepared: &Prepared,
        synthesis: &Synthesis,
        written: &Written,
        began: Instant,
    ) -> Summary {
        let label = job.target.label();
        let mut warnings = prepared.notes.clone();
        let mut warn = |note: String| {
            self.args
                .session
                .verbosity
                .warn(&format!("{label}: {note}"));
            warnings.push(note);
        };
        if let Some(limited) = written.limited
            && let Some(why) = too_loud(limited.beyond, written.samples)
        {
            warn(why);
        }
        if written.clipped > 0 {
            let why = too_loud(written.clipped, written.samples);
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            warn(format!(
                "{} samples beyond full scale were clipped; --format f32 keeps them{why}",
                written.clipped
            ));
        }
        let flagged = warnings.iter().map(|note| with_flags(note).into_owned());
        let warnings = flagged.collect();
        Summary {
            output: label,
            tell_solver: self.args.sampling.is_chosen(),
            model: self.vocoder.manifest().name.clone(),
            model_sha256: self.vocoder.sha256().to_owned(),
            sample_rate: written.rate,
            samples: written.samples,
            clipped: written.clipped,
            limited_decibels: written.limited.map_or(0.0, |l| l.decibels),
            load_seconds: self.vocoder.load_time().as_secs_f64(),
            seconds: began.elapsed().as_secs_f64(),
            graph_seconds: synthesis.graph_time.as_secs_f64(),
            steps: synthesis.steps,
            schedule: synthesis.schedule.clone(),
            solver: synthesis.solver.to_string(),
            provider: synthesis.provider.clone(),
            precision: self.vocoder.precision().name(),
            provider_nodes: self.vocoder.placement().nodes(),
            provider_note: self.vocoder.provider_note().map(str::to_owned),
            seed: synthesis.seed,
            watermark: self.watermark(),
            warnings,
        }
    }

    /// What the audio's watermark says, in hexadecimal.
    fn watermark(&self) -> Option<String> {
        let watermark = self.options.watermark.as_ref()?;
        Some(format!("{:08x}", watermark.payload()))
    }

    /// The options with what the list says of one mel.
    pub(super) fn options_of(&self, job: &Job) -> SynthesisOptions {
        let mut options = self.options.clone();
        options.seed = job.own.seed.unwrap_or(options.seed);
        if let Some(steps) = job.own.steps {
            options.schedule = ScheduleChoice::Steps(steps);
        }
        options
    }

    fn synthesise(&mut self, job: &Job, prepared: &Prepared) -> Result<Synthesis, CliError> {
        let options = self.options_of(job);
        let _watch = Watch::start();
        tracing::info!(frames = prepared.mel.frames(), "synthesising");
        let mut bar = self.bar();
        let result = self
            .vocoder
            .synthesize_observed(&prepared.mel, &options, &mut |progress| {
                bar.set(progress.fraction());
                interrupt::go_on()
            });
        bar.finish();
        match result {
            Err(VocoderError::Cancelled) => Err(CliError::Interrupted),
            other => Ok(other?),
        }
    }

    pub(super) fn bar(&self) -> Bar {
        let quiet = self.args.session.verbosity.quiet || self.args.json;
        Bar::new(quiet || !self.alone)
    }

    /// What it takes to make the file again; nothing that differs between two equal runs.
    pub(super) fn provenance(&self, synthesis: &Synthesis, prepared: &Prepared) -> Provenance {
        let manifest = self.vocoder.manifest();
        let mut comment = format!(
            "model={} {} sha256={} schedule={} solver={} steps={} seed={} frames={} mel={} provider={} precision={}",
            manifest.name,
            manifest.version,
            self.vocoder.sha256(),
            synthesis.schedule,
            synthesis.solver,
            synthesis.steps,
            synthesis.seed,
            prepared.mel.frames(),
            self.convention.name,
            synthesis.provider,
            self.vocoder.precision()
        );
        if self.args.restore == RestoreArg::Auto {
            comment.push_str(" restore=auto");
        }
        if let Some(sharpening) = self.args.sharpen {
            comment.push_str(&format!(" sharpen={}", sharpening.bands));
        }
        if let Some(watermark) = self.watermark() {
            comment.push_str(&format!(" watermark={watermark}"));
        }
        let software = format!("vocode {}", env!("CARGO_PKG_VERSION"));
        Provenance {
            fields: vec![(InfoId::Software, software), (InfoId::Comment, comment)],
        }
    }
}

/// Reads one mel and brings it to the model's convention.
pub(super) fn read(
    job: &Job,
    from: &MelConvention,
    to: &MelConvention,
    args: &SynthArgs,
) -> Result<Prepared, CliError> {
    let limits = NpyLimits::default();
    let mel = read_npy(
        job.source.open()?,
        Some(from.n_mels),
        args.layout.into(),
        &limits,
    )
    .map_err(|e| CliError::mel(job.source.label(), e))?;
    bring(job, mel, from, to, args)
}

/// Brings the mel of a job to the model's convention.
pub(super) fn bring(
    job: &Job,
    mel: Mel,
    from: &MelConvention,
    to: &MelConvention,
    args: &SynthArgs,
) -> Result<Prepared, CliError> {
    let label = job.source.label();
    let mel = match args.trim_padding {
        true => trim_padding(mel, from).0,
        false => mel,
    };
    let (mel, blur) = match args.restore {
        RestoreArg::Auto => restore(mel, from),
        RestoreArg::Off => (mel, Blur::default()),
    };
    if !blur.is_none() {
        let words = format!("{label}: a blur of {blur} is undone");
        args.session.verbosity.tell(&words);
    }
    let prepared = match args.approximate_mel {
        true => prepare_approximately(mel, from, to),
        false => prepare(mel, from, to),
    }
    .map_err(|e| CliError::mel(&label, e))?;
    for note in &prepared.notes {
        args.session.verbosity.warn(&format!("{label}: {note}"));
    }
    Ok(prepared)
}
