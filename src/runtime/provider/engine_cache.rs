//! Where TensorRT's engines are kept from one start to the next.
//!
//! An engine is good for one graph in one precision on one kind of GPU under one TensorRT and one driver. Each graph has a folder of its own,
//! with a note of what its engines were built for, written once they are; where any of that has changed they are built again, and that is said.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::profile::Profile;
use crate::hash::sha256;

const NOTE: &str = "engine.toml";

/// What an engine was built for. Any difference makes it stale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineKey {
    /// SHA-256 of the graph.
    pub graph: String,
    /// TensorRT's version.
    pub tensorrt: String,
    /// ONNX Runtime's version.
    pub onnxruntime: String,
    /// The driver's version.
    pub driver: String,
    /// The GPU's name.
    pub device: String,
    /// Whether it computes in half precision.
    pub fp16: bool,
    /// The shapes that it takes.
    pub profile: Profile,
}

/// A folder of engines. No other process works on it as long as this is there.
#[derive(Debug)]
pub struct EngineFolder {
    /// The folder.
    pub path: PathBuf,
    /// What was in it.
    pub state: EngineState,
    _lock: File,
}

/// What a folder of engines held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineState {
    /// Nothing: the engines will be built.
    New,
    /// Engines that fit.
    Kept,
    /// Engines that do not fit any more, and are gone; what has changed.
    Stale {
        /// The fields of [`EngineKey`] that differ.
        changed: Vec<&'static str>,
    },
}

