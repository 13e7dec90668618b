//! Every method, encoding and neighbour gives the audio that the library makes.

use ndarray::Array2;
use tonic::Streaming;
use tonic::codec::CompressionEncoding;
use vocode::audio::{DecodeLimits, decode, resampled_len};
use vocode::client::Event;
use vocode::diffusion::{Grid, Solver};
use vocode::proto::{
    AudioEncoding, GetInfoRequest, SynthesisConfig, VocodeLiveResponse, VocodeRequest,
    VocodeStreamResponse,
};

use vocode::vocoder::ScheduleChoice;

use super::server::Server;
use super::*;

/// A streamed answer, held to what the contract says of its order.
#[derive(Default)]
struct Answer {
    header: proto::StreamHeader,
    bytes: Vec<u8>,
    summary: Option<proto::StreamSummary>,
    samples: u64,
    chunks: u64,
}

impl Answer {
    fn take(&mut self, event: Event) {
        assert!(self.summary.is_none(), "something follows the summary");
        match event {
            Event::Header(header) => {
                assert_eq!(
                    (self.chunks, self.header.sample_rate_hz),
                    (0, 0),
                    "a header comes late or twice"
                );
                self.header = header;
            }
            Event::Chunk(chunk) => {
                assert_ne!(
                    self.header.sample_rate_hz, 0,
                    "the header does not come first"
                );
                assert_eq!(
                    (chunk.sequence, chunk.start_sample),
                    (self.chunks, self.samples)
                );
                self.chunks += 1;
                self.samples += u64::from(chunk.samples);
                self.bytes.extend(chunk.audio);
            }
            Event::Summary(summary) => {
                assert_eq!(summary.samples, self.samples);
                self.summary = Some(summary);
            }
        }
    }

    async fn of_stream(mut answer: Streaming<VocodeStreamResponse>) -> Answer {
        let mut whole = Answer::default();
        while let Some(response) = answer.message().await.unwrap() {
            whole.take(response.event.unwrap().into());
        }
        whole
    }

    async fn of_live(mut answer: Streaming<VocodeLiveResponse>) -> Answer {
        let mut whole = Answer::default();
        while let Some(response) = answer.message().await.unwrap() {
            whole.take(response.event.unwrap().into());
        }
        whole
    }
}

async fn stream(server: &Server, config: SynthesisConfig) -> Answer {
    let request = stream_request(config, &demo());
    let answer = server.client().await.vocode_stream(request).await.unwrap();
    Answer::of_stream(answer.into_inner()).await
}

