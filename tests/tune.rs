//! `vocode tune` on a copy of the built-in model and on the demo's recording.

mod common;

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;
use vocode::bundle::{Bundle, MANIFEST, ScheduleSpec};

fn vocode() -> Command {
    let mut command = Command::cargo_bin("vocode").unwrap();
    command.env("VOCODE_ORT_LIB", common::ensure_runtime().library());
    command
}

fn manifest(folder: &Path) -> String {
    fs::read_to_string(folder.join(MANIFEST)).unwrap()
}

#[test]
fn a_better_schedule_takes_the_place_of_the_one_before() {
    let model = common::model_copy();
    // Far too late for a good second step: the first even grid beats it.
    let bad = manifest(model.path()).replace(
        "[schedules.named]",
        "[schedules.named]\nlate = { times = [0.0, 0.97, 0.98] }",
    );
    fs::write(model.path().join(MANIFEST), bad).unwrap();
    let output = vocode()
        .args([
            "tune",
            "models/demo",
            "--steps",
            "1,3",
            "--tries",
            "8",
            "--json",
            "--model",
        ])
        .arg(model.path())
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    let lines: Vec<Value> = String::from_utf8(output)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [one, three] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    // With one step there is nothing to choose.
    assert_eq!((&one["tried"], &one["written"]), (&1.into(), &false.into()));
    assert_eq!(
        (&three["schedule"], &three["written"]),
        (&"late".into(), &true.into())
    );
    assert!(three["error"].as_f64().unwrap() < 0.95, "{three}");
    assert!(three["tried"].as_u64().unwrap() <= 8);
    assert!(three["after"]["log_mel"].as_f64() < three["before"]["log_mel"].as_f64());

    let found: ScheduleSpec = serde_json::from_value(three["spec"].clone()).unwrap();
    let bundle = Bundle::from_dir(model.path()).unwrap();
    assert_eq!(bundle.manifest.schedules.named["late"], found);
    let text = manifest(model.path());
    assert_eq!(
        text.lines().count(),
        manifest(Path::new("models/default")).lines().count() + 1
    );
    vocode()
        .args(["models/demo/demo.npy", "--steps", "3", "--json", "-o"])
        .arg(model.path().join("out.wav"))
        .arg("--model")
        .arg(model.path())
        .assert()
        .success()
        .stdout(predicate::str::contains(r#""schedule":"late""#));
}

#[test]
fn a_dry_run_leaves_the_model_as_it_is() {
    let model = common::model_copy();
    vocode()
        .args([
            "tune",
            "models/demo",
            "--steps",
            "2",
            "--tries",
            "3",
            "--dry-run",
            "--model",
        ])
        .arg(model.path())
        .assert()
        .success()
        .stdout(predicate::str::starts_with("2 steps: "));
    assert_eq!(
        manifest(model.path()),
        manifest(Path::new("models/default"))
    );
}

#[test]
fn what_cannot_be_tuned_is_refused_with_the_way_out() {
    let refused = |flags: &[&str], words: &str| {
        vocode()
            .arg("tune")
            .args(flags)
            .assert()
            .failure()
            .stderr(predicate::str::contains(words));
    };
    refused(&["models/demo"], "--model DIR, or give --dry-run");
    refused(
        &["models/demo", "--dry-run", "--steps", "0"],
        "expected 1 to 1000",
    );
    refused(&["models/default", "--dry-run"], "holds no .wav or .flac");
    refused(
        &[
            "models/demo",
            "--dry-run",
            "--solver",
            "ddim",
            "--steps",
            "2",
        ],
        "those that fit are euler",
    );

    let folder = tempfile::tempdir().unwrap();
    fs::copy("models/demo/demo.flac", folder.path().join("a.flac")).unwrap();
    let flat = ndarray::Array2::<f32>::from_shape_fn((80, 20), |(b, f)| -((b + f) as f32) / 20.0);
    ndarray_npy::write_npy(folder.path().join("a.npy"), &flat).unwrap();
    refused(
        &[folder.path().to_str().unwrap(), "--dry-run"],
        "the mel has 20 frames, which is 5120 samples, and the recording has",
    );
}
