//! Traces for an OpenTelemetry collector: each call of a server is a span, in the trace of its caller where the caller is in one.

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Runtime;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use super::error::CliError;

/// What the traces are called where `OTEL_SERVICE_NAME` says nothing else.
const SERVICE: &str = "vocode";

/// Sends spans in batches, on threads of its own; the last of them when it is dropped.
pub(super) struct Exporter {
    provider: SdkTracerProvider,
    _runtime: Runtime,
}

impl Exporter {
    /// Starts the threads; a collector that cannot be reached is told of in the log, and keeps nothing from running.
    ///
    /// # Errors
    /// [`CliError::Usage`] for an endpoint that is no URL, [`CliError::Threads`].
    pub(super) fn start(endpoint: &str) -> Result<Exporter, CliError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("vocode-otlp")
            .enable_all()
            .build()
            .map_err(|source| CliError::Threads { source })?;
        let exporter = runtime.block_on(async {
            let builder = SpanExporter::builder().with_tonic();
            builder.with_endpoint(endpoint).build()
        });
        let exporter = exporter.map_err(|error| {
            CliError::usage(format!(
                "--otlp {endpoint}: expected the address of a collector's gRPC port, as in http://127.0.0.1:4317 ({error})"
            ))
        })?;
        let resource = match std::env::var_os("OTEL_SERVICE_NAME") {
            Some(_) => Resource::builder(),
            None => Resource::builder().with_service_name(SERVICE),
        };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        Ok(Exporter {
            provider,
            _runtime: runtime,
        })
    }

    /// What hands over the program's own spans, and none of the libraries', which would tell of their own sending.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer(SERVICE))
            .with_filter(Targets::new().with_target("vocode", LevelFilter::INFO))
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!("the last traces were not sent: {error}");
        }
    }
}
