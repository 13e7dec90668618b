//! What cannot be done is refused with a code, the field and the way out.

use std::time::{Duration, Instant};

use tonic::Code;
use tonic_types::StatusExt;
use vocode::proto::{
    BetaList, GetInfoRequest, Schedule, VocodeRequest, VocodeStreamRequest, schedule,
};

use super::server::Server;
use super::*;

/// The field that a status blames.
fn field(status: &Status) -> String {
    let details = status.get_error_details();
    details
        .bad_request()
        .map_or_else(String::new, |bad| bad.field_violations[0].field.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_met_names_its_field() {
    let server = Server::start(&[
        "--max-stream-frames",
        "400",
        "--max-message-bytes",
        "200000",
    ]);
    let mut client = server.client().await;
    type Change = fn(&mut VocodeStreamRequest);
    let cases: [(Change, Code, &str, &str); 16] = [
        (
            |r| r.mel.as_mut().unwrap().n_mels = 79,
            Code::InvalidArgument,
            "mel.n_mels",
            "80",
        ),
        (
            |r| r.mel.as_mut().unwrap().n_frames = 363,
            Code::InvalidArgument,
            "mel.data_f32le",
            "116480",
        ),
        (
            |r| r.mel.as_mut().unwrap().n_frames = 401,
            Code::OutOfRange,
            "mel.n_frames",
            "(Limits.max_stream_frames)",
        ),
        (|r| r.mel = None, Code::InvalidArgument, "mel", "no mel"),
        (
            |r| {
                r.mel = Some(wire_mel(
                    &Mel::new(ndarray::Array2::from_elem((80, 4), 60.0)).unwrap(),
                ))
            },
            Code::FailedPrecondition,
            "",
            "config.mel_convention",
        ),
        (
            |r| {
                r.mel = Some(wire_mel(
                    &Mel::new(ndarray::Array2::from_elem((80, 900), -3.0)).unwrap(),
                ))
            },
            Code::OutOfRange,
            "mel.data_f32le",
            "VocodeLive",
        ),
        (
            |r| r.config.as_mut().unwrap().model = "nobody".to_owned(),
            Code::NotFound,
            "",
            "default",
        ),
        (
            |r| r.config.as_mut().unwrap().sample_rate_hz = 7,
            Code::InvalidArgument,
            "config.sample_rate_hz",
            "1000",
        ),
        (
            |r| r.config.as_mut().unwrap().encoding = 99,
            Code::InvalidArgument,
            "config.encoding",
            "99",
        ),
        (
            |r| r.config.as_mut().unwrap().chunk_frames = 1 << 20,
            Code::InvalidArgument,
            "config.chunk_frames",
            "1048576",
        ),
        (
            |r| r.config.as_mut().unwrap().mel_convention = "wavenet".to_owned(),
            Code::InvalidArgument,
            "config.mel_convention",
            "tacotron2",
        ),
        (
            |r| r.config.as_mut().unwrap().mel_convention = "lmnt".to_owned(),
            Code::FailedPrecondition,
            "",
            "htk",
        ),
        (
            |r| {
                let betas = BetaList { values: vec![0.1] };
                r.config.as_mut().unwrap().schedule = Some(Schedule {
                    kind: Some(schedule::Kind::Betas(betas)),
                });
            },
            Code::InvalidArgument,
            "config.schedule",
            "flow",
        ),
        (
            |r| r.config.as_mut().unwrap().solver = Some(solver("ddim", None)),
            Code::InvalidArgument,
            "config.solver",
            "euler, heun",
        ),
        (
            |r| r.config.as_mut().unwrap().solver = Some(solver("heun", Some(0.5))),
            Code::InvalidArgument,
            "config.solver",
            "eta is a setting of the solver ddim",
        ),
        (
            |r| r.request_id = "x".repeat(1000),
            Code::InvalidArgument,
            "request_id",
            "128",
        ),
    ];
    for (number, (change, code, blamed, word)) in cases.into_iter().enumerate() {
        let mut request = stream_request(floats(), &demo());
        change(&mut request);
        let status = client.vocode_stream(request).await.unwrap_err();
        assert_eq!(
            (status.code(), field(&status).as_str()),
            (code, blamed),
            "case {number}: {status:?}"
        );
        assert!(
            status.message().contains(word),
            "case {number}: {}",
            status.message()
        );
    }
    // None of them took the server down or a place away.
    client.get_info(GetInfoRequest {}).await.unwrap();
    client
        .vocode_stream(stream_request(floats(), &demo()))
        .await
        .unwrap();
}

fn solver(name: &str, eta: Option<f64>) -> proto::Solver {
    proto::Solver {
        name: name.to_owned(),
        eta,
        corrector: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mel_too_long_for_one_answer_is_sent_elsewhere() {
    let server = Server::start(&["--max-unary-frames", "363"]);
    let request = VocodeRequest {
        config: None,
        mel: Some(wire_mel(&demo())),
        request_id: String::new(),
    };
    let status = server.client().await.vocode(request).await.unwrap_err();
    assert_eq!(
        (status.code(), field(&status).as_str()),
        (Code::OutOfRange, "mel.n_frames")
    );
    for word in ["364", "363", "(Limits.max_unary_frames)", "VocodeStream"] {
        assert!(
            status.message().contains(word),
            "{word}: {}",
            status.message()
        );
    }
}

/// Sends a config and these mels, and returns what breaks the call off.
async fn live_refused(server: &Server, mels: Vec<proto::Mel>) -> Status {
    let (live, requests) = Live::new(floats());
    for mel in mels {
        live.send(mel).await;
    }
    let answer = server.client().await.vocode_live(requests).await.unwrap();
    ending(answer.into_inner()).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_call_breaks_off_where_its_mel_goes_wrong() {
    let server = Server::start(&["--max-stream-frames", "200"]);
    let (good, mel) = (piece(&demo(), 0..100), demo());
    let broken = |value: f32| {
        let mut bytes = piece(&mel, 100..110).data_f32le.to_vec();
        bytes[(3 * 80 + 5) * 4..][..4].copy_from_slice(&value.to_le_bytes());
        proto::Mel {
            n_mels: 80,
            n_frames: 10,
            layout: 0,
            data_f32le: bytes.into(),
            ..proto::Mel::default()
        }
    };
    let status = live_refused(&server, vec![good.clone(), broken(f32::NAN)]).await;
    assert_eq!(
        (status.code(), field(&status).as_str()),
        (Code::InvalidArgument, "mel.data_f32le")
    );
    assert!(
        status.message().contains("frame 103, band 5"),
        "{}",
        status.message()
    );

    let status = live_refused(&server, vec![good.clone(), broken(1e6)]).await;
    assert_eq!(status.code(), Code::FailedPrecondition);
    let status = live_refused(
        &server,
        vec![
            good.clone(),
            proto::Mel {
                n_mels: 8,
                ..good.clone()
            },
        ],
    )
    .await;
    assert_eq!(
        (status.code(), field(&status).as_str()),
        (Code::InvalidArgument, "mel.n_mels")
    );
    let status = live_refused(&server, vec![good.clone(), good.clone(), broken(-3.0)]).await;
    assert_eq!(
        (status.code(), field(&status).as_str()),
        (Code::OutOfRange, "mel.n_frames")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_call_begins_with_its_config_and_has_one() {
    let server = Server::start(&[]);
    let message = |message| VocodeLiveRequest {
        message: Some(message),
        request_id: String::new(),
    };
    let (config, mel) = (
        message(Message::Config(floats())),
        message(Message::Mel(piece(&demo(), 0..9))),
    );
    let empty = VocodeLiveRequest::default();
    let cases = [
        (vec![mel.clone()], "config", "first request"),
        (vec![], "config", "before its config"),
        (vec![config.clone(), config.clone()], "config", "once"),
        (vec![config, empty], "mel", "must hold a mel"),
    ];
    for (requests, blamed, word) in cases {
        let requests = tokio_stream::iter(requests);
        let answer = server.client().await.vocode_live(requests).await.unwrap();
        let status = ending(answer.into_inner()).await.unwrap_err();
        assert_eq!(
            (status.code(), field(&status).as_str()),
            (Code::InvalidArgument, blamed)
        );
        assert!(status.message().contains(word), "{}", status.message());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_holds_for_the_whole_stream() {
    let server = Server::start(&["--max-call-seconds", "2"]);
    for (asked, word) in [(Some(300), "own deadline"), (None, "--max-call-seconds")] {
        let (live, mut requests) = Live::new(floats());
        live.send(piece(&demo(), 0..60)).await;
        // A header that only the server hears of: tonic's client would give up by itself.
        if let Some(asked) = asked {
            let timeout = format!("{asked}m").parse().unwrap();
            requests.metadata_mut().insert("grpc-timeout", timeout);
        }
        let began = Instant::now();
        let answer = server.client().await.vocode_live(requests).await.unwrap();
        let status = ending(answer.into_inner()).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        assert!(status.message().contains(word), "{}", status.message());
        assert!(began.elapsed() >= Duration::from_millis(asked.unwrap_or(2_000)));
        drop(live);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_does_nothing_gives_up_its_place() {
    let mut server = Server::start(&[
        "--max-streams",
        "1",
        "--max-idle-seconds",
        "1",
        "--max-message-bytes",
        "16777216",
    ]);
    let mut client = server.client().await;
    let (silent, requests) = Live::new(floats());
    let answer = client.vocode_live(requests).await.unwrap();
    let status = ending(answer.into_inner()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert!(
        status
            .message()
            .contains("has sent nothing for 1 s (--max-idle-seconds)")
    );
    drop(silent);

    // More than the transport holds, and nobody reads it.
    let long = ndarray::concatenate(Axis(1), &[demo().view(); 60]).unwrap();
    let long = stream_request(floats(), &Mel::new(long).unwrap());
    let unread = client.vocode_stream(long).await.unwrap();
    server.log_says("has not taken its audio for 1 s (--max-idle-seconds)");
    client
        .vocode_stream(stream_request(floats(), &demo()))
        .await
        .unwrap();
    drop(unread);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_caller_that_brings_a_frame_now_and_then_gives_up_its_place() {
    let server = Server::start(&["--max-idle-seconds", "2"]);
    let (live, requests) = Live::new(floats());
    let mut client = server.client().await;
    let answer = client.vocode_live(requests).await.unwrap();
    let trickle = async {
        let mut frame = 0;
        while live.send(piece(&demo(), frame..frame + 1)).await {
            frame += 1;
            assert!(frame < 364, "it goes on for ever");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    let (end, ()) = tokio::join!(ending(answer.into_inner()), trickle);
    let status = end.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert!(status.message().contains("hardly any mel"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_too_many_is_told_when_to_come_back() {
    let mut server = Server::start(&["--max-streams", "1"]);
    let mut client = server.client().await;
    let long = ndarray::concatenate(Axis(1), &[demo().view(); 10]).unwrap();
    let long = stream_request(floats(), &Mel::new(long).unwrap());
    let mut answer = client.vocode_stream(long).await.unwrap().into_inner();
    answer.message().await.unwrap().unwrap();
    let request = || stream_request(floats(), &demo());
    let status = client.vocode_stream(request()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let details = status.get_error_details();
    assert!(details.retry_info().unwrap().retry_delay.is_some());
    client.get_info(GetInfoRequest {}).await.unwrap();

    // A client that goes away in the middle leaves its place.
    drop(answer);
    server.log_says("CANCELLED");
    client.vocode_stream(request()).await.unwrap();
}
