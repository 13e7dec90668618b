//! From the errors of the layers below to gRPC status codes with details, as the head of `vocoder.proto` says.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::audio::AudioError;
use crate::diffusion::DiffusionError;
use crate::mel::MelError;
use crate::vocoder::VocoderError;

const DOMAIN: &str = "vocode.v1";

/// What tonic says of bytes that are no message of the method.
const NOT_A_MESSAGE: &str = "failed to decode Protobuf message";

/// When a caller that was turned away may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A field cannot be used as it is.
pub(super) fn invalid(field: &str, message: impl Into<String>) -> Status {
    with_field(Code::InvalidArgument, field, message.into())
}

/// A field is beyond a limit of GetInfoResponse.
pub(super) fn beyond(field: &str, message: impl Into<String>) -> Status {
    with_field(Code::OutOfRange, field, message.into())
}

/// No such model.
pub(super) fn unknown_model(name: &str, known: &[&str]) -> Status {
    let message = format!("there is no model `{name}`; there is {}", known.join(", "));
    let details = ErrorDetails::with_resource_info("vocode.v1.Model", name, "", message.clone());
    Status::with_error_details(Code::NotFound, message, details)
}

/// All places are taken.
pub(super) fn busy(limit: usize) -> Status {
    exhausted(format!(
        "{limit} calls are being worked on, which is all that may be; try again when one has ended"
    ))
}

/// Something that there is a limited amount of is used up for now.
pub(super) fn exhausted(message: String) -> Status {
    later(Code::ResourceExhausted, message, RETRY_AFTER)
}

/// The same, until so long has passed.
pub(super) fn exhausted_for(message: String, wait: Duration) -> Status {
    later(
        Code::ResourceExhausted,
        message,
        wait.max(RETRY_AFTER) + RETRY_AFTER,
    )
}

/// What may go well on another try, and when that is best made: in the details for people's own code, and where gRPC's own retries read it
/// (gRFC A6, "Pushback").
fn later(code: Code, message: String, wait: Duration) -> Status {
    let delay = spread(wait);
    let details = ErrorDetails::with_retry_info(Some(delay));
    let mut status = Status::with_error_details(code, message, details);
    let pushback = MetadataValue::from(delay.as_millis() as u64);
    status
        .metadata_mut()
        .insert("grpc-retry-pushback-ms", pushback);
    status
}

/// Less or more than `wait` by up to half a second, so that those who were turned away together do not come back together.
fn spread(wait: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    wait + RETRY_AFTER.mul_f64((random % 1000) as f64 / 1000.0) - RETRY_AFTER / 2
}

/// A caller that is waited for and does nothing.
pub(super) fn idle(limit: Duration, what: &str) -> Status {
    Status::deadline_exceeded(format!(
        "the caller {what} for {} s (--max-idle-seconds)",
        limit.as_secs()
    ))
}

/// The server is starting or stopping.
pub(super) fn unavailable(message: &str) -> Status {
    later(Code::Unavailable, message.to_owned(), RETRY_AFTER)
}

/// The end of a message on a mel that another model of the server takes, where there is one.
pub(super) fn taken_by(other: Option<&str>) -> String {
    other.map_or_else(String::new, |name| {
        format!("; the model `{name}` of this server takes it (config.model)")
    })
}

/// A mel that is refused, and the other model of the server that takes it. Fields of messages are named where [`MelError`] names flags.
pub(super) fn of_mel(error: &MelError, other: Option<&str>) -> Status {
    let other = taken_by(other);
    match error {
        MelError::Bands { expected, shape } => {
            let found = shape.first().copied().unwrap_or(0);
            invalid(
                "mel.n_mels",
                format!("the mel has {found} bands; the model takes {expected}{other}"),
            )
        }
        MelError::NonFinite {
            value, band, frame, ..
        } => not_finite("mel", *value, *band, *frame as u64),
        MelError::Incompatible {
            from,
            to,
            reasons,
            approximate,
        } => {
            let way = match approximate {
                true => "; config.approximate_mel takes it approximately, which loses little",
                false => "",
            };
            mismatch(
                from,
                to,
                format!(
                    "a `{from}` mel cannot be converted exactly to `{to}`, which the model takes: {}{way}{other}",
                    reasons.join("; ")
                ),
            )
        }
        MelError::TooFar { from, to, reason } => mismatch(
            from,
            to,
            format!(
                "a `{from}` mel is not converted to `{to}`, which the model takes, approximately either: {reason}{other}"
            ),
        ),
        MelError::OutOfRange { convention, .. } | MelError::Implausible { convention, .. } => {
            let message = error
                .to_string()
                .replace("`mel_convention`", "config.mel_convention");
            mismatch("unknown", convention, message)
        }
        MelError::UnknownConvention { name, known } => invalid(
            "config.mel_convention",
            format!(
                "there is no mel convention `{name}`; there is {}",
                known.join(", ")
            ),
        ),
        other => invalid("mel", other.to_string()),
    }
}

