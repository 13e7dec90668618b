//! Bad input: each kind gets a message that names the problem and the way out, and leaves no file behind.

mod common;

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use ndarray::Array2;
use ndarray_npy::WriteNpyExt;

const DEMO: &str = "models/demo/demo.npy";

/// Runs `vocode INPUT -o out.wav FLAGS` on a file with these bytes and expects the code, every word in the message and no output.
fn refuses(bytes: &[u8], flags: &[&str], code: i32, words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("mel.npy");
    fs::write(&input, bytes).unwrap();
    fails_on(&input, &folder.path().join("out.wav"), flags, code, words);
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "something was left behind"
    );
}

fn fails_on(input: &Path, output: &Path, flags: &[&str], code: i32, words: &[&str]) {
    let found = Command::cargo_bin("vocode")
        .unwrap()
        .env("VOCODE_ORT_LIB", common::ensure_runtime().library())
        .arg(input)
        .arg("-o")
        .arg(output)
        .args(flags)
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&found.stderr).into_owned();
    assert_eq!(found.status.code(), Some(code), "{message}");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
    assert!(!output.is_file(), "an output was left behind");
}

fn npy(values: &Array2<f32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.write_npy(&mut bytes).unwrap();
    bytes
}

fn speech_like() -> Array2<f32> {
    Array2::from_shape_fn((80, 40), |(band, frame)| {
        -4.0 - ((band * 7 + frame * 3) % 11) as f32 * 0.3
    })
}

/// An npy header of version 1.0 with this dictionary.
fn header(dictionary: &str) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    let padded = format!("{dictionary:<117}\n");
    bytes.extend((padded.len() as u16).to_le_bytes());
    bytes.extend(padded.as_bytes());
    bytes
}

#[test]
fn an_empty_file() {
    refuses(b"", &[], 1, &["mel.npy"]);
}

#[test]
fn a_text_file() {
    refuses(b"this is no array", &[], 1, &["mel.npy", "npy"]);
}

#[test]
fn a_wav_instead_of_an_npy() {
    refuses(
        b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0",
        &[],
        1,
        &["WAV"],
    );
}

#[test]
fn a_truncated_array() {
    let whole = npy(&speech_like());
    refuses(&whole[..whole.len() / 2], &[], 1, &["mel.npy"]);
}

#[test]
fn a_header_that_claims_more_than_there_is() {
    refuses(
        &header("{'descr': '<f4', 'fortran_order': False, 'shape': (80, 99999999999), }"),
        &[],
        1,
        &["mel.npy", "frames"],
    );
}

#[test]
fn python_objects() {
    refuses(
        &header("{'descr': '|O', 'fortran_order': False, 'shape': (80, 4), }"),
        &[],
        1,
        &["mel.npy", "float"],
    );
}

#[test]
fn integers() {
    refuses(
        &header("{'descr': '<i8', 'fortran_order': False, 'shape': (80, 4), }"),
        &[],
        1,
        &["float"],
    );
}

#[test]
fn the_wrong_rank() {
    refuses(
        &header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 80, 4), }"),
        &[],
        1,
        &["80"],
    );
}

#[test]
fn the_wrong_number_of_bands() {
    refuses(
        &npy(&Array2::from_elem((100, 7), -5.0)),
        &[],
        1,
        &["100", "80"],
    );
}

#[test]
fn no_frames() {
    refuses(&npy(&Array2::zeros((80, 0))), &[], 1, &["mel.npy", "frame"]);
}

#[test]
fn a_shape_that_fits_both_ways() {
    refuses(
        &npy(&Array2::from_shape_fn((80, 80), |(b, f)| {
            -4.0 - ((b + f) % 5) as f32
        })),
        &[],
        1,
        &["--layout"],
    );
}

#[test]
fn not_a_number() {
    let mut values = speech_like();
    values[[3, 5]] = f32::NAN;
    refuses(&npy(&values), &[], 1, &["NaN"]);
}

