//! What people expect of a command line: names, endings, many files, slips of the hand, and no word too much.

mod common;
#[path = "common/server.rs"]
mod server;

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use tempfile::TempDir;
use vocode::audio::resample;

const DEMO: &str = "models/demo/demo.npy";
const SAMPLES: usize = 364 * 256;

/// The program in a folder of its own, with a few frames of the demo as `a.npy`.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        place.mel("a.npy");
        place
    }

    fn mel(&self, name: &str) {
        self.mel_of(name, 45);
    }

    fn mel_of(&self, name: &str, frames: usize) {
        let file = fs::File::open(DEMO).unwrap();
        let read = vocode::mel::read_npy(file, Some(80), Default::default(), &Default::default());
        let values = read.unwrap().into_values();
        let short = values.slice(ndarray::s![.., ..frames]).to_owned();
        let mut bytes = Vec::new();
        vocode::mel::write_npy(&mut bytes, &vocode::Mel::new(short).unwrap()).unwrap();
        self.write(name, &bytes);
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    fn vocode(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("vocode").unwrap();
        command
            .env("VOCODE_ORT_LIB", common::ensure_runtime().library())
            .env("VOCODE_STEPS", "1")
            .current_dir(self.0.path())
            .args(arguments);
        command
    }

    /// Sees the program fail with this code, and what it says.
    fn fails(&self, arguments: &[&str], code: i32, says: impl Predicate<str>) {
        let assert = self.vocode(arguments).assert().code(code);
        let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(says.eval(&said), "{arguments:?}: {said}");
    }

    fn lines(&self, name: &str) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.path(name)).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn decoded(path: &Path) -> vocode::audio::DecodedAudio {
    vocode::audio::decode(fs::read(path).unwrap(), None, &Default::default()).unwrap()
}

#[test]
fn a_mel_alone_becomes_a_wav_beside_it() {
    let place = Place::new();
    place.vocode(&["a.npy"]).assert().success();
    assert_eq!(decoded(&place.path("a.wav")).samples.len(), 45 * 256);
    place.fails(&["a.npy"], 1, contains("a.wav exists already: --force"));
    place
        .vocode(&["-"])
        .write_stdin("")
        .assert()
        .code(2)
        .stderr(contains("-o - is standard output"));
}

#[test]
fn a_file_for_two_inputs_is_refused_and_not_made_a_folder() {
    let place = Place::new();
    place.mel("b.npy");
    place.fails(
        &["a.npy", "b.npy", "-o", "x.wav"],
        2,
        contains("x.wav is a file's name").and(contains("-o out/")),
    );
    assert!(!place.has("x.wav"));
}

#[test]
fn a_missing_folder_is_named() {
    let place = Place::new();
    place
        .vocode(&["a.npy", "-o", "nodir/x.wav"])
        .assert()
        .code(1)
        .stderr(contains("there is no folder nodir; make the folder first"));
}

#[test]
fn a_slip_in_a_command_is_told() {
    let place = Place::new();
    for (words, command) in [
        (&["serv"][..], "serve"),
        (&["docter", "--json"], "doctor"),
        (&["inspct", "a.npy"], "inspect"),
    ] {
        place.fails(
            words,
            2,
            contains(format!("did you mean `vocode {command}`?")),
        );
    }
    place.fails(&["a.npy", "--sed", "3"], 2, contains("--seed"));
}

#[test]
fn what_is_wrong_with_the_flags_exits_with_2() {
    let place = Place::new();
    for flags in [
        &["--steps", "0"][..],
        &["--schedule", "turbo"],
        &["--solver", "ddim"],
        &["--threads", "0"],
        &["--provider", "cpu", "--fp16"],
        &["-o", "a.mp3"],
        &["-o", "a.flac", "--format", "f32"],
        &["-o", "a.opus", "--format", "f32"],
        &["-o", "a.wav", "--container", "flac"],
        &["--skip-existing", "--force"],
    ] {
        let mut command = place.vocode(&["a.npy"]);
        command.env_remove("VOCODE_STEPS").args(flags);
        command.assert().code(2);
    }
    assert!(!place.has("a.wav"));
}

