//! The service over HTTP: the audio, the words and the limits are those of gRPC.

use std::net::TcpStream;

use serde_json::{Value, json};
use vocode::audio::{DecodeLimits, DecodedAudio, decode};
use vocode::mel::{MelConvention, analyse};
use vocode::proto::{Schedule, VocodeStreamRequest, schedule};

use super::http::{Answer, ask, send};
use super::server::{Server, address_of, command};
use super::*;

const FREE: [&str; 2] = ["--http", "127.0.0.1:0"];

fn start(flags: &[&str]) -> Server {
    Server::start(&[&FREE, flags].concat())
}

fn demo_bytes() -> Vec<u8> {
    std::fs::read("models/demo/demo.npy").unwrap()
}

/// `POST /v1/vocode?QUERY` of the demo.
fn vocode(server: &Server, query: &str, headers: &[(&str, &str)]) -> Answer {
    let line = format!("POST /v1/vocode?{query}");
    ask(server.http(), &line, headers, &demo_bytes())
}

fn decoded(answer: &Answer) -> DecodedAudio {
    decode(answer.body.clone(), None, &DecodeLimits::default()).unwrap()
}

/// The status, the code and the words of a problem, which must be one.
fn problem(answer: &Answer) -> (u16, String, String) {
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{}",
        answer.text()
    );
    let document = answer.json();
    assert_eq!(document["status"], answer.status);
    let text = |name: &str| document[name].as_str().unwrap().to_owned();
    (answer.status, text("code"), text("detail"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audio_is_that_of_the_service_in_every_encoding() {
    let server = start(&[]);
    let wav = vocode(&server, "", &[]);
    assert_eq!(wav.status, 200, "{}", wav.text());
    assert!(wav.is_whole && wav.pieces > 2, "{} pieces", wav.pieces);
    let size = u32::from_le_bytes(wav.body[4..8].try_into().unwrap());
    assert_eq!(
        size as usize + 8,
        wav.body.len(),
        "the length in the header"
    );
    let told = [
        "content-type",
        "vocode-sample-rate",
        "vocode-steps",
        "vocode-encoding",
    ];
    let told = told.map(|name| wav.header(name));
    assert_eq!(told, ["audio/wav", "22050", "4", "wav_s16"]);
    assert_eq!(
        wav.header("vocode-total-samples"),
        reference().len().to_string()
    );
    let flac = vocode(&server, "", &[("accept", "audio/flac, */*;q=0.1")]);
    assert_eq!(flac.header("content-type"), "audio/flac");
    for (what, answer) in [
        ("WAV", &wav),
        ("FLAC", &flac),
        ("float", &vocode(&server, "encoding=wav_f32", &[])),
    ] {
        let worst = difference(&decoded(answer).samples, reference());
        assert!(worst < 1e-4, "{what}: {worst}");
    }
    let opus = vocode(&server, "", &[("accept", "audio/ogg")]);
    assert_eq!(opus.header("content-type"), "audio/ogg");
    let sound = decoded(&opus);
    assert!(sound.warnings.is_empty(), "{:?}", sound.warnings);
    assert_eq!(
        sound.samples.len(),
        vocode::audio::resampled_len(reference().len(), 22_050, 48_000)
    );
    let raw = vocode(&server, "encoding=pcm_f32le", &[("accept", "audio/flac")]);
    let worst = difference(&samples(&raw.body), reference());
    assert!(worst < 1e-4, "raw: {worst}");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_do_what_they_do_in_a_config() {
    let server = start(&[]);
    let config = SynthesisConfig {
        schedule: Some(Schedule {
            kind: Some(schedule::Kind::Steps(2)),
        }),
        seed: Some(7),
        sample_rate_hz: 16_000,
        mel_convention: "tacotron2".to_owned(),
        ..floats()
    };
    let request = VocodeStreamRequest {
        config: Some(config),
        mel: Some(wire_mel(&demo())),
        request_id: "a-test".to_owned(),
    };
    let mut answer = server
        .client()
        .await
        .vocode_stream(request)
        .await
        .unwrap()
        .into_inner();
    let mut expected = Vec::new();
    while let Some(response) = answer.message().await.unwrap() {
        if let Some(proto::vocode_stream_response::Event::Chunk(chunk)) = response.event {
            expected.extend(samples(&chunk.audio));
        }
    }
    let query = "steps=2&seed=7&sample_rate_hz=16000&mel_convention=tacotron2&encoding=pcm_f32le&request_id=a-test";
    let answer = vocode(&server, query, &[]);
    let worst = difference(&samples(&answer.body), &expected);
    assert!(worst < 1e-4, "{worst}");
    let told = [
        "vocode-steps",
        "vocode-seed",
        "vocode-sample-rate",
        "vocode-request-id",
    ];
    assert_eq!(
        told.map(|name| answer.header(name)),
        ["2", "7", "16000", "a-test"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_met_has_the_words_of_grpc() {
    let server = start(&["--max-stream-frames", "400"]);
    type Change = fn(&mut VocodeStreamRequest);
    let cases: [(&str, Change, u16, Value); 6] = [
        (
            "sample_rate_hz=7",
            |r| r.config.as_mut().unwrap().sample_rate_hz = 7,
            400,
            json!("sample_rate_hz"),
        ),
        (
            "mel_convention=wavenet",
            |r| r.config.as_mut().unwrap().mel_convention = "wavenet".to_owned(),
            400,
            json!("mel_convention"),
        ),
        (
            "mel_convention=lmnt",
            |r| r.config.as_mut().unwrap().mel_convention = "lmnt".to_owned(),
            400,
            Value::Null,
        ),
        (
            "model=nobody",
            |r| r.config.as_mut().unwrap().model = "nobody".to_owned(),
            404,
            Value::Null,
        ),
        (
            "schedule=slow",
            |r| {
                let kind = Some(schedule::Kind::Name("slow".to_owned()));
                r.config.as_mut().unwrap().schedule = Some(Schedule { kind });
            },
            400,
            json!("schedule"),
        ),
        (
            "steps=400",
            |r| {
                let kind = Some(schedule::Kind::Steps(400));
                r.config.as_mut().unwrap().schedule = Some(Schedule { kind });
            },
            400,
            json!("schedule"),
        ),
    ];
    let mut client = server.client().await;
    for (query, change, status, parameter) in cases {
        let mut request = stream_request(floats(), &demo());
        change(&mut request);
        let expected = client.vocode_stream(request).await.unwrap_err();
        let answer = vocode(&server, query, &[]);
        let (found, _, words) = problem(&answer);
        assert_eq!(
            (found, words.as_str()),
            (status, expected.message()),
            "{query}"
        );
        assert_eq!(answer.json()["errors"][0]["name"], parameter, "{query}");
    }
    let long = vec![-3.0; 80 * 401];
    let mut file = Vec::new();
    let long = Mel::new(ndarray::Array2::from_shape_vec((80, 401), long).unwrap()).unwrap();
    vocode::mel::write_npy(&mut file, &long).unwrap();
    let (status, code, words) = problem(&ask(server.http(), "POST /v1/vocode", &[], &file));
    assert_eq!((status, code.as_str()), (400, "OUT_OF_RANGE"));
    assert!(words.contains("(Limits.max_stream_frames)"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_such_request_is_told_the_way_out() {
    let server = start(&["--max-message-bytes", "200000"]);
    let large = vec![0; 200_001];
    let demo = demo_bytes();
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], u16, &'a str);
    let form = [("content-type", "multipart/form-data; boundary=x")];
    let cases: [Case; 12] = [
        (
            "POST /v1/vocode",
            &[],
            b"",
            400,
            "send the bytes of a .npy file",
        ),
        (
            "POST /v1/vocode",
            &[],
            b"fLaC and more",
            400,
            "a FLAC audio file",
        ),
        (
            "POST /v1/vocode?stepz=2",
            &[],
            &demo,
            400,
            "no parameter `stepz`; there is model, steps",
        ),
        (
            "POST /v1/vocode?seed=x",
            &[],
            &demo,
            400,
            "`seed` is `x`: expected a whole number",
        ),
        (
            "POST /v1/vocode",
            &[],
            &large,
            413,
            "Limits.max_message_bytes",
        ),
        ("POST /v1/vocode", &form, &demo, 415, "--data-binary @FILE"),
        (
            "POST /v1/vocode",
            &[("accept", "text/html")],
            &demo,
            406,
            "audio/wav, audio/flac",
        ),
        (
            "POST /v1/vocode",
            &[("sec-fetch-site", "cross-site")],
            &demo,
            403,
            "another origin",
        ),
        (
            "POST /v1/vocode",
            &[("origin", "http://evil.example")],
            &demo,
            403,
            "another origin",
        ),
        ("GET /v1/vocode", &[], b"", 405, "takes POST"),
        ("GET /v2", &[], b"", 404, "/v1/vocode, /v1/mel, /v1/info"),
        ("POST /v1/mel", &[], b"no sound", 400, "audio"),
    ];
    for (line, headers, body, status, word) in cases {
        let (found, _, words) = problem(&ask(server.http(), line, headers, body));
        assert_eq!(found, status, "{line}: {words}");
        assert!(words.contains(word), "{line}: {words}");
    }
    // A body without a length is counted as it comes.
    let chunked = [b"30d41\r\n".as_slice(), &large, b"\r\n0\r\n\r\n"].concat();
    let stream = TcpStream::connect(server.http()).unwrap();
    let headers = [("transfer-encoding", "chunked")];
    let answer = http_unframed(stream, &headers, &chunked);
    assert_eq!(problem(&answer).0, 413);
    assert_eq!(vocode(&server, "", &[]).status, 200);
}

/// Sends a body that frames itself.
fn http_unframed(mut stream: TcpStream, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    use std::io::Write;
    let mut head =
        "POST /v1/vocode HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n".to_owned();
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    let _ = stream.write_all(body);
    let stream = std::io::Cursor::new({
        use std::io::Read;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    });
    super::http::received(stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_becomes_the_mel_that_the_program_makes() {
    let server = start(&[]);
    let recording = std::fs::read("models/demo/demo.flac").unwrap();
    let answer = ask(server.http(), "POST /v1/mel", &[], &recording);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let found = read_npy(
        &answer.body[..],
        Some(80),
        Layout::Auto,
        &NpyLimits::default(),
    )
    .unwrap();
    let clip = decode(recording, None, &DecodeLimits::default()).unwrap();
    let expected = analyse(&clip.samples, &MelConvention::named("hifigan").unwrap()).unwrap();
    assert!(found == expected);
    let short = start(&["--max-unary-frames", "100"]);
    let recording = std::fs::read("models/demo/demo.flac").unwrap();
    let (status, _, words) = problem(&ask(short.http(), "POST /v1/mel", &[], &recording));
    assert_eq!(status, 400, "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_asked_for_and_what_is_open_stays_open() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "a-key\n").unwrap();
    let server = start(&["--api-keys", file.path().to_str().unwrap()]);
    let address = server.http();
    for line in ["POST /v1/vocode", "POST /v1/mel", "GET /v1/info"] {
        let body = if line.starts_with("POST") {
            demo_bytes()
        } else {
            Vec::new()
        };
        let answer = ask(address, line, &[("authorization", "Bearer no-key")], &body);
        let (status, code, words) = problem(&answer);
        assert_eq!((status, code.as_str()), (401, "UNAUTHENTICATED"), "{line}");
        assert!(words.contains("the API key is unknown"), "{words}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    let key = [("authorization", "Bearer a-key")];
    assert_eq!(vocode(&server, "", &key).status, 200);
    assert_eq!(
        ask(address, "GET /v1/info", &key, b"").json()["models"][0]["name"],
        "default"
    );
    for path in ["/", "/health", "/ready", "/openapi.json", "/page/page.js"] {
        assert_eq!(
            ask(address, &format!("GET {path}"), &[], b"").status,
            200,
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_says_when_it_is_not_ready_yet_and_when_no_more() {
    // Long enough to load for a question in between.
    let models: Vec<String> = (0..6).map(|n| format!("m{n}=models/default")).collect();
    let mut flags = FREE.to_vec();
    flags.extend(models.iter().flat_map(|model| ["--model", model]));
    let mut child = command(&flags, &[])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let address = address_of(&lines.nth(1).unwrap().unwrap());
    let ready = ask(&address, "GET /ready", &[], b"");
    assert_eq!((ready.status, ready.text().as_str()), (503, "starting\n"));
    assert_eq!(ask(&address, "GET /health", &[], b"").status, 200);
    let (status, code, words) = problem(&ask(&address, "POST /v1/vocode", &[], &demo_bytes()));
    assert_eq!((status, code.as_str()), (503, "UNAVAILABLE"));
    assert!(words.contains("being loaded"), "{words}");
    child.kill().unwrap();
    child.wait().unwrap();

    let mut server = start(&[]);
    assert_eq!(ask(server.http(), "GET /ready", &[], b"").status, 200);
    // A live call keeps the server draining.
    let (live, requests) = Live::new(floats());
    let answer = server
        .client()
        .await
        .vocode_live(requests)
        .await
        .unwrap()
        .into_inner();
    live.send(piece(&demo(), 0..100)).await;
    // And so does one that is not yet read to its end.
    let stream = TcpStream::connect(server.http()).unwrap();
    let mut sent = send(stream, "POST /v1/vocode", &[], &demo_bytes());
    assert_eq!(sent.head().status, 200);
    server.signal("TERM");
    server.log_says("stopping");
    let ready = ask(server.http(), "GET /ready", &[], b"");
    assert_eq!((ready.status, ready.text().as_str()), (503, "stopping\n"));
    assert_eq!(
        problem(&vocode(&server, "", &[])).2,
        "the server is stopping"
    );
    while sent.piece().is_some_and(|piece| !piece.is_empty()) {}
    drop(live);
    ending(answer).await.unwrap();
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_gives_up_its_place() {
    let mut server = start(&["--max-streams", "1", "--max-steps", "16"]);
    let long = super::attacks::long(10);
    let mut file = Vec::new();
    vocode::mel::write_npy(&mut file, &long).unwrap();
    let stream = TcpStream::connect(server.http()).unwrap();
    let mut sent = send(stream, "POST /v1/vocode?steps=4", &[], &file);
    assert_eq!(sent.head().status, 200);
    assert!(sent.piece().is_some());
    let (status, code, words) = problem(&vocode(&server, "", &[]));
    assert_eq!(
        (status, code.as_str()),
        (429, "RESOURCE_EXHAUSTED"),
        "{words}"
    );
    drop(sent);
    server.log_says("CANCELLED");
    // The place is free again once the call of the model that it was in has ended.
    let taken = (0..600).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        vocode(&server, "", &[]).status == 200
    });
    assert!(taken, "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stands_still_loses_its_place_and_its_connection() {
    let mut server = start(&["--max-idle-seconds", "1"]);
    let mut file = Vec::new();
    vocode::mel::write_npy(&mut file, &super::attacks::long(6)).unwrap();
    let stream = TcpStream::connect(server.http()).unwrap();
    // More than what sockets take by themselves.
    let line = "POST /v1/vocode?steps=1&encoding=pcm_f32le&sample_rate_hz=384000";
    let sent = send(stream, line, &[], &file);
    server.log_says("has not taken its audio");
    server.log_says("a connection was closed");
    assert!(!sent.answer().is_whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_caller_has_its_share_of_recordings_too() {
    use std::io::Write;
    let server = start(&["--max-streams-per-caller", "1"]);
    // A recording that does not come.
    let mut waiting = TcpStream::connect(server.http()).unwrap();
    let head = "POST /v1/mel HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n";
    waiting.write_all(head.as_bytes()).unwrap();
    // The server asks for the body once it has let the call in.
    let mut asked = [0; 12];
    std::io::Read::read_exact(&mut waiting, &mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");
    for line in ["POST /v1/mel", "POST /v1/vocode"] {
        let (status, _, words) = problem(&ask(server.http(), line, &[], &demo_bytes()));
        assert_eq!(status, 429, "{line}: {words}");
        assert!(words.contains("--max-streams-per-caller"), "{words}");
    }
    drop(waiting);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_with_the_others_and_logged() {
    let metrics = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut server = start(&["--metrics", &metrics.to_string(), "--log-format", "json"]);
    assert_eq!(vocode(&server, "request_id=a-name", &[]).status, 200);
    assert_eq!(vocode(&server, "seed=x", &[]).status, 400);
    let text = ask(&metrics.to_string(), "GET /metrics", &[], b"").text();
    for code in ["OK", "INVALID_ARGUMENT"] {
        let line = format!("vocode_requests_total{{method=\"POST /v1/vocode\",code=\"{code}\"}} 1");
        assert!(text.contains(&line), "{line} in {text}");
    }
    server.log_says("a-name");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_what_the_handlers_take() {
    let server = start(&[]);
    // As little work as shows what is taken.
    let mut mel = Vec::new();
    vocode::mel::write_npy(
        &mut mel,
        &Mel::new(
            demo()
                .view()
                .slice_axis(Axis(1), (100..140).into())
                .to_owned(),
        )
        .unwrap(),
    )
    .unwrap();
    let short = |query: &str, headers: &[(&str, &str)]| {
        ask(
            server.http(),
            &format!("POST /v1/vocode?{query}"),
            headers,
            &mel,
        )
    };
    let description = ask(server.http(), "GET /openapi.json", &[], b"").json();
    assert_eq!(description["openapi"], "3.1.0");
    let written = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list
            .iter()
            .map(Value::to_string)
            .collect::<Vec<_>>()
            .join(","),
        other => other.to_string(),
    };
    let parameters = description["paths"]["/v1/vocode"]["post"]["parameters"]
        .as_array()
        .unwrap();
    assert!(parameters.len() > 15);
    for parameter in parameters {
        let name = parameter["name"].as_str().unwrap();
        if let Some(example) = parameter.get("example") {
            let answer = short(&format!("{name}={}", written(example)), &[]);
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        }
        // What is no value of its kind is refused under its own name.
        let kind = parameter["schema"]["type"].as_str().unwrap();
        if kind != "string" || parameter["schema"].get("enum").is_some() {
            let answer = short(&format!("{name}=nonsense"), &[]);
            assert_eq!(problem(&answer).0, 400, "{name}");
            assert_eq!(answer.json()["errors"][0]["name"], name);
        }
        for value in parameter["schema"]["enum"].as_array().into_iter().flatten() {
            let answer = short(&format!("{name}={}", written(value)), &[]);
            let is_other_layout = value == "frames_first";
            assert_eq!(
                answer.status == 200,
                !is_other_layout,
                "{name}={value}: {}",
                answer.status
            );
        }
    }
    // Every path is there, with the verbs that stand in the description and no other.
    for (path, verbs) in description["paths"].as_object().unwrap() {
        for verb in ["get", "post"] {
            let line = format!("{} {path}", verb.to_uppercase());
            let answer = ask(server.http(), &line, &[], b"");
            assert_eq!(
                answer.status == 405,
                verbs.get(verb).is_none(),
                "{line}: {}",
                answer.status
            );
            assert_ne!(answer.status, 404, "{line}");
        }
    }
    // What an answer says in its head is described, and the other way round.
    let answer = short("watermark=true", &[]);
    let headers = description["paths"]["/v1/vocode"]["post"]["responses"]["200"]["headers"]
        .as_object()
        .unwrap();
    let mut described: Vec<String> = headers
        .keys()
        .map(|name| name.to_ascii_lowercase())
        .collect();
    described.retain(|name| name != "vocode-warning");
    described.sort();
    let told = answer.headers.iter().map(|(name, _)| name.clone());
    let mut told: Vec<String> = told.filter(|name| name.starts_with("vocode-")).collect();
    told.sort();
    assert_eq!(told, described);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_brings_nothing_from_elsewhere() {
    let server = start(&[]);
    let page = ask(server.http(), "GET /", &[], b"");
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'none'")
    );
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let text = page.text();
    let mut files: Vec<String> = text
        .split('"')
        .filter(|part| part.starts_with("/page/"))
        .map(str::to_owned)
        .collect();
    let main = ask(server.http(), "GET /page/page.js", &[], b"").text();
    files.extend(
        main.split('"')
            .filter_map(|part| part.strip_prefix("./"))
            .map(|name| format!("/page/{name}")),
    );
    assert!(files.len() > 8, "{files:?}");
    for file in files {
        let answer = ask(server.http(), &format!("GET {file}"), &[], b"");
        assert_eq!(answer.status, 200, "{file}");
        let text = answer.text().replace("http://www.w3.org/2000/svg", "");
        assert!(
            !text.contains("http://") && !text.contains("https://"),
            "{file}"
        );
    }
}
