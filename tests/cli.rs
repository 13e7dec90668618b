//! The real program on real input: the demo mel and the built-in model.

mod common;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use assert_cmd::Command;
use predicates::prelude::*;
use vocode::mel::{Mel, read_npy, write_npy};

const DEMO: &str = "models/demo/demo.npy";
const FRAMES: usize = 364;

fn vocode() -> Command {
    let mut command = Command::cargo_bin("vocode").unwrap();
    command.env("VOCODE_ORT_LIB", common::ensure_runtime().library());
    command
}

fn synthesise(output: &Path, flags: &[&str]) -> Vec<u8> {
    vocode()
        .args([DEMO, "-o"])
        .arg(output)
        .args(flags)
        .assert()
        .success();
    fs::read(output).unwrap()
}

fn samples(path: &Path) -> (hound::WavSpec, Vec<f32>) {
    let mut reader = hound::WavReader::open(path).unwrap();
    let spec = reader.spec();
    let values = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().map(Result::unwrap).collect(),
        hound::SampleFormat::Int => reader
            .samples::<i16>()
            .map(|v| f32::from(v.unwrap()) / 32768.0)
            .collect(),
    };
    (spec, values)
}

#[test]
fn the_demo_becomes_a_wav_of_its_length() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("demo.wav");
    vocode()
        .args([DEMO, "--provider", "cpu", "-o"])
        .arg(&out)
        .assert()
        .success()
        .stderr(
            predicate::str::contains("real-time factor")
                .and(predicate::str::contains("4 steps, cpu ")),
        );
    let (spec, values) = samples(&out);
    assert_eq!(
        (spec.sample_rate, spec.channels, values.len()),
        (22_050, 1, FRAMES * 256)
    );
    let rms = (values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32).sqrt();
    assert!((0.02..0.3).contains(&rms), "rms {rms}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Integers are near floats and not the same, and the file, the summary and the refusal name them.
#[test]
fn a_precision_is_chosen_told_and_refused_where_it_cannot_be_had() {
    let folder = tempfile::tempdir().unwrap();
    let made = ["float", "int8"].map(|precision| {
        let out = folder.path().join(precision).with_extension("wav");
        let flags = ["--precision", precision, "--json", "--format", "f32", "-o"];
        let assert = vocode().arg(DEMO).args(flags).arg(&out).assert().success();
        let line = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["precision"], precision);
        let comment = format!("precision={precision}");
        let bytes = fs::read(&out).unwrap();
        assert!(String::from_utf8_lossy(&bytes[..600]).contains(&comment));
        samples(&out).1
    });
    let energy = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>();
    let error = energy(&mut made[0].iter().zip(&made[1]).map(|(a, b)| a - b));
    let share = error / energy(&mut made[0].iter().copied());
    // Also without VNNI, whose kernels add pairs of products in 16 bits unless they are told not to: those saturate, to a share of 0.04.
    assert!(share > 1e-6 && share < 0.02, "{share}");

    vocode()
        .args([DEMO, "--precision", "int8", "--model", "tests/fixtures/tiny_flow", "-o"])
        .arg(folder.path().join("none.wav"))
        .assert()
        .failure()
        .stderr(predicate::str::contains(
            "--precision int8 cannot be had: the model \"tiny-flow\" has no denoiser.int8.onnx; use --precision auto or float",
        ));
}

#[test]
fn a_seed_means_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let make =
        |name: &str, seed: &str| synthesise(&folder.path().join(name), &["--seed", seed, "-q"]);
    let first = make("a.wav", "7");
    assert_eq!(first, make("b.wav", "7"));
    assert_ne!(first, make("c.wav", "8"));
}

#[test]
fn the_file_says_how_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = synthesise(
        &folder.path().join("a.wav"),
        &["--seed", "5", "--steps", "2"],
    );
    let text = String::from_utf8_lossy(&bytes[..600]).into_owned();
    for part in [
        "LIST",
        "ISFT",
        "vocode 0.1.0",
        "model=default",
        "sha256=",
        "steps=2",
        "seed=5",
        "mel=hifigan",
    ] {
        assert!(text.contains(part), "{part} is missing");
    }
}

#[test]
fn other_rates_and_formats_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a.wav");
    synthesise(&out, &["--sample-rate", "48000", "--format", "f32"]);
    let (spec, values) = samples(&out);
    assert_eq!((spec.sample_rate, spec.bits_per_sample), (48_000, 32));
    let expected = (FRAMES * 256) as f64 * 48_000.0 / 22_050.0;
    assert!((values.len() as f64 - expected).abs() <= 1.0);
}

