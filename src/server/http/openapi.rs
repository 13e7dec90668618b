//! `GET /openapi.json`: the service over HTTP, described in OpenAPI 3.1. The parameters are those that [`super::query`] reads.

use std::sync::OnceLock;

use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::problem::MEDIA_TYPE;
use super::query::{Form, OF_MEL, OF_VOCODE, Parameter};

pub(super) const VOCODE: &str = "/v1/vocode";
pub(super) const MEL: &str = "/v1/mel";
pub(super) const INFO: &str = "/v1/info";
pub(super) const HEALTH: &str = "/health";
pub(super) const READY: &str = "/ready";
pub(super) const DESCRIPTION: &str = "/openapi.json";
/// All of them.
pub(super) const PATHS: [&str; 6] = [VOCODE, MEL, INFO, HEALTH, READY, DESCRIPTION];

/// The headers of an answer with audio.
const HEADERS: [(&str, &str); 14] = [
    (
        "Vocode-Request-Id",
        "The request's own name, or one made by the server.",
    ),
    ("Vocode-Model", "Name of the model."),
    ("Vocode-Model-SHA256", "SHA-256 of the model."),
    (
        "Vocode-Sample-Rate",
        "Samples a second of the audio, which is mono.",
    ),
    ("Vocode-Encoding", "How the audio is written."),
    ("Vocode-Seed", "The seed of the noise."),
    ("Vocode-Schedule", "Name of the schedule."),
    ("Vocode-Steps", "Denoiser calls for each sample."),
    ("Vocode-Solver", "The solver, with its settings."),
    (
        "Vocode-Provider",
        "Execution provider that the denoiser runs on.",
    ),
    ("Vocode-Precision", "What the denoiser multiplies in."),
    ("Vocode-Total-Samples", "Samples of the audio."),
    (
        "Vocode-Watermark",
        "What the audio's watermark says, in hexadecimal, where it has one.",
    ),
    (
        "Vocode-Warning",
        "What is odd about the mel, and what to do about it. Comes once for each.",
    ),
];

/// Answers with the description.
pub(super) async fn description() -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| document().to_string());
    let mut response = text.as_str().into_response();
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "vocode",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Mel spectrograms to speech.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        // Without keys the server asks for none.
        "security": [{}, {"key": []}],
        "paths": {
            VOCODE: {"post": vocode()},
            MEL: {"post": mel()},
            INFO: {"get": info()},
            HEALTH: {"get": probe("health", "Whether the server is well.", "It is: it starts, serves or stops.", "A model does not answer.")},
            READY: {"get": probe("ready", "Whether the server takes calls.", "It does.", "It loads its models, drains, or a model does not answer.")},
            DESCRIPTION: {"get": {
                "operationId": "openapi",
                "summary": "This description.",
                "security": [],
                "responses": {"200": {"description": "OpenAPI 3.1.", "content": {"application/json": {"schema": {"type": "object"}}}}},
            }},
        },
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key of the server (--api-keys)."}},
            "schemas": {"Problem": problem()},
        },
    })
}

fn vocode() -> Value {
    let headers = HEADERS.map(|(name, about)| {
        let schema = json!({"description": about, "schema": {"type": "string"}});
        (name.to_owned(), schema)
    });
    json!({
        "operationId": "vocode",
        "summary": "A mel to audio.",
        "description": "The mel as the bytes of a .npy file: [n_mels, frames] or [frames, n_mels], float16, float32 or float64. The audio comes as it \
                        is made, in chunks; where it breaks off, the connection ends without the last chunk.",
        "parameters": parameters(&OF_VOCODE),
        "requestBody": {"required": true, "description": "A .npy file.", "content": {"application/octet-stream": {}}},
        "responses": responses(json!({
            "description": "The audio.",
            "headers": Map::from_iter(headers),
            "content": {"audio/wav": {}, "audio/flac": {}, "audio/ogg": {}, "application/octet-stream": {}},
        })),
    })
}

