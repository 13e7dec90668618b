//! Mels that come as the bytes of a `.npy` file.

use tonic::Code;
use tonic_types::StatusExt;
use vocode::proto::{
    VocodeRequest, VocodeStreamRequest, vocode_live_response, vocode_stream_response,
};

use super::server::Server;
use super::*;

fn file(bytes: Vec<u8>) -> proto::Mel {
    proto::Mel {
        npy_bytes: bytes.into(),
        ..proto::Mel::default()
    }
}

fn demo_file() -> proto::Mel {
    file(std::fs::read("models/demo/demo.npy").unwrap())
}

fn blamed(status: &Status) -> (Code, String) {
    let details = status.get_error_details();
    let bad = details.bad_request().unwrap();
    (status.code(), bad.field_violations[0].field.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_of_a_file_make_the_audio_of_its_numbers() {
    let server = Server::start(&[]);
    let mut client = server.client().await;
    let request = VocodeRequest {
        config: Some(floats()),
        mel: Some(demo_file()),
        request_id: String::new(),
    };
    let unary = client.vocode(request).await.unwrap().into_inner();

    let request = VocodeStreamRequest {
        config: Some(floats()),
        mel: Some(demo_file()),
        request_id: String::new(),
    };
    let mut answer = client.vocode_stream(request).await.unwrap().into_inner();
    let mut streamed = Vec::new();
    while let Some(response) = answer.message().await.unwrap() {
        if let Some(vocode_stream_response::Event::Chunk(chunk)) = response.event {
            streamed.extend(chunk.audio);
        }
    }

    // Numbers and a file in one call, one after the other.
    let (live, requests) = Live::new(floats());
    let mut frames_first = Vec::new();
    let rest = demo().view().slice_axis(Axis(1), (100..).into()).to_owned();
    vocode::mel::write_npy(&mut frames_first, &Mel::new(rest).unwrap()).unwrap();
    assert!(live.send(piece(&demo(), 0..100)).await && live.send(file(frames_first)).await);
    drop(live);
    let mut answer = client.vocode_live(requests).await.unwrap().into_inner();
    let mut lively = Vec::new();
    while let Some(response) = answer.message().await.unwrap() {
        if let Some(vocode_live_response::Event::Chunk(chunk)) = response.event {
            lively.extend(chunk.audio);
        }
    }
    for (method, bytes) in [
        ("Vocode", &unary.audio[..]),
        ("VocodeStream", &streamed),
        ("VocodeLive", &lively),
    ] {
        let worst = difference(&samples(bytes), reference());
        assert!(worst < 1e-4, "{method}: {worst}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_used_is_refused_with_its_field() {
    let server = Server::start(&["--max-unary-frames", "300", "--max-stream-frames", "363"]);
    let mut client = server.client().await;
    let cases = [
        (
            file(b"fLaC not a mel".to_vec()),
            Code::InvalidArgument,
            "FLAC",
        ),
        (
            proto::Mel {
                n_mels: 80,
                ..demo_file()
            },
            Code::InvalidArgument,
            "came twice",
        ),
        (demo_file(), Code::OutOfRange, "(Limits.max_stream_frames)"),
    ];
    for (mel, code, word) in cases {
        let status = client
            .vocode_stream(VocodeStreamRequest {
                mel: Some(mel),
                ..VocodeStreamRequest::default()
            })
            .await
            .unwrap_err();
        assert_eq!(blamed(&status), (code, "mel.npy_bytes".to_owned()));
        assert!(status.message().contains(word), "{}", status.message());
    }
    let request = VocodeRequest {
        mel: Some(demo_file()),
        ..VocodeRequest::default()
    };
    let status = client.vocode(request).await.unwrap_err();
    assert_eq!(blamed(&status).1, "mel.npy_bytes");
    assert!(
        status.message().contains("send it through VocodeStream"),
        "{}",
        status.message()
    );

    // In a live call the frames of all its messages count.
    let (live, requests) = Live::new(floats());
    live.send(piece(&demo(), 0..300)).await;
    live.send(demo_file()).await;
    let status = match client.vocode_live(requests).await {
        Ok(answer) => ending(answer.into_inner()).await.unwrap_err(),
        Err(status) => status,
    };
    assert_eq!(
        blamed(&status),
        (Code::OutOfRange, "mel.npy_bytes".to_owned())
    );
    assert!(
        status.message().contains("664 frames"),
        "{}",
        status.message()
    );
}