/// The demo, each value raised by `louder`, so many times in a row.
fn changed_demo(louder: f32, times: usize) -> Vec<u8> {
    let file = fs::File::open(DEMO).unwrap();
    let mel = read_npy(file, Some(80), Default::default(), &Default::default()).unwrap();
    let mel = mel.view().mapv(|v| v + louder);
    let long = ndarray::concatenate(ndarray::Axis(1), &vec![mel.view(); times]).unwrap();
    let mut bytes = Vec::new();
    write_npy(&mut bytes, &Mel::new(long).unwrap()).unwrap();
    bytes
}

#[test]
fn a_pipe_carries_the_same_bytes_as_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (mel, out) = (folder.path().join("mel.npy"), folder.path().join("out"));
    // Integers: windows of other lengths, as pipes have, round floats in another way.
    let precision = ["--precision", "int8"];
    let cases: [(Vec<u8>, &[&str]); 5] = [
        (fs::read(DEMO).unwrap(), &[]),
        (
            fs::read(DEMO).unwrap(),
            &["--container", "flac", "--watermark"],
        ),
        (
            changed_demo(0.0, 2),
            &["--sample-rate", "16000", "--format", "s24"],
        ),
        (changed_demo(2.0, 1), &["--seed", "3"]),
        (changed_demo(2.0, 1), &["--limit", "false", "--steps", "2"]),
    ];
    for (bytes, flags) in cases {
        fs::write(&mel, &bytes).unwrap();
        let mut to_file = vocode();
        to_file.args(precision).args(flags);
        to_file
            .arg(&mel)
            .arg("--force")
            .arg("-o")
            .arg(&out)
            .assert()
            .success();
        let mut piped = vocode();
        piped.args(precision).args(flags).args(["-", "-o", "-"]);
        let output = piped.write_stdin(bytes).output().unwrap();
        assert!(output.status.success());
        assert!(output.stdout == fs::read(&out).unwrap(), "{flags:?}");
    }
}

#[test]
fn a_pipe_is_written_as_long_as_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let mel = folder.path().join("long.npy");
    fs::write(&mel, changed_demo(0.0, 10)).unwrap();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("vocode"))
        .env("VOCODE_ORT_LIB", common::ensure_runtime().library())
        .arg(&mel)
        .args(["-o", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut head = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut head).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(
        output.stderr.is_empty(),
        "no summary of what was broken off"
    );
    let length = u32::from_le_bytes(head[4..8].try_into().unwrap()) as usize;
    assert!((10 * FRAMES * 512..10 * FRAMES * 512 + 1000).contains(&length));
}

