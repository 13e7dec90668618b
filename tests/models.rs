//! The built-in models by the real program: named, listed, and chosen by the mel where none is named.

mod common;
#[path = "common/server.rs"]
mod server;

use std::fs;
use std::path::PathBuf;

use assert_cmd::Command;
use ndarray::{Array2, s};
use serde_json::Value;
use server::Server;
use tempfile::TempDir;
use vocode::audio::{DecodeLimits, decode, resample};
use vocode::client::wire_mel;
use vocode::mel::{Mel, MelConvention, analyse, write_npy};
use vocode::proto::{SynthesisConfig, VocodeRequest, VocodeStreamRequest};

const FRAMES: usize = 45;

/// The first frames of the demo's recording, in a convention by name.
fn mel(convention: &str) -> Mel {
    let convention = MelConvention::named(convention).unwrap();
    let bytes = fs::read("models/demo/demo.flac").unwrap();
    let clip = decode(bytes, Some("flac"), &DecodeLimits::default()).unwrap();
    let samples = resample(clip.samples, clip.sample_rate, convention.sample_rate).unwrap();
    let values = analyse(&samples, &convention).unwrap().into_values();
    Mel::new(values.slice(s![.., 20..20 + FRAMES]).to_owned()).unwrap()
}

fn npy(mel: &Mel) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_npy(&mut bytes, mel).unwrap();
    bytes
}

/// What a run of the program came to.
struct Run {
    well: bool,
    out: Vec<u8>,
    said: String,
}

impl Run {
    /// Its summary.
    fn json(&self) -> Value {
        assert!(self.well, "{}", self.said);
        serde_json::from_slice(&self.out).unwrap()
    }

    fn says(&self, words: &str) -> &Run {
        assert!(self.said.contains(words), "{words:?}: {}", self.said);
        self
    }
}

/// A folder with a mel of 80 bands and one of 100.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        fs::write(place.path("a80.npy"), npy(&mel("hifigan"))).unwrap();
        fs::write(place.path("b100.npy"), npy(&mel("vocos24k"))).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.piped(arguments, Vec::new())
    }

    fn piped(&self, arguments: &[&str], input: Vec<u8>) -> Run {
        let done = Command::cargo_bin("vocode")
            .unwrap()
            .env("VOCODE_ORT_LIB", common::ensure_runtime().library())
            .current_dir(self.0.path())
            .args(arguments)
            .write_stdin(input)
            .output()
            .unwrap();
        Run {
            well: done.status.success(),
            out: done.stdout,
            said: String::from_utf8_lossy(&done.stderr).into_owned(),
        }
    }

    /// One mel to one file in one step; the summary and what was said.
    fn made(&self, flags: &[&str]) -> (Value, String) {
        let fixed = ["-o", "out.wav", "--force", "--steps=1", "--json"];
        let run = self.run(&[flags, &fixed].concat());
        (run.json(), run.said)
    }
}

