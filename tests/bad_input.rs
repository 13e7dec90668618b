//! Bad input: each kind gets a message that names the problem and the way out, and leaves no file behind.

mod common;
mod stand_in;

use std::fs;
#[cfg(unix)]
use std::io::{BufRead, BufReader};
use std::path::Path;

use assert_cmd::Command;
use ndarray::Array2;
use ndarray_npy::WriteNpyExt;
use tempfile::TempDir;

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
    assert!(message.len() < 1000, "{message}");
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
        &npy(&Array2::from_elem((99, 7), -5.0)),
        &[],
        1,
        &["99", "80"],
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
        2,
        &["turbo", "fast"],
    );
}

#[test]
fn no_steps() {
    refuses(&npy(&speech_like()), &["--steps", "0"], 2, &["step"]);
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
fn a_gpu_setting_for_a_provider_that_has_none() {
    for (flags, words) in [
        (&["--provider", "cpu", "--fp16"][..], ["--fp16", "tensorrt"]),
        (
            &["--provider", "cpu", "--device", "1"],
            ["--device", "cuda"],
        ),
        (
            &["--provider", "cuda", "--engine-cache", "x"],
            ["--engine-cache", "tensorrt"],
        ),
    ] {
        refuses(&npy(&speech_like()), flags, 2, &words);
    }
    let flags = ["--memory-limit", "plenty"];
    refuses(
        &npy(&speech_like()),
        &flags,
        2,
        &["--memory-limit", "plenty"],
    );
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

/// A copy of the tiny model in which one file was changed.
fn model_with(file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["bundle.toml", "conditioner.onnx", "denoiser.onnx"] {
        let from = Path::new("tests/fixtures/tiny_flow").join(name);
        fs::copy(from, folder.path().join(name)).unwrap();
    }
    let path = folder.path().join(file);
    let changed = change(fs::read(&path).unwrap());
    fs::write(path, changed).unwrap();
    folder
}

fn manifest_with(from: &str, to: &str) -> TempDir {
    model_with("bundle.toml", |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(from));
        text.replace(from, to).into_bytes()
    })
}

fn refuses_model(mel: &Array2<f32>, model: &TempDir, words: &[&str]) {
    let flags = ["--model", model.path().to_str().unwrap()];
    refuses(&npy(mel), &flags, 1, words);
}

#[test]
fn a_model_that_was_tampered_with() {
    let model = model_with("denoiser.onnx", |mut bytes| {
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    });
    refuses_model(&speech_like(), &model, &["sha256", "denoiser"]);
}

#[test]
fn a_denoiser_in_integers_that_is_missing_or_another() {
    let hashes = "[sha256]\ndenoiser_int8 = \"";
    let model = manifest_with("[sha256]\n", &format!("{hashes}{}\"\n", "0".repeat(64)));
    let words = ["cannot read", "denoiser.int8.onnx"];
    refuses_model(&speech_like(), &model, &words);
    let path = model.path().join("denoiser.int8.onnx");
    fs::copy(model.path().join("denoiser.onnx"), path).unwrap();
    let words = ["sha256", "denoiser.int8.onnx"];
    refuses_model(&speech_like(), &model, &words);
    let model = manifest_with("[sha256]\n", &format!("{hashes}none\"\n"));
    let words = ["sha256.denoiser_int8", "64 hexadecimal digits"];
    refuses_model(&speech_like(), &model, &words);
}

#[test]
fn a_graph_of_another_model() {
    let model = manifest_with("n_mels = 80", "n_mels = 64");
    let mel = speech_like().slice(ndarray::s![..64, ..]).to_owned();
    let words = [
        "conditioner.onnx",
        "expected input mel float32 [?, 64, ?]",
        "found mel float32 [?, 80, ?]",
    ];
    refuses_model(&mel, &model, &words);
}