#[test]
fn json_tells_what_ran() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a.wav");
    let output = vocode()
        .args([DEMO, "--json", "-o"])
        .arg(&out)
        .output()
        .unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["provider"], "cpu");
    let nodes = summary["provider_nodes"].as_object().unwrap();
    assert_eq!(nodes.keys().collect::<Vec<_>>(), ["CPUExecutionProvider"]);
    assert_eq!(summary["steps"], 4);
    assert_eq!(summary["samples"], FRAMES * 256);
    assert!(summary["real_time_factor"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_folder_becomes_a_folder_and_one_bad_file_does_not_stop_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let (mels, out) = (folder.path().join("mels"), folder.path().join("out"));
    fs::create_dir(&mels).unwrap();
    fs::copy(DEMO, mels.join("b.npy")).unwrap();
    fs::write(mels.join("a.npy"), "no array").unwrap();
    vocode()
        .arg(&mels)
        .arg("-o")
        .arg(&out)
        .assert()
        .code(1)
        .stderr(predicate::str::contains("1 of 2 inputs failed"));
    assert!(out.join("b.wav").exists() && !out.join("a.wav").exists());
}

#[test]
fn a_recording_becomes_a_mel_and_speech_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mel, wav) = (
        folder.path().join("mel.npy"),
        folder.path().join("back.wav"),
    );
    vocode()
        .args(["mel", "models/demo/demo.flac", "-o"])
        .arg(&mel)
        .assert()
        .success();
    vocode().arg(&mel).arg("-o").arg(&wav).assert().success();
    assert_eq!(samples(&wav).1.len(), FRAMES * 256);
    let picture = folder.path().join("mel.png");
    vocode()
        .arg("inspect")
        .arg(&mel)
        .arg("--plot")
        .arg(&picture)
        .assert()
        .success()
        .stdout(predicate::str::contains("hifigan"));
    assert!(fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn a_centred_mel_is_shifted_by_half_a_hop() {
    let folder = tempfile::tempdir().unwrap();
    let (mel, centred, hop) = (
        folder.path().join("t.npy"),
        folder.path().join("t.wav"),
        folder.path().join("h.wav"),
    );
    vocode()
        .args([
            "mel",
            "models/demo/demo.flac",
            "--convention",
            "tacotron2",
            "-o",
        ])
        .arg(&mel)
        .assert()
        .success();
    vocode()
        .arg(&mel)
        .args(["--mel-convention", "tacotron2", "-o"])
        .arg(&centred)
        .assert()
        .success();
    synthesise(&hop, &[]);
    let (a, b) = (samples(&centred).1, samples(&hop).1);
    assert_eq!(a.len(), b.len());
    // The loudness contours of both line up: without the shift they would be 4 blocks of 32 samples apart, with the wrong sign 8.
    let contour = |x: &[f32]| -> Vec<f32> {
        let blocks: Vec<f32> = x
            .chunks(32)
            .map(|c| c.iter().map(|v| v.abs()).sum())
            .collect();
        blocks.windows(16).map(|w| w.iter().sum()).collect()
    };
    let (a, b) = (contour(&a), contour(&b));
    let distance = |lag: usize| -> f32 {
        let moved = a[lag..].iter().zip(&b[12..b.len() - 12]);
        moved.map(|(p, q)| (p - q).powi(2)).sum()
    };
    let best = (0..=24)
        .min_by(|&i, &j| distance(i).total_cmp(&distance(j)))
        .unwrap();
    assert!(best.abs_diff(12) <= 2, "off by {} blocks", best as i32 - 12);
}

/// A command that needs no ONNX Runtime, and finds none.
fn without_runtime(arguments: &[&str]) -> assert_cmd::assert::Assert {
    Command::cargo_bin("vocode")
        .unwrap()
        .env("VOCODE_OFFLINE", "1")
        .env("VOCODE_ORT_LIB", "none")
        .args(arguments)
        .assert()
}

#[test]
fn the_schedules_of_a_model_are_listed_without_running_it() {
    let words = "(?s)schedule +solver +denoiser calls +passes +timesteps\n.*fast \\(default\\) +euler +4 +[0-9]+ +0 0.25 0.5 0.75\n.*heun +second order";
    without_runtime(&["schedules"])
        .success()
        .stdout(predicate::str::is_match(words).unwrap());
    let ddpm = ["schedules", "--json", "--model", "tests/fixtures/tiny_ddpm"];
    let output = without_runtime(&ddpm).success().get_output().stdout.clone();
    let listing: serde_json::Value = serde_json::from_slice(&output).unwrap();
    let (fast, full) = (&listing["schedules"][0], &listing["schedules"][1]);
    assert_eq!(
        (&fast["name"], &fast["default"]),
        (&"fast".into(), &true.into())
    );
    assert_eq!(
        (&fast["solver"], &fast["denoiser_calls"]),
        (&"ancestral".into(), &6.into())
    );
    assert_eq!(fast["passes"], 0);
    let first = fast["timesteps"][0].as_f64().unwrap();
    assert!((first - 42.918643).abs() < 1e-6, "{first}");
    assert_eq!(full["timesteps"].as_array().unwrap().len(), 50);
    let solvers: Vec<_> = listing["solvers"].as_array().unwrap().iter().collect();
    let names: Vec<_> = solvers.iter().map(|solver| &solver["name"]).collect();
    assert_eq!(
        names,
        ["ancestral", "ddim", "dpm-solver++", "predictor-corrector"]
    );
}

#[test]
fn steps_schedule_and_solver_are_the_callers_choice() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    fs::write(&file, "times = [0.0, 0.6]\nsolver = \"midpoint\"\n").unwrap();
    let cases: [(&[&str], &str); 4] = [
        (
            &["--steps", "2", "--solver", "heun"],
            "3 steps, cpu float, seed 0, heun",
        ),
        (
            &["--schedule", "0,0.4"],
            "2 steps, cpu float, seed 0, euler",
        ),
        (
            &["--schedule", file.to_str().unwrap()],
            "4 steps, cpu float, seed 0, midpoint",
        ),
        (
            &["--schedule", file.to_str().unwrap(), "--solver", "euler"],
            "2 steps, cpu float, seed 0, euler",
        ),
    ];
    for (flags, words) in cases {
        vocode()
            .args([
                DEMO,
                "-f",
                "--provider",
                "cpu",
                "--precision",
                "float",
                "-o",
            ])
            .arg(folder.path().join("a.wav"))
            .args(flags)
            .assert()
            .success()
            .stderr(predicate::str::contains(words));
    }
    let head = fs::read(folder.path().join("a.wav")).unwrap()[..600].to_vec();
    let comment = String::from_utf8_lossy(&head).into_owned();
    assert!(
        comment.contains("schedule=custom solver=euler steps=2"),
        "{comment}"
    );
}

