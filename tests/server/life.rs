//! How a server is set up, watched and stopped.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use vocode::client::ClientOptions;
use vocode::proto::GetInfoRequest;

use super::server::Server;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_asked_to_stop_lets_its_calls_end() {
    let mut server = Server::start(&[]);
    let mut client = server.client().await;
    let mut health = HealthClient::new(server.channel().await);
    let check = HealthCheckRequest {
        service: String::new(),
    };
    let status = health
        .check(check.clone())
        .await
        .unwrap()
        .into_inner()
        .status();
    assert_eq!(status, ServingStatus::Serving);

    let (live, requests) = Live::new(floats());
    let answer = client.vocode_live(requests).await.unwrap().into_inner();
    live.send(piece(&demo(), 0..100)).await;
    server.signal("TERM");
    server.log_says("stopping");
    let status = health.check(check).await.unwrap().into_inner().status();
    assert_eq!(status, ServingStatus::NotServing);
    let refused = client.get_info(GetInfoRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);

    live.send(piece(&demo(), 100..200)).await;
    drop(live);
    ending(answer).await.unwrap();
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_do_not_end_are_ended() {
    let mut server = Server::start(&["--grace-seconds", "1"]);
    let (live, requests) = Live::new(floats());
    let answer = server
        .client()
        .await
        .vocode_live(requests)
        .await
        .unwrap()
        .into_inner();
    live.send(piece(&demo(), 0..100)).await;
    server.signal("TERM");
    let status = ending(answer).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_beats_a_variable_and_a_variable_beats_the_file() {
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(file.path(), "max-streams = 2\nmax-unary-frames = 2\nmax-stream-frames = 2\nmodel = \"mine=models/default\"\n").unwrap();
    let variables = [
        ("VOCODE_CONFIG", file.path().to_str().unwrap()),
        ("VOCODE_MAX_STREAMS", "3"),
        ("VOCODE_MAX_UNARY_FRAMES", "3"),
    ];
    let server = Server::start_with(&["--max-streams", "4"], &variables);
    let info = server
        .client()
        .await
        .get_info(GetInfoRequest {})
        .await
        .unwrap()
        .into_inner();
    let limits = info.limits.unwrap();
    assert_eq!(
        (
            limits.max_streams,
            limits.max_unary_frames,
            limits.max_stream_frames
        ),
        (4, 3, 2)
    );
    assert_eq!(info.models[0].name, "mine");
}

/// An address that nobody has, though somebody may take it.
pub(super) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

fn read_metrics(address: &str) -> String {
    let mut page = String::new();
    let mut socket = TcpStream::connect(address).unwrap();
    socket
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    socket.read_to_string(&mut page).unwrap();
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_and_logged() {
    let metrics = free_address();
    let mut server = Server::start(&["--metrics", &metrics, "--log-format", "json"]);
    let mut client = server.client().await;
    let answer = client
        .vocode_stream(stream_request(floats(), &demo()))
        .await
        .unwrap();
    let mut answer = answer.into_inner();
    while answer.message().await.unwrap().is_some() {}
    let mut unknown = floats();
    unknown.model = "nobody".to_owned();
    client
        .vocode_stream(stream_request(unknown, &demo()))
        .await
        .unwrap_err();
    server.log_says("NOT_FOUND");

    // The model's thread writes a stream down after its last sample has left.
    let mut page = read_metrics(&metrics);
    for _ in 0..100 {
        if page.contains("vocode_first_audio_seconds_count") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        page = read_metrics(&metrics);
    }
    for line in [
        "vocode_requests_total{method=\"VocodeStream\",code=\"OK\"} 1",
        "vocode_requests_total{method=\"VocodeStream\",code=\"NOT_FOUND\"} 1",
        "vocode_first_audio_seconds_count{model=\"default\"} 1",
        "vocode_active_streams{model=\"default\"}",
        "vocode_model_nodes{model=\"default\",provider=\"CPUExecutionProvider\"}",
    ] {
        assert!(page.contains(line), "{line} is not in: {page}");
    }

    let log = server.log();
    let line = log.lines().find(|line| line.contains("\"OK\"")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(
        (&line["frames"], &line["samples"]),
        (&364.into(), &(364 * 256).into())
    );
    assert_eq!(
        (&line["span"]["method"], &line["span"]["request_id"]),
        (&"VocodeStream".into(), &"a-test".into())
    );
    assert!(line["first_audio_ms"].as_u64() <= line["total_ms"].as_u64());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_serves_and_goes_with_its_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocode.sock");
    let listen = format!("unix:{}", path.display());
    // A server that was killed leaves its socket.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut server = Server::start(&["--listen", &listen]);
    assert_eq!(server.address(), listen);
    server
        .client()
        .await
        .get_info(GetInfoRequest {})
        .await
        .unwrap();

    let second = super::server::command(&["--listen", &listen], &[])
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another program has it"));
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(!path.exists());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_has_the_mode_that_is_asked_for() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocode.sock");
    let listen = format!("unix:{}", path.display());
    let server = Server::start(&["--listen", &listen, "--socket-mode", "606"]);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o606);
    let mut client = server.client().await;
    client.get_info(GetInfoRequest {}).await.unwrap();
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "something is left beside the socket");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_too_many_is_closed_and_others_go_on() {
    let mut server = Server::start(&["--max-connections", "2"]);
    let mut client = server.client().await;
    client.get_info(GetInfoRequest {}).await.unwrap();
    // A silent one would make room; those with calls do not.
    let (_first, requests) = Live::new(floats());
    let _held = client.vocode_live(requests).await.unwrap();
    let (_second, requests) = Live::new(floats());
    let held = server.client().await.vocode_live(requests).await.unwrap();
    let mut third = TcpStream::connect(server.address()).unwrap();
    assert_eq!(third.read(&mut [0]).unwrap_or(0), 0);
    server.log_says("--max-connections");
    drop(held);
    client.get_info(GetInfoRequest {}).await.unwrap();
}

/// A limit on processes, as `ulimit -u` sets it and containers do.
#[cfg(target_os = "linux")]
#[test]
fn a_limit_on_processes_is_told_of() {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    let run = |limit: &str, flags: &[&str]| {
        let mut command = Command::new("prlimit");
        command
            .arg(limit)
            .arg(env!("CARGO_BIN_EXE_vocode"))
            .args(flags);
        // The system gives its administrator whatever he asks for.
        if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            command.uid(60_606);
        }
        command.output()
    };
    if !run("--nproc=64", &["--version"]).is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: there is no prlimit, or the program cannot be run by another user");
        return;
    }
    // The last one has enough for the program, and not for the model.
    let cases: [(&str, &[&str]); 4] = [
        ("--nproc=2", &["serve", "--check"]),
        (
            "--nproc=2",
            &["load", "models/demo/demo.npy", "--addr", "127.0.0.1:1"],
        ),
        ("--nproc=2", &["schedules"]),
        (
            "--nproc=16",
            &["models/demo/demo.npy", "-o", "-", "--threads", "32"],
        ),
    ];
    for (limit, flags) in cases {
        let output = run(limit, flags).unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{flags:?}: {said}");
        assert!(said.contains("gives no more threads"), "{flags:?}: {said}");
        assert!(!said.contains("panicked"), "{flags:?}: {said}");
    }
}

/// What a port says to one line.
fn asks(address: &str, line: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    write!(socket, "{line} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn the_port_for_watchers_answers_beside_those_who_only_connect() {
    let port = free_address();
    let mut server = Server::start(&["--metrics", &port]);
    let idle: Vec<TcpStream> = (0..300)
        .map(|_| TcpStream::connect(&port).unwrap())
        .collect();
    assert!(asks(&port, "GET /ready").starts_with("HTTP/1.1 200 OK"));
    assert!(asks(&port, "GET /health").ends_with("ready\n"));
    assert!(asks(&port, "GET /other").starts_with("HTTP/1.1 404"));
    assert!(asks(&port, "POST /metrics").starts_with("HTTP/1.1 405"));
    assert!(server.open_files() < 150, "{} files", server.open_files());
    drop(idle);

    let (live, requests) = Live::new(floats());
    let answer = server.client().await.vocode_live(requests).await.unwrap();
    live.send(piece(&demo(), 0..100)).await;
    server.signal("TERM");
    server.log_says("stopping");
    assert!(asks(&port, "GET /ready").starts_with("HTTP/1.1 503"));
    assert!(asks(&port, "GET /health").starts_with("HTTP/1.1 200"));
    drop(live);
    ending(answer.into_inner()).await.unwrap();
    assert_eq!(server.wait().code(), Some(0));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_stops_nothing() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    let mut child = super::server::command(&[], &[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    let address = line.trim_end().trim_start_matches("listening on ");
    let mut client = loop {
        let url = format!("http://{address}");
        let mut client = proto::vocoder_service_client::VocoderServiceClient::connect(url)
            .await
            .unwrap();
        if client.get_info(GetInfoRequest {}).await.is_ok() {
            break client;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    // More lines than a pipe and the queue of the log hold.
    for _ in 0..6000 {
        client.get_info(GetInfoRequest {}).await.unwrap();
    }
    let id = child.id().to_string();
    let kill = std::process::Command::new("kill").arg(id).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_drains_goes_on_serving_until_its_callers_know() {
    let metrics = free_address();
    let flags = ["--drain-delay", "60", "--metrics", &metrics];
    let mut server = Server::start(&flags);
    let mut old = server.client().await;
    let (live, requests) = Live::new(floats());
    let answer = old.vocode_live(requests).await.unwrap().into_inner();
    live.send(piece(&demo(), 0..100)).await;
    server.signal("TERM");
    server.log_says("stopping");

    let status = HealthClient::new(server.channel().await)
        .check(HealthCheckRequest::default())
        .await
        .unwrap();
    assert_eq!(status.into_inner().status(), ServingStatus::NotServing);
    let mut page = String::new();
    let mut socket = TcpStream::connect(&metrics).unwrap();
    socket
        .write_all(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    socket.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 503"), "{page}");
    // On the connection that was told to be left, which makes another one, and on a new one.
    for client in [&mut old, &mut server.client().await] {
        client.get_info(GetInfoRequest {}).await.unwrap();
        let request = stream_request(floats(), &demo());
        let mut answer = client.vocode_stream(request).await.unwrap().into_inner();
        while answer.message().await.unwrap().is_some() {}
    }
    live.send(piece(&demo(), 100..200)).await;
    drop(live);
    ending(answer).await.unwrap();
    // Nobody has to wait for the rest of the minute.
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_connection_is_left_once_its_calls_have_ended() {
    let server = Server::start(&["--max-connection-age", "1"]);
    let mut client = server.client().await;
    let (live, requests) = Live::new(floats());
    let answer = client.vocode_live(requests).await.unwrap().into_inner();
    let options = ClientOptions::default().address(server.address().to_owned());
    let mut others = vocode::client::Client::connect(&options).await.unwrap();
    let began = std::time::Instant::now();
    // Calls under way go on over the age, and new ones find a new connection.
    while began.elapsed().as_secs_f64() < 2.5 {
        live.send(piece(&demo(), 0..10)).await;
        others.info().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    drop(live);
    ending(answer).await.unwrap();
}
