//! A server of a test's own: the real program on a free port, ended with the test.

// Each test file uses a part of it.
#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tonic::transport::{Channel, Endpoint};
use vocode::proto::vocoder_service_client::VocoderServiceClient;

/// Longer than any machine takes to load a model or to end a call.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server that runs.
pub struct Server {
    child: Child,
    address: String,
    http: String,
    log: Arc<Mutex<String>>,
}

impl Server {
    /// `vocode serve FLAGS` on a free port; returns once the models are loaded.
    pub fn start(flags: &[&str]) -> Server {
        Server::start_with(flags, &[])
    }

    /// The same with variables in its environment.
    pub fn start_with(flags: &[&str], variables: &[(&str, &str)]) -> Server {
        let mut child = command(flags, variables)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, copy) = (
            BufReader::new(child.stderr.take().unwrap()).lines(),
            log.clone(),
        );
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                *copy.lock().unwrap() += &(line + "\n");
            }
        });
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let (mut line, mut page) = (String::new(), String::new());
        said.read_line(&mut line).unwrap();
        if flags.contains(&"--http") {
            said.read_line(&mut page).unwrap();
        }
        let address = line
            .trim_end()
            .strip_prefix("listening on ")
            .map(str::to_owned);
        let mut server = Server {
            child,
            address: address.clone().unwrap_or_default(),
            http: address_of(&page),
            log,
        };
        assert!(
            address.is_some(),
            "it said {line:?} and: {}",
            server.log_at_end()
        );
        server.log_says("ready");
        server
    }

    /// `HOST:PORT` or `unix:PATH`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `HOST:PORT` or `unix:PATH` of the page, with `--http`.
    pub fn http(&self) -> &str {
        &self.http
    }

    /// A connection in the clear.
    pub async fn channel(&self) -> Channel {
        let url = match self.address.starts_with("unix:") {
            true => self.address.clone(),
            false => format!("http://{}", self.address),
        };
        Endpoint::from_shared(url).unwrap().connect().await.unwrap()
    }

    /// A client of the service, in the clear.
    pub async fn client(&self) -> VocoderServiceClient<Channel> {
        VocoderServiceClient::new(self.channel().await).max_decoding_message_size(64 << 20)
    }

    /// Sends a signal by its name, such as TERM.
    pub fn signal(&self, name: &str) {
        let arguments = [format!("-{name}"), self.child.id().to_string()];
        assert!(
            Command::new("kill")
                .args(arguments)
                .status()
                .unwrap()
                .success()
        );
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log holds a text.
    pub fn log_says(&mut self, text: &str) {
        let began = Instant::now();
        while !self.log().contains(text) {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() || self.log().contains(text),
                "{ended:?} without {text:?}: {}",
                self.log()
            );
            assert!(began.elapsed() < PATIENCE, "no {text:?} in: {}", self.log());
            sleep(Duration::from_millis(20));
        }
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "it goes on: {}", self.log());
            sleep(Duration::from_millis(20));
        }
    }

    /// Bytes of memory that it holds.
    #[cfg(target_os = "linux")]
    pub fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    #[cfg(target_os = "linux")]
    fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes * 1024
    }

    /// The most memory that it has held, in bytes.
    #[cfg(target_os = "linux")]
    pub fn peak_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// Files and sockets that it holds.
    #[cfg(target_os = "linux")]
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))
            .unwrap()
            .count()
    }

    fn log_at_end(&mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        sleep(Duration::from_millis(100));
        self.log()
    }
}

/// The address in the line that names the page.
pub fn address_of(line: &str) -> String {
    let url = line.trim_end().trim_start_matches("the page is at ");
    let bare = url.split("//").last().unwrap_or_default();
    bare.trim_end_matches('/').to_owned()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `vocode serve FLAGS` on a free port, unless the flags name an address, with none of the caller's own settings.
pub fn command(flags: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vocode"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("VOCODE_")) {
        command.env_remove(name);
    }
    command
        .env("VOCODE_ORT_LIB", crate::common::ensure_runtime().library())
        .env("VOCODE_LISTEN", "127.0.0.1:0")
        // Not what a machine under tests happens to hold.
        .env("VOCODE_MAX_STREAMS", "32")
        // No balancer has to hear of its end.
        .env("VOCODE_DRAIN_DELAY", "0")
        .envs(variables.iter().copied())
        .arg("serve")
        .args(flags);
    command
}
