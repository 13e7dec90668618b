//! Metrics for Prometheus. The scheduler and the calls record theirs through the `metrics` facade; `monitor` shows them.

use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

/// Bounds of histograms in seconds: from one denoiser call to the longest call.
const SECONDS: [f64; 14] = [
    0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0,
];
/// Bounds of real-time factors; above 1 a listener waits.
const FACTORS: [f64; 9] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 1.0, 2.0];
/// Bounds of windows in one denoiser call.
const WINDOWS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// How often the samples of histograms are gathered.
const UPKEEP: Duration = Duration::from_secs(5);

/// Nothing is recorded before [`start`].
pub(super) fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let histogram = |name: &str| Matcher::Full(name.to_owned());
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(histogram("vocode_real_time_factor"), &FACTORS)?
        .set_buckets_for_metric(histogram("vocode_tick_windows"), &WINDOWS)?;
    Ok(builder.build_recorder())
}

/// Keeps what was recorded small.
pub(super) async fn keep_up(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        handle.run_upkeep();
    }
}

/// Records from now on.
pub(super) fn start(recorder: PrometheusRecorder) {
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("metrics are recorded elsewhere in this process already");
        return;
    }
    describe_counter!(
        "vocode_requests_total",
        "Calls that ended, by method and code"
    );
    describe_histogram!(
        "vocode_request_seconds",
        Unit::Seconds,
        "Length of calls, by method"
    );
    describe_gauge!(
        "vocode_model_nodes",
        "Nodes of the denoiser, by model and the execution provider that runs them"
    );
    describe_counter!(
        "vocode_log_lines_dropped_total",
        "Lines of the log that nobody took in time"
    );
    describe_gauge!("vocode_active_streams", "Streams that are open, by model");
    describe_histogram!(
        "vocode_first_audio_seconds",
        Unit::Seconds,
        "From the opening of a stream to its first samples"
    );
    describe_histogram!(
        "vocode_queue_seconds",
        Unit::Seconds,
        "From the opening of a stream to its first denoiser call"
    );
    describe_histogram!(
        "vocode_real_time_factor",
        "Seconds taken for a second of audio, by stream"
    );
    describe_histogram!("vocode_tick_windows", "Windows in one denoiser call");
    describe_histogram!(
        "vocode_tick_seconds",
        Unit::Seconds,
        "Length of denoiser calls"
    );
}
