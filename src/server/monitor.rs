//! The port of those who watch the server: metrics, health and readiness over plain HTTP.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::ServerError;
use super::health::Health;

/// Connections at once; the oldest makes room for one more.
const CONNECTIONS: usize = 64;
/// How long a connection may take: one question, one answer.
const LIMIT: Duration = Duration::from_secs(5);
/// How long to wait when the system has no room for another connection.
const RECOVERY: Duration = Duration::from_millis(100);

/// What can be asked.
pub(super) struct Pages {
    pub metrics: PrometheusHandle,
    pub health: Arc<Health>,
}

/// Binds the port.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, ServerError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| ServerError::Metrics {
        address,
        reason: error.to_string(),
    })
}

/// Answers for ever.
pub(super) async fn serve(listener: TcpListener, pages: Arc<Pages>) {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let Ok((io, _)) = listener.accept().await else {
            sleep(RECOVERY).await;
            continue;
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() == CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        open.push_back(tokio::spawn(converse(io, pages.clone())).abort_handle());
    }
}

async fn converse(io: TcpStream, pages: Arc<Pages>) {
    let answer = service_fn(|request: Request<Incoming>| {
        let answer = pages.answer(request.method(), request.uri().path());
        async { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(io), answer);
    // Whoever breaks off is not answered.
    let _ = timeout(LIMIT, connection).await;
}

impl Pages {
    fn answer(&self, method: &Method, path: &str) -> Response<String> {
        if method != Method::GET && method != Method::HEAD {
            return page(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
        }
        let state = self.health.state();
        let told = |is_well: bool| {
            let status = match is_well {
                true => StatusCode::OK,
                false => StatusCode::SERVICE_UNAVAILABLE,
            };
            page(status, format!("{state}\n"))
        };
        match path {
            "/metrics" | "/" => page(StatusCode::OK, self.metrics.render()),
            "/health" => told(state.is_alive()),
            "/ready" => told(state.is_ready()),
            _ => page(
                StatusCode::NOT_FOUND,
                "there is /metrics, /health and /ready\n".to_owned(),
            ),
        }
    }
}

fn page(status: StatusCode, text: String) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
