//! A call that breaks off goes on, on the server that comes next.

use std::time::Duration;

use tokio_stream::StreamExt;
use tonic::Code;
use vocode::client::{Client, ClientOptions, Event};

use super::server::Server;
use super::*;

/// The events of an answer: its header and its samples, held against their places.
async fn heard(
    client: &mut Connected,
    config: SynthesisConfig,
    mel: proto::Mel,
) -> Result<(proto::StreamHeader, Vec<f32>), Status> {
    let first = config.start_sample;
    let request = VocodeStreamRequest {
        config: Some(config),
        mel: Some(mel),
        request_id: String::new(),
    };
    let mut answer = client.vocode_stream(request).await?.into_inner();
    let (mut header, mut found) = (None, Vec::new());
    while let Some(event) = answer.message().await? {
        use proto::vocode_stream_response::Event as Wire;
        match event.event.unwrap() {
            Wire::Header(event) => header = Some(event),
            Wire::Chunk(chunk) => {
                assert_eq!(chunk.start_sample, first + found.len() as u64);
                found.extend(samples(&chunk.audio));
            }
            Wire::Summary(summary) => assert_eq!(summary.samples, found.len() as u64),
        }
    }
    Ok((header.unwrap(), found))
}

type Connected = proto::vocoder_service_client::VocoderServiceClient<tonic::transport::Channel>;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_begins_where_it_is_asked_to() {
    let server = Server::start(&[]);
    let mut client = server.client().await;
    let mel = demo();
    let (header, whole) = heard(&mut client, floats(), wire_mel(&mel)).await.unwrap();
    let sample = 50_000;
    let at = (sample as f64 / 22_050.0 * header.frames_per_second) as usize;
    let needed = at - header.lead_frames as usize;
    for start_frame in [0, needed] {
        let config = SynthesisConfig {
            start_frame: start_frame as u64,
            start_sample: sample as u64,
            ..floats()
        };
        let rest = piece(&mel, start_frame..mel.frames());
        let (header, found) = heard(&mut client, config, rest).await.unwrap();
        assert!(found == whole[sample..], "from frame {start_frame}");
        assert_eq!(header.total_samples, Some(found.len() as u64));
    }
    let config = |start_frame, start_sample| SynthesisConfig {
        start_frame,
        start_sample,
        ..floats()
    };
    let refused = [
        (
            config(needed as u64 + 1, sample as u64),
            "needs the frames from",
        ),
        (config(1 << 40, 0), "a call takes"),
        (config(0, 1 << 60), "no clip has a sample"),
        (
            SynthesisConfig {
                encoding: AudioEncoding::WavS16.into(),
                ..config(0, 500)
            },
            "ask for PCM",
        ),
        (
            SynthesisConfig {
                trim_padding: true,
                ..config(3, 0)
            },
            "comes whole",
        ),
        (
            SynthesisConfig {
                restore: true,
                ..config(3, 0)
            },
            "comes whole",
        ),
        (
            SynthesisConfig {
                approximate_mel: true,
                mel_convention: "espnet".to_owned(),
                ..config(3, 0)
            },
            "comes whole",
        ),
    ];
    for (config, words) in refused {
        let status = heard(&mut client, config, wire_mel(&mel))
            .await
            .unwrap_err();
        assert!(status.message().contains(words), "{words}: {status:?}");
        assert!(
            matches!(status.code(), Code::InvalidArgument | Code::OutOfRange),
            "{status:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_call_outlives_its_server() {
    let address = super::life::free_address();
    let mut servers = vec![Server::start(&["--listen", &address])];
    let options = ClientOptions::default().address(address.clone());
    let mut client = Client::connect(&options).await.unwrap();
    let (sender, mels) = mpsc::channel(1);
    let mel = demo();
    tokio::spawn(async move {
        for start in (0..mel.frames()).step_by(8) {
            let frames = mel
                .view()
                .slice_axis(Axis(1), (start..(start + 8).min(mel.frames())).into())
                .to_owned();
            if sender.send(Mel::new(frames).unwrap()).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let mut events = client
        .live(floats(), ReceiverStream::new(mels).map(|mel| mel))
        .await
        .unwrap();
    let (mut found, mut headers, mut chunks) = (Vec::new(), 0, 0);
    let mut total = None;
    while let Some(event) = events.next().await {
        match event.unwrap() {
            Event::Header(_) => headers += 1,
            Event::Chunk(chunk) => {
                assert_eq!(
                    (chunk.sequence, chunk.start_sample),
                    (chunks, found.len() as u64)
                );
                chunks += 1;
                found.extend(samples(&chunk.audio));
                if chunks == 2 {
                    servers.pop().unwrap().signal("KILL");
                    let address = address.clone();
                    let next = move || Server::start(&["--listen", &address]);
                    servers.push(tokio::task::spawn_blocking(next).await.unwrap());
                }
            }
            Event::Summary(summary) => total = Some((summary.samples, summary.frames)),
        }
    }
    assert_eq!((headers, events.resumed()), (1, 1));
    assert_eq!(total, Some((found.len() as u64, demo().frames() as u64)));
    assert!(difference(&found, reference()) < 1e-4);
}