#[test]
fn the_built_in_models_are_listed_with_what_they_take() {
    let place = Place::new();
    let words = place.run(&["models"]);
    let text = String::from_utf8(words.out).unwrap();
    for part in [
        "default (default)",
        "hifigan: 22050 Hz, hop 256, 80 bands over 0-8000 Hz",
        "vocos24k: 24000 Hz, hop 256, 100 bands over 0-12000 Hz",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let list = place.run(&["models", "--json"]).json();
    let models = list["models"].as_array().unwrap();
    let names: Vec<_> = models.iter().map(|model| &model["name"]).collect();
    assert_eq!(names, ["default", "vocos24k"]);
    let second = &models[1];
    assert_eq!(
        (&second["default"], &second["mel"]["n_mels"]),
        (&false.into(), &100.into())
    );
    assert!(second["bytes"].as_u64() > Some(1 << 20));
    for field in ["version", "licence", "schedule"] {
        assert!(second[field].is_string(), "{field}: {second}");
    }
}

#[test]
fn a_model_is_named_by_its_name_or_its_folder() {
    let place = Place::new();
    let (summary, said) = place.made(&["b100.npy", "--model", "vocos24k"]);
    assert_eq!(summary["model"], "vocos24k");
    assert_eq!(
        (&summary["sample_rate"], &summary["samples"]),
        (&24_000.into(), &(FRAMES * 256).into())
    );
    assert!(!said.contains("built-in"), "{said}");
    let again = fs::read(place.path("out.wav")).unwrap();
    place.made(&["b100.npy", "--model", "vocos24k"]);
    assert_eq!(fs::read(place.path("out.wav")).unwrap(), again);

    // A folder that is called like a built-in model is named with a separator.
    let folder = place.path("vocos24k");
    fs::create_dir(&folder).unwrap();
    for entry in fs::read_dir("tests/fixtures/tiny_flow").unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    let name = |model: &str| {
        let listing = place.run(&["schedules", "--json", "--model", model]);
        listing.json()["model"].as_str().unwrap().to_owned()
    };
    assert_eq!(name("vocos24k"), "vocos24k");
    assert_eq!(
        (name("./vocos24k"), name("vocos24k/")),
        ("tiny-flow".into(), "tiny-flow".into())
    );
    let doctor = |model: &str| {
        let report = place.run(&["doctor", "--json", "--model", model]).json();
        (
            report["model"]["name"].clone(),
            report["model"]["folder"].clone(),
        )
    };
    assert_eq!(doctor("vocos24k"), ("vocos24k".into(), Value::Null));

    let unknown = place.run(&["a80.npy", "--model", "vocos"]);
    assert!(!unknown.well);
    unknown.says("there is no model \"vocos\"");
    unknown.says("default, vocos24k");
    let tuned = place.run(&["tune", "a80.npy", "--model", "vocos24k"]);
    tuned.says("a built-in model cannot be changed");
}

#[test]
fn a_mel_of_other_bands_goes_to_the_model_that_has_them() {
    let place = Place::new();
    let told = "b100.npy has 100 bands, which the built-in model vocos24k takes";
    let (summary, said) = place.made(&["b100.npy"]);
    assert_eq!(summary["model"], "vocos24k");
    assert_eq!(summary["sample_rate"], 24_000);
    assert!(said.contains(told) && said.contains("--mel-convention"));
    let chosen = fs::read(place.path("out.wav")).unwrap();
    place.made(&["b100.npy", "--model", "vocos24k"]);
    assert_eq!(fs::read(place.path("out.wav")).unwrap(), chosen);
    let (summary, said) = place.made(&["b100.npy", "--quiet"]);
    assert_eq!(
        (summary["model"].as_str(), said.as_str()),
        (Some("vocos24k"), "")
    );
    let (summary, said) = place.made(&["a80.npy"]);
    assert_eq!(summary["model"], "default");
    assert!(!said.contains("built-in"), "{said}");

    // From a pipe, which is read once.
    let bytes = fs::read(place.path("b100.npy")).unwrap();
    let piped = place.piped(&["-", "-o", "-", "--steps=1"], bytes.clone());
    assert!(piped.well && piped.out == chosen, "{}", piped.said);
    piped.says("standard input has 100 bands");
    let piped = place.piped(&["-", "-o", "piped.wav", "--steps=1"], bytes);
    assert!(piped.well, "{}", piped.said);
    assert_eq!(fs::read(place.path("piped.wav")).unwrap(), chosen);

    // The flags decide where they say something.
    let named = place.run(&["b100.npy", "-o", "x.wav", "--model", "default"]);
    named.says("give a mel of 80 bands, or a --model for this one");
    named.says("the built-in model vocos24k takes it: --model vocos24k");
    let named = place.run(&["a80.npy", "-o", "x.wav", "--model", "vocos24k"]);
    named.says("the built-in model default takes it: --model default");
    let approximate = ["--mel-convention=vocos24k", "--approximate-mel"];
    let (summary, _) = place.made(&[&["b100.npy"], &approximate[..]].concat());
    assert_eq!(summary["model"], "default");
    let nobody = Mel::new(Array2::from_elem((128, 9), -3.0)).unwrap();
    fs::write(place.path("c128.npy"), npy(&nobody)).unwrap();
    let refused = place.run(&["c128.npy", "-o", "x.wav"]);
    refused.says("expected 80 mel bands");
    assert!(!refused.said.contains("built-in"), "{}", refused.said);
    assert!(!place.path("x.wav").exists());
}

#[test]
fn a_convention_goes_to_the_model_that_takes_it_exactly() {
    let place = Place::new();
    for convention in ["vocos24k", "f5tts"] {
        fs::write(place.path("c.npy"), npy(&mel(convention))).unwrap();
        let (summary, said) = place.made(&["c.npy", "--mel-convention", convention]);
        assert_eq!(summary["model"], "vocos24k", "{convention}");
        let told = format!("`{convention}` mels are taken by the built-in model vocos24k");
        assert!(said.contains(&told), "{said}");
    }
    let (summary, said) = place.made(&["a80.npy", "--mel-convention", "tacotron2"]);
    assert_eq!(summary["model"], "default");
    assert!(!said.contains("built-in"), "{said}");
    let flags = ["--mel-convention", "vocos24k", "--model", "default"];
    let refused = place.run(&[&["b100.npy", "-o", "x.wav"], &flags[..]].concat());
    refused.says("cannot be converted exactly");
    refused.says("the built-in model vocos24k takes it: --model vocos24k");
}

#[test]
fn the_first_mel_of_many_that_a_model_takes_speaks_for_all() {
    let place = Place::new();
    let mixed = place.run(&["a80.npy", "b100.npy", "-o", "x/", "--steps=1"]);
    mixed.says("expected 80 mel bands").says("--model vocos24k");
    assert!(place.path("x/a80.wav").exists() && !place.path("x/b100.wav").exists());
    fs::write(place.path("broken.npy"), "no mel").unwrap();
    fs::copy(place.path("b100.npy"), place.path("b200.npy")).unwrap();
    let inputs = ["broken.npy", "b100.npy", "b200.npy", "-o", "y/"];
    let rest = place.run(&[&inputs[..], &["--steps=1"]].concat());
    rest.says("b100.npy has 100 bands")
        .says("1 of 3 inputs failed");
    assert!(place.path("y/b100.wav").exists() && place.path("y/b200.wav").exists());
    let list = "{\"input\": \"b100.npy\", \"output\": \"listed.wav\"}\n";
    fs::write(place.path("list.jsonl"), list).unwrap();
    let listed = place.run(&["--manifest", "list.jsonl", "--steps=1"]);
    listed.says("b100.npy has 100 bands");
    assert_eq!(
        fs::read(place.path("listed.wav")).unwrap(),
        fs::read(place.path("y/b100.wav")).unwrap()
    );
}

#[test]
fn inspect_tells_which_built_in_model_takes_a_mel() {
    let place = Place::new();
    let found = place.run(&["inspect", "b100.npy", "--json"]).json();
    assert_eq!(
        (&found["model"], &found["fits_model"]),
        (&"vocos24k".into(), &true.into())
    );
    let found = place.run(&["inspect", "b100.npy"]);
    let text = String::from_utf8(found.out).unwrap();
    assert!(text.contains("vocos24k takes it"), "{text}");
    assert!(text.contains("has 100 bands"), "{text}");
    let found = place.run(&["inspect", "b100.npy", "--model", "default"]);
    let text = String::from_utf8(found.out).unwrap();
    assert!(text.contains("default does not take it"), "{text}");
    assert!(text.contains("--model vocos24k"), "{text}");
    let flags = ["--mel-convention=vocos24k", "--approximate-mel", "--json"];
    let found = place.run(&[&["inspect", "b100.npy"], &flags[..]].concat());
    let found = found.json();
    assert_eq!(
        (&found["model"], &found["fits_model"]),
        (&"default".into(), &true.into())
    );
    let remarks = found["remarks"].to_string();
    assert!(remarks.contains("approximately"), "{remarks}");
    let model = place.run(&["inspect", "--model", "vocos24k", "--json"]);
    assert_eq!(model.json()["manifest"]["mel"]["n_mels"], 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_has_the_models_that_are_named_and_tells_which_takes_a_mel() {
    let server = Server::start(&["--model", "default", "--model", "wide=vocos24k"]);
    let mut client = server.client().await;
    let config = |model: &str, convention: &str| {
        Some(SynthesisConfig {
            model: model.into(),
            mel_convention: convention.into(),
            ..SynthesisConfig::default()
        })
    };
    let mel = mel("vocos24k");
    let request = |config| VocodeRequest {
        config,
        mel: Some(wire_mel(&mel)),
        request_id: String::new(),
    };
    let answer = client.vocode(request(config("wide", ""))).await.unwrap();
    let header = answer.into_inner().header.unwrap();
    assert_eq!(
        (header.model.as_str(), header.sample_rate_hz),
        ("wide", 24_000)
    );
    let words = "the model `wide` of this server takes it (config.model)";
    let refused = client.vocode(request(config("", ""))).await.unwrap_err();
    assert!(refused.message().contains(words), "{refused}");
    assert!(refused.message().contains("the mel has 100 bands"));
    let refused = client.vocode(request(config("", "f5tts"))).await;
    let refused = refused.unwrap_err();
    assert!(refused.message().contains(words), "{refused}");
    let file = VocodeStreamRequest {
        config: config("default", ""),
        mel: Some(vocode::proto::Mel {
            npy_bytes: npy(&mel).into(),
            ..Default::default()
        }),
        request_id: String::new(),
    };
    let refused = client.vocode_stream(file).await.unwrap_err();
    assert!(refused.message().contains(words), "{refused}");

    let place = Place::new();
    let called = |flags: &[&str]| {
        let fixed = ["client", "b100.npy", "-o", "c.wav", "--force"];
        let address = ["--addr", server.address()];
        place.run(&[&fixed, &address[..], flags].concat())
    };
    called(&[]).says("the server's model wide takes it: --model wide");
    assert!(called(&["--model", "wide"]).well);
}

#[test]
fn a_server_is_given_a_built_in_model_by_flag_variable_and_file() {
    let told = |flags: &[&str], variables: &[(&str, &str)]| {
        let done = server::command(flags, variables).output().unwrap();
        (
            done.status.success(),
            String::from_utf8_lossy(&done.stderr).into_owned(),
        )
    };
    let (well, said) = told(&["--check", "--model", "vocos"], &[]);
    assert!(!well && said.contains("default, vocos24k"), "{said}");
    let (well, said) = told(&["--check"], &[("VOCODE_MODEL", "vocos24k")]);
    assert!(well, "{said}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serve.toml");
    fs::write(&file, "model = [\"a=vocos24k\", \"default\"]\n").unwrap();
    let (well, said) = told(&["--check", "--config", file.to_str().unwrap()], &[]);
    assert!(well, "{said}");
}