fn mel() -> Value {
    json!({
        "operationId": "mel",
        "summary": "A recording to its mel.",
        "description": "The mel of a recording as the model takes it: the bytes of a .npy file, float32 [n_mels, frames].",
        "parameters": parameters(&OF_MEL),
        "requestBody": {
            "required": true,
            "description": "A recording: WAV, FLAC, MP3, Ogg Vorbis, Opus, AIFF, .au or M4A, of any rate.",
            "content": {"audio/*": {}, "application/octet-stream": {}},
        },
        "responses": responses(json!({"description": "A .npy file.", "content": {"application/octet-stream": {}}})),
    })
}

fn info() -> Value {
    json!({
        "operationId": "info",
        "summary": "What the server is: its models, the mel that each takes, and its limits.",
        "responses": responses(json!({"description": "GetInfoResponse of the gRPC contract.", "content": {"application/json": {"schema": {"type": "object"}}}})),
    })
}

fn probe(id: &str, summary: &str, well: &str, ill: &str) -> Value {
    let told = |about: &str| json!({"description": about, "content": {"text/plain": {"schema": {"type": "string"}}}});
    json!({
        "operationId": id,
        "summary": summary,
        "security": [],
        "responses": {"200": told(well), "503": told(ill)},
    })
}

fn parameters(list: &[Parameter]) -> Value {
    let described = list.iter().map(|parameter| {
        let mut described = json!({
            "name": parameter.name,
            "in": "query",
            "description": parameter.about,
            "schema": parameter.form.schema(),
        });
        if matches!(parameter.form, Form::Reals) {
            // One value with commas.
            described["style"] = "form".into();
            described["explode"] = false.into();
        }
        if !parameter.example.is_empty() {
            described["example"] = example(parameter);
        }
        described
    });
    described.collect()
}

/// The example as a value of its form.
fn example(parameter: &Parameter) -> Value {
    let text = parameter.example;
    match parameter.form {
        Form::Text | Form::OneOf(_) => text.into(),
        Form::Whole => text.parse::<u64>().map_or(Value::Null, Value::from),
        Form::Real => text.parse::<f64>().map_or(Value::Null, Value::from),
        Form::Reals => text
            .split(',')
            .filter_map(|part| part.parse::<f64>().ok())
            .collect(),
        Form::Switch => (text == "true").into(),
    }
}

/// A good answer and the problems that there may be instead.
fn responses(good: Value) -> Value {
    let problem = |about: &str| {
        let schema = json!({"$ref": "#/components/schemas/Problem"});
        json!({"description": about, "content": {MEDIA_TYPE: {"schema": schema}}})
    };
    json!({
        "200": good,
        "400": problem("A parameter or the body cannot be used as it is, or is beyond a limit."),
        "401": problem("The API key is missing or unknown."),
        "403": problem("The request comes from a page of another origin."),
        "404": problem("There is no such model."),
        "406": problem("Accept names no type that is made here."),
        "413": problem("The body is larger than Limits.max_message_bytes."),
        "415": problem("The body is a form."),
        "429": problem("The server has as much to do as it can; Retry-After says when to try again."),
        "500": problem("The model failed."),
        "503": problem("The server is starting or stopping."),
        "504": problem("The call took longer than the server lets any take, or its body did not come."),
    })
}

/// RFC 9457, with what is said beside it here.
fn problem() -> Value {
    let text = |about: &str| json!({"type": "string", "description": about});
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": text("Always about:blank."),
            "title": text("What the status means."),
            "status": {"type": "integer"},
            "detail": text("What was expected, what was found, what to do."),
            "code": text("The code of the gRPC service, such as INVALID_ARGUMENT."),
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["in", "detail"],
                    "properties": {"in": {"enum": ["query", "body"]}, "name": text("The parameter."), "detail": text("What is wrong with it.")},
                },
            },
            "reason": text("MEL_CONVENTION_MISMATCH or EXECUTION_FAILED."),
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    })
}