#[test]
fn infinity() {
    let mut values = speech_like();
    values[[3, 5]] = f32::INFINITY;
    refuses(&npy(&values), &[], 1, &["mel.npy", "inf"]);
}

#[test]
fn the_same_value_everywhere() {
    refuses(
        &npy(&Array2::from_elem((80, 40), 0.3)),
        &[],
        1,
        &["mel.npy"],
    );
}

#[test]
fn a_mel_in_decibels() {
    refuses(
        &npy(&speech_like().mapv(|v| v * 9.0)),
        &[],
        1,
        &["--mel-convention"],
    );
}

#[test]
fn a_convention_that_cannot_be_converted() {
    refuses(
        &npy(&speech_like().mapv(|v| (v + 8.0) / 8.0)),
        &["--mel-convention", "lmnt"],
        1,
        &["lmnt", "hifigan"],
    );
}

#[test]
fn an_unknown_convention() {
    refuses(
        &npy(&speech_like()),
        &["--mel-convention", "wavenet"],
        2,
        &["wavenet", "tacotron2"],
    );
}

#[test]
fn an_unknown_schedule() {
    refuses(
        &npy(&speech_like()),
        &["--schedule", "turbo"],
        1,
        &["turbo", "fast"],
    );
}

#[test]
fn no_steps() {
    refuses(&npy(&speech_like()), &["--steps", "0"], 1, &["step"]);
}

#[test]
fn an_unknown_provider() {
    refuses(
        &npy(&speech_like()),
        &["--provider", "tpu"],
        2,
        &["tpu", "cuda"],
    );
}

#[test]
fn a_provider_that_is_not_there() {
    refuses(&npy(&speech_like()), &["--provider", "cuda"], 1, &["cuda"]);
}

#[test]
fn an_absurd_sample_rate() {
    refuses(&npy(&speech_like()), &["--sample-rate", "7"], 1, &["7"]);
}

#[test]
fn a_model_folder_without_a_model() {
    refuses(
        &npy(&speech_like()),
        &["--model", "tests/common"],
        1,
        &["bundle.toml"],
    );
}

#[test]
fn a_model_that_was_tampered_with() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["bundle.toml", "conditioner.onnx", "denoiser.onnx"] {
        fs::copy(
            Path::new("tests/fixtures/tiny_flow").join(name),
            folder.path().join(name),
        )
        .unwrap();
    }
    let graph = folder.path().join("denoiser.onnx");
    let mut bytes = fs::read(&graph).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&graph, bytes).unwrap();
    refuses(
        &npy(&speech_like()),
        &["--model", folder.path().to_str().unwrap()],
        1,
        &["sha256", "denoiser"],
    );
}

#[test]
fn a_runtime_that_is_no_library() {
    refuses(
        &npy(&speech_like()),
        &["--ort-lib", "Cargo.toml"],
        1,
        &["Cargo.toml"],
    );
}

#[test]
fn a_missing_input() {
    let folder = tempfile::tempdir().unwrap();
    fails_on(
        Path::new("no/such/mel.npy"),
        &folder.path().join("out.wav"),
        &[],
        1,
        &["no/such/mel.npy", "check the path"],
    );
}

#[test]
fn a_missing_folder_for_the_output() {
    fails_on(
        Path::new(DEMO),
        Path::new("no/such/out.wav"),
        &[],
        1,
        &["no/such/out.wav", "make the folder"],
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk() {
    fails_on(
        Path::new(DEMO),
        Path::new("/dev/full"),
        &[],
        1,
        &["No space left", "make room"],
    );
}

#[test]
fn an_output_that_exists() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.wav");
    fs::write(&out, "precious").unwrap();
    Command::cargo_bin("vocode")
        .unwrap()
        .args([DEMO, "-o"])
        .arg(&out)
        .assert()
        .code(1);
    assert_eq!(fs::read(&out).unwrap(), b"precious");
}