/// A value that is no number; frames count from the start of the clip.
pub(super) fn not_finite(field: &str, value: f32, band: usize, frame: u64) -> Status {
    let message =
        format!("the mel holds {value} in frame {frame}, band {band}; every value must be finite");
    invalid(field, message)
}

/// A synthesis that cannot start or go on.
pub(super) fn of_vocoder(error: &VocoderError) -> Status {
    let message = error.to_string();
    match error {
        VocoderError::UnknownSchedule { .. } => invalid("config.schedule.name", message),
        VocoderError::Schedule(DiffusionError::SolverKind { .. }) => {
            invalid("config.solver", message)
        }
        VocoderError::Schedule(_) => invalid("config.schedule", message),
        VocoderError::WindowLength { found, limit } => invalid(
            "config.chunk_frames",
            format!("chunks of {found} frames cannot be made; give 1 to {limit}"),
        ),
        VocoderError::StartContext { .. } => invalid("config.start_frame", message),
        VocoderError::Sharpening(_) => invalid("config.sharpen", message),
        VocoderError::StartWithMark => invalid("config.watermark", message),
        VocoderError::Output(error) => of_audio(error),
        VocoderError::Bands { .. } => invalid("mel.n_mels", message),
        VocoderError::MelNotFinite { value, band, frame } => {
            not_finite("mel", *value, *band, *frame as u64)
        }
        VocoderError::Busy { limit } => busy(*limit),
        VocoderError::Stopped => unavailable("the model has stopped"),
        VocoderError::Cancelled => Status::cancelled("the call was cancelled"),
        _ => failed(message),
    }
}

/// Audio that cannot be made.
pub(super) fn of_audio(error: &AudioError) -> Status {
    match error {
        AudioError::SampleRate { .. } => invalid("config.sample_rate_hz", error.to_string()),
        AudioError::Flac { .. } | AudioError::Opus { .. } => {
            invalid("config.encoding", error.to_string())
        }
        AudioError::TooBigForWav { .. } => beyond("mel", error.to_string()),
        other => failed(other.to_string()),
    }
}

/// What the transport refuses, with the way out where there is one.
pub(super) fn of_transport(status: Status) -> Status {
    if status.code() == Code::Internal && status.message().starts_with(NOT_A_MESSAGE) {
        return Status::invalid_argument(status.message());
    }
    // The second is said of a compressed message that unpacks to too much.
    let too_long = matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted);
    if !too_long || !status.details().is_empty() {
        return status;
    }
    let message = format!(
        "{}; that is Limits.max_message_bytes: send the mel in pieces through VocodeLive",
        status.message()
    );
    beyond("mel.data_f32le", message)
}

/// The server's own fault.
pub(super) fn failed(message: String) -> Status {
    let details = ErrorDetails::with_error_info("EXECUTION_FAILED", DOMAIN, HashMap::new());
    Status::with_error_details(Code::Internal, message, details)
}

/// The status of HTTP that says most of what a code does, as google.rpc.Code has them.
pub(super) fn of_http(code: Code) -> u16 {
    match code {
        Code::Ok => 200,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => 400,
        Code::Unauthenticated => 401,
        Code::PermissionDenied => 403,
        Code::NotFound => 404,
        Code::AlreadyExists | Code::Aborted => 409,
        Code::ResourceExhausted => 429,
        Code::Cancelled => 499,
        Code::Unknown | Code::Internal | Code::DataLoss => 500,
        Code::Unimplemented => 501,
        Code::Unavailable => 503,
        Code::DeadlineExceeded => 504,
    }
}

