//! Many files in one run: which are left to do, how far it is, and what became of them.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use clap::builder::FalseyValueParser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::Verbosity;
use super::beside;
use super::error::CliError;
use super::jobs::Job;
use super::manifest::{Outcome, Results};
use super::output::{Target, say};
use super::shard::Shard;
use super::summary::Summary;
use crate::text::counted;

/// Flags for many files.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Many files")]
pub struct BatchArgs {
    /// Look for mels in the folders within folders too, and keep these in the output
    #[arg(short, long, env = "VOCODE_RECURSIVE", value_parser = FalseyValueParser::new())]
    pub(super) recursive: bool,
    /// Leave alone what is there already, and count it as done: a run that was broken off goes on
    #[arg(long, env = "VOCODE_SKIP_EXISTING", value_parser = FalseyValueParser::new(), conflicts_with = "force")]
    pub(super) skip_existing: bool,
    /// End at the first input that fails; what was begun beside it is finished
    #[arg(long, env = "VOCODE_FAIL_FAST", value_parser = FalseyValueParser::new())]
    pub(super) fail_fast: bool,
    /// A list of mels, one JSON object a line: input, and if wanted output, seed and steps
    #[arg(long, value_name = "FILE", conflicts_with_all = ["inputs", "output"])]
    pub(super) manifest: Option<PathBuf>,
    /// Make part I of N alone, told apart by the hash of each input's name, as in --shard $SLURM_ARRAY_TASK_ID/8
    #[arg(long, env = "VOCODE_SHARD", value_name = "I/N")]
    pub(super) shard: Option<Shard>,
    /// Where a line is appended for each mel of --manifest [default: its name with .results.jsonl]
    #[arg(long, value_name = "FILE", requires = "manifest")]
    pub(super) results: Option<PathBuf>,
}

impl BatchArgs {
    /// The file for results, where there is to be one.
    ///
    /// # Errors
    /// [`CliError::Write`].
    pub(super) fn open_results(&self) -> Result<Option<Results>, CliError> {
        let Some(list) = &self.manifest else {
            return Ok(None);
        };
        let path = self.results.clone();
        let path = path.unwrap_or_else(|| Results::beside(list, self.shard));
        Results::open(&path).map(Some)
    }

    /// The jobs whose results are not there yet, and how many others there were.
    pub(super) fn left(&self, jobs: Vec<Job>) -> (Vec<Job>, usize) {
        let mine = |job: &Job| {
            self.shard
                .is_none_or(|shard| shard.has(&job.source.label()))
        };
        let jobs: Vec<Job> = jobs.into_iter().filter(mine).collect();
        let total = jobs.len();
        let done = |job: &Job| match &job.target {
            Target::File(path) => self.skip_existing && path.is_file(),
            Target::Stdout => false,
        };
        let left: Vec<Job> = jobs.into_iter().filter(|job| !done(job)).collect();
        let skipped = total - left.len();
        (left, skipped)
    }
}

/// A run over many files.
pub(super) struct Batch<'a> {
    args: &'a BatchArgs,
    verbosity: Verbosity,
    results: Option<Results>,
    skipped: usize,
    bar: ProgressBar,
    began: Instant,
    audio_seconds: f64,
    made: usize,
}

impl<'a> Batch<'a> {
    /// A run over `left` files, beside which `skipped` were there already.
    pub(super) fn new(
        args: &'a BatchArgs,
        verbosity: Verbosity,
        hidden: bool,
        results: Option<Results>,
        left: usize,
        skipped: usize,
    ) -> Batch<'a> {
        // indicatif draws nothing where standard error is no terminal.
        let target = match hidden {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        let bar = ProgressBar::with_draw_target(Some(left as u64), target);
        if let Ok(style) =
            ProgressStyle::with_template("{wide_bar} {pos} of {len} files, {eta} to go")
        {
            bar.set_style(style);
        }
        Batch {
            args,
            verbosity,
            results,
            skipped,
            bar,
            began: Instant::now(),
            audio_seconds: 0.0,
            made: 0,
        }
    }

    /// Gives each job to the first of `workers` that is free; one that fails is reported and, unless asked for, does not stop the others.
    /// What became of them is told in their order. Ends with one line.
    ///
    /// # Errors
    /// [`CliError::Several`] where some failed, the error itself with `--fail-fast`, an interruption.
    pub(super) fn run(
        mut self,
        jobs: &[Job],
        json: bool,
        workers: Vec<impl FnMut(&Job) -> Result<Summary, CliError> + Send>,
    ) -> Result<(), CliError> {
        let (mut failed, mut ended) = (Vec::new(), None);
        beside::each(jobs, workers, |job, result| {
            match self.take(job, result, json, &mut failed) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    ended.get_or_insert(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        match ended {
            Some(CliError::Interrupted) => return Err(CliError::Interrupted),
            Some(error) => {
                self.finish(0, json);
                return Err(error);
            }
            None => self.finish(failed.len(), json),
        }
        match failed.is_empty() {
            true => Ok(()),
            false => Err(CliError::Several {
                failed,
                total: jobs.len() + self.skipped,
            }),
        }
    }

    /// Writes down and tells one result.
    ///
    /// # Errors
    /// What ends the run.
    fn take(
        &mut self,
        job: &Job,
        result: Result<Summary, CliError>,
        json: bool,
        failed: &mut Vec<String>,
    ) -> Result<(), CliError> {
        if let Err(CliError::Interrupted) = result {
            return Err(CliError::Interrupted);
        }
        self.record(job, &result)?;
        match result {
            Ok(summary) => {
                self.made += 1;
                self.audio_seconds += summary.audio_seconds();
                if json || self.verbosity.verbose > 0 {
                    self.bar
                        .suspend(|| summary.print(json, false, self.verbosity))?;
                }
            }
            Err(error) if self.args.fail_fast => return Err(error),
            Err(error) => {
                self.bar.suspend(|| say(&format!("error: {error}")));
                failed.push(job.source.label());
            }
        }
        self.bar.inc(1);
        Ok(())
    }

    fn record(&mut self, job: &Job, result: &Result<Summary, CliError>) -> Result<(), CliError> {
        let Some(results) = &mut self.results else {
            return Ok(());
        };
        let summary = result.as_ref().ok().map(Summary::json);
        results.append(&Outcome {
            input: job.source.label(),
            output: job.target.label(),
            status: if summary.is_some() { "done" } else { "failed" },
            error: result.as_ref().err().map(ToString::to_string),
            summary: summary.as_ref(),
        })
    }

    /// The line at the end.
    fn finish(&self, failed: usize, json: bool) {
        self.bar.finish_and_clear();
        if json {
            return;
        }
        let seconds = self.began.elapsed().as_secs_f64();
        let mut line = counted(self.made, "file");
        if self.made > 0 {
            let factor = seconds / self.audio_seconds.max(f64::MIN_POSITIVE);
            line.push_str(&format!(
                ": {:.2} s in {seconds:.2} s (real-time factor {factor:.3})",
                self.audio_seconds
            ));
        }
        for (count, word) in [(self.skipped, "there already"), (failed, "failed")] {
            if count > 0 {
                line.push_str(&format!(", {count} {word}"));
            }
        }
        self.verbosity.tell(&line);
    }
}
