//! Connections, served over HTTP/2 until their callers leave, until they are old, or until the server goes away.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::time::Duration;

use futures_util::{FutureExt, Stream, StreamExt};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::Request;
use tonic::service::Routes;
use tonic::transport::server::Connected;

use super::connection::Io;
use super::metadata;

/// Pings that find dead connections, and how long one may stay unanswered.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Calls at once on one connection, waiting ones and those that only watch included.
const CALLS_PER_CONNECTION: u32 = 128;
/// The part of the age of connections by which it varies, so that those that were opened together do not end together.
const JITTER: f64 = 0.1;

/// How long a connection may always take to its first call: told to end in its handshake, it would be closed.
const FIRST_CALL: Duration = Duration::from_millis(250);

/// When connections end. Each is told by a GOAWAY frame, which says that no new call is wanted on it; those under way go on.
#[derive(Clone, Default)]
pub(super) struct Closing {
    /// Cancelled when those that are open are to be left. New ones are still accepted.
    pub leave: CancellationToken,
    /// Cancelled when no more are accepted and all are to be left.
    pub stop: CancellationToken,
}

/// Serves the connections that come until [`Closing::stop`], and ends once all of them have closed. `age`, give or take a tenth, is the time
/// after which one is told to be left.
pub(super) async fn serve<I>(
    connections: impl Stream<Item = io::Result<I>>,
    routes: Routes,
    age: Option<Duration>,
    closing: Closing,
) where
    I: Io + Connected<ConnectInfo: Clone> + 'static,
{
    let open = TaskTracker::new();
    {
        // Gone before the wait below: a port that nobody accepts from must not stay open.
        let mut connections = pin!(connections);
        loop {
            let next = tokio::select! {
                next = connections.next() => next,
                () = closing.stop.cancelled() => break,
            };
            match next {
                Some(Ok(io)) => {
                    open.spawn(converse(io, routes.clone(), age, closing.clone()));
                }
                Some(Err(error)) => tracing::debug!("a connection was not accepted: {error}"),
                None => break,
            }
        }
        // Those that the system has taken already would be reset.
        while let Some(Some(Ok(io))) = connections.next().now_or_never() {
            open.spawn(converse(io, routes.clone(), age, closing.clone()));
        }
    }
    open.close();
    open.wait().await;
}

/// One connection, from its first byte to its last.
async fn converse<I>(io: I, routes: Routes, age: Option<Duration>, closing: Closing)
where
    I: Io + Connected<ConnectInfo: Clone> + 'static,
{
    let first_call = Instant::now() + FIRST_CALL;
    let info = io.connect_info();
    let answer = service_fn(move |mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(info.clone());
        let answer = routes.clone().call(request.map(Body::new));
        async { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let builder = builder();
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), answer));
    // Those that are open when the server begins to leave; later ones are for callers who could not go elsewhere.
    let leave = match closing.leave.is_cancelled() {
        true => closing.stop.clone(),
        false => closing.leave.clone(),
    };
    let told = async {
        tokio::select! {
            () = aged(age) => {}
            () = leave.cancelled() => {}
            () = closing.stop.cancelled() => {}
        }
        sleep_until(first_call).await;
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection broke off: {error}");
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new()).http2_only();
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .max_header_list_size(metadata::TRANSPORT_LIMIT)
        .max_concurrent_streams(CALLS_PER_CONNECTION);
    builder
}

async fn aged(age: Option<Duration>) {
    match age {
        Some(age) => sleep(age.mul_f64(varied(random()))).await,
        None => std::future::pending().await,
    }
}

/// From 0 to 1.
fn random() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
}

fn varied(random: f64) -> f64 {
    1.0 - JITTER + 2.0 * JITTER * random
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_of_one_moment_do_not_end_together() {
        assert_eq!([varied(0.0), varied(0.5), varied(1.0)], [0.9, 1.0, 1.1]);
        let ages: Vec<f64> = (0..50).map(|_| varied(random())).collect();
        assert!(ages.iter().all(|age| (0.9..=1.1).contains(age)));
        assert!(ages.iter().any(|age| *age < 0.97) && ages.iter().any(|age| *age > 1.03));
    }
}
