//! `vocode client`: what it asks for, and servers that do not keep to the contract.

mod common;
#[path = "common/server.rs"]
mod server;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use assert_cmd::Command;
use ndarray::{Array2, Axis, concatenate};
use ndarray_npy::{ReadNpyExt, WriteNpyExt};
use server::Server;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};
use vocode::proto::vocoder_service_server::{VocoderService, VocoderServiceServer};
use vocode::proto::{self, vocode_live_response, vocode_stream_response as answer};

const DEMO: &str = "models/demo/demo.npy";
const FRAMES: u64 = 364;
const HOP: u32 = 256;

/// A server that sends what it is told to, whatever the request.
#[derive(Clone)]
struct Scripted {
    events: Vec<answer::Event>,
    end: Result<(), Status>,
}

type Answers<T> = std::pin::Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl VocoderService for Scripted {
    type VocodeStreamStream = Answers<proto::VocodeStreamResponse>;
    type VocodeLiveStream = Answers<proto::VocodeLiveResponse>;

    async fn get_info(
        &self,
        _: Request<proto::GetInfoRequest>,
    ) -> Result<Response<proto::GetInfoResponse>, Status> {
        let mel = proto::MelConvention {
            sample_rate_hz: 22_050,
            hop: HOP,
            n_mels: 80,
            ..Default::default()
        };
        let model = proto::Model {
            name: "default".into(),
            mel: Some(mel),
            ..Default::default()
        };
        Ok(Response::new(proto::GetInfoResponse {
            models: vec![model],
            ..Default::default()
        }))
    }

    async fn vocode(
        &self,
        _: Request<proto::VocodeRequest>,
    ) -> Result<Response<proto::VocodeResponse>, Status> {
        let mut whole = proto::VocodeResponse::default();
        for event in &self.events {
            match event {
                answer::Event::Header(header) => whole.header = Some(header.clone()),
                answer::Event::Chunk(chunk) => whole.audio = chunk.audio.clone(),
                answer::Event::Summary(summary) => whole.summary = Some(summary.clone()),
            }
        }
        Ok(Response::new(whole))
    }

    async fn vocode_stream(
        &self,
        _: Request<proto::VocodeStreamRequest>,
    ) -> Result<Response<Self::VocodeStreamStream>, Status> {
        let events = self.events.clone().into_iter();
        let events = events.map(|event| Ok(proto::VocodeStreamResponse { event: Some(event) }));
        let end = self.end.clone().err().map(Err);
        let answers: Vec<_> = events.chain(end).collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(answers))))
    }

    async fn vocode_live(
        &self,
        _: Request<Streaming<proto::VocodeLiveRequest>>,
    ) -> Result<Response<Self::VocodeLiveStream>, Status> {
        let none: Vec<Result<proto::VocodeLiveResponse, Status>> =
            vec![Ok(proto::VocodeLiveResponse {
                event: None::<vocode_live_response::Event>,
            })];
        Ok(Response::new(Box::pin(tokio_stream::iter(none))))
    }
}

/// Serves until the test ends.
async fn serve(script: Scripted) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tonic::transport::Server::builder().add_service(VocoderServiceServer::new(script));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

fn header(solver: &str) -> answer::Event {
    answer::Event::Header(proto::StreamHeader {
        sample_rate_hz: 22_050,
        channels: 1,
        encoding: proto::AudioEncoding::PcmF32le.into(),
        solver: solver.into(),
        ..Default::default()
    })
}

fn chunk(sequence: u64, start_sample: u64, samples: u32) -> answer::Event {
    answer::Event::Chunk(proto::AudioChunk {
        sequence,
        start_sample,
        samples,
        audio: vec![0; 4 * samples as usize].into(),
    })
}

fn summary(samples: u64, frames: u64) -> answer::Event {
    answer::Event::Summary(proto::StreamSummary {
        samples,
        frames,
        ..Default::default()
    })
}

fn run(address: SocketAddr, method: &str, out: &Path) -> std::process::Output {
    Command::cargo_bin("vocode")
        .unwrap()
        .args(["client", DEMO, "--method", method, "--addr"])
        .arg(address.to_string())
        .arg("-o")
        .arg(out)
        .output()
        .unwrap()
}

