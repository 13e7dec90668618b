//! Faults on purpose, for the tests of what a server does about them. Debug builds only: a release build holds none of this.
//!
//! `VOCODE_TEST_FAULT` names a file. While it holds `panic`, the next denoiser call panics; while it holds `stall`, the call does not return; while it
//! holds `short`, each call loses a sample of every stream.

use std::path::PathBuf;
use std::time::Duration;

/// The file of the faults, where the environment names one.
pub(super) struct Faults(Option<PathBuf>);

impl Faults {
    pub fn of_environment() -> Faults {
        Faults(std::env::var_os("VOCODE_TEST_FAULT").map(PathBuf::from))
    }

    /// Whether samples are to be lost.
    pub fn shortens(&self) -> bool {
        self.read().is_some_and(|fault| fault.trim() == "short")
    }

    fn read(&self) -> Option<String> {
        let file = self.0.as_ref()?;
        std::fs::read_to_string(file).ok()
    }

    /// Fails as the file says.
    pub fn strike(&self) {
        while let Some(fault) = self.read() {
            match fault.trim() {
                "panic" => panic!("a fault on purpose (VOCODE_TEST_FAULT)"),
                "stall" => std::thread::sleep(Duration::from_millis(20)),
                _ => return,
            }
        }
    }
}
