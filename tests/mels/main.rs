//! Mels as people have them: each kind is taken right, or told with advice that, followed, gives the right audio.

#[path = "../common/mod.rs"]
mod common;

mod approximate;

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use ndarray::{Array2, Axis, concatenate};
use ndarray_npy::{ReadNpyExt, WriteNpyExt};

const DEMO: &str = "models/demo/demo.npy";

fn demo() -> Array2<f32> {
    Array2::read_npy(fs::File::open(DEMO).unwrap()).unwrap()
}

/// Runs `vocode` on a file with these bytes; returns the samples as stored and what was said on standard error.
fn synthesise(bytes: &[u8], flags: &[&str]) -> (Vec<u8>, String) {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("mel.npy"), folder.path().join("out.wav"));
    fs::write(&input, bytes).unwrap();
    let done = Command::cargo_bin("vocode")
        .unwrap()
        .env("VOCODE_ORT_LIB", common::ensure_runtime().library())
        .args([
            input.as_path(),
            Path::new("-o"),
            &output,
            Path::new("--steps=2"),
        ])
        .args(flags)
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{message}");
    (fs::read(&output).unwrap(), message)
}

fn npy(values: &Array2<f32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.write_npy(&mut bytes).unwrap();
    bytes
}

fn samples(wav: &[u8]) -> Vec<i16> {
    let reader = hound::WavReader::new(wav).unwrap();
    reader.into_samples().map(Result::unwrap).collect()
}

/// A version 1 file whose header is written by hand.
fn with_header(shape: &str, fortran: bool, values: impl Iterator<Item = f32>) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let mut text = format!("{{'descr': '<f4', 'fortran_order': {order}, 'shape': {shape}, }}");
    while !(10 + text.len() + 1).is_multiple_of(64) {
        text.push(' ');
    }
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(values.flat_map(f32::to_le_bytes));
    bytes
}

#[test]
fn a_batch_padded_with_zeros_is_told_and_its_padding_can_be_cut() {
    let zeros = Array2::zeros((80, 12));
    let padded = concatenate![Axis(1), zeros, demo(), zeros];
    let (noisy, message) = synthesise(&npy(&padded), &[]);
    let frames = demo().ncols();
    for words in [
        "frames 0 to 11, at the begin,",
        &format!("frames {} to {}, at the end,", frames + 12, frames + 23),
        "--trim-padding",
    ] {
        assert!(message.contains(words), "{words:?} is not in: {message}");
    }
    let (right, quiet) = synthesise(&npy(&demo()), &[]);
    assert!(!quiet.contains("padding"), "{quiet}");
    assert_ne!(noisy.len(), right.len());
    // The advice, followed; only the name of the input differs, and that is not in the file.
    let (trimmed, message) = synthesise(&npy(&padded), &["--trim-padding"]);
    assert_eq!(trimmed, right, "{message}");
    assert!(!message.contains("padding"), "{message}");
}

#[test]
fn a_blurred_mel_is_told_and_restored_and_a_sharp_one_stays_as_it_is() {
    let (right, message) = synthesise(&npy(&demo()), &[]);
    assert!(!message.contains("blur"), "{message}");
    let (same, message) = synthesise(&npy(&demo()), &["--restore=auto"]);
    assert!(!message.contains("blur"), "{message}");
    assert_eq!(samples(&same), samples(&right));

    let mel = common::blurred(&demo());
    let (dull, message) = synthesise(&npy(&mel), &[]);
    assert!(message.contains("--restore auto undoes that"), "{message}");
    let (restored, message) = synthesise(&npy(&mel), &["--restore", "auto"]);
    assert_eq!(warnings(&message), Vec::<&str>::new());
    assert!(message.contains("bands is undone"), "{message}");
    assert_ne!(dull, restored);
}

#[test]
fn axes_of_length_one_and_headers_of_python_2_change_nothing() {
    let mel = demo();
    let frames = mel.ncols();
    let (right, _) = synthesise(&npy(&mel), &[]);
    let by_band = || mel.iter().copied();
    let by_frame = || mel.t().iter().copied().collect::<Vec<_>>().into_iter();
    let files = [
        with_header(&format!("(80, {frames}, 1)"), false, by_band()),
        with_header(&format!("({frames}, 1, 80)"), false, by_frame()),
        with_header(&format!("(1, 80, {frames})"), false, by_band()),
        with_header(&format!("(80L, {frames}L)"), false, by_band()),
    ];
    for file in files {
        let (found, message) = synthesise(&file, &[]);
        assert_eq!(found, right, "{message}");
    }
}

/// What the warnings say, the summary left out.
fn warnings(message: &str) -> Vec<&str> {
    message
        .lines()
        .filter(|line| line.starts_with("warning"))
        .collect()
}

/// The demo's mel as programs of other scales write it, each with the TOML that undoes it.
fn scaled(compression: &str, value: impl Fn(f32) -> f32) -> (Array2<f32>, String) {
    let toml = format!("base = \"hifigan\"\ncompression = {compression}\n");
    (demo().mapv(value), toml)
}

