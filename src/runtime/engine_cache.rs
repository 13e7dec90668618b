//! Where TensorRT's engines are kept from one start to the next.
//!
//! An engine is good for one graph on one kind of GPU under one TensorRT and one driver. Each graph has a folder of its own, with a note of
//! what its engines were built for; where any of that has changed they are built again, and that is said.

use std::fs;
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

/// A folder of engines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineFolder {
    /// The folder.
    pub path: PathBuf,
    /// What was in it.
    pub state: EngineState,
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
    /// The folder for `key` below `root`, made ready: its note says what the engines in it are for, and it holds no others.
    ///
    /// # Errors
    /// A folder that cannot be made, emptied or written to.
    pub fn prepare(root: &Path, key: &EngineKey) -> std::io::Result<EngineFolder> {
        // One folder a graph and GPU, so that two GPUs in one machine do not drive each other's engines out.
        let name = sha256(format!("{}\n{}", key.graph, key.device).as_bytes());
        let path = root.join(&name[..16]);
        let state = match read(&path) {
            Some(old) if old == *key => EngineState::Kept,
            Some(old) => EngineState::Stale {
                changed: key.changes(&old),
            },
            None if path.exists() => EngineState::Stale {
                changed: vec!["its note"],
            },
            None => EngineState::New,
        };
        if state != EngineState::Kept {
            if path.exists() {
                fs::remove_dir_all(&path)?;
            }
            fs::create_dir_all(&path)?;
            write(&path, key)?;
        }
        Ok(EngineFolder { path, state })
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

    #[test]
    fn engines_are_kept_while_nothing_changes() {
        let root = tempfile::tempdir().unwrap();
        let first = EngineFolder::prepare(root.path(), &key()).unwrap();
        assert_eq!(first.state, EngineState::New);
        fs::write(first.path.join("x.engine"), "built").unwrap();
        let second = EngineFolder::prepare(root.path(), &key()).unwrap();
        assert_eq!(
            (second.state, &second.path),
            (EngineState::Kept, &first.path)
        );
        assert!(second.path.join("x.engine").exists());
    }

    #[test]
    fn each_change_makes_them_stale_and_is_named() {
        type Change = fn(&mut EngineKey);
        let other_profile = |key: &mut EngineKey| key.profile.inputs[0].most[0] = 16;
        let changes: [(&str, Change); 5] = [
            ("TensorRT", |key| key.tensorrt = "10.10.0".to_owned()),
            ("ONNX Runtime", |key| key.onnxruntime = "1.32.0".to_owned()),
            ("driver", |key| key.driver = "590.2".to_owned()),
            ("precision", |key| key.fp16 = true),
            ("window sizes", other_profile),
        ];
        for (name, change) in changes {
            let root = tempfile::tempdir().unwrap();
            let first = EngineFolder::prepare(root.path(), &key()).unwrap();
            fs::write(first.path.join("x.engine"), "built").unwrap();
            let mut changed = key();
            change(&mut changed);
            let second = EngineFolder::prepare(root.path(), &changed).unwrap();
            let stale = EngineState::Stale {
                changed: vec![name],
            };
            assert_eq!(second.state, stale);
            assert!(!second.path.join("x.engine").exists(), "{name}");
            let third = EngineFolder::prepare(root.path(), &changed).unwrap();
            assert_eq!(third.state, EngineState::Kept);
        }
    }

    #[test]
    fn other_graphs_and_other_gpus_have_their_own() {
        let root = tempfile::tempdir().unwrap();
        let mut paths = vec![EngineFolder::prepare(root.path(), &key()).unwrap().path];
        let mut other_gpu = key();
        other_gpu.device = "NVIDIA Other".to_owned();
        let mut other_graph = key();
        other_graph.graph = sha256(b"another");
        for other in [other_gpu, other_graph] {
            let folder = EngineFolder::prepare(root.path(), &other).unwrap();
            assert_eq!(folder.state, EngineState::New);
            paths.push(folder.path);
        }
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), 3);
        assert_eq!(
            EngineFolder::prepare(root.path(), &key()).unwrap().state,
            EngineState::Kept
        );
    }

    #[test]
    fn a_folder_whose_note_cannot_be_read_is_stale() {
        let root = tempfile::tempdir().unwrap();
        let folder = EngineFolder::prepare(root.path(), &key()).unwrap();
        fs::write(folder.path.join(NOTE), "graph = 3").unwrap();
        let again = EngineFolder::prepare(root.path(), &key()).unwrap();
        assert!(matches!(again.state, EngineState::Stale { .. }));
    }

    #[test]
    fn a_root_that_cannot_be_written_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(EngineFolder::prepare(&file, &key()).is_err());
    }
}