async fn outcome(
    method: &'static str,
    events: Vec<answer::Event>,
    end: Result<(), Status>,
) -> (bool, String, bool) {
    let address = serve(Scripted { events, end }).await;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a.wav");
    let given = out.clone();
    let output = tokio::task::spawn_blocking(move || run(address, method, &given))
        .await
        .unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    (output.status.success(), message, out.exists())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_answer_is_written() {
    let all = FRAMES as u32 * HOP;
    for method in ["stream", "unary"] {
        let events = vec![
            header("euler"),
            chunk(0, 0, all),
            summary(u64::from(all), FRAMES),
        ];
        let (done, message, written) = outcome(method, events, Ok(())).await;
        assert!(done && written, "{method}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_whole_is_an_error_and_no_file() {
    let all = FRAMES as u32 * HOP;
    let (half, total) = (all / 2, u64::from(all));
    let cases = [
        ("stream", vec![header("")], "before its summary"),
        (
            "stream",
            // It is asked for the rest, and begins anew.
            vec![header(""), chunk(0, 0, all)],
            "a chunk starts at sample 0 where",
        ),
        (
            "stream",
            vec![
                header(""),
                chunk(0, 0, half),
                chunk(2, u64::from(half), half),
            ],
            "chunk 2 comes where 1 is due",
        ),
        (
            "stream",
            vec![header(""), chunk(0, 0, half), chunk(1, total, half)],
            "is due",
        ),
        (
            "stream",
            vec![
                header(""),
                chunk(0, 0, half),
                summary(u64::from(half), FRAMES),
            ],
            "its mel makes",
        ),
        (
            "stream",
            vec![header(""), chunk(0, 0, all), summary(total, FRAMES - 1)],
            "frames",
        ),
        (
            "stream",
            vec![header(""), chunk(0, 0, all), chunk(1, total, all)],
            "more than",
        ),
        ("unary", vec![header(""), chunk(0, 0, all)], "no summary"),
        (
            "unary",
            vec![header(""), chunk(0, 0, half), summary(total, FRAMES)],
            "bytes",
        ),
        ("live", vec![], "empty event"),
    ];
    for (method, events, words) in cases {
        let (done, message, written) = outcome(method, events, Ok(())).await;
        assert!(!done && !written, "{words}: it passed");
        assert!(message.contains(words), "{words:?} is not in: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_cannot_move_the_cursor() {
    let evil = "a\u{1b}[2J\nerror: all is well \u{202e}";
    let (_, message, _) = outcome("stream", vec![], Err(Status::internal(evil))).await;
    assert!(message.contains(r"a\u{1b}[2J\nerror"), "{message}");
    let all = FRAMES as u32 * HOP;
    let events = vec![
        header(evil),
        chunk(0, 0, all),
        summary(u64::from(all), FRAMES),
    ];
    let (done, summary, _) = outcome("stream", events, Ok(())).await;
    assert!(done, "{summary}");
    for text in [message, summary] {
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

/// The samples of a run of the program in `folder`, or what it said.
fn made(folder: &Path, arguments: &[&str]) -> Result<Vec<f32>, String> {
    let out = folder.join("out.wav");
    let done = Command::cargo_bin("vocode")
        .unwrap()
        .env("VOCODE_ORT_LIB", common::ensure_runtime().library())
        .current_dir(folder)
        .args(arguments)
        .args(["--steps=1", "--format=f32", "--force", "-o"])
        .arg(&out)
        .output()
        .unwrap();
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned());
    }
    let mut reader = hound::WavReader::open(out).unwrap();
    Ok(reader.samples::<f32>().map(Result::unwrap).collect())
}

#[test]
fn mels_that_are_converted_or_cut_come_back_as_the_local_command_makes_them() {
    let server = Server::start(&["--precision", "float"]);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let demo: Array2<f32> = Array2::read_npy(fs::File::open(DEMO).unwrap()).unwrap();
    let zeros = Array2::zeros((80, 12));
    let padded = concatenate![Axis(1), zeros, demo, zeros];
    let file = fs::File::create(folder.join("padded.npy")).unwrap();
    padded.write_npy(file).unwrap();
    let file = fs::File::create(folder.join("blurred.npy")).unwrap();
    common::blurred(&demo).write_npy(file).unwrap();
    fs::copy(DEMO, folder.join("demo.npy")).unwrap();
    fs::copy("models/demo/demo.flac", folder.join("demo.flac")).unwrap();
    let wide = [
        "mel",
        "demo.flac",
        "-o",
        "wide.npy",
        "--mel-convention=vocos24k",
    ];
    Command::cargo_bin("vocode")
        .unwrap()
        .current_dir(folder)
        .args(wide)
        .assert()
        .success();
    let converted = ["wide.npy", "--mel-convention=vocos24k", "--approximate-mel"];
    let cut = ["padded.npy", "--trim-padding"];
    let restored = ["blurred.npy", "--restore=auto"];
    for flags in [
        &converted[..],
        &cut,
        &restored,
        &["demo.npy", "--mel-convention=tacotron2"],
    ] {
        let local = made(folder, &[flags, &["--precision=float"]].concat()).unwrap();
        for method in ["stream", "unary"] {
            let call = ["client", "--method", method, "--addr", server.address()];
            let remote = made(folder, &[&call[..], flags].concat()).unwrap();
            assert_eq!(remote.len(), local.len(), "{flags:?}, {method}");
            let differences = remote.iter().zip(&local).map(|(a, b)| (a - b).abs());
            let worst = differences.fold(0.0, f32::max);
            assert!(worst < 1e-3, "{flags:?}, {method}: {worst}");
        }
    }
    for flags in [&converted[..], &cut, &restored] {
        let call = ["client", "--method=live", "--addr", server.address()];
        let said = made(folder, &[&call[..], flags].concat()).unwrap_err();
        assert!(said.contains("where the mel comes whole"), "{said}");
    }
}
