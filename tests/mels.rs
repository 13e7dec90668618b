//! Mels as people have them: each kind is taken right, or told with advice that, followed, gives the right audio.

mod common;

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
