//! Mels that do not convert exactly: taken approximately where that is asked for and loses little, in place and in time.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use ndarray::{Array2, s};
use ndarray_npy::ReadNpyExt;
use vocode::audio::{DecodeLimits, decode};
use vocode::mel::{Mel, MelConvention, analyse, prepare_approximately};

use super::common;

const RECORDING: &str = "models/demo/demo.flac";

/// Runs `vocode` in a folder; returns whether it went well, and what it said on standard output and standard error.
fn vocode(folder: &Path, flags: &[&str]) -> (bool, String, String) {
    let done = Command::cargo_bin("vocode")
        .unwrap()
        .env("VOCODE_ORT_LIB", common::ensure_runtime().library())
        .current_dir(folder)
        .args(flags)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        done.status.success(),
        text(&done.stdout),
        text(&done.stderr),
    )
}

/// As above, where it has to go well; returns what it said on standard error.
fn made(folder: &Path, flags: &[&str]) -> String {
    let (well, _, said) = vocode(folder, flags);
    assert!(well, "{flags:?}: {said}");
    said
}

/// A folder with the mel of the demo's recording in `convention`, made by `vocode mel`, as `mel.npy`.
fn folder_with_mel(convention: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let recording = fs::canonicalize(RECORDING).unwrap();
    let recording = recording.to_str().unwrap();
    let flags = ["mel", recording, "-o", "mel.npy", "--mel-convention"];
    made(folder.path(), &[&flags[..], &[convention]].concat());
    folder
}

fn mel_in(path: PathBuf) -> Mel {
    Mel::new(Array2::read_npy(fs::File::open(path).unwrap()).unwrap()).unwrap()
}

fn samples(path: impl AsRef<Path>) -> Vec<f32> {
    let extension = path.as_ref().extension().unwrap().to_str();
    let bytes = fs::read(&path).unwrap();
    decode(bytes, extension, &DecodeLimits::default())
        .unwrap()
        .samples
}

/// The mean difference in nepers over what is loud enough to be heard, of the frames that both have, a few at the ends left out.
fn distance(found: &Mel, right: &Mel) -> f64 {
    let frames = found.frames().min(right.frames());
    let inside = s![.., 3..frames - 3];
    let (found, right) = (found.view(), right.view());
    let pairs = ndarray::Zip::from(found.slice(inside)).and(right.slice(inside));
    let (sum, count) = pairs.fold((0.0, 0.0), |(sum, count), a, b| match *b > -8.0 {
        true => (sum + f64::from((a - b).abs()), count + 1.0),
        false => (sum, count),
    });
    sum / count
}

#[test]
fn a_converted_mel_lies_right_in_time_and_near_the_right_one() {
    let hifigan = MelConvention::named("hifigan").unwrap();
    let recording = samples(RECORDING);
    // Of speech between two neighbouring frames the distance is about 0.5.
    for (name, bound) in [
        ("espnet", 0.15),
        ("lmnt", 0.15),
        ("vocos24k", 0.15),
        ("bigvgan24k", 0.15),
    ] {
        let folder = folder_with_mel(name);
        let convention = MelConvention::named(name).unwrap();
        let mel = mel_in(folder.path().join("mel.npy"));
        let prepared = prepare_approximately(mel, &convention, &hifigan).unwrap();
        let duration = prepared.mel.frames() as i64 * 256 - 2 * prepared.shift_samples;
        assert!(
            (duration - recording.len() as i64).abs() <= 256,
            "{name}: {duration} samples for {}",
            recording.len()
        );
        // The mel of the recording as it would be if it came earlier or later: the nearest is that of the right moment.
        let late = |samples: i64| {
            let shift = prepared.shift_samples + samples;
            let moved: Vec<f32> = (0..recording.len() as i64)
                .map(|n| usize::try_from(n - shift).ok())
                .map(|n| n.and_then(|n| recording.get(n)).copied().unwrap_or(0.0))
                .collect();
            distance(&prepared.mel, &analyse(&moved, &hifigan).unwrap())
        };
        let right = late(0);
        assert!(right < bound, "{name}: {right} nepers");
        for samples in [-128, -64, -32, 32, 64, 128] {
            assert!(
                late(samples) > right,
                "{name}: {samples} samples off it is nearer"
            );
        }
    }
}