#[test]
fn steps_that_do_not_fit_are_refused_before_the_model_is_loaded() {
    for (flags, words) in [
        (["--schedule", "0,0.5,1"], "stay below 1"),
        (["--solver", "ddim"], "euler, heun, midpoint"),
        (["--schedule", "turbo"], "it has draft, fast"),
        (["--sharpen", "5"], "expected 0 to 4"),
    ] {
        let arguments = [&[DEMO, "-o", "never.wav"], &flags[..]].concat();
        without_runtime(&arguments)
            .code(2)
            .stderr(predicate::str::contains(words).and(predicate::str::contains(flags[0])));
    }
}

#[test]
fn the_doctor_tries_the_model_and_measures_it() {
    let words = "(?s)model +default .*speed +[0-9.]+ s for 2[.]0 s of audio, real-time factor [0-9.]+, 4 steps, cpu (float|int8), 1 thread\n";
    vocode()
        .args(["doctor", "--threads", "1", "--provider", "cpu"])
        .assert()
        .success()
        .stdout(
            predicate::str::is_match(words)
                .unwrap()
                .and(predicate::str::ends_with("synthesis works\n")),
        );
    let output = vocode()
        .args(["doctor", "--json", "--model", "tests/fixtures/tiny_ddpm"])
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["works"], true);
    assert_eq!(report["model"]["name"], "tiny-ddpm");
    assert_eq!(report["speed"]["steps"], 6);
    assert!(report["speed"]["real_time_factor"].as_f64().unwrap() > 0.0);
}

/// What a machine lacks is nothing to tell where vocode may choose, and an error where it may not.
#[test]
fn a_machine_without_a_gpu_is_told_so_where_one_was_asked_for() {
    let doctor = vocode().args(["doctor", "--json"]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let gpu = &report["gpu"];
    if !gpu["driver"].is_null() {
        eprintln!("skipped: there is a GPU");
        return;
    }
    assert_eq!(gpu["no_driver"], "no NVIDIA driver was found");
    assert_eq!(gpu["providers"][0]["provider"], "cuda");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a.wav");
    vocode()
        .args([DEMO, "--precision", "float", "-o"])
        .arg(&out)
        .assert()
        .success()
        .stderr(predicate::str::contains("cpu float, seed 0\n"));
    for provider in ["cuda", "tensorrt"] {
        let named = ["--provider", provider];
        let words = format!("--provider {provider} cannot run: no NVIDIA driver was found");
        vocode()
            .args([DEMO, "-o", "never.wav"])
            .args(named)
            .assert()
            .code(1)
            .stderr(predicate::str::contains(words.as_str()));
        vocode()
            .args(["warm", "--quiet"])
            .args(named)
            .assert()
            .code(1)
            .stderr(predicate::str::contains(words));
    }
}

#[test]
fn warming_tells_what_there_was_to_do() {
    vocode()
        .args(["warm", "--provider", "cpu"])
        .assert()
        .success()
        .stderr(predicate::str::contains(
            "nodes on CPUExecutionProvider), nothing to prepare",
        ));
    let output = vocode()
        .args(["warm", "--provider", "cpu", "--json"])
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["provider"], &report["calls"]),
        (&"cpu".into(), &0.into())
    );
}

#[test]
fn the_doctor_fails_where_synthesis_would() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["bundle.toml", "conditioner.onnx", "denoiser.onnx"] {
        fs::write(folder.path().join(name), "damaged").unwrap();
    }
    let model = folder.path().to_str().unwrap();
    for (flags, problem) in [
        (["--model", model], "bundle.toml cannot be read"),
        (["--threads", "0"], "--threads"),
    ] {
        vocode().arg("doctor").args(flags).assert().code(1).stdout(
            predicate::str::contains(problem)
                .and(predicate::str::contains("PROBLEM"))
                .and(predicate::str::ends_with("synthesis does not work\n")),
        );
    }
}