#[test]
fn a_corrupt_manifest() {
    let cut = model_with("bundle.toml", |bytes| bytes[..bytes.len() / 2].to_vec());
    refuses_model(
        &speech_like(),
        &cut,
        &["bundle.toml", "line 45: unclosed array"],
    );
    let binary = model_with("bundle.toml", |_| vec![0xff; 100]);
    refuses_model(&speech_like(), &binary, &["bundle.toml", "UTF-8"]);
    let changes = [
        ("format = 1", "format = 2", "matching version of vocode"),
        ("hop = 256", "hop = 0", "`hop` is 0"),
        ("domain =", "realm =", "realm"),
    ];
    for (from, to, word) in changes {
        refuses_model(
            &speech_like(),
            &manifest_with(from, to),
            &["bundle.toml", word],
        );
    }
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
fn a_runtime_that_is_too_old() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = stand_in::of_version(folder.path(), "1.16.3") else {
        return;
    };
    let needed = vocode::runtime::needed_version();
    refuses(
        &npy(&speech_like()),
        &["--ort-lib", library.to_str().unwrap()],
        1,
        &["--ort-lib", "1.16.3", &needed, "vocode setup"],
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

#[cfg(unix)]
#[test]
fn an_unreadable_input() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.wav");
    let ring = folder.path().join("ring.npy");
    symlink(&ring, &ring).unwrap();
    fails_on(&ring, &out, &[], 1, &["cannot read", "ring.npy"]);

    let locked = folder.path().join("locked.npy");
    fs::write(&locked, npy(&speech_like())).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&locked).is_ok() {
        eprintln!("skipped: no permission keeps this user from reading a file");
        return;
    }
    fails_on(&locked, &out, &[], 1, &["locked.npy", "permissions"]);
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

/// The bytes of a tone in an M4A file, changed at `offset` behind the first `mark`.
fn changed_m4a(mark: &[u8; 4], offset: isize, value: &[u8]) -> Vec<u8> {
    let mut bytes = fs::read("tests/fixtures/audio/tone.m4a").unwrap();
    let found = bytes.windows(4).position(|window| window == mark).unwrap();
    let at = found.checked_add_signed(offset).unwrap();
    bytes[at..at + value.len()].copy_from_slice(value);
    bytes
}

/// A WAV file of ten samples that says it has this many a second.
fn wav_of_rate(rate: u32) -> Vec<u8> {
    let mut bytes = b"RIFF\x38\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    bytes.extend([rate.to_le_bytes(), (2 * rate).to_le_bytes()].concat());
    bytes.extend(b"\x02\0\x10\0data\x14\0\0\0");
    bytes.extend([0; 20]);
    bytes
}

#[test]
fn recordings_that_break_the_decoders_are_lost_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (all, out) = (folder.path().join("all"), folder.path().join("out"));
    fs::create_dir(&all).unwrap();
    let bad = [
        ("rate.wav", wav_of_rate(0)),
        ("scale.m4a", changed_m4a(b"mdhd", 16, &[0; 4])),
        ("capacity.m4a", changed_m4a(b"hdlr", -4, &[0; 4])),
        ("abort.m4a", changed_m4a(b"stts", 8, &[0xff; 4])),
        ("sizes.m4a", changed_m4a(b"stsz", 12, &[0xff; 4])),
        ("offsets.m4a", changed_m4a(b"stco", 8, &[0xff; 4])),
    ];
    for (name, bytes) in &bad {
        fs::write(all.join(name), bytes).unwrap();
    }
    fs::copy("tests/fixtures/audio/tone.m4a", all.join("z.m4a")).unwrap();
    let found = Command::cargo_bin("vocode")
        .unwrap()
        .arg("mel")
        .arg(&all)
        .arg("-o")
        .arg(&out)
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&found.stderr).into_owned();
    assert_eq!(found.status.code(), Some(1), "{message}");
    assert!(message.contains("6 of 7 inputs failed"), "{message}");
    assert!(!message.contains("panicked"), "{message}");
    for (name, _) in &bad {
        let line = message.lines().find(|line| line.contains(name)).unwrap();
        assert!(
            line.starts_with("error: ") && line.contains("damaged"),
            "{line}"
        );
    }
    let made: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(made, ["z.npy"]);
}

