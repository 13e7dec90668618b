//! The life of a server: it binds, loads, serves, and drains.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusRecorder;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic_health::pb::FILE_DESCRIPTOR_SET as HEALTH_DESCRIPTORS;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use super::admission::Admission;
use super::bounded::Bounded;
use super::connection::{ConnectionLimits, Connections};
use super::health::{Health, State, watch};
use super::http::Site;
use super::keys::Keys;
use super::listen::Listener;
use super::marking::Marks;
use super::models::Models;
use super::service::Service;
use super::shared::Shared;
use super::signals::{Signal, Signals};
use super::tls::{Certificates, Protocol};
use super::transport::{self, Closing};
use super::{Addresses, ServerError, ServerLimits, ServerOptions, http, memory, metrics, monitor};
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::proto::vocoder_service_server::VocoderServiceServer;
use crate::runtime::Runtime;
use crate::text::with_causes;

/// How long calls are still taken once nobody can connect any more.
const LINGER: Duration = Duration::from_millis(500);
/// How long connections have to close once their calls have ended.
const CLOSING: Duration = Duration::from_secs(1);

/// Serves until the process is asked to stop. `announce` is told the addresses once they are bound. Calls that come while the models are loaded
/// wait for them; the HTTP port says meanwhile that the server starts.
///
/// SIGTERM drains: health turns to NOT_SERVING and callers are asked to leave their connections (GOAWAY) at once; new calls are served as ever
/// for `options.drain_delay`; then nobody can connect, and the calls under way have `options.grace` to end. SIGINT does the same without the
/// delay. A second signal ends the calls at once. SIGHUP reads the API keys and certificates again.
///
/// # Errors
/// What keeps the server from starting or going on.
pub fn serve(
    options: ServerOptions,
    runtime: Runtime,
    announce: impl FnOnce(&Addresses),
) -> Result<(), ServerError> {
    let tokio = tokio()?;
    let result = tokio.block_on(run(options, runtime, announce));
    // A model that is being loaded holds a thread; nothing waits for it.
    tokio.shutdown_timeout(CLOSING);
    result
}

/// Does what [`serve`] does but for binding and serving: resolves the address, reads the certificates and keys, loads the models and runs
/// each once.
///
/// # Errors
/// Those of [`serve`].
pub fn check(options: ServerOptions, runtime: Runtime) -> Result<(), ServerError> {
    let tokio = tokio()?;
    tokio.block_on(async {
        if let Some(certificates) = certificates(&options)? {
            certificates.check_dates()?;
        }
        keys(&options)?;
        Listener::check("listen", &options.listen).await?;
        if let Some(address) = &options.http {
            Listener::check("http", address).await?;
        }
        load(Arc::new(options), runtime).await.map(|_| ())
    })
}

fn tokio() -> Result<tokio::runtime::Runtime, ServerError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| ServerError::System {
            what: "threads",
            source,
        })
}