/// The demo in pieces of 1, 7 and 40 frames.
async fn live(server: &Server) -> Answer {
    let mut client = server.client().await;
    let (live, requests) = Live::new(floats());
    let send = async move {
        let (mel, mut start) = (demo(), 0);
        for length in [1, 7, 40].into_iter().cycle() {
            let end = (start + length).min(mel.frames());
            assert!(live.send(piece(&mel, start..end)).await);
            start = end;
            if start == mel.frames() {
                break;
            }
        }
    };
    let take =
        async { Answer::of_live(client.vocode_live(requests).await.unwrap().into_inner()).await };
    tokio::join!(send, take).1
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_gives_the_samples_of_the_library() {
    let server = Server::start(&[]);
    let request = VocodeRequest {
        config: Some(floats()),
        mel: Some(wire_mel(&demo())),
        request_id: String::new(),
    };
    let unary = server
        .client()
        .await
        .vocode(request)
        .await
        .unwrap()
        .into_inner();
    let worst = difference(&samples(&unary.audio), reference());
    assert!(worst < 1e-4, "Vocode: {worst}");
    let (header, summary) = (unary.header.unwrap(), unary.summary.unwrap());
    assert_eq!(header.total_samples, Some(reference().len() as u64));
    assert_eq!(
        (summary.samples, summary.frames, summary.clipped),
        (reference().len() as u64, 364, 0)
    );
    assert_eq!(header.request_id.len(), 36, "{}", header.request_id);

    let streamed = stream(&server, floats()).await;
    let worst = difference(&samples(&streamed.bytes), reference());
    assert!(worst < 1e-4, "VocodeStream: {worst}");
    let header = streamed.header;
    assert_eq!(
        (header.request_id.as_str(), header.model.as_str()),
        ("a-test", "default")
    );
    assert_eq!(
        (header.sample_rate_hz, header.channels, header.steps),
        (22_050, 1, 4)
    );
    assert_eq!(header.total_samples, Some(reference().len() as u64));
    assert!(streamed.chunks > 2, "{} chunks", streamed.chunks);
    let times = streamed.summary.unwrap().timings.unwrap();
    assert!(
        0 < times.queue_ns
            && times.queue_ns < times.first_audio_ns
            && times.first_audio_ns < times.total_ns
    );
    assert!(0 < times.inference_ns);

    let (first, second) = tokio::join!(live(&server), stream(&server, floats()));
    for (what, answer) in [("VocodeLive", first), ("VocodeStream beside it", second)] {
        let worst = difference(&samples(&answer.bytes), reference());
        assert!(worst < 1e-4, "{what}: {worst}");
        assert_eq!(answer.summary.unwrap().frames, 364);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_encoding_holds_the_same_audio() {
    let server = Server::start(&[]);
    let with = |encoding: AudioEncoding| SynthesisConfig {
        encoding: encoding.into(),
        ..SynthesisConfig::default()
    };
    let close = |bytes: Vec<u8>, what: &str| {
        let clip = decode(bytes, None, &DecodeLimits::default()).unwrap();
        let worst = difference(&clip.samples, reference());
        assert!(worst < 1e-4, "{what}: {worst}");
    };
    for encoding in [
        AudioEncoding::WavS16,
        AudioEncoding::WavF32,
        AudioEncoding::Flac,
    ] {
        let streamed = stream(&server, with(encoding)).await;
        assert_eq!(streamed.header.encoding(), encoding);
        close(streamed.bytes, &format!("{encoding:?} in a stream"));
        let request = VocodeRequest {
            config: Some(with(encoding)),
            mel: Some(wire_mel(&demo())),
            request_id: String::new(),
        };
        let whole = server
            .client()
            .await
            .vocode(request)
            .await
            .unwrap()
            .into_inner();
        if encoding == AudioEncoding::WavS16 {
            let size = u32::from_le_bytes(whole.audio[4..8].try_into().unwrap());
            assert_eq!(
                size as usize + 8,
                whole.audio.len(),
                "the length in the header"
            );
        }
        close(whole.audio.to_vec(), &format!("{encoding:?} at once"));
    }
    let opus = stream(&server, with(AudioEncoding::Opus)).await;
    assert!(
        opus.chunks > 3 && opus.samples == reference().len() as u64,
        "it comes while it is made, and its chunks tell their samples"
    );
    let clip = decode(opus.bytes, None, &DecodeLimits::default()).unwrap();
    assert_eq!(
        clip.samples.len(),
        resampled_len(reference().len(), 22_050, clip.sample_rate)
    );
    let unspecified = stream(&server, SynthesisConfig::default()).await;
    assert_eq!(unspecified.header.encoding(), AudioEncoding::PcmS16le);
    let integers: Vec<f32> = unspecified
        .bytes
        .chunks_exact(2)
        .map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0)
        .collect();
    assert!(difference(&integers, reference()) < 1e-4);
    for encoding in [AudioEncoding::Mulaw, AudioEncoding::Alaw] {
        assert_eq!(
            stream(&server, with(encoding)).await.bytes.len(),
            reference().len()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_length_is_told_beforehand_whatever_the_rate_and_convention() {
    let server = Server::start(&[]);
    for (sample_rate_hz, mel_convention) in [(48_000, ""), (8_000, "tacotron2"), (0, "tacotron2")] {
        let config = SynthesisConfig {
            sample_rate_hz,
            mel_convention: mel_convention.to_owned(),
            ..floats()
        };
        let answer = stream(&server, config).await;
        let frames = if mel_convention.is_empty() { 364 } else { 363 };
        let rate = if sample_rate_hz == 0 {
            22_050
        } else {
            sample_rate_hz
        };
        let expected = resampled_len(frames * 256, 22_050, rate) as u64;
        assert_eq!(
            (answer.header.total_samples, answer.samples),
            (Some(expected), expected)
        );
        assert_eq!(answer.header.sample_rate_hz, rate);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_what_it_has_and_takes_each_of_it() {
    let server = Server::start(&[
        "--model",
        "demo=models/default",
        "--model",
        "tests/fixtures/tiny_ddpm",
        "--max-streams",
        "5",
    ]);
    let mut client = server.client().await;
    let info = client
        .get_info(GetInfoRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(info.version, env!("CARGO_PKG_VERSION"));
    assert!(
        info.onnx_runtime_version.starts_with("1."),
        "{}",
        info.onnx_runtime_version
    );
    assert_eq!(info.limits.unwrap().max_streams, 5);
    let [first, second] = info.models.as_slice() else {
        panic!("{} models", info.models.len())
    };
    assert_eq!(
        (first.name.as_str(), first.bundle.as_str()),
        ("demo", "default")
    );
    assert_eq!(
        (first.sha256.len(), first.execution_provider.as_str()),
        (64, "cpu")
    );
    let nodes: Vec<_> = first.execution_nodes.keys().collect();
    assert_eq!(nodes, ["CPUExecutionProvider"]);
    let mel = first.mel.as_ref().unwrap();
    assert_eq!(
        (mel.name.as_str(), mel.sample_rate_hz, mel.hop, mel.n_mels),
        ("hifigan", 22_050, 256, 80)
    );
    assert!(mel.floor < -11.0 && mel.ceiling > 3.0);
    let schedule = first
        .schedules
        .iter()
        .find(|schedule| schedule.name == first.default_schedule);
    assert_eq!(schedule.unwrap().steps, 4);
    assert_eq!(schedule.unwrap().solver, "euler");
    assert_eq!(
        (first.process.as_str(), second.process.as_str()),
        ("flow", "ddpm")
    );
    assert!(first.solvers.contains(&"heun".to_owned()));

    let bundle = Bundle::from_dir("tests/fixtures/tiny_ddpm".as_ref()).unwrap();
    assert_eq!(
        (&second.name, &second.sha256),
        (&bundle.manifest.name, &bundle.sha256)
    );
    let (bands, low) = (
        bundle.manifest.mel.n_mels,
        bundle.manifest.mel.floor_value(),
    );
    let values = |(band, frame)| low + ((band * 7 + frame * 3) % 11) as f32 * 0.4;
    let mel = Mel::new(Array2::from_shape_fn((bands, 20), values));
    let config = SynthesisConfig {
        model: second.name.clone(),
        ..floats()
    };
    let answer = client
        .vocode_stream(stream_request(config, &mel.unwrap()))
        .await
        .unwrap();
    let answer = Answer::of_stream(answer.into_inner()).await;
    assert_eq!(answer.header.model, second.name);
    assert_eq!(answer.samples, 20 * bundle.manifest.mel.hop as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_names_its_steps_and_its_solver() {
    let server = Server::start(&[]);
    let solver = |name: &str| proto::Solver {
        name: name.to_owned(),
        ..proto::Solver::default()
    };
    let times = vec![0.0, 0.3, 0.7];
    let config = SynthesisConfig {
        schedule: Some(proto::Schedule {
            kind: Some(proto::schedule::Kind::Times(proto::TimeList {
                values: times.clone(),
            })),
        }),
        solver: Some(solver("heun")),
        ..floats()
    };
    let answer = stream(&server, config).await;
    assert_eq!(
        (answer.header.solver.as_str(), answer.header.steps),
        ("heun", 5)
    );

    let bundle = Bundle::embedded().unwrap();
    let options = SynthesisOptions::default()
        .schedule(ScheduleChoice::Custom(Grid::Times(times).into()))
        .solver(Some(Solver::Heun));
    let mut vocoder = Vocoder::new(
        bundle,
        &common::ensure_runtime(),
        &SessionOptions::default(),
    )
    .unwrap();
    let made = vocoder.synthesize(&demo(), &options).unwrap();
    let worst = difference(&samples(&answer.bytes), &made.samples);
    assert!(worst < 1e-4, "{worst}");

    // The program's own client says the same in words.
    let folder = tempfile::tempdir().unwrap();
    let wav = folder.path().join("speech.wav");
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_vocode"))
        .args(["client", "models/demo/demo.npy", "--format", "f32", "-q"])
        .args(["--schedule", "0,0.3,0.7", "--solver", "heun"])
        .args(["--addr", server.address(), "-o"])
        .arg(&wav)
        .status()
        .unwrap();
    assert!(status.success());
    let told: Vec<f32> = hound::WavReader::open(&wav)
        .unwrap()
        .samples::<f32>()
        .map(Result::unwrap)
        .collect();
    let worst = difference(&told, &made.samples);
    assert!(worst < 1e-4, "{worst}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_may_be_compressed() {
    let server = Server::start(&[]);
    let mut client = server
        .client()
        .await
        .send_compressed(CompressionEncoding::Gzip);
    let request = stream_request(floats(), &demo());
    let answer = client.vocode_stream(request).await.unwrap();
    let answer = Answer::of_stream(answer.into_inner()).await;
    let worst = difference(&samples(&answer.bytes), reference());
    assert!(worst < 1e-4, "{worst}");

    // What unpacks to more than a message may hold is not unpacked.
    let flat = Mel::new(Array2::from_elem((80, 100_000), -5.0)).unwrap();
    let request = stream_request(floats(), &flat);
    let status = client.vocode_stream(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::OutOfRange, "{status:?}");
    assert!(status.message().contains("max_message_bytes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mel_without_frames_is_audio_without_samples() {
    let server = Server::start(&[]);
    let config = SynthesisConfig {
        encoding: AudioEncoding::WavS16.into(),
        ..SynthesisConfig::default()
    };
    let (live, requests) = Live::new(config);
    drop(live);
    let answer = server.client().await.vocode_live(requests).await.unwrap();
    let answer = Answer::of_live(answer.into_inner()).await;
    assert_eq!((answer.samples, answer.summary.unwrap().frames), (0, 0));
    assert!(answer.bytes.starts_with(b"RIFF"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_says_what_is_odd_about_a_mel_and_the_config_mends_it() {
    let server = Server::start(&["--precision", "float"]);
    let ask = async |config, mel: &ndarray::Array2<f32>| {
        let request = VocodeRequest {
            config: Some(config),
            mel: Some(wire_mel(&Mel::new(mel.clone()).unwrap())),
            request_id: String::new(),
        };
        let answer = server.client().await.vocode(request).await.unwrap();
        let answer = answer.into_inner();
        (answer.header.unwrap().warnings, samples(&answer.audio))
    };
    let right = demo().into_values();
    let (warnings, expected) = ask(floats(), &right).await;
    assert_eq!(warnings, Vec::<String>::new());

    let base_ten = right.mapv(|v| v / std::f32::consts::LN_10);
    let (warnings, _) = ask(floats(), &base_ten).await;
    assert!(warnings[0].contains("kind = \"log10\""), "{warnings:?}");

    let padding = ndarray::Array2::zeros((80, 12));
    let padded = ndarray::concatenate![Axis(1), right, padding];
    let (warnings, _) = ask(floats(), &padded).await;
    assert!(warnings[0].contains("`trim_padding`"), "{warnings:?}");
    let trimmed = SynthesisConfig {
        trim_padding: true,
        ..floats()
    };
    let (warnings, audio) = ask(trimmed, &padded).await;
    assert_eq!(warnings, Vec::<String>::new());
    assert!(difference(&audio, &expected) < 1e-4);

    let blurred = crate::common::blurred(&right);
    let (warnings, unrestored) = ask(floats(), &blurred).await;
    assert!(warnings[0].contains("`restore`"), "{warnings:?}");
    let restored = || SynthesisConfig {
        restore: true,
        ..floats()
    };
    let (warnings, audio) = ask(restored(), &blurred).await;
    assert_eq!(warnings, Vec::<String>::new());
    assert!(difference(&audio, &unrestored) > 1e-2);
    // The mel of a recording stays as it is.
    let (_, audio) = ask(restored(), &right).await;
    assert!(difference(&audio, &expected) < 1e-4);

    let sharpened = |amount| SynthesisConfig {
        sharpen: Some(amount),
        ..floats()
    };
    let own = Bundle::embedded().unwrap().manifest.sharpening.unwrap();
    let (_, audio) = ask(sharpened(own.bands), &right).await;
    assert!(difference(&audio, &expected) < 1e-4);
    let (_, audio) = ask(sharpened(0.0), &right).await;
    assert!(difference(&audio, &expected) > 1e-2);

    let normalised = right.mapv(|v| (v + 5.0) / 2.0);
    let moments = SynthesisConfig {
        mel_mean: vec![-5.0],
        mel_std: vec![2.0],
        ..floats()
    };
    let (warnings, audio) = ask(moments, &normalised).await;
    assert_eq!(warnings, Vec::<String>::new());
    // Its values come back within rounding, which integers would amplify.
    assert!(difference(&audio, &expected) < 1e-2);
}

/// The audio is that of the command line, whose own tests say how good it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_convert_exactly_is_taken_where_that_is_asked_for() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let (npy, wav) = (folder.path().join("a.npy"), folder.path().join("a.wav"));
    let run = |arguments: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("vocode").unwrap();
        command.args(arguments).assert().success();
    };
    let espnet = ["--mel-convention", "espnet"];
    let (npy, wav) = (npy.to_str().unwrap(), wav.to_str().unwrap());
    run(&[&["mel", "models/demo/demo.flac", "-o", npy], &espnet[..]].concat());
    let flags = ["--approximate-mel", "--format", "f32"];
    run(&[&[npy, "-o", wav], &espnet[..], &flags[..]].concat());
    let config = |approximate_mel| SynthesisConfig {
        approximate_mel,
        mel_convention: "espnet".to_owned(),
        ..floats()
    };
    let ask = async |config| {
        let request = VocodeRequest {
            config: Some(config),
            mel: Some(proto::Mel {
                npy_bytes: std::fs::read(npy).unwrap().into(),
                ..proto::Mel::default()
            }),
            request_id: String::new(),
        };
        server.client().await.vocode(request).await
    };
    let refused = ask(config(false)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    assert!(refused.message().contains("approximate_mel"), "{refused}");
    let answer = ask(config(true)).await.unwrap().into_inner();
    let warnings = answer.header.unwrap().warnings;
    assert!(warnings[0].contains("of PESQ-wb"), "{warnings:?}");
    let expected = decode(std::fs::read(wav).unwrap(), None, &DecodeLimits::default()).unwrap();
    assert!(difference(&samples(&answer.audio), &expected.samples) < 1e-4);
}