fn mismatch(found: &str, expected: &str, message: String) -> Status {
    let names = [("found", found), ("expected", expected)];
    let names = names.map(|(key, name)| (key.to_owned(), name.to_owned()));
    let details =
        ErrorDetails::with_error_info("MEL_CONVENTION_MISMATCH", DOMAIN, HashMap::from(names));
    Status::with_error_details(Code::FailedPrecondition, message, details)
}

fn with_field(code: Code, field: &str, message: String) -> Status {
    let details = ErrorDetails::with_bad_request_violation(field, message.clone());
    Status::with_error_details(code, message, details)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::RuntimeError;

    fn field(status: &Status) -> String {
        let details = status.get_error_details();
        details.bad_request().unwrap().field_violations[0]
            .field
            .clone()
    }

    #[test]
    fn what_the_caller_got_wrong_names_its_field() {
        let of = |error| of_vocoder(&error);
        let (name, known) = ("slow".to_owned(), vec!["fast".to_owned()]);
        let cases = [
            (
                of(VocoderError::UnknownSchedule { name, known }),
                "config.schedule.name",
            ),
            (
                of(DiffusionError::Empty { what: "it" }.into()),
                "config.schedule",
            ),
            (
                of(VocoderError::WindowLength { found: 0, limit: 9 }),
                "config.chunk_frames",
            ),
            (
                of(AudioError::SampleRate {
                    found: 7,
                    min: 1000,
                    max: 384_000,
                }
                .into()),
                "config.sample_rate_hz",
            ),
            (
                of_mel(
                    &MelError::Bands {
                        expected: 80,
                        shape: vec![3, 9],
                    },
                    None,
                ),
                "mel.n_mels",
            ),
            (
                not_finite("mel.data_f32le", f32::NAN, 3, 4),
                "mel.data_f32le",
            ),
        ];
        for (status, expected) in cases {
            assert_eq!(
                (status.code(), field(&status).as_str()),
                (Code::InvalidArgument, expected)
            );
        }
    }

    #[test]
    fn those_who_were_refused_together_do_not_come_back_together() {
        let delays: Vec<Duration> = (0..50).map(|_| spread(RETRY_AFTER)).collect();
        let range = RETRY_AFTER.mul_f64(0.5)..=RETRY_AFTER.mul_f64(1.5);
        assert!(delays.iter().all(|delay| range.contains(delay)));
        let (first, last) = (delays.iter().min(), delays.iter().max());
        let spread = *last.unwrap() - *first.unwrap();
        assert!(spread > RETRY_AFTER / 4, "{delays:?}");
    }

    #[test]
    fn the_rest_carries_what_a_client_acts_on() {
        let busy = of_vocoder(&VocoderError::Busy { limit: 2 });
        assert_eq!(busy.code(), Code::ResourceExhausted);
        assert!(
            busy.get_error_details()
                .retry_info()
                .unwrap()
                .retry_delay
                .is_some()
        );

        let run = RuntimeError::Run {
            label: "denoiser".to_owned(),
            source: "out of memory".into(),
        };
        let failed = of_vocoder(&run.into());
        assert_eq!(failed.code(), Code::Internal);
        assert_eq!(
            failed.get_error_details().error_info().unwrap().reason,
            "EXECUTION_FAILED"
        );

        let (from, to) = ("lmnt".to_owned(), "hifigan".to_owned());
        let reasons = vec!["hop is 300".to_owned()];
        let refusal = MelError::Incompatible {
            from,
            to,
            reasons,
            approximate: false,
        };
        let mismatch = of_mel(&refusal, Some("other"));
        let words = "`other` of this server takes it (config.model)";
        assert!(mismatch.message().ends_with(words), "{mismatch}");
        assert_eq!(mismatch.code(), Code::FailedPrecondition);
        let details = mismatch.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(
            (info.reason.as_str(), info.metadata["expected"].as_str()),
            ("MEL_CONVENTION_MISMATCH", "hifigan")
        );

        let unknown = unknown_model("x", &["a", "b"]);
        assert_eq!(unknown.code(), Code::NotFound);
        assert_eq!(
            unknown
                .get_error_details()
                .resource_info()
                .unwrap()
                .resource_name,
            "x"
        );
        assert!(unknown.message().contains("a, b"));
    }
}