async fn run(
    options: ServerOptions,
    runtime: Runtime,
    announce: impl FnOnce(&Addresses),
) -> Result<(), ServerError> {
    let mut signals = Signals::listen()?;
    let certificates = certificates(&options)?;
    let out_of_date = certificates.as_ref().map(|c| c.check_dates());
    if let Some(Err(error)) = out_of_date {
        tracing::warn!("callers will not trust the server: {error}");
    }
    let keys = keys(&options)?;
    let reporter = HealthReporter::new();
    let health = Arc::new(Health::start(reporter.clone()).await);
    let recorder = match options.metrics {
        Some(address) => Some(watch_port(address, &health).await?),
        None => None,
    };
    let mode = options.socket_mode;
    let listener = Listener::bind("listen", &options.listen, mode).await?;
    let web = match &options.http {
        Some(address) => Some(Listener::bind("http", address, mode).await?),
        None => None,
    };
    warn_of_strangers(&listener, &options);
    web.iter().for_each(|web| warn_of_strangers(web, &options));
    announce(&Addresses {
        grpc: listener.address(),
        http: web.as_ref().map(|web| url(web, options.tls.is_some())),
    });

    let shared = Arc::new(Shared::new(
        options.limits,
        keys,
        certificates,
        Marks::new(&options.watermarks),
        runtime.version().to_owned(),
    ));
    let places = Connections::new(connection_limits(&options.limits));
    let closing_web = CancellationToken::new();
    let web = web.map(|web| {
        let site = Site::new(shared.clone(), health.clone());
        tokio::spawn(http::serve(web, places.clone(), site, closing_web.clone()))
    });
    let options = Arc::new(options);
    let models = tokio::select! {
        models = load(options.clone(), runtime) => models?,
        () = signals.stop() => {
            tracing::info!("stopped before the models were loaded");
            return Ok(());
        }
    };
    if let Some(recorder) = recorder {
        metrics::start(recorder);
    }
    models.tell_metrics();
    let models = shared.ready(models);
    // Whoever came before has waited: connections are taken from here on.
    let closing = Closing::default();
    let serving = serving(
        listener,
        places.clone(),
        shared.clone(),
        reporter,
        &options,
        closing.clone(),
    )?;
    let mut serving = tokio::spawn(serving);
    tokio::spawn(memory::give_back());
    health.set(State::Ready).await;
    tracing::info!("ready");

    let mut watching = std::pin::pin!(watch(models, &health, shared.limits.model_timeout));
    let asked = loop {
        tokio::select! {
            model = &mut watching => break Asked::Lost(ServerError::ModelLost { model }),
            signal = signals.next() => match signal {
                Signal::Stop => break Asked::BySupervisor,
                Signal::Interrupt => break Asked::AtTerminal,
                Signal::Reload => reload(shared.clone()).await,
            },
        }
    };
    let (delay, lost) = match asked {
        Asked::BySupervisor => (options.drain_delay, None),
        Asked::AtTerminal => (Duration::ZERO, None),
        Asked::Lost(error) => (Duration::ZERO, Some(error)),
    };
    if let Some(lost) = &lost {
        tracing::error!("{lost}");
    }
    if delay.is_zero() {
        // Before anybody can hear that it stops.
        shared.turn_away();
    }
    tracing::info!(
        drain_delay_seconds = delay.as_secs_f64(),
        grace_seconds = options.grace.as_secs(),
        "stopping"
    );
    health
        .set(match lost {
            Some(_) => State::Hung,
            None => State::Stopping,
        })
        .await;
    closing.leave.cancel();
    let cut_short = tokio::select! {
        () = sleep(delay) => false,
        () = signals.stop() => true,
    };
    closing.stop.cancel();
    if !cut_short && !delay.is_zero() {
        // Connections of the last moment still bring their call.
        sleep(LINGER).await;
    }
    let grace = match cut_short {
        true => Duration::ZERO,
        false => options.grace,
    };
    drain(&shared, grace, &mut signals).await;
    closing_web.cancel();
    let closed = async {
        if let Some(web) = web {
            // A connection that does not close is cut.
            let _ = web.await;
        }
        let _ = (&mut serving).await;
        places.settle().await;
    };
    if timeout(CLOSING, closed).await.is_err() {
        serving.abort();
    }
    tracing::info!("stopped");
    lost.map_or(Ok(()), Err)
}

/// Why a server stops.
enum Asked {
    /// By SIGTERM: those who send it calls have to hear of it first.
    BySupervisor,
    /// By somebody who waits for it.
    AtTerminal,
    /// A model is gone, and every call would fail.
    Lost(ServerError),
}

/// Opens the port for those who watch the server. Returns what records the metrics that it shows.
async fn watch_port(
    address: SocketAddr,
    health: &Arc<Health>,
) -> Result<PrometheusRecorder, ServerError> {
    let listener = monitor::bind(address).await?;
    let recorder = metrics::recorder().map_err(|error| ServerError::Metrics {
        address,
        reason: error.to_string(),
    })?;
    tokio::spawn(metrics::keep_up(recorder.handle()));
    let pages = monitor::Pages {
        metrics: recorder.handle(),
        health: health.clone(),
    };
    tokio::spawn(monitor::serve(listener, Arc::new(pages)));
    Ok(recorder)
}

/// Waits for the calls under way, and ends those that take longer than they may.
async fn drain(shared: &Shared, grace: Duration, signals: &mut Signals) {
    let is_drained = tokio::select! {
        drained = timeout(grace, shared.drain()) => drained.is_ok(),
        () = signals.stop() => false,
    };
    if !is_drained {
        tracing::warn!("ending the calls that are still under way");
        shared.cut.cancel();
        // Long enough to tell the callers.
        let _ = timeout(CLOSING, shared.drain()).await;
    }
}

fn certificates(options: &ServerOptions) -> Result<Option<Arc<Certificates>>, ServerError> {
    let loaded = options.tls.as_ref().map(Certificates::load).transpose()?;
    Ok(loaded.map(Arc::new))
}

