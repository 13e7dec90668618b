//! Ctrl-C, and requests to terminate.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::error::{CliError, INTERRUPTED};

static REQUESTED: AtomicBool = AtomicBool::new(false);
/// Watches that live.
static WATCHED: AtomicUsize = AtomicUsize::new(0);
type Files = Mutex<Vec<PathBuf>>;
/// Half-made files, which a signal that ends the process at once removes.
static HALF_MADE: Files = Mutex::new(Vec::new());

/// Takes over SIGINT, SIGTERM and SIGHUP. While a [`Watch`] lives, a signal only sets a flag and the work ends itself at the
/// next [`check`]; at any other time, and at the second signal, the process exits at once.
pub(super) fn install() {
    let handler = || {
        let again = REQUESTED.swap(true, Ordering::SeqCst);
        if again || WATCHED.load(Ordering::SeqCst) == 0 {
            remove_all(&HALF_MADE);
            std::process::exit(i32::from(INTERRUPTED));
        }
    };
    // Without a handler a signal ends the process at once, which is what happens outside of a watch anyway.
    if let Err(error) = ctrlc::set_handler(handler) {
        tracing::debug!("no signal handler: {error}");
    }
}

fn remove_all(files: &Files) {
    let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
    for file in files.drain(..) {
        // Removed or not, the process ends.
        let _ = std::fs::remove_file(file);
    }
}

/// Has `file` removed by a signal for as long as the result lives.
pub(super) fn removes(file: &Path) -> HalfMade {
    HalfMade::listed(file, &HALF_MADE)
}

/// A file that is not complete yet.
pub(super) struct HalfMade {
    file: PathBuf,
    list: &'static Files,
}

impl HalfMade {
    fn listed(file: &Path, list: &'static Files) -> HalfMade {
        let mut files = list.lock().unwrap_or_else(PoisonError::into_inner);
        files.push(file.to_owned());
        HalfMade {
            file: file.to_owned(),
            list,
        }
    }
}

impl Drop for HalfMade {
    fn drop(&mut self) {
        let mut files = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|file| *file != self.file);
    }
}

/// A stretch of work that looks at the flag often enough to end itself.
pub(super) struct Watch(());

impl Watch {
    pub(super) fn start() -> Self {
        WATCHED.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Whether a signal came.
fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}

/// Whether work that asks after every part goes on.
pub(super) fn go_on() -> ControlFlow<()> {
    if requested() {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

/// Fails when a signal came.
pub(super) fn check() -> Result<(), CliError> {
    if requested() {
        Err(CliError::Interrupted)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_removes_what_is_half_made_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (done, half) = (folder.path().join("done"), folder.path().join("half"));
        for file in [&done, &half] {
            std::fs::write(file, "x").unwrap();
        }
        static LIST: Files = Mutex::new(Vec::new());
        drop(HalfMade::listed(&done, &LIST));
        let _half = HalfMade::listed(&half, &LIST);
        remove_all(&LIST);
        assert!(done.exists() && !half.exists());
    }
}
