//! Calls of a server: `cargo bench --bench service`, about a minute.
//!
//! A server process of the bench's own on a free port. `idle` has it for itself; in `loaded` other listeners play in real time meanwhile.
//! `info` is the bare round trip, `first-audio` is from the call to its first chunk with the whole mel sent, `clip` the whole audio of
//! three seconds in one answer.

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Audio, Cases, bundle, few_runs, frames, mel, with_runtime};
use criterion::Criterion;
use tokio::runtime::Runtime as Tokio;
use vocode::client::{Client, ClientOptions, Event, TlsFiles};
use vocode::mel::Mel;
use vocode::proto::{AudioEncoding, SynthesisConfig};
use vocode::runtime::Runtime;

const SECONDS: usize = 3;
/// Streams that play beside the calls that are measured.
const OTHERS: usize = 8;

fn main() -> ExitCode {
    with_runtime(few_runs(), &[service])
}

/// A server that ends with the bench.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(runtime: &Runtime) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vocode"))
            .args(["serve", "--quiet", "--listen", "127.0.0.1:0"])
            .env("VOCODE_ORT_LIB", runtime.library())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output is a pipe"))
            .read_line(&mut line)
            .expect("it says where it listens");
        let address = line.trim_end().trim_start_matches("listening on ");
        Server {
            child,
            address: address.to_owned(),
        }
    }

    /// Connects, and waits while the model is loaded.
    async fn client(&self) -> Client {
        let options = ClientOptions::default()
            .address(self.address.clone())
            .api_key(None)
            .tls(TlsFiles::default());
        let mut client = Client::connect(&options)
            .await
            .expect("the server is there");
        for _ in 0..600 {
            if client.info().await.is_ok() {
                return client;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server does not load its model: run `vocode serve` to see why");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn config() -> SynthesisConfig {
    SynthesisConfig {
        encoding: AudioEncoding::PcmF32le.into(),
        ..SynthesisConfig::default()
    }
}

fn service(criterion: &mut Criterion, runtime: &Runtime) {
    let manifest = bundle().manifest;
    let mel = Arc::new(mel(frames(SECONDS, &manifest)));
    let audio = Audio::of(mel.frames(), &manifest);
    let server = Server::start(runtime);
    let tokio = Tokio::new().expect("threads can be started");
    let client = tokio.block_on(server.client());
    let mut cases = Cases::new(criterion, "service");
    calls(&mut cases, &tokio, "idle", &client, &mel, audio);
    let others: Vec<_> = (0..OTHERS)
        .map(|_| tokio.spawn(play(client.clone(), mel.clone())))
        .collect();
    let name = format!("loaded={OTHERS}");
    calls(&mut cases, &tokio, &name, &client, &mel, audio);
    others.iter().for_each(|other| other.abort());
}

fn calls(
    cases: &mut Cases<'_>,
    tokio: &Tokio,
    name: &str,
    client: &Client,
    mel: &Mel,
    audio: Audio,
) {
    let mut client = client.clone();
    cases.plain(&format!("{name}/info"), || {
        tokio.block_on(client.info()).expect("the server answers");
    });
    cases.timed(&format!("{name}/first-audio"), |count| {
        (0..count)
            .map(|_| tokio.block_on(first_audio(&client, mel)))
            .sum()
    });
    cases.audio(&format!("{name}/clip"), audio, || {
        let answer = tokio.block_on(client.vocode(config(), mel));
        answer.expect("the server answers");
    });
}

async fn first_audio(client: &Client, mel: &Mel) -> Duration {
    let mut client = client.clone();
    let called = Instant::now();
    let stream = client.stream(config(), mel).await;
    let mut events = stream.expect("the server answers");
    loop {
        let event = events.next().await.expect("there is audio");
        if let Event::Chunk(_) = event.expect("the call goes on") {
            return called.elapsed();
        }
    }
}

/// Plays the mel again and again, in real time.
async fn play(mut client: Client, mel: Arc<Mel>) {
    loop {
        let stream = client.stream(config(), &mel).await;
        let mut events = stream.expect("the server answers");
        let (mut began, mut rate) = (None, 1.0);
        while let Some(event) = events.next().await {
            match event.expect("the call goes on") {
                Event::Header(header) => rate = f64::from(header.sample_rate_hz),
                Event::Chunk(chunk) => {
                    let began = *began.get_or_insert_with(Instant::now);
                    let due = began + Duration::from_secs_f64(chunk.start_sample as f64 / rate);
                    tokio::time::sleep_until(due.into()).await;
                }
                Event::Summary(_) => {}
            }
        }
    }
}
