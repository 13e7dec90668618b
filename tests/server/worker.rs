//! The thread that runs the model dies or hangs under its server: nobody takes half an answer for a whole one, and health tells.
//!
//! The faults are those that debug builds of the program make on purpose (`VOCODE_TEST_FAULT`).

use std::path::Path;
use std::time::{Duration, Instant};

use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use vocode::proto::VocodeRequest;
use vocode::proto::vocode_live_response::Event;
use vocode::proto::vocoder_service_client::VocoderServiceClient;

use super::server::Server;
use super::*;

const PATIENCE: Duration = Duration::from_secs(120);

fn start(fault: &Path, flags: &[&str]) -> Server {
    Server::start_with(flags, &[("VOCODE_TEST_FAULT", fault.to_str().unwrap())])
}

/// A call for a whole answer ends with INTERNAL.
async fn assert_whole_answer_fails(client: &mut VocoderServiceClient<Channel>) {
    let request = VocodeRequest {
        config: Some(floats()),
        mel: Some(wire_mel(&demo())),
        request_id: String::new(),
    };
    let status = client.vocode(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status:?}");
}

/// Waits until health is `expected`.
async fn health_turns(server: &Server, expected: ServingStatus) {
    let mut health = HealthClient::new(server.channel().await);
    let began = Instant::now();
    loop {
        let check = HealthCheckRequest::default();
        let found = health.check(check).await.unwrap().into_inner().status();
        if found == expected {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "health stays {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_a_model_whose_thread_dies_end_with_an_error_and_so_does_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let fault = folder.path().join("fault");
    let mut server = start(&fault, &[]);
    let (live, requests) = Live::new(floats());
    let mut client = server.client().await;
    let mut answer = client.vocode_live(requests).await.unwrap().into_inner();
    live.send(piece(&demo(), 0..200)).await;
    let mut chunks = 0;
    while chunks == 0 {
        let event = answer.message().await.unwrap().unwrap().event;
        chunks += usize::from(matches!(event, Some(Event::Chunk(_))));
    }
    let health = HealthClient::new(server.channel().await)
        .watch(HealthCheckRequest::default())
        .await;
    let mut health = health.unwrap().into_inner();
    let before = health.message().await.unwrap().unwrap().status();
    assert_eq!(before, ServingStatus::Serving);

    std::fs::write(&fault, "panic").unwrap();
    live.send(piece(&demo(), 200..364)).await;
    drop(live);
    let status = loop {
        match answer.message().await {
            Ok(Some(response)) => {
                let event = response.event.unwrap();
                assert!(!matches!(event, Event::Summary(_)), "a summary: {event:?}");
            }
            Ok(None) => panic!("the call ended with OK"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Internal, "{status:?}");
    assert!(status.message().contains("not complete"), "{status:?}");
    let after = health.message().await.unwrap().unwrap().status();
    assert_eq!(after, ServingStatus::NotServing);
    assert_eq!(server.wait().code(), Some(1), "{}", server.log());
    server.log_says("has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_answer_is_no_answer_once_the_thread_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let fault = folder.path().join("fault");
    let server = start(&fault, &[]);
    let mut client = server.client().await;
    std::fs::write(&fault, "panic").unwrap();
    assert_whole_answer_fails(&mut client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_fewer_samples_than_its_mel_makes_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let fault = folder.path().join("fault");
    std::fs::write(&fault, "").unwrap();
    let server = start(&fault, &[]);
    std::fs::write(&fault, "short").unwrap();
    let mut client = server.client().await;
    let request = stream_request(floats(), &demo());
    let mut answer = client.vocode_stream(request).await.unwrap().into_inner();
    let status = loop {
        use vocode::proto::vocode_stream_response::Event;
        match answer.message().await {
            Ok(Some(response)) => {
                let event = response.event.unwrap();
                assert!(!matches!(event, Event::Summary(_)), "a summary: {event:?}");
            }
            Ok(None) => panic!("the call ended with OK"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Internal, "{status:?}");
    assert!(status.message().contains("where the mel asks for 93184"));
    assert_whole_answer_fails(&mut client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_keeps_its_place_until_it_was_heard_while_others_wait_for_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let fault = folder.path().join("fault");
    let flags = ["--max-streams", "2", "--model-timeout-seconds", "1"];
    let server = start(&fault, &flags);
    // Minutes of audio, which are there in seconds.
    let mut listener = server.client().await;
    let request = stream_request(attacks::of_steps(1), &attacks::long(20));
    let mut answer = listener.vocode_stream(request).await.unwrap().into_inner();
    while answer.message().await.unwrap().is_some() {}

    std::fs::write(&fault, "stall").unwrap();
    let mut client = server.client().await;
    let request = || stream_request(floats(), &demo());
    let mut starting = client.vocode_stream(request()).await.unwrap().into_inner();
    health_turns(&server, ServingStatus::NotServing).await;
    let refused = client.vocode_stream(request()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");

    // Once the listener has gone, a third stream is kept from nothing but the model that hangs.
    drop((answer, listener));
    let began = Instant::now();
    loop {
        let refused = client.vocode_stream(request()).await.unwrap_err();
        if refused.code() == Code::Unavailable {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{refused:?}");
    }
    std::fs::remove_file(&fault).unwrap();
    while starting.message().await.unwrap().is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn health_turns_while_a_call_of_the_model_does_not_return() {
    let folder = tempfile::tempdir().unwrap();
    let fault = folder.path().join("fault");
    let mut server = start(&fault, &["--model-timeout-seconds", "1"]);
    health_turns(&server, ServingStatus::Serving).await;
    std::fs::write(&fault, "stall").unwrap();
    let mut client = server.client().await;
    let request = || stream_request(floats(), &demo());
    let mut answer = client.vocode_stream(request()).await.unwrap().into_inner();
    health_turns(&server, ServingStatus::NotServing).await;
    let refused = client.vocode_stream(request()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");

    std::fs::remove_file(&fault).unwrap();
    health_turns(&server, ServingStatus::Serving).await;
    server.log_says("answers again");
    while answer.message().await.unwrap().is_some() {}
}