impl EngineKey {
    fn changes(&self, old: &EngineKey) -> Vec<&'static str> {
        [
            ("graph", self.graph != old.graph),
            ("TensorRT", self.tensorrt != old.tensorrt),
            ("ONNX Runtime", self.onnxruntime != old.onnxruntime),
            ("driver", self.driver != old.driver),
            ("GPU", self.device != old.device),
            ("precision", self.fp16 != old.fp16),
            ("window sizes", self.profile != old.profile),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}

impl EngineFolder {
    /// The folder for `key` below `root`, made ready: it holds engines for `key` and no others. Waits for another process that works on it,
    /// and calls `wait` before.
    ///
    /// # Errors
    /// A folder that cannot be made, locked or emptied.
    pub fn prepare(
        root: &Path,
        key: &EngineKey,
        wait: impl FnOnce(),
    ) -> std::io::Result<EngineFolder> {
        // One folder a graph, precision and GPU, so that they do not drive each other's engines out.
        let precision = if key.fp16 { "fp16" } else { "fp32" };
        let name = sha256(format!("{}\n{precision}\n{}", key.graph, key.device).as_bytes());
        let path = root.join(&name[..16]);
        fs::create_dir_all(root)?;
        let lock = File::create(path.with_extension("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                wait();
                lock.lock()?;
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let state = match read(&path) {
            Some(old) if old == *key => EngineState::Kept,
            Some(old) => EngineState::Stale {
                changed: key.changes(&old),
            },
            None if path.exists() => EngineState::Stale {
                changed: vec!["its note, which a build that ended would have left"],
            },
            None => EngineState::New,
        };
        let folder = EngineFolder {
            path,
            state,
            _lock: lock,
        };
        if folder.state != EngineState::Kept {
            folder.empty()?;
        }
        Ok(folder)
    }

    /// Throws the engines away.
    ///
    /// # Errors
    /// A folder that cannot be emptied.
    pub fn empty(&self) -> std::io::Result<()> {
        if self.path.exists() {
            fs::remove_dir_all(&self.path)?;
        }
        fs::create_dir_all(&self.path)
    }

    /// Writes down that the engines for `key` are all there.
    ///
    /// # Errors
    /// A note that cannot be written.
    pub fn finish(&self, key: &EngineKey) -> std::io::Result<()> {
        write(&self.path, key)
    }
}

fn read(folder: &Path) -> Option<EngineKey> {
    toml::from_str(&fs::read_to_string(folder.join(NOTE)).ok()?).ok()
}

fn write(folder: &Path, key: &EngineKey) -> std::io::Result<()> {
    let text = toml::to_string(key).map_err(std::io::Error::other)?;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(folder.join(NOTE))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::profile::InputProfile;
    use super::*;

    fn key() -> EngineKey {
        let input = InputProfile {
            name: "x".to_owned(),
            least: vec![1, 4096],
            usual: vec![1, 20480],
            most: vec![8, 65536],
        };
        EngineKey {
            graph: sha256(b"a graph"),
            tensorrt: "10.9.0".to_owned(),
            onnxruntime: "1.31.1".to_owned(),
            driver: "580.1".to_owned(),
            device: "NVIDIA Test".to_owned(),
            fp16: false,
            profile: Profile {
                inputs: vec![input],
            },
        }
    }

    fn prepare(root: &Path, key: &EngineKey) -> EngineFolder {
        // A child that another test starts holds every open lock until it executes its program: it is waited for.
        EngineFolder::prepare(root, key, || {}).unwrap()
    }

    /// Engines for `key`, as a build leaves them; gives the folder.
    fn build(root: &Path, key: &EngineKey) -> PathBuf {
        let folder = prepare(root, key);
        fs::write(folder.path.join("x.engine"), "built").unwrap();
        folder.finish(key).unwrap();
        folder.path
    }

    #[test]
    fn engines_are_kept_while_nothing_changes() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(prepare(root.path(), &key()).state, EngineState::New);
        let path = build(root.path(), &key());
        let again = prepare(root.path(), &key());
        assert_eq!((&again.state, &again.path), (&EngineState::Kept, &path));
        assert!(path.join("x.engine").exists());
    }

    #[test]
    fn a_build_that_did_not_end_is_made_again() {
        let root = tempfile::tempdir().unwrap();
        let broken_off = prepare(root.path(), &key());
        fs::write(broken_off.path.join("x.engine"), "half").unwrap();
        drop(broken_off);
        let again = prepare(root.path(), &key());
        assert!(matches!(again.state, EngineState::Stale { .. }));
        assert!(!again.path.join("x.engine").exists());
    }

    #[test]
    fn a_folder_is_one_process_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let first = prepare(root.path(), &key());
        let (waits, is_waiting) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let wait = || waits.send(()).unwrap();
                EngineFolder::prepare(root.path(), &key(), wait)
                    .unwrap()
                    .state
            });
            is_waiting.recv().unwrap();
            first.finish(&key()).unwrap();
            drop(first);
            assert_eq!(second.join().unwrap(), EngineState::Kept);
        });
    }

    #[test]
    fn each_change_makes_them_stale_and_is_named() {
        type Change = fn(&mut EngineKey);
        let other_profile = |key: &mut EngineKey| key.profile.inputs[0].most[0] = 16;
        let changes: [(&str, Change); 4] = [
            ("TensorRT", |key| key.tensorrt = "10.10.0".to_owned()),
            ("ONNX Runtime", |key| key.onnxruntime = "1.32.0".to_owned()),
            ("driver", |key| key.driver = "590.2".to_owned()),
            ("window sizes", other_profile),
        ];
        for (name, change) in changes {
            let root = tempfile::tempdir().unwrap();
            let path = build(root.path(), &key());
            let mut changed = key();
            change(&mut changed);
            let stale = EngineState::Stale {
                changed: vec![name],
            };
            assert_eq!(prepare(root.path(), &changed).state, stale);
            assert!(!path.join("x.engine").exists(), "{name}");
            build(root.path(), &changed);
            assert_eq!(prepare(root.path(), &changed).state, EngineState::Kept);
        }
    }

    #[test]
    fn other_graphs_gpus_and_precisions_have_their_own() {
        let root = tempfile::tempdir().unwrap();
        let mut paths = vec![build(root.path(), &key())];
        let mut other_gpu = key();
        other_gpu.device = "NVIDIA Other".to_owned();
        let mut other_graph = key();
        other_graph.graph = sha256(b"another");
        let mut half = key();
        half.fp16 = true;
        for other in [other_gpu, other_graph, half] {
            let folder = prepare(root.path(), &other);
            assert_eq!(folder.state, EngineState::New);
            paths.push(folder.path);
        }
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), 4);
        assert_eq!(prepare(root.path(), &key()).state, EngineState::Kept);
    }

    #[test]
    fn a_folder_whose_note_cannot_be_read_is_stale() {
        let root = tempfile::tempdir().unwrap();
        let path = build(root.path(), &key());
        fs::write(path.join(NOTE), "graph = 3").unwrap();
        let again = prepare(root.path(), &key());
        assert!(matches!(again.state, EngineState::Stale { .. }));
    }

    #[test]
    fn a_root_that_cannot_be_written_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(EngineFolder::prepare(&file, &key(), || ()).is_err());
    }
}
