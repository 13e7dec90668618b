//! Calls as spans of OpenTelemetry, at a collector of the test's own.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server as Transport;
use tonic::{Response, async_trait};
use vocode::proto::GetInfoRequest;

use super::server::Server;
use super::*;

/// Hands on what it is sent.
struct Collector(mpsc::UnboundedSender<ExportTraceServiceRequest>);

#[async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let _ = self.0.send(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let found = attributes.iter().find(|pair| pair.key == key)?;
    found.value.as_ref()?.value.as_ref()
}

fn text(value: &str) -> Option<Value> {
    let value = Some(Value::StringValue(value.to_owned()));
    AnyValue { value }.value
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_spans_in_the_traces_of_their_callers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (sender, mut sent) = mpsc::unbounded_channel();
    let collector = TraceServiceServer::new(Collector(sender));
    tokio::spawn(
        Transport::builder()
            .add_service(collector)
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );

    let mut server = Server::start(&["--otlp", &endpoint]);
    let mut client = server.client().await;
    let mut request = Request::new(GetInfoRequest {});
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    request
        .metadata_mut()
        .insert("traceparent", parent.parse().unwrap());
    client.get_info(request).await.unwrap();
    let mut refused = stream_request(floats(), &demo());
    refused.mel = None;
    client.vocode_stream(refused).await.unwrap_err();
    // What is left in the batch goes out before the end.
    server.signal("TERM");
    assert!(server.wait().success());

    let mut spans: Vec<Span> = Vec::new();
    while spans.len() < 2 {
        let export = tokio::time::timeout(Duration::from_secs(60), sent.recv());
        for resource in export.await.unwrap().unwrap().resource_spans {
            let name = attribute(&resource.resource.unwrap().attributes, "service.name").cloned();
            assert_eq!(name, text("vocode"));
            spans.extend(resource.scope_spans.into_iter().flat_map(|s| s.spans));
        }
    }
    let of = |method: &str| {
        let wanted = text(method);
        let found = spans
            .iter()
            .find(|span| attribute(&span.attributes, "rpc.method") == wanted.as_ref());
        found.unwrap_or_else(|| panic!("no span of {method} in {spans:?}"))
    };
    let asked = of("GetInfo");
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(hex(&asked.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&asked.parent_span_id), "b7ad6b7169203331");
    let refused = of("VocodeStream");
    assert_eq!(
        attribute(&refused.attributes, "rpc.grpc.status_code"),
        Some(&Value::IntValue(3))
    );
    assert_eq!(
        refused.status.as_ref().unwrap().message,
        "the request has no mel"
    );
}