#[test]
fn a_variable_set_to_nothing_is_not_set() {
    let place = Place::new();
    let mut command = place.vocode(&["a.npy", "-o", "x.wav"]);
    for name in [
        "MODEL",
        "STEPS",
        "SEED",
        "OUTPUT",
        "FORMAT",
        "PROVIDER",
        "THREADS",
        "LOG",
        "SCHEDULE",
        "SAMPLE_RATE",
        "JSON",
        "QUIET",
        "DEVICE",
        "CONTAINER",
    ] {
        command.env(format!("VOCODE_{name}"), "");
    }
    command.assert().success().stderr(contains("4 steps"));
    place
        .vocode(&["serve", "--check", "--listen", "127.0.0.1:0"])
        .env("VOCODE_METRICS", "")
        .env("VOCODE_MAX_STREAMS", "")
        .assert()
        .success();
}

#[test]
fn the_version_is_a_command_too() {
    let place = Place::new();
    let version = format!("vocode {}\n", env!("CARGO_PKG_VERSION"));
    for word in ["version", "--version", "-V"] {
        place
            .vocode(&[word])
            .assert()
            .success()
            .stdout(version.clone());
    }
}

#[test]
fn the_ending_says_what_is_written() {
    let place = Place::new();
    for name in ["x.wav", "x.flac", "x.opus", "x.raw"] {
        place
            .vocode(&["a.npy", "-q", "-o", name])
            .assert()
            .success();
    }
    let (wav, flac) = (
        decoded(&place.path("x.wav")),
        decoded(&place.path("x.flac")),
    );
    assert_eq!(wav.samples, flac.samples);
    let raw = fs::read(place.path("x.raw")).unwrap();
    assert!(fs::read(place.path("x.wav")).unwrap().ends_with(&raw) && raw.len() == 45 * 512);
    // The header of the FLAC file knows its length.
    let head = fs::read(place.path("x.flac")).unwrap()[21..26].to_vec();
    assert_eq!(u32::from_be_bytes(head[1..].try_into().unwrap()), 45 * 256);
    for name in ["flac", "opus"] {
        let piped = place.vocode(&["a.npy", "-q", "-o", "-", "--container", name]);
        let piped = { piped }.output().unwrap().stdout;
        let file = fs::read(place.path(&format!("x.{name}"))).unwrap();
        assert!(piped == file, "{name}");
    }
    assert_opus(&place.path("x.opus"), &wav.samples);
    place.mel("b.npy");
    place
        .vocode(&["a.npy", "b.npy", "--container", "flac"])
        .assert()
        .success();
    assert!(place.has("a.flac") && place.has("b.flac"));
}

/// An Opus file holds the sound, which is lossy, in its place: what it says of itself is in it too, and `vocode mel` reads it.
#[track_caller]
fn assert_opus(file: &Path, wav: &[f32]) {
    let opus = decoded(file);
    let expected = resample(wav.to_vec(), 22_050, opus.sample_rate).unwrap();
    assert_eq!(
        (opus.sample_rate, opus.samples.len()),
        (48_000, expected.len())
    );
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    let powers = product(&expected, &expected) * product(&opus.samples, &opus.samples);
    let likeness = product(&expected, &opus.samples) / powers.sqrt();
    assert!(likeness > 0.9, "{likeness}");
    let texts: Vec<_> = opus.tags.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(texts, ["ENCODER", "COMMENT"]);
}

