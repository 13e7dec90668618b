//! Connections, and which handler a request goes to.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{Method as Verb, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::StreamExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;
use tonic::codegen::Service;
use tonic::transport::server::Connected;

use super::problem::Problem;
use super::site::Site;
use super::{info, mel, openapi, page, vocode};
use crate::server::connection::{Connections, Peer};
use crate::server::listen::Listener;
use crate::server::tls::Protocol;

/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);

/// Answers until `closing` is cancelled and the connections have closed.
pub(in crate::server) async fn serve(
    listener: Listener,
    places: Arc<Connections>,
    site: Arc<Site>,
    closing: CancellationToken,
) {
    let most = site.shared.limits.max_connections;
    let certificates = site.shared.certificates.clone();
    let router = router(site);
    let plain = listener.connections(places);
    match certificates {
        Some(certificates) => {
            let secured = certificates.secure(plain, Protocol::Http1, most);
            accept(secured, router, closing).await;
        }
        None => accept(plain, router, closing).await,
    }
}

async fn accept<C>(
    connections: impl Stream<Item = io::Result<C>>,
    router: Router,
    closing: CancellationToken,
) where
    C: AsyncRead + AsyncWrite + Connected + Send + Unpin + 'static,
{
    let open = TaskTracker::new();
    let mut connections = pin!(connections);
    loop {
        let connection = tokio::select! {
            connection = connections.next() => connection,
            () = closing.cancelled() => None,
        };
        match connection {
            Some(Ok(connection)) => {
                open.spawn(converse(connection, router.clone(), closing.clone()));
            }
            Some(Err(error)) => tracing::debug!("a connection failed: {error}"),
            None => break,
        }
    }
    open.close();
    open.wait().await;
}

/// One connection, to its end.
async fn converse<C>(connection: C, router: Router, closing: CancellationToken)
where
    C: AsyncRead + AsyncWrite + Connected + Send + Unpin + 'static,
{
    let told = connection.connect_info();
    let answer = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(told.clone());
        // While it is worked on, the connection is in use.
        let open = Peer::of(request.extensions()).open(false);
        let answer = router.clone().call(request);
        async move {
            let answer = answer.await;
            drop(open);
            answer
        }
    });
    let mut serving = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .serve_connection(TokioIo::new(connection), answer)
    );
    // Whoever breaks off is not answered.
    tokio::select! {
        _ = serving.as_mut() => return,
        () = closing.cancelled() => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

fn router(site: Arc<Site>) -> Router {
    let pages = page::FILES.iter().fold(Router::new(), |router, file| {
        router.route(file.path, get(|| async { file.response() }))
    });
    pages
        .route(openapi::VOCODE, post(vocode::vocode))
        .route(openapi::MEL, post(mel::mel))
        .route(openapi::INFO, get(info::info))
        .route(openapi::DESCRIPTION, get(openapi::description))
        .route(openapi::HEALTH, get(health))
        .route(openapi::READY, get(ready))
        .fallback(nothing_there)
        .method_not_allowed_fallback(wrong_verb)
        .with_state(site)
}

async fn health(State(site): State<Arc<Site>>) -> Response {
    let state = site.health.state();
    told(state.is_alive(), &state.to_string())
}

async fn ready(State(site): State<Arc<Site>>) -> Response {
    let state = site.health.state();
    told(state.is_ready(), &state.to_string())
}

fn told(is_well: bool, state: &str) -> Response {
    let status = match is_well {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("{state}\n")).into_response()
}

async fn nothing_there(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(80).collect();
    let paths = openapi::PATHS.join(", ");
    let message = format!("there is no {path}; there is {paths}, and the page at /");
    Problem::new(StatusCode::NOT_FOUND, Status::not_found(message))
}

async fn wrong_verb(verb: Verb, uri: Uri) -> Problem {
    let verb: String = verb.as_str().chars().take(20).collect();
    let right = match [openapi::VOCODE, openapi::MEL].contains(&uri.path()) {
        true => "POST",
        false => "GET",
    };
    let message = format!("{} takes {right}, and {verb} came", uri.path());
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        Status::unimplemented(message),
    )
}
