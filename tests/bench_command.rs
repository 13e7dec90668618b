//! `vocode bench`: the shape of what it tells, its picture and its refusals. No time is asserted.

mod common;

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;

/// The least work that measures everything.
const SMALL: [&str; 11] = [
    "bench",
    "--model",
    "tests/fixtures/tiny_flow",
    "--steps",
    "2,4",
    "--runs",
    "1",
    "--seconds",
    "0.5",
    "--stream-seconds",
    "0.6",
];

fn vocode() -> Command {
    let mut command = Command::cargo_bin("vocode").unwrap();
    command.env("VOCODE_ORT_LIB", common::ensure_runtime().library());
    command
}

fn is_positive(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number > 0.0)
}

#[test]
fn the_figures_are_json() {
    let output = vocode()
        .args(SMALL)
        .args(["--thread-counts", "2,1", "--streams", "1,2", "--json"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["model"], "tiny-flow");
    assert_eq!(report["provider"], "cpu");
    assert!(is_positive(&report["load_seconds"]["median"]));
    let cases: Vec<(u64, u64)> = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            for figure in ["median", "min", "max"] {
                assert!(is_positive(&row["real_time_factor"][figure]), "{row}");
                assert!(is_positive(&row["first_audio_ms"][figure]), "{row}");
            }
            assert!(is_positive(&row["first_audio_ms"]["p95"]), "{row}");
            (
                row["threads"].as_u64().unwrap(),
                row["steps"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(cases, [(2, 2), (2, 4), (1, 2), (1, 4)]);
    let streams = report["streams"].as_array().unwrap();
    let steps: Vec<_> = streams.iter().map(|some| some["steps"].as_u64()).collect();
    assert_eq!(steps, [Some(2), Some(4)]);
    for streams in streams {
        let tried = streams["tried"].as_array().unwrap();
        let counts: Vec<_> = tried.iter().map(|row| row["streams"].as_u64()).collect();
        assert_eq!(counts, [Some(1), Some(2)]);
        assert!(
            tried
                .iter()
                .all(|row| row["failed"] == 0 && row["started"].as_u64() > Some(0))
        );
    }
    let memory = &report["peak_memory_mib"];
    for when in ["loaded", "syntheses", "streams"] {
        assert_eq!(is_positive(&memory[when]), cfg!(target_os = "linux"));
    }
}

#[test]
fn the_figures_are_a_table_and_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let plot = folder.path().join("bench.png");
    vocode()
        .args(SMALL)
        .args(["--threads", "1", "--streams", "0", "--plot"])
        .arg(&plot)
        .assert()
        .success()
        .stdout(
            predicate::str::is_match("(?s)^tiny-flow .*steps  threads .*\n    2        1   0[.].*\n    4        1   .*peak memory  ")
                .unwrap()
                .and(predicate::str::contains("streams").not()),
        );
    let bytes = fs::read(&plot).unwrap();
    assert!(bytes.starts_with(b"\x89PNG") && bytes.ends_with(b"IEND\xaeB`\x82"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Runs the command on a wrong flag, without ONNX Runtime: the flags are looked at before anything is loaded.
fn refuses(flags: &[&str], code: i32, words: &[&str]) {
    let output = Command::cargo_bin("vocode")
        .unwrap()
        .env("VOCODE_OFFLINE", "1")
        .env("VOCODE_ORT_LIB", "none")
        .arg("bench")
        .args(flags)
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{message}");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

#[test]
fn wrong_flags_are_told_with_what_would_do() {
    for (flags, words) in [
        (["--steps", "0"], ["--steps 0", "1 to"]),
        (["--thread-counts", "1,0"], ["--thread-counts 0", "1 to"]),
        (["--streams", "9999999"], ["--streams 9999999", "1 to"]),
        (["--seconds", "0"], ["--seconds 0", "more than 0"]),
        (["--plot", "a.svg"], ["--plot a.svg", ".png"]),
    ] {
        refuses(&flags, 2, &words);
    }
}

#[test]
fn a_picture_is_not_written_over_a_file_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let plot = folder.path().join("a.png");
    fs::write(&plot, "mine").unwrap();
    let flags = ["--plot", plot.to_str().unwrap()];
    refuses(&flags, 1, &["exists already", "--force"]);
    assert_eq!(fs::read(&plot).unwrap(), b"mine");
    let nowhere = Path::new("no/such/folder/a.png");
    refuses(
        &["--plot", nowhere.to_str().unwrap()],
        1,
        &["no/such/folder/a.png", "make the folder"],
    );
}
