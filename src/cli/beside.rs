//! Several inputs side by side.
//!
//! A clip of a second keeps one thread busy and not two: its windows wait for each other, and reading, filters and writing have one thread
//! anyway. So short clips, and those of which there are many, have a thread each.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::error::CliError;
use super::jobs::{Job, Source};

/// A mel of up to about ten seconds, in bytes.
const SHORT: u64 = 256 << 10;
/// Most clips side by side; each has a model of its own.
const MOST: usize = 32;
/// Longer clips go side by side where each is less than one part in so many of what a thread has to do: the last ones end at about the same time.
const EVEN: u64 = 8;

/// How many of `jobs` are made at once on `threads` threads of a CPU.
pub(super) fn side_by_side(jobs: &[Job], threads: usize) -> usize {
    let bytes = |job: &Job| match &job.source {
        Source::File(path) => fs::metadata(path).map_or(0, |meta| meta.len()),
        Source::Stdin => u64::MAX,
    };
    let sizes: Vec<u64> = jobs.iter().map(bytes).collect();
    count(&sizes, threads)
}

fn count(sizes: &[u64], threads: usize) -> usize {
    let at_once = threads.min(sizes.len()).clamp(1, MOST);
    let longest = sizes.iter().copied().max().unwrap_or(0);
    let total = sizes
        .iter()
        .fold(0, |sum: u64, size| sum.saturating_add(*size));
    let even = longest.saturating_mul(EVEN * at_once as u64) <= total;
    if longest <= SHORT || even { at_once } else { 1 }
}

/// Gives each job to the first of `workers` that is free, and the results to `take` in the order of the jobs. Once `take` breaks off no other job
/// begins; those that are under way are taken too.
///
/// # Errors
/// [`CliError::Threads`] where the system gives no thread for a worker.
pub(super) fn each<J: Sync, T: Send>(
    jobs: &[J],
    workers: Vec<impl FnMut(&J) -> T + Send>,
    mut take: impl FnMut(&J, T) -> ControlFlow<()>,
) -> Result<(), CliError> {
    let (next, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let begin = || {
        let index = match over.load(Ordering::Relaxed) {
            true => return None,
            false => next.fetch_add(1, Ordering::Relaxed),
        };
        Some((index, jobs.get(index)?))
    };
    let (sender, finished) = mpsc::channel();
    thread::scope(|scope| {
        for mut work in workers {
            let (sender, begin) = (sender.clone(), &begin);
            let loops = move || {
                while let Some((index, job)) = begin() {
                    // It is taken for as long as somebody works.
                    let _ = sender.send((index, work(job)));
                }
            };
            if let Err(source) = thread::Builder::new().spawn_scoped(scope, loops) {
                over.store(true, Ordering::Relaxed);
                return Err(CliError::Threads { source });
            }
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut due = jobs.iter().enumerate();
        let mut awaited = due.next();
        for (index, result) in finished {
            early.insert(index, result);
            while let Some((index, job)) = awaited
                && let Some(result) = early.remove(&index)
            {
                if take(job, result).is_break() {
                    over.store(true, Ordering::Relaxed);
                }
                awaited = due.next();
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_clips_and_many_even_ones_go_side_by_side() {
        let second = 27_000;
        assert_eq!(count(&[second; 60], 2), 2);
        assert_eq!(count(&[second; 3], 16), 3);
        assert_eq!(count(&[second; 60], 64), MOST);
        let minute = 60 * second;
        assert_eq!(count(&[minute; 2], 2), 1);
        assert_eq!(count(&[minute; 16], 2), 2);
        assert_eq!(count(&[second, second, minute], 2), 1);
        assert_eq!(count(&[], 2), 1);
    }

    #[test]
    fn results_come_once_and_in_order() {
        let jobs: Vec<u64> = (0..100).collect();
        let mut seen = Vec::new();
        let work = |job: &u64| {
            thread::sleep(std::time::Duration::from_micros(300 * (job % 3)));
            2 * job
        };
        let take = |job: &u64, result: u64| {
            assert_eq!(result, 2 * job);
            seen.push(*job);
            ControlFlow::Continue(())
        };
        each(&jobs, vec![work; 3], take).unwrap();
        assert_eq!(seen, jobs);
    }

    #[test]
    fn what_is_under_way_is_taken_and_nothing_else_begins() {
        let (begun, mut taken) = (AtomicUsize::new(0), 0);
        let work = |_: &usize| {
            begun.fetch_add(1, Ordering::Relaxed);
            thread::sleep(std::time::Duration::from_millis(2));
        };
        let take = |_: &usize, ()| {
            taken += 1;
            ControlFlow::Break(())
        };
        each(&(0..1000).collect::<Vec<_>>(), vec![work; 2], take).unwrap();
        assert_eq!(taken, begun.into_inner());
        assert!(taken < 1000, "{taken}");
    }
}