#[test]
fn a_client_writes_what_the_ending_says() {
    let server = server::Server::start(&["--provider", "cpu"]);
    let place = Place::new();
    for name in ["x.wav", "x.flac", "x.opus", "x.raw"] {
        place
            .vocode(&["client", "a.npy", "-o", name, "--addr", server.address()])
            .assert()
            .success();
    }
    let (wav, flac) = (
        decoded(&place.path("x.wav")),
        decoded(&place.path("x.flac")),
    );
    assert_eq!(wav.samples, flac.samples);
    assert_eq!(fs::read(place.path("x.raw")).unwrap().len(), 45 * 512);
    assert_opus(&place.path("x.opus"), &wav.samples);
    place
        .vocode(&["mel", "x.opus", "-q", "-o", "again.npy"])
        .assert()
        .success();
    place.fails(
        &["client", "a.npy", "-o", "x.mp3"],
        2,
        contains("ends in .mp3"),
    );
}

/// Forty are as usual a number of bands as eighty: the model says which of both they are, and where that does not help, a flag.
#[test]
fn a_client_tells_bands_from_frames() {
    let server = server::Server::start(&["--provider", "cpu"]);
    let place = Place::new();
    place.mel_of("forty.npy", 40);
    place.mel_of("square.npy", 80);
    let client = |mel: &str, flags: &[&str]| {
        let mut command = place.vocode(&["client", mel, "-o", "x.raw", "--force", "--addr"]);
        command.arg(server.address()).args(flags).assert()
    };
    client("forty.npy", &[]).success();
    assert_eq!(fs::read(place.path("x.raw")).unwrap().len(), 40 * 512);
    client("square.npy", &[])
        .code(1)
        .stderr(contains("--layout"));
    client("square.npy", &["--layout", "bands-first"]).success();
    assert_eq!(fs::read(place.path("x.raw")).unwrap().len(), 80 * 512);
    client("a.npy", &["--method", "live", "--paced", "--model", "none"])
        .code(2)
        .stderr(contains("--model none: the server has default"));
}

#[test]
fn a_client_writes_beside_its_mel_or_to_a_pipe_as_long_as_it_is_read() {
    use std::io::Read;
    let mut server = server::Server::start(&["--provider", "cpu"]);
    let address = server.address().to_owned();
    let place = Place::new();
    place
        .vocode(&["client", "a.npy", "--addr", &address])
        .assert()
        .success();
    let file = decoded(&place.path("a.wav"));
    let mut piped = place.vocode(&["client", "-", "-o", "-", "--addr", &address]);
    let piped = piped
        .write_stdin(fs::read(place.path("a.npy")).unwrap())
        .output()
        .unwrap();
    assert!(
        piped.status.success(),
        "{}",
        String::from_utf8_lossy(&piped.stderr)
    );
    let length = u32::from_le_bytes(piped.stdout[4..8].try_into().unwrap());
    assert_eq!(length as usize + 8, piped.stdout.len());
    place.write("piped.wav", &piped.stdout);
    assert_eq!(decoded(&place.path("piped.wav")).samples, file.samples);

    let read = vocode::mel::read_npy(
        fs::File::open(DEMO).unwrap(),
        Some(80),
        Default::default(),
        &Default::default(),
    );
    let long = ndarray::concatenate(ndarray::Axis(1), &vec![read.unwrap().view(); 20]).unwrap();
    let mut bytes = Vec::new();
    vocode::mel::write_npy(&mut bytes, &vocode::Mel::new(long).unwrap()).unwrap();
    place.write("long.npy", &bytes);
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("vocode"))
        .args(["client", "long.npy", "-o", "-", "--addr", &address])
        .current_dir(place.0.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdout
        .take()
        .unwrap()
        .read_exact(&mut [0; 100])
        .unwrap();
    assert!(child.wait().unwrap().success());
    server.log_says("CANCELLED");
}

#[test]
fn a_batch_that_was_broken_off_goes_on() {
    let place = Place::new();
    place.mel("b.npy");
    place.write("out/a.wav", b"made before");
    let run = |flags: &[&str]| {
        let mut command = place.vocode(&["a.npy", "b.npy", "-o", "out"]);
        command.args(flags).assert()
    };
    run(&["--skip-existing"])
        .success()
        .stderr(contains("1 file: 0.52 s in").and(contains("1 there already")));
    assert_eq!(fs::read(place.path("out/a.wav")).unwrap(), b"made before");
    assert!(place.has("out/b.wav"));
    run(&["--skip-existing"])
        .success()
        .stderr(contains("nothing to do: 2 there already"));
    run(&[]).code(1).stderr(contains("2 of 2 inputs failed"));
}