fn keys(options: &ServerOptions) -> Result<Option<Keys>, ServerError> {
    options.api_keys.as_deref().map(Keys::load).transpose()
}

async fn load(options: Arc<ServerOptions>, runtime: Runtime) -> Result<Models, ServerError> {
    let loaded = tokio::task::spawn_blocking(move || Models::load(&options, &runtime)).await;
    loaded.unwrap_or_else(|error| {
        let source = std::io::Error::other(error);
        Err(ServerError::System {
            what: "loading the models",
            source,
        })
    })
}

/// What serves the connections of `listener`, to its end.
fn serving(
    listener: Listener,
    places: Arc<Connections>,
    shared: Arc<Shared>,
    health: HealthReporter,
    options: &ServerOptions,
    closing: Closing,
) -> Result<impl Future<Output = ()> + Send + use<>, ServerError> {
    let limits = shared.limits;
    let age = options.max_connection_age;
    let certificates = shared.certificates.clone();
    let routes = routes(shared, health, options.reflection)?;
    let most = limits.max_connections;
    let plain = listener.connections(places);
    Ok(async move {
        match certificates {
            Some(certificates) => {
                let secured = certificates.secure(plain, Protocol::Http2, most);
                transport::serve(secured, routes, age, closing).await;
            }
            None => transport::serve(plain, routes, age, closing).await,
        }
    })
}

/// The service, and beside it health and reflection.
fn routes(
    shared: Arc<Shared>,
    health: HealthReporter,
    reflects: bool,
) -> Result<Routes, ServerError> {
    let service = VocoderServiceServer::new(Service::new(shared.clone()))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(shared.limits.max_message_bytes);
    let health = HealthServer::new(HealthService::from_health_reporter(health));
    let routes = Routes::new(Admission::new(service, shared)).add_service(Bounded::new(health));
    if !reflects {
        return Ok(routes.prepare());
    }
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(HEALTH_DESCRIPTORS)
    };
    let failed = |error: &(dyn std::error::Error + 'static)| ServerError::Transport {
        reason: with_causes(error),
    };
    let v1 = reflection().build_v1().map_err(|e| failed(&e))?;
    let v1alpha = reflection().build_v1alpha().map_err(|e| failed(&e))?;
    Ok(routes
        .add_service(Bounded::new(v1))
        .add_service(Bounded::new(v1alpha))
        .prepare())
}

fn connection_limits(limits: &ServerLimits) -> ConnectionLimits {
    let most_per_peer = limits.max_connections_per_peer;
    ConnectionLimits {
        most: limits.max_connections,
        most_per_peer: most_per_peer.unwrap_or(limits.max_connections.div_ceil(2)),
        counts_local: most_per_peer.is_some(),
    }
}

/// What to open in a browser, where it can be.
fn url(web: &Listener, is_secured: bool) -> String {
    let address = web.address();
    match (address.starts_with("unix:"), is_secured) {
        (true, _) => address,
        (false, true) => format!("https://{address}/"),
        (false, false) => format!("http://{address}/"),
    }
}

async fn reload(shared: Arc<Shared>) {
    // A file may be on a disk that does not answer.
    let reload = move || {
        let certificates = shared.certificates.as_ref().map(|c| c.reload());
        (shared.keys.as_ref().map(Keys::reload), certificates)
    };
    let Ok((keys, certificates)) = tokio::task::spawn_blocking(reload).await else {
        return;
    };
    if keys.is_none() && certificates.is_none() {
        tracing::info!("nothing to reload: there are no API keys and no certificates");
    }
    match keys {
        None => {}
        Some(Ok(count)) => tracing::info!(count, "read the API keys again"),
        Some(Err(error)) => tracing::error!("the API keys stay as they were: {error}"),
    }
    match certificates {
        None => {}
        Some(Ok(())) => tracing::info!("read the certificates again"),
        Some(Err(error)) => tracing::error!("the certificates stay as they were: {error}"),
    }
}

fn warn_of_strangers(listener: &Listener, options: &ServerOptions) {
    if !listener.is_public() {
        return;
    }
    let address = listener.address();
    let known = options
        .tls
        .as_ref()
        .is_some_and(|tls| tls.client_ca.is_some());
    if options.api_keys.is_none() && !known {
        tracing::warn!(
            address,
            "anyone who reaches this address may use the server: --api-keys or --tls-client-ca asks callers who they are"
        );
    } else if options.tls.is_none() {
        tracing::warn!(
            address,
            "API keys travel in the clear to this address: --tls-cert and --tls-key protect them"
        );
    }
}