#[test]
fn a_recording_longer_than_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a.npy");
    let mel = |seconds: &str| {
        Command::cargo_bin("vocode")
            .unwrap()
            .args([
                "mel",
                "models/demo/demo.flac",
                "--max-seconds",
                seconds,
                "-o",
            ])
            .arg(&out)
            .output()
            .unwrap()
    };
    let short = mel("4");
    let message = String::from_utf8_lossy(&short.stderr).into_owned();
    assert_eq!(short.status.code(), Some(1), "{message}");
    assert!(message.contains("--max-seconds"), "{message}");
    assert!(!out.exists());
    assert_eq!(mel("0").status.code(), Some(2));
    assert!(mel("5").status.success());
}

#[test]
fn a_convention_larger_than_any() {
    let folder = tempfile::tempdir().unwrap();
    let (toml, out) = (folder.path().join("a.toml"), folder.path().join("a.wav"));
    // What would be left after a cut at 1 MiB is a whole convention.
    let whole = "base = \"hifigan\"\n";
    fs::write(&toml, format!("{whole}#{}\nhop = 1\n", " ".repeat(1 << 20))).unwrap();
    let flags = ["--mel-convention", toml.to_str().unwrap()];
    fails_on(
        Path::new(DEMO),
        &out,
        &flags,
        1,
        &["a.toml", "limit of 1 MiB"],
    );
}

#[cfg(unix)]
#[test]
fn a_name_with_control_characters() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("a\u{1b}[2J\nerror: b\u{9b}.npy");
    fs::write(&name, "no array").unwrap();
    let found = Command::cargo_bin("vocode")
        .unwrap()
        .arg(&name)
        .arg("-o")
        .arg(folder.path().join("a.wav"))
        .output()
        .unwrap();
    let message = String::from_utf8(found.stderr).unwrap();
    assert!(!message.contains(['\u{1b}', '\u{9b}']), "{message:?}");
    assert_eq!(
        message
            .lines()
            .filter(|line| line.starts_with("error"))
            .count(),
        1,
        "{message}"
    );
}

#[cfg(unix)]
#[test]
fn a_graph_that_is_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    fs::create_dir(&model).unwrap();
    for name in ["bundle.toml", "conditioner.onnx"] {
        fs::copy(Path::new("models/default").join(name), model.join(name)).unwrap();
    }
    let made = std::process::Command::new("mkfifo")
        .arg(model.join("denoiser.onnx"))
        .status();
    assert!(made.unwrap().success());
    let flags = ["--model", model.to_str().unwrap()];
    let out = folder.path().join("a.wav");
    fails_on(
        Path::new(DEMO),
        &out,
        &flags,
        1,
        &["denoiser.onnx", "not a regular file"],
    );
}

/// Sends SIGINT once the synthesis says that it goes on.
#[cfg(unix)]
#[test]
fn an_interrupted_synthesis() {
    let folder = tempfile::tempdir().unwrap();
    let mel = folder.path().join("long.npy");
    let frames = 20_000;
    let values = speech_like();
    let long = Array2::from_shape_fn((80, frames), |(b, f)| values[[b, f % 40]]);
    fs::write(&mel, npy(&long)).unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_vocode"))
        .env("VOCODE_ORT_LIB", common::ensure_runtime().library())
        .env("VOCODE_LOG", "vocode=info")
        .arg(&mel)
        .arg("-o")
        .arg(folder.path().join("out.wav"))
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(
        lines.any(|line| line.unwrap().contains("synthesising")),
        "it ended before it began"
    );
    let kill = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(lines.any(|line| line.unwrap().contains("interrupted")));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
