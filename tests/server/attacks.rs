//! One caller against all: each attack hits the real server, and the others are served.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tokio_stream::StreamExt;
use tonic::client::{Grpc, GrpcService};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;
use vocode::proto::{GetInfoRequest, Schedule, VocodeRequest, VocodeResponse, schedule};

use super::server::Server;
use super::*;

const VOCODE: &str = "/vocode.v1.VocoderService/Vocode";

pub(super) fn of_steps(steps: u32) -> SynthesisConfig {
    let kind = Some(schedule::Kind::Steps(steps));
    SynthesisConfig {
        schedule: Some(Schedule { kind }),
        ..floats()
    }
}

pub(super) fn long(times: usize) -> Mel {
    let mel = demo();
    Mel::new(ndarray::concatenate(Axis(1), &vec![mel.view(); times]).unwrap()).unwrap()
}

/// A listener whom nothing must touch.
async fn hears_the_demo(server: &Server) {
    let request = stream_request(floats(), &demo());
    let mut client = server.client().await;
    let mut answer = client.vocode_stream(request).await.unwrap().into_inner();
    let mut last = None;
    while let Some(response) = answer.message().await.unwrap() {
        last = response.event;
    }
    use vocode::proto::vocode_stream_response::Event;
    let Some(Event::Summary(summary)) = last else {
        panic!("it ended with {last:?}");
    };
    assert_eq!(summary.samples, 364 * 256);
}

