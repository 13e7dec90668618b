//! Audio with watermarks: on request, or whether a call wants it or not.

use tonic::Code;
use vocode::proto::{VocodeRequest, Watermark};
use vocode::watermark::{Key, detect};

use super::server::Server;
use super::*;

fn request(watermark: Option<Watermark>) -> VocodeRequest {
    let config = SynthesisConfig {
        watermark,
        ..floats()
    };
    VocodeRequest {
        config: Some(config),
        mel: Some(wire_mel(&demo())),
        request_id: String::new(),
    }
}

fn asking(enabled: bool, payload: Option<u32>) -> Option<Watermark> {
    Some(Watermark { enabled, payload })
}

fn is_marked(audio: &[u8], key: &Key) -> bool {
    detect(&samples(audio), 22_050, key)
        .unwrap()
        .is_marked(1e-6)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_asks_for_a_watermark_gets_it() {
    let server = Server::start(&[]);
    let mut client = server.client().await;
    let plain = client.vocode(request(None)).await.unwrap().into_inner();
    assert_eq!(plain.header.unwrap().watermark, None);
    assert!(difference(&samples(&plain.audio), reference()) < 1e-4);
    let marked = client
        .vocode(request(asking(true, Some(7))))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(marked.header.unwrap().watermark, Some(7));
    assert!(is_marked(&marked.audio, &Key::public()) && !is_marked(&plain.audio, &Key::public()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_marks_all_refuses_to_go_without() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "a key of a server of the tests").unwrap();
    let server = Server::start(&["--watermark", "--watermark-key", file.to_str().unwrap()]);
    let mut client = server.client().await;
    let marked = client.vocode(request(None)).await.unwrap().into_inner();
    assert!(marked.header.unwrap().watermark.is_some());
    assert!(is_marked(
        &marked.audio,
        &Key::new(b"a key of a server of the tests").unwrap()
    ));
    assert!(!is_marked(&marked.audio, &Key::public()));
    let refused = client
        .vocode(request(asking(false, None)))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(
        refused.message().contains("leave config.watermark out"),
        "{}",
        refused.message()
    );
}
