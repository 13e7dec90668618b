//! What goes wrong in a day: each fault hits the real server, and a listener beside it hears what the library makes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ndarray::{Axis, concatenate};
use vocode::client::{Client, ClientOptions, Event};
use vocode::mel::Mel;

use crate::common;
use crate::server::Server;
use crate::{demo, difference, floats, reference, samples};

/// The demo over and over.
fn long(times: usize) -> Mel {
    let mel = demo();
    Mel::new(concatenate(Axis(1), &vec![mel.view(); times]).unwrap()).unwrap()
}

async fn connect(server: &Server) -> Client {
    let options = ClientOptions::default().address(server.address().to_owned());
    Client::connect(&options).await.unwrap()
}

/// A listener whom nothing must touch.
async fn hears_the_demo(server: &Server) {
    let mut events = connect(server)
        .await
        .stream(floats(), &demo())
        .await
        .unwrap();
    let mut found = Vec::new();
    while let Some(event) = events.next().await {
        if let Event::Chunk(chunk) = event.unwrap() {
            found.extend(samples(&chunk.audio));
        }
    }
    let worst = difference(&found, reference());
    assert!(worst < 1e-4, "{worst}");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_vanish_stall_or_send_nonsense_hurt_nobody_else() {
    let mut server = Server::start(&["--max-streams", "8", "--max-message-bytes", "16777216"]);
    // One reads the head of two minutes and goes away; one reads nothing at all, of four.
    let mut vanishing = connect(&server)
        .await
        .stream(floats(), &long(30))
        .await
        .unwrap();
    assert!(matches!(vanishing.next().await, Some(Ok(Event::Header(_)))));
    let stalled = connect(&server)
        .await
        .stream(floats(), &long(60))
        .await
        .unwrap();
    garbage(server.address());
    drop(vanishing);
    tokio::join!(hears_the_demo(&server), hears_the_demo(&server));
    server.log_says("CANCELLED");
    let held = server.resident_bytes() >> 20;
    assert!(held < 400, "{held} MiB with one stalled reader");
    drop(stalled);
    hears_the_demo(&server).await;
}

/// Bytes that are no HTTP/2, and a request of another version.
fn garbage(address: &str) {
    let requests = [
        b"\xff\x00\x13garbage\r\n\r\n".repeat(500),
        b"GET / HTTP/1.1\r\nhost: vocode\r\n\r\n".to_vec(),
    ];
    for bytes in requests {
        let mut socket = TcpStream::connect(address).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        // The server may hang up while we still talk.
        let _ = socket.write_all(&bytes);
        let _ = socket.read(&mut [0; 64]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_are_forgotten_once_they_are_gone() {
    let server = Server::start(&["--max-connections", "64"]);
    let before = server.open_files();
    let sockets: Vec<TcpStream> = (0..1000)
        .map(|_| TcpStream::connect(server.address()).unwrap())
        .collect();
    drop(sockets);
    hears_the_demo(&server).await;
    let after = server.open_files();
    assert!(after < before + 70, "{before} handles, then {after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_deleted_under_its_server_plays_on() {
    let folder = common::model_copy();
    let server = Server::start(&["--model", folder.path().to_str().unwrap()]);
    folder.close().unwrap();
    hears_the_demo(&server).await;
}