#[test]
fn folders_within_folders_are_kept() {
    let place = Place::new();
    place.mel("mels/one/a.npy");
    place.mel("mels/two/a.npy");
    place.fails(&["mels", "-o", "out"], 1, contains("--recursive"));
    place
        .vocode(&["mels", "-o", "out", "--recursive"])
        .assert()
        .success()
        .stderr(contains("2 files: "));
    assert!(place.has("out/one/a.wav") && place.has("out/two/a.wav"));
}

#[test]
fn the_first_failure_ends_the_run_where_that_is_asked_for() {
    let place = Place::new();
    place.write("mels/a.npy", b"no array");
    for name in ["b", "c", "d", "e", "f", "g", "h"] {
        place.mel(&format!("mels/{name}.npy"));
    }
    let fast = ["mels", "-o", "out", "--fail-fast", "--threads", "2"];
    place.fails(&fast, 1, contains("a.npy: this is a text file"));
    assert!(!place.has("out/h.wav"));
    place.fails(
        &["mels", "-o", "out", "--skip-existing"],
        1,
        contains("1 of 8 inputs failed"),
    );
    assert!(place.has("out/b.wav") && place.has("out/h.wav"));
}

#[test]
fn a_list_says_what_is_made_of_what() {
    let place = Place::new();
    place.write("bad.npy", b"no array");
    let list = r#"{"input": "a.npy", "output": "out/one.wav", "seed": 1}
{"input": "a.npy", "output": "out/two.flac", "seed": 2, "steps": 3}

{"input": "bad.npy"}
{"input": "a.npy"}
"#;
    place.write("list.jsonl", list.as_bytes());
    place.fails(
        &["--manifest", "list.jsonl"],
        1,
        contains("3 files: ").and(contains("1 of 4 inputs failed: bad.npy")),
    );
    let results = place.lines("list.results.jsonl");
    let words: Vec<_> = results
        .iter()
        .map(|line| line["status"].as_str().unwrap())
        .collect();
    assert_eq!(words, ["done", "done", "failed", "done"]);
    assert_eq!(results[1]["summary"]["seed"], 2);
    assert_eq!(results[1]["summary"]["steps"], 3);
    assert!(results[2]["error"].as_str().unwrap().contains("text file"));
    assert_eq!(results[3]["output"], "a.wav");
    assert_eq!(decoded(&place.path("out/two.flac")).samples.len(), 45 * 256);

    let again = [
        "--manifest",
        "list.jsonl",
        "--skip-existing",
        "--results",
        "more.jsonl",
    ];
    place.fails(&again, 1, contains("3 there already"));
    assert_eq!(place.lines("more.jsonl").len(), 1);
}

#[test]
fn parts_of_a_batch_make_each_file_once() {
    let place = Place::new();
    let names: Vec<String> = (0..6).map(|i| format!("m{i}.npy")).collect();
    let line = |name: &String| format!("{{\"input\": \"{name}\"}}\n");
    names.iter().for_each(|name| place.mel(name));
    place.write(
        "list.jsonl",
        names.iter().map(line).collect::<String>().as_bytes(),
    );
    let mut made = Vec::new();
    for part in ["1/2", "2/2"] {
        place
            .vocode(&["--manifest", "list.jsonl", "--shard", part])
            .assert()
            .success();
        let results = format!("list.{}.results.jsonl", part.replace('/', "-of-"));
        let lines = place.lines(&results);
        assert!(!lines.is_empty() && lines.len() < 6, "{part}");
        made.extend(
            lines
                .iter()
                .map(|line| line["input"].as_str().unwrap().to_owned()),
        );
    }
    made.sort();
    assert_eq!(made, names);
    place.fails(&["m0.npy", "--shard", "3/2"], 2, contains("I from 1 to N"));
}

