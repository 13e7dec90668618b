//! Requests over HTTP/1.1, one on each connection.

// Each test file uses a part of it.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

/// An answer as far as it came.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the body ended as its framing says.
    pub is_whole: bool,
    /// Pieces that the body came in.
    pub pieces: usize,
}

impl Answer {
    /// The value of a header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A request that has been sent whole.
pub struct Sent<S>(BufReader<S>);

/// Sends a request over a connection.
pub fn send<S: Read + Write>(
    mut stream: S,
    line: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Sent<S> {
    let mut head = format!("{line} HTTP/1.1\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        head += "host: localhost\r\n";
    }
    if !body.is_empty() {
        head += &format!("content-length: {}\r\n", body.len());
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(b"\r\n").unwrap();
    // A server that has refused the head does not take the rest.
    let _ = stream.write_all(body);
    let _ = stream.flush();
    Sent(BufReader::new(stream))
}

/// Sends a request to `address` and takes the answer.
pub fn ask(address: &str, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let stream = TcpStream::connect(address).unwrap();
    send(stream, line, headers, body).answer()
}

/// An answer that has been read already.
pub fn received<S: Read>(bytes: S) -> Answer {
    Sent(BufReader::new(bytes)).answer()
}

impl<S: Read> Sent<S> {
    /// The head of the answer alone.
    pub fn head(&mut self) -> Answer {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).and_then(|text| text.parse().ok());
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        Answer {
            status: status.unwrap_or_else(|| panic!("no answer but {line:?}")),
            headers,
            body: Vec::new(),
            is_whole: false,
            pieces: 0,
        }
    }

    /// The answer to its end.
    pub fn answer(mut self) -> Answer {
        let mut answer = self.head();
        if answer.header("transfer-encoding") != "chunked" {
            let read = self.0.read_to_end(&mut answer.body);
            answer.is_whole = read.is_ok();
            return answer;
        }
        while let Some(piece) = self.piece() {
            if piece.is_empty() {
                answer.is_whole = true;
                break;
            }
            answer.body.extend(piece);
            answer.pieces += 1;
        }
        answer
    }

    /// The next chunk, empty for the last one; `None` where the connection ended before.
    pub fn piece(&mut self) -> Option<Vec<u8>> {
        let mut line = String::new();
        self.0.read_line(&mut line).ok()?;
        let length = usize::from_str_radix(line.trim_end(), 16).ok()?;
        let mut piece = vec![0; length + 2];
        self.0.read_exact(&mut piece).ok()?;
        piece.truncate(length);
        Some(piece)
    }
}