#[test]
fn the_audio_of_a_converted_mel_is_near_that_of_the_right_one() {
    let right = folder_with_mel("hifigan");
    let flags = [
        "mel.npy",
        "-o",
        "out.wav",
        "--format=f32",
        "--mel-convention",
    ];
    made(right.path(), &[&flags[..], &["hifigan"]].concat());
    made(right.path(), &["mel", "out.wav", "-o", "again.npy"]);
    let expected = mel_in(right.path().join("again.npy"));
    for name in ["espnet", "vocos24k"] {
        let folder = folder_with_mel(name);
        let flags = [&flags[..], &[name, "--approximate-mel"]].concat();
        let said = made(folder.path(), &flags);
        assert!(
            said.contains("warning") && said.contains("approximately"),
            "{said}"
        );
        made(folder.path(), &["mel", "out.wav", "-o", "again.npy"]);
        let found = mel_in(folder.path().join("again.npy"));
        let distance = distance(&found, &expected);
        assert!(distance < 0.3, "{name}: {distance} nepers");
    }
}

#[test]
fn without_the_flag_the_refusal_names_it_where_it_would_help() {
    let flags = ["mel.npy", "-o", "out.wav", "--mel-convention"];
    for (name, helps) in [("espnet", true), ("speecht5", false)] {
        let folder = folder_with_mel(name);
        let (well, _, said) = vocode(folder.path(), &[&flags[..], &[name]].concat());
        assert!(!well && !folder.path().join("out.wav").exists(), "{said}");
        assert_eq!(said.contains("--approximate-mel"), helps, "{name}: {said}");
    }
}

#[test]
fn a_mel_of_a_kind_that_was_not_told_is_told_the_flags_that_take_it() {
    for (name, words) in [
        ("espnet", "--mel-convention espnet and --approximate-mel"),
        ("lmnt", "--mel-convention lmnt and --approximate-mel"),
    ] {
        let folder = folder_with_mel(name);
        let (_, _, said) = vocode(folder.path(), &["mel.npy", "-o", "out.wav"]);
        assert!(said.contains(words), "{name}: {said}");
    }
}

#[test]
fn what_loses_too_much_is_refused_with_the_figure() {
    let folder = folder_with_mel("speecht5");
    let flags = ["mel.npy", "-o", "out.wav", "--approximate-mel"];
    let convention = ["--mel-convention", "speecht5"];
    let (well, _, said) = vocode(folder.path(), &[&flags[..], &convention].concat());
    assert!(!well && !folder.path().join("out.wav").exists(), "{said}");
    for words in ["lost 0.", "PESQ-wb", "--mel-convention hifigan"] {
        assert!(said.contains(words), "{words:?} is not in: {said}");
    }
}

#[test]
fn a_convention_of_ones_own_is_taken_where_its_settings_were_measured_to_lose_little() {
    let folder = folder_with_mel("hifigan");
    let flags = ["mel.npy", "-o", "out.wav", "--force", "--approximate-mel"];
    for (field, why) in [
        ("f_max = 7800.0", None),
        ("f_max = 4000.0", Some("highest")),
        ("hop = 512", Some("hop")),
    ] {
        let path = folder.path().join("mine.toml");
        fs::write(path, format!("base = \"hifigan\"\n{field}\n")).unwrap();
        let convention = ["--mel-convention", "mine.toml"];
        let (well, _, said) = vocode(folder.path(), &[&flags[..], &convention].concat());
        assert_eq!(well, why.is_none(), "{field}: {said}");
        assert!(
            said.contains(why.unwrap_or("approximately")),
            "{field}: {said}"
        );
    }
}

#[test]
fn lists_and_pipes_take_the_flag_and_json_has_the_warning() {
    let folder = folder_with_mel("vocos24k");
    let flags = [
        "--approximate-mel",
        "--mel-convention",
        "vocos24k",
        "--json",
    ];
    let warned = |text: &str| {
        let line = text.lines().find(|line| line.contains("\"warnings\""));
        let line = line.unwrap_or_else(|| panic!("no summary in: {text}"));
        let start = line.find("\"warnings\"").unwrap();
        assert!(line[start..].contains("approximately"), "{line}");
    };
    let (well, told, said) = vocode(
        folder.path(),
        &[&["mel.npy", "-o", "alone.wav"], &flags[..]].concat(),
    );
    assert!(well, "{said}");
    warned(&told);
    fs::write(
        folder.path().join("list.jsonl"),
        "{\"input\": \"mel.npy\", \"output\": \"listed.wav\"}\n",
    )
    .unwrap();
    made(
        folder.path(),
        &[&["--manifest", "list.jsonl"], &flags[..]].concat(),
    );
    let piped = Command::cargo_bin("vocode")
        .unwrap()
        .env("VOCODE_ORT_LIB", common::ensure_runtime().library())
        .args(["-", "-o", "-"])
        .args(flags)
        .write_stdin(fs::read(folder.path().join("mel.npy")).unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&piped.stderr).into_owned();
    assert!(piped.status.success(), "{said}");
    warned(&said);
    let alone = fs::read(folder.path().join("alone.wav")).unwrap();
    assert_eq!(fs::read(folder.path().join("listed.wav")).unwrap(), alone);
    assert!(
        piped.stdout == alone,
        "the pipe has other bytes than the file"
    );
}
