//! The real server and a real client: what it answers, whom it refuses, how it stops.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/http.rs"]
mod http;
#[path = "../common/server.rs"]
mod server;

mod access;
mod attacks;
mod audio;
mod faults;
mod life;
mod npy;
mod refusals;
mod resume;
mod traces;
mod watermarks;
mod web;
#[cfg(debug_assertions)]
mod worker;

use std::fs::File;
use std::ops::ControlFlow;
use std::sync::OnceLock;

use ndarray::Axis;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming};
use vocode::bundle::Bundle;
use vocode::client::wire_mel;
use vocode::mel::{Layout, Mel, NpyLimits, prepare, read_npy};
use vocode::proto::vocode_live_request::Message;
use vocode::proto::{
    self, AudioEncoding, SynthesisConfig, VocodeLiveRequest, VocodeLiveResponse,
    VocodeStreamRequest,
};
use vocode::runtime::SessionOptions;
use vocode::vocoder::{SynthesisOptions, Vocoder};

/// The demo, which is in the built-in model's convention.
fn demo() -> Mel {
    let file = File::open("models/demo/demo.npy").unwrap();
    read_npy(file, Some(80), Layout::Auto, &NpyLimits::default()).unwrap()
}

/// What the library makes of the demo, with no server.
fn reference() -> &'static [f32] {
    static REFERENCE: OnceLock<Vec<f32>> = OnceLock::new();
    REFERENCE.get_or_init(|| {
        let bundle = Bundle::embedded().unwrap();
        let mel = prepare(demo(), &bundle.manifest.mel, &bundle.manifest.mel)
            .unwrap()
            .mel;
        let mut vocoder = Vocoder::new(
            bundle,
            &common::ensure_runtime(),
            &SessionOptions::default(),
        )
        .unwrap();
        let made = vocoder.synthesize_observed(&mel, &SynthesisOptions::default(), &mut |_| {
            ControlFlow::Continue(())
        });
        made.unwrap().samples
    })
}

/// The largest difference; infinite where the lengths differ.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    if found.len() != expected.len() {
        return f32::INFINITY;
    }
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

fn floats() -> SynthesisConfig {
    SynthesisConfig {
        encoding: AudioEncoding::PcmF32le.into(),
        ..SynthesisConfig::default()
    }
}

fn samples(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

fn stream_request(config: SynthesisConfig, mel: &Mel) -> VocodeStreamRequest {
    VocodeStreamRequest {
        config: Some(config),
        mel: Some(wire_mel(mel)),
        request_id: "a-test".to_owned(),
    }
}

/// Frames `range` of a mel, as a message of its own.
fn piece(mel: &Mel, range: std::ops::Range<usize>) -> proto::Mel {
    let frames = mel.view().slice_axis(Axis(1), range.into()).to_owned();
    wire_mel(&Mel::new(frames).unwrap())
}

/// The sending side of a live call.
struct Live(mpsc::Sender<VocodeLiveRequest>);

impl Live {
    /// A call whose config is on its way.
    fn new(config: SynthesisConfig) -> (Live, Request<ReceiverStream<VocodeLiveRequest>>) {
        let (sender, requests) = mpsc::channel(64);
        let config = VocodeLiveRequest {
            message: Some(Message::Config(config)),
            request_id: String::new(),
        };
        sender.try_send(config).unwrap();
        (Live(sender), Request::new(ReceiverStream::new(requests)))
    }

    /// Fails once the server has ended the call.
    async fn send(&self, mel: proto::Mel) -> bool {
        let message = Some(Message::Mel(mel));
        let request_id = String::new();
        self.0
            .send(VocodeLiveRequest {
                message,
                request_id,
            })
            .await
            .is_ok()
    }
}

/// Reads a live answer to its end or to what broke it off.
async fn ending(mut answer: Streaming<VocodeLiveResponse>) -> Result<(), Status> {
    while answer.message().await?.is_some() {}
    Ok(())
}