#[test]
fn a_mel_on_another_scale_is_told_with_the_recipe_that_mends_it() {
    let decibels = |v: f32| v * 20.0 / std::f32::consts::LN_10;
    let mapped = move |v: f32| ((decibels(v) + 80.0) / 100.0).clamp(0.0, 1.0);
    // The last two as a noisy room leaves them: no value at any floor.
    let noise = |v: f32| (v.exp() + 2e-3).ln();
    let cases = [
        scaled("{ kind = \"log10\", floor = 1e-5 }", |v| {
            v / std::f32::consts::LN_10
        }),
        scaled(
            "{ kind = \"db\", floor = 1e-5, scale = 0.08, offset = 2.4, clip = [-4, 4] }",
            move |v| 8.0 * mapped(v) - 4.0,
        ),
        scaled(
            "{ kind = \"db\", floor = 1e-5, scale = 0.08, offset = 2.4, clip = [-4, 4] }",
            move |v| 8.0 * mapped(noise(v)) - 4.0,
        ),
        scaled(
            "{ kind = \"db\", floor = 1e-5, scale = 0.02, offset = 0.6, clip = [-1, 1] }",
            move |v| 2.0 * mapped(noise(v)) - 1.0,
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (number, (mel, toml)) in cases.into_iter().enumerate() {
        let (_, message) = synthesise(&npy(&mel), &[]);
        let recipe = toml.lines().nth(1).unwrap();
        let told: Vec<&str> = warnings(&message)
            .into_iter()
            .filter(|line| line.contains("looks like"))
            .collect();
        assert_eq!(told.len(), 1, "{message}");
        assert!(told[0].contains(recipe), "{recipe} is not in: {message}");
        let path = folder.path().join(format!("{number}.toml"));
        fs::write(&path, &toml).unwrap();
        let flag = format!("--mel-convention={}", path.display());
        let (_, message) = synthesise(&npy(&mel), &[&flag]);
        assert!(!message.contains("looks like"), "{message}");
    }
}

#[test]
fn values_between_0_and_1_are_told_what_this_model_can_take() {
    let (mel, toml) = scaled(
        "{ kind = \"db\", floor = 1e-5, scale = 0.01, offset = 0.8, clip = [0, 1] }",
        |v| ((v * 20.0 / std::f32::consts::LN_10 + 80.0) / 100.0).clamp(0.0, 1.0),
    );
    let folder = tempfile::tempdir().unwrap();
    let (input, recipe) = (
        folder.path().join("mel.npy"),
        folder.path().join("as_advised.toml"),
    );
    fs::write(&input, npy(&mel)).unwrap();
    fs::write(&recipe, &toml).unwrap();
    let inspected = Command::cargo_bin("vocode")
        .unwrap()
        .arg("inspect")
        .arg(&input)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inspected.stdout).into_owned();
    assert!(said.contains(toml.lines().nth(1).unwrap()), "{said}");
    // What it may be besides is taken with both flags, and refused without the second.
    let alone = said.replace("--mel-convention lmnt and --approximate-mel", "");
    assert!(!alone.contains("--mel-convention lmnt"), "{said}");
    let flag = format!("--mel-convention={}", recipe.display());
    let (_, message) = synthesise(&npy(&mel), &[&flag]);
    assert!(!message.contains("clipped"), "{message}");
}

#[test]
fn a_mean_and_a_deviation_for_each_band_are_undone() {
    let mel = demo();
    let mean: Vec<f32> = (0..80).map(|band| -4.0 - band as f32 / 40.0).collect();
    let std: Vec<f32> = (0..80).map(|band| 1.5 + band as f32 / 80.0).collect();
    let mut normalised = mel.clone();
    for (band, mut row) in normalised.rows_mut().into_iter().enumerate() {
        row.mapv_inplace(|v| (v - mean[band]) / std[band]);
    }
    let folder = tempfile::tempdir().unwrap();
    let recipe = folder.path().join("normalised.toml");
    let toml = format!("base = \"hifigan\"\ncompression = {{ mean = {mean:?}, std = {std:?} }}\n");
    fs::write(&recipe, toml).unwrap();
    let flag = format!("--mel-convention={}", recipe.display());
    // In floats, where rounding stays rounding.
    let float = ["--format=f32", "--precision=float", &flag];
    let (found, message) = synthesise(&npy(&normalised), &float);
    assert!(warnings(&message).is_empty(), "{message}");
    let (right, _) = synthesise(&npy(&mel), &float[..2]);
    // The samples at the end; what stands before names the convention.
    let samples = |bytes: &[u8]| -> Vec<f32> {
        let tail = &bytes[bytes.len() - 4 * 256 * (mel.ncols() - 1)..];
        let words = tail.chunks_exact(4);
        words
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    };
    let (found, right) = (samples(&found), samples(&right));
    let worst = found
        .iter()
        .zip(&right)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst < 0.01, "the audio differs by {worst}");
    let (_, message) = synthesise(&npy(&normalised), &[]);
    assert!(warnings(&message)[0].contains("looks like"), "{message}");
}

#[test]
fn files_that_hold_a_mel_in_another_form_are_told_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut safetensors = 40u64.to_le_bytes().to_vec();
    safetensors.extend(b"{\"mel\":{\"dtype\":\"F32\",\"shape\":[80,1]}}");
    let cases: [(&str, &[u8], &str); 3] = [
        (
            "a.pt",
            b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
            "torch.load",
        ),
        ("b.safetensors", &safetensors, "load_file"),
        ("c.npz", b"PK\x03\x04 and no more", "np.load"),
    ];
    for (name, bytes, words) in cases {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        for command in [vec!["inspect"], vec!["-o", "never.wav"]] {
            let done = Command::cargo_bin("vocode")
                .unwrap()
                .current_dir(folder.path())
                .args(&command)
                .arg(&path)
                .output()
                .unwrap();
            let message = String::from_utf8_lossy(&done.stderr).into_owned();
            assert!(
                !done.status.success() && message.contains(words),
                "{name} {command:?}: {message}"
            );
        }
    }
}
