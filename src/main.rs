//! The `vocode` program. Everything is in the library, so that it can be tested and documented there.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything starts a thread: see there.
    vocode::runtime::disable_telemetry();
    ExitCode::from(vocode::main(std::env::args_os()))
}