#[test]
fn a_line_of_a_list_that_cannot_be_used_is_named_before_any_work() {
    let place = Place::new();
    for (line, words) in [
        (r#"{"input": "a.npy", "sed": 1}"#, "sed"),
        (r#"{"input": "-"}"#, "- is no file"),
        ("a.npy", "expected one object a line"),
        (r#"{"input": "a.npy", "steps": 0}"#, "steps 0 in the list"),
        (r#"{"input": "a.npy", "output": "x.flac"}"#, "16 bits"),
    ] {
        place.write("list.jsonl", line.as_bytes());
        place.fails(
            &["--manifest", "list.jsonl", "--format", "f32"],
            2,
            contains(words),
        );
    }
    place.write("list.jsonl", b"\n");
    place.fails(&["--manifest", "list.jsonl"], 2, contains("lists no mel"));
}

/// Clips side by side are those that one after another would be, in the order of the list.
#[test]
fn short_clips_side_by_side_are_told_in_their_order() {
    let place = Place::new();
    let names: Vec<String> = (0..12).map(|index| format!("{index:02}")).collect();
    let lines = |folder: &str| -> String {
        let line = |(index, name): (usize, &String)| {
            format!(
                "{{\"input\": \"a.npy\", \"output\": \"{folder}/{name}.wav\", \"seed\": {index}}}\n"
            )
        };
        names.iter().enumerate().map(line).collect()
    };
    for (folder, threads) in [("one", "1"), ("three", "3")] {
        place.write(&format!("{folder}.jsonl"), lines(folder).as_bytes());
        let list = format!("{folder}.jsonl");
        let flags = [
            "--manifest",
            &list,
            "--threads",
            threads,
            "--precision",
            "float",
        ];
        place.vocode(&flags).assert().success();
        let seeds: Vec<_> = place
            .lines(&format!("{folder}.results.jsonl"))
            .iter()
            .map(|line| line["summary"]["seed"].as_u64())
            .collect();
        assert_eq!(seeds, (0..12).map(Some).collect::<Vec<_>>());
    }
    let made = |folder: &str, name: &String| fs::read(place.path(&format!("{folder}/{name}.wav")));
    for name in &names {
        assert_eq!(made("one", name).unwrap(), made("three", name).unwrap());
    }
    assert_ne!(
        made("one", &names[0]).unwrap(),
        made("one", &names[1]).unwrap()
    );
}

#[test]
fn json_is_a_line_a_file() {
    let place = Place::new();
    place.mel("b.npy");
    let mut command = place.vocode(&["a.npy", "b.npy", "--json"]);
    let output = command.output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    let lines = String::from_utf8(output.stdout).unwrap();
    let outputs: Vec<_> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["output"].clone())
        .collect();
    assert_eq!(outputs, ["a.wav", "b.wav"]);
}

/// Where there is neither a GPU nor a library made for one, there is nothing to say of them.
#[test]
fn the_summary_is_one_line_of_80_columns_without_a_word_on_gpus() {
    let place = Place::new();
    let doctor = place.vocode(&["doctor", "--json"]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&doctor.stdout).unwrap();
    if !report["gpu"]["driver"].is_null() {
        eprintln!("skipped: there is a GPU");
        return;
    }
    let name = "a/folder/with/a/long/name/demo.wav";
    place.write("a/folder/with/a/long/name/other", b"");
    let demo = std::path::absolute(DEMO).unwrap();
    let mut command = place.vocode(&["-o", name]);
    let output = command
        .arg(demo)
        .env_remove("VOCODE_STEPS")
        .output()
        .unwrap();
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.trim_end().chars().count() <= 80, "{line}");
    for words in [
        "demo.wav: 4.23 s in ",
        "real-time factor",
        "4 steps, cpu ",
        "seed 0",
    ] {
        assert!(line.contains(words), "{words}: {line}");
    }
    assert!(!line.contains("NVIDIA"), "{line}");
    assert_eq!(decoded(&place.path(name)).samples.len(), SAMPLES);
}