/// A call of the method Vocode whose request is any stream of any message, and whose answer waits to be read.
async fn raw<T: prost::Message + 'static>(
    channel: &Channel,
    requests: impl tokio_stream::Stream<Item = T> + Send + 'static,
) -> Result<Response<Streaming<VocodeResponse>>, Status> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let codec = ProstCodec::<T, VocodeResponse>::default();
    let path = PathAndQuery::from_static(VOCODE);
    grpc.streaming(Request::new(requests), path, codec).await
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_without_a_request_hold_no_place() {
    let server = Server::start(&["--max-streams", "2", "--max-idle-seconds", "2"]);
    let channel = server.channel().await;
    let silent: Vec<_> = (0..40)
        .map(|_| {
            let channel = channel.clone();
            tokio::spawn(
                async move { raw(&channel, tokio_stream::pending::<VocodeRequest>()).await },
            )
        })
        .collect();
    let (_live, requests) = Live::new(floats());
    let _live = server.client().await.vocode_live(requests).await.unwrap();
    hears_the_demo(&server).await;
    for call in silent {
        let status = call.await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_too_many_steps_is_refused_and_one_of_many_waits_for_listeners() {
    let server = Server::start(&[]);
    let mut client = server.client().await;
    let refused = client.vocode_stream(stream_request(of_steps(17), &demo()));
    let status = refused.await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert!(
        status.message().contains("(Limits.max_steps)"),
        "{status:?}"
    );

    let server = Server::start(&["--max-steps", "1000"]);
    let mut client = server.client().await;
    let heavy = client.vocode_stream(stream_request(of_steps(500), &long(10)));
    let mut heavy = heavy.await.unwrap().into_inner();
    heavy.message().await.unwrap().unwrap();
    hears_the_demo(&server).await;
    // The audio of 500 steps comes long after that of 4.
    let next = tokio::time::timeout(Duration::ZERO, heavy.message()).await;
    assert!(next.is_err(), "{next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_ask_for_nothing_make_room_and_are_closed() {
    let server = Server::start(&["--max-connections", "4"]);
    let mut held: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut socket = TcpStream::connect(server.address()).unwrap();
            socket.write_all(b"P").unwrap();
            socket
        })
        .collect();
    hears_the_demo(&server).await;
    let mut again = server.client().await;
    again.get_info(GetInfoRequest {}).await.unwrap();
    for socket in &mut held {
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut left = Vec::new();
        let end = socket.read_to_end(&mut left);
        let is_open = end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!is_open, "a connection of one byte stays open");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_plays_nothing_is_not_held_up_by_what_it_has_had() {
    let server = Server::start(&["--max-streams", "1"]);
    for _ in 0..10 {
        hears_the_demo(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_caller_has_its_share_of_the_streams() {
    let server = Server::start(&["--max-streams", "4", "--max-streams-per-caller", "2"]);
    let mut client = server.client().await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let (live, requests) = Live::new(floats());
        held.push((live, client.vocode_live(requests).await.unwrap()));
    }
    let status = client.vocode_stream(stream_request(floats(), &demo()));
    let status = status.await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(status.message().contains("--max-streams-per-caller"));
    let details = status.get_error_details();
    assert!(details.retry_info().unwrap().retry_delay.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_caller_has_its_minutes_audio() {
    // The demo has 4.2 s: the first call goes through whole, the second finds nothing left.
    let server = Server::start(&["--max-audio-per-caller", "4"]);
    hears_the_demo(&server).await;
    let mut client = server.client().await;
    let status = client.vocode_stream(stream_request(floats(), &demo()));
    let status = status.await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(status.message().contains("--max-audio-per-caller"));
    let details = status.get_error_details();
    let delay = details.retry_info().unwrap().retry_delay.unwrap();
    assert!(delay.as_secs_f64() > 1.0, "{delay:?}");
    let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap();
    assert_eq!(pushback.to_str().unwrap(), delay.as_millis().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_a_megabyte_comes_back_nowhere() {
    let mut server = Server::start(&[]);
    let mut client = server.client().await;
    let name = || "n".repeat(1 << 20);
    let mut named: [SynthesisConfig; 4] = std::array::from_fn(|_| floats());
    named[0].model = name();
    named[1].mel_convention = name();
    let kind = Some(schedule::Kind::Name(name()));
    named[2].schedule = Some(Schedule { kind });
    named[3].solver = Some(proto::Solver {
        name: name(),
        eta: None,
        corrector: None,
    });
    for config in named {
        let request = stream_request(config, &demo());
        let status = client.vocode_stream(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().len() < 200 && status.details().len() < 500);
    }
    server.log_says("INVALID_ARGUMENT");
    assert!(server.log().len() < 10_000, "{} bytes", server.log().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_are_within_the_memory_budget() {
    let server = Server::start(&["--memory-budget", "20MiB", "--max-idle-seconds", "20"]);
    // About 1.4 MiB of audio each as floats, of which the transport takes 64 KiB.
    let channel = Endpoint::from_shared(format!("http://{}", server.address()))
        .unwrap()
        .initial_stream_window_size(65_535)
        .initial_connection_window_size(65_535)
        .connect()
        .await
        .unwrap();
    let request = || VocodeRequest {
        config: Some(floats()),
        mel: Some(wire_mel(&long(4))),
        request_id: String::new(),
    };
    let mut unread = Vec::new();
    let refused = loop {
        assert!(unread.len() < 40, "no end of memory");
        match raw(&channel, tokio_stream::once(request())).await {
            Ok(answer) => unread.push(answer),
            Err(status) => break status,
        }
    };
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert!(refused.message().contains("--memory-budget"), "{refused:?}");
    // Whoever reads nothing loses its connection, and what it held is free again.
    let began = Instant::now();
    let mut other = server.client().await;
    while let Err(status) = other.vocode(request()).await {
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert!(began.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let mut first = unread.remove(0).into_inner();
    let end = async { while first.next().await.is_some_and(|m| m.is_ok()) {} };
    tokio::time::timeout(Duration::from_secs(60), end)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused_by_name() {
    let server = Server::start(&["--no-reflection"]);
    let channel = server.channel().await;
    // The first field is a number where the method has a message.
    let mel = proto::Mel {
        n_mels: 80,
        ..proto::Mel::default()
    };
    let status = raw(&channel, tokio_stream::once(mel)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");

    let request = tonic::codegen::http::Request::builder()
        .method("POST")
        .uri(format!("http://{}{VOCODE}", server.address()))
        .header("content-type", "text/plain")
        .body(tonic::body::Body::empty())
        .unwrap();
    let mut service = channel.clone();
    std::future::poll_fn(|context| GrpcService::poll_ready(&mut service, context))
        .await
        .unwrap();
    let response = GrpcService::call(&mut service, request).await.unwrap();
    assert_eq!(response.status(), 415);

    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    let asked = tokio_stream::once(ServerReflectionRequest::default());
    let status = ServerReflectionClient::new(channel)
        .server_reflection_info(asked)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_with_too_much_metadata_is_refused_and_its_neighbours_go_on() {
    let server = Server::start(&[]);
    // One connection, as a proxy has for many callers.
    let channel = server.channel().await;
    let mut client = proto::vocoder_service_client::VocoderServiceClient::new(channel.clone());
    let (live, requests) = Live::new(floats());
    let neighbour = client.vocode_live(requests).await.unwrap().into_inner();
    live.send(piece(&demo(), 0..100)).await;
    let mut request = Request::new(GetInfoRequest {});
    let value = "v".repeat(70_000).parse().unwrap();
    request.metadata_mut().insert("x-trace", value);
    let status = client.get_info(request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(status.message().contains("bytes of metadata"), "{status:?}");
    live.send(piece(&demo(), 100..200)).await;
    drop(live);
    ending(neighbour).await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_unpacks_to_much_more_takes_no_memory() {
    use tonic::codec::CompressionEncoding;
    let server = Server::start(&["--memory-budget", "64MiB"]);
    let before = server.peak_bytes();
    let channels = futures_util::future::join_all((0..6).map(|_| server.channel())).await;
    let calls = channels.into_iter().map(|channel| async {
        let client = proto::vocoder_service_client::VocoderServiceClient::new(channel);
        let mut client = client.send_compressed(CompressionEncoding::Gzip);
        // A connection that has asked for something is not closed while the message is packed, which takes seconds.
        client.get_info(GetInfoRequest {}).await.unwrap();
        let mut request = stream_request(floats(), &demo());
        // A thousandth of it when it is packed.
        request.mel.as_mut().unwrap().data_f32le = vec![0; 32 << 20].into();
        client.vocode_stream(request).await.unwrap_err()
    });
    // Each packs on a thread of its own.
    for call in calls.map(tokio::spawn).collect::<Vec<_>>() {
        let status = call.await.unwrap();
        let is_refused = matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted);
        assert!(is_refused, "{status:?}");
    }
    let grown = server.peak_bytes() - before;
    assert!(grown < 96 << 20, "it took {grown} bytes");
    hears_the_demo(&server).await;
}

/// Answers what an HTTP/2 connection asks by itself, settings and pings, until the other end closes it.
fn answers_pings(socket: &mut TcpStream) -> std::io::Result<()> {
    let (settings, ping, acknowledged) = (4, 6, 1);
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")?;
    let mut pings = 0_u64;
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head)?;
        let mut body = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        socket.read_exact(&mut body)?;
        let (kind, flags) = (head[3], head[4]);
        if flags & acknowledged == 0 && (kind == settings || kind == ping) {
            body.truncate(if kind == ping { 8 } else { 0 });
            let answer = [0, 0, body.len() as u8, kind, acknowledged, 0, 0, 0, 0];
            socket.write_all(&[&answer[..], &body].concat())?;
        }
        // And asks for answers itself.
        pings += 1;
        let own = [0, 0, 8, ping, 0, 0, 0, 0, 0];
        socket.write_all(&[&own[..], &pings.to_be_bytes()].concat())?;
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_only_pings_is_closed() {
    let server = Server::start(&[]);
    let mut socket = TcpStream::connect(server.address()).unwrap();
    let patience = Some(Duration::from_secs(60));
    socket.set_read_timeout(patience).unwrap();
    let end = tokio::task::spawn_blocking(move || answers_pings(&mut socket));
    let end = end.await.unwrap().unwrap_err();
    assert_ne!(end.kind(), std::io::ErrorKind::WouldBlock, "it stays open");
    hears_the_demo(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stream_of_reflection_is_bounded() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_response};
    let server = Server::start(&[]);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(
            "vocode.v1.VocoderService".to_owned(),
        )),
    };
    let requests = tokio_stream::iter(std::iter::repeat_n(request, 100_000));
    let mut answers = ServerReflectionClient::new(server.channel().await)
        .server_reflection_info(requests)
        .await
        .unwrap()
        .into_inner();
    let mut bytes = 0;
    let end = loop {
        match answers.message().await {
            Ok(Some(answer)) => {
                use server_reflection_response::MessageResponse;
                if let Some(MessageResponse::FileDescriptorResponse(files)) =
                    answer.message_response
                {
                    bytes += files
                        .file_descriptor_proto
                        .iter()
                        .map(Vec::len)
                        .sum::<usize>();
                }
            }
            end => break end,
        }
    };
    assert!(
        end.is_err() && bytes > 0 && bytes < 5 << 20,
        "{bytes} {end:?}"
    );
    hears_the_demo(&server).await;
}
