//! Where vocode keeps what it fetches and builds.

use std::path::PathBuf;

use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};

use super::places::path_from;

/// vocode's own data folder: `VOCODE_DATA_DIR`, else `vocode` in the folder that the system has for the data of programs. That is `$XDG_DATA_HOME`
/// or `~/.local/share`, `~/Library/Application Support` on macOS, `%LOCALAPPDATA%` on Windows. `None` when none of these is known.
pub fn data_folder() -> Option<PathBuf> {
    path_from("VOCODE_DATA_DIR").or_else(|| {
        let base = system_folder().filter(|folder| folder.is_absolute());
        base.map(|folder| folder.join("vocode"))
    })
}

fn system_folder() -> Option<PathBuf> {
    let Ok(base) = choose_native_strategy() else {
        // A user without a home, as in a container, may still have this one.
        return path_from("XDG_DATA_HOME").filter(|_| cfg!(target_os = "linux"));
    };
    // Its data folder on Windows roams between machines with the user, which gigabytes of libraries must not.
    Some(match cfg!(windows) {
        true => base.cache_dir(),
        false => base.data_dir(),
    })
}
