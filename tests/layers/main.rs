//! The files of the library form no circle, and the rooms that they are in rest on each other in one order.

mod order;
mod source;
mod tree;

use std::collections::BTreeSet;
use std::path::Path;

use order::{circles, upward};
use tree::Tree;

/// A folder's rooms in their order, those that rest on nothing first. No two of one stage use each other.
struct Table {
    folder: &'static [&'static str],
    stages: &'static [&'static [&'static str]],
}

const TABLES: [Table; 3] = [
    Table {
        folder: &[],
        stages: &[
            &["hash", "rates", "setters", "stft", "text"],
            &["audio", "diffusion", "mel", "proto", "runtime"],
            &["dsp"],
            &["bundle", "watermark"],
            &["vocoder"],
            &["quality"],
            &["client", "internals", "server", "tune"],
            &["cli"],
        ],
    },
    Table {
        folder: &["runtime"],
        stages: &[
            &["precision", "provider_name", "telemetry"],
            &["locate"],
            &["setup"],
            &["error"],
            &["provider"],
            &["environment", "operators"],
            &["session"],
            &["internals"],
        ],
    },
    Table {
        folder: &["vocoder"],
        stages: &[
            &["error"],
            &["filters", "options", "plan"],
            &["networks"],
            &["synthesis"],
            &["scheduler"],
            &["internals"],
        ],
    },
];

fn library() -> Tree {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    Tree::load(&|file| std::fs::read_to_string(root.join(file)).ok()).unwrap()
}

#[test]
fn no_files_form_a_circle() {
    let found = circles(&library().uses());
    let found: Vec<_> = found.iter().map(|circle| circle.join(", ")).collect();
    assert!(
        found.is_empty(),
        "{} circles:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn every_use_runs_down() {
    let tree = library();
    let uses = tree.uses();
    for Table { folder, stages } in TABLES {
        let prefix: String = folder.iter().map(|name| format!("{name}/")).collect();
        let listed: BTreeSet<String> = stages.concat().into_iter().map(str::to_owned).collect();
        assert_eq!(listed, tree.children(folder), "the rooms of src/{prefix}");
        let wrong = upward(&uses, &prefix, stages);
        assert!(wrong.is_empty(), "in src/{prefix}:\n{}", wrong.join("\n"));
    }
}

#[test]
fn the_files_are_read_at_all() {
    let uses = library().uses();
    let engine = &uses["vocoder/synthesis/engine.rs"];
    assert!(engine.contains("bundle/load.rs"), "{engine:?}");
    assert!(uses["bundle/check.rs"].contains("runtime/session/tensor_info.rs"));
}
